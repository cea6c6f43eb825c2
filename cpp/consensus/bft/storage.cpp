// BftNode: what is to be stored, what waits until it is, and what may overlap it.
#include <algorithm>

#include "base/errors.hpp"
#include "consensus/bft/node.hpp"

namespace fastmas::consensus::bft {
namespace {

// What a message of these types says rests on what the node has signed or decided. The others say nothing that a crash
// could make untrue: commands are their clients', a status is believed by nobody, and a checkpoint's state is durable.
bool waits_for_disk(const Message& message) noexcept {
    return message.type == MessageType::proposal || message.type == MessageType::votes ||
           message.type == MessageType::decided;
}

}  // namespace

bool BftNode::can_write() const noexcept {
    return !config_.async_storage || writes_.size() < config_.max_writes_in_flight;
}

// The disk is so far behind that what comes in would only grow what waits for it. Others go on without this node; what
// it does not look at now, gossip brings again.
bool BftNode::is_stalled() const noexcept {
    return config_.async_storage && writes_.size() >= config_.max_writes_in_flight;
}

void BftNode::hand_out() {
    if (!has_unwritten() || !can_write()) return;
    ready_.snapshot = install_.get();
    ready_.decided = fresh_;
    ready_.hard_state = &hard_;
    ready_.must_sync = true;
    if (config_.async_storage) ready_.write = next_write_;
}

// Nothing signed leaves before it is stored (PITFALLS 35): it is in the last write handed out, or in the next.
void BftNode::hold_back() {
    const std::uint64_t needed = has_unwritten() ? next_write_ : next_write_ - 1;
    if (!config_.async_storage || needed <= stored_write_) return;
    std::size_t kept = released_;
    for (std::size_t i = released_; i < outbox_size_; ++i) {
        if (waits_for_disk(outbox_[i]))
            held_.hold(needed, outbox_[i]);
        else if (i != kept++)
            std::swap(outbox_[i], outbox_[kept - 1]);
    }
    outbox_size_ = kept;
}

void BftNode::advance() {
    if (!poisoned_.empty()) throw base::InvariantError(poisoned_);
    if (!ready_out_)
        throw base::ConfigError("node " + std::to_string(config_.id) +
                                " has no ready() to advance past; call ready() first");
    ready_out_ = false;
    outbox_size_ = released_ = 0;
    if (ready_.must_sync) {
        install_.reset();
        hard_changed_ = false;
        for (Decided& decided : fresh_) log_.push_back(std::move(decided));
        fresh_.clear();
        if (config_.async_storage)
            writes_.push_back({next_write_++, chain_.height});
        else
            durable_height_ = chain_.height;
    }
    if (entries_height_ != applied_height_) {
        applied_height_ = entries_height_;
        applied_ = decided(applied_height_)->block->last_index();
        if (!boundaries_.empty() && boundaries_.front()->height == applied_height_) {
            boundary_ = boundaries_.front();
            boundaries_.pop_front();
            paused_ = true;
        }
    }
    ready_ = Ready();
}

void BftNode::stored(std::uint64_t write) {
    enter();
    if (!config_.async_storage)
        throw base::ConfigError("stored() is for asynchronous storage, got write " + std::to_string(write) +
                                "; set async_storage, or let advance() say that all is stored");
    if (write >= next_write_)
        throw base::ConfigError("stored() takes the number of a write that was handed out, got " +
                                std::to_string(write) + " with " + std::to_string(next_write_ - 1) +
                                " handed out; acknowledge Ready::write");
    if (write <= stored_write_) return;
    hold_back();
    pool_grew_ = pool_grew_ || is_stalled();  // a height may have waited to begin
    stored_write_ = write;
    for (; !writes_.empty() && writes_.front().number <= write; writes_.pop_front())
        durable_height_ = std::max(durable_height_, writes_.front().height);
    held_.release(write, [this](Message& message) {
        if (outbox_size_ == outbox_.size()) outbox_.emplace_back();
        std::swap(outbox_[outbox_size_++], message);
    });
    released_ = outbox_size_;  // what is left of it waited for nothing
}

}  // namespace fastmas::consensus::bft
