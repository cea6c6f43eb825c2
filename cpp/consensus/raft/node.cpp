// RaftNode: construction, dispatch, ready and advance. Elections and replication have files of their own.
#include "consensus/raft/node.hpp"

#include <algorithm>

#include "base/errors.hpp"

namespace fastmas::consensus::raft {

const char* to_string(Role role) noexcept {
    switch (role) {
        case Role::follower:
            return "follower";
        case Role::pre_candidate:
            return "pre_candidate";
        case Role::candidate:
            return "candidate";
        case Role::leader:
            return "leader";
    }
    return "unknown";
}

namespace {

bool is_membership(const Payload& command) {
    Membership membership;
    return decode(command.bytes(), membership);
}

}  // namespace

RaftNode::RaftNode(RaftConfig config, PersistentState stored)
    : config_((validate(config), std::move(config))),
      random_(base::derive_seed(config_.seed, "raft/" + std::to_string(config_.id))),
      hard_(stored.hard_state),
      log_(stored.snapshot, std::move(stored.entries)),
      snapshot_(std::move(stored.snapshot)),
      commit_(snapshot_.index),
      applied_(snapshot_.index),
      written_(log_.last_index()) {
    // The power went after duty 2 and before duty 3. A vote in that term would have been stored before; nobody was told
    // of either yet. (Another node's copy of the store would not do: it forgets whom this one voted for.)
    const Term last_term = std::max(log_.last_term(), stored.lost.term);
    if (last_term > hard_.term) set_hard_state(last_term, kNoNode);
    remember_lost(stored.lost);
    if (!config_.joining) config_.witness = initial_membership(config_).is_witness(config_.id);
    load_memberships();
    draw_election_timeout();
}

void RaftNode::enter() {
    if (!poisoned_.empty()) throw base::InvariantError(poisoned_);
    if (ready_out_)
        throw base::ConfigError(
            "node " + std::to_string(config_.id) +
            " waits for advance(): do what ready() asked for, then call advance() before anything else");
}

void RaftNode::poison(const std::string& text) {
    poisoned_ = "node " + std::to_string(config_.id) + " broke an invariant and stopped: " + text;
    throw base::InvariantError(poisoned_);
}

void RaftNode::tick() {
    enter();
    if (!is_loss_stored_) return;  // the first ready() comes before anything else
    if (writes_.in_flight() != 0 && !storage_hangs()) ++write_elapsed_;
    if (role_ == Role::leader) {
        // a leader whose disk hangs holds everybody up while it answers every heartbeat: another one does better
        if (storage_hangs()) {
            become_follower(hard_.term, kNoNode);
            return;
        }
        if (++quorum_elapsed_ >= config_.election_ticks) {
            quorum_elapsed_ = 0;
            if (config_.check_quorum) check_quorum();
            if (role_ != Role::leader) return;
        }
        tick_transfer();
        if (++heartbeat_elapsed_ >= config_.heartbeat_ticks) {
            heartbeat_elapsed_ = 0;
            heartbeat();
        }
        return;
    }
    // contact_elapsed_ saturates: a node may tick on alone for years
    if (contact_elapsed_ < config_.election_ticks) ++contact_elapsed_;
    // §5.2: a follower that hears nothing for the election time-out stands for election
    if (++election_elapsed_ < election_timeout_) return;
    if (storage_hangs() || !may_lead())
        draw_election_timeout();
    else
        campaign(config_.pre_vote);
}

bool RaftNode::acceptable(const Message& message) const {
    if (message.to != config_.id || message.from == config_.id) return false;
    // From whom is not asked: a node may lack the very entry that brings the sender in, and a voter answers the
    // request, not its own view of the membership (§6). Only members are counted.
    if (message.from == kNoNode) return false;
    if (message.term == 0 || message.term >= kMaxTerm || message.index > kMaxTerm || message.log_term > message.term)
        return false;
    const bool names_an_entry = message.type == MessageType::append || message.type == MessageType::vote ||
                                message.type == MessageType::pre_vote;
    // only the place before the first entry has term 0
    if (names_an_entry && (message.index == 0) != (message.log_term == 0)) return false;
    // what is refused is told by an entry at or before it
    if (message.type == MessageType::append_reply && message.reject &&
        (message.hint_index > message.index || message.hint_term > message.term ||
         (message.lost && message.hint_index == 0)))
        return false;
    if (message.type == MessageType::append) {
        if (message.commit > kMaxTerm) return false;
        Index index = message.index;
        Term term = message.log_term;
        for (const Entry& entry : message.entries) {
            if (entry.index != ++index || entry.term < term || entry.term == 0 || entry.term > message.term)
                return false;
            if (entry.kind == EntryKind::membership && !is_membership(entry.command)) return false;
            term = entry.term;
        }
    }
    if (message.type == MessageType::snapshot) {
        const SnapshotPart& snapshot = *message.snapshot;
        // a part without bytes of a state that has some would never end
        if (snapshot.size > config_.max_snapshot_bytes || snapshot.offset > snapshot.size ||
            snapshot.state.size() > snapshot.size - snapshot.offset ||
            (snapshot.state.empty() && snapshot.offset != snapshot.size))
            return false;
        if (snapshot.index == 0 || snapshot.index > kMaxTerm || snapshot.term == 0 || snapshot.term > message.term)
            return false;
        if (snapshot.membership.id > snapshot.index || !problem_of(snapshot.membership).empty()) return false;
    }
    return true;
}

void RaftNode::step(const Message& message) {
    enter();
    if (!is_loss_stored_) return;  // as good as lost
    if (!acceptable(message)) {
        ++counters_.dropped;
        return;
    }
    const bool asks_for_vote = message.type == MessageType::pre_vote || message.type == MessageType::vote;
    if (message.term > hard_.term) {
        // §6: a server that hears from a leader within the minimum election time-out neither updates its term nor
        // votes, so that a server that was cut off cannot depose a working leader
        if (asks_for_vote && !message.force && in_contact_with_leader()) return;
        const bool only_asked =
            message.type == MessageType::pre_vote || (message.type == MessageType::pre_vote_reply && !message.reject);
        if (!only_asked) {
            // §5.1: a higher term turns any server into a follower of that term
            const bool from_leader = message.type == MessageType::append || message.type == MessageType::snapshot ||
                                     message.type == MessageType::timeout_now;
            become_follower(message.term, from_leader ? message.from : kNoNode);
        }
    } else if (message.term < hard_.term) {
        // §5.1: a stale term is refused, with the current one in the reply, so that the sender steps down or catches up
        if (message.type == MessageType::append || message.type == MessageType::snapshot) {
            Message& reply = send(MessageType::append_reply, message.from, hard_.term);
            reply.reject = true;
            reply.index = message.type == MessageType::append ? message.index : message.snapshot->index;
        } else if (asks_for_vote) {
            const bool pre = message.type == MessageType::pre_vote;
            send(pre ? MessageType::pre_vote_reply : MessageType::vote_reply, message.from, hard_.term).reject = true;
        }
        return;
    }
    switch (message.type) {
        case MessageType::pre_vote:
        case MessageType::vote:
            handle_vote_request(message);
            break;
        case MessageType::pre_vote_reply:
        case MessageType::vote_reply:
            handle_vote_reply(message);
            break;
        case MessageType::append:
            handle_append(message);
            break;
        case MessageType::append_reply:
            handle_append_reply(message);
            break;
        case MessageType::snapshot:
            handle_snapshot(message);
            break;
        case MessageType::snapshot_reply:
            handle_snapshot_reply(message);
            break;
        case MessageType::timeout_now:
            handle_timeout_now(message);
            break;
    }
}

Proposal RaftNode::propose(Payload command, const Session& session, std::int64_t now_ns) {
    enter();
    if (role_ != Role::leader) return {ProposeStatus::not_leader, hard_.term, 0};
    // a leader that is leaving only sees its own removal through
    // (§6), and one that is handing over lets its successor catch up (thesis §3.10)
    if ((!in_incoming_ && !in_outgoing_) || transferee_ != kNoNode) return {ProposeStatus::busy, hard_.term, 0};
    if (command.size() > config_.max_command_bytes) return {ProposeStatus::too_large, hard_.term, 0};
    if (!is_wellformed(session) || (has_clock() && !is_timely(now_ns))) return {ProposeStatus::refused, hard_.term, 0};
    // what alone would be too much still goes when nothing else waits
    if (log_.last_index() - settled_ >= config_.max_uncommitted_entries ||
        (unsettled_bytes_ != 0 && unsettled_bytes_ + command.size() > config_.max_uncommitted_bytes))
        return {ProposeStatus::full, hard_.term, 0};
    append_own(EntryKind::command, std::move(command), session, now_ns);
    return {ProposeStatus::appended, hard_.term, log_.last_index()};
}

void RaftNode::compact(Index index, Payload state) {
    enter();
    if (index > applied_ || index <= snapshot_.index)
        throw base::ConfigError("compact takes an applied index above the last snapshot's, got " +
                                std::to_string(index) + " with " + std::to_string(applied_) +
                                " applied and the snapshot at " + std::to_string(snapshot_.index) +
                                "; snapshot what was applied");
    // nobody would take it, and whoever lacks what it stands for would never have it again
    if (state.size() > config_.max_snapshot_bytes)
        throw base::ConfigError("a snapshot's state has at most max_snapshot_bytes (" +
                                std::to_string(config_.max_snapshot_bytes) + "), got " + std::to_string(state.size()) +
                                "; raise it on all nodes, then compact");
    log_.compact(index);
    written_ = std::max(written_, index);
    // the membership as of index: a later one may stand in the log already
    const auto later =
        std::find_if(memberships_.begin(), memberships_.end(), [&](const Membership& each) { return each.id > index; });
    memberships_.erase(memberships_.begin(), later - 1);
    snapshot_ = {index, log_.snapshot_term(), log_.snapshot_time_ns(), memberships_.front(), std::move(state)};
}

void RaftNode::set_hard_state(Term term, NodeId vote) noexcept {
    hard_.term = term;
    hard_.vote = vote;
    hard_changed_ = true;
}

void RaftNode::set_commit(Index index) {
    if (index < commit_) poison("commit would fall from " + std::to_string(commit_) + " to " + std::to_string(index));
    if (index > log_.last_index())
        poison("commit " + std::to_string(index) + " is past the last entry " + std::to_string(log_.last_index()));
    commit_ = index;
    if (role_ == Role::leader) settle();
    if (incoming_index_ != 0 && incoming_index_ <= index) drop_incoming();
}

void RaftNode::settle() noexcept {
    // what a majority has and this node's slow disk has not is still a burden: it cannot be applied or compacted
    const Index index = std::min(commit_, log_.stable_index());
    if (index <= settled_) return;
    unsettled_bytes_ = index == log_.last_index() ? 0 : unsettled_bytes_ - log_.bytes(settled_ + 1, index);
    settled_ = index;
}

Progress* RaftNode::find(NodeId id) noexcept {
    for (Progress& peer : peers_)
        if (peer.id == id) return &peer;
    return nullptr;
}

Message& RaftNode::send(MessageType type, NodeId to, Term term) {
    if (outbox_size_ == outbox_.size()) outbox_.emplace_back();
    Message& message = outbox_[outbox_size_++];
    message.type = type;
    message.reject = message.force = message.lost = false;
    message.round = 0;
    message.from = config_.id;
    message.to = to;
    message.term = term;
    message.index = message.commit = message.hint_index = 0;
    message.log_term = message.hint_term = 0;
    message.entries.clear();
    message.snapshot.reset();
    return message;
}

}  // namespace fastmas::consensus::raft
