// PaxosNode: what leaves for the disk, and what waits until it is there (PMS §2.5: an acceptor records its intended
// response in stable storage before it sends it).
#include <algorithm>
#include <utility>

#include "base/errors.hpp"
#include "consensus/paxos/node.hpp"

namespace fastmas::consensus::paxos {
namespace {

// What says something about this node that must survive a crash: a ballot it begins (it is never used twice), what it
// promised, what it accepted. An accept says what others should store; a refusal and an answer promise nothing; a
// snapshot is chosen, whatever happens here.
bool waits_for_disk(const Message& message) noexcept {
    switch (message.type) {
        case MessageType::prepare:
        case MessageType::promise:
        case MessageType::accepted:
            return true;
        case MessageType::ask:
        case MessageType::answer:
        case MessageType::accept:
        case MessageType::refuse:
        case MessageType::snapshot:
            return false;
    }
    return true;
}

}  // namespace

bool PaxosNode::has_unwritten() const noexcept {
    return hard_changed_ || snapshot_pending_ || dirty_first_ != 0;
}

bool PaxosNode::can_write() const noexcept {
    return !config_.async_storage || writes_.in_flight() < config_.max_writes_in_flight;
}

Index PaxosNode::applicable() const noexcept {
    if (!config_.async_storage) return commit_;
    // A quorum may have an entry before this node's own disk has. What it applies, it holds.
    const Index unstable = dirty_first_ == 0 ? writes_.first_slot() : std::min(dirty_first_, writes_.first_slot());
    return std::min(commit_, unstable - 1);
}

bool PaxosNode::has_ready() const noexcept {
    if (outbox_size_ != 0 || (has_unwritten() && can_write()) || !read_states_.empty() || has_new_reads()) return true;
    return commit_ > applied_ && !snapshot_pending_ && applicable() > applied_;
}

const Ready& PaxosNode::ready() {
    enter();
    // proposals wait for it, so that a burst leaves in few messages
    if (role_ == Role::leader) broadcast();
    if (has_new_reads()) ask_for_reads();
    if (config_.async_storage) hold_back();
    ready_ = Ready();
    // the commit index alone is worth no write: it goes with the next one
    if (has_unwritten() && can_write()) {
        ready_.snapshot = snapshot_pending_ ? &snapshot_ : nullptr;
        if (dirty_first_ != 0) ready_.entries = log_.slice(dirty_first_, dirty_last_);
        // every slot up to it is in this write or in one before
        hard_.commit = commit_;
        ready_.hard_state = &hard_;
        ready_.must_sync = true;
        if (config_.async_storage) ready_.write = writes_.next();
    }
    ready_.messages = {outbox_.data(), outbox_size_};
    // a snapshot that waits for room among the writes comes before what follows it
    applicable_ = !snapshot_pending_ || ready_.snapshot != nullptr ? applicable() : applied_;
    ready_.committed = log_.slice(applied_ + 1, applicable_);
    ready_.reads = read_states_;
    ready_out_ = true;
    return ready_;
}

void PaxosNode::advance() {
    if (!poisoned_.empty()) throw base::InvariantError(poisoned_);
    if (!ready_out_)
        throw base::ConfigError("node " + std::to_string(config_.id) +
                                " has no ready() to advance past; call ready() first");
    ready_out_ = false;
    outbox_size_ = released_ = 0;
    read_states_.clear();
    applied_ = applicable_;
    if (ready_.must_sync) {
        const Index first = dirty_first_, last = dirty_last_;
        snapshot_pending_ = hard_changed_ = false;
        dirty_first_ = dirty_last_ = 0;
        const WriteQueue::Write write{0, first, last, role_ == Role::leader ? ballot_ : Ballot{}, hard_.commit};
        if (config_.async_storage) {
            if (writes_.in_flight() == 0) write_elapsed_ = 0;
            if (std::exchange(own_promise_, false)) own_promise_write_ = writes_.next();
            writes_.hand_out(write);
        } else {
            count_stored(write);
            if (std::exchange(own_promise_, false)) count_own_promise();
        }
    }
    if (!snapshot_pending_) taken_ = applied_;
    ready_ = Ready();
    follow_up();
}

void PaxosNode::count_stored(const WriteQueue::Write& write) {
    stored_commit_ = std::max(stored_commit_, write.commit);
    // What its own acceptor answers counts as far as its own disk holds it. What it wrote before it led this ballot was
    // another's.
    if (role_ != Role::leader || write.first == 0 || write.led != ballot_) return;
    bool is_new = false;
    count_votes(0, write.first, write.last, is_new);
    advance_commit();
}

void PaxosNode::count_own_promise() {
    own_promise_write_ = 0;
    if (role_ == Role::preparing) count_promise(0);
}

void PaxosNode::hold_back() {
    if (!has_unwritten() && writes_.in_flight() == 0) return;
    // What a message says is in the log and the hard state already: in the last write handed out, or in the next.
    const std::uint64_t needed = has_unwritten() ? writes_.next() : writes_.next() - 1;
    std::size_t kept = released_;
    for (std::size_t i = released_; i < outbox_size_; ++i) {
        const Message& message = outbox_[i];
        // the answer to a heartbeat accepts nothing, and goes past slots that wait: else a slow disk would look like a
        // node that is gone
        const bool says_nothing_new = message.type == MessageType::accepted && message.last == message.index &&
                                      promise_write_ <= writes_.stored();
        if (waits_for_disk(message) && !says_nothing_new)
            held_.hold(needed, outbox_[i]);
        else if (i != kept++)
            std::swap(outbox_[i], outbox_[kept - 1]);
    }
    outbox_size_ = kept;
}

void PaxosNode::stored(std::uint64_t write) {
    enter();
    if (!config_.async_storage)
        throw base::ConfigError("stored() is for asynchronous storage, got write " + std::to_string(write) +
                                "; set async_storage, or let advance() say that all is stored");
    if (write >= writes_.next())
        throw base::ConfigError("stored() takes the number of a write that was handed out, got " +
                                std::to_string(write) + " with " + std::to_string(writes_.next() - 1) +
                                " handed out; acknowledge Ready::write");
    if (write <= writes_.stored()) return;
    write_elapsed_ = 0;
    // A promise or an acceptance stays true, whatever was promised since: it is said all the same, before what still
    // may have to wait.
    held_.release(write, [this](Message& message) {
        if (outbox_size_ == outbox_.size()) outbox_.emplace_back();
        if (released_ != outbox_size_) std::swap(outbox_[released_], outbox_[outbox_size_]);
        std::swap(outbox_[released_], message);
        ++released_;
        ++outbox_size_;
    });
    writes_.stored(write, [this](const WriteQueue::Write& each) { count_stored(each); });
    if (own_promise_write_ != 0 && own_promise_write_ <= write) count_own_promise();
    follow_up();
}

bool PaxosNode::storage_hangs() const noexcept {
    const std::uint32_t limit = config_.hung_write_ticks != 0 ? config_.hung_write_ticks : config_.election_ticks;
    return writes_.in_flight() != 0 && write_elapsed_ >= limit;
}

void PaxosNode::covered_by_snapshot(Index index) noexcept {
    log_.compact(index);
    if (dirty_first_ != 0 && dirty_first_ <= index) dirty_first_ = dirty_last_ > index ? index + 1 : 0;
    writes_.compacted(index);
}

}  // namespace fastmas::consensus::paxos
