// Interleavings of a producer that never waits with its readers, with every stale value the memory orders allow, on the
// real OverwritingRing and EvictingRing. A record is two words, each a function of the sequence: a torn one shows.
#include <cstring>
#include <iostream>
#include <vector>

#include "check.hpp"
#include "explore.hpp"
#include "ringbuffer/evicting_ring.hpp"
#include "ringbuffer/overwriting_ring.hpp"

using fastmas::ringbuffer::Block;
using fastmas::ringbuffer::RingShape;
using fastmas::testing::Execution;
using fastmas::testing::Exploration;
using fastmas::testing::explore;
using fastmas::testing::explore_random;
using fastmas::testing::ModelMemory;

namespace {

using Overwriting = fastmas::ringbuffer::OverwritingRing<ModelMemory, 2>;
using Evicting = fastmas::ringbuffer::EvictingRing<ModelMemory, 2>;

struct Record {
    std::int64_t first;
    std::int64_t second;
    static Record of(std::int64_t sequence) { return {1000 + 7 * sequence, 5'000'000 - 11 * sequence}; }
};
constexpr std::int64_t kRecord = sizeof(Record);

void report(const char* name, const Exploration& result) {
    std::cout << name << ": " << result.executions << " executions\n";
    CHECK_EQUAL(result.failure, std::string());
    CHECK(result.complete);
}

template <class Ring>
void publish(Ring& ring, std::int64_t first, std::int64_t count) {
    std::vector<Record> records;
    for (std::int64_t i = 0; i < count; ++i) records.push_back(Record::of(first + i));
    if (count == 1) {
        ring.publish(reinterpret_cast<const std::byte*>(records.data()));
    } else {
        ring.publish_many(reinterpret_cast<const std::byte*>(records.data()), count);
    }
}

// Polls; whatever comes are the records before the position that the subscriber then shows. How many came.
template <class Subscriber>
std::int64_t read(Subscriber& subscriber, int polls, std::int64_t batch) {
    std::int64_t all = 0;
    for (int i = 0; i < polls; ++i) {
        Record records[4] = {};
        const std::int64_t before = subscriber.next_to_pop();
        const std::int64_t n = subscriber.poll(reinterpret_cast<std::byte*>(records), batch);
        CHECK(subscriber.next_to_pop() >= before + n);
        for (std::int64_t k = 0; k < n; ++k) {
            const Record expected = Record::of(subscriber.next_to_pop() - n + k);
            CHECK_EQUAL(records[k].first, expected.first);
            CHECK_EQUAL(records[k].second, expected.second);
        }
        all += n;
    }
    return all;
}

}  // namespace

TEST(nothing_torn_comes_out_while_the_producer_laps) {
    report("overwrite", explore(
                            [](Execution& execution) {
                                Overwriting ring(RingShape::checked(2, kRecord));
                                auto subscriber = ring.subscribe();
                                std::int64_t received = 0;
                                publish(ring, 0, 1);
                                execution.thread([&] {
                                    for (std::int64_t i = 1; i < 4; ++i) publish(ring, i, 1);
                                });
                                execution.thread([&] { received += read(subscriber, 2, 1); });
                                execution.run();
                                received += read(subscriber, 4, 1);
                                CHECK_EQUAL(subscriber.next_to_pop(), 4);
                                CHECK_EQUAL(subscriber.received(), received);
                                CHECK_EQUAL(subscriber.received() + subscriber.lost(), 4);
                            },
                            3));
}

TEST(a_batch_that_is_overtaken_in_part_keeps_the_rest) {
    std::int64_t cut = 0;
    report("cut", explore(
                      [&](Execution& execution) {
                          Overwriting ring(RingShape::checked(4, 8));
                          auto subscriber = ring.subscribe();
                          const auto word = [](std::int64_t sequence) { return 1000 + 7 * sequence; };
                          const auto put = [&](std::int64_t sequence) {
                              const std::int64_t value = word(sequence);
                              ring.publish(reinterpret_cast<const std::byte*>(&value));
                          };
                          for (std::int64_t i = 0; i < 3; ++i) put(i);
                          execution.thread([&] {
                              for (std::int64_t i = 3; i < 6; ++i) put(i);
                          });
                          execution.thread([&] {
                              std::int64_t values[4];
                              const auto n = subscriber.poll(reinterpret_cast<std::byte*>(values), 3);
                              for (std::int64_t k = 0; k < n; ++k)
                                  CHECK_EQUAL(values[k], word(subscriber.next_to_pop() - n + k));
                              CHECK_EQUAL(subscriber.received(), n);
                              if (n > 0 && subscriber.lost() > 0) ++cut;
                          });
                          execution.run();
                      },
                      2));
    CHECK(cut > 0);
}

