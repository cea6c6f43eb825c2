// An acceptor's log: what it accepted in each slot after its snapshot. Slots may be empty.
#pragma once

#include <span>
#include <vector>

#include "consensus/paxos/types.hpp"

namespace fastmas::consensus::paxos {

// Not thread-safe. put() behind the end is O(1) amortised and allocates nothing once the log has had its size;
// compaction is O(1) amortised. Spans stay valid until the next call that changes the log.
class Log {
  public:
    Log() = default;
    // Throws base::ConfigError when the entries do not come in the order of their slots, after the snapshot.
    Log(const Snapshot& snapshot, const std::vector<Entry>& entries);

    Index snapshot_index() const noexcept { return snapshot_index_; }
    Index first_index() const noexcept { return snapshot_index_ + 1; }
    Index last_index() const noexcept { return snapshot_index_ + size(); }  // the highest slot that is held

    // Within first_index() .. last_index(); may be a hole.
    const Entry& at(Index index) const noexcept { return entries_[dead_ + (index - first_index())]; }
    Entry& at(Index index) noexcept { return entries_[dead_ + (index - first_index())]; }
    bool holds(Index index) const noexcept {
        return index > snapshot_index_ && index <= last_index() && at(index).ballot;
    }
    std::span<const Entry> slice(Index first, Index last) const noexcept;  // both included; empty when last < first

    // Into its slot, which must be after the snapshot; holes are made up to it.
    void put(Entry entry);
    // Forgets the slots up to index.
    void compact(Index index) noexcept;

  private:
    std::size_t size() const noexcept { return entries_.size() - dead_; }

    std::vector<Entry> entries_;  // the first dead_ of them are compacted and await being moved away
    std::size_t dead_ = 0;
    Index snapshot_index_ = 0;
};

}  // namespace fastmas::consensus::paxos
