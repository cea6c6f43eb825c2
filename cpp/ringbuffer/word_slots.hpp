// Slots that may be overwritten while they are being read: records copied word by word, each word an atomic of its own.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "ringbuffer/sequence.hpp"
#include "ringbuffer/slots.hpp"

namespace fastmas::ringbuffer {

// Where the records of a ring lie whose producer does not wait for its readers. A slot is the record, padded to whole
// words. A reader may copy words of two laps: whether it did is for the ring to find out, which it can, because
//   [O1] who reads a word also sees all that its writer did before it wrote the word.
// On x86 and in ARM's load-acquire these are plain moves, one for each eight bytes; a fence would order all words at
// once, but neither ThreadSanitizer nor the model could follow it.
template <class Memory>
class WordSlots {
  public:
    static constexpr std::size_t kWord = sizeof(std::uint64_t);

    static std::size_t stride(RingShape shape) noexcept { return (shape.slot_bytes + kWord - 1) / kWord * kWord; }
    static std::size_t bytes(RingShape shape) noexcept {
        return static_cast<std::size_t>(shape.capacity) * stride(shape);
    }

    WordSlots(std::byte* base, RingShape shape) noexcept
        : base_(base), mask_(shape.capacity - 1), slot_bytes_(shape.slot_bytes), stride_(stride(shape)) {}

    std::int64_t capacity() const noexcept { return mask_ + 1; }
    std::size_t slot_bytes() const noexcept { return slot_bytes_; }

    void write_many(Sequence first, const std::byte* records, std::int64_t count) const noexcept {
        for (std::int64_t i = 0; i < count; ++i)
            write_one(first + i, records + static_cast<std::size_t>(i) * slot_bytes_);
    }
    void read_many(Sequence first, std::byte* out, std::int64_t count) const noexcept {
        for (std::int64_t i = 0; i < count; ++i) read_one(first + i, out + static_cast<std::size_t>(i) * slot_bytes_);
    }

    void write_one(Sequence sequence, const std::byte* record) const noexcept {
        std::byte* slot = at(sequence);
        std::size_t done = 0;
        for (; done + kWord <= slot_bytes_; done += kWord) write_word(slot + done, record + done, kWord);
        if (done < slot_bytes_) write_word(slot + done, record + done, slot_bytes_ - done);
    }

    void read_one(Sequence sequence, std::byte* out) const noexcept {
        std::byte* slot = at(sequence);
        std::size_t done = 0;
        for (; done + kWord <= slot_bytes_; done += kWord) read_word(slot + done, out + done, kWord);
        if (done < slot_bytes_) read_word(slot + done, out + done, slot_bytes_ - done);
    }

  private:
    using Word = typename Memory::AtomicWord;

    std::byte* at(Sequence sequence) const noexcept {
        return base_ + static_cast<std::size_t>(sequence & mask_) * stride_;
    }

    static Word word_at(std::byte* at) noexcept { return Word(*reinterpret_cast<std::uint64_t*>(at)); }

    static void write_word(std::byte* slot, const std::byte* from, std::size_t bytes) noexcept {
        std::uint64_t word = 0;
        std::memcpy(&word, from, bytes);
        // [O1 release] pairs with [O1 acquire] in read_word(): see above
        word_at(slot).store(word, std::memory_order_release);
        Memory::kill_point("write: a word");
    }

    static void read_word(std::byte* slot, std::byte* to, std::size_t bytes) noexcept {
        // [O1 acquire] pairs with [O1 release] in write_word(): see above
        const std::uint64_t word = word_at(slot).load(std::memory_order_acquire);
        std::memcpy(to, &word, bytes);
    }

    std::byte* base_;
    std::int64_t mask_;
    std::size_t slot_bytes_;
    std::size_t stride_;
};

}  // namespace fastmas::ringbuffer
