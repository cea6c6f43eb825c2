// RaftNode: what leaves for the disk, and what waits until it is there (paper §5.1, figure 2: persistent state is
// updated before responding).
#include <algorithm>
#include <utility>

#include "base/errors.hpp"
#include "consensus/raft/node.hpp"

namespace fastmas::consensus::raft {
namespace {

// A disk that hangs does not make its node's memory grow.
constexpr std::size_t kMaxHeld = 4096;

// A leader's appends and snapshots say what others should store: its own disk may lag behind, and it counts itself only
// as far as that disk is. A pre-vote request promises nothing. All else says something about this node that must
// survive a crash: votes, terms, acknowledged entries.
bool waits_for_disk(const Message& message) noexcept {
    switch (message.type) {
        case MessageType::append:
        case MessageType::snapshot:
        case MessageType::timeout_now:
        case MessageType::pre_vote:
            return false;
        case MessageType::vote:
        case MessageType::vote_reply:
        case MessageType::pre_vote_reply:
        case MessageType::append_reply:
        case MessageType::snapshot_reply:
            return true;
    }
    return true;
}

}  // namespace

bool RaftNode::has_unwritten() const noexcept {
    return hard_changed_ || snapshot_pending_ || log_.last_index() > written_;
}

bool RaftNode::can_write() const noexcept {
    return !config_.async_storage || writes_.in_flight() < config_.max_writes_in_flight;
}

Index RaftNode::applicable() const noexcept {
    // A majority may have an entry before this node's own disk has. What it applies, it holds.
    // (A damaged disk lets that fall, but nothing is unapplied.)
    return config_.async_storage ? std::max(applied_, std::min(commit_, log_.stable_index())) : commit_;
}

bool RaftNode::has_ready() const noexcept {
    return outbox_size_ != 0 || (has_unwritten() && can_write()) || applicable() > applied_ || !read_states_.empty() ||
           has_new_reads();
}

const Ready& RaftNode::ready() {
    enter();
    // proposals wait for it, so that a burst leaves in few messages
    if (role_ == Role::leader) broadcast();
    if (has_new_reads()) ask_for_reads();
    if (config_.async_storage) hold_back();
    ready_ = Ready();
    if (has_unwritten() && can_write()) {
        ready_.snapshot = snapshot_pending_ ? &snapshot_ : nullptr;
        ready_.entries = log_.slice(written_ + 1, log_.last_index());
        ready_.hard_state = hard_changed_ ? &hard_ : nullptr;
        ready_.must_sync = true;
        if (config_.async_storage) ready_.write = writes_.next();
    }
    ready_.messages = {outbox_.data(), outbox_size_};
    // a snapshot that waits for room among the writes comes before what follows it
    applicable_ = !snapshot_pending_ || ready_.snapshot != nullptr ? applicable() : applied_;
    // a witness has nothing to apply
    if (!config_.witness) ready_.committed = log_.slice(applied_ + 1, applicable_);
    ready_.reads = read_states_;
    ready_out_ = true;
    return ready_;
}

void RaftNode::advance() {
    if (!poisoned_.empty()) throw base::InvariantError(poisoned_);
    if (!ready_out_)
        throw base::ConfigError("node " + std::to_string(config_.id) +
                                " has no ready() to advance past; call ready() first");
    ready_out_ = false;
    outbox_size_ = released_ = 0;
    read_states_.clear();
    applied_ = applicable_;
    if (ready_.must_sync) {
        is_loss_stored_ = true;
        snapshot_pending_ = hard_changed_ = false;
        if (!ready_.entries.empty()) {
            const Entry& last = ready_.entries.back();
            written_ = last.index;
            if (!config_.async_storage) {
                log_.mark_stable(last.index, last.term);
                // a leader counts its own log only as far as its own disk holds it
                if (role_ == Role::leader) advance_commit();
            }
        }
        if (config_.async_storage) {
            if (writes_.in_flight() == 0) write_elapsed_ = 0;
            writes_.hand_out(ready_.entries.empty() ? 0 : ready_.entries.back().index);
        }
    }
    ready_ = Ready();
}

void RaftNode::hold_back() {
    // What a message depends on is in the log and the hard state already: in the last write handed out, or in the next.
    const std::uint64_t needed = has_unwritten() ? writes_.next() : writes_.next() - 1;
    if (!has_unwritten() && writes_.in_flight() == 0) return;
    std::size_t kept = released_;
    for (std::size_t i = released_; i < outbox_size_; ++i) {
        if (!waits_for_disk(outbox_[i])) {
            if (i != kept) std::swap(outbox_[i], outbox_[kept]);
            ++kept;
            continue;
        }
        if (held_last_ - held_first_ == kMaxHeld) continue;  // as good as lost
        if (held_last_ == held_.size()) held_.emplace_back();
        held_[held_last_].write = needed;
        std::swap(held_[held_last_++].message, outbox_[i]);  // both keep the capacity they have
    }
    outbox_size_ = kept;
}

void RaftNode::release(std::uint64_t write) {
    for (; held_first_ < held_last_ && held_[held_first_].write <= write; ++held_first_) {
        Message& message = held_[held_first_].message;
        // A later term has voided it: what it acknowledges may be replaced by now. Not sent is as good as lost.
        if (message.term < hard_.term) continue;
        // before what still may have to wait
        if (outbox_size_ == outbox_.size()) outbox_.emplace_back();
        if (released_ != outbox_size_) std::swap(outbox_[released_], outbox_[outbox_size_]);
        std::swap(outbox_[released_], message);
        ++released_;
        ++outbox_size_;
    }
    // what is still held moves to the front once it is the smaller part: O(1) amortised, and no growth under load
    if (held_first_ < held_last_ - held_first_) return;
    for (std::size_t i = held_first_; i < held_last_; ++i) std::swap(held_[i - held_first_], held_[i]);
    held_last_ -= held_first_;
    held_first_ = 0;
}

void RaftNode::stored(std::uint64_t write) {
    enter();
    if (!config_.async_storage)
        throw base::ConfigError("stored() is for asynchronous storage, got write " + std::to_string(write) +
                                "; set async_storage, or let advance() say that all is stored");
    if (write >= writes_.next())
        throw base::ConfigError("stored() takes the number of a write that was handed out, got " +
                                std::to_string(write) + " with " + std::to_string(writes_.next() - 1) +
                                " handed out; acknowledge Ready::write");
    const std::size_t before = writes_.in_flight();
    log_.mark_stable(writes_.stored(write));
    if (writes_.in_flight() != before) write_elapsed_ = 0;
    release(write);
    if (role_ == Role::candidate && own_vote_write_ != 0 && own_vote_write_ <= write) {
        count_own_vote();
        count_votes(false);
    }
    if (role_ == Role::leader) settle();
    if (role_ == Role::leader) advance_commit();
    if (role_ == Role::leader) broadcast();  // to witnesses, what they may hear of now
}

bool RaftNode::storage_hangs() const noexcept {
    const std::uint32_t limit = config_.hung_write_ticks != 0 ? config_.hung_write_ticks : config_.election_ticks;
    return writes_.in_flight() != 0 && write_elapsed_ >= limit;
}

void RaftNode::truncate_from(Index index) {
    log_.truncate_from(index);
    written_ = std::min(written_, index - 1);
    writes_.truncated_from(index);
    roll_back_memberships(index);
}

}  // namespace fastmas::consensus::raft
