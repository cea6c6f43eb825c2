// RaftNode: replication and commit (paper §5.3, §5.4.2).
#include <algorithm>

#include "consensus/quorum.hpp"
#include "consensus/raft/node.hpp"

namespace fastmas::consensus::raft {

void RaftNode::append_own(EntryKind kind, Payload command, const Session& session, std::int64_t now_ns) {
    // time never falls along the log, whatever the clocks of successive leaders say
    const std::int64_t time_ns = std::max(now_ns, log_.last_time_ns());
    unsettled_bytes_ += command.size();
    log_.append({hard_.term, log_.last_index() + 1, time_ns, session, kind, std::move(command)});
    if (kind == EntryKind::membership) adopt(log_.at(log_.last_index()));
}

void RaftNode::broadcast() {
    for (Progress& peer : peers_) send_where_needed(peer);
}

Index RaftNode::last_for(const Progress& peer) const noexcept {
    // A witness could come to hold an entry whose command is nowhere any more, and then refuse its vote to everybody:
    // it hears only of what this node's own disk has.
    return peer.witness && config_.async_storage ? log_.stable_index() : log_.last_index();
}

bool RaftNode::has_room(const Progress& peer) const noexcept {
    if (peer.next - peer.match > std::min<Index>(config_.max_inflight_entries, peer.window)) return false;
    return peer.under_way == 0 || peer.under_way + log_.bytes(peer.next, peer.next) <= config_.max_inflight_bytes;
}

void RaftNode::send_where_needed(Progress& peer) {
    switch (peer.state) {
        case Progress::State::snapshot:
            return;
        case Progress::State::probe:
            if (!peer.paused && (peer.next <= last_for(peer) || peer.commit_sent < commit_)) send_append(peer, false);
            return;
        case Progress::State::replicate:
            // pipelined: as many messages as the window takes; each moves next forward
            // (it may turn out on the way that the follower needs the snapshot)
            while (peer.state == Progress::State::replicate && peer.next <= last_for(peer) && has_room(peer))
                send_append(peer, false);
            if (peer.state == Progress::State::replicate && peer.commit_sent < commit_) send_append(peer, true);
            return;
    }
}

void RaftNode::heartbeat() {
    if (config_.lease_ns != 0) {
        begin_round();
        confirm_reads();  // who is alone hears no acknowledgement
    }
    for (Progress& peer : peers_) {
        peer.paused = false;
        send_heartbeat(peer);
        if (peer.state != Progress::State::snapshot) continue;
        if (++peer.snapshot_ticks * config_.heartbeat_ticks < config_.election_ticks) continue;
        // unanswered for an election time-out: it was lost, or the follower restarted
        peer.asked_again = true;
        send_part(peer);
    }
}

void RaftNode::send_append(Progress& peer, bool heartbeat_only) {
    const Index previous = peer.next - 1;
    const auto previous_term = log_.term(previous);
    if (!previous_term) {
        // §7: what the follower needs is compacted away
        send_snapshot(peer);
        return;
    }
    Message& message = send(MessageType::append, peer.id, hard_.term);
    message.index = previous;
    message.log_term = *previous_term;
    message.commit = commit_;
    message.round = round_;
    peer.commit_sent = commit_;
    if (heartbeat_only && peer.state == Progress::State::replicate) return;
    std::size_t count = 0, bytes = 0, limit = config_.max_append_bytes;
    if (peer.state == Progress::State::replicate)
        limit = std::min<std::size_t>(
            limit, config_.max_inflight_bytes - std::min<std::uint64_t>(config_.max_inflight_bytes, peer.under_way));
    for (const Entry& entry : log_.slice(peer.next, last_for(peer))) {
        if (count == config_.max_append_entries || (count != 0 && bytes + entry.command.size() > limit)) break;
        bytes += entry.command.size();
        message.entries.push_back(entry);
        if (peer.witness && entry.kind == EntryKind::command) message.entries.back().command = Payload();
        ++count;
    }
    if (peer.state == Progress::State::probe) {
        peer.paused = true;
    } else {
        peer.next += count;
        peer.under_way += bytes;
    }
}

void RaftNode::send_heartbeat(Progress& peer) {
    if (peer.state != Progress::State::snapshot) {
        send_append(peer, true);
        return;
    }
    // What the follower has is not known here any more, but that nothing comes before the first entry is true of every
    // log: so it hears of its leader, confirms reads, and does not stand while parts of the snapshot get lost.
    send(MessageType::append, peer.id, hard_.term).round = round_;
}

void RaftNode::handle_append(const Message& message) {
    // Election safety: a leader of our own term can only be someone else if two were elected.
    if (role_ == Role::leader)
        poison("nodes " + std::to_string(config_.id) + " and " + std::to_string(message.from) + " both lead term " +
               std::to_string(hard_.term));
    if (has_clock() && comes_early(message)) {
        leader_ = kNoNode;
        return;
    }
    // §5.2: a candidate that hears from the leader of its term becomes its follower
    if (role_ != Role::follower || leader_ != message.from) become_follower(hard_.term, message.from);
    election_elapsed_ = contact_elapsed_ = 0;

    Message& reply = send(MessageType::append_reply, message.from, hard_.term);
    reply.round = message.round;
    const Index covered = message.index + message.entries.size();
    Index previous = message.index;
    std::size_t known = 0;  // entries at or below the commit index: they agree already
    if (previous < commit_) {
        known = static_cast<std::size_t>(std::min<Index>(commit_ - previous, message.entries.size()));
        previous += known;
        if (covered < commit_) {
            reply.index = covered;
            return;
        }
    }
    // §5.3: refused unless the entry before matches
    const auto previous_term = log_.term(previous);
    const Term wanted = known == 0 ? message.log_term : message.entries[known - 1].term;
    if (previous_term != wanted) {
        if (previous <= commit_)
            poison("a committed entry at index " + std::to_string(previous) + " differs from the leader's");
        reply.reject = true;
        reply.index = previous;
        if (previous_term) {
            // §5.3, end: the conflicting term and the first index it has here, so that the leader skips it as a whole
            reply.hint_term = *previous_term;
            reply.hint_index = std::max(log_.first_of_term(previous), commit_ + 1);
        } else {
            reply.hint_index = log_.last_index() + 1;
            reply.lost = hard_.lost.index != 0;
        }
        return;
    }
    // figure 2, AppendEntries 3-4: only a conflicting entry deletes what follows it; matching ones delete nothing,
    // however old or short this message is
    for (std::size_t i = known; i < message.entries.size(); ++i) {
        const Entry& entry = message.entries[i];
        const auto held = log_.term(entry.index);
        if (held == entry.term) continue;
        if (held) {
            if (entry.index <= commit_)
                poison("the leader would replace the committed entry " + std::to_string(entry.index));
            truncate_from(entry.index);
        }
        log_.append(entry);
        if (entry.kind == EntryKind::membership) adopt(entry);
    }
    // figure 2, AppendEntries 5: no further than the entries this message covered: what follows them here may be
    // foreign
    catch_up();
    const Index commit = std::min(message.commit, covered);
    if (commit > commit_) set_commit(commit);
    reply.index = covered;
}

void RaftNode::handle_append_reply(const Message& message) {
    Progress* peer = find(message.from);
    if (role_ != Role::leader || peer == nullptr) return;
    if (message.index > log_.last_index() || message.round > round_) {
        ++counters_.dropped;
        return;
    }
    peer->active = true;
    if (message.round > peer->round) {
        // even a refusal says that it follows this leader
        peer->round = message.round;
        confirm_reads();
    }
    if (message.reject) {
        if (message.lost) forget_acknowledged(*peer, message);
        back_off(*peer, message);
        return;
    }
    if (message.index > peer->match) {
        // (what was compacted away meanwhile stays counted until all is acknowledged)
        if (message.index + 1 < peer->next)
            peer->under_way -= std::min(peer->under_way, log_.bytes(peer->match + 1, message.index));
        peer->match = message.index;
        peer->window = std::min(2 * peer->window, Progress::kFullWindow);
    }
    if (peer->state == Progress::State::probe ||
        (peer->state == Progress::State::snapshot && peer->match >= peer->snapshot_index)) {
        // the logs agree up to match: from here on appends are pipelined
        peer->state = Progress::State::replicate;
        peer->next = peer->match + 1;
        peer->paused = false;
        peer->sending.reset();
    }
    peer->next = std::max(peer->next, peer->match + 1);
    if (peer->next == peer->match + 1) peer->under_way = 0;
    advance_commit();
    // that may have changed who leads, and who is there to be led
    peer = find(message.from);
    if (role_ != Role::leader || peer == nullptr) return;
    send_where_needed(*peer);
    if (peer->id == transferee_ && !handed_over_) hand_over(*peer);
}

void RaftNode::back_off(Progress& peer, const Message& reply) {
    // late or doubled: it refuses what has been settled since
    if (reply.index <= peer.match || peer.state == Progress::State::snapshot) return;
    if (peer.state == Progress::State::probe && reply.index != peer.next - 1) return;
    Index next = reply.hint_index;
    if (reply.hint_term != 0) {
        // §5.3, end: past the leader's last entry of that term when it has one, else before the follower's first of it
        const Index last = log_.last_not_after(reply.hint_term);
        if (last >= log_.first_index() && log_.at(last).term == reply.hint_term) next = last + 1;
    }
    peer.state = Progress::State::probe;
    peer.window = 1;
    peer.under_way = 0;
    // always below what was refused, so that probing ends; never at or below what is known to match
    peer.next = std::max(std::min(next, reply.index), peer.match + 1);
    peer.paused = false;
    send_append(peer, false);
}

void RaftNode::advance_commit() {
    Index index = matched_by(&Progress::incoming, in_incoming_);
    // §6: while the configuration is joint, both majorities
    if (membership().is_joint()) index = std::min(index, matched_by(&Progress::outgoing, in_outgoing_));
    // §5.4.2: only an entry of the current term is committed by counting replicas; older ones ride along
    if (index > commit_ && log_.term(index) == hard_.term) {
        set_commit(index);
        broadcast();
        after_commit();
    }
}

Index RaftNode::matched_by(bool Progress::*votes, bool self) {
    matched_.clear();
    if (self) matched_.push_back(log_.stable_index());
    for (const Progress& peer : peers_)
        if (peer.*votes) matched_.push_back(peer.match);
    return quorum_index(matched_);
}

}  // namespace fastmas::consensus::raft
