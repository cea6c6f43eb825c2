// The storage of a ring: fixed-size records, one after the other without gaps, so that a batch is at most two copies.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "ringbuffer/sequence.hpp"

namespace fastmas::ringbuffer {

// How many records a ring holds and how large each is; `checked` is the only way to make one.
struct RingShape {
    std::int64_t capacity;   // a power of two >= 2
    std::size_t slot_bytes;  // 1 .. kMaxSlotBytes; equals the record's size, whatever its alignment

    static constexpr std::size_t kMaxSlotBytes = std::size_t{1} << 20U;
    static constexpr std::size_t kMaxRingBytes = std::size_t{1} << 34U;

    // Throws base::ConfigError with the rule, the value given and the cure.
    static RingShape checked(std::int64_t capacity, std::int64_t slot_bytes);

    std::size_t bytes() const noexcept { return static_cast<std::size_t>(capacity) * slot_bytes; }
};

// Zeroed, line-aligned memory, touched once so that the first lap of a ring meets no page fault.
class Block {
  public:
    Block() noexcept = default;
    explicit Block(std::size_t bytes);
    std::byte* data() const noexcept { return data_.get(); }

  private:
    struct Free {
        void operator()(std::byte* pointer) const noexcept;
    };
    std::unique_ptr<std::byte, Free> data_;
};

// Where the records of a ring lie. It knows no indices: the caller (a ring) owns [first, first + count) when it reads
// or writes. O(bytes) copies, no branches but the wrap.
template <class Memory>
class Slots {
  public:
    Slots(std::byte* base, RingShape shape) noexcept
        : base_(base), mask_(shape.capacity - 1), slot_bytes_(shape.slot_bytes) {}

    std::int64_t capacity() const noexcept { return mask_ + 1; }
    std::size_t slot_bytes() const noexcept { return slot_bytes_; }

    std::byte* at(Sequence sequence) const noexcept {
        return base_ + static_cast<std::size_t>(sequence & mask_) * slot_bytes_;
    }

    void write_one(Sequence sequence, const std::byte* record) const noexcept {
        Memory::write(at(sequence), record, slot_bytes_);
    }

    void read_one(Sequence sequence, std::byte* out) const noexcept { Memory::read(out, at(sequence), slot_bytes_); }

    void write_many(Sequence first, const std::byte* records, std::int64_t count) const noexcept {
        const std::size_t before_wrap = bytes_before_wrap(first, count);
        const std::size_t all = static_cast<std::size_t>(count) * slot_bytes_;
        if (before_wrap != 0) Memory::write(at(first), records, before_wrap);
        if (all != before_wrap) Memory::write(base_, records + before_wrap, all - before_wrap);
    }

    void read_many(Sequence first, std::byte* out, std::int64_t count) const noexcept {
        const std::size_t before_wrap = bytes_before_wrap(first, count);
        const std::size_t all = static_cast<std::size_t>(count) * slot_bytes_;
        if (before_wrap != 0) Memory::read(out, at(first), before_wrap);
        if (all != before_wrap) Memory::read(out + before_wrap, base_, all - before_wrap);
    }

    // How many of `count` records from `first` on lie one after the other.
    std::int64_t before_wrap(Sequence first, std::int64_t count) const noexcept {
        return std::min(count, capacity() - (first & mask_));
    }

  private:
    std::size_t bytes_before_wrap(Sequence first, std::int64_t count) const noexcept {
        return static_cast<std::size_t>(before_wrap(first, count)) * slot_bytes_;
    }

    std::byte* base_;
    std::int64_t mask_;
    std::size_t slot_bytes_;
};

}  // namespace fastmas::ringbuffer
