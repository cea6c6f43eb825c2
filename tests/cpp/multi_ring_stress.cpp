// Several producers and consumers, more than there are cores, on small and large rings, singles and batches; for
// ThreadSanitizer, and for real reordering without it.
#include <algorithm>
#include <array>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "base/prng.hpp"
#include "check.hpp"
#include "ringbuffer/mpmc_ring.hpp"
#include "ringbuffer/mpsc_ring.hpp"
#include "stress_record.hpp"

using fastmas::base::Prng;
using namespace fastmas::ringbuffer;
using namespace fastmas::testing;

namespace {

constexpr std::uint64_t kRecords = 60'000;  // of each producer
constexpr std::size_t kMost = 4;

template <class Ring>
void produce(Ring& ring, std::int32_t id, bool batches) {
    Prng prng(static_cast<std::uint64_t>(id));
    StressRecord batch[16];
    for (std::uint64_t sequence = 0; sequence < kRecords;) {
        const auto wanted = std::min<std::uint64_t>(batches ? 1 + prng.below(16) : 1, kRecords - sequence);
        for (std::uint64_t i = 0; i < wanted; ++i)
            batch[i] = StressRecord::of(static_cast<std::uint64_t>(id), sequence + i);
        const auto taken = ring.push_many(id, bytes_of(batch), static_cast<std::int64_t>(wanted));
        sequence += static_cast<std::uint64_t>(taken);
        if (taken == 0) std::this_thread::yield();
    }
}

std::int64_t pop_many(MpscRing<>& ring, std::int32_t, std::byte* out, std::int64_t max) {
    return ring.pop_many(out, max);
}
std::int64_t pop_many(MpmcRing<>& ring, std::int32_t consumer, std::byte* out, std::int64_t max) {
    return ring.pop_many(consumer, out, max);
}

// How many of each producer one consumer got, whether they came in order, and a sum that misses or repeats nothing.
struct Received {
    std::array<std::uint64_t, kMost> count{};
    std::array<std::uint64_t, kMost> sum{};
    std::array<std::uint64_t, kMost> next{};  // one more than the last sequence
    std::string failure;

    void add(const StressRecord& record) {
        if (record.producer >= kMost || !(record == StressRecord::of(record.producer, record.sequence)))
            failure = "a torn record";
        else if (record.sequence < next[record.producer])
            failure = "records of one producer out of order";
        else
            next[record.producer] = record.sequence + 1;
        if (record.producer < kMost) {
            ++count[record.producer];
            sum[record.producer] += record.sequence;
        }
    }
};

template <class Ring>
void run(std::int64_t capacity, std::size_t producers, std::size_t consumers, bool batches) {
    Ring ring(RingShape::checked(capacity, sizeof(StressRecord)));
    const std::uint64_t all = kRecords * producers;
    std::atomic<std::uint64_t> popped{0};
    std::vector<Received> received(consumers);
    std::vector<std::thread> threads;
    for (std::size_t c = 0; c < consumers; ++c)
        threads.emplace_back([&, c] {
            Prng prng(~c);
            StressRecord batch[16];
            while (popped.load(std::memory_order_relaxed) < all) {
                const auto wanted = static_cast<std::int64_t>(batches ? 1 + prng.below(16) : 1);
                const auto taken = pop_many(ring, static_cast<std::int32_t>(c), bytes_of(batch), wanted);
                for (std::int64_t i = 0; i < taken; ++i) received[c].add(batch[i]);
                popped.fetch_add(static_cast<std::uint64_t>(taken), std::memory_order_relaxed);
                if (taken == 0) std::this_thread::yield();
            }
        });
    std::thread observer([&] {
        while (popped.load(std::memory_order_relaxed) < all) {
            const auto size = ring.was_size();
            if (size < 0 || size > capacity || ring.skipped() != 0 || ring.lost() != 0) std::abort();
            std::this_thread::yield();
        }
    });
    for (std::size_t p = 0; p < producers; ++p)
        threads.emplace_back([&, p] { produce(ring, static_cast<std::int32_t>(p), batches); });
    for (auto& thread : threads) thread.join();
    observer.join();
    for (const auto& one : received) CHECK_EQUAL(one.failure, std::string());
    for (std::size_t p = 0; p < producers; ++p) {
        std::uint64_t count = 0;
        std::uint64_t sum = 0;
        for (const auto& one : received) {
            count += one.count[p];
            sum += one.sum[p];
        }
        CHECK_EQUAL(count, kRecords);
        CHECK_EQUAL(sum, kRecords * (kRecords - 1) / 2);
    }
    CHECK_EQUAL(ring.pushed(), static_cast<std::int64_t>(all));
    CHECK_EQUAL(ring.popped(), static_cast<std::int64_t>(all));
    CHECK(ring.was_empty());
}

}  // namespace

TEST(two_slots_and_all_at_once) {
    run<MpscRing<>>(2, 3, 1, false);
    run<MpmcRing<>>(2, 2, 2, false);
}
TEST(one_of_each) {
    run<MpscRing<>>(64, 1, 1, false);
    run<MpmcRing<>>(64, 1, 1, false);
}
TEST(many_producers) {
    run<MpscRing<>>(1024, 4, 1, false);
    run<MpmcRing<>>(1024, 4, 1, false);
}
TEST(many_consumers) {
    run<MpmcRing<>>(16, 1, 4, false);
}
TEST(many_of_both_in_batches) {
    run<MpscRing<>>(32, 4, 1, true);
    run<MpmcRing<>>(32, 3, 3, true);
}

TEST_MAIN
