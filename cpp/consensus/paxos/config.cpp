#include "consensus/paxos/config.hpp"

#include <algorithm>
#include <string>

#include "base/errors.hpp"

namespace fastmas::consensus::paxos {
namespace {

void at_least_one(const char* name, std::size_t value) {
    if (value == 0)
        throw base::ConfigError(std::string(name) + " must be at least 1, got 0; leave it out for the default");
}

}  // namespace

Membership initial_membership(const PaxosConfig& config) {
    Membership membership;
    membership.voters = config.nodes;
    membership.quorums = config.quorums;
    return membership;
}

void validate(PaxosConfig& config) {
    if (config.nodes.empty() || config.nodes.size() > kMaxNodes)
        throw base::ConfigError("a cluster has 1 to " + std::to_string(kMaxNodes) + " nodes, got " +
                                std::to_string(config.nodes.size()) + "; 3 or 5 is usual");
    // every node has them in one order, whatever order it was told: snapshots carry the list
    std::vector<NodeId>& sorted = config.nodes;
    std::sort(sorted.begin(), sorted.end());
    if (sorted.front() == kNoNode) throw base::ConfigError("node ids start at 1, got 0; number the nodes 1 to n");
    const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
    if (twice != sorted.end())
        throw base::ConfigError("node ids must differ, got " + std::to_string(*twice) +
                                " twice; number the nodes 1 to n");
    if (config.id == kNoNode) throw base::ConfigError("node ids start at 1, got 0; number the nodes 1 to n");
    const bool is_listed = std::binary_search(sorted.begin(), sorted.end(), config.id);
    if (!is_listed && !config.joining)
        throw base::ConfigError("a node must be one of the cluster's, got id " + std::to_string(config.id) +
                                "; add it to the nodes, or set joining when a change will bring it in");
    if (is_listed && config.joining)
        throw base::ConfigError("joining is for a node that is not one of the cluster's, got id " +
                                std::to_string(config.id) + "; leave it out");
    config.quorums = checked(config.quorums, config.nodes.size());
    at_least_one("heartbeat_ticks", config.heartbeat_ticks);
    at_least_one("max_writes_in_flight", config.max_writes_in_flight);
    at_least_one("max_pending_reads", config.max_pending_reads);
    at_least_one("max_message_entries", config.max_message_entries);
    at_least_one("max_message_bytes", config.max_message_bytes);
    at_least_one("max_inflight_entries", config.max_inflight_entries);
    at_least_one("max_open_slots", config.max_open_slots);
    // a change leaves its own slot to the old configuration, and at least one after it
    if (config.window < 2 || config.window > config.max_open_slots)
        throw base::ConfigError("window must be 2 to max_open_slots (" + std::to_string(config.max_open_slots) +
                                "), got " + std::to_string(config.window) + "; try 4096");
    if (config.election_ticks <= config.heartbeat_ticks)
        throw base::ConfigError(
            "election_ticks must exceed heartbeat_ticks (" + std::to_string(config.heartbeat_ticks) + "), got " +
            std::to_string(config.election_ticks) + "; try " + std::to_string(5 * config.heartbeat_ticks));
    if (config.election_ticks > kMaxElectionTicks)
        throw base::ConfigError("election_ticks must be at most " + std::to_string(kMaxElectionTicks) + ", got " +
                                std::to_string(config.election_ticks) + "; let a tick be longer");
    if (config.max_command_bytes > Payload::kMaxBytes)
        throw base::ConfigError("max_command_bytes must be below 4 GiB, got " +
                                std::to_string(config.max_command_bytes) + "; try 16777216");
}

}  // namespace fastmas::consensus::paxos
