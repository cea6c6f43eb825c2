// The kill harness of rings in which positions are kept by one producer and one reader: one of the two is a child that
// is killed, the other the test itself; the next round's child takes the role over where the dead one was.
#pragma once

#include <iostream>

#include "base/prng.hpp"
#include "ring_kill.hpp"
#include "ringbuffer/slots.hpp"
#include "stress_record.hpp"

namespace fastmas::testing {

inline constexpr std::int64_t kKillBatch = 5;
inline constexpr std::uint64_t kKillProducer = 9;

// What was done, noted after each call has returned.
struct KillLog {
    std::atomic<std::int64_t> published{0};  // records whose publication returned
    std::atomic<std::int64_t> next{0};       // the sequence after the last one delivered
    std::atomic<std::int64_t> delivered{0};  // how many of those since the join
    std::atomic<std::int64_t> joined_at{0};
    std::atomic<bool> joined{false};       // the reader is in the ring for sure
    std::atomic<std::int64_t> in_call{0};  // records that readers killed in a call took and nobody saw
};

// `Rig::Producer` and `Rig::Consumer` take their role over in their constructors, from whoever held it, dead or not,
// and let go of it without a word in their destructors. A consumer says next(), delivered() (since its join) and
// whether it resumed(), and can rejoin(). `Rig::kExact`: nothing is ever lost between two records. A rig whose slots
// are not records says what its shape_of(capacity) is.
template <class Rig>
class OneToOneRounds {
  public:
    OneToOneRounds(std::int64_t capacity, std::uint64_t seed)
        : shape_(shape_of(capacity)),
          log_memory_(sizeof(KillLog)),
          log_(*new (log_memory_.data()) KillLog),
          rig_(shape_),
          prng_(seed),
          seed_(seed) {}

    void run(int rounds) {
        for (int round = 0; round < rounds; ++round) {
            try {
                one_round();
            } catch (const Failure& failure) {
                throw Failure{failure.text + " (seed " + std::to_string(seed_) + ", round " + std::to_string(round) +
                              ", last death at: " + deaths_.last() + ")"};
            }
        }
        finish();
        std::cout << rounds << " rounds, " << log_.published << " records, " << deaths_.text()
                  << std::endl;  // before the next fork
    }
    const Deaths& deaths() const { return deaths_; }

  private:
    static ringbuffer::RingShape shape_of(std::int64_t capacity) {
        if constexpr (requires { Rig::shape_of(capacity); })
            return Rig::shape_of(capacity);
        else
            return ringbuffer::RingShape::checked(capacity, sizeof(StressRecord));
    }

    void one_round() {
        const bool producer_dies = prng_.below(2) == 0;
        const auto steps = 1 + static_cast<std::int64_t>(prng_.below(Rig::kMostSteps));
        const auto child_seed = prng_.next();
        Child child(steps, [&] {
            base::Prng prng(child_seed);
            rig_.enter_child(producer_dies);
            producer_dies ? produce(prng, 400, [] { return true; }) : consume(prng, 400, [] { return true; });
            rig_.leave_child();
        });
        rig_.enter_test(!producer_dies);
        const auto go_on = [&] { return child.running(); };
        producer_dies ? consume(prng_, 1 << 30, go_on) : produce(prng_, 1 << 30, go_on);
        while (child.running()) sched_yield();
        deaths_.count(child);
        rig_.after(child.killed(), producer_dies);
        if (prng_.below(2) == 0) {  // else the next victim finds what the dead one left
            producer_dies ? consume(prng_, 3, [] { return true; }) : produce(prng_, 3, [] { return true; });
        }
        rig_.leave_test(!producer_dies);
    }

