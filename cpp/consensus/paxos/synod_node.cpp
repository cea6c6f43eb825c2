#include "consensus/paxos/synod_node.hpp"

#include <algorithm>

namespace fastmas::consensus::paxos {
namespace {

SynodConfig validated(SynodConfig config) {
    if (config.nodes == 0 || config.nodes > kMaxNodes)
        throw base::ConfigError("a synod has 1 to " + std::to_string(kMaxNodes) + " nodes, got " +
                                std::to_string(config.nodes) + "; 3 or 5 is usual");
    if (config.id == kNoNode || config.id > config.nodes)
        throw base::ConfigError("a node of " + std::to_string(config.nodes) + " has an id from 1 on, got " +
                                std::to_string(config.id) + "; number the nodes 1 to n");
    if (config.retry_ticks == 0)
        throw base::ConfigError("retry_ticks must be at least 1, got 0; leave it out for the default");
    config.quorums = checked(config.quorums, config.nodes);
    return config;
}

}  // namespace

SynodNode::SynodNode(SynodConfig config, SynodState stored)
    : config_(validated(config)),
      random_(base::derive_seed(config_.seed, "synod/" + std::to_string(config_.id))),
      acceptor_(stored.acceptor),
      proposer_(config_.id, config_.nodes, config_.quorums, stored.tried),
      state_(std::move(stored)) {
    proposer_.heard(state_.acceptor.promised);
    draw_timer();
}

void SynodNode::enter() {
    if (!poisoned_.empty()) throw base::InvariantError(poisoned_);
    if (ready_out_)
        throw base::ConfigError(
            "node " + std::to_string(config_.id) +
            " waits for advance(): do what ready() asked for, then call advance() before anything else");
}

void SynodNode::poison(const std::string& text) {
    poisoned_ = "node " + std::to_string(config_.id) + " broke an invariant and stopped: " + text;
    throw base::InvariantError(poisoned_);
}

void SynodNode::draw_timer() {
    const std::uint64_t span = std::uint64_t{config_.retry_ticks} << std::min(failures_, 4U);
    timeout_ = static_cast<std::uint32_t>(span + random_.below(span));
    elapsed_ = 0;
}

void SynodNode::propose(Payload wish, bool at_once) {
    enter();
    wish_ = std::move(wish);
    if (at_once && !is_decided()) begin_ballot();
}

void SynodNode::tick() {
    enter();
    if (is_decided() || !wish_) return;
    if (++elapsed_ < timeout_) return;
    if (proposer_.phase() != Proposer::Phase::idle) ++failures_;
    begin_ballot();
}

void SynodNode::begin_ballot() {
    if (proposer_.heard() + 1 >= kMaxBallotNumber) poison("the ballot counter is used up");
    ++ballots_;
    const Ballot ballot = proposer_.begin(*wish_);
    draw_timer();
    (void)acceptor_.prepare(ballot);  // the highest it has heard of, so its own acceptor promises
    own_vote_ = true;
    store();
    send_all(SynodType::prepare, ballot);
}

void SynodNode::store() {
    state_.tried = proposer_.tried();
    state_.acceptor = acceptor_.state();
    state_changed_ = true;
}

void SynodNode::step(const SynodMessage& message) {
    enter();
    if (message.to != config_.id || message.from == config_.id || message.from == kNoNode ||
        message.from > config_.nodes || !message.ballot || message.ballot.node > config_.nodes ||
        !is_credible(std::max(message.ballot.number, message.other.number), proposer_.heard())) {
        ++dropped_;
        return;
    }
    proposer_.heard(message.ballot);
    const bool asks = message.type == SynodType::prepare || message.type == SynodType::accept;
    if (asks && message.ballot.node != message.from) {
        ++dropped_;  // nobody leads another's ballot
        return;
    }
    if (asks && is_decided()) {
        // it is over: whoever still tries is told so, which is what its ballot would come to in the end
        send(SynodType::decided, message.from, decided_ballot_, {}, decision_);
        return;
    }
    switch (message.type) {
        case SynodType::prepare:
            if (!acceptor_.prepare(message.ballot)) {
                send(SynodType::refuse, message.from, message.ballot, acceptor_.state().promised);
                return;
            }
            store();
            draw_timer();  // another leads: it gets its time
            send(SynodType::promise, message.from, message.ballot, acceptor_.state().accepted, acceptor_.state().value);
            return;
        case SynodType::accept:
            if (!acceptor_.accept(message.ballot, message.value)) {
                send(SynodType::refuse, message.from, message.ballot, acceptor_.state().promised);
                return;
            }
            store();
            draw_timer();
            send(SynodType::accepted, message.from, message.ballot);
            return;
        case SynodType::promise:
            on_promised(message.from, message.ballot, message.other, message.value);
            return;
        case SynodType::accepted:
            on_accepted(message.from, message.ballot);
            return;
        case SynodType::refuse: {
            const bool was_busy = proposer_.phase() != Proposer::Phase::idle;
            proposer_.refused(message.ballot, message.other);
            if (was_busy && proposer_.phase() == Proposer::Phase::idle) {
                ++failures_;
                draw_timer();
            }
            return;
        }
        case SynodType::decided:
            decide(message.ballot, message.value);
            return;
    }
}

void SynodNode::on_promised(NodeId from, const Ballot& ballot, const Ballot& accepted, const Payload& value) {
    if (!proposer_.promised(from, ballot, accepted, value)) return;
    // phase 2a; its own acceptor may be bound to a higher ballot by now
    if (acceptor_.accept(ballot, proposer_.value())) {
        own_vote_ = true;
        store();
    }
    send_all(SynodType::accept, ballot, proposer_.value());
}

void SynodNode::on_accepted(NodeId from, const Ballot& ballot) {
    if (!proposer_.accepted(from, ballot)) return;
    decide(ballot, proposer_.value());
    send_all(SynodType::decided, ballot, decision_);
}

void SynodNode::decide(const Ballot& ballot, const Payload& value) {
    if (is_decided()) {
        if (!(decision_ == value))
            poison("it learnt two decisions, in ballots " + to_string(decided_ballot_) + " and " + to_string(ballot));
        return;
    }
    decided_ballot_ = ballot;
    decision_ = value;
    proposer_.stop();
}

const SynodReady& SynodNode::ready() {
    enter();
    ready_.state = state_changed_ ? &state_ : nullptr;
    ready_.messages = outbox_;
    ready_out_ = true;
    return ready_;
}

void SynodNode::advance() {
    if (!poisoned_.empty()) throw base::InvariantError(poisoned_);
    if (!ready_out_)
        throw base::ConfigError("node " + std::to_string(config_.id) +
                                " has no ready() to advance past; call ready() first");
    ready_out_ = false;
    outbox_.clear();
    state_changed_ = false;
    ready_ = {};
    if (!std::exchange(own_vote_, false)) return;
    // its own acceptor's answer is durable now, and counts like another's
    const Ballot ballot = proposer_.ballot();
    if (proposer_.phase() == Proposer::Phase::preparing && state_.acceptor.promised == ballot)
        on_promised(config_.id, ballot, state_.acceptor.accepted, state_.acceptor.value);
    else if (proposer_.phase() == Proposer::Phase::accepting && state_.acceptor.accepted == ballot)
        on_accepted(config_.id, ballot);
}

void SynodNode::send(SynodType type, NodeId to, const Ballot& ballot, const Ballot& other, const Payload& value) {
    outbox_.push_back({type, config_.id, to, ballot, other, value});
}

void SynodNode::send_all(SynodType type, const Ballot& ballot, const Payload& value) {
    for (NodeId to = 1; to <= config_.nodes; ++to)
        if (to != config_.id) send(type, to, ballot, {}, value);
}

}  // namespace fastmas::consensus::paxos
