// What every ring is made of: sequence numbers, the spacing that keeps two threads off one cache line, and the memory
// that the algorithms run on (the machine's, or a test's model of it).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#if defined(__x86_64__)
#include <emmintrin.h>
#endif

namespace fastmas::ringbuffer {

// Number of a record, from 0. It never wraps: at 10^9 records a second int64 lasts 292 years.
using Sequence = std::int64_t;

// Lines are prefetched in pairs on x86, so what different threads write stands two lines apart.
inline constexpr std::size_t kLineBytes = 128;

// The memory that a ring runs on: its atomics, the copies in and out of its slots, and its pauses. Rings are templates
// over it so that tests drive the very same code on a model that explores interleavings and stale reads.
struct HardwareMemory {
    template <class T>
    using Atom = std::atomic<T>;

    // A word of a slot that is read while it may be written.
    using AtomicWord = std::atomic_ref<std::uint64_t>;

    // Copies between a caller's buffer and a slot, which never overlap. A call of memcpy costs as much as the rest of a
    // push, so sizes that messages have are copied in place.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
    // Inlined where the record's size is known but `bytes` is not, the branches not taken look out of bounds.
#pragma GCC diagnostic ignored "-Warray-bounds"
#pragma GCC diagnostic ignored "-Wstringop-overread"
#pragma GCC diagnostic ignored "-Wstringop-overflow"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
    // A caller has most likely just filled its record, field by field. Loads wider than those stores would have to wait
    // until they have left the store buffer, which they do after the slots written before: that would cost the time
    // that a line takes from core to core, for every record. So what goes into a slot goes by words.
    static void write(std::byte* slot, const std::byte* from, std::size_t bytes) noexcept {
        if (bytes > 128 || bytes < 8) {
            std::memcpy(slot, from, bytes);
            return;
        }
        std::size_t done = 0;
        for (; done + 16 <= bytes; done += 16) copy_pair(slot + done, from + done);
        if (bytes - done >= 8) copy_word(slot + done, from + done);
        if (bytes % 8 != 0) copy_word(slot + bytes - 8, from + bytes - 8);
    }

    // Out of a slot two moves that may overlap: the words that the caller reads lie within them.
    static void read(std::byte* to, const std::byte* from, std::size_t bytes) noexcept {
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
    // Lets the other threads of this core go first for a moment; a few nanoseconds.
    static void relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        asm volatile("yield");
#endif
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
    // 16 bytes: loaded as two words, stored as one piece where the machine can, so that few stores wait for a line. In
    // assembly, or the compiler joins the loads.
    static void copy_pair(std::byte* to, const std::byte* from) noexcept {
#if defined(__x86_64__) && defined(__GNUC__)
        __m128i pair;
        asm("movq %1, %0" : "=x"(pair) : "m"(*reinterpret_cast<const PackedWord*>(from)));
        asm("movhps %1, %0" : "+x"(pair) : "m"(*reinterpret_cast<const PackedWord*>(from + 8)));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to), pair);
#else
        copy_word(to, from);
        copy_word(to + 8, from + 8);
#endif
    }
    static void copy_word(std::byte* to, const std::byte* from) noexcept {
        std::uint64_t word;
        std::memcpy(&word, from, 8);
        std::memcpy(to, &word, 8);
    }
#if defined(__x86_64__) && defined(__GNUC__)
    struct [[gnu::packed, gnu::may_alias]] PackedWord {
        std::uint64_t value;
    };
#endif
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
};

static_assert(std::atomic<Sequence>::is_always_lock_free, "a ring in shared memory cannot hold a lock of one process");

}  // namespace fastmas::ringbuffer
