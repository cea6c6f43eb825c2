// One producer, subscribers that stay, subscribers that come and go; for ThreadSanitizer, and for real reordering
// without it. Every subscriber checks each field of each record from its join to its leave.
#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/prng.hpp"
#include "check.hpp"
#include "ringbuffer/broadcast_ring.hpp"
#include "stress_record.hpp"

using fastmas::base::Prng;
using fastmas::ringbuffer::RingShape;
using namespace fastmas::testing;
using Ring = fastmas::ringbuffer::BroadcastRing<>;

namespace {

constexpr std::uint64_t kRecords = 120'000;
constexpr std::uint64_t kProducer = 3;

struct Failures {
    std::mutex mutex;
    std::string first;
    void add(const std::string& text) {
        const std::lock_guard lock(mutex);
        if (first.empty()) first = text;
    }
};

void produce(Ring& ring) {
    Prng prng(1);
    StressRecord batch[24];
    for (std::uint64_t sequence = 0; sequence < kRecords;) {
        std::int64_t taken = 0;
        if (prng.below(2) == 0) {
            const auto record = StressRecord::of(kProducer, sequence);
            taken = ring.try_publish(bytes_of(&record)) ? 1 : 0;
        } else {
            const auto wanted = std::min<std::uint64_t>(1 + prng.below(24), kRecords - sequence);
            for (std::uint64_t i = 0; i < wanted; ++i) batch[i] = StressRecord::of(kProducer, sequence + i);
            taken = ring.publish_many(bytes_of(batch), static_cast<std::int64_t>(wanted));
        }
        sequence += static_cast<std::uint64_t>(taken);
        if (taken == 0) std::this_thread::yield();
    }
}

// Reads up to `limit` records, or to the end; every one must be the next since the join.
std::uint64_t follow(Ring::Subscriber& subscriber, Prng& prng, std::uint64_t limit) {
    StressRecord batch[24];
    std::uint64_t read = 0;
    while (read < limit) {
        const auto next = static_cast<std::uint64_t>(subscriber.joined_at() + subscriber.received());
        if (next == kRecords) break;
        const auto n = subscriber.poll(bytes_of(batch), static_cast<std::int64_t>(1 + prng.below(24)));
        for (std::int64_t i = 0; i < n; ++i) check_record(batch[i], kProducer, next + static_cast<std::uint64_t>(i));
        read += static_cast<std::uint64_t>(n);
        if (n == 0) std::this_thread::yield();
    }
    return read;
}

void run(std::int64_t capacity) {
    Ring ring(RingShape::checked(capacity, sizeof(StressRecord)));
    Failures failures;
    std::atomic<std::uint64_t> visits{0};
    std::vector<std::thread> threads;
    for (std::uint64_t i = 0; i < 2; ++i) {
        threads.emplace_back([&, i, subscriber = ring.subscribe()]() mutable {
            Prng prng(100 + i);
            try {
                CHECK_EQUAL(follow(subscriber, prng, kRecords), kRecords);
                CHECK_EQUAL(subscriber.lag(), 0);
            } catch (const Failure& failure) {
                failures.add(failure.text);
                subscriber.leave();  // or the producer would wait for ever
            }
        });
    }
    for (std::uint64_t i = 0; i < 2; ++i) {
        threads.emplace_back([&, i] {
            Prng prng(200 + i);
            try {
                while (ring.published() < static_cast<std::int64_t>(kRecords)) {
                    auto visitor = ring.subscribe();
                    CHECK(visitor.joined());
                    follow(visitor, prng, prng.below(200));
                    visits.fetch_add(1);
                }
            } catch (const Failure& failure) {
                failures.add(failure.text);
            }
        });
    }
    produce(ring);
    for (auto& thread : threads) thread.join();
    CHECK_EQUAL(failures.first, std::string());
    CHECK_EQUAL(ring.published(), static_cast<std::int64_t>(kRecords));
    CHECK(visits.load() > 0);
}

}  // namespace

TEST(subscribers_come_and_go_on_a_small_ring) {
    run(8);
}
TEST(subscribers_come_and_go_on_a_large_ring) {
    run(1024);
}

TEST_MAIN
