// Messages that wait until what they promise is durable (asynchronous storage), for any protocol.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace fastmas::consensus {

// First in, first out; bounded: a disk that hangs does not make its node's memory grow. Recycles what messages hold.
// Not thread-safe; O(1) amortised a message.
template <class Message>
class HeldMessages {
  public:
    static constexpr std::size_t kMost = 4096;

    std::size_t size() const noexcept { return last_ - first_; }

    // Until `write` and all before it are durable. The message is swapped for one that may be filled anew; one too many
    // is as good as lost.
    void hold(std::uint64_t write, Message& message) {
        if (size() == kMost) return;
        if (last_ == held_.size()) held_.emplace_back();
        held_[last_].write = write;
        std::swap(held_[last_++].message, message);
    }

    // All writes up to this one are durable: gives out what waited for them, to be swapped away.
    template <class Give>
    void release(std::uint64_t write, Give give) {
        for (; first_ < last_ && held_[first_].write <= write; ++first_) give(held_[first_].message);
        // what is left moves to the front once it is the smaller part
        if (first_ < size()) return;
        for (std::size_t i = first_; i < last_; ++i) std::swap(held_[i - first_], held_[i]);
        last_ -= first_;
        first_ = 0;
    }

  private:
    struct Held {
        std::uint64_t write = 0;
        Message message;
    };
    std::vector<Held> held_;  // first_ to last_ wait; the rest are kept for their capacity
    std::size_t first_ = 0, last_ = 0;
};

}  // namespace fastmas::consensus
