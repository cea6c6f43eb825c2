// Storage writes that were handed out and are not acknowledged yet (asynchronous storage).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "consensus/types.hpp"

namespace fastmas::consensus::raft {

// Writes are numbered from 1 and reach the disk in that order, each replacing what stands from its first index on. An
// acknowledgement says that a write and all before it are durable. Not thread-safe; O(writes in flight) a call, of
// which there are few.
class WriteQueue {
  public:
    // The number that the next write gets.
    std::uint64_t next() const noexcept { return next_; }
    std::size_t in_flight() const noexcept { return writes_.size(); }

    // A write whose last entry is at `last` (0 when it holds none) leaves for the disk.
    std::uint64_t hand_out(Index last) {
        writes_.push_back({next_, last});
        return next_++;
    }
    // The log lost the entries from `index` on: what the writes in flight hold there will be replaced on the disk, so
    // their acknowledgements say nothing about it, even if an entry of the same index and term comes back meanwhile
    // (etcd #1690).
    void truncated_from(Index index) noexcept {
        for (Write& write : writes_) write.last = std::min(write.last, index - 1);
    }
    // All writes up to `number` are durable; how far the log is by them, 0 when they tell nothing new.
    Index stored(std::uint64_t number) noexcept {
        Index last = 0;
        std::size_t count = 0;
        for (; count < writes_.size() && writes_[count].number <= number; ++count)
            last = std::max(last, writes_[count].last);
        writes_.erase(writes_.begin(), writes_.begin() + static_cast<std::ptrdiff_t>(count));
        return last;
    }

  private:
    struct Write {
        std::uint64_t number;
        Index last;
    };
    std::vector<Write> writes_;
    std::uint64_t next_ = 1;
};

}  // namespace fastmas::consensus::raft
