// One producer that never waits, readers that are too slow now and then; for ThreadSanitizer, and for real tearing
// without it. Every field of each record that comes is checked, and at the end every record is received or lost.
#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/prng.hpp"
#include "check.hpp"
#include "ringbuffer/evicting_ring.hpp"
#include "ringbuffer/overwriting_ring.hpp"
#include "stress_record.hpp"

using fastmas::base::Prng;
using fastmas::ringbuffer::RingShape;
using namespace fastmas::testing;
using Overwriting = fastmas::ringbuffer::OverwritingRing<>;
using Evicting = fastmas::ringbuffer::EvictingRing<>;

namespace {

constexpr std::uint64_t kRecords = 300'000;
constexpr std::uint64_t kProducer = 5;

struct Failures {
    std::mutex mutex;
    std::string first;
    void add(const std::string& text) {
        const std::lock_guard lock(mutex);
        if (first.empty()) first = text;
    }
};

// Now and then it lets the readers run, or on two cores they would see little but losses.
template <class Ring>
void produce(Ring& ring) {
    Prng prng(1);
    StressRecord batch[24];
    for (std::uint64_t sequence = 0; sequence < kRecords;) {
        const auto count = std::min<std::uint64_t>(prng.below(2) == 0 ? 1 : 1 + prng.below(24), kRecords - sequence);
        for (std::uint64_t i = 0; i < count; ++i) batch[i] = StressRecord::of(kProducer, sequence + i);
        ring.publish_many(bytes_of(batch), static_cast<std::int64_t>(count));
        sequence += count;
        if (prng.below(8) == 0) std::this_thread::yield();
    }
}

template <class Subscriber>
std::uint64_t poll_checked(Subscriber& subscriber, Prng& prng) {
    StressRecord batch[24];
    const auto n = subscriber.poll(bytes_of(batch), static_cast<std::int64_t>(1 + prng.below(24)));
    const auto first = static_cast<std::uint64_t>(subscriber.next_to_pop() - n);
    for (std::int64_t i = 0; i < n; ++i) check_record(batch[i], kProducer, first + static_cast<std::uint64_t>(i));
    return static_cast<std::uint64_t>(n);
}

void overwrite(std::int64_t capacity) {
    Overwriting ring(RingShape::checked(capacity, sizeof(StressRecord)));
    Failures failures;
    std::atomic<std::uint64_t> all_received{0};
    std::vector<std::thread> threads;
    for (std::uint64_t i = 0; i < 3; ++i) {
        threads.emplace_back([&, i, subscriber = ring.subscribe()]() mutable {
            Prng prng(100 + i);
            std::uint64_t received = 0;
            try {
                while (subscriber.next_to_pop() < static_cast<std::int64_t>(kRecords)) {
                    const auto n = poll_checked(subscriber, prng);
                    received += n;
                    if (n == 0 || prng.below(100) == 0) std::this_thread::yield();
                }
                CHECK_EQUAL(static_cast<std::uint64_t>(subscriber.received()), received);
                CHECK_EQUAL(static_cast<std::uint64_t>(subscriber.received() + subscriber.lost()), kRecords);
                all_received += received;
            } catch (const Failure& failure) {
                failures.add(failure.text);
            }
        });
    }
    produce(ring);
    for (auto& thread : threads) thread.join();
    CHECK_EQUAL(failures.first, std::string());
    CHECK(all_received.load() > 0);
}

void evict(std::int64_t capacity, std::int64_t max_lag) {
    Evicting ring(RingShape::checked(capacity, sizeof(StressRecord)), max_lag);
    Failures failures;
    std::atomic<bool> done{false};
    std::atomic<std::int64_t> seen_out{0};
    std::vector<std::thread> threads;
    for (std::uint64_t i = 0; i < 3; ++i) {
        threads.emplace_back([&, i] {
            Prng prng(100 + i);
            auto subscriber = ring.subscribe();
            try {
                while (!done.load()) {
                    const auto n = poll_checked(subscriber, prng);
                    if (n == 0 && subscriber.evicted()) {
                        seen_out.fetch_add(1);
                        subscriber.leave();
                        subscriber = ring.subscribe();
                        CHECK(subscriber.joined());
                    } else if (n == 0) {
                        std::this_thread::yield();
                    }
                }
                if (subscriber.evicted()) seen_out.fetch_add(1);
            } catch (const Failure& failure) {
                failures.add(failure.text);
            }
        });
    }
    produce(ring);
    done.store(true);
    for (auto& thread : threads) thread.join();
    CHECK_EQUAL(failures.first, std::string());
    CHECK_EQUAL(ring.evicted(), seen_out.load());
    CHECK_EQUAL(ring.published(), static_cast<std::int64_t>(kRecords));
}

}  // namespace

TEST(nothing_torn_and_exact_losses_on_a_small_ring) {
    overwrite(4);
}
TEST(nothing_torn_and_exact_losses_on_a_large_ring) {
    overwrite(1024);
}
TEST(who_is_put_out_is_counted_on_a_small_ring) {
    evict(8, 8);
}
TEST(who_is_put_out_is_counted_on_a_large_ring) {
    evict(1024, 300);
}

TEST_MAIN
