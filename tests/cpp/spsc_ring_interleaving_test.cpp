// Every interleaving of a few pushes and pops, with every stale value the memory orders allow, on the real SpscRing.
#include <cstring>
#include <vector>

#include "check.hpp"
#include "explore.hpp"
#include "ringbuffer/spsc_ring.hpp"
#include "spsc_ring_interleavings.hpp"

using namespace fastmas::testing::interleavings;
using fastmas::testing::Execution;
using fastmas::testing::Exploration;
using fastmas::testing::explore;
using fastmas::testing::explore_random;
using fastmas::testing::ModelAtom;
using fastmas::testing::ModelMemory;

namespace {

using Ring = fastmas::ringbuffer::SpscRing<ModelMemory>;

}  // namespace

TEST(every_interleaving_of_four_pushes_and_four_pops) {
    report("4 pushes, 4 pops", explore([](Execution& e) { singles<Ring, 8>(e, 4, 4); }));
}

TEST(every_interleaving_of_three_batches_each_way) {
    report("batches", explore([](Execution& e) { batches<Ring, 8>(e, 4, 3, 3); }));
}

TEST(random_interleavings_of_longer_runs) {
    report("12 pushes, 12 pops", explore_random([](Execution& e) { singles<Ring, 8>(e, 12, 12); }, 11, 4000));
}

TEST(peeking_in_place_is_ordered_like_popping) {
    report("peek", explore([](Execution& e) { peeks<Ring, 8>(e, 4, 3); }));
}

TEST(sizes_seen_by_a_third_thread_are_possible_ones) {
    report("observer", explore(observer<Ring, 8>));
}

TEST(a_producer_dies_at_any_step) {
    report("a producer dies", explore([](Execution& e) { producer_dies<Ring, 8>(e, 3, 2); }));
}

TEST(a_consumer_dies_at_any_step) {
    report("a consumer dies", explore([](Execution& e) { consumer_dies<Ring, 8>(e, 3, 2); }));
}

TEST(claims_and_peeks_are_ordered_like_pushes_and_pops) {
    report("claims, peeks", explore([](Execution& execution) {
               Run<Ring, 8> run(2);
               execution.thread([&] {
                   for (int i = 0; i < 3; ++i) {
                       const auto claim = run.ring.claim(2);
                       for (std::int64_t k = 0; k < claim.count; ++k) {
                           const Value<8> record(value_of(run.accepted++));
                           ModelMemory::write(claim.records + 8 * k, record.bytes, 8);
                       }
                       run.ring.publish(claim.count);
                   }
               });
               execution.thread([&] {
                   for (int i = 0; i < 3; ++i) {
                       const auto peek = run.ring.peek(2);
                       for (std::int64_t k = 0; k < peek.count; ++k) {
                           Value<8> record;
                           ModelMemory::read(record.bytes, peek.records + 8 * k, 8);
                           run.got.push_back(record.whole());
                       }
                       run.ring.give_back(peek.count);
                   }
               });
               execution.run();
               run.check_all();
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
