// PaxosNode: linearizable reads that take no slot (Raft thesis §6.4, in terms of ballots).
#include <algorithm>
#include <functional>

#include "consensus/paxos/node.hpp"

namespace fastmas::consensus::paxos {

bool PaxosNode::knows_what_is_chosen() const noexcept {
    // What was chosen in lower ballots is among what phase 1 found: before all of that is chosen here, too, there may
    // be slots that others know of already. And while a configuration is in force that phase 1 has not asked, another
    // leader may be at work in it.
    return role_ == Role::leader && commit_ >= found_last_ && is_asked(membership());
}

ReadStatus PaxosNode::read(std::uint64_t context) {
    enter();
    if (role_ != Role::leader) return ReadStatus::not_leader;
    if (reads_.size() >= config_.max_pending_reads) return ReadStatus::full;
    // its round begins with the next ready(): reads that come together share one
    reads_.push_back({context, 0, 0});
    return ReadStatus::registered;
}

bool PaxosNode::has_new_reads() const noexcept {
    return !reads_.empty() && reads_.back().round == 0 && knows_what_is_chosen();
}

void PaxosNode::ask_for_reads() {
    // The round's number, never used twice, tells its acknowledgements from those of earlier ones (PITFALLS 8).
    ++round_;
    for (PendingRead& read : reads_)
        if (read.round == 0) {
            read.round = round_;
            read.index = commit_;
        }
    for (Progress& peer : peers_)
        if (peer.snapshot_index == 0 && !needs_nothing(peer)) send_accept(peer, false);
    confirm_reads();
}

void PaxosNode::confirm_reads() {
    if (reads_.empty() || reads_.front().round == 0 || !is_asked(membership())) return;
    // Every prepare quorum shares an acceptor with an accept quorum. If one of the latter still took part in this
    // ballot after the round began, no higher ballot had finished phase 1 by then: nothing was chosen that is not known
    // here.
    const Electorate& now = governs(commit_ + 1);
    acknowledged_.clear();
    if ((now.voters & 1U) != 0) acknowledged_.push_back(round_);
    for (const Progress& peer : peers_)
        if ((now.voters >> peer.seat & 1U) != 0) acknowledged_.push_back(peer.round);
    std::sort(acknowledged_.begin(), acknowledged_.end(), std::greater<>());
    if (acknowledged_.size() < now.quorums.accept) return;
    const std::uint64_t round = acknowledged_[now.quorums.accept - 1];
    std::size_t done = 0;
    // That holds of the slots that these decide. In those before, another leader that does not know of them may have
    // had something chosen by then, with those that left: what stands there is chosen here, too.
    const Index others = membership().from - 1;
    for (; done < reads_.size() && reads_[done].round != 0 && reads_[done].round <= round; ++done)
        read_states_.push_back({reads_[done].context, std::max(reads_[done].index, others), true});
    reads_.erase(reads_.begin(), reads_.begin() + static_cast<std::ptrdiff_t>(done));
}

void PaxosNode::abandon_reads() {
    for (const PendingRead& read : reads_) read_states_.push_back({read.context, 0, false});
    reads_.clear();
}

}  // namespace fastmas::consensus::paxos
