// ByteRing on one thread: frames of every size around the wrap against a deque, stale bytes, deaths at every step.
#include "ringbuffer/byte_ring.hpp"

#include <cstring>
#include <deque>
#include <string>
#include <vector>

#include "base/errors.hpp"
#include "base/prng.hpp"
#include "check.hpp"
#include "crash_memory.hpp"

using fastmas::base::ConfigError;
using fastmas::base::InvariantError;
using fastmas::base::Prng;
using fastmas::testing::Body;
using fastmas::testing::Crash;
using fastmas::testing::CrashMemory;
using Ring = fastmas::ringbuffer::ByteRing<>;
using CrashRing = fastmas::ringbuffer::ByteRing<CrashMemory>;
using Bytes = std::vector<std::byte>;

namespace {

Bytes frame_of(std::uint64_t sequence, std::size_t bytes) {
    Bytes frame(bytes);
    Prng prng(sequence);
    for (auto& byte : frame) byte = static_cast<std::byte>(prng.next());
    return frame;
}

// Words that each look like a frame of no bytes, or like padding: what must not be taken for one when it is stale.
Bytes deceiving(std::size_t bytes, std::uint64_t word) {
    Bytes frame(bytes);
    for (std::size_t i = 0; i + 8 <= bytes; i += 8) std::memcpy(frame.data() + i, &word, 8);
    return frame;
}

template <class R>
bool push(R& ring, const Bytes& frame) {
    return ring.try_push(frame.data(), frame.size());
}

template <class R>
bool pop(R& ring, Bytes& out) {
    out.resize(ring.max_frame_bytes());
    std::size_t bytes = 0;
    if (ring.try_pop(out.data(), out.size(), &bytes) != R::Popped::done) return false;
    out.resize(bytes);
    return true;
}

std::int64_t size_of(std::size_t bytes) {
    return 8 + static_cast<std::int64_t>((bytes + 7) / 8 * 8);
}

}  // namespace

TEST(capacity_says_rule_value_and_cure) {
    CHECK_THROWS(Ring::shape(100), ConfigError, "capacity must be a power of two >= 2, got 100; try 128");
    CHECK_THROWS(Ring::shape(32), ConfigError, "a ring of bytes must have at least 64 bytes, got 32; try 64");
    Ring ring(Ring::shape(64));
    CHECK_EQUAL(ring.capacity(), 64);
    CHECK_EQUAL(ring.max_frame_bytes(), 24U);
}

TEST(too_large_a_frame_is_refused_with_the_bound) {
    Ring ring(Ring::shape(128));
    Bytes frame(57);
    CHECK_THROWS(push(ring, frame), ConfigError,
                 "a frame in a ring of 128 bytes must have at most 56, got 57; send it in parts or take a larger ring");
    CHECK(ring.was_empty());
    frame.resize(56);
    CHECK(push(ring, frame));
}

TEST(the_largest_frame_fits_wherever_it_begins) {
    for (std::int64_t offset = 0; offset < 256; offset += 8) {
        Ring ring(Ring::shape(256));
        Bytes out;
        for (std::int64_t at = 0; at < offset; at += 8) {
            CHECK(push(ring, {}));
            CHECK(pop(ring, out));
            CHECK(out.empty());
        }
        const Bytes frame = frame_of(1, ring.max_frame_bytes());
        CHECK(ring.has_room(frame.size()));
        CHECK(push(ring, frame));
        CHECK(pop(ring, out));
        CHECK(out == frame);
        CHECK(ring.was_empty());
    }
}

TEST(empty_frames_are_frames) {
    Ring ring(Ring::shape(64));
    int pushed = 0;
    while (push(ring, {})) ++pushed;
    CHECK_EQUAL(pushed, 7);  // eight words, of which one ends the last frame
    CHECK_EQUAL(ring.was_bytes(), 56);
    Bytes out;
    for (int i = 0; i < pushed; ++i) {
        CHECK(pop(ring, out));
        CHECK(out.empty());
    }
    CHECK(!pop(ring, out));
    CHECK_EQUAL(ring.pushed(), 7);
    CHECK_EQUAL(ring.popped(), 7);
}

