// PaxosNode: construction, dispatch. Elections, replication and storage have files of their own.
#include "consensus/paxos/node.hpp"

#include <algorithm>

#include "base/errors.hpp"

namespace fastmas::consensus::paxos {

const char* to_string(Role role) noexcept {
    switch (role) {
        case Role::follower:
            return "follower";
        case Role::asking:
            return "asking";
        case Role::preparing:
            return "preparing";
        case Role::leader:
            return "leader";
    }
    return "unknown";
}

namespace {

bool is_readable(const Entry& change_of_members) {
    Change change;
    return decode(change_of_members.command.bytes(), change);
}

}  // namespace

PaxosNode::PaxosNode(PaxosConfig config, PersistentState stored)
    : config_((validate(config), std::move(config))),
      random_(base::derive_seed(config_.seed, "paxos/" + std::to_string(config_.id))),
      hard_(stored.hard_state),
      heard_(hard_.promised.number),
      log_(stored.snapshot, stored.entries),
      snapshot_(std::move(stored.snapshot)),
      commit_(snapshot_.index),
      applied_(snapshot_.index),
      taken_(snapshot_.index),
      time_ns_(snapshot_.time_ns) {
    if (snapshot_.index != 0 && !snapshot_.ballot)
        throw base::ConfigError("a snapshot says in which ballots it was chosen, got none of the one at slot " +
                                std::to_string(snapshot_.index) + "; restore the store from a healthy copy");
    load_memberships();
    // Where the power went before duty 3: to accept in a ballot is to promise it, and so is to install what was chosen
    // in it; nobody was told yet. (Another node's copy of the store would not do: it forgets what this one promised.)
    Ballot known = snapshot_.ballot;
    for (const Entry& entry : stored.entries) known = std::max(known, entry.ballot);
    if (known > hard_.promised) set_promised(known);
    heard_ = hard_.promised.number;
    for (Index index = commit_ + 1; index <= hard_.commit; ++index)
        if (!log_.holds(index))
            throw base::ConfigError("every slot up to the stored commit index " + std::to_string(hard_.commit) +
                                    " must be stored, but slot " + std::to_string(index) +
                                    " is empty; restore the store from a healthy copy");
    stored_commit_ = std::max(hard_.commit, commit_);
    if (hard_.commit > commit_) set_commit(hard_.commit);
    seat_members();
    draw_timer();
}

void PaxosNode::enter() {
    if (!poisoned_.empty()) throw base::InvariantError(poisoned_);
    if (ready_out_)
        throw base::ConfigError(
            "node " + std::to_string(config_.id) +
            " waits for advance(): do what ready() asked for, then call advance() before anything else");
}

void PaxosNode::poison(const std::string& text) {
    poisoned_ = "node " + std::to_string(config_.id) + " broke an invariant and stopped: " + text;
    throw base::InvariantError(poisoned_);
}

void PaxosNode::tick() {
    enter();
    if (writes_.in_flight() != 0 && !storage_hangs()) ++write_elapsed_;
    if (role_ == Role::leader) {
        // a leader whose disk hangs holds everybody up while it answers every heartbeat: another one does better
        if (storage_hangs()) {
            follow(kNoNode);
            return;
        }
        // Where disks are slow, the first answers come after all that others told them to store before. A leader that
        // gave up as soon as ever would be followed by one that has even more written: they would duel for ever.
        if (++quorum_elapsed_ >= config_.election_ticks << std::min(failures_, kMaxDoublings)) {
            quorum_elapsed_ = 0;
            if (config_.check_quorum) check_quorum();
            if (role_ != Role::leader) return;
        }
        if (++heartbeat_elapsed_ >= config_.heartbeat_ticks) {
            heartbeat_elapsed_ = 0;
            heartbeat();
        }
        return;
    }
    // contact_elapsed_ saturates: a node may tick on alone for years
    if (contact_elapsed_ < config_.election_ticks) ++contact_elapsed_;
    if (++election_elapsed_ >= election_timeout_) {
        // (at the end of the range there is no higher ballot: it does all else)
        if (storage_hangs() || !may_lead() || heard_ + 1 >= kMaxBallotNumber)
            follow(kNoNode);
        else
            try_to_lead();
    } else if (role_ == Role::preparing && ++heartbeat_elapsed_ >= config_.heartbeat_ticks) {
        heartbeat_elapsed_ = 0;
        prepare_again();
    }
}

bool PaxosNode::entries_acceptable(const Message& message) const noexcept {
    Index before = message.index;
    for (const Entry& entry : message.entries) {
        if (!entry.ballot || entry.ballot > message.ballot) return false;
        // nobody proposes beyond the window
        if (message.type == MessageType::accept && (entry.index != before + 1 || entry.ballot != message.ballot ||
                                                    entry.index > message.commit + config_.window))
            return false;
        if (entry.kind == EntryKind::membership && !is_readable(entry)) return false;
        if (entry.index <= before) return false;
        before = entry.index;
    }
    return message.type == MessageType::accept || before <= message.last;
}

bool PaxosNode::tells_what_is_chosen(const Message& promise) const noexcept {
    // an acceptor holds all slots up to its commit index: a promise has them without a hole, and not fewer unless more
    // of it follows
    if (!promise.flag && promise.commit > promise.last) return false;
    const Index chosen = std::min(promise.commit, promise.last);
    if (chosen <= promise.index) return true;
    const Index count = chosen - promise.index;
    // its entries ascend from promise.index on
    return promise.entries.size() >= count && promise.entries[static_cast<std::size_t>(count - 1)].index == chosen;
}

bool PaxosNode::acceptable(const Message& message) const noexcept {
    // from any node: one that is new to this one may lead already
    if (message.to != config_.id || message.from == config_.id || message.from == kNoNode) return false;
    const std::uint64_t number =
        std::max({message.ballot.number, message.other.number, message.snapshot.ballot.number});
    if (!message.ballot || !is_credible(number, heard_)) return false;
    if (std::max({message.index, message.last, message.commit, message.snapshot.index}) > kMaxIndex) return false;
    switch (message.type) {
        case MessageType::ask:
        case MessageType::prepare:
            return message.ballot.node == message.from;
        case MessageType::accept:
            return message.ballot.node == message.from && entries_acceptable(message);
        case MessageType::answer:
        case MessageType::refuse:
            return message.ballot.node == config_.id;
        case MessageType::promise:
            return message.ballot.node == config_.id && message.last >= message.index && entries_acceptable(message) &&
                   tells_what_is_chosen(message);
        case MessageType::accepted:
            return message.ballot.node == config_.id && message.last >= message.index;
        case MessageType::snapshot:
            return (!message.flag || message.ballot.node == message.from) && message.snapshot.index != 0 &&
                   message.snapshot.ballot && problem_of(message.snapshot, config_.window).empty();
    }
    return false;
}

void PaxosNode::step(const Message& message) {
    enter();
    if (!acceptable(message)) {
        ++counters_.dropped;
        return;
    }
    heard_ = std::max({heard_, message.other.number, message.snapshot.ballot.number});
    // an asked-about ballot is no ballot yet
    if (message.type != MessageType::ask) heard_ = std::max(heard_, message.ballot.number);
    switch (message.type) {
        case MessageType::ask:
            handle_ask(message);
            break;
        case MessageType::answer:
            handle_answer(message);
            break;
        case MessageType::prepare:
            handle_prepare(message);
            break;
        case MessageType::promise:
            handle_promise(message);
            break;
        case MessageType::accept:
            handle_accept(message);
            break;
        case MessageType::accepted:
            handle_accepted(message);
            break;
        case MessageType::refuse:
            handle_refuse(message);
            break;
        case MessageType::snapshot:
            handle_snapshot(message);
            break;
    }
    follow_up();
}

Proposal PaxosNode::propose(Payload command, const Session& session, std::int64_t now_ns) {
    enter();
    if (role_ != Role::leader) return {ProposeStatus::not_leader, ballot_, 0};
    if (!is_wellformed(session)) return {ProposeStatus::refused, ballot_, 0};
    if (command.size() > config_.max_command_bytes) return {ProposeStatus::too_large, ballot_, 0};
    const Index next = last_proposed() + 1;
    if (next > last_proposable())  // the window is used up, or a change of members comes into force
        return {next > commit_ + config_.window ? ProposeStatus::full : ProposeStatus::busy, ballot_, 0};
    stamp_ns_ = std::max(stamp_ns_, now_ns);
    propose_next({ballot_, next, stamp_ns_, session, EntryKind::command, std::move(command)});
    return {ProposeStatus::appended, ballot_, next};
}

void PaxosNode::compact(Index index, Payload state) {
    enter();
    if (index > taken_ || index <= snapshot_.index)
        throw base::ConfigError("compact takes an applied index above the last snapshot's, got " +
                                std::to_string(index) + " with " + std::to_string(taken_) +
                                " applied and the snapshot at " + std::to_string(snapshot_.index) +
                                "; snapshot what was applied");
    snapshot_ = {index, log_.at(index).time_ns, memberships_at(index), std::move(state), hard_.promised};
    // what was left before then matters no more
    const Index oldest = snapshot_.memberships.front().id;
    while (memberships_.front().id < oldest) {
        memberships_.erase(memberships_.begin());
        --front_;
    }
    covered_by_snapshot(index);
}

void PaxosNode::set_promised(const Ballot& ballot) {
    if (ballot < hard_.promised)
        poison("the promise would fall from " + paxos::to_string(hard_.promised) + " to " + paxos::to_string(ballot));
    if (ballot == hard_.promised) return;
    hard_.promised = ballot;
    hard_changed_ = true;
    promise_write_ = writes_.next();
}

void PaxosNode::put(Entry entry) {
    const Index index = entry.index;
    log_.put(std::move(entry));
    dirty_first_ = dirty_first_ == 0 ? index : std::min(dirty_first_, index);
    dirty_last_ = std::max(dirty_last_, index);
}

Progress* PaxosNode::find(NodeId id) noexcept {
    for (Progress& peer : peers_)
        if (peer.id == id) return &peer;
    return nullptr;
}

Message& PaxosNode::send(MessageType type, NodeId to, const Ballot& ballot) {
    if (outbox_size_ == outbox_.size()) outbox_.emplace_back();
    Message& message = outbox_[outbox_size_++];
    message.type = type;
    message.flag = false;
    message.from = config_.id;
    message.to = to;
    message.ballot = ballot;
    message.other = {};
    message.index = message.last = message.commit = 0;
    message.round = 0;
    message.entries.clear();
    message.snapshot = Snapshot();
    return message;
}

}  // namespace fastmas::consensus::paxos
