// PaxosNode: phase 1, once for all slots (PMS §3), and who may begin it.
#include <algorithm>
#include <bit>

#include "consensus/paxos/node.hpp"

namespace fastmas::consensus::paxos {

void PaxosNode::draw_timer() {
    // PMS §2.4: randomness or real time must elect a distinguished proposer; whoever failed waits longer
    const std::uint64_t span = std::uint64_t{config_.election_ticks} << std::min(failures_, 2U);
    election_timeout_ = static_cast<std::uint32_t>(span + random_.below(span));
    election_elapsed_ = 0;
}

void PaxosNode::follow(NodeId leader) {
    if (role_ == Role::leader) abandon_reads();
    role_ = Role::follower;
    leader_ = leader;
    draw_timer();
}

void PaxosNode::try_to_lead() {
    if (heard_ + 1 >= kMaxBallotNumber) poison("the ballot counter is used up");
    ++failures_;
    leader_ = kNoNode;
    if (!config_.ask_first || config_.quorums.prepare == 1) {
        begin_ballot();
        return;
    }
    role_ = Role::asking;
    draw_timer();
    yes_ = std::uint64_t{1} << place(config_.id);
    no_ = 0;
    ballot_ = {std::max(heard_, hard_.promised.number) + 1, config_.id};
    for (const Progress& peer : peers_) send(MessageType::ask, peer.id, ballot_).index = commit_;
}

bool PaxosNode::bound_to_another(NodeId asker) const noexcept {
    // Somebody who was cut off must not depose a working leader. A node that just started may have accepted from one a
    // moment before it crashed: it waits, too.
    if (!config_.check_quorum || leader_ == asker) return false;
    return role_ == Role::leader || contact_elapsed_ < config_.election_ticks;
}

void PaxosNode::handle_ask(const Message& message) {
    if (snapshot_.index > message.index) {
        Progress peer{.id = message.from};
        send_snapshot(peer);
        return;
    }
    Message& answer = send(MessageType::answer, message.from, message.ballot);
    answer.flag = bound_to_another(message.from);
    answer.other = hard_.promised;
}

void PaxosNode::handle_answer(const Message& message) {
    if (role_ != Role::asking || message.ballot != ballot_) return;
    (message.flag ? no_ : yes_) |= std::uint64_t{1} << place(message.from);
    no_ &= ~yes_;
    if (static_cast<std::size_t>(std::popcount(yes_)) >= config_.quorums.prepare)
        begin_ballot();
    else if (static_cast<std::size_t>(std::popcount(no_)) + config_.quorums.prepare > config_.nodes.size())
        follow(kNoNode);
}

void PaxosNode::begin_ballot() {
    role_ = Role::preparing;
    leader_ = kNoNode;
    draw_timer();
    heartbeat_elapsed_ = 0;
    ++counters_.elections;
    // PMS §2.5: a number higher than any it has used: those are all promised, hence stored
    ballot_ = {std::max(heard_, hard_.promised.number) + 1, config_.id};
    heard_ = ballot_.number;
    set_promised(ballot_);
    own_promise_ = true;
    own_promise_write_ = 0;
    yes_ = 0;
    learned_commit_ = commit_;
    learned_.clear();
    for (Index index = commit_ + 1; index <= log_.last_index(); ++index)
        if (log_.holds(index)) learn(log_.at(index));
    for (Progress& peer : peers_) {
        peer = {.id = peer.id, .covered = commit_, .next = commit_ + 1};
        send_prepare(peer);
    }
}

void PaxosNode::send_prepare(const Progress& peer) {
    // PMS §3: one prepare for infinitely many instances: all after those it knows to be chosen
    send(MessageType::prepare, peer.id, ballot_).index = peer.covered;
}

void PaxosNode::handle_prepare(const Message& message) {
    if (message.ballot < hard_.promised) {
        Message& reply = send(MessageType::refuse, message.from, message.ballot);
        reply.other = hard_.promised;
        reply.flag = bound_to_another(message.from);
        return;
    }
    if (message.ballot > hard_.promised && bound_to_another(message.from)) return;
    if (snapshot_.index > message.index) {
        // what was chosen there is no longer in the log: the proposer must have it before it may fill anything
        Progress peer{.id = message.from};
        send_snapshot(peer);
        return;
    }
    if (message.ballot > hard_.promised || role_ != Role::follower) {
        // phase 1b; the promise is stored before the reply leaves
        set_promised(message.ballot);
        follow(kNoNode);
    }
    election_elapsed_ = 0;  // it gets its time
    Message& reply = send(MessageType::promise, message.from, message.ballot);
    reply.index = message.index;
    reply.commit = commit_;
    std::size_t bytes = 0;
    Index index = message.index;
    while (index < log_.last_index()) {
        if (log_.holds(index + 1)) {
            bytes += log_.at(index + 1).command.size();
            if (reply.entries.size() == config_.max_message_entries ||
                (!reply.entries.empty() && bytes > config_.max_message_bytes)) {
                reply.flag = true;
                break;
            }
            reply.entries.push_back(log_.at(index + 1));
        }
        ++index;
    }
    reply.last = index;
}

void PaxosNode::learn(const Entry& entry) {
    const Index place_of = entry.index - commit_ - 1;
    while (learned_.size() <= place_of) learned_.push_back(hole(commit_ + 1 + learned_.size()));
    // PMS §2.2, phase 2a, for each slot by itself: the value of the highest ballot among the promises
    Entry& held = learned_[static_cast<std::size_t>(place_of)];
    if (entry.ballot > held.ballot) held = entry;
}

void PaxosNode::handle_promise(const Message& message) {
    Progress* peer = find(message.from);
    if (role_ != Role::preparing || message.ballot != ballot_ || peer == nullptr) return;
    const std::uint64_t bit = std::uint64_t{1} << place(message.from);
    // a part that does not follow the last one: it came before, or one between was lost and will be asked for again
    if (message.index != peer->covered || (yes_ & bit) != 0) return;
    for (const Entry& entry : message.entries)
        if (entry.index - commit_ > learned_.size() + config_.max_open_slots) {
            ++counters_.dropped;  // no correct acceptor has so wide a hole
            return;
        }
    for (const Entry& entry : message.entries)
        if (entry.index > commit_) learn(entry);
    peer->covered = message.last;
    peer->commit = message.commit;
    election_elapsed_ = 0;  // it gets on: a long log takes its time
    if (message.flag) {
        send_prepare(*peer);
        return;
    }
    learned_commit_ = std::max(learned_commit_, message.commit);
    count_promise(message.from);
}

void PaxosNode::count_promise(NodeId from) {
    yes_ |= std::uint64_t{1} << place(from);
    if (static_cast<std::size_t>(std::popcount(yes_)) >= config_.quorums.prepare) become_leader();
}

void PaxosNode::become_leader() {
    role_ = Role::leader;
    leader_ = config_.id;
    failures_ = 0;
    heartbeat_elapsed_ = quorum_elapsed_ = 0;
    ++counters_.leaderships;
    stamp_ns_ = time_ns_;
    votes_.assign(learned_.size(), 0);
    votes_dead_ = 0;
    votes_first_ = commit_ + 1;
    found_last_ = commit_ + learned_.size();
    for (Entry& entry : learned_) {
        if (!entry.ballot) {
            // PMS §3: "fills the gap by proposing ... a special no-op command"; nobody in a prepare quorum accepted
            // anything there, so nothing is chosen
            if (entry.index <= learned_commit_)
                poison("slot " + std::to_string(entry.index) + " is chosen, but nobody who promised holds it");
            entry.time_ns = stamp_ns_;
            ++counters_.gaps;
        } else {
            ++counters_.adopted;
        }
        stamp_ns_ = std::max(stamp_ns_, entry.time_ns);
        entry.ballot = ballot_;
        put(std::move(entry));
    }
    if (learned_commit_ > commit_ + learned_.size())
        poison("slot " + std::to_string(learned_commit_) + " is chosen, but nobody who promised holds it");
    learned_.clear();
    for (Progress& peer : peers_) {
        // what it has not committed must be accepted, or learnt, in this ballot; of whoever did not promise that is
        // not known yet
        const bool promised = (yes_ >> place(peer.id) & 1U) != 0;
        peer.next = (promised ? peer.commit : commit_) + 1;
        peer.active = peer.moved = promised;
    }
    // what somebody who promised knows to be chosen is chosen
    if (learned_commit_ > commit_) set_commit(learned_commit_);
    for (Progress& peer : peers_) {
        send_where_needed(peer);
        if (peer.commit_sent == 0) send_accept(peer, false);
    }
}

void PaxosNode::handle_refuse(const Message& message) {
    if ((role_ != Role::preparing && role_ != Role::leader) || message.ballot != ballot_ || message.other <= ballot_)
        return;
    // Somebody is bound to a higher ballot: this one can have no more accepted there. Whoever leads that one will be
    // heard of soon; if nobody does, a leader tries again soon, but not at once: two that did would duel for ever.
    const bool led = role_ == Role::leader;
    follow(kNoNode);
    if (led && !message.flag) election_timeout_ = 1 + static_cast<std::uint32_t>(random_.below(config_.election_ticks));
}

void PaxosNode::check_quorum() {
    std::size_t active = 1;
    for (Progress& peer : peers_) {
        if (peer.active) ++active;
        peer.active = false;
    }
    // it can have nothing accepted any more, and others may lead
    if (active < config_.quorums.accept) follow(kNoNode);
}

}  // namespace fastmas::consensus::paxos
