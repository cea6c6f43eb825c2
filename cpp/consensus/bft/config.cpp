#include "consensus/bft/config.hpp"

#include <algorithm>

#include "base/errors.hpp"

namespace fastmas::consensus::bft {
namespace {

void at_least_one(const char* name, std::uint64_t value) {
    if (value == 0)
        throw base::ConfigError(std::string(name) + " must be at least 1, got 0; leave it out for the default");
}

}  // namespace

void validate(const BftConfig& config) {
    (void)ValidatorSet(config.validators);
    if (config.id == kNoNode) throw base::ConfigError("node ids start at 1, got 0; number the nodes 1 to n");
    std::vector<NodeId> sorted = config.peers;
    std::sort(sorted.begin(), sorted.end());
    if (!sorted.empty() &&
        (sorted.front() == kNoNode || std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()))
        throw base::ConfigError("peers are node ids from 1 on, each once, got " + std::to_string(sorted.front()) +
                                " or one twice; leave them out for the validators");
    at_least_one("max_block_commands", config.limits.max_block_commands);
    at_least_one("max_block_bytes", config.limits.max_block_bytes);
    at_least_one("propose_ticks", config.propose_ticks);
    at_least_one("prevote_ticks", config.prevote_ticks);
    at_least_one("precommit_ticks", config.precommit_ticks);
    at_least_one("timeout_growth_ticks", config.timeout_growth_ticks);
    at_least_one("status_ticks", config.status_ticks);
    at_least_one("checkpoint_every", config.checkpoint_every);
    at_least_one("max_writes_in_flight", config.max_writes_in_flight);
    at_least_one("max_pool_commands", config.max_pool_commands);
    at_least_one("max_message_bytes", config.max_message_bytes);
    at_least_one("max_wrong_messages", config.max_wrong_messages);
    at_least_one("max_replies", config.max_replies);
    if (config.limits.max_command_bytes > config.limits.max_block_bytes)
        throw base::ConfigError("max_command_bytes must not exceed max_block_bytes (" +
                                std::to_string(config.limits.max_block_bytes) + "), got " +
                                std::to_string(config.limits.max_command_bytes) + "; raise max_block_bytes");
}

}  // namespace fastmas::consensus::bft
