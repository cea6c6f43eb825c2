// What a Raft node is told when it is built.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "consensus/raft/types.hpp"

namespace fastmas::consensus::raft {

struct RaftConfig {
    NodeId id = kNoNode;
    // What the cluster began with: the same lists on all its nodes, for ever. What the log says later counts instead.
    std::vector<NodeId> voters;
    std::vector<NodeId> learners;   // they get the log and never count
    std::vector<NodeId> witnesses;  // of the voters
    bool joining = false;           // this node is in none of these lists: a change of the membership will bring it in
    bool witness = false;           // joining as a witness
    std::uint64_t seed = 0;         // of the cluster; each node derives its own stream from it and its id

    // Ticks without word from a leader before a follower stands; the actual wait is drawn from [n, 2n) (paper §5.2).
    std::uint32_t election_ticks = 10;
    std::uint32_t heartbeat_ticks = 2;
    bool pre_vote = true;  // ask before raising the term (thesis §9.6)
    bool check_quorum =
        true;  // a leader that hears from no majority steps down; followers in contact refuse votes (§6)

    // The caller acknowledges writes by stored() instead of advance(), so that they overlap replication (ready.hpp).
    bool async_storage = false;
    std::size_t max_writes_in_flight = 64;  // handed out and not acknowledged; what comes then waits in the log
    // Ticks that a write may stay unacknowledged before a leader steps down and nobody stands; 0 = election_ticks.
    std::uint32_t hung_write_ticks = 0;

    // 0 = the first to stand; each step makes a node wait that many more election_ticks before it stands.
    std::uint32_t priority = 0;
    std::size_t max_pending_reads = 65'536;
    // How long after sending a round of heartbeats that a majority acknowledged a leader answers reads alone (thesis
    // §6.4.1); 0 = never. At most (election_ticks - 1) ticks, less the share by which two clocks may drift apart in
    // that time; the same on all nodes. Needs check_quorum everywhere, and tick(now_ns).
    std::int64_t lease_ns = 0;

    // An entry that is not committed and whose time is further ahead of this node's clock is not taken, nor is anything
    // else of the leader that sends it, until the clock has come that far or another one leads. Where the caller gives
    // the node a clock (RaftNode::set_clock). At least what two good clocks may differ by.
    std::int64_t max_clock_ahead_ns = 1'000'000'000;

    std::size_t max_append_entries = 1024;                // a message
    std::size_t max_append_bytes = 1U << 20;              // a message; one larger entry still goes alone
    std::size_t max_snapshot_part_bytes = 1U << 20;       // a message; one part is under way to a follower at a time
    std::size_t max_snapshot_bytes = Payload::kMaxBytes;  // one that is announced as larger is not taken
    std::size_t max_inflight_entries = 16 * 1024;         // sent to a follower and not acknowledged
    std::size_t max_inflight_bytes = 64U << 20;           // the same, of commands; one larger entry still goes alone
    // What waits for a majority, or for this leader's own disk. Beyond these it answers full; one larger command is
    // still taken when nothing else waits.
    std::size_t max_uncommitted_entries = 1U << 20;
    std::size_t max_uncommitted_bytes = 256U << 20;
    std::size_t max_command_bytes = 16U << 20;
};

Membership initial_membership(const RaftConfig& config);

// Throws base::ConfigError that names the rule, the value and the cure.
void validate(const RaftConfig& config);

}  // namespace fastmas::consensus::raft
