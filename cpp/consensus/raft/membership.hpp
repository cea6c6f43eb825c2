// Who votes, who only listens: configurations of a cluster and their quorums (paper §6). Pure; tested exhaustively.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "consensus/quorum.hpp"
#include "consensus/types.hpp"

namespace fastmas::consensus::raft {

// One configuration. While it is joint, elections and commits need a majority of `voters` (C_new) and one of `outgoing`
// (C_old), separately. All lists ascend; a node in `learners` that still votes in `outgoing` becomes a learner when the
// joint state is left.
struct Membership {
    Index id = 0;                   // the index of the entry that made it; 0 = what the cluster began with
    std::vector<NodeId> voters;     // they elect and commit
    std::vector<NodeId> outgoing;   // not empty while joint
    std::vector<NodeId> learners;   // they get the log and never count (thesis §4.2.1)
    std::vector<NodeId> witnesses;  // which of the voters keep terms and indexes but no commands; they never lead

    Membership() = default;
    Membership(std::vector<NodeId> all) : voters(std::move(all)) { std::sort(voters.begin(), voters.end()); }

    bool is_joint() const noexcept { return !outgoing.empty(); }
    bool is_voter(NodeId node) const noexcept { return has(voters, node) || has(outgoing, node); }
    bool is_witness(NodeId node) const noexcept { return has(witnesses, node); }
    bool contains(NodeId node) const noexcept { return is_voter(node) || has(learners, node); }
    std::vector<NodeId> all() const;  // each once, ascending

    // Whether the nodes for which `in` says yes are a quorum: in a joint configuration, of both halves.
    template <class Predicate>
    bool is_quorum(Predicate in) const {
        return count(voters, in) >= quorum_size(voters.size()) &&
               (!is_joint() || count(outgoing, in) >= quorum_size(outgoing.size()));
    }
    // Won with a quorum of yes; lost as soon as the undecided no longer suffice for one.
    template <class Yes, class No>
    VoteResult vote_result(Yes yes, No no) const {
        const VoteResult incoming = tally(count(voters, yes), count(voters, no), voters.size());
        if (!is_joint() || incoming == VoteResult::lost) return incoming;
        const VoteResult old = tally(count(outgoing, yes), count(outgoing, no), outgoing.size());
        return old == VoteResult::won ? incoming : old;
    }

    static bool has(const std::vector<NodeId>& list, NodeId node) noexcept {
        return std::binary_search(list.begin(), list.end(), node);
    }

    friend bool operator==(const Membership&, const Membership&) = default;

  private:
    template <class Predicate>
    static std::size_t count(const std::vector<NodeId>& list, Predicate in) {
        return static_cast<std::size_t>(std::count_if(list.begin(), list.end(), in));
    }
};

// What is wrong with it; nothing for one that a cluster can have.
std::string problem_of(const Membership& membership);

// From `old` to the target's voters, learners and witnesses: the entry that begins the change. When the set of voters
// changes, it is C_old,new; else it is the target itself. Throws base::ConfigError that names rule, value and cure.
Membership begin_change(const Membership& old, Membership target);
// From a joint configuration to C_new.
Membership leave_joint(const Membership& joint);

// What a membership entry carries: all but the id, which is its index.
Payload encode(const Membership& membership);
bool decode(std::span<const std::byte> bytes, Membership& membership);

}  // namespace fastmas::consensus::raft