TEST(frames_of_random_sizes_against_a_deque) {
    for (const std::int64_t capacity : {64, 128, 512, 4096}) {
        Ring ring(Ring::shape(capacity));
        std::deque<Bytes> model;
        Prng prng(static_cast<std::uint64_t>(capacity));
        std::uint64_t sequence = 0;
        for (int step = 0; step < 20'000; ++step) {
            if (prng.below(2) == 0) {
                const auto bytes = static_cast<std::size_t>(
                    prng.between(0, static_cast<std::int64_t>(ring.max_frame_bytes()) >> prng.below(4)));
                // Half of the frames are made of words that look like others.
                const Bytes frame =
                    prng.below(2) == 0 ? frame_of(sequence, bytes) : deceiving(bytes, 1 + prng.below(64));
                const bool fits = ring.has_room(bytes);
                CHECK_EQUAL(push(ring, frame), fits);
                if (!fits) continue;
                model.push_back(frame);
                ++sequence;
            } else {
                Bytes out;
                CHECK_EQUAL(pop(ring, out), !model.empty());
                if (model.empty()) continue;
                CHECK(out == model.front());
                model.pop_front();
            }
            CHECK_EQUAL(ring.was_empty(), model.empty());
            std::int64_t least = 0;
            for (const Bytes& frame : model) least += size_of(frame.size());
            CHECK(ring.was_bytes() >= least && ring.was_bytes() <= capacity - 8);
        }
        CHECK_EQUAL(ring.pushed(), static_cast<std::int64_t>(sequence));
        CHECK_EQUAL(ring.pushed() - ring.popped(), static_cast<std::int64_t>(model.size()));
    }
}

// Whatever an old frame held where the next one's word will be, nothing is there until it is pushed.
TEST(stale_bytes_are_never_a_frame) {
    for (std::uint64_t word = 1; word < 256; ++word) {
        Ring ring(Ring::shape(128));
        Bytes out;
        for (std::uint64_t lap = 0; lap < 12; ++lap) {
            CHECK(push(ring, deceiving(56 - lap % 5 * 8, word)));
            CHECK(pop(ring, out));
            CHECK(ring.front().data == nullptr);
        }
    }
}

TEST(front_stays_and_a_buffer_that_is_too_small_changes_nothing) {
    Ring ring(Ring::shape(128));
    CHECK(push(ring, frame_of(1, 20)));
    const auto front = ring.front();
    CHECK_EQUAL(front.bytes, 20U);
    CHECK(std::memcmp(front.data, frame_of(1, 20).data(), 20) == 0);
    Bytes out(24, std::byte{0xAB});
    std::size_t bytes = 0;
    CHECK(ring.try_pop(out.data(), 19, &bytes) == Ring::Popped::too_long);
    CHECK_EQUAL(bytes, 20U);
    CHECK(out[0] == std::byte{0xAB});
    CHECK_EQUAL(ring.popped(), 0);
    CHECK(ring.front().data == front.data);
    CHECK(ring.try_pop(out.data(), 20, &bytes) == Ring::Popped::done);
    CHECK(out[20] == std::byte{0xAB});
    CHECK(ring.try_pop(out.data(), 20, &bytes) == Ring::Popped::nothing);
}

// The other side of shared memory may hold anything: what is no frame is refused, not read beyond the ring.
TEST(memory_that_something_else_has_written_to_is_refused) {
    const auto shape = Ring::shape(128);
    for (const std::uint64_t word : {std::uint64_t{3}, std::uint64_t{4}, std::uint64_t{57 * 4 + 1},
                                     ~std::uint64_t{0} - 2, std::uint64_t{64 * 4 + 2}, std::uint64_t{128 * 4 + 2}}) {
        const Body<Ring> body(shape);
        auto ring = body.view();
        std::memcpy(body.data() + body.bytes() - 128, &word, 8);
        CHECK_THROWS(ring.front(), InvariantError,
                     "no frame begins at byte 0 of the ring, where one should (its word is " + std::to_string(word));
    }
}

