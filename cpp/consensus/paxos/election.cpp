// PaxosNode: phase 1, once for all slots (PMS §3), and who may begin it.
#include <algorithm>
#include <bit>
#include <utility>

#include "consensus/paxos/node.hpp"

namespace fastmas::consensus::paxos {

void PaxosNode::draw_timer() {
    // PMS §2.4: randomness or real time must elect a distinguished proposer; whoever failed waits longer
    const std::uint64_t span = std::uint64_t{config_.election_ticks} << std::min(failures_, kMaxDoublings);
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
    ++failures_;
    leader_ = kNoNode;
    if (!config_.ask_first || could_lead_with(1)) {
        begin_ballot();
        return;
    }
    role_ = Role::asking;
    draw_timer();
    yes_ = 1;  // its own seat
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

bool PaxosNode::has_prepare_quorum(std::uint64_t who) const noexcept {
    // of each configuration that may govern a slot after commit_: that of the next slot, and that of the slots which a
    // change known already brings
    return std::all_of(electorates_.begin(), electorates_.end(), [who](const Electorate& each) {
        return static_cast<std::size_t>(std::popcount(who & each.voters)) >= each.quorums.prepare;
    });
}

bool PaxosNode::could_lead_with(std::uint64_t who) const noexcept {
    // Phase 1 may need very few, with flexible quorums: any one of five, say. Where phase 2 needs all, whoever then led
    // without them would get nothing done but to depose those that do.
    const Electorate& now = electorates_.front();
    return has_prepare_quorum(who) && static_cast<std::size_t>(std::popcount(who & now.voters)) >= now.quorums.accept;
}

bool PaxosNode::is_out(const Message& message) const noexcept {
    // It votes in no configuration that still counts, and does not know. Those of the new one do: nobody waits for it.
    return message.index < commit_ &&
           std::none_of(memberships_.begin() + static_cast<std::ptrdiff_t>(front_), memberships_.end(),
                        [&](const Membership& each) { return each.is_voter(message.from); });
}

void PaxosNode::handle_ask(const Message& message) {
    // it comes to itself: whoever leads tells it again that it is out
    if (Progress* peer = find(message.from); peer != nullptr && peer->leaving) peer->silent = 0;
    if (snapshot_.index > message.index) {
        Progress peer{.id = message.from};
        send_snapshot(peer);
        return;
    }
    Message& answer = send(MessageType::answer, message.from, message.ballot);
    answer.flag = bound_to_another(message.from) || is_out(message);
    answer.other = hard_.promised;
}

void PaxosNode::handle_answer(const Message& message) {
    const Progress* peer = find(message.from);
    if (role_ != Role::asking || message.ballot != ballot_ || peer == nullptr) return;
    (message.flag ? no_ : yes_) |= std::uint64_t{1} << peer->seat;
    no_ &= ~yes_;
    if (could_lead_with(yes_))
        begin_ballot();
    else if (!could_lead_with(~no_))
        follow(kNoNode);
}

void PaxosNode::begin_ballot() {
    if (memberships_changed_) seat_members();
    if (role_ == Role::leader) abandon_reads();
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
    learned_first_ = commit_ + 1;
    learned_.clear();
    for (Index index = commit_ + 1; index <= log_.last_index(); ++index)
        if (log_.holds(index)) learn(log_.at(index));
    for (Progress& peer : peers_) {
        peer = {.id = peer.id, .seat = peer.seat, .covered = commit_, .next = commit_ + 1, .leaving = peer.leaving};
        send_prepare(peer, false);
    }
}

void PaxosNode::send_prepare(const Progress& peer, bool only_tells) {
    const bool votes = std::any_of(electorates_.begin(), electorates_.end(),
                                   [&](const Electorate& each) { return (each.voters >> peer.seat & 1U) != 0; });
    if (!votes) return;
    // PMS §3: one prepare for infinitely many instances: all after those it knows to be chosen
    Message& message = send(MessageType::prepare, peer.id, ballot_);
    message.index = peer.covered;
    message.flag = only_tells;
}

void PaxosNode::prepare_again() {
    for (Progress& peer : peers_) {
        // Those that have promised, or are about it, hear all the same that somebody is about to lead. What nothing
        // came of since the last heartbeat was lost.
        const bool has_promised = (yes_ >> peer.seat & 1U) != 0;
        send_prepare(peer, has_promised || std::exchange(peer.moved, false));
    }
}

void PaxosNode::handle_prepare(const Message& message) {
    if (message.ballot < hard_.promised) {
        Message& reply = send(MessageType::refuse, message.from, message.ballot);
        reply.other = hard_.promised;
        reply.flag = bound_to_another(message.from);
        return;
    }
    if (message.ballot > hard_.promised && (bound_to_another(message.from) || is_out(message))) return;
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
    if (message.flag) return;
    // A part a round trip would leave a cluster without a leader for as long as the log is long.
    Index index = message.index;
    for (std::size_t left = kPromiseParts, bytes = 0; left-- != 0;) {
        Message& reply = send(MessageType::promise, message.from, message.ballot);
        bytes += fill_promise(reply, index);
        if (!reply.flag) break;
        index = reply.last;
        if (bytes >= kPromiseParts * config_.max_message_bytes) break;
        reply.round = left;
    }
}

std::size_t PaxosNode::fill_promise(Message& reply, Index index) const {
    reply.index = index;
    reply.commit = commit_;
    std::size_t bytes = 0;
    for (; index < log_.last_index(); ++index) {
        if (!log_.holds(index + 1)) continue;
        const std::size_t size = log_.at(index + 1).command.size();
        reply.flag = reply.entries.size() == config_.max_message_entries ||
                     (!reply.entries.empty() && bytes + size > config_.max_message_bytes);
        if (reply.flag) break;
        bytes += size;
        reply.entries.push_back(log_.at(index + 1));
    }
    reply.last = index;
    return bytes;
}

void PaxosNode::learn(const Entry& entry) {
    const Index place_of = entry.index - learned_first_;
    while (learned_.size() <= place_of) learned_.push_back(hole(learned_first_ + learned_.size()));
    // PMS §2.2, phase 2a, for each slot by itself: the value of the highest ballot among the promises
    Entry& held = learned_[static_cast<std::size_t>(place_of)];
    if (entry.ballot > held.ballot) held = entry;
}

void PaxosNode::handle_promise(const Message& message) {
    Progress* peer = find(message.from);
    if (role_ != Role::preparing || message.ballot != ballot_ || peer == nullptr) return;
    const std::uint64_t bit = std::uint64_t{1} << peer->seat;
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
    peer->moved = true;
    if (message.flag) {
        if (message.round == 0) send_prepare(*peer, false);
        return;
    }
    learned_commit_ = std::max(learned_commit_, message.commit);
    count_promise(peer->seat);
}

void PaxosNode::count_promise(std::uint32_t seat) {
    yes_ |= std::uint64_t{1} << seat;
    if (has_prepare_quorum(yes_)) become_leader();
}

bool PaxosNode::take_what_is_chosen() {
    const Index latest = memberships_.back().id;
    for (Index index = commit_ + 1; index <= learned_commit_; ++index) {
        const Index place_of = index - learned_first_;
        if (place_of >= learned_.size() || !learned_[static_cast<std::size_t>(place_of)].ballot)
            poison("slot " + std::to_string(index) + " is chosen, but nobody who promised holds it");
        Entry entry = learned_[static_cast<std::size_t>(place_of)];
        entry.ballot = ballot_;
        put(std::move(entry));
        ++counters_.adopted;
    }
    set_commit(learned_commit_);
    return memberships_.back().id != latest;
}

void PaxosNode::become_leader() {
    // what somebody who promised knows to be chosen is chosen
    if (learned_commit_ > commit_ && take_what_is_chosen()) {
        // and changes who is to be asked
        begin_ballot();
        return;
    }
    role_ = Role::leader;
    leader_ = config_.id;
    if (failures_ != 0) --failures_;  // this attempt was none, though those before it count until a quorum answers
    heartbeat_elapsed_ = quorum_elapsed_ = 0;
    ++counters_.leaderships;
    prepared_ = memberships_.back().id;
    stamp_ns_ = time_ns_;
    votes_.clear();
    votes_dead_ = 0;
    votes_first_ = commit_ + 1;
    found_last_ = learned_first_ + learned_.size() - 1;
    for (Progress& peer : peers_) {
        // what it has not committed must be accepted, or learnt, in this ballot; of whoever did not promise that is
        // not known yet
        const bool promised = (yes_ >> peer.seat & 1U) != 0;
        peer.next = (promised ? std::min(peer.commit, commit_) : commit_) + 1;
        peer.active = peer.moved = peer.heard = promised;
    }
    propose_found();
    for (Progress& peer : peers_) {
        send_where_needed(peer);
        if (peer.commit_sent == 0 && !needs_nothing(peer)) send_accept(peer, false);
    }
}

void PaxosNode::handle_refuse(const Message& message) {
    if ((role_ != Role::preparing && role_ != Role::leader) || message.ballot != ballot_ || message.other <= ballot_)
        return;
    // Somebody is bound to a higher ballot: this one can have no more accepted there. Whoever leads that one will be
    // heard of soon; if nobody does, a leader tries again soon, but not at once: two that did would duel for ever.
    const bool led = role_ == Role::leader;
    follow(kNoNode);
    if (led && !message.flag)
        election_timeout_ = 1 + static_cast<std::uint32_t>(random_.below(std::uint64_t{config_.election_ticks}
                                                                         << std::min(failures_, kMaxDoublings)));
}

void PaxosNode::check_quorum() {
    std::uint64_t active = 1;
    for (Progress& peer : peers_) {
        if (peer.active) active |= std::uint64_t{1} << peer.seat;
        peer.active = false;
    }
    const Electorate& now = electorates_.front();
    if (static_cast<std::size_t>(std::popcount(active & now.voters)) < now.quorums.accept) {
        // it can have nothing accepted any more, and others may lead
        ++failures_;
        follow(kNoNode);
    } else {
        failures_ = 0;
    }
}

}  // namespace fastmas::consensus::paxos