// A producer dies after it has claimed a batch and written a part of it; the next one claims less. What the dead one
// left must not be taken for the records of the lap before.
TEST(words_that_a_dead_producer_left_are_of_no_record) {
    report("heir", explore(
                       [](Execution& execution) {
                           const auto shape = RingShape::checked(4, kRecord);
                           Block block(Overwriting::body_bytes(shape));
                           Overwriting::format(block.data(), shape);
                           Overwriting ring(block.data(), shape);
                           auto subscriber = ring.subscribe();
                           for (std::int64_t i = 0; i < 4; ++i) publish(ring, i, 1);
                           // What the dead one did of publishing sequences 4 and 5: the claim, and slot 1 in part.
                           using Control = fastmas::ringbuffer::BroadcastControl<ModelMemory, 2>;
                           auto& control = *reinterpret_cast<Control*>(block.data());
                           control.cursor.claimed.store(6, std::memory_order_relaxed);
                           auto* slot_of_1 = reinterpret_cast<std::uint64_t*>(block.data() + sizeof(Control)) + 2;
                           ModelMemory::AtomicWord(*slot_of_1).store(77, std::memory_order_release);
                           Overwriting heir(block.data(), shape);
                           heir.resume_producer();
                           execution.thread([&] { publish(heir, 4, 1); });
                           execution.thread([&] { read(subscriber, 2, 2); });
                           execution.run();
                           read(subscriber, 5, 2);
                           CHECK_EQUAL(subscriber.next_to_pop(), 5);
                           CHECK_EQUAL(subscriber.received() + subscriber.lost(), 5);
                       },
                       2));
}

TEST(random_laps_of_an_overwriting_ring) {
    report("random laps", explore_random(
                              [](Execution& execution) {
                                  Overwriting ring(RingShape::checked(2, kRecord));
                                  auto stays = ring.subscribe();
                                  std::int64_t received = 0;
                                  execution.thread([&] {
                                      for (std::int64_t i = 0; i < 9; i += 3) publish(ring, i, 3);
                                  });
                                  execution.thread([&] { received += read(stays, 4, 2); });
                                  execution.thread([&] {
                                      auto joins = ring.subscribe();
                                      read(joins, 3, 1);
                                  });
                                  execution.run();
                                  received += read(stays, 6, 2);
                                  CHECK_EQUAL(stays.next_to_pop(), 9);
                                  CHECK_EQUAL(stays.received(), received);
                              },
                              29, 20'000));
}

TEST(who_is_put_out_delivers_nothing_torn) {
    bool some_evicted = false, some_stayed = false;
    report("evict", explore(
                        [&](Execution& execution) {
                            Evicting ring(RingShape::checked(2, kRecord), 2);
                            auto subscriber = ring.subscribe();
                            publish(ring, 0, 1);
                            std::int64_t received = 0;
                            execution.thread([&] {
                                for (std::int64_t i = 1; i < 4; ++i) publish(ring, i, 1);
                            });
                            execution.thread([&] { received += read(subscriber, 2, 1); });
                            execution.run();
                            CHECK_EQUAL(subscriber.received(), received);
                            (subscriber.evicted() ? some_evicted : some_stayed) = true;
                            CHECK_EQUAL(ring.evicted(), subscriber.evicted() ? 1 : 0);
                            received = read(subscriber, 4, 1);
                            CHECK_EQUAL(received == 0, subscriber.evicted());
                            if (!subscriber.evicted()) CHECK_EQUAL(subscriber.received(), 4);
                        },
                        3));
    CHECK(some_evicted);
    CHECK(some_stayed);
}

TEST(joining_while_the_producer_puts_out) {
    report("join and evict", explore(
                                 [](Execution& execution) {
                                     Evicting ring(RingShape::checked(2, 8), 1);
                                     const auto put = [&](std::int64_t sequence) {
                                         const std::int64_t value = 1000 + 7 * sequence;
                                         ring.publish(reinterpret_cast<const std::byte*>(&value));
                                     };
                                     Evicting::Subscriber subscriber;
                                     execution.thread([&] {
                                         for (std::int64_t i = 0; i < 4; ++i) put(i);
                                     });
                                     execution.thread([&] {
                                         subscriber = ring.subscribe();
                                         for (int i = 0; i < 2; ++i) {
                                             std::int64_t value = 0;
                                             const auto at = subscriber.next_to_pop();
                                             if (subscriber.try_pop(reinterpret_cast<std::byte*>(&value)))
                                                 CHECK_EQUAL(value, 1000 + 7 * at);
                                         }
                                     });
                                     execution.run();
                                     CHECK_EQUAL(ring.evicted(), subscriber.evicted() ? 1 : 0);
                                     if (!subscriber.evicted()) {
                                         std::int64_t value = 0;
                                         while (subscriber.try_pop(reinterpret_cast<std::byte*>(&value)))
                                             CHECK_EQUAL(value, 1000 + 7 * (subscriber.next_to_pop() - 1));
                                         CHECK_EQUAL(subscriber.next_to_pop(), 4);
                                     }
                                 },
                                 4));
}

TEST_MAIN
