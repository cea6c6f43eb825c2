#include "consensus/paxos/log.hpp"

#include <algorithm>
#include <string>

#include "base/errors.hpp"

namespace fastmas::consensus::paxos {

Log::Log(const Snapshot& snapshot, const std::vector<Entry>& entries) : snapshot_index_(snapshot.index) {
    Index before = snapshot_index_;
    for (const Entry& entry : entries) {
        if (entry.index <= before)
            throw base::ConfigError(
                "stored entries must come in the order of their slots and after the snapshot, got "
                "slot " +
                std::to_string(entry.index) + " after " + std::to_string(before) +
                "; restore the store from a healthy copy");
        before = entry.index;
        if (entry.ballot) put(entry);
    }
}

std::span<const Entry> Log::slice(Index first, Index last) const noexcept {
    if (last < first) return {};
    return {&at(first), static_cast<std::size_t>(last - first + 1)};
}

void Log::put(Entry entry) {
    while (last_index() + 1 < entry.index) entries_.push_back(hole(last_index() + 1));
    if (entry.index <= last_index())
        at(entry.index) = std::move(entry);
    else
        entries_.push_back(std::move(entry));
}

void Log::compact(Index index) noexcept {
    if (index <= snapshot_index_) return;
    const auto count = static_cast<std::size_t>(std::min<Index>(index - snapshot_index_, size()));
    for (std::size_t i = dead_; i < dead_ + count; ++i) entries_[i].command = Payload();
    dead_ += count;
    snapshot_index_ = index;
    if (dead_ * 2 >= entries_.size()) {
        entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(dead_));
        dead_ = 0;
    }
}

}  // namespace fastmas::consensus::paxos
