// PaxosNode: membership by entries of the log (PMS §3: what is chosen in slot i determines the servers of slot
// i + window).
//
// Slot by slot, the configuration that governs it is a function of what is chosen at least a window before it. Whoever
// proposes in a slot knows that much, has promises from a prepare quorum of that configuration, and counts the votes of
// its voters alone. So each slot is a synod of fixed members, and what Paxos proves of one holds of each.
#include <bit>

#include "base/errors.hpp"
#include "consensus/paxos/node.hpp"

namespace fastmas::consensus::paxos {

void PaxosNode::load_memberships() {
    if (snapshot_.index == 0) {
        memberships_.assign(1, initial_membership(config_));
    } else {
        if (const std::string problem = problem_of(snapshot_, config_.window); !problem.empty())
            throw base::ConfigError("the stored snapshot's membership cannot be: " + problem +
                                    "; restore the store from a healthy copy");
        memberships_ = snapshot_.memberships;
    }
    front_ = 0;
    while (has_pending() && memberships_[front_ + 1].from <= snapshot_.index + 1) ++front_;
    memberships_changed_ = true;
}

void PaxosNode::take_in(const Entry& entry) {
    Change change;
    if (!decode(entry.command.bytes(), change))
        poison("the membership at slot " + std::to_string(entry.index) + " cannot be read");
    if (change.window != config_.window)
        poison("the membership at slot " + std::to_string(entry.index) + " is of a cluster with a window of " +
               std::to_string(change.window) + ", and this node has " + std::to_string(config_.window));
    // Made from another configuration than the one that it would replace: two leaders changed the members, and this is
    // the later one. Nor are there ever two to come: a window holds one boundary at most.
    if (change.replaces != memberships_.back().id || memberships_.back().from > entry.index) return;
    change.membership.id = entry.index;
    change.membership.from = entry.index + config_.window;
    memberships_.push_back(std::move(change.membership));
    memberships_changed_ = true;
}

std::vector<Membership> PaxosNode::memberships_at(Index index) const {
    std::size_t first = 0;
    while (first + 1 < memberships_.size() && memberships_[first + 1].from <= index + 1) ++first;
    if (first != 0) --first;  // its nodes may not have heard that they are out
    std::vector<Membership> known;
    for (; first < memberships_.size() && memberships_[first].id <= index; ++first)
        known.push_back(memberships_[first]);
    return known;
}

void PaxosNode::seat_members() {
    memberships_changed_ = false;
    std::vector<NodeId> wanted = membership().all();
    if (has_pending())
        for (const NodeId id : memberships_[front_ + 1].all()) wanted.push_back(id);
    else if (front_ != 0)
        for (const NodeId id : memberships_[front_ - 1].all()) wanted.push_back(id);
    const auto is_wanted = [&](NodeId id) { return std::find(wanted.begin(), wanted.end(), id) != wanted.end(); };

    if (seats_.empty()) seats_.push_back(config_.id);
    std::uint64_t left = 0;
    for (std::size_t seat = 1; seat < seats_.size(); ++seat)
        if (seats_[seat] != kNoNode && !is_wanted(seats_[seat])) {
            seats_[seat] = kNoNode;
            left |= std::uint64_t{1} << seat;
        }
    // whoever gets the seat next must not be taken for who had it
    yes_ &= ~left;
    no_ &= ~left;
    for (std::uint64_t& votes : votes_) votes &= ~left;
    std::erase_if(peers_, [&](const Progress& peer) { return (left >> peer.seat & 1U) != 0; });

    for (const NodeId id : wanted) {
        if (std::find(seats_.begin(), seats_.end(), id) != seats_.end()) continue;
        auto seat = std::find(seats_.begin(), seats_.end(), kNoNode);
        if (seat == seats_.end()) seat = seats_.insert(seat, kNoNode);
        *seat = id;
        // it has an election time-out to be heard of
        peers_.push_back(
            {.id = id, .seat = static_cast<std::uint32_t>(seat - seats_.begin()), .next = commit_ + 1, .active = true});
    }

    electorates_.clear();
    for (std::size_t at = front_; at < memberships_.size(); ++at) {
        Electorate& now = electorates_.emplace_back();
        now.from = memberships_[at].from;
        now.quorums = memberships_[at].quorums;
        for (std::size_t seat = 0; seat < seats_.size(); ++seat)
            if (seats_[seat] != kNoNode && memberships_[at].is_voter(seats_[seat]))
                now.voters |= std::uint64_t{1} << seat;
    }
    for (Progress& peer : peers_)
        peer.leaving = !membership().contains(peer.id) && !(has_pending() && memberships_.back().contains(peer.id));
}

const PaxosNode::Electorate& PaxosNode::governs(Index index) const noexcept {
    std::size_t at = 0;
    while (at + 1 < electorates_.size() && electorates_[at + 1].from <= index) ++at;
    return electorates_[at];
}

bool PaxosNode::needs_nothing(const Progress& peer) const noexcept {
    if (!peer.leaving) return false;
    // it knows that it is out; or nobody is there any more
    return peer.commit + 1 >= membership().from ||
           peer.silent * config_.heartbeat_ticks > 4 * std::uint64_t{config_.election_ticks};
}

bool PaxosNode::may_lead() const noexcept {
    // The voters to come as well: those that leave may know already that they have.
    return membership().is_voter(config_.id) || (has_pending() && memberships_[front_ + 1].is_voter(config_.id));
}

bool PaxosNode::is_asked(const Membership& membership) const noexcept {
    return membership.id <= prepared_;
}

bool PaxosNode::is_known_to_quorum(const Membership& of, Index index) const noexcept {
    std::size_t count = of.is_voter(config_.id) && stored_commit_ >= index;
    for (const Progress& peer : peers_) count += peer.commit >= index && of.is_voter(peer.id);
    return count >= of.quorums.accept;
}

bool PaxosNode::must_be_told(const Membership& pending) const noexcept {
    // Once its last slot is chosen, those that leave no longer stand. Before that, whoever is to stand in their place
    // must know of it for good, whatever becomes of this leader: of every prepare quorum one node does.
    return !pending.decides_like(membership()) && !is_known_to_quorum(pending, pending.id);
}

Index PaxosNode::last_proposable() const noexcept {
    const Index end = commit_ + config_.window;
    if (!is_asked(membership())) return commit_;
    if (!has_pending()) {
        // `end` would be the last slot before a change that is the next to be chosen: nobody was told of that yet
        const bool is_change = log_.holds(commit_ + 1) && log_.at(commit_ + 1).kind == EntryKind::membership;
        return is_change ? end - 1 : end;
    }
    const Membership& pending = memberships_[front_ + 1];
    if (must_be_told(pending)) return std::min(end, pending.from - 2);
    return is_asked(pending) ? end : std::min(end, pending.from - 1);
}

void PaxosNode::propose_next(Entry entry) {
    put(std::move(entry));
    votes_.push_back(0);
}

void PaxosNode::propose_found() {
    if (learned_.empty()) return;
    const Index end = std::min(found_last_, last_proposable());
    for (Index next = last_proposed() + 1; next <= end; ++next) {
        Entry entry = std::move(learned_[static_cast<std::size_t>(next - learned_first_)]);
        if (!entry.ballot) {
            // PMS §3: "fills the gap by proposing ... a special no-op command"; nobody in a prepare quorum accepted
            // anything there, so nothing is chosen
            entry.time_ns = stamp_ns_;
            ++counters_.gaps;
        } else {
            ++counters_.adopted;
        }
        stamp_ns_ = std::max(stamp_ns_, entry.time_ns);
        entry.ballot = ballot_;
        propose_next(std::move(entry));
    }
    if (last_proposed() >= found_last_) learned_.clear();
}

void PaxosNode::fill_window() {
    // A change takes effect a window behind its slot: no-ops bring it there (PMS §3).
    if (!has_pending() || last_proposed() < found_last_ || must_be_told(memberships_[front_ + 1])) return;
    const Index end = std::min(memberships_[front_ + 1].from - 1, last_proposable());
    while (last_proposed() < end) {
        Entry entry = hole(last_proposed() + 1);
        entry.ballot = ballot_;
        entry.time_ns = stamp_ns_;
        propose_next(std::move(entry));
        ++counters_.fillers;
    }
}

void PaxosNode::follow_up() {
    if (memberships_changed_) seat_members();
    if (role_ != Role::leader || (memberships_.size() == 1 && learned_.empty())) return;
    confirm_reads();  // whoever decides now may have acknowledged a round already
    if (has_pending() && is_asked(membership()) && memberships_.back().decides_like(membership()))
        prepared_ = memberships_.back().id;  // its quorums are those that were asked
    propose_found();
    fill_window();
    if (!is_asked(membership())) {
        // All that the old configuration decides is chosen. In the new one phase 1 begins anew, with a ballot of its
        // own, by one of its voters.
        if (membership().is_voter(config_.id)) {
            begin_ballot();
            return;
        }
    }
    // Whoever is out leads until those that stay can do without it and without all others that leave.
    if (!may_lead() && is_known_to_quorum(membership(), membership().from - 1)) follow(kNoNode);
}

bool PaxosNode::change_is_open() const noexcept {
    if (has_pending() || !is_asked(membership()) || commit_ < found_last_) return true;
    // one that is proposed and not chosen
    for (const Entry& entry : log_.slice(commit_ + 1, last_proposed()))
        if (entry.kind == EntryKind::membership) return true;
    // Those that left must not be needed any more: the operator may destroy them once a change is over.
    return !is_known_to_quorum(membership(), membership().from - 1);
}

Proposal PaxosNode::change_membership(Membership target, std::int64_t now_ns) {
    enter();
    if (role_ != Role::leader) return {ProposeStatus::not_leader, ballot_, 0};
    if (change_is_open()) return {ProposeStatus::busy, ballot_, 0};
    Change change{membership().id, config_.window, begin_change(membership(), std::move(target))};
    const Index next = last_proposed() + 1;
    if (next > last_proposable()) return {ProposeStatus::full, ballot_, 0};
    // it would come into force and hold everybody up: its voters catch up first
    const Membership& to = change.membership;
    std::size_t ready = to.is_voter(config_.id);
    for (const Progress& peer : peers_)
        ready += to.is_voter(peer.id) && peer.heard && peer.commit + config_.window >= commit_;
    if (ready < std::max(to.quorums.prepare, to.quorums.accept)) return {ProposeStatus::busy, ballot_, 0};
    stamp_ns_ = std::max(stamp_ns_, now_ns);
    propose_next({ballot_, next, stamp_ns_, {}, EntryKind::membership, encode(change)});
    return {ProposeStatus::appended, ballot_, next};
}

}  // namespace fastmas::consensus::paxos
