// A node's log: the entries after its snapshot, and how far they are durable.
#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <vector>

#include "consensus/raft/types.hpp"

namespace fastmas::consensus::raft {

// Not thread-safe. append is O(1) amortised and allocates nothing once the log has had its size; compaction is O(1)
// amortised. Spans stay valid until the next call that changes the log.
class Log {
  public:
    Log() = default;
    Log(const Snapshot& snapshot, std::vector<Entry> entries);  // throws base::ConfigError on a gap or a falling term

    Index snapshot_index() const noexcept { return snapshot_index_; }
    Term snapshot_term() const noexcept { return snapshot_term_; }
    std::int64_t snapshot_time_ns() const noexcept { return snapshot_time_ns_; }
    Index first_index() const noexcept { return snapshot_index_ + 1; }
    Index last_index() const noexcept { return snapshot_index_ + size(); }
    Term last_term() const noexcept { return size() == 0 ? snapshot_term_ : entries_.back().term; }
    std::int64_t last_time_ns() const noexcept { return size() == 0 ? snapshot_time_ns_ : entries_.back().time_ns; }
    Index stable_index() const noexcept { return stable_index_; }

    // Nothing for an index past the end or before the snapshot's.
    std::optional<Term> term(Index index) const noexcept;
    const Entry& at(Index index) const noexcept { return entries_[dead_ + (index - first_index())]; }
    std::span<const Entry> slice(Index first, Index last) const noexcept;  // both included; empty when last < first

    // Of the commands of these entries, both included; what is compacted away counts nothing. O(entries).
    std::uint64_t bytes(Index first, Index last) const noexcept;

    // The first index of the run of entries with the same term that `index` belongs to, as far as the log reaches back.
    Index first_of_term(Index index) const noexcept;
    // The last index whose term is at most `term`; snapshot_index() at least.
    Index last_not_after(Term term) const noexcept;

    Entry& append(Entry entry);
    void truncate_from(Index index) noexcept;
    // Marks the log durable up to index: it holds those entries still, and so does the disk.
    void mark_stable(Index index) noexcept { stable_index_ = std::max(stable_index_, index); }
    // The same, if it still holds that entry of that term there.
    void mark_stable(Index index, Term term) noexcept;
    // What the disk holds from index on is not what the log holds.
    void mark_unstable(Index index) noexcept { stable_index_ = std::min(stable_index_, index - 1); }
    // Forgets the entries up to index, which the log holds and a durable snapshot stands for.
    void compact(Index index) noexcept;
    // The snapshot replaces the log; a suffix that agrees with it stays.
    void restore(const Snapshot& snapshot) noexcept;

  private:
    std::size_t size() const noexcept { return entries_.size() - dead_; }

    std::vector<Entry> entries_;  // the first dead_ of them are compacted and await being moved away
    std::size_t dead_ = 0;
    Index snapshot_index_ = 0;
    Term snapshot_term_ = 0;
    std::int64_t snapshot_time_ns_ = 0;
    Index stable_index_ = 0;
};

}  // namespace fastmas::consensus::raft
