// MpscRing and MpmcRing when somebody stops for ever: at every kill point, in every interleaving with so many
// preemptions, with every stale value the memory orders allow, and with whoever recovers at work beside the survivors.
#include "multi_ring_model.hpp"

using namespace fastmas::testing;

namespace {

constexpr std::int64_t kNotCalled = 0;

// The producer 0 may die in its pushes; its heir recovers. The producer 1 and the consumer go on meanwhile.
template <class Ring>
void producer_dies(Execution& execution, std::int64_t batch, int others_pushes, int pops) {
    MultiRun<Ring> run(2);
    std::int64_t abandoned = kNotCalled;
    const ThreadId dying = execution.mortal([&] { run.push_many(0, batch); });
    execution.heir(dying, [&] { abandoned = run.ring.recover_producer(0); });
    execution.thread([&] {
        for (int i = 0; i < others_pushes; ++i) run.push(1);
    });
    execution.thread([&] {
        for (int i = 0; i < pops; ++i) run.pop(0);
    });
    execution.run();
    run.check_all();
    CHECK_EQUAL(run.ring.skipped(), abandoned);
    CHECK_EQUAL(run.ring.recover_producer(0), 0);
}

// The consumer 0 may die in its pops; its heir recovers. The producer and the consumer 1 go on meanwhile.
void consumer_dies(Execution& execution, std::int64_t batch, int pushes, int others_pops) {
    MultiRun<ModelMpmc> run(2);
    std::int64_t lost = kNotCalled;
    const ThreadId dying = execution.mortal([&] { run.pop_many(0, batch); });
    execution.heir(dying, [&] { lost = run.ring.recover_consumer(0); });
    execution.thread([&] {
        for (int i = 0; i < pushes; ++i) run.push(0);
    });
    execution.thread([&] {
        for (int i = 0; i < others_pops; ++i) run.pop(1);
    });
    execution.run();
    run.check_all();
    CHECK_EQUAL(run.ring.lost(), lost);
    CHECK_EQUAL(run.ring.recover_consumer(0), 0);
}

}  // namespace

TEST(a_producer_dies_and_the_others_go_on) {
    report("mpsc", explore([](Execution& e) { producer_dies<ModelMpsc>(e, 1, 1, 2); }, most(2)));
    report("mpmc", explore([](Execution& e) { producer_dies<ModelMpmc>(e, 1, 1, 2); }, most(2)));
    report("mpsc, a lap", explore([](Execution& e) { producer_dies<ModelMpsc>(e, 1, 2, 3); }, most(1)));
    report("mpmc, a lap", explore([](Execution& e) { producer_dies<ModelMpmc>(e, 1, 2, 3); }, most(1)));
}

TEST(a_producer_dies_in_a_batch) {
    report("mpsc", explore([](Execution& e) { producer_dies<ModelMpsc>(e, 2, 1, 2); }, most(1)));
    report("mpmc", explore([](Execution& e) { producer_dies<ModelMpmc>(e, 2, 1, 2); }, most(1)));
    report("mpmc, random", explore_random([](Execution& e) { producer_dies<ModelMpmc>(e, 2, 3, 4); }, 31, kRandom));
}

TEST(a_consumer_dies_and_the_others_go_on) {
    report("1 pop, 2 pushes", explore([](Execution& e) { consumer_dies(e, 1, 2, 1); }, most(2)));
    report("1 pop, 3 pushes", explore([](Execution& e) { consumer_dies(e, 1, 3, 1); }, most(2)));
    report("2 pops in a batch", explore([](Execution& e) { consumer_dies(e, 2, 3, 1); }, most(1)));
    report("2 pops in a batch, random", explore_random([](Execution& e) { consumer_dies(e, 2, 4, 3); }, 32, kRandom));
}

TEST(the_only_consumer_dies_and_another_takes_its_place) {
    report("mpsc", explore(
                       [](Execution& execution) {
                           MultiRun<ModelMpsc> run(2);
                           const ThreadId dying = execution.mortal([&] { run.pop_many(0, 2); });
                           execution.heir(dying, [&] {
                               run.ring.recover_consumer(0);
                               run.pop(1);
                               run.pop(1);
                           });
                           execution.thread([&] {
                               for (int i = 0; i < 3; ++i) run.push(0);
                           });
                           execution.run();
                           run.check_all();
                       },
                       most(3)));
}

