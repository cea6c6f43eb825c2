// MpscRing and MpmcRing with a producer and a consumer killed at every step, while others go on: what is delivered is
// whole, in the order of its producer and never twice, and whatever is missing is accounted for. A longer run:
// RING_KILL_ROUNDS=100000 ring_multi_kill_test
#include <array>
#include <iostream>
#include <optional>

#include "base/prng.hpp"
#include "ring_kill.hpp"
#include "ringbuffer/mpmc_ring.hpp"
#include "ringbuffer/mpsc_ring.hpp"
#include "stress_record.hpp"

using namespace fastmas::testing;
using fastmas::base::Prng;
using fastmas::ringbuffer::MpmcRing;
using fastmas::ringbuffer::MpscRing;
using fastmas::ringbuffer::RingShape;

namespace {

constexpr std::int64_t kBatch = 4;
constexpr std::int64_t kMostRecords = 400;  // of one producer in one round
constexpr std::int32_t kTest = 0;           // participants: the test, and its child
constexpr std::int32_t kChild = 1;

// Of one round; what is done is noted after the call has returned.
struct Round {
    std::array<std::atomic<std::int64_t>, 2> pushed{};
    std::array<std::array<std::atomic<std::int32_t>, kMostRecords>, 2> delivered{};
};

std::int64_t pop_of(MpscRing<KillMemory>& ring, std::int32_t, StressRecord* out, std::int64_t max) {
    return ring.pop_many(bytes_of(out), max);
}
std::int64_t pop_of(MpmcRing<KillMemory>& ring, std::int32_t consumer, StressRecord* out, std::int64_t max) {
    return ring.pop_many(consumer, bytes_of(out), max);
}
// Producers' numbers in a round's records: a record of another round shows.
std::uint64_t name_of(int round, std::int32_t producer) {
    return 2 * static_cast<std::uint64_t>(round) + static_cast<std::uint64_t>(producer);
}

template <class Ring>
class MultiRounds {
  public:
    static constexpr bool kOneConsumer = std::is_same_v<Ring, MpscRing<KillMemory>>;

    explicit MultiRounds(std::uint64_t seed)
        : shape_(RingShape::checked(8, sizeof(StressRecord))),
          memory_(Ring::body_bytes(shape_)),
          notes_(sizeof(Round)),
          prng_(seed),
          seed_(seed) {
        Ring::format(memory_.data(), shape_);
    }

    void run(int rounds) {
        for (round_ = 0; round_ < rounds; ++round_) {
            try {
                one_round();
            } catch (const Failure& failure) {
                throw Failure{failure.text + " (seed " + std::to_string(seed_) + ", round " + std::to_string(round_) +
                              ", last death at: " + deaths_.last() + ")"};
            }
        }
        Ring ring(memory_.data(), shape_);
        std::cout << rounds << " rounds, " << ring.pushed() << " pushed, " << ring.popped() << " popped, "
                  << ring.lost() << " lost, " << ring.skipped() << " skipped; " << deaths_.text()
                  << std::endl;  // before the next fork
        CHECK_EQUAL(ring.pushed(), ring.popped() + ring.lost());
    }
    const Deaths& deaths() const { return deaths_; }

  private:
    using Seen = std::array<std::int64_t, 2>;  // by producer: the sequence that a consumer may see next at the earliest

    void one_round() {
        note_ = new (notes_.data()) Round;
        Ring ring(memory_.data(), shape_);
        const auto lost = ring.lost(), skipped = ring.skipped();
        const bool child_consumes = prng_.below(2) == 0;
        const auto seed = prng_.next();
        Child producer(
            1 + static_cast<std::int64_t>(prng_.below(60)),
            [&] {
                Prng prng(seed);
                for (int i = 0; i < 100; ++i) push(ring, kChild, prng);
            },
            0);
        Child consumer;
        if (child_consumes)
            consumer = Child(
                1 + static_cast<std::int64_t>(prng_.below(60)),
                [&] {
                    Prng prng(seed + 1);
                    Seen seen{};
                    for (int i = 0; i < 100; ++i) pop(ring, kChild, prng, seen);
                },
                1);
        Seen seen{};
        const bool test_consumes = !kOneConsumer || !child_consumes;
        while (true) {
            const bool running = producer.running();
            if (!consumer.running() && !running) break;
            if (prng_.below(2) == 0) push(ring, kTest, prng_);
            if (test_consumes) pop(ring, kTest, prng_, seen);
        }
        deaths_.count(producer);
        if (child_consumes) deaths_.count(consumer);

        const auto abandoned = ring.recover_producer(kChild);
        CHECK(abandoned <= (producer.killed() ? kBatch : 0));
        const auto forfeited = ring.recover_consumer(kChild);
        CHECK(forfeited <= (consumer.killed() ? kBatch : 0));
        CHECK_EQUAL(ring.lost() - lost, forfeited);
        // The test goes on alone: everything that is there comes out, and the whole ring can be used.
        const std::int64_t before = note_->pushed[kTest].load();
        if (kOneConsumer) seen = Seen{};  // a consumer's heir may be another one
        while (pop(ring, kTest, prng_, seen) > 0) {
        }
        CHECK(ring.was_empty());
        CHECK_EQUAL(ring.skipped() - skipped, abandoned);
        StressRecord full[8];
        for (std::uint64_t i = 0; i < 8; ++i) full[i] = StressRecord::of(1, i);
        CHECK_EQUAL(ring.push_many(kTest, bytes_of(full), 8), 8);
        CHECK_EQUAL(pop_of(ring, kTest, full, 8), 8);
        for (std::uint64_t i = 0; i < 8; ++i) check_record(full[i], 1, i);
        CHECK_EQUAL(before, note_->pushed[kTest].load());
        account(producer.killed(), consumer.killed(), forfeited);
    }

