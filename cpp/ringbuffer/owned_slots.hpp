// Slots that say themselves whose they are: the storage of rings with many producers, and every step that a slot goes
// through. All memory orders of those rings that protect a record are in this file.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>

#include "ringbuffer/sequence.hpp"
#include "ringbuffer/slot_word.hpp"
#include "ringbuffer/slots.hpp"

namespace fastmas::ringbuffer {

// A slot is its word, then the record. The steps below are the only ones; each names who may make it.
template <class Memory>
class OwnedSlots {
  public:
    template <class T>
    using Atom = typename Memory::template Atom<T>;
    using Word = Atom<std::uint64_t>;

    OwnedSlots(std::byte* base, RingShape shape) noexcept
        : base_(base), mask_(shape.capacity - 1), slot_bytes_(shape.slot_bytes), stride_(stride(shape)) {}

    static std::size_t bytes(RingShape shape) noexcept {
        return static_cast<std::size_t>(shape.capacity) * stride(shape);
    }
    // Every slot free for the first lap, in zeroed memory.
    static void format(std::byte* base, RingShape shape) {
        for (std::int64_t i = 0; i < shape.capacity; ++i)
            new (base + static_cast<std::size_t>(i) * stride(shape)) Word(SlotWord::of(i, SlotState::free));
    }

    std::int64_t capacity() const noexcept { return mask_ + 1; }
    std::size_t slot_bytes() const noexcept { return slot_bytes_; }

    // What the slot's word was: to decide by, not to read or write the record by.
    std::uint64_t look(Sequence sequence) const noexcept {
        // [M5 relaxed] every step that follows from it is an exchange that compares, or a refusal
        return word(sequence).load(std::memory_order_relaxed);
    }

    // ---- a producer

    // False: the slot is not free for `sequence` any more, or not yet.
    bool claim(Sequence sequence, std::int32_t producer) const noexcept {
        std::uint64_t expected = SlotWord::of(sequence, SlotState::free);
        // [M2 acquire] pairs with [M2 release] in give_back(), abandon() and forfeit(): whoever read or wrote the slot
        // in the lap before has done so. Linearization point of the order among pushes. [M6 relaxed] a failed try
        // changes and reads nothing.
        return word(sequence).compare_exchange_strong(expected, SlotWord::of(sequence, SlotState::claimed, producer),
                                                      std::memory_order_acquire, std::memory_order_relaxed);
    }
    void write(Sequence sequence, const std::byte* record) const noexcept {
        Memory::write(record_at(sequence), record, slot_bytes_);
    }
    // Only what this producer has claimed.
    void publish(Sequence sequence) const noexcept {
        // [M1 release] pairs with [M1 acquire] in take() and is_published(): who sees the word sees the record.
        word(sequence).store(SlotWord::of(sequence, SlotState::published), std::memory_order_release);
    }

    // ---- a consumer

    // Of several consumers: makes the record this one's. False: it is not published, or another's already.
    bool take(Sequence sequence, std::int32_t consumer) const noexcept {
        std::uint64_t expected = SlotWord::of(sequence, SlotState::published);
        // [M1 acquire] pairs with [M1 release] in publish(): the record is written. Linearization point of a pop.
        // [M6 relaxed] a failed try changes and reads nothing.
        return word(sequence).compare_exchange_strong(expected, SlotWord::of(sequence, SlotState::taken, consumer),
                                                      std::memory_order_acquire, std::memory_order_relaxed);
    }
    // Of the only consumer: the slot's word, after which a published record may be read without taking it.
    std::uint64_t look_inside(Sequence sequence) const noexcept {
        // [M1 acquire] pairs with [M1 release] in publish(): the record is written.
        return word(sequence).load(std::memory_order_acquire);
    }
    void read(Sequence sequence, std::byte* out) const noexcept { Memory::read(out, record_at(sequence), slot_bytes_); }
    const std::byte* record(Sequence sequence) const noexcept { return record_at(sequence); }
    // What this consumer has taken, or, of the only consumer, what was published.
    void give_back(Sequence sequence) const noexcept {
        // [M2 release] pairs with [M2 acquire] in claim(): our reads end before the slot is written again.
        word(sequence).store(SlotWord::of(sequence + capacity(), SlotState::free), std::memory_order_release);
    }
    // Frees a skipped slot; false when another consumer did. Counted before, see count_once().
    bool pass(Sequence sequence) const noexcept {
        std::uint64_t expected = SlotWord::of(sequence, SlotState::skipped);
        // [M3 relaxed] the record is not touched, and an exchange carries on what abandon() released to claim().
        return word(sequence).compare_exchange_strong(expected, SlotWord::of(sequence + capacity(), SlotState::free),
                                                      std::memory_order_relaxed, std::memory_order_relaxed);
    }
    // Counts `sequence`, which look() has shown to be skipped, unless it was counted. Skipped slots are passed in order
    // and counted before they are passed, so that the last one counted is enough to know; a consumer that is killed
    // in between leaves a count that the next one finds.
    void count_once(Atom<std::uint64_t>& count, Sequence sequence) const noexcept {
        // [M4 acquire] pairs with [M4 release] below: if somebody has counted a later one, then we see that this one
        // was passed.
        std::uint64_t counted = count.load(std::memory_order_acquire);
        while (look(sequence) == SlotWord::of(sequence, SlotState::skipped) && !TaggedCount::has(counted, sequence)) {
            Memory::kill_point("pop.count");
            // [M4 release] pairs with [M4 acquire] above, and the [M4 acquire] of a failed try pairs with [M4 release].
            if (count.compare_exchange_strong(counted, TaggedCount::next(counted, sequence), std::memory_order_release,
                                              std::memory_order_acquire))
                return;
        }
    }

