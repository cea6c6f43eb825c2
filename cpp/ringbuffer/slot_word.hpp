// The word in front of each slot of a ring with many producers: which lap the slot is in, what state it is in there,
// and whose it is. All three in one word, so that a claim and the name of its owner are one step, whatever instant the
// owner is killed at.
#pragma once

#include <cstdint>

#include "ringbuffer/sequence.hpp"

namespace fastmas::ringbuffer {

// The life of a slot for the sequence s; the next one is s + capacity:
//     free -- push --> claimed -- push --> published -- pop --> taken -- pop --> free for s + capacity
//     claimed -- its producer is dead --> skipped -- pop --> free for s + capacity
//     taken -- its consumer is dead --> free for s + capacity
enum class SlotState : std::uint64_t { free = 0, claimed = 1, published = 2, skipped = 3, taken = 4 };

// Plain arithmetic. The sequence is kept modulo 2^55: words are compared for equality, and differences are those of
// sequences that are at most a few laps apart (a thread would have to sleep through 2^54 records to be mistaken).
class SlotWord {
  public:
    static constexpr unsigned kOwnerBits = 6;
    static constexpr unsigned kStateBits = 3;
    static constexpr unsigned kTagBits = kOwnerBits + kStateBits;

    static constexpr std::uint64_t of(Sequence sequence, SlotState state, std::int32_t owner = 0) noexcept {
        return static_cast<std::uint64_t>(sequence) << kTagBits | static_cast<std::uint64_t>(state) << kOwnerBits |
               static_cast<std::uint64_t>(owner);
    }
    static constexpr SlotState state(std::uint64_t word) noexcept {
        return static_cast<SlotState>(word >> kOwnerBits & ((1U << kStateBits) - 1));
    }
    static constexpr std::int32_t owner(std::uint64_t word) noexcept {
        return static_cast<std::int32_t>(word & ((1U << kOwnerBits) - 1));
    }
    // How far the word's sequence is beyond `sequence`: a multiple of the capacity, 0 in the same lap.
    static constexpr std::int64_t ahead(std::uint64_t word, Sequence sequence) noexcept {
        const std::uint64_t distance = (word & ~kTagMask) - (static_cast<std::uint64_t>(sequence) << kTagBits);
        return static_cast<std::int64_t>(distance) >> kTagBits;
    }
    // How many records a thread may sleep through. A word that is farther ahead was written by no ring, and is not
    // followed: a few of those could send who does in circles.
    static constexpr std::int64_t kFarthest = std::int64_t{1} << 53U;
    // The word of the same slot a lap later, free.
    static constexpr std::uint64_t freed(std::uint64_t word, std::int64_t capacity) noexcept {
        return (word & ~kTagMask) + (static_cast<std::uint64_t>(capacity) << kTagBits);
    }
    // The same sequence in another state.
    static constexpr std::uint64_t turned(std::uint64_t word, SlotState state) noexcept {
        return (word & ~kTagMask) | static_cast<std::uint64_t>(state) << kOwnerBits;
    }

  private:
    static constexpr std::uint64_t kTagMask = (std::uint64_t{1} << kTagBits) - 1;
};

// How many of some rare thing were counted, and for which sequence last, in one word: who repeats a step that somebody
// was killed in counts the same sequence only once. Of the sequence the low 40 bits are kept, so a count could be
// missed only if the one before it was exactly a multiple of 2^40 records earlier; at most 2^24 are counted.
class TaggedCount {
  public:
    static constexpr std::uint64_t next(std::uint64_t counted, Sequence sequence) noexcept {
        return tag(sequence) << kCountBits | (count(counted) + 1);
    }
    static constexpr bool has(std::uint64_t counted, Sequence sequence) noexcept {
        return count(counted) != 0 && counted >> kCountBits == tag(sequence);
    }
    static constexpr std::uint64_t count(std::uint64_t counted) noexcept {
        return counted & ((std::uint64_t{1} << kCountBits) - 1);
    }

  private:
    static constexpr unsigned kCountBits = 24;
    static constexpr std::uint64_t tag(Sequence sequence) noexcept {
        return static_cast<std::uint64_t>(sequence) & ((std::uint64_t{1} << (64 - kCountBits)) - 1);
    }
};

}  // namespace fastmas::ringbuffer
