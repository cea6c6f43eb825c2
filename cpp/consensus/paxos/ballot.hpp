// Ballots and the quorums that make them safe.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "base/errors.hpp"
#include "consensus/quorum.hpp"
#include "consensus/types.hpp"

namespace fastmas::consensus::paxos {

// Totally ordered, and no two nodes share one: "different proposals have different numbers" (Paxos Made Simple §2.2,
// §2.5). A node never uses one twice, because it stores what it tried before it says so.
struct Ballot {
    std::uint64_t number = 0;  // 0 = none, below every ballot
    NodeId node = kNoNode;     // who leads it

    friend auto operator<=>(const Ballot&, const Ballot&) = default;
    explicit operator bool() const noexcept { return number != 0; }
};

// Elections never get there: a number from it on is refused as hostile.
inline constexpr std::uint64_t kMaxBallotNumber = std::uint64_t{1} << 56;
// No correct node is so many elections ahead of another: one a millisecond take 35 years.
inline constexpr std::uint64_t kMaxBallotLead = std::uint64_t{1} << 40;

inline constexpr Index kMaxIndex = Index{1} << 56;  // of a slot, likewise

// Whether a correct node can have come to a ballot of this number, as seen by one that has heard of `heard`.
constexpr bool is_credible(std::uint64_t number, std::uint64_t heard) noexcept {
    return number < kMaxBallotNumber && number <= heard + kMaxBallotLead;
}

inline std::string to_string(const Ballot& ballot) {
    return std::to_string(ballot.number) + "." + std::to_string(ballot.node);
}

// How many acceptors must promise, and how many must accept. Any two of them share an acceptor when their sizes sum to
// more than all (Howard, Malkhi, Spiegelman 2016: Flexible Paxos); neither needs to be a majority.
struct Quorums {
    std::size_t prepare = 0;  // 0 = a majority
    std::size_t accept = 0;   // 0 = a majority

    friend bool operator==(const Quorums&, const Quorums&) = default;
};

inline Quorums with_majorities(Quorums quorums, std::size_t nodes) noexcept {
    if (quorums.prepare == 0) quorums.prepare = quorum_size(nodes);
    if (quorums.accept == 0) quorums.accept = quorum_size(nodes);
    return quorums;
}

// What is wrong with them; nothing when every prepare quorum shares a node with every accept quorum.
inline std::string problem_of(const Quorums& quorums, std::size_t nodes) {
    if (nodes == 0 || nodes > kMaxNodes)
        return "a cluster has 1 to " + std::to_string(kMaxNodes) + " nodes, got " + std::to_string(nodes) +
               "; 3 or 5 is usual";
    const std::string given = std::to_string(quorums.prepare) + " and " + std::to_string(quorums.accept) + " of " +
                              std::to_string(nodes) + " nodes";
    if (quorums.prepare > nodes || quorums.accept > nodes)
        return "a quorum is 1 to all of the nodes, got " + given + "; leave it out for a majority";
    if (quorums.prepare + quorums.accept <= nodes)
        return "every prepare quorum must share a node with every accept quorum, got " + given + "; try " +
               std::to_string(nodes + 1 - quorums.accept) + " and " + std::to_string(quorums.accept);
    return "";
}

// Majorities put in; throws base::ConfigError unless the two intersect.
inline Quorums checked(Quorums quorums, std::size_t nodes) {
    quorums = with_majorities(quorums, nodes);
    if (const std::string problem = problem_of(quorums, nodes); !problem.empty()) throw base::ConfigError(problem);
    return quorums;
}

}  // namespace fastmas::consensus::paxos