    template <class GoOn>
    void produce(base::Prng& prng, int calls, GoOn&& go_on) {
        typename Rig::Producer producer(rig_);
        // Whatever was published beyond what returned is at most the call that did not.
        CHECK(producer.next() >= log_.published.load());
        CHECK(producer.next() <= log_.published.load() + kKillBatch);
        log_.published = producer.next();
        StressRecord batch[kKillBatch];
        for (int i = 0; i < calls && go_on(); ++i) {
            const auto count = static_cast<std::int64_t>(1 + prng.below(kKillBatch));
            for (std::int64_t k = 0; k < count; ++k)
                batch[k] = StressRecord::of(kKillProducer, static_cast<std::uint64_t>(producer.next() + k));
            const auto taken = producer.push(batch, count);
            log_.published = producer.next();
            if (taken == 0 || prng.below(8) == 0) sched_yield();
        }
    }

    template <class GoOn>
    void consume(base::Prng& prng, int calls, GoOn&& go_on) {
        typename Rig::Consumer consumer(rig_);
        take_over(consumer);
        StressRecord batch[kKillBatch];
        for (int i = 0; i < calls && go_on(); ++i) {
            if (prng.below(50) == 0) {
                log_.joined = false;
                consumer.rejoin();
                take_over(consumer);
            }
            const auto taken = consumer.pop(batch, static_cast<std::int64_t>(1 + prng.below(kKillBatch)));
            const auto first = consumer.next() - taken;
            if (taken > 0) {
                CHECK(first >= log_.next.load());
                if (Rig::kExact) CHECK_EQUAL(first, log_.next.load());
            }
            for (std::int64_t k = 0; k < taken; ++k)
                check_record(batch[k], kKillProducer, static_cast<std::uint64_t>(first + k));
            CHECK_EQUAL(consumer.delivered(), log_.delivered.load() + taken);
            log_.next = consumer.next();
            log_.delivered = consumer.delivered();
            if (taken == 0 || prng.below(8) == 0) sched_yield();
            if (!consumer.in()) {
                log_.joined = false;
                consumer.rejoin();
                take_over(consumer);
            }
        }
    }

    // A reader goes on after what was delivered, and skips at most what the dead one's last call had taken.
    void take_over(typename Rig::Consumer& consumer) {
        CHECK(consumer.next() >= log_.next.load());
        if (log_.joined.load()) {
            // One that was put out, joined anew and was killed at once has left a join that nobody noted.
            if (consumer.resumed() && consumer.joined_at() == log_.joined_at.load()) {
                const auto unseen = consumer.delivered() - log_.delivered.load();
                CHECK(unseen >= 0);
                CHECK(unseen <= kKillBatch);
                // What was lent to who died had not been given back, so it is there again.
                if (deaths_.last().starts_with("peek:")) CHECK_EQUAL(unseen, 0);
                log_.in_call += unseen;
                if (Rig::kExact) CHECK_EQUAL(consumer.next() - log_.next.load(), unseen);
            } else {
                CHECK(!Rig::kExact);  // put out while nobody was there
            }
        } else if (consumer.resumed()) {
            CHECK(consumer.joined_at() >= log_.next.load());  // the dead one's last join, whole, and none before it
        }
        log_.next = consumer.next();
        log_.delivered = consumer.delivered();
        log_.joined_at = consumer.joined_at();
        log_.joined = true;
    }

    // At the end: the producer's last word is read to the end, and whatever is not delivered is accounted for.
    void finish() {
        rig_.enter_test(true);
        rig_.enter_test(false);
        {
            typename Rig::Producer producer(rig_);
            typename Rig::Consumer consumer(rig_);
            take_over(consumer);
            StressRecord batch[kKillBatch];
            for (int i = 0; i < 100; ++i) {
                const auto taken = consumer.pop(batch, kKillBatch);
                for (std::int64_t k = 0; k < taken; ++k)
                    check_record(batch[k], kKillProducer, static_cast<std::uint64_t>(consumer.next() - taken + k));
            }
            if (consumer.in()) CHECK_EQUAL(consumer.next(), producer.next());
            CHECK(log_.in_call.load() <= deaths_.killed() * kKillBatch);
        }
        rig_.leave_test(true);
        rig_.leave_test(false);
        rig_.done();
    }

    Deaths deaths_;
    ringbuffer::RingShape shape_;
    SharedMemory log_memory_;
    KillLog& log_;
    Rig rig_;
    base::Prng prng_;
    std::uint64_t seed_;
};

}  // namespace fastmas::testing
