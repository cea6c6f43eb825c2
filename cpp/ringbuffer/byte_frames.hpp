// How frames of any size lie in a ring of bytes.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/errors.hpp"
#include "ringbuffer/sequence.hpp"
#include "ringbuffer/slots.hpp"

namespace fastmas::ringbuffer {

// A frame in place; `data` is nullptr when there is none.
struct ByteFrame {
    const std::byte* data;
    std::size_t bytes;
};

// A frame is a word that says how long it is, then its bytes, rounded up to words. The word is written last: it is what
// makes the frame one. Behind the last frame stands the word 0, written before that frame's own, so that whatever bytes
// lie there from the lap before are never taken for a frame. A frame lies in one piece: where it would run over the
// end, padding takes the rest of the lap, and becomes visible together with the frame behind it. It knows no positions:
// the caller (a ring) says where it owns what.
template <class Memory>
class ByteFrames {
  public:
    static constexpr std::int64_t kWord = 8;
    static constexpr std::int64_t kLeastCapacity = 64;

    static RingShape shape(std::int64_t capacity_bytes) {
        const RingShape shape = RingShape::checked(capacity_bytes, 1);
        if (capacity_bytes < kLeastCapacity)
            throw base::ConfigError("a ring of bytes must have at least " + std::to_string(kLeastCapacity) +
                                    " bytes, got " + std::to_string(capacity_bytes) + "; try " +
                                    std::to_string(kLeastCapacity));
        return shape;
    }

    ByteFrames(std::byte* base, RingShape shape) noexcept : base_(base), capacity_(shape.capacity) {}

    std::int64_t capacity() const noexcept { return capacity_; }

    // Half a lap with its word: so each fits wherever it begins, with padding in front that is shorter than itself.
    std::size_t max_bytes() const noexcept { return static_cast<std::size_t>(capacity() / 2 - kWord); }
    void check_size(std::size_t bytes) const {
        if (bytes > max_bytes())
            throw base::ConfigError("a frame in a ring of " + std::to_string(capacity()) + " bytes must have at most " +
                                    std::to_string(max_bytes()) + ", got " + std::to_string(bytes) +
                                    "; send it in parts or take a larger ring");
    }

    // What a frame at `position` takes, with the padding before it.
    std::int64_t taken_by(Sequence position, std::size_t bytes) const noexcept {
        const std::int64_t size = frame_size(bytes);
        return size > left_of_lap(position) ? left_of_lap(position) + size : size;
    }
    // How much there is to take from `next` on when everything from `read` on is in use: the word behind stays free.
    std::int64_t room(Sequence next, Sequence read) const noexcept { return capacity() - (next - read) - kWord; }

    // Nothing begins at `position`.
    void end_at(Sequence position) const noexcept {
        word(position).store(0, std::memory_order_relaxed);  // [Y2 relaxed] the word that is stored after it publishes
    }

    void write(Sequence position, const std::byte* data, std::size_t bytes) const noexcept {
        const std::int64_t total = taken_by(position, bytes);
        const std::int64_t padding = total - frame_size(bytes);
        if (bytes != 0) Memory::write(at(position + padding) + kWord, data, bytes);
        Memory::kill_point("push: written");
        end_at(position + total);
        Memory::kill_point("push: end written");
        std::uint64_t first = tagged(static_cast<std::int64_t>(bytes), kFrame);
        if (padding != 0) {
            // [Y2 relaxed] the word in front of the padding, which is stored after it, publishes
            word(position + padding).store(first, std::memory_order_relaxed);
            Memory::kill_point("push: padded");
            first = tagged(padding, kPadding);
        }
        // [Y1 release] pairs with [Y1 acquire] in look(): who sees the word sees the frame, and where it ends.
        // Linearization point of a push.
        word(position).store(first, std::memory_order_release);
    }

    // Whether a frame has begun at `position`, to a thread that does not read it.
    bool was_there(Sequence position) const noexcept {
        return word(position).load(std::memory_order_relaxed) != 0;  // [Y2 relaxed] a look; look() decides
    }

    // What the frame at `position` takes, and where it is; 0 when there is none yet.
    std::int64_t look(Sequence position, ByteFrame* frame) const {
        // [Y1 acquire] pairs with [Y1 release] in write(): the frame is written.
        std::uint64_t seen = word(position).load(std::memory_order_acquire);
        if (seen == 0) return 0;
        std::int64_t padding = 0;
        if (seen % kTags == kPadding) {
            padding = left_of_lap(position);
            if (seen != tagged(padding, kPadding)) refuse(position, seen);
            // [Y2 relaxed] the word in front of the padding has shown it
            seen = word(position + padding).load(std::memory_order_relaxed);
        }
        const std::uint64_t bytes = seen / kTags;
        if (seen % kTags != kFrame || bytes > max_bytes() || frame_size(bytes) > left_of_lap(position + padding))
            refuse(position, seen);
        if (frame != nullptr) *frame = {at(position + padding) + kWord, static_cast<std::size_t>(bytes)};
        return padding + frame_size(bytes);
    }

    // Where the frames that begin at `first` end. Throws base::InvariantError when they would not within a lap.
    Sequence end_of(Sequence first) const {
        Sequence end = first;
        while (const std::int64_t taken = look(end, nullptr)) {
            end += taken;
            if (end - first > capacity())
                throw base::InvariantError(
                    "the frames of the ring have no end: something else has written to its memory; make a new ring");
        }
        return end;
    }

  private:
    static constexpr std::uint64_t kTags = 4;
    static constexpr std::uint64_t kFrame = 1;
    static constexpr std::uint64_t kPadding = 2;

    static constexpr std::uint64_t tagged(std::int64_t bytes, std::uint64_t tag) noexcept {
        return static_cast<std::uint64_t>(bytes) * kTags + tag;
    }
    static constexpr std::int64_t frame_size(std::uint64_t bytes) noexcept {
        return kWord + (static_cast<std::int64_t>(bytes) + kWord - 1) / kWord * kWord;
    }
    std::int64_t left_of_lap(Sequence position) const noexcept { return capacity() - in_lap(position); }

    // Frames begin at words. A position that does not was written by no ring: rounded down, no word of it lies beyond
    // the end.
    std::int64_t in_lap(Sequence position) const noexcept { return position & (capacity() - kWord); }
    std::byte* at(Sequence position) const noexcept { return base_ + in_lap(position); }
    typename Memory::AtomicWord word(Sequence position) const noexcept {
        return typename Memory::AtomicWord(*reinterpret_cast<std::uint64_t*>(at(position)));
    }

    [[noreturn]] void refuse(Sequence position, std::uint64_t seen) const {
        throw base::InvariantError("no frame begins at byte " + std::to_string(in_lap(position)) +
                                   " of the ring, where one should (its word is " + std::to_string(seen) +
                                   "): something else has written to its memory; make a new ring");
    }

    std::byte* base_;
    std::int64_t capacity_;
};

}  // namespace fastmas::ringbuffer
