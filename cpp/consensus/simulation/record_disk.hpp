// Disks of simulated nodes that keep a log of records, and what a crash in the middle of a write leaves of it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "base/payload.hpp"
#include "base/prng.hpp"
#include "consensus/simulation/hash_set.hpp"
#include "consensus/simulation/staged_writes.hpp"

namespace fastmas::consensus {

// How far a write got: so many records of it are whole, and of the one after them so many thousandths.
struct Tear {
    std::size_t records = 0;
    std::uint64_t thousandths = 0;
};

// Any place in a write of so many records, its end included.
inline Tear draw_tear(std::size_t records, base::Prng& random) {
    return {static_cast<std::size_t>(random.below(records + 1)), random.below(1'000)};
}

// What a write consists of, in this order: the snapshot, each entry, the hard state.
template <class Ready>
std::size_t records_of(const Ready& ready) noexcept {
    return (ready.snapshot != nullptr) + ready.entries.size() + (ready.hard_state != nullptr);
}

// The first so many records of a write.
template <class Ready>
Ready first_records(const Ready& ready, std::size_t records) noexcept {
    Ready part;
    part.must_sync = true;
    if (records >= records_of(ready)) part.hard_state = ready.hard_state;
    if (ready.snapshot != nullptr) {
        if (records == 0) return part;  // written beside the old one, and not renamed yet
        --records;
        part.snapshot = ready.snapshot;
    }
    part.entries = ready.entries.first(std::min(records, ready.entries.size()));
    return part;
}

// The entry that was being written.
template <class Ready>
auto torn_entry(const Ready& ready, std::size_t records) noexcept {
    const std::size_t whole = ready.snapshot != nullptr ? std::max<std::size_t>(records, 1) - 1 : records;
    const bool is_entry = (ready.snapshot == nullptr || records != 0) && whole < ready.entries.size();
    return is_entry ? &ready.entries[whole] : nullptr;
}

// The beginning of a log record, before it the checksum of all of it: whoever reads it back sees that it is not whole.
template <class Entry>
class TornRecord {
  public:
    TornRecord(Entry entry, std::uint64_t thousandths) : entry_(std::move(entry)), checksum_(checksum(entry_)) {
        const base::Payload whole = entry_.command;
        entry_.command = base::Payload(whole.bytes().first(whole.size() * thousandths / 1'000));
        // of a record without a command it is the head that is in pieces
        if (whole.size() == 0) entry_.time_ns ^= 1;
    }
    bool is_whole() const noexcept { return checksum(entry_) == checksum_; }
    const Entry& entry() const noexcept { return entry_; }

  private:
    static std::uint64_t checksum(const Entry& entry) noexcept {
        std::uint64_t sum =
            mix64(static_cast<std::uint64_t>(entry.time_ns) ^ entry.index << 20 ^ entry.session.sequence);
        for (const std::byte one : entry.command.bytes()) sum = mix64(sum ^ std::to_integer<std::uint64_t>(one));
        return sum;
    }
    Entry entry_;
    std::uint64_t checksum_;
};

// What the disks of the protocols that keep a log of records have in common; `Disk` has persist(ready), for duties 1 to
// 3 of ready.hpp, and put(entry), for one record of its log. Writes are durable at once or, handed over by stage(), in
// their order and later. A crash in the middle of one leaves its beginning, the last record perhaps in part; of those
// that wait it leaves any number.
template <class Disk, class Ready, class Entry>
class RecordDisk {
  public:
    void stage(const Ready& ready) { staged_.stage(ready); }
    bool idle() const noexcept { return staged_.idle(); }
    // The oldest staged write becomes durable; its number.
    std::uint64_t finish_one() {
        return staged_.finish_one([this](const Ready& ready) { disk().persist(ready); });
    }
    // The power goes in the middle of this write.
    void tear(const Ready& ready, const Tear& tear) {
        disk().persist(first_records(ready, tear.records));
        if (const Entry* entry = torn_entry(ready, tear.records)) torn_.emplace(*entry, tear.thousandths);
    }
    // The power goes.
    void crash(base::Prng& random) {
        staged_.crash(
            random, [this](const Ready& ready) { disk().persist(ready); },
            [&](const Ready& ready) { tear(ready, draw_tear(records_of(ready), random)); });
    }
    // The file is read again: a record that fails its checksum at the end is cut off. Whether one was.
    bool mend() {
        if (!torn_) return false;
        const TornRecord<Entry> last = *std::exchange(torn_, std::nullopt);
        if (!last.is_whole()) return true;
        disk().put(last.entry());
        return false;
    }

  private:
    Disk& disk() noexcept { return static_cast<Disk&>(*this); }
    StagedWrites<Ready> staged_;
    std::optional<TornRecord<Entry>> torn_;
};

}  // namespace fastmas::consensus
