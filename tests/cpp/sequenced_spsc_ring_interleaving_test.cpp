// Every interleaving of a few pushes and pops, with every stale value the memory orders allow, on the real
// SequencedSpscRing.
#include <cstring>
#include <vector>

#include "check.hpp"
#include "explore.hpp"
#include "ringbuffer/sequenced_spsc_ring.hpp"
#include "spsc_ring_interleavings.hpp"

using namespace fastmas::testing::interleavings;
using fastmas::testing::Execution;
using fastmas::testing::explore;
using fastmas::testing::explore_random;
using fastmas::testing::ModelMemory;

namespace {

using Ring = fastmas::ringbuffer::SequencedSpscRing<ModelMemory>;

}  // namespace

// Each slot is an atomic of its own, so there are more interleavings than of the contiguous ring: all of three pushes
// and two pops; beyond that those with few preemptions.
TEST(every_interleaving_of_three_pushes_and_two_pops) {
    report("3 pushes, 2 pops", explore([](Execution& e) { singles<Ring, 8>(e, 3, 2); }));
}

TEST(interleavings_of_five_pushes_and_four_pops) {
    report("5 pushes, 4 pops", explore([](Execution& e) { singles<Ring, 8>(e, 5, 4); }, 4));
}

TEST(interleavings_of_three_batches_each_way) {
    report("batches", explore([](Execution& e) { batches<Ring, 8>(e, 4, 3, 3); }, 3));
}

TEST(random_interleavings_of_longer_runs) {
    report("12 pushes, 12 pops", explore_random([](Execution& e) { singles<Ring, 8>(e, 12, 12); }, 11, 4000));
}

TEST(peeking_in_place_is_ordered_like_popping) {
    report("peek", explore([](Execution& e) { peeks<Ring, 8>(e, 4, 3); }, 4));
}

TEST(sizes_seen_by_a_third_thread_are_possible_ones) {
    report("observer", explore(observer<Ring, 8>, 3));
}

TEST(a_producer_dies_at_any_step) {
    report("a producer dies", explore([](Execution& e) { producer_dies<Ring, 8>(e, 3, 2); }, 3));
}

TEST(a_consumer_dies_at_any_step) {
    report("a consumer dies", explore([](Execution& e) { consumer_dies<Ring, 8>(e, 3, 2); }, 3));
}

// A record on two lines: the word of each is looked at.
TEST(every_interleaving_of_records_on_two_lines) {
    report("two lines", explore([](Execution& e) { singles<Ring, 64>(e, 3, 3); }, 3));
    report("two lines, a producer dies", explore([](Execution& e) { producer_dies<Ring, 64>(e, 3, 2); }, 2));
    report("two lines, a consumer dies", explore([](Execution& e) { consumer_dies<Ring, 64>(e, 3, 2); }, 2));
}

// Eight slots and more: what is shown to the producer lags behind what was popped.
TEST(random_interleavings_where_the_position_shown_lags) {
    report("16 slots", explore_random([](Execution& e) { batches<Ring, 8>(e, 16, 12, 14); }, 7, 2000));
}

TEST_MAIN
