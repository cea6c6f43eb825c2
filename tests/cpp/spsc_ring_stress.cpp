// Two threads, small and large rings, singles and batches; for ThreadSanitizer, and for real reordering without it.
#include <string>
#include <thread>
#include <vector>

#include "base/prng.hpp"
#include "check.hpp"
#include "ringbuffer/spsc_ring.hpp"
#include "stress_record.hpp"

using fastmas::base::Prng;
using fastmas::ringbuffer::RingShape;
using namespace fastmas::testing;
using Ring = fastmas::ringbuffer::SpscRing<>;

namespace {

constexpr std::uint64_t kRecords = 200'000;

void produce(Ring& ring, std::uint64_t producer, bool batches) {
    Prng prng(producer);
    StressRecord batch[32];
    for (std::uint64_t sequence = 0; sequence < kRecords;) {
        if (batches) {
            const auto wanted = std::min<std::uint64_t>(1 + prng.below(32), kRecords - sequence);
            for (std::uint64_t i = 0; i < wanted; ++i) batch[i] = StressRecord::of(producer, sequence + i);
            const auto taken = ring.push_many(bytes_of(batch), static_cast<std::int64_t>(wanted));
            sequence += static_cast<std::uint64_t>(taken);
            if (taken == 0) std::this_thread::yield();
        } else {
            const auto record = StressRecord::of(producer, sequence);
            if (ring.try_push(bytes_of(&record)))
                ++sequence;
            else
                std::this_thread::yield();
        }
    }
}

// The consumer alternates between all ways to read.
void consume(Ring& ring, std::uint64_t producer, bool batches) {
    Prng prng(~producer);
    StressRecord batch[32];
    for (std::uint64_t sequence = 0; sequence < kRecords;) {
        std::int64_t taken = 0;
        if (batches) {
            taken = ring.pop_many(bytes_of(batch), static_cast<std::int64_t>(1 + prng.below(32)));
        } else if (prng.below(2) == 0) {
            taken = ring.try_pop(bytes_of(batch)) ? 1 : 0;
        } else if (const std::byte* front = ring.front(); front != nullptr) {
            std::memcpy(&batch[0], front, sizeof batch[0]);
            ring.pop_front();
            taken = 1;
        }
        for (std::int64_t i = 0; i < taken; ++i)
            check_record(batch[i], producer, sequence + static_cast<std::uint64_t>(i));
        sequence += static_cast<std::uint64_t>(taken);
        if (taken == 0) std::this_thread::yield();
    }
}

void run(std::int64_t capacity, bool batches_in, bool batches_out) {
    Ring ring(RingShape::checked(capacity, sizeof(StressRecord)));
    std::string failure;
    std::thread consumer([&] {
        try {
            consume(ring, 5, batches_out);
        } catch (const Failure& caught) {
            failure = caught.text;
            // The producer must not be left in front of a full ring.
            StressRecord rest[32];
            while (ring.popped() < static_cast<std::int64_t>(kRecords)) {
                if (ring.pop_many(bytes_of(rest), 32) == 0) std::this_thread::yield();
            }
        }
    });
    std::thread observer([&] {
        while (ring.popped() < static_cast<std::int64_t>(kRecords)) {
            const auto size = ring.was_size();
            if (size < 0 || size > capacity) std::abort();
            std::this_thread::yield();
        }
    });
    produce(ring, 5, batches_in);
    consumer.join();
    observer.join();
    CHECK_EQUAL(failure, std::string());
    CHECK_EQUAL(ring.pushed(), static_cast<std::int64_t>(kRecords));
    CHECK(ring.was_empty());
}

}  // namespace

TEST(singles_through_two_slots) {
    run(2, false, false);
}
TEST(singles_through_a_large_ring) {
    run(1024, false, false);
}
TEST(batches_through_a_small_ring) {
    run(16, true, true);
}
TEST(batches_in_singles_out) {
    run(64, true, false);
}
TEST(singles_in_batches_out) {
    run(64, false, true);
}

TEST_MAIN
