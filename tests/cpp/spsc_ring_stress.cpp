// Two threads, small and large rings, singles and batches; for ThreadSanitizer, and for real reordering without it.
#include <string>
#include <thread>
#include <vector>

#include "base/prng.hpp"
#include "check.hpp"
#include "ringbuffer/sequenced_spsc_ring.hpp"
#include "ringbuffer/spsc_ring.hpp"
#include "stress_record.hpp"

using fastmas::base::Prng;
using fastmas::ringbuffer::RingShape;
using namespace fastmas::testing;
using Contiguous = fastmas::ringbuffer::SpscRing<>;
using Sequenced = fastmas::ringbuffer::SequencedSpscRing<>;

namespace {

constexpr std::uint64_t kRecords = 200'000;

// Two records in one: on two lines of a sequenced slot.
struct WideRecord {
    StressRecord first;
    StressRecord second;

    static WideRecord of(std::uint64_t producer, std::uint64_t sequence) {
        return {StressRecord::of(producer, sequence), StressRecord::of(~producer, sequence)};
    }
};

void check_whole(const StressRecord& got, std::uint64_t producer, std::uint64_t sequence) {
    check_record(got, producer, sequence);
}
void check_whole(const WideRecord& got, std::uint64_t producer, std::uint64_t sequence) {
    check_record(got.first, producer, sequence);
    check_record(got.second, ~producer, sequence);
}
template <class Record>
std::byte* raw(Record* record) {
    return reinterpret_cast<std::byte*>(record);
}

template <class Record, class Ring>
void produce(Ring& ring, std::uint64_t producer, bool batches) {
    Prng prng(producer);
    Record batch[32];
    for (std::uint64_t sequence = 0; sequence < kRecords;) {
        if (batches) {
            const auto wanted = std::min<std::uint64_t>(1 + prng.below(32), kRecords - sequence);
            for (std::uint64_t i = 0; i < wanted; ++i) batch[i] = Record::of(producer, sequence + i);
            const auto taken = ring.push_many(raw(batch), static_cast<std::int64_t>(wanted));
            sequence += static_cast<std::uint64_t>(taken);
            if (taken == 0) std::this_thread::yield();
        } else {
            auto record = Record::of(producer, sequence);
            if (ring.try_push(raw(&record)))
                ++sequence;
            else
                std::this_thread::yield();
        }
    }
}

// The consumer alternates between all ways to read.
template <class Record, class Ring>
void consume(Ring& ring, std::uint64_t producer, bool batches) {
    Prng prng(~producer);
    Record batch[32];
    for (std::uint64_t sequence = 0; sequence < kRecords;) {
        std::int64_t taken = 0;
        if (batches) {
            taken = ring.pop_many(raw(batch), static_cast<std::int64_t>(1 + prng.below(32)));
        } else if (prng.below(2) == 0) {
            taken = ring.try_pop(raw(batch)) ? 1 : 0;
        } else if (const std::byte* front = ring.front(); front != nullptr) {
            std::memcpy(&batch[0], front, sizeof batch[0]);
            ring.pop_front();
            taken = 1;
        }
        for (std::int64_t i = 0; i < taken; ++i)
            check_whole(batch[i], producer, sequence + static_cast<std::uint64_t>(i));
        sequence += static_cast<std::uint64_t>(taken);
        if (taken == 0) std::this_thread::yield();
    }
}

template <class Ring, class Record>
void run_one(std::int64_t capacity, bool batches_in, bool batches_out) {
    Ring ring(RingShape::checked(capacity, sizeof(Record)));
    std::string failure;
    std::thread consumer([&] {
        try {
            consume<Record>(ring, 5, batches_out);
        } catch (const Failure& caught) {
            failure = caught.text;
            // The producer must not be left in front of a full ring.
            Record rest[32];
            while (ring.popped() < static_cast<std::int64_t>(kRecords)) {
                if (ring.pop_many(raw(rest), 32) == 0) std::this_thread::yield();
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
    produce<Record>(ring, 5, batches_in);
    consumer.join();
    observer.join();
    CHECK_EQUAL(failure, std::string());
    CHECK_EQUAL(ring.pushed(), static_cast<std::int64_t>(kRecords));
    CHECK(ring.was_empty());
}

void run(std::int64_t capacity, bool batches_in, bool batches_out) {
    run_one<Contiguous, StressRecord>(capacity, batches_in, batches_out);
    run_one<Sequenced, StressRecord>(capacity, batches_in, batches_out);
    run_one<Sequenced, WideRecord>(capacity, batches_in, batches_out);
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
