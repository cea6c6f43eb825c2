#include "consensus/raft/config.hpp"

#include <algorithm>
#include <string>

#include "base/errors.hpp"

namespace fastmas::consensus::raft {
namespace {

constexpr std::uint32_t kMaxPriority = 10;

void at_least_one(const char* name, std::size_t value) {
    if (value == 0)
        throw base::ConfigError(std::string(name) + " must be at least 1, got 0; leave it out for the default");
}

}  // namespace

Membership initial_membership(const RaftConfig& config) {
    Membership membership(config.voters);
    membership.learners = config.learners;
    membership.witnesses = config.witnesses;
    std::sort(membership.learners.begin(), membership.learners.end());
    std::sort(membership.witnesses.begin(), membership.witnesses.end());
    return membership;
}

void validate(const RaftConfig& config) {
    const Membership initial = initial_membership(config);
    if (const std::string problem = problem_of(initial); !problem.empty()) throw base::ConfigError(problem);
    if (config.id == kNoNode) throw base::ConfigError("node ids start at 1, got 0; number the nodes 1 to n");
    if (!initial.contains(config.id) && !config.joining)
        throw base::ConfigError("a node must be one of the voters, got id " + std::to_string(config.id) +
                                "; add it to the voters, or set joining when a change will bring it in");
    if (initial.contains(config.id) && (config.joining || config.witness))
        throw base::ConfigError("joining and witness are for nodes in none of the lists, got id " +
                                std::to_string(config.id) + "; the lists say what it is");
    at_least_one("heartbeat_ticks", config.heartbeat_ticks);
    at_least_one("max_writes_in_flight", config.max_writes_in_flight);
    at_least_one("max_append_entries", config.max_append_entries);
    at_least_one("max_append_bytes", config.max_append_bytes);
    at_least_one("max_snapshot_part_bytes", config.max_snapshot_part_bytes);
    at_least_one("max_inflight_entries", config.max_inflight_entries);
    at_least_one("max_uncommitted_entries", config.max_uncommitted_entries);
    at_least_one("max_uncommitted_bytes", config.max_uncommitted_bytes);
    if (config.max_inflight_bytes < config.max_append_bytes)
        throw base::ConfigError("max_inflight_bytes must be at least max_append_bytes (" +
                                std::to_string(config.max_append_bytes) + "), got " +
                                std::to_string(config.max_inflight_bytes) + "; raise it, or lower max_append_bytes");
    if (config.election_ticks <= config.heartbeat_ticks)
        throw base::ConfigError(
            "election_ticks must exceed heartbeat_ticks (" + std::to_string(config.heartbeat_ticks) + "), got " +
            std::to_string(config.election_ticks) + "; try " + std::to_string(5 * config.heartbeat_ticks));
    if (config.election_ticks > kMaxElectionTicks)
        throw base::ConfigError("election_ticks must be at most " + std::to_string(kMaxElectionTicks) + ", got " +
                                std::to_string(config.election_ticks) + "; let a tick be longer");
    at_least_one("max_pending_reads", config.max_pending_reads);
    if (config.priority > kMaxPriority)
        throw base::ConfigError("priority must be at most " + std::to_string(kMaxPriority) + ", got " +
                                std::to_string(config.priority) + "; 0 stands first");
    if (config.max_clock_ahead_ns < 0)
        throw base::ConfigError("max_clock_ahead_ns must not be negative, got " +
                                std::to_string(config.max_clock_ahead_ns) + "; leave it out for the default");
    if (config.lease_ns < 0 || (config.lease_ns != 0 && !config.check_quorum))
        throw base::ConfigError("a lease must not be negative and needs check_quorum, got lease_ns " +
                                std::to_string(config.lease_ns) + (config.check_quorum ? "" : " without it") +
                                "; set both, or read() instead");
    if (config.max_snapshot_part_bytes > Payload::kMaxBytes || config.max_snapshot_bytes > Payload::kMaxBytes)
        throw base::ConfigError("max_snapshot_part_bytes and max_snapshot_bytes must be below 4 GiB, got " +
                                std::to_string(config.max_snapshot_part_bytes) + " and " +
                                std::to_string(config.max_snapshot_bytes) + "; leave them out for the defaults");
    if (config.max_command_bytes > Payload::kMaxBytes)
        throw base::ConfigError("max_command_bytes must be below 4 GiB, got " +
                                std::to_string(config.max_command_bytes) + "; try 16777216");
}

}  // namespace fastmas::consensus::raft