TEST(nothing_is_written_beside_the_ring) {
    const auto shape = Ring::shape(64);
    Bytes memory(Ring::body_bytes(shape) + 384, std::byte{0});
    auto* body = memory.data();
    while (reinterpret_cast<std::uintptr_t>(body) % fastmas::ringbuffer::kLineBytes != 0) ++body;
    std::byte* const end = body + Ring::body_bytes(shape);
    for (std::byte* after = end; after != memory.data() + memory.size(); ++after) *after = std::byte{0xAB};
    Ring::format(body, shape);
    Ring ring(body, shape);
    Bytes out;
    for (std::uint64_t i = 0; i < 1000; ++i) {
        CHECK(push(ring, frame_of(i, i % 25)));
        CHECK(pop(ring, out));
        CHECK(out == frame_of(i, i % 25));
    }
    for (std::byte* after = end; after != memory.data() + memory.size(); ++after) CHECK(*after == std::byte{0xAB});
}

// ---- a holder that died in the middle of a call

namespace {

// A ring of 128 bytes whose next frame begins at `offset`, with one frame in it where `held`.
void bring_to(CrashRing& ring, std::int64_t offset, bool held) {
    Bytes out;
    for (std::int64_t at = 0; at < offset; at += 8) {
        CHECK(push(ring, {}));
        if (!held || at + 8 < offset) CHECK(pop(ring, out));
    }
}

}  // namespace

TEST(a_producer_that_died_at_any_step_is_replaced) {
    const auto shape = CrashRing::shape(128);
    std::size_t crashes = 0;
    for (std::int64_t offset = 8; offset <= 128; offset += 8) {
        for (const std::size_t bytes : {0U, 1U, 24U, 40U, 56U}) {
            const Body<CrashRing> body(shape);
            auto ring = body.view();
            bring_to(ring, offset, true);
            const std::int64_t before = ring.pushed();
            const auto begins = ring.next_to_push();
            CrashMemory::watch(body.data(), body.bytes());
            const bool pushed = push(ring, deceiving(bytes, 1));
            auto all = CrashMemory::unwatch();
            if (!pushed) continue;
            bool there = false;
            for (const Crash& crash : all) {
                ++crashes;
                const Body<CrashRing> left(shape, crash);
                auto survivor = left.view();
                survivor.resume_producer();
                CHECK(!there || survivor.next_to_push() != begins);  // once it is there, it stays
                there = survivor.next_to_push() != begins;
                // The count is exact but for a death between its two notes.
                const bool counted = there && crash.step != "push: position noted";
                CHECK_EQUAL(survivor.pushed(), before + (counted ? 1 : 0));
                Bytes out;
                CHECK(pop(survivor, out));
                CHECK(out.empty());
                if (there) {
                    CHECK(pop(survivor, out));
                    CHECK(out == deceiving(bytes, 1));
                }
                CHECK(!pop(survivor, out));
                const Bytes next = frame_of(9, 8);
                CHECK(push(survivor, next));
                CHECK(pop(survivor, out));
                CHECK(out == next);
                CHECK(!pop(survivor, out));
                CHECK(survivor.was_empty());
            }
            CHECK(there);
        }
    }
    CHECK(crashes > 200);
}

TEST(a_consumer_that_died_at_any_step_is_replaced) {
    const auto shape = CrashRing::shape(128);
    std::size_t crashes = 0;
    for (std::int64_t offset = 0; offset <= 128; offset += 8) {
        for (const std::size_t bytes : {0U, 24U, 40U}) {
            const Body<CrashRing> body(shape);
            auto ring = body.view();
            bring_to(ring, offset, false);
            CHECK(push(ring, frame_of(1, bytes)));
            CHECK(push(ring, frame_of(2, 8)));
            Bytes out;
            CrashMemory::watch(body.data(), body.bytes());
            CHECK(pop(ring, out));
            bool gone = false;
            for (const Crash& crash : CrashMemory::unwatch()) {
                ++crashes;
                const Body<CrashRing> left(shape, crash);
                auto survivor = left.view();
                survivor.resume_consumer();
                CHECK(pop(survivor, out));
                // Once it was given back it does not come again; until then it does.
                const bool first = out == frame_of(1, bytes);
                CHECK(!(gone && first));
                gone = !first;
                if (first) CHECK(pop(survivor, out));
                CHECK(out == frame_of(2, 8));
                CHECK(!pop(survivor, out));
                CHECK(survivor.has_room(survivor.max_frame_bytes()));
            }
            CHECK(gone);
        }
    }
    CHECK(crashes > 100);
}

TEST_MAIN
