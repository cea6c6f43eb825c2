// What every ring is made of: sequence numbers, the spacing that keeps two threads off one cache line, and the memory
// that the algorithms run on (the machine's, or a test's model of it).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace fastmas::ringbuffer {

// Number of a record, from 0. It never wraps: at 10^9 records a second int64 lasts 292 years.
using Sequence = std::int64_t;

// Lines are prefetched in pairs on x86, so what different threads write stands two lines apart.
inline constexpr std::size_t kLineBytes = 128;

// The memory that a ring runs on: its atomics, and the copies in and out of its slots. Rings are templates over it so
// that tests drive the very same code on a model that explores interleavings and stale reads.
struct HardwareMemory {
    template <class T>
    using Atom = std::atomic<T>;

    // A word of a slot that is read while it may be written.
    using AtomicWord = std::atomic_ref<std::uint64_t>;

    // Copies between a caller's buffer and a slot, which never overlap. Sizes that messages have become two register
    // moves that may overlap each other: a call of memcpy costs as much as the rest of a push.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
    // Inlined where the record's size is known but `bytes` is not, the branches not taken look out of bounds.
#pragma GCC diagnostic ignored "-Warray-bounds"
#pragma GCC diagnostic ignored "-Wstringop-overread"
#pragma GCC diagnostic ignored "-Wstringop-overflow"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
    static void copy(std::byte* to, const std::byte* from, std::size_t bytes) noexcept {
        if (bytes > 64 || bytes < 8) {
            std::memcpy(to, from, bytes);
        } else if (bytes >= 32) {
            copy_ends<32>(to, from, bytes);
        } else if (bytes >= 16) {
            copy_ends<16>(to, from, bytes);
        } else {
            copy_ends<8>(to, from, bytes);
        }
    }
    static void write(std::byte* slot, const std::byte* from, std::size_t bytes) noexcept {
        copy(slot, from, bytes);
    }
    static void read(std::byte* to, const std::byte* slot, std::size_t bytes) noexcept {
        copy(to, slot, bytes);
    }

    // Where a test may end the process, to see that the survivors go on; nothing here.
    static constexpr void kill_point(const char*) noexcept {}

  private:
    template <std::size_t kBytes>
    static void copy_ends(std::byte* to, const std::byte* from, std::size_t bytes) noexcept {
        std::byte head[kBytes];
        std::byte tail[kBytes];
        std::memcpy(head, from, kBytes);
        std::memcpy(tail, from + bytes - kBytes, kBytes);
        std::memcpy(to, head, kBytes);
        std::memcpy(to + bytes - kBytes, tail, kBytes);
    }
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
};

static_assert(std::atomic<Sequence>::is_always_lock_free, "a ring in shared memory cannot hold a lock of one process");

}  // namespace fastmas::ringbuffer
