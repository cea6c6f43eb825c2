// How a simulated cluster is built.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fastmas::consensus {

struct NetworkOptions {
    friend bool operator==(const NetworkOptions&, const NetworkOptions&) = default;

    std::uint32_t loss_ppm = 0;
    std::uint32_t duplicate_ppm = 0;
    std::uint32_t reorder_ppm = 0;  // share of messages that may overtake earlier ones of their link
    std::int64_t delay_low_ns = 50'000;
    std::int64_t delay_high_ns = 150'000;
    bool encode = false;  // messages travel as bytes, through the codec
};

// What a seed draws must be in a script as well (plan.cpp), else the script does not do what the seed did.
struct SimOptions {
    friend bool operator==(const SimOptions&, const SimOptions&) = default;

    std::size_t nodes = 3;
    std::uint64_t seed = 0;
    NetworkOptions network;
    std::int64_t tick_ns = 10'000'000;
    std::uint32_t election_ticks = 10;
    std::uint32_t heartbeat_ticks = 2;
    bool pre_vote = true;
    bool check_quorum = true;
    std::size_t max_append_entries = 1024;
    std::size_t max_snapshot_part_bytes = 1U << 20;  // protocols that send snapshots in parts
    std::size_t accept_quorum = 0;             // Paxos: how many must accept, the others' sizes follow; 0 = a majority
    std::size_t window = 0;                    // Paxos: slots between a change of members and its effect; 0 = default
    std::int64_t start_ns = 0;                 // the clock once the first leader is elected and all is quiet
    std::int64_t timeout_ns = 10'000'000'000;  // how long a proposal may take
    std::uint64_t snapshot_every = 0;          // applied entries between two compactions; 0 = never
    std::uint32_t crash_point_ppm = 0;         // chance that a node with work at hand crashes in the middle of it
    bool check_invariants = true;
    bool trace = false;
    std::size_t spare = 0;      // so many of the nodes, the last ones, begin outside the membership
    std::size_t witnesses = 0;  // so many of the voters, the last ones, keep no commands (protocols that offer it)
    // Storage acknowledges a write this much later, while the node goes on (protocols that offer it); 0 = at once.
    std::int64_t disk_delay_ns = 0;
    std::uint32_t priorities = 0;  // nodes wait 0, 1, ... up to this many time-outs more before they stand (likewise)
    std::int64_t lease_ns = 0;     // leaders answer reads alone for so long (protocols that offer it); 0 = never
};

}  // namespace fastmas::consensus
