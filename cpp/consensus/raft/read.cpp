// RaftNode: linearizable reads without a log entry (thesis §6.4), and the lease that spares them the round.
#include <algorithm>

#include "base/errors.hpp"
#include "consensus/raft/node.hpp"

namespace fastmas::consensus::raft {

bool RaftNode::knows_what_is_committed() const noexcept {
    // §8: a leader knows only once it has committed an entry of its own term
    return role_ == Role::leader && log_.term(commit_) == hard_.term && commit_ != 0;
}

ReadStatus RaftNode::read(std::uint64_t context) {
    enter();
    if (role_ != Role::leader) return ReadStatus::not_leader;
    if (!has_room_for_a_read()) return ReadStatus::full;
    // its round begins with the next ready(): reads that come together share one
    reads_.push_back({context, 0, 0});
    return ReadStatus::registered;
}

ReadStatus RaftNode::lease_read(std::uint64_t context, std::int64_t now_ns) {
    enter();
    if (config_.lease_ns == 0)
        throw base::ConfigError("lease_read() needs a lease, got none; set lease_ns, and give tick() the time");
    if (knows_what_is_committed() && !lease_is_void_ && std::max(now_ns, clock_ns_) < lease_until_ns_) {
        if (!has_room_for_a_read()) return ReadStatus::full;
        read_states_.push_back({context, commit_, true, lease_until_ns_});
        return ReadStatus::registered;
    }
    return read(context);
}

bool RaftNode::has_room_for_a_read() const noexcept {
    return reads_.size() + read_states_.size() < config_.max_pending_reads;
}

bool RaftNode::has_new_reads() const noexcept {
    return !reads_.empty() && reads_.back().round == 0 && knows_what_is_committed();
}

void RaftNode::begin_round() {
    ++round_;
    sent_ns_[round_ % kRemembered] = clock_ns_;
    // a lease's heartbeats begin rounds, too, and some before this leader knows what is committed
    if (!knows_what_is_committed()) return;
    for (PendingRead& read : reads_)
        if (read.round == 0) {
            read.round = round_;
            read.index = commit_;
        }
}

void RaftNode::ask_for_reads() {
    // thesis §6.4, step 3: it makes sure that nobody else leads, by a round of heartbeats begun after the read came.
    // The round's number, never used twice, tells its acknowledgements from those of earlier ones (etcd #20418).
    begin_round();
    for (Progress& peer : peers_) send_heartbeat(peer);
    confirm_reads();
}

void RaftNode::confirm_reads() {
    Index round = acknowledged_by(&Progress::incoming, in_incoming_);
    if (membership().is_joint()) round = std::min(round, acknowledged_by(&Progress::outgoing, in_outgoing_));
    if (round <= confirmed_round_) return;
    confirmed_round_ = round;
    // the followers' promise not to vote began no earlier than the round was sent
    if (config_.lease_ns != 0 && round_ - round < kRemembered) {
        const std::int64_t sent_ns = sent_ns_[round % kRemembered];
        const bool ends = sent_ns <= INT64_MAX - config_.lease_ns;  // by the clock that the caller gives
        lease_until_ns_ = std::max(lease_until_ns_, ends ? sent_ns + config_.lease_ns : INT64_MAX);
    }
    std::size_t done = 0;
    for (; done < reads_.size() && reads_[done].round != 0 && reads_[done].round <= round; ++done)
        read_states_.push_back({reads_[done].context, reads_[done].index, true, INT64_MAX});
    reads_.erase(reads_.begin(), reads_.begin() + static_cast<std::ptrdiff_t>(done));
}

Index RaftNode::acknowledged_by(bool Progress::*votes, bool self) {
    matched_.clear();
    if (self) matched_.push_back(round_);
    for (const Progress& peer : peers_)
        if (peer.*votes) matched_.push_back(peer.round);
    return quorum_index(matched_);
}

void RaftNode::abandon_reads() {
    for (const PendingRead& read : reads_) read_states_.push_back({read.context, 0, false, 0});
    reads_.clear();
    lease_until_ns_ = INT64_MIN;
    lease_is_void_ = false;
    confirmed_round_ = round_;  // what is still under way confirms nothing any more
}

}  // namespace fastmas::consensus::raft