    std::int64_t push(Ring& ring, std::int32_t producer, Prng& prng) {
        auto& pushed = note_->pushed[static_cast<std::size_t>(producer)];
        const auto first = pushed.load();
        const auto count =
            std::min<std::int64_t>(1 + static_cast<std::int64_t>(prng.below(kBatch)), kMostRecords - kBatch - first);
        if (count <= 0) return 0;
        StressRecord records[kBatch];
        for (std::int64_t i = 0; i < count; ++i)
            records[i] = StressRecord::of(name_of(round_, producer), static_cast<std::uint64_t>(first + i));
        const auto taken = ring.push_many(producer, bytes_of(records), count);
        pushed = first + taken;
        if (taken == 0) sched_yield();
        return taken;
    }

    std::int64_t pop(Ring& ring, std::int32_t consumer, Prng& prng, Seen& seen) {
        StressRecord records[kBatch];
        const auto taken = pop_of(ring, consumer, records, 1 + static_cast<std::int64_t>(prng.below(kBatch)));
        for (std::int64_t i = 0; i < taken; ++i) {
            const auto producer = records[i].producer % 2;
            const auto sequence = static_cast<std::int64_t>(records[i].sequence);
            CHECK(sequence < kMostRecords);
            check_record(records[i], name_of(round_, static_cast<std::int32_t>(producer)), records[i].sequence);
            CHECK(sequence >= seen[producer]);
            seen[producer] = sequence + 1;
            ++note_->delivered[producer][static_cast<std::size_t>(sequence)];
        }
        if (taken == 0) sched_yield();
        return taken;
    }

    // Each record was delivered once at most; what was pushed and not delivered is what the dead consumer's last call
    // had taken; what was delivered and not reported as pushed is of the dead producer's last call.
    void account(bool producer_killed, bool consumer_killed, std::int64_t forfeited) {
        std::int64_t missing = 0, unreported = 0;
        for (std::size_t producer = 0; producer < 2; ++producer) {
            for (std::int64_t sequence = 0; sequence < kMostRecords; ++sequence) {
                const auto times = note_->delivered[producer][static_cast<std::size_t>(sequence)].load();
                CHECK(times <= 1);
                const bool pushed = sequence < note_->pushed[producer].load();
                missing += pushed && times == 0 ? 1 : 0;
                unreported += !pushed && times == 1 ? 1 : 0;
            }
        }
        CHECK(unreported <= (producer_killed ? kBatch : 0));
        CHECK(missing <= (consumer_killed ? kBatch : 0));
        if (!producer_killed) CHECK(missing >= forfeited);
    }

    Deaths deaths_;
    RingShape shape_;
    SharedMemory memory_;
    SharedMemory notes_;
    Round* note_ = nullptr;
    Prng prng_;
    std::uint64_t seed_;
    int round_ = 0;
};

}  // namespace

TEST(mpsc_is_killed) {
    MultiRounds<MpscRing<KillMemory>> rounds(51);
    rounds.run(kill_rounds(3000));
    rounds.deaths().require(
        {"push.claimed", "push.raised", "push.written", "push.published", "pop.read", "pop.given_back"});
}

TEST(mpmc_is_killed) {
    MultiRounds<MpmcRing<KillMemory>> rounds(52);
    rounds.run(kill_rounds(3000));
    rounds.deaths().require({"push.claimed", "push.raised", "push.written", "push.published", "pop.taken", "pop.raised",
                             "pop.read", "pop.given_back"});
}

TEST_MAIN
