// Every interleaving of a few pushes and pops, with every stale value the memory orders allow, on the real SpscRing.
#include <cstring>
#include <iostream>
#include <vector>

#include "check.hpp"
#include "ringbuffer/spsc_ring.hpp"
#include "weak_memory.hpp"

using fastmas::ringbuffer::RingShape;
using fastmas::testing::Execution;
using fastmas::testing::Exploration;
using fastmas::testing::explore;
using fastmas::testing::explore_random;
using fastmas::testing::ModelAtom;
using fastmas::testing::ModelMemory;

namespace {

using Ring = fastmas::ringbuffer::SpscRing<ModelMemory>;

std::int64_t value_of(std::int64_t sequence) {
    return 1000 + 7 * sequence;
}

bool push(Ring& ring, std::int64_t value) {
    std::byte record[8];
    std::memcpy(record, &value, 8);
    return ring.try_push(record);
}

void report(const char* name, const Exploration& result) {
    std::cout << name << ": " << result.executions << " executions\n";
    CHECK_EQUAL(result.failure, std::string());
    CHECK(result.complete);
}

// What the consumer got must be the first of what was accepted, whole and in order; the rest must still be there.
void check_all(Ring& ring, std::int64_t accepted, std::vector<std::int64_t> got) {
    std::byte record[8];
    while (ring.try_pop(record)) {
        std::int64_t value = 0;
        std::memcpy(&value, record, 8);
        got.push_back(value);
    }
    CHECK_EQUAL(static_cast<std::int64_t>(got.size()), accepted);
    for (std::size_t i = 0; i < got.size(); ++i) CHECK_EQUAL(got[i], value_of(static_cast<std::int64_t>(i)));
    CHECK_EQUAL(ring.pushed(), accepted);
    CHECK_EQUAL(ring.popped(), accepted);
    CHECK(ring.was_empty());
}

void singles(Execution& execution, int pushes, int pops) {
    Ring ring(RingShape::checked(2, 8));
    std::int64_t accepted = 0;
    std::vector<std::int64_t> got;
    execution.thread([&] {
        for (int i = 0; i < pushes; ++i)
            if (push(ring, value_of(accepted))) ++accepted;
    });
    execution.thread([&] {
        for (int i = 0; i < pops; ++i) {
            std::byte record[8];
            if (!ring.try_pop(record)) continue;
            std::int64_t value = 0;
            std::memcpy(&value, record, 8);
            CHECK_EQUAL(value, value_of(static_cast<std::int64_t>(got.size())));
            got.push_back(value);
        }
    });
    execution.run();
    // Two slots: whatever the consumer does, the first two pushes fit, and no more than two beyond what was popped.
    CHECK(accepted >= std::min(pushes, 2));
    CHECK(accepted <= 2 + static_cast<std::int64_t>(got.size()));
    check_all(ring, accepted, got);
}

void batches(Execution& execution) {
    Ring ring(RingShape::checked(4, 8));
    std::int64_t accepted = 0;
    std::vector<std::int64_t> got;
    execution.thread([&] {
        for (int round = 0; round < 3; ++round) {
            std::int64_t values[3];
            for (std::int64_t i = 0; i < 3; ++i) values[i] = value_of(accepted + i);
            accepted += ring.push_many(reinterpret_cast<const std::byte*>(values), 3);
        }
    });
    execution.thread([&] {
        for (int round = 0; round < 3; ++round) {
            std::int64_t values[3] = {0, 0, 0};
            const auto n = ring.pop_many(reinterpret_cast<std::byte*>(values), 3);
            got.insert(got.end(), values, values + n);
        }
    });
    execution.run();
    CHECK(accepted >= 4);
    CHECK(accepted <= 4 + static_cast<std::int64_t>(got.size()));
    check_all(ring, accepted, got);
}

}  // namespace

TEST(every_interleaving_of_four_pushes_and_four_pops) {
    report("4 pushes, 4 pops", explore([](Execution& execution) { singles(execution, 4, 4); }));
}

TEST(every_interleaving_of_three_batches_each_way) {
    report("batches", explore(batches));
}

TEST(random_interleavings_of_longer_runs) {
    report("12 pushes, 12 pops", explore_random([](Execution& execution) { singles(execution, 12, 12); }, 11, 4000));
}

TEST(peeking_in_place_is_ordered_like_popping) {
    report("peek", explore([](Execution& execution) {
               Ring ring(RingShape::checked(2, 8));
               std::int64_t accepted = 0;
               std::vector<std::int64_t> got;
               execution.thread([&] {
                   for (int i = 0; i < 4; ++i)
                       if (push(ring, value_of(accepted))) ++accepted;
               });
               execution.thread([&] {
                   for (int i = 0; i < 3; ++i) {
                       const std::byte* front = ring.front();
                       if (front == nullptr) continue;
                       std::int64_t value = 0;
                       ModelMemory::read(reinterpret_cast<std::byte*>(&value), front, 8);
                       got.push_back(value);
                       ring.pop_front();
                   }
               });
               execution.run();
               check_all(ring, accepted, got);
           }));
}

TEST(sizes_seen_by_a_third_thread_are_possible_ones) {
    report("observer", explore([](Execution& execution) {
               Ring ring(RingShape::checked(2, 8));
               execution.thread([&] {
                   for (std::int64_t i = 0; i < 2; ++i) push(ring, value_of(i));
               });
               execution.thread([&] {
                   std::byte record[8];
                   ring.try_pop(record);
               });
               execution.thread([&] { CHECK(ring.was_size() >= 0 && ring.was_size() <= 2); });
               execution.run();
           }));
}

