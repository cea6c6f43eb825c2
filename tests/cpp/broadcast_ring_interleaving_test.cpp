// Interleavings of publishing, joining, polling and leaving, with every stale value the memory orders allow, on the
// real BroadcastRing. Small cases are exhausted; the larger ones are bounded in preemptions, or drawn from a seed.
#include <cstring>
#include <iostream>
#include <vector>

#include "check.hpp"
#include "explore.hpp"
#include "ringbuffer/broadcast_ring.hpp"

using fastmas::ringbuffer::RingShape;
using fastmas::testing::Execution;
using fastmas::testing::Exploration;
using fastmas::testing::explore;
using fastmas::testing::explore_random;
using fastmas::testing::ModelMemory;

namespace {

using Ring = fastmas::ringbuffer::BroadcastRing<ModelMemory, 4>;  // few places: the model is quicker

std::int64_t value_of(std::int64_t sequence) {
    return 1000 + 7 * sequence;
}

void report(const char* name, const Exploration& result) {
    std::cout << name << ": " << result.executions << " executions\n";
    CHECK_EQUAL(result.failure, std::string());
    CHECK(result.complete);
}

// Tries to publish `tries` records; what was accepted is sequence 0, 1, 2, ..
void publish(Ring& ring, int tries, std::int64_t& accepted) {
    for (int i = 0; i < tries; ++i) {
        const std::int64_t value = value_of(accepted);
        std::byte record[8];
        std::memcpy(record, &value, 8);
        if (ring.try_publish(record)) ++accepted;
    }
}

// Each record read must be the next one since the join.
void read(Ring::Subscriber& subscriber, int polls, std::int64_t batch) {
    for (int i = 0; i < polls; ++i) {
        std::int64_t values[4] = {0, 0, 0, 0};
        const std::int64_t before = subscriber.joined_at() + subscriber.received();
        const std::int64_t n = subscriber.poll(reinterpret_cast<std::byte*>(values), batch);
        for (std::int64_t k = 0; k < n; ++k) CHECK_EQUAL(values[k], value_of(before + k));
        CHECK_EQUAL(subscriber.joined_at() + subscriber.received(), before + n);
    }
}

// After everything: whoever is still there can read exactly what it has not read.
void drain(Ring& ring, Ring::Subscriber& subscriber, std::int64_t accepted) {
    read(subscriber, 3, 4);
    CHECK_EQUAL(subscriber.joined_at() + subscriber.received(), accepted);
    CHECK_EQUAL(subscriber.lag(), 0);
    CHECK_EQUAL(ring.published(), accepted);
}

}  // namespace

TEST(producer_waits_for_a_subscriber_that_was_there_before) {
    report("gating", explore([](Execution& execution) {
               Ring ring(RingShape::checked(2, 8));
               std::int64_t accepted = 0;
               auto subscriber = ring.subscribe();
               execution.thread([&] { publish(ring, 4, accepted); });
               execution.thread([&] { read(subscriber, 3, 1); });
               execution.run();
               CHECK(accepted >= 2);
               CHECK(accepted <= 2 + subscriber.received());
               drain(ring, subscriber, accepted);
           }));
}

TEST(joining_while_the_producer_laps) {
    report("join", explore([](Execution& execution) {
               Ring ring(RingShape::checked(2, 8));
               std::int64_t accepted = 0;
               Ring::Subscriber subscriber;
               execution.thread([&] { publish(ring, 4, accepted); });
               execution.thread([&] {
                   subscriber = ring.subscribe();
                   read(subscriber, 1, 2);
               });
               execution.run();
               CHECK(accepted >= 2);
               drain(ring, subscriber, accepted);
           }));
}

TEST(leaving_frees_the_producer_and_only_then) {
    report("leave", explore([](Execution& execution) {
               Ring ring(RingShape::checked(2, 8));
               std::int64_t accepted = 0;
               auto subscriber = ring.subscribe();
               execution.thread([&] { publish(ring, 5, accepted); });
               execution.thread([&] {
                   read(subscriber, 1, 2);
                   subscriber.leave();
               });
               execution.run();
               publish(ring, 4, accepted);
               CHECK(accepted >= 4);
           }));
}

// The place one subscriber leaves is taken by the next: what the first one read must stay ordered before overwriting,
// even if the producer only ever sees the second.
TEST(a_place_handed_from_one_subscriber_to_the_next) {
    report("hand-over", explore(
                            [](Execution& execution) {
                                Ring ring(RingShape::checked(2, 8));
                                std::int64_t accepted = 0;
                                auto first = ring.subscribe();
                                publish(ring, 2, accepted);
                                Ring::Subscriber second;
                                execution.thread([&] { publish(ring, 2, accepted); });
                                execution.thread([&] {
                                    read(first, 2, 1);
                                    first.leave();
                                });
                                execution.thread([&] {
                                    second = ring.subscribe();
                                    read(second, 1, 2);
                                });
                                execution.run();
                                drain(ring, second, accepted);
                            },
                            3));
}

TEST(two_join_at_once_and_get_different_places) {
    report("two join", explore(
                           [](Execution& execution) {
                               Ring ring(RingShape::checked(2, 8));
                               std::int64_t accepted = 0;
                               Ring::Subscriber one, two;
                               execution.thread([&] { publish(ring, 3, accepted); });
                               execution.thread([&] { one = ring.subscribe(); });
                               execution.thread([&] { two = ring.subscribe(); });
                               execution.run();
                               publish(ring, 3, accepted);
                               CHECK(accepted <= std::min(one.joined_at(), two.joined_at()) + 2);
                               drain(ring, one, accepted);
                               drain(ring, two, accepted);
                           },
                           2));
}

TEST(random_joins_polls_and_leaves) {
    report("random", explore_random(
                         [](Execution& execution) {
                             Ring ring(RingShape::checked(4, 8));
                             std::int64_t accepted = 0;
                             Ring::Subscriber stays;
                             execution.thread([&] { publish(ring, 16, accepted); });
                             execution.thread([&] {
                                 stays = ring.subscribe();
                                 read(stays, 6, 3);
                             });
                             execution.thread([&] {
                                 for (int round = 0; round < 3; ++round) {
                                     auto passing = ring.subscribe();
                                     read(passing, 2, 2);
                                 }
                             });
                             execution.run();
                             drain(ring, stays, accepted);
                         },
                         23, 6000));
}

TEST_MAIN
