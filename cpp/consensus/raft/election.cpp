// RaftNode: elections (paper §5.2, §5.4.1, §6; thesis §9.6).
#include <algorithm>

#include "consensus/quorum.hpp"
#include "consensus/raft/node.hpp"

namespace fastmas::consensus::raft {

void RaftNode::draw_election_timeout() {
    // §5.2: randomised, so that split votes are rare and resolve quickly
    election_timeout_ = config_.election_ticks + static_cast<std::uint32_t>(random_.below(config_.election_ticks)) +
                        config_.priority * config_.election_ticks;
    election_elapsed_ = 0;
}

void RaftNode::become_follower(Term term, NodeId leader) {
    if (term < hard_.term) poison("term would fall from " + std::to_string(hard_.term) + " to " + std::to_string(term));
    // a new term comes with a vote not yet given; within a term the vote stays
    if (term > hard_.term) set_hard_state(term, kNoNode);
    if (role_ == Role::leader) {
        abandon_reads();
        transferee_ = kNoNode;
        // it kept others from standing; now that it leads no more, nobody is there to be protected by that
        contact_elapsed_ = config_.election_ticks;
    }
    // Figure 2, followers: only a leader's word, or a vote given, puts off their own standing. A higher term alone does
    // not: else somebody who cannot win keeps those from standing who could and wait longer.
    if (role_ != Role::follower || leader != kNoNode) draw_election_timeout();
    role_ = Role::follower;
    leader_ = leader;
}

void RaftNode::campaign(bool pre, bool force) {
    leader_ = kNoNode;
    granted_.clear();
    refused_.clear();
    own_vote_write_ = 0;
    draw_election_timeout();
    if (pre) {
        // thesis §9.6: asks whether it would win, before it raises its term
        role_ = Role::pre_candidate;
    } else {
        // §5.2: increments its term, votes for itself, asks all others
        role_ = Role::candidate;
        set_hard_state(hard_.term + 1, config_.id);
        ++counters_.elections;
    }
    if (pre || !config_.async_storage) {
        count_own_vote();
        if (vote_result() == VoteResult::won) {
            count_votes(pre);
            return;
        }
    } else {
        // its vote for itself is one like any other: it counts once it is durable
        own_vote_write_ = writes_.next();
    }
    for (const Progress& peer : peers_) {
        if (!peer.incoming && !peer.outgoing) continue;
        Message& request =
            send(pre ? MessageType::pre_vote : MessageType::vote, peer.id, pre ? hard_.term + 1 : hard_.term);
        request.force = force;
        request.index = log_.last_index();
        request.log_term = log_.last_term();
    }
}

void RaftNode::become_leader() {
    role_ = Role::leader;
    leader_ = config_.id;
    heartbeat_elapsed_ = quorum_elapsed_ = 0;
    drop_incoming();
    settled_ = std::min(commit_, log_.stable_index());
    unsettled_bytes_ = log_.bytes(settled_ + 1, log_.last_index());
    contact_elapsed_ = 0;
    for (Progress& peer : peers_) {
        // figure 2: nextIndex starts one past the leader's last entry, matchIndex at 0
        peer = Progress{.id = peer.id,
                        .next = log_.last_index() + 1,
                        .incoming = peer.incoming,
                        .outgoing = peer.outgoing,
                        .witness = peer.witness};
    }
    // §8: a no-op at the start of the term, so that entries of earlier terms get committed (§5.4.2 forbids counting
    // them). Its time is that of the entry before: no clock is needed to win.
    append_own(EntryKind::noop, Payload(), {}, log_.last_time_ns());
    for (Progress& peer : peers_) send_append(peer, false);
}

bool RaftNode::log_is_up_to_date(Index last_index, Term last_term) const noexcept {
    // §5.4.1: the later last term wins; with equal terms the longer log
    // (of the log that this node acknowledged, also where its disk has damaged it since)
    return LogEnd{last_term, last_index} >= std::max(log_end(), hard_.lost);
}

bool RaftNode::in_contact_with_leader() const noexcept {
    if (!config_.check_quorum) return false;
    // A node that just started may have acknowledged a leader a moment before it crashed: it waits, too.
    return role_ == Role::leader || contact_elapsed_ < config_.election_ticks;
}

void RaftNode::handle_vote_request(const Message& message) {
    const bool pre = message.type == MessageType::pre_vote;
    // figure 2, RequestVote 2: votedFor is null or the candidate, and its log is at least as up to date as ours. A
    // pre-vote for a later term is no vote yet, so whom we voted for does not matter.
    const bool free = hard_.vote == message.from || (hard_.vote == kNoNode && leader_ == kNoNode) ||
                      (pre && message.term > hard_.term);
    // §6 once more: a reply may have told this node of the candidate's term a moment ago, but the promise not to vote
    // is to the leader that it heard before that, whose lease stands on it
    const bool promised = !pre && !message.force && in_contact_with_leader();
    const bool grant =
        free && !promised && !stood_early(message.from) && log_is_up_to_date(message.index, message.log_term);
    if (pre) {
        // a grant answers for the term asked about; a refusal tells ours
        send(MessageType::pre_vote_reply, message.from, grant ? message.term : hard_.term).reject = !grant;
        return;
    }
    if (grant) {
        if (hard_.vote != message.from) set_hard_state(hard_.term, message.from);
        // §5.2: the timer restarts when a vote is given
        election_elapsed_ = 0;
    }
    send(MessageType::vote_reply, message.from, hard_.term).reject = !grant;
}

void RaftNode::handle_vote_reply(const Message& message) {
    const bool pre = message.type == MessageType::pre_vote_reply;
    if (role_ != (pre ? Role::pre_candidate : Role::candidate)) return;
    // a grant for another term than the one asked about is a late answer to an earlier question
    if (pre && !message.reject && message.term != hard_.term + 1) return;
    if (!membership().is_voter(message.from)) return;
    const auto has = [&](const std::vector<NodeId>& list) {
        return std::find(list.begin(), list.end(), message.from) != list.end();
    };
    if (has(granted_)) return;
    if (!message.reject)
        granted_.push_back(message.from);
    else if (!has(refused_))
        refused_.push_back(message.from);
    count_votes(pre);
}

void RaftNode::count_own_vote() {
    own_vote_write_ = 0;
    granted_.push_back(config_.id);
}

bool RaftNode::may_lead() const noexcept {
    if (config_.witness) return false;             // it has no commands to send
    if (hard_.term + 1 >= kMaxTerm) return false;  // there is no later term
    if (hard_.lost.index != 0) return false;       // what it lacks may be committed
    if (in_incoming_ || in_outgoing_) return true;
    // thesis §4.2.2: a server that is not part of its own latest configuration still stands, without counting itself,
    // until that configuration is committed: the others may need its vote, and its log may be the longest
    return commit_ < membership().id && std::any_of(memberships_.begin(), memberships_.end(),
                                                    [&](const auto& each) { return each.is_voter(config_.id); });
}

VoteResult RaftNode::vote_result() const {
    const auto in = [](const std::vector<NodeId>& list) {
        return [&list](NodeId id) { return std::find(list.begin(), list.end(), id) != list.end(); };
    };
    // a grant counts even if a refusal came first
    return membership().vote_result(in(granted_), [&](NodeId id) { return in(refused_)(id) && !in(granted_)(id); });
}

void RaftNode::count_votes(bool pre) {
    switch (vote_result()) {
        case VoteResult::won:
            if (pre)
                campaign(false);
            else
                become_leader();
            break;
        case VoteResult::lost:
            become_follower(hard_.term, kNoNode);
            break;
        case VoteResult::pending:
            break;
    }
}

void RaftNode::check_quorum() {
    const bool has_quorum = membership().is_quorum([&](NodeId id) {
        const Progress* peer = find(id);
        return id == config_.id || (peer != nullptr && peer->active);
    });
    for (Progress& peer : peers_) peer.active = false;
    // thesis §6.2: a leader steps down when an election time-out passes without word from a majority
    if (!has_quorum) become_follower(hard_.term, kNoNode);
}

}  // namespace fastmas::consensus::raft