TEST(claims_and_peeks_are_ordered_like_pushes_and_pops) {
    report("claims, peeks", explore([](Execution& execution) {
               Ring ring(RingShape::checked(2, 8));
               std::int64_t accepted = 0;
               std::vector<std::int64_t> got;
               execution.thread([&] {
                   for (int i = 0; i < 3; ++i) {
                       const auto claim = ring.claim(2);
                       for (std::int64_t k = 0; k < claim.count; ++k) {
                           const std::int64_t value = value_of(accepted++);
                           ModelMemory::write(claim.records + 8 * k, reinterpret_cast<const std::byte*>(&value), 8);
                       }
                       ring.publish(claim.count);
                   }
               });
               execution.thread([&] {
                   for (int i = 0; i < 3; ++i) {
                       const auto peek = ring.peek(2);
                       for (std::int64_t k = 0; k < peek.count; ++k) {
                           std::int64_t value = 0;
                           ModelMemory::read(reinterpret_cast<std::byte*>(&value), peek.records + 8 * k, 8);
                           got.push_back(value);
                       }
                       ring.give_back(peek.count);
                   }
               });
               execution.run();
               check_all(ring, accepted, got);
           }));
}

// A second thread takes a role over when the first one is done; the flag stands for the role's lock.
TEST(roles_that_change_hands) {
    report("a producer replaced", explore([](Execution& execution) {
               Ring ring(RingShape::checked(2, 8));
               ModelAtom<std::int64_t> gone(0);
               std::int64_t accepted = 0;
               std::vector<std::int64_t> got;
               execution.thread([&] {
                   for (int i = 0; i < 2; ++i)
                       if (push(ring, value_of(accepted))) ++accepted;
                   gone.store(1, std::memory_order_release);
               });
               execution.thread([&] {
                   if (gone.load(std::memory_order_acquire) == 0) return;
                   ring.resume_producer();
                   if (push(ring, value_of(accepted))) ++accepted;
               });
               execution.thread([&] {
                   std::byte record[8];
                   for (int i = 0; i < 2; ++i) {
                       if (!ring.try_pop(record)) continue;
                       std::int64_t value = 0;
                       std::memcpy(&value, record, 8);
                       got.push_back(value);
                   }
               });
               execution.run();
               check_all(ring, accepted, got);
           }));
    report("a consumer replaced", explore([](Execution& execution) {
               Ring ring(RingShape::checked(2, 8));
               ModelAtom<std::int64_t> gone(0);
               std::int64_t accepted = 0;
               std::vector<std::int64_t> got;
               const auto pop = [&] {
                   std::byte record[8];
                   if (!ring.try_pop(record)) return;
                   std::int64_t value = 0;
                   std::memcpy(&value, record, 8);
                   got.push_back(value);
               };
               execution.thread([&] {
                   for (int i = 0; i < 3; ++i)
                       if (push(ring, value_of(accepted))) ++accepted;
               });
               execution.thread([&] {
                   pop();
                   gone.store(1, std::memory_order_release);
               });
               execution.thread([&] {
                   if (gone.load(std::memory_order_acquire) == 0) return;
                   ring.resume_consumer();
                   pop();
               });
               execution.run();
               check_all(ring, accepted, got);
           }));
}

// ---- the model itself: it must see what it is there to see

namespace {

// Message passing through a flag: the reader may only look at the data once it saw the flag.
Exploration message_passing(std::memory_order store, std::memory_order load) {
    return explore([store, load](Execution& execution) {
        ModelAtom<std::int64_t> flag(0);
        std::byte slot[8] = {};
        execution.thread([&] {
            const std::int64_t value = 42;
            ModelMemory::write(slot, reinterpret_cast<const std::byte*>(&value), 8);
            flag.store(1, store);
        });
        execution.thread([&] {
            std::int64_t value = 0;
            if (flag.load(load) == 1) ModelMemory::read(reinterpret_cast<std::byte*>(&value), slot, 8);
        });
        execution.run();
    });
}

}  // namespace

TEST(model_accepts_release_acquire_and_refuses_anything_weaker) {
    CHECK_EQUAL(message_passing(std::memory_order_release, std::memory_order_acquire).failure, std::string());
    CHECK(!message_passing(std::memory_order_relaxed, std::memory_order_acquire).failure.empty());
    CHECK(!message_passing(std::memory_order_release, std::memory_order_relaxed).failure.empty());
}

TEST(model_shows_store_buffering_unless_both_meet_on_one_word) {
    const auto buffering = [](bool meet) {
        bool both_missed = false;
        const auto result = explore([&](Execution& execution) {
            ModelAtom<std::int64_t> x(0), y(0), meeting(0);
            std::int64_t saw_y = -1, saw_x = -1;
            execution.thread([&] {
                x.store(1, std::memory_order_release);
                if (meet) meeting.fetch_add(0, std::memory_order_acq_rel);
                saw_y = y.load(std::memory_order_acquire);
            });
            execution.thread([&] {
                y.store(1, std::memory_order_release);
                if (meet) meeting.fetch_add(0, std::memory_order_acq_rel);
                saw_x = x.load(std::memory_order_acquire);
            });
            execution.run();
            both_missed = both_missed || (saw_x == 0 && saw_y == 0);
        });
        CHECK_EQUAL(result.failure, std::string());
        CHECK(result.complete);
        return both_missed;
    };
    CHECK(buffering(false));
    CHECK(!buffering(true));
}

TEST_MAIN
