// The SPSC rings, the ring of bytes and the broadcast rings with either side killed at every step: what is delivered is
// whole, in order, never twice, and whatever is missing is accounted for. A longer run:
// RING_KILL_ROUNDS=100000 ring_kill_test
#include "ring_kill_bytes.hpp"
#include "ring_kill_rigs.hpp"

using namespace fastmas::testing;

TEST(spsc_is_killed) {
    OneToOneRounds<SpscRig<SpscRing<KillMemory>, InheritedBody>> rounds(8, 41);
    rounds.run(kill_rounds(4000));
    rounds.deaths().require({"push: room seen", "push: written", "push: published", "pop: read", "pop: given back",
                             "claim: lent", "claim: a record written", "peek: lent", "peek: a record read"});
}

TEST(bytes_is_killed) {
    OneToOneRounds<ByteRig<InheritedBody>> rounds(8, 45);
    rounds.run(kill_rounds(4000));
    rounds.deaths().require({"push: room seen", "push: written", "push: end written", "push: padded", "push: published",
                             "push: position noted", "front: lent", "pop: frame seen", "pop: read", "pop: given back",
                             "pop: counted", "pop: shown"});
}

TEST(either_side_of_a_sequenced_spsc_ring_is_killed_at_every_step) {
    OneToOneRounds<SpscRig<SequencedSpscRing<KillMemory>, InheritedBody>> rounds(8, 43);
    rounds.run(kill_rounds(4000));
    rounds.deaths().require({"push: room seen", "push: written", "push: published", "push_many: one published",
                             "pop: read", "pop_many: read", "pop: given back", "pop: shown"});
}

TEST(broadcast_is_killed) {
    OneToOneRounds<BroadcastRig<InheritedBody>> rounds(8, 42);
    rounds.run(kill_rounds(5000));
    rounds.deaths().require({"publish: room seen", "publish: written", "publish: published", "pop: read",
                             "pop: given back", "join: place taken", "join: met the producer", "join: position shown",
                             "join: complete", "leave: no longer joined", "leave: place given back"});
}

TEST(overwriting_is_killed) {
    OneToOneRounds<OverwritingRig<InheritedBody>> rounds(8, 43);
    rounds.run(kill_rounds(5000));
    rounds.deaths().require({"publish: claimed", "write: a word", "publish: written", "publish: published",
                             "poll: copied", "jump: no journal", "jump: loss written down", "jump: written down",
                             "pop: moved on", "jump: loss counted"});
}

TEST(evicting_is_killed) {
    OneToOneRounds<EvictingRig<InheritedBody>> rounds(8, 44);
    rounds.run(kill_rounds(5000));
    rounds.deaths().require({"publish: room made", "write: a word", "publish: written", "publish: published",
                             "poll: copied", "pop: given back"});
}

TEST_MAIN
