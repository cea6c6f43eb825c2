// What the simulated cluster asks of Raft.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "consensus/raft/codec.hpp"
#include "consensus/raft/node.hpp"
#include "consensus/simulation/raft/disk.hpp"
#include "consensus/simulation/raft/invariants.hpp"
#include "consensus/simulation/scenario.hpp"

namespace fastmas::consensus::raft {

struct RaftProtocol {
    static constexpr const char* kName = "raft";
    static constexpr const char* kElections = "elections stood";
    static constexpr const char* kTwoLead = "moments with two leaders";
    using Node = RaftNode;
    using Message = raft::Message;
    using Ready = raft::Ready;
    using Entry = raft::Entry;
    using Disk = raft::SimDisk;
    using Invariants = raft::InvariantChecker;
    using Proposal = raft::Proposal;

    static std::unique_ptr<Node> boot(const SimOptions& options, NodeId id, const std::vector<NodeId>& voters,
                                      std::uint64_t seed, const Disk& disk);
    static bool leads(const Node& node) noexcept { return node.role() == Role::leader; }
    static std::uint64_t epoch(const Node& node) noexcept { return node.term(); }
    static std::uint64_t epoch(const Disk& disk) noexcept { return disk.hard_state().term; }
    // `other` follows `leads` and has applied all of its log.
    static bool in_step(const Node& leads, const Node& other) noexcept;
    // Storing `ready` replaces entries that are on the disk.
    static bool replaces(const Disk& disk, const Ready& ready) noexcept {
        return !ready.entries.empty() && ready.entries.front().index <= disk.log().last_index();
    }
    static Snapshot snapshot(const Node& node, Payload state);  // as of what is applied
    static TraceEvent trace(const Message& message, std::int64_t now_ns) noexcept;
    static std::size_t max_command_bytes() noexcept { return RaftConfig().max_command_bytes; }

    // What Scenario asks beyond that.
    static void draw_options(SimOptions& options, base::Prng& random);
    static void disturb(SimCluster<RaftProtocol>& sim, base::Prng& random);
    static void transfer(SimCluster<RaftProtocol>& sim, NodeId from, NodeId to);
    static void mended(SimCluster<RaftProtocol>& sim, std::int64_t limit_ns);  // all its nodes take part again
    // A node that is out and does not know it hears of no leader, and stands for ever. Without check-quorum (§6: who
    // hears of a leader does not listen) and pre-vote (thesis §9.6: a majority has more) it deposes every leader, until
    // somebody stops it.
    static bool outsiders_are_harmless(const SimOptions& options) noexcept {
        return options.check_quorum || options.pre_vote;
    }
    static void stop_outsiders(SimCluster<RaftProtocol>& sim);
    // Whether the cluster is to go on without what this node's disk holds, and its vote: raft/damage.cpp.
    static bool goes_on_without(const SimCluster<RaftProtocol>& sim, NodeId node);
    // Whether this node's clock may go wild: the only one, of a node to go on without.
    static bool may_go_wild(const SimCluster<RaftProtocol>& sim, NodeId node);
    // As goes_on_without(), were this its membership; kNoNode: with those that are not well now.
    static bool lives(const SimCluster<RaftProtocol>& sim, const Membership& membership, NodeId without);
    static bool keeps_its_leader(const SimOptions& options) noexcept {
        return options.nodes >= 3 && options.pre_vote && options.check_quorum;
    }
    static std::string describe(const Node& node);
    static void look(const SimCluster<RaftProtocol>& sim, Coverage& moments);  // between any two actions
    static void cover(const SimCluster<RaftProtocol>& sim, Coverage& coverage);
};

}  // namespace fastmas::consensus::raft
