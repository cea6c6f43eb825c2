// Who votes, who only listens, and from which slot on: the configurations of a cluster. Pure; tested exhaustively.
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "consensus/paxos/ballot.hpp"
#include "consensus/types.hpp"

namespace fastmas::consensus::paxos {

// One configuration. It governs the slots from `from` on, until the next one's: what is chosen in a slot is chosen by
// an accept quorum of the configuration that governs it. The lists ascend and share no node.
struct Membership {
    Index id = 0;                  // the slot of the entry that made it; 0 = what the cluster began with
    Index from = 1;                // the first slot that it governs: the window behind its entry (PMS §3)
    std::vector<NodeId> voters;    // they promise and accept
    std::vector<NodeId> learners;  // they get what is proposed and what is chosen, and never count
    Quorums quorums;               // of the voters; 0 = a majority

    bool is_voter(NodeId node) const noexcept { return std::binary_search(voters.begin(), voters.end(), node); }
    bool contains(NodeId node) const noexcept {
        return is_voter(node) || std::binary_search(learners.begin(), learners.end(), node);
    }
    std::vector<NodeId> all() const;  // each once, ascending
    // Whether the same sets of nodes are its quorums.
    bool decides_like(const Membership& other) const noexcept {
        return voters == other.voters && quorums == other.quorums;
    }

    friend bool operator==(const Membership&, const Membership&) = default;
};

// What a snapshot may carry: one that was left, one in force, one to come.
inline constexpr std::size_t kMaxMemberships = 3;

// What a membership entry carries. It takes effect only if `replaces` is the latest configuration and in force at the
// entry's slot; else it is void. That depends on what is chosen before it alone, so all nodes say the same.
struct Change {
    Index replaces = 0;        // the id of the configuration it was made from
    std::uint64_t window = 0;  // of the cluster
    Membership membership;     // without id and from: they follow from the slot

    friend bool operator==(const Change&, const Change&) = default;
};

// What is wrong with it; nothing for one that a cluster can have. Its quorums must be said.
std::string problem_of(const Membership& membership);

// From `old` to the target's voters, learners and quorums, sorted and complete. Throws base::ConfigError that names
// rule, value and cure.
Membership begin_change(const Membership& old, Membership target);

Payload encode(const Change& change);
bool decode(std::span<const std::byte> bytes, Change& change);  // only what problem_of() has nothing against

}  // namespace fastmas::consensus::paxos
