// What a Multi-Paxos node is told when it is built.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "consensus/paxos/types.hpp"

namespace fastmas::consensus::paxos {

struct PaxosConfig {
    NodeId id = kNoNode;
    std::vector<NodeId> nodes;  // all that the cluster began with, this one among them unless it is
    bool joining = false;       // in none of its lists yet: a change brings it in
    Quorums quorums;            // of promises and of acceptances; majorities unless said otherwise
    std::uint64_t seed = 0;     // of the cluster; each node derives its own stream from it and its id

    // Nobody proposes in a slot before the slot that is so many before it is known to be chosen, and a change of
    // members governs the slots from so many after its own on (PMS §3). The same on all nodes for as long as the
    // cluster lives; entries and snapshots say it, so that a node with another one stops.
    std::size_t window = 4096;

    // Ticks without word from a leader before a node tries to lead; the actual wait is drawn from [n, 2n), and doubled
    // for every attempt that failed, up to 8 times it: duelling proposers get out of one another's way.
    std::uint32_t election_ticks = 10;
    std::uint32_t heartbeat_ticks = 2;
    bool ask_first = true;     // ask whether a prepare quorum would promise before a ballot is begun
    bool check_quorum = true;  // a leader that hears from no accept quorum stops leading; nodes in contact with a
                               // leader promise nothing to others

    // The caller acknowledges writes by stored() instead of advance(), so that they overlap replication (ready.hpp).
    bool async_storage = false;
    std::size_t max_writes_in_flight = 64;  // handed out and not acknowledged; what comes then waits in the log
    // Ticks that a write may stay unacknowledged before a leader stops leading and nobody tries; 0 = election_ticks.
    std::uint32_t hung_write_ticks = 0;

    std::size_t max_pending_reads = 65'536;
    std::size_t max_message_entries = 1024;
    std::size_t max_message_bytes = 1U << 20;      // one larger entry still goes alone
    std::size_t max_inflight_entries = 16 * 1024;  // sent to a node beyond what it is known to have committed
    std::size_t max_open_slots = 1U << 20;  // proposed and not committed; an acceptor takes no slot beyond, either
    std::size_t max_command_bytes = 16U << 20;
};

// What an acceptor accepted goes to whoever prepares in parts of a message, so many of them without being asked again.
inline constexpr std::size_t kPromiseParts = 16;

// A node that failed to lead waits longer the next time, up to two to this times as long.
inline constexpr std::uint32_t kMaxDoublings = 3;

// What the cluster began with.
Membership initial_membership(const PaxosConfig& config);

// Throws base::ConfigError that names the rule, the value and the cure. Sorts the nodes, and puts majorities in for
// quorums left out.
void validate(PaxosConfig& config);

}  // namespace fastmas::consensus::paxos
