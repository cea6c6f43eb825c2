// Slots that say themselves which record is in them: the storage of the ring for single messages.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>

#include "ringbuffer/sequence.hpp"
#include "ringbuffer/slots.hpp"

namespace fastmas::ringbuffer {

// A slot is its word and the record; where that is more than one line, another word ends the last line. A word is the
// sequence of the record that was last written, plus one. A message then crosses with the lines it stands on and
// nothing else: no index is fetched before them. Looking at both words keeps the last line on its way at the same time
// as the first; waiting for the first only would fetch them one after the other.
// It knows no indices: the caller (a ring) may write `sequence` when its slot was read a lap ago.
template <class Memory>
class SequencedSlots {
  public:
    // A lone line of the machine, not kLineBytes: each slot has one writer and one reader.
    static constexpr std::size_t kSlotStep = 64;

    SequencedSlots(std::byte* base, RingShape shape) noexcept
        : base_(base), mask_(shape.capacity - 1), slot_bytes_(shape.slot_bytes), stride_(stride(shape)) {}

    static std::size_t bytes(RingShape shape) noexcept {
        return static_cast<std::size_t>(shape.capacity) * stride(shape);
    }
    // Every slot empty, in zeroed memory.
    static void format(std::byte* base, RingShape shape) noexcept {
        const std::size_t step = stride(shape);
        for (std::size_t slot = 0; slot < bytes(shape); slot += step) {
            new (base + slot) Word(0);
            if (step > kSlotStep) new (base + slot + step - sizeof(Word)) Word(0);
        }
    }

    std::int64_t capacity() const noexcept { return mask_ + 1; }
    std::size_t slot_bytes() const noexcept { return slot_bytes_; }

    // The end of the record is written first, with its word, so that each line is gone for once and then complete.
    void write(Sequence sequence, const std::byte* record) const noexcept {
        std::byte* const to = slot(sequence);
        const std::size_t in_first = std::min(slot_bytes_, kInFirstLine);
        if (stride_ > kSlotStep) {
            Memory::write(to + kSlotStep, record + in_first, slot_bytes_ - in_first);
            Memory::kill_point("push: last lines written");
            // [Q2 relaxed] it only says that the last line has come; the first word says that the record may be read
            last_word(to).store(sequence + 1, std::memory_order_relaxed);
            Memory::kill_point("push: last word written");
        }
        Memory::write(to + sizeof(Word), record, in_first);
        Memory::kill_point("push: written");
        // [Q1 release] pairs with [Q1 acquire] in holds(): who sees the word sees the record. Linearization point of a
        // push.
        first_word(to).store(sequence + 1, std::memory_order_release);
    }

    bool holds(Sequence sequence) const noexcept {
        std::byte* const from = slot(sequence);
        Sequence last = sequence + 1;
        // [Q2 relaxed] looked at to have the line fetched; at worst the record is seen one look later
        if (stride_ > kSlotStep) last = last_word(from).load(std::memory_order_relaxed);
        // [Q1 acquire] pairs with [Q1 release] in write(): the record is written.
        const Sequence first = first_word(from).load(std::memory_order_acquire);
        return (first == sequence + 1) & (last == sequence + 1);
    }

    // Only after holds(sequence) was true.
    void read(Sequence sequence, std::byte* out) const noexcept { Memory::read(out, at(sequence), slot_bytes_); }
    const std::byte* at(Sequence sequence) const noexcept { return slot(sequence) + sizeof(Word); }

  private:
    using Word = typename Memory::template Atom<Sequence>;
    static constexpr std::size_t kInFirstLine = kSlotStep - sizeof(Word);

    static std::size_t stride(RingShape shape) noexcept {
        if (shape.slot_bytes <= kInFirstLine) return kSlotStep;
        return (2 * sizeof(Word) + shape.slot_bytes + kSlotStep - 1) / kSlotStep * kSlotStep;
    }

    std::byte* slot(Sequence sequence) const noexcept {
        return base_ + static_cast<std::size_t>(sequence & mask_) * stride_;
    }
    static Word& first_word(std::byte* slot) noexcept { return *std::launder(reinterpret_cast<Word*>(slot)); }
    Word& last_word(std::byte* slot) const noexcept {
        return *std::launder(reinterpret_cast<Word*>(slot + stride_ - sizeof(Word)));
    }

    std::byte* base_;
    std::int64_t mask_;
    std::size_t slot_bytes_;
    std::size_t stride_;

    static_assert(sizeof(Word) == sizeof(Sequence), "a slot's word is eight bytes in every process");
};

}  // namespace fastmas::ringbuffer
