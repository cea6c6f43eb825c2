// The single-decree synod (Lamport, The Part-Time Parliament 1998, §2; Paxos Made Simple 2001, "PMS", §2): the three
// roles as pure state machines. One value is chosen for all, once, whatever is lost and whoever crashes.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "consensus/paxos/ballot.hpp"

namespace fastmas::consensus::paxos {

// What an acceptor has on disk before it answers (PMS §2.5: "an acceptor records its intended response in stable
// storage before actually sending the response").
struct AcceptorState {
    Ballot promised;  // accepts nothing below it
    Ballot accepted;  // the highest ballot it accepted in; none = nothing accepted
    Payload value;    // of `accepted`

    friend bool operator==(const AcceptorState&, const AcceptorState&) = default;
};

// Votes. Deterministic; never waits; O(1).
class Acceptor {
  public:
    Acceptor() = default;
    explicit Acceptor(AcceptorState stored) : state_(std::move(stored)) {}

    // Phase 1b: whether it promises to accept nothing below `ballot` any more. With the promise goes what it accepted.
    bool prepare(const Ballot& ballot);
    // Phase 2b: whether it accepts.
    bool accept(const Ballot& ballot, const Payload& value);

    const AcceptorState& state() const noexcept { return state_; }

  private:
    AcceptorState state_;
};

// Leads ballots, one at a time; nodes are numbered 1 to n, and answers from anybody else mean nothing. What it tried
// must be on disk before any prepare leaves: a ballot is never used twice.
class Proposer {
  public:
    enum class Phase : std::uint8_t { idle, preparing, accepting };

    // `tried`: the highest ballot stored by this node's earlier lives. Throws base::ConfigError for quorums that do not
    // intersect.
    Proposer(NodeId id, std::size_t nodes, Quorums quorums, Ballot tried = {});

    // Phase 1a: begins a ballot above all it tried and heard of, for `wish` unless an older value must be kept.
    const Ballot& begin(Payload wish);
    // A promise. True once, when a prepare quorum has promised: phase 2a begins, with value().
    bool promised(NodeId from, const Ballot& ballot, const Ballot& accepted, const Payload& value);
    // An acceptance. True once, when an accept quorum has accepted: value() is chosen.
    bool accepted(NodeId from, const Ballot& ballot);
    // Somebody is bound to a higher ballot: this one leads nowhere (PMS §2.5: "abandon a proposal").
    void refused(const Ballot& ballot, const Ballot& higher);
    // A ballot that was heard of; the next one will be above it.
    void heard(const Ballot& ballot) noexcept;
    std::uint64_t heard() const noexcept { return heard_; }  // the highest number, its own included
    void stop() noexcept { phase_ = Phase::idle; }

    Phase phase() const noexcept { return phase_; }
    const Ballot& ballot() const noexcept { return ballot_; }
    const Ballot& tried() const noexcept { return tried_; }
    const Payload& value() const noexcept { return value_; }
    bool adopted() const noexcept { return static_cast<bool>(highest_); }  // value() is another ballot's, not the wish

  private:
    bool is_node(NodeId node) const noexcept { return node != kNoNode && node <= nodes_; }

    NodeId id_;
    std::size_t nodes_;
    Quorums quorums_;
    Phase phase_ = Phase::idle;
    Ballot tried_;
    Ballot ballot_;
    Ballot highest_;  // the highest ballot in which any of those that promised had accepted
    Payload value_;
    std::uint64_t heard_ = 0;
    std::uint64_t voters_ = 0;  // one bit a node: who promised, then who accepted
};

// Learns that a value is chosen from the acceptances themselves: an accept quorum for one ballot (PMS §2.3).
class Learner {
  public:
    Learner(std::size_t nodes, Quorums quorums) : quorums_(checked(quorums, nodes)), votes_(nodes) {}
    // True from the moment on when this ballot is known to be chosen. One acceptance a node is kept, its highest; one
    // of somebody who is no node is nothing.
    bool accepted(NodeId from, const Ballot& ballot) noexcept;

  private:
    Quorums quorums_;
    std::vector<Ballot> votes_;  // of node 1 .. n
};

}  // namespace fastmas::consensus::paxos
