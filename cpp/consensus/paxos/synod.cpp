#include "consensus/paxos/synod.hpp"

#include <algorithm>
#include <bit>

namespace fastmas::consensus::paxos {

bool Acceptor::prepare(const Ballot& ballot) {
    // PMS §2.2, phase 1b: promises when the number is greater than that of any prepare it has answered. The same one
    // again is the same promise again: its first answer may be lost.
    if (ballot < state_.promised) return false;
    state_.promised = ballot;
    return true;
}

bool Acceptor::accept(const Ballot& ballot, const Payload& value) {
    // PMS §2.2, phase 2b: accepts unless it has already answered a prepare with a greater number
    if (ballot < state_.promised) return false;
    state_ = {ballot, ballot, value};
    return true;
}

Proposer::Proposer(NodeId id, std::size_t nodes, Quorums quorums, Ballot tried)
    : id_(id), nodes_(nodes), quorums_(checked(quorums, nodes)), tried_(tried), heard_(tried.number) {}

const Ballot& Proposer::begin(Payload wish) {
    if (heard_ + 1 >= kMaxBallotNumber) throw base::InvariantError("the ballot counter is used up");
    ballot_ = tried_ = {std::max(heard_, tried_.number) + 1, id_};
    heard_ = tried_.number;
    phase_ = Phase::preparing;
    highest_ = {};
    value_ = std::move(wish);
    voters_ = 0;
    return ballot_;
}

bool Proposer::promised(NodeId from, const Ballot& ballot, const Ballot& accepted, const Payload& value) {
    // an answer to an earlier ballot says nothing about this one
    if (phase_ != Phase::preparing || ballot != ballot_ || !is_node(from)) return false;
    voters_ |= std::uint64_t{1} << from;
    // PMS §2.2, phase 2a: "the value of the highest-numbered proposal among the responses"; neither the commonest nor
    // the own wish may stand in for it, for it may be chosen already
    if (accepted > highest_) {
        highest_ = accepted;
        value_ = value;
    }
    if (static_cast<std::size_t>(std::popcount(voters_)) < quorums_.prepare) return false;
    phase_ = Phase::accepting;
    voters_ = 0;
    return true;
}

bool Proposer::accepted(NodeId from, const Ballot& ballot) {
    if (phase_ != Phase::accepting || ballot != ballot_ || !is_node(from)) return false;
    voters_ |= std::uint64_t{1} << from;
    if (static_cast<std::size_t>(std::popcount(voters_)) < quorums_.accept) return false;
    phase_ = Phase::idle;
    return true;
}

void Proposer::refused(const Ballot& ballot, const Ballot& higher) {
    heard(higher);
    if (phase_ != Phase::idle && ballot == ballot_ && higher > ballot_) phase_ = Phase::idle;
}

void Proposer::heard(const Ballot& ballot) noexcept {
    heard_ = std::max(heard_, ballot.number);
}

bool Learner::accepted(NodeId from, const Ballot& ballot) noexcept {
    if (from == kNoNode || from > votes_.size() || !ballot) return false;
    votes_[from - 1] = std::max(votes_[from - 1], ballot);
    return static_cast<std::size_t>(std::count(votes_.begin(), votes_.end(), ballot)) >= quorums_.accept;
}

}  // namespace fastmas::consensus::paxos
