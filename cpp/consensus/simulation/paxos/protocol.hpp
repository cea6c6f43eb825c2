// What the simulated cluster asks of Multi-Paxos.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "consensus/paxos/codec.hpp"
#include "consensus/paxos/node.hpp"
#include "consensus/simulation/paxos/disk.hpp"
#include "consensus/simulation/paxos/invariants.hpp"
#include "consensus/simulation/scenario.hpp"

namespace fastmas::consensus::paxos {

struct PaxosProtocol {
    static constexpr const char* kName = "paxos";
    static constexpr const char* kElections = "ballots begun";
    static constexpr const char* kTwoLead = "moments with two leaders";
    using Node = PaxosNode;
    using Message = paxos::Message;
    using Ready = paxos::Ready;
    using Entry = paxos::Entry;
    using Disk = paxos::SimDisk;
    using Invariants = paxos::InvariantChecker;
    using Proposal = paxos::Proposal;

    // A ballot as a number that orders as ballots do.
    static std::uint64_t epoch(const Ballot& ballot) noexcept { return ballot.number * (kMaxNodes + 1) + ballot.node; }

    static std::unique_ptr<Node> boot(const SimOptions& options, NodeId id, const std::vector<NodeId>& nodes,
                                      std::uint64_t seed, const Disk& disk);
    static bool leads(const Node& node) noexcept { return node.role() == Role::leader; }
    static std::uint64_t epoch(const Node& node) noexcept { return epoch(node.ballot()); }
    static std::uint64_t epoch(const Disk& disk) noexcept { return epoch(disk.hard_state().promised); }
    // `other` follows `leads` and has applied all that it proposed.
    static bool in_step(const Node& leads, const Node& other) noexcept;
    // Storing `ready` replaces entries that are on the disk.
    static bool replaces(const Disk& disk, const Ready& ready) noexcept;
    static Snapshot snapshot(const Node& node, Payload state);  // as of what is applied
    static TraceEvent trace(const Message& message, std::int64_t now_ns) noexcept;
    static std::size_t max_command_bytes() noexcept { return PaxosConfig().max_command_bytes; }

    // What Scenario asks beyond that.
    static void draw_options(SimOptions& options, base::Prng& random);
    static void disturb(SimCluster<PaxosProtocol>& sim, base::Prng& random);
    static void change(SimCluster<PaxosProtocol>& sim, NodeId leader, base::Prng& random);
    static void mended(SimCluster<PaxosProtocol>& sim, std::int64_t limit_ns);  // all its nodes take part again
    // With a prepare quorum above a majority nobody may be able to follow a leader that was cut off.
    static bool keeps_its_leader(const SimOptions& options) noexcept {
        return options.nodes >= 3 && options.pre_vote && options.check_quorum && options.accept_quorum == 0;
    }
    static std::string describe(const Node& node);
    static void cover(const SimCluster<PaxosProtocol>& sim, Coverage& coverage);
};

}  // namespace fastmas::consensus::paxos