    // ---- whoever recovers, after the owner's death is known

    // Turns what `producer` has claimed in the index-th slot into a skipped record; false when there is nothing.
    bool abandon(std::int64_t index, std::int32_t producer) const noexcept {
        std::uint64_t seen = look(index);
        if (SlotWord::state(seen) != SlotState::claimed || SlotWord::owner(seen) != producer) return false;
        // [M2 release] pairs with [M2 acquire] in claim(): what the dead producer wrote, which knowing of its death has
        // made visible to us, comes before the next write. [M6 relaxed] a failed try changes and reads nothing.
        return word(index).compare_exchange_strong(seen, SlotWord::turned(seen, SlotState::skipped),
                                                   std::memory_order_release, std::memory_order_relaxed);
    }
    // Frees what `consumer` has taken in the index-th slot, counting it once in `lost`, however often the recoverers
    // are killed; false when there is nothing.
    bool forfeit(std::int64_t index, std::int32_t consumer, std::atomic<std::uint64_t>& lost) const noexcept {
        std::uint64_t seen = look(index);
        if (SlotWord::state(seen) != SlotState::taken || SlotWord::owner(seen) != consumer) return false;
        const auto sequence = static_cast<Sequence>(seen >> SlotWord::kTagBits);
        // [M7 relaxed] one recoverer of a participant at a time: the lock that it holds orders it after the last one
        const std::uint64_t counted = lost.load(std::memory_order_relaxed);
        if (!TaggedCount::has(counted, sequence)) {
            // [M7 relaxed] one recoverer at a time; others only show the count
            lost.store(TaggedCount::next(counted, sequence), std::memory_order_relaxed);
        }
        Memory::kill_point("recover.counted");
        // [M2 release] pairs with [M2 acquire] in claim(): the dead consumer's reads, which ended before its death was
        // known to us, come before the next write. [M6 relaxed] a failed try changes and reads nothing.
        return word(index).compare_exchange_strong(seen, SlotWord::freed(seen, capacity()), std::memory_order_release,
                                                   std::memory_order_relaxed);
    }

  private:
    static std::size_t stride(RingShape shape) noexcept {
        return (sizeof(std::uint64_t) + shape.slot_bytes + kSlotStep - 1) / kSlotStep * kSlotStep;
    }

    std::byte* slot(Sequence sequence) const noexcept {
        return base_ + static_cast<std::size_t>(sequence & mask_) * stride_;
    }
    Word& word(Sequence sequence) const noexcept { return *std::launder(reinterpret_cast<Word*>(slot(sequence))); }
    std::byte* record_at(Sequence sequence) const noexcept { return slot(sequence) + sizeof(std::uint64_t); }

    static constexpr std::size_t kSlotStep = 64;  // of x86 and most others: one line; two for a record of 64 bytes
    static_assert(sizeof(Word) == sizeof(std::uint64_t), "a slot's word is eight bytes in every process");

    std::byte* base_;
    std::int64_t mask_;
    std::size_t slot_bytes_;
    std::size_t stride_;
};

}  // namespace fastmas::ringbuffer