TEST(a_recoverer_dies_too) {
    report("of a producer", explore(
                                [](Execution& execution) {
                                    MultiRun<ModelMpmc> run(2);
                                    const ThreadId dying = execution.mortal([&] { run.push_many(0, 2); });
                                    const ThreadId first = execution.heir(
                                        dying, [&] { run.ring.recover_producer(0); }, true);
                                    execution.heir(first, [&] { run.ring.recover_producer(0); });
                                    execution.thread([&] {
                                        run.pop(0);
                                        run.push(1);
                                        run.pop(0);
                                    });
                                    execution.run();
                                    run.check_all();
                                },
                                most(2)));
    report("of a consumer", explore(
                                [](Execution& execution) {
                                    MultiRun<ModelMpmc> run(2);
                                    for (int i = 0; i < 2; ++i) run.push(0);
                                    const ThreadId dying = execution.mortal([&] { run.pop_many(0, 2); });
                                    const ThreadId first = execution.heir(
                                        dying, [&] { run.ring.recover_consumer(0); }, true);
                                    execution.heir(first, [&] { run.ring.recover_consumer(0); });
                                    execution.thread([&] {
                                        run.push(0);
                                        run.pop(1);
                                        run.push(0);
                                    });
                                    execution.run();
                                    run.check_all();
                                },
                                most(2)));
}

// Both have skipped records in front of them, and one may die while it passes and counts them.
TEST(a_consumer_dies_while_it_passes_over_a_dead_producers_claim) {
    report("two consumers", explore(
                                [](Execution& execution) {
                                    MultiRun<ModelMpmc> run(2);
                                    std::int64_t abandoned = kNotCalled;
                                    std::int64_t lost = kNotCalled;
                                    const ThreadId producer = execution.mortal([&] { run.push(0); });
                                    execution.heir(producer, [&] {
                                        abandoned = run.ring.recover_producer(0);
                                        run.push(1);
                                    });
                                    const ThreadId consumer = execution.mortal([&] { run.pop(0); });
                                    execution.heir(consumer, [&] { lost = run.ring.recover_consumer(0); });
                                    execution.thread([&] { run.pop(1); });
                                    execution.run();
                                    run.check_all();
                                    CHECK_EQUAL(run.ring.skipped(), abandoned);
                                    CHECK_EQUAL(run.ring.lost(), lost);
                                },
                                most(1)));
}

// Each of two claims is counted once, whichever consumer sees what of the other's counting.
TEST(two_consumers_pass_over_two_claims) {
    report("two claims", explore(
                             [](Execution& execution) {
                                 MultiRun<ModelMpmc> run(4);
                                 for (std::int32_t id = 0; id < 2; ++id) {
                                     CHECK(run.slots.claim(id, id));
                                     run.in_doubt[id] = 1;
                                     CHECK_EQUAL(run.ring.recover_producer(id), 1);
                                 }
                                 execution.thread([&] { run.pop(0); });
                                 execution.thread([&] { run.pop(1); });
                                 execution.run();
                                 run.check_all();
                                 CHECK_EQUAL(run.ring.skipped(), 2);
                             },
                             most(3)));
}

// Whoever takes a dead producer's id over recovers first, then pushes under it.
TEST(a_producer_is_replaced_under_its_id) {
    report("mpsc", explore(
                       [](Execution& execution) {
                           MultiRun<ModelMpsc> run(2);
                           std::int64_t abandoned = kNotCalled;
                           std::int64_t again = 0;
                           const ThreadId dying = execution.mortal([&] { run.push(0); });
                           execution.heir(dying, [&] {
                               abandoned = run.ring.recover_producer(0);
                               const std::int64_t value = MultiRun<ModelMpsc>::value_of(0, 1);
                               again = run.ring.try_push(0, reinterpret_cast<const std::byte*>(&value)) ? 1 : 0;
                               run.tried[0] += again;  // counted as a record that may be missing before it
                           });
                           execution.thread([&] {
                               run.pop(0);
                               run.pop(0);
                           });
                           execution.run();
                           while (run.pop(3)) {
                           }
                           CHECK_EQUAL(run.ring.skipped(), abandoned);
                           CHECK_EQUAL(run.ring.pushed(), run.ring.popped());
                           CHECK_EQUAL(run.ring.popped(),
                                       static_cast<std::int64_t>(run.got[0].size() + run.got[3].size()));
                           CHECK(run.ring.popped() >= again);
                       },
                       most(3)));
}

TEST_MAIN
