#include "consensus/raft/log.hpp"

#include <algorithm>
#include <string>

#include "base/errors.hpp"

namespace fastmas::consensus::raft {

Log::Log(const Snapshot& snapshot, std::vector<Entry> entries)
    : entries_(std::move(entries)),
      snapshot_index_(snapshot.index),
      snapshot_term_(snapshot.term),
      snapshot_time_ns_(snapshot.time_ns) {
    Index expected = snapshot_index_;
    Term term = snapshot_term_;
    for (const Entry& entry : entries_) {
        if (entry.index != ++expected)
            throw base::ConfigError("stored entries must follow the snapshot without a gap, expected index " +
                                    std::to_string(expected) + ", got " + std::to_string(entry.index) +
                                    "; restore the store from a healthy copy");
        if (entry.term < term || entry.term == 0)
            throw base::ConfigError("terms of stored entries must not fall, got term " + std::to_string(entry.term) +
                                    " after " + std::to_string(term) + " at index " + std::to_string(entry.index) +
                                    "; restore the store from a healthy copy");
        term = entry.term;
    }
    stable_index_ = last_index();
}

std::optional<Term> Log::term(Index index) const noexcept {
    if (index == snapshot_index_) return snapshot_term_;
    if (index < snapshot_index_ || index > last_index()) return std::nullopt;
    return at(index).term;
}

std::span<const Entry> Log::slice(Index first, Index last) const noexcept {
    if (last < first) return {};
    return {&at(first), static_cast<std::size_t>(last - first + 1)};
}

std::uint64_t Log::bytes(Index first, Index last) const noexcept {
    std::uint64_t sum = 0;
    for (const Entry& entry : slice(std::max(first, first_index()), last)) sum += entry.command.size();
    return sum;
}

Index Log::first_of_term(Index index) const noexcept {
    const Term wanted = at(index).term;
    // terms never fall along the log, so the run's start is found by bisection
    const auto begin = entries_.begin() + static_cast<std::ptrdiff_t>(dead_);
    const auto found = std::lower_bound(begin, entries_.end(), wanted,
                                        [](const Entry& entry, Term term) { return entry.term < term; });
    return found->index;
}

Index Log::last_not_after(Term term) const noexcept {
    const auto begin = entries_.begin() + static_cast<std::ptrdiff_t>(dead_);
    const auto found = std::upper_bound(begin, entries_.end(), term,
                                        [](Term wanted, const Entry& entry) { return wanted < entry.term; });
    return snapshot_index_ + static_cast<Index>(found - begin);
}

Entry& Log::append(Entry entry) {
    entries_.push_back(std::move(entry));
    return entries_.back();
}

void Log::truncate_from(Index index) noexcept {
    entries_.resize(dead_ + static_cast<std::size_t>(index - first_index()));
    stable_index_ = std::min(stable_index_, index - 1);
}

void Log::mark_stable(Index index, Term term) noexcept {
    // An acknowledgement of a write that a new leader has meanwhile replaced says nothing about what stands there now.
    if (index > stable_index_ && this->term(index) == term) stable_index_ = index;
}

void Log::compact(Index index) noexcept {
    const auto count = static_cast<std::size_t>(index - snapshot_index_);
    snapshot_term_ = at(index).term;
    snapshot_time_ns_ = at(index).time_ns;
    for (std::size_t i = dead_; i < dead_ + count; ++i) entries_[i].command = Payload();
    dead_ += count;
    snapshot_index_ = index;
    stable_index_ = std::max(stable_index_, index);
    if (dead_ * 2 >= entries_.size()) {
        entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(dead_));
        dead_ = 0;
    }
}

void Log::restore(const Snapshot& snapshot) noexcept {
    if (snapshot.index <= snapshot_index_) return;
    if (term(snapshot.index) == snapshot.term) {
        compact(snapshot.index);
        return;
    }
    entries_.clear();
    dead_ = 0;
    snapshot_index_ = snapshot.index;
    snapshot_term_ = snapshot.term;
    snapshot_time_ns_ = snapshot.time_ns;
    stable_index_ = snapshot.index;
}

}  // namespace fastmas::consensus::raft
