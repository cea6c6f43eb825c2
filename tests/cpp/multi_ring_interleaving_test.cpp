// Every interleaving of a few pushes and pops of several threads, with every stale value the memory orders allow, on
// the real MpscRing and MpmcRing.
#include "multi_ring_model.hpp"

using namespace fastmas::testing;

namespace {

// `producers` with `pushes` each, `consumers` with `pops` each, all at once.
template <class Ring>
void singles(Execution& execution, std::int64_t capacity, int producers, int pushes, int consumers, int pops) {
    MultiRun<Ring> run(capacity);
    for (std::int32_t id = 0; id < producers; ++id)
        execution.thread([&run, id, pushes] {
            for (int i = 0; i < pushes; ++i) run.push(id);
        });
    for (std::int32_t id = 0; id < consumers; ++id)
        execution.thread([&run, id, pops] {
            for (int i = 0; i < pops; ++i) run.pop(id);
        });
    execution.run();
    run.check_all();
}

template <class Ring>
void batches(Execution& execution, std::int64_t capacity, std::int64_t pushed, std::int64_t popped) {
    MultiRun<Ring> run(capacity);
    execution.thread([&] {
        run.push_many(0, pushed);
        run.push_many(0, 1);
    });
    execution.thread([&] { run.push_many(1, pushed); });
    execution.thread([&] {
        run.pop_many(0, popped);
        run.pop_many(0, popped);
    });
    execution.run();
    run.check_all();
}

}  // namespace

// ---- every interleaving there is

TEST(two_producers_want_one_slot) {
    report("2 x 1 push", explore([](Execution& e) { singles<ModelMpmc>(e, 2, 2, 1, 0, 0); }));
}
TEST(two_consumers_want_one_record) {
    report("1 push, 2 x 1 pop", explore([](Execution& e) { singles<ModelMpmc>(e, 2, 1, 1, 2, 1); }));
}
TEST(one_producer_one_consumer) {
    report("mpmc, 2 pushes, 2 pops", explore([](Execution& e) { singles<ModelMpmc>(e, 2, 1, 2, 1, 2); }));
    report("mpsc, 2 pushes, 2 pops", explore([](Execution& e) { singles<ModelMpsc>(e, 2, 1, 2, 1, 2); }));
}

// ---- every interleaving with so many preemptions (CHESS: nearly every mistake needs at most two), and random ones

TEST(a_slot_is_used_again) {
    report("mpsc, 3 pushes, 3 pops", explore([](Execution& e) { singles<ModelMpsc>(e, 2, 1, 3, 1, 3); }, most(3)));
    report("mpmc, 3 pushes, 3 pops", explore([](Execution& e) { singles<ModelMpmc>(e, 2, 1, 3, 1, 3); }, most(3)));
}
TEST(two_producers_and_their_consumer) {
    report("mpsc, 2 x 1 push, 2 pops", explore([](Execution& e) { singles<ModelMpsc>(e, 2, 2, 1, 1, 2); }, most(3)));
    report("mpsc, 2 x 2 pushes, 2 pops", explore([](Execution& e) { singles<ModelMpsc>(e, 2, 2, 2, 1, 2); }, most(1)));
}
TEST(two_consumers_and_their_producer) {
    report("mpmc, 2 pushes, 2 x 1 pop", explore([](Execution& e) { singles<ModelMpmc>(e, 2, 1, 2, 2, 1); }, most(3)));
    report("mpmc, 3 pushes, 2 x 2 pops", explore([](Execution& e) { singles<ModelMpmc>(e, 2, 1, 3, 2, 2); }, most(1)));
}
TEST(batches_of_two_producers) {
    report("mpsc, batches", explore([](Execution& e) { batches<ModelMpsc>(e, 2, 2, 3); }, most(1)));
    report("mpmc, batches", explore([](Execution& e) { batches<ModelMpmc>(e, 2, 2, 3); }, most(1)));
}
TEST(random_interleavings_of_longer_runs) {
    report("mpsc, 2 x 4 pushes, 6 pops",
           explore_random([](Execution& e) { singles<ModelMpsc>(e, 2, 2, 4, 1, 6); }, 21, kRandom));
    report("mpmc, 2 x 3 pushes, 2 x 3 pops",
           explore_random([](Execution& e) { singles<ModelMpmc>(e, 2, 2, 3, 2, 3); }, 22, kRandom));
    report("mpmc, batches of 3 in 4 slots",
           explore_random([](Execution& e) { batches<ModelMpmc>(e, 4, 3, 3); }, 23, kRandom));
}

TEST_MAIN
