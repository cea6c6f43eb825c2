// Two threads and frames of all sizes through small and large rings; every byte is a function of the frame's number.
// For ThreadSanitizer, and for real reordering without it.
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "base/prng.hpp"
#include "check.hpp"
#include "ringbuffer/byte_ring.hpp"

using fastmas::base::Prng;
using namespace fastmas::testing;
using Ring = fastmas::ringbuffer::ByteRing<>;

namespace {

constexpr std::uint64_t kFrames = 60'000;

std::size_t bytes_of(std::uint64_t number, std::size_t most) {
    Prng prng(number);
    return static_cast<std::size_t>(prng.below(most + 1)) >> prng.below(5);
}

void fill(std::byte* frame, std::size_t bytes, std::uint64_t number) {
    for (std::size_t i = 0; i < bytes; ++i) frame[i] = static_cast<std::byte>(number * 31 + i * 7 + (number >> 8U));
}

void consume(Ring& ring) {
    std::vector<std::byte> out(ring.max_frame_bytes());
    std::vector<std::byte> wanted(ring.max_frame_bytes());
    for (std::uint64_t number = 0; number < kFrames;) {
        std::size_t bytes = 0;
        const std::byte* frame = out.data();
        // By turns into a buffer and in place.
        if (number % 2 == 0) {
            if (ring.try_pop(out.data(), out.size(), &bytes) == Ring::Popped::nothing) {
                std::this_thread::yield();
                continue;
            }
        } else {
            const auto front = ring.front();
            if (front.data == nullptr) {
                std::this_thread::yield();
                continue;
            }
            frame = front.data;
            bytes = front.bytes;
        }
        CHECK_EQUAL(bytes, bytes_of(number, ring.max_frame_bytes()));
        fill(wanted.data(), bytes, number);
        if (bytes != 0 && std::memcmp(frame, wanted.data(), bytes) != 0)
            fail(__FILE__, __LINE__, "frame " + std::to_string(number) + " is torn");
        if (number % 2 != 0) ring.pop_front();
        ++number;
    }
}

void run(std::int64_t capacity) {
    Ring ring(Ring::shape(capacity));
    std::thread consumer([&] {
        try {
            consume(ring);
        } catch (const Failure& caught) {
            // The producer must not be left in front of a full ring.
            std::fprintf(stderr, "%s\n", caught.text.c_str());
            std::abort();
        }
    });
    std::thread observer([&] {
        while (ring.popped() < static_cast<std::int64_t>(kFrames)) {
            const auto bytes = ring.was_bytes();
            if (bytes < 0 || bytes > capacity) std::abort();
            std::this_thread::yield();
        }
    });
    std::vector<std::byte> frame(ring.max_frame_bytes());
    for (std::uint64_t number = 0; number < kFrames; ++number) {
        const std::size_t bytes = bytes_of(number, ring.max_frame_bytes());
        fill(frame.data(), bytes, number);
        while (!ring.try_push(frame.data(), bytes)) std::this_thread::yield();
    }
    consumer.join();
    observer.join();
    CHECK_EQUAL(ring.pushed(), static_cast<std::int64_t>(kFrames));
    CHECK(ring.was_empty());
}

}  // namespace

TEST(frames_through_64_bytes) {
    run(64);
}
TEST(frames_through_512_bytes) {
    run(512);
}
TEST(frames_through_16_kilobytes) {
    run(16384);
}

TEST_MAIN
