// PaxosNode: phase 2, commit, catch-up and snapshots.
#include <algorithm>
#include <bit>
#include <utility>

#include "consensus/paxos/node.hpp"

namespace fastmas::consensus::paxos {

void PaxosNode::broadcast() {
    for (Progress& peer : peers_) send_where_needed(peer);
}

void PaxosNode::send_where_needed(Progress& peer) {
    if (needs_nothing(peer)) return;
    // to whoever is silent for an election time-out only heartbeats go; its first answer tells what it lacks
    if (peer.snapshot_index != 0 || peer.silent * config_.heartbeat_ticks > config_.election_ticks) return;
    if (peer.next <= snapshot_.index) {
        peer.snapshot_index = snapshot_.index;
        peer.snapshot_ticks = 0;
        send_snapshot(peer);
        return;
    }
    while (peer.next <= last_proposed() && peer.next <= peer.commit + config_.max_inflight_entries) {
        // Who did not answer in this ballot yet gets a message at a time. A slow disk may be writing what the leaders
        // before sent, of whom each gave up on it and left it more to write: no answer would ever be in time.
        if (!peer.heard && std::exchange(peer.probed, true)) break;
        send_accept(peer, true);
    }
    if (peer.commit_sent < commit_) send_accept(peer, false);
}

void PaxosNode::send_accept(Progress& peer, bool with_entries) {
    Message& message = send(MessageType::accept, peer.id, ballot_);
    message.index = peer.next - 1;
    message.commit = commit_;
    message.round = round_;
    peer.commit_sent = commit_;
    if (!with_entries) return;
    std::size_t bytes = 0;
    for (const Entry& entry : log_.slice(peer.next, last_proposed())) {
        bytes += entry.command.size();
        if (message.entries.size() == config_.max_message_entries ||
            (!message.entries.empty() && bytes > config_.max_message_bytes))
            break;
        message.entries.push_back(entry);
        // what is chosen may as well be accepted in this ballot: it is the only value there can be
        message.entries.back().ballot = ballot_;
    }
    peer.next += message.entries.size();
}

void PaxosNode::send_snapshot(const Progress& to) {
    Message& message = send(MessageType::snapshot, to.id, hard_.promised);
    message.flag = role_ == Role::leader;
    message.snapshot = snapshot_;
}

Index PaxosNode::first_missing(const Progress& peer) const noexcept {
    Index index = peer.commit + 1;
    if (index < votes_first_) return index;
    for (; index - votes_first_ < votes_.size() - votes_dead_; ++index)
        if ((votes_[votes_dead_ + static_cast<std::size_t>(index - votes_first_)] >> peer.seat & 1U) == 0) break;
    return index;
}

void PaxosNode::heartbeat() {
    for (Progress& peer : peers_) {
        ++peer.silent;
        peer.probed = false;
        if (needs_nothing(peer)) continue;
        if (peer.snapshot_index != 0) {
            // unanswered for an election time-out: it was lost, or the node restarted
            if (++peer.snapshot_ticks * config_.heartbeat_ticks >= config_.election_ticks) {
                peer.snapshot_index = 0;
                peer.next = std::min(peer.next, snapshot_.index);
                if (peer.silent * config_.heartbeat_ticks > config_.election_ticks) peer.silent = 0;
                send_where_needed(peer);
            }
            continue;
        }
        const Index missing = first_missing(peer);
        if (!peer.moved && missing < peer.next) {
            // nothing new since the last heartbeat: what it lacks was lost
            peer.next = missing;
            ++counters_.rewinds;
        }
        peer.moved = peer.rewound = false;
        send_accept(peer, false);
    }
}

void PaxosNode::accept(const Entry& entry, const Ballot& ballot) {
    if (log_.holds(entry.index)) {
        const Entry& held = log_.at(entry.index);
        if (entry.index <= commit_ || held.ballot == ballot) {
            if (!same_value(held, entry))
                poison("slot " + std::to_string(entry.index) + " has two values, " +
                       (entry.index <= commit_ ? "and one is chosen" : "both of ballot " + paxos::to_string(ballot)));
            return;
        }
    }
    if (entry.index > commit_) put(entry);
}

void PaxosNode::handle_accept(const Message& message) {
    // phase 2b: accepts unless it promised a higher ballot
    if (message.ballot < hard_.promised) {
        Message& reply = send(MessageType::refuse, message.from, message.ballot);
        reply.other = hard_.promised;
        reply.flag = bound_to_another(message.from) && leader_ != kNoNode;
        return;
    }
    set_promised(message.ballot);
    if (role_ != Role::follower || leader_ != message.from) follow(message.from);
    election_elapsed_ = contact_elapsed_ = 0;

    Message& reply = send(MessageType::accepted, message.from, message.ballot);
    reply.index = reply.last = message.index;
    reply.round = message.round;
    for (const Entry& entry : message.entries) {
        if (entry.index > commit_ + config_.max_open_slots) break;
        accept(entry, message.ballot);
        reply.last = entry.index;
    }
    // The leader says what is chosen; what it is, it says only by what it proposes itself: an entry of another ballot
    // may be another's.
    const auto is_leaders = [&](Index index) { return log_.holds(index) && log_.at(index).ballot == message.ballot; };
    Index commit = commit_;
    while (commit < message.commit && is_leaders(commit + 1)) ++commit;
    // a leader alone is no success: in a duel there is always one
    if (commit > commit_ || log_.last_index() == commit_) failures_ = 0;
    if (commit > commit_) set_commit(commit);
    reply.commit = commit_;
    reply.flag = commit_ < message.commit || (message.index > commit_ && !is_leaders(message.index));
}

void PaxosNode::count_votes(std::uint32_t seat, Index first, Index last, bool& is_new) {
    const std::uint64_t bit = std::uint64_t{1} << seat;
    const Index end = votes_first_ + (votes_.size() - votes_dead_);
    for (Index index = std::max(first, votes_first_); index <= last && index < end; ++index) {
        std::uint64_t& votes = votes_[votes_dead_ + static_cast<std::size_t>(index - votes_first_)];
        is_new = is_new || (votes & bit) == 0;
        votes |= bit;
    }
}

void PaxosNode::handle_accepted(const Message& message) {
    Progress* peer = find(message.from);
    if (role_ != Role::leader || message.ballot != ballot_ || peer == nullptr) return;
    if (message.last > last_proposed() || message.round > round_) {
        ++counters_.dropped;
        return;
    }
    bool is_new = message.commit > peer->commit;
    count_votes(peer->seat, message.index + 1, message.last, is_new);
    peer->commit = message.commit;
    peer->active = peer->heard = true;
    peer->silent = 0;
    peer->moved = peer->moved || is_new;
    if (peer->commit >= peer->snapshot_index) peer->snapshot_index = 0;
    // what it knows to be chosen needs not be sent
    peer->next = std::max(peer->next, std::min(peer->commit, last_proposed()) + 1);
    if (message.flag && !peer->rewound) {
        peer->rewound = true;
        const Index missing = first_missing(*peer);
        if (missing < peer->next) {
            peer->next = missing;
            ++counters_.rewinds;
        }
    }
    // What it knows to be chosen is chosen, by the time of this ballot: so the value is the one proposed here. It needs
    // no more votes, which might be out of reach.
    if (message.commit > commit_) set_commit(std::min(message.commit, last_proposed()));
    advance_commit();
    if (message.round > peer->round) {
        peer->round = message.round;
        confirm_reads();
    }
    send_where_needed(*peer);
}

void PaxosNode::advance_commit() {
    // PMS §2.3: chosen when an accept quorum has accepted it in one ballot; learnt in the order of the slots
    Index index = commit_;
    const Index end = votes_first_ + (votes_.size() - votes_dead_);
    while (index + 1 < end) {
        // by a quorum of the configuration that governs the slot
        const Electorate& now = governs(index + 1);
        const std::uint64_t votes = votes_[votes_dead_ + static_cast<std::size_t>(index + 1 - votes_first_)];
        if (static_cast<std::size_t>(std::popcount(votes & now.voters)) < now.quorums.accept) break;
        ++index;
    }
    if (index == commit_) return;
    set_commit(index);
    broadcast();
}

void PaxosNode::set_commit(Index index) {
    if (index < commit_) poison("commit would fall from " + std::to_string(commit_) + " to " + std::to_string(index));
    for (Index at = commit_ + 1; at <= index; ++at) {
        if (!log_.holds(at)) poison("commit " + std::to_string(index) + " is past a slot that is empty");
        // Stamps of different leaders may fall from one slot to the next; the log's time does not. It depends on the
        // chosen stamps alone, so it is the same on every node.
        Entry& entry = log_.at(at);
        time_ns_ = entry.time_ns = std::max(entry.time_ns, time_ns_);
        if (entry.kind == EntryKind::membership) take_in(entry);
    }
    while (has_pending() && memberships_[front_ + 1].from <= index + 1) {
        ++front_;
        memberships_changed_ = true;
    }
    if (memberships_changed_) {
        // Others go by what this node says that it knows: it stores that before it answers.
        hard_changed_ = true;
        promise_write_ = writes_.next();
    }
    if (role_ == Role::leader && index >= votes_first_) {
        votes_dead_ += static_cast<std::size_t>(index + 1 - votes_first_);
        votes_first_ = index + 1;
        if (votes_dead_ * 2 >= votes_.size()) {
            votes_.erase(votes_.begin(), votes_.begin() + static_cast<std::ptrdiff_t>(votes_dead_));
            votes_dead_ = 0;
        }
    }
    commit_ = index;
}

void PaxosNode::handle_snapshot(const Message& message) {
    // A leader learns what is chosen from those that accept. But of two leaders that send one another snapshots one
    // must give in, or neither hears what the other has.
    if (role_ == Role::leader && !(message.flag && message.ballot > hard_.promised)) {
        if (message.flag) send(MessageType::refuse, message.from, message.ballot).other = hard_.promised;
        return;
    }
    const Snapshot& snapshot = message.snapshot;
    if (message.flag && message.ballot >= hard_.promised) {
        if (role_ != Role::follower || leader_ != message.from) follow(message.from);
        election_elapsed_ = contact_elapsed_ = 0;
    }
    if (snapshot.index > commit_) {
        // Some of it may be chosen in a ballot that this node has not heard of. A leader of a lower one takes its word
        // for what is chosen, and may have proposed something else: it must not have its word any more.
        if (snapshot.ballot > hard_.promised) set_promised(snapshot.ballot);
        // What was accepted after it must not be forgotten: it stays. Whoever sent it, it is chosen.
        covered_by_snapshot(snapshot.index);
        snapshot_ = snapshot;
        snapshot_pending_ = true;
        commit_ = applied_ = snapshot.index;
        time_ns_ = snapshot.time_ns;
        const Index latest = memberships_.back().id, in_force = membership().id;
        load_memberships();
        if (memberships_.back().id != latest || membership().id != in_force) promise_write_ = writes_.next();
        if (role_ != Role::follower) {
            // phase 1 began without it: again, soon
            follow(kNoNode);
            election_timeout_ = 1;
        }
    }
    if (!message.flag) return;  // it was an answer itself
    if (message.ballot < hard_.promised) {
        // what is known here may have been chosen in a later ballot, of which that leader must hear before it counts it
        send(MessageType::refuse, message.from, message.ballot).other = hard_.promised;
        return;
    }
    Message& reply = send(MessageType::accepted, message.from, message.ballot);
    reply.commit = commit_;
}

}  // namespace fastmas::consensus::paxos
