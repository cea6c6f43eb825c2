// Storage writes that were handed out and are not acknowledged yet (asynchronous storage).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "consensus/paxos/ballot.hpp"

namespace fastmas::consensus::paxos {

// Writes are numbered from 1 and reach the disk in that order, each replacing what stands in its own slots. An
// acknowledgement says that a write and all before it are durable. Not thread-safe; O(writes in flight) a call, of
// which there are few.
class WriteQueue {
  public:
    struct Write {
        std::uint64_t number = 0;
        Index first = 0;  // the slots that it holds; 0 = none
        Index last = 0;
        Ballot led;        // the ballot that was led when it was handed out, if any
        Index commit = 0;  // that it stores
    };

    std::uint64_t next() const noexcept { return next_; }  // the number that the next write gets
    std::size_t in_flight() const noexcept { return writes_.size(); }
    std::uint64_t stored() const noexcept { return writes_.empty() ? next_ - 1 : writes_.front().number - 1; }
    // The lowest slot that may not be durable as it stands; kMaxIndex when all are.
    Index first_slot() const noexcept {
        Index first = kMaxIndex;
        for (const Write& write : writes_)
            if (write.first != 0) first = std::min(first, write.first);
        return first;
    }

    void hand_out(Write write) {
        write.number = next_++;
        writes_.push_back(write);
    }
    // A snapshot stands for the slots up to index.
    void compacted(Index index) noexcept {
        for (Write& write : writes_)
            if (write.first != 0 && write.first <= index) write.first = write.last > index ? index + 1 : 0;
    }
    // All writes up to `number` are durable: gives out each that is so now.
    template <class Give>
    void stored(std::uint64_t number, Give give) {
        std::size_t count = 0;
        for (; count < writes_.size() && writes_[count].number <= number; ++count) give(writes_[count]);
        writes_.erase(writes_.begin(), writes_.begin() + static_cast<std::ptrdiff_t>(count));
    }

  private:
    std::vector<Write> writes_;
    std::uint64_t next_ = 1;
};

}  // namespace fastmas::consensus::paxos
