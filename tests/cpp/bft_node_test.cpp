// BftNode driven by hand: heights, gossip, catch-up, recovery, checkpoints, validator changes.
#include <set>

#include "bft_rig.hpp"
#include "check.hpp"

using namespace fastmas::testing;
using fastmas::base::ConfigError;

TEST(four_nodes_agree_on_a_command) {
    BftRig rig(4);
    CHECK(rig.propose(2, "buy", 1, 5).status == ProposeStatus::appended);
    rig.run();
    for (NodeId id = 1; id <= 4; ++id) {
        CHECK_EQUAL(rig.at(id).commands(), "buy ");
        CHECK_EQUAL(rig.at(id).committed[0].index, 1U);
        CHECK_EQUAL(rig.at(id).committed[0].time_ns, 5);
        CHECK_EQUAL(rig.at(id)->height(), 2U);
        CHECK_EQUAL(rig.at(id)->round(), kNoRound);  // no empty blocks
        CHECK(rig.at(id)->is_idle());
    }
}

TEST(one_node_alone_agrees_with_itself) {
    BftRig rig(1);
    for (std::uint64_t k = 1; k <= 5; ++k) {
        rig.propose(1, "c" + std::to_string(k), k);
        rig.run();
    }
    CHECK_EQUAL(rig.at(1).commands(), "c1 c2 c3 c4 c5 ");
}

TEST(a_burst_is_one_block_and_the_next_height_has_the_next_proposer) {
    BftRig rig(4);
    for (std::uint64_t k = 1; k <= 10; ++k) rig.propose(1, std::to_string(k), k);
    rig.run();
    CHECK_EQUAL(rig.at(3)->height(), 2U);
    CHECK_EQUAL(rig.at(3).committed.size(), 10U);
    std::vector<NodeId> proposers;
    for (std::uint64_t k = 11; k <= 18; ++k) {
        rig.propose(1, std::to_string(k), k);
        rig.run();
    }
    for (Height height = 1; height <= 8; ++height) proposers.push_back(rig.at(2)->decided(height)->block->proposer);
    CHECK(proposers == std::vector<NodeId>({1, 2, 3, 4, 1, 2, 3, 4}));
}

TEST(a_block_has_a_bounded_number_of_commands_and_bytes) {
    BftRig rig(4, {}, [](BftConfig& config) {
        config.limits.max_block_commands = 4;
        config.limits.max_block_bytes = 40;
        config.limits.max_command_bytes = 20;
    });
    for (std::uint64_t k = 1; k <= 10; ++k) rig.propose(1, "a", k);
    rig.run();
    CHECK_EQUAL(rig.at(4).committed.size(), 10U);
    CHECK_EQUAL(rig.at(4)->height(), 4U);
    for (std::uint64_t k = 11; k <= 14; ++k) rig.propose(1, std::string(15, 'b'), k);
    rig.run();
    CHECK_EQUAL(rig.at(4)->height(), 6U);
    CHECK(rig.at(1)->propose(payload(std::string(21, 'c')), session_of(15), 0).status == ProposeStatus::too_large);
}

TEST(requests_need_a_session_and_are_decided_once) {
    BftRig rig(4);
    CHECK(rig.at(1)->propose(payload("x"), {}, 0).status == ProposeStatus::refused);
    rig.propose(1, "x", 1);
    rig.propose(1, "x", 1);
    rig.propose(3, "x", 1);
    rig.run();
    rig.propose(2, "x", 1);
    rig.run();
    rig.tick(50);
    CHECK_EQUAL(rig.at(4).commands(), "x ");
    CHECK_EQUAL(rig.at(4)->height(), 2U);
}

// A later request of a client would make an earlier one impossible: it waits.
TEST(a_clients_requests_keep_their_order) {
    BftRig rig(4);
    rig.at(1)->propose(payload("2"), {9, 2, 0}, 0);
    rig.run();
    rig.tick(30);
    CHECK_EQUAL(rig.at(1)->height(), 1U);
    rig.at(3)->propose(payload("1"), {9, 1, 0}, 0);
    rig.run();
    CHECK_EQUAL(rig.at(4).commands(), "1 2 ");
    // unless the client has given up on what is missing
    rig.at(1)->propose(payload("7"), {9, 7, 6}, 0);
    rig.run();
    CHECK_EQUAL(rig.at(4).commands(), "1 2 7 ");
}

TEST(a_silent_proposer_costs_a_round) {
    BftRig rig(4);
    const auto passes = BftRig::among({2, 3, 4});
    rig.propose(2, "x", 1);  // node 1 proposes round 0 of height 1
    rig.tick(60, passes);
    for (const NodeId id : {2U, 3U, 4U}) CHECK_EQUAL(rig.at(id).commands(), "x ");
    CHECK_EQUAL(rig.at(2)->decided(1)->block->proposer, 2U);
    CHECK_EQUAL(rig.at(2)->decided(1)->certificate.round, 1);
}

// PITFALLS 36: two of four are no quorum, whatever they do.
TEST(without_a_quorum_nothing_is_decided) {
    BftRig rig(4);
    rig.propose(1, "x", 1);
    rig.tick(500, BftRig::among({1, 2}));
    CHECK_EQUAL(rig.at(1)->height(), 1U);
    rig.tick(400);
    for (NodeId id = 1; id <= 4; ++id) CHECK_EQUAL(rig.at(id).commands(), "x ");
}

TEST(weights_count_not_heads) {
    BftRig rig(4, {10, 1, 1, 1});
    rig.propose(1, "x", 1);
    rig.run(BftRig::among({1}));
    CHECK_EQUAL(rig.at(1)->height(), 2U);  // 10 of 13 are more than two thirds
    BftRig other(4, {3, 3, 3, 1});
    other.propose(1, "x", 1);
    other.run(BftRig::among({1, 2, 4}));
    CHECK_EQUAL(other.at(1)->height(), 2U);  // 7 of 10
    BftRig less(4, {2, 2, 2, 3});
    less.propose(1, "x", 1);
    less.run(BftRig::among({1, 2, 3}));
    CHECK_EQUAL(less.at(1)->height(), 1U);  // 6 of 9 are not
}

// PITFALLS 37.
TEST(time_outs_grow_by_round) {
    BftRig rig(4);
    rig.propose(1, "x", 1);
    std::vector<int> begun;
    Round last = kNoRound;
    for (int tick = 0; tick < 600; ++tick) {
        // proposals are lost, votes arrive
        rig.tick(1, [](const Message& message) { return message.type != MessageType::proposal; });
        if (rig.at(3)->round() > last) {
            last = rig.at(3)->round();
            begun.push_back(tick);
        }
    }
    CHECK(begun.size() > 6);
    for (std::size_t i = 3; i + 1 < begun.size(); ++i) CHECK(begun[i + 1] - begun[i] > begun[i] - begun[i - 1]);
}

// A vote that reached one correct node reaches all, although its author sent it to nobody else.
TEST(votes_are_passed_on) {
    BftRig rig(4);
    rig.propose(1, "x", 1);
    // node 4 talks to node 1 only, both ways; node 3 is down: every quorum needs node 4's votes
    const auto passes = [](const Message& message) {
        if (message.from == 3 || message.to == 3) return false;
        if (message.from == 4) return message.to == 1;
        if (message.to == 4) return message.from == 1;
        return true;
    };
    rig.tick(60, passes);
    for (const NodeId id : {1U, 2U, 4U}) CHECK_EQUAL(rig.at(id).commands(), "x ");
}

TEST(a_laggard_catches_up_with_certificates) {
    BftRig rig(4);
    for (std::uint64_t k = 1; k <= 20; ++k) {
        rig.propose(1, std::to_string(k), k);
        rig.run(BftRig::among({1, 2, 3}));
        rig.tick(40, BftRig::among({1, 2, 3}));
    }
    CHECK_EQUAL(rig.at(1)->height(), 21U);
    CHECK_EQUAL(rig.at(4)->height(), 1U);
    rig.tick(25);
    CHECK_EQUAL(rig.at(4)->height(), 21U);
    CHECK_EQUAL(rig.at(4).commands(), rig.at(1).commands());
    CHECK_EQUAL(rig.at(4)->counters().caught_up, 20U);
}

// PITFALLS 35: at every message of a height, a crash and a restart, and never two different votes of one round.
TEST(a_restarted_node_never_contradicts_itself) {
    for (int crash_after = 0; crash_after < 40; ++crash_after) {
        BftRig rig(4);
        std::map<std::tuple<NodeId, int, Height, Round>, std::set<Digest>> signed_values;
        const auto watch = [&](const Message& message) {
            for (const Vote& vote : message.votes)
                signed_values[{vote.validator, static_cast<int>(vote.type), vote.height, vote.round}].insert(
                    vote.value);
            if (message.type == MessageType::proposal)
                signed_values[{message.proposal.proposer, 0, message.proposal.height, message.proposal.round}].insert(
                    message.proposal.value);
            return true;
        };
        rig.propose(1, "x", 1);
        int seen = 0;
        rig.run([&](const Message& message) {
            watch(message);
            if (++seen == crash_after) {
                rig.boot(1);
                rig.boot(3);
                rig.propose(1, "y", 1);  // and has another block to propose
            }
            return true;
        });
        rig.tick(150, watch);
        for (const auto& [what, values] : signed_values) CHECK_EQUAL(values.size(), 1U);
        CHECK_EQUAL(rig.at(4).committed.size(), 1U);
    }
}

// The lock survives the crash: a node locked on A prevotes nil for B in the next round.
TEST(a_restarted_node_remembers_its_lock) {
    BftRig rig(4);
    const BlockPtr a = rig.block(3, 1, {"a"}, 1), b = rig.block(3, 2, {"b"}, 1);
    rig.at(3).step(rig.proposal(1, 3, a, 0));
    const auto locked = rig.at(3).step(BftRig::votes(
        1, 3, {rig.vote(VoteType::prevote, 1, 1, 0, a->id), rig.vote(VoteType::prevote, 2, 1, 0, a->id)}));
    CHECK(vote_in(locked, VoteType::precommit) != nullptr);
    rig.boot(3);
    CHECK_EQUAL(rig.at(3)->machine().locks().locked_round, 0);
    CHECK(rig.at(3)->machine().locks().locked_value == a->id);
    rig.at(3).step(BftRig::votes(
        1, 3, {rig.vote(VoteType::precommit, 1, 1, 1, kNil), rig.vote(VoteType::precommit, 2, 1, 1, kNil)}));
    CHECK_EQUAL(rig.at(3)->round(), 1);
    const auto said = rig.at(3).step(rig.proposal(2, 3, b, 1));
    CHECK(vote_in(said, VoteType::prevote)->value == kNil);
    // and as the proposer of round 2 it proposes A again, with the proof it had
    rig.boot(3);
    const auto proposed = rig.at(3).step(BftRig::votes(
        1, 3, {rig.vote(VoteType::precommit, 1, 1, 2, kNil), rig.vote(VoteType::precommit, 2, 1, 2, kNil)}));
    CHECK_EQUAL(count_of(proposed, MessageType::proposal), 3U);
    for (const Message& message : proposed)
        if (message.type == MessageType::proposal) {
            CHECK(message.proposal.value == a->id);
            CHECK_EQUAL(message.proposal.pol_round, 0);
            CHECK_EQUAL(message.proposal.pol.size(), 3U);
        }
}

TEST(votes_are_durable_before_they_leave) {
    BftRig rig(4);
    rig.propose(1, "x", 1);
    while (rig.at(1)->has_ready()) {
        const bft::Ready& ready = rig.at(1)->ready();
        for (const Message& message : ready.messages) {
            if (message.type == MessageType::proposal) {
                CHECK(ready.must_sync && ready.hard_state != nullptr);
                CHECK(ready.hard_state->proposal.value == message.proposal.value);
            }
            for (const Vote& vote : message.votes) {
                CHECK(ready.must_sync && ready.hard_state != nullptr);
                CHECK(ready.hard_state->prevote == vote);
            }
        }
        rig.at(1)->advance();
    }
}

TEST(states_are_compacted_once_others_vouch_for_them) {
    BftRig rig(4, {}, [](BftConfig& config) { config.checkpoint_every = 4; });
    std::uint64_t sequence = 0;
    const auto passes = BftRig::among({1, 2, 3});
    for (int k = 0; k < 10; ++k) {
        rig.propose(1, "c", ++sequence);
        rig.tick(40, passes);
        for (const NodeId id : {1U, 2U, 3U}) {
            DrivenBft& driven = rig.at(id);
            if (!driven->checkpoint_due()) continue;
            const auto state = payload("state " + std::to_string(driven->applied_height()));
            CHECK_THROWS(driven->compact(driven->applied_index() - 1, state), ConfigError, "last applied index");
            driven.disk.compact(driven->checkpoint(state));
            driven->compact(driven->applied_index(), state);
            if (id == 1 && k == 3) CHECK(driven->decided(1) != nullptr);  // nobody else said so yet
            rig.run(passes);
        }
    }
    CHECK_EQUAL(rig.at(1)->height(), 11U);
    CHECK(rig.at(1)->decided(8) == nullptr && rig.at(1)->decided(9) != nullptr);
    CHECK_EQUAL(rig.at(1)->proven()->chain.height, 8U);
    // the laggard gets the state, then the blocks after it
    rig.tick(30);
    CHECK_EQUAL(rig.at(4).restored.size(), 1U);
    CHECK_EQUAL(rig.at(4).restored[0].state.text(), "state 8");
    CHECK_EQUAL(rig.at(4)->height(), 11U);
    CHECK_EQUAL(rig.at(4).committed.size(), 2U);
    CHECK(rig.at(4)->chain() == rig.at(1)->chain());
    // and all come back from their disks
    for (NodeId id = 1; id <= 4; ++id) {
        rig.boot(id);
        CHECK_EQUAL(rig.at(id)->height(), 11U);
    }
    rig.propose(4, "again", ++sequence);
    rig.tick(40);
    CHECK_EQUAL(rig.at(2)->height(), 12U);
}

// Seed 5 of the simulation: two nodes had made a checkpoint that nobody vouched for yet, and crashed; the blocks before
// it were gone with them, and those who lacked the last one waited for ever.
TEST(who_restarts_gives_blocks_before_a_state_that_nobody_vouches_for) {
    BftRig rig(4, {}, [](BftConfig& config) { config.checkpoint_every = 4; });
    const auto passes = BftRig::among({1, 2, 3});
    for (std::uint64_t sequence = 1; rig.at(1)->applied_height() < 4; ++sequence) {
        rig.propose(1, "c", sequence);
        rig.tick(40, passes);
    }
    DrivenBft& first = rig.at(1);
    first.disk.compact(first->checkpoint(payload("state")));
    first->compact(first->applied_index(), payload("state"));
    CHECK(first->proven() == nullptr && first->decided(1) != nullptr);
    rig.boot(1);
    CHECK_EQUAL(rig.at(1)->height(), 5U);
    CHECK(rig.at(1)->decided(1) != nullptr && rig.at(1)->decided(4) != nullptr && rig.at(1)->decided(5) == nullptr);
    rig.tick(40, BftRig::among({1, 4}));
    CHECK_EQUAL(rig.at(4)->height(), 5U);
    CHECK_EQUAL(rig.at(4).restored.size(), 0U);
    // a gap in what is stored helps nobody: those from behind it on are kept, and none when they end before the state
    PersistentState stored = rig.at(1).disk.load();
    stored.decided.erase(stored.decided.begin() + 1);
    const auto boot = [&] { return BftNode(rig.at(1)->config(), rig.keys.signers[0], rig.keys.verifier, stored); };
    CHECK(boot().decided(1) == nullptr && boot().decided(3) != nullptr);
    stored.decided.pop_back();
    CHECK(boot().log().empty());
}

TEST(the_callers_duties_are_checked) {
    BftRig rig(1);
    CHECK_THROWS(rig.at(1)->advance(), ConfigError, "call ready() first");
    rig.propose(1, "x", 1);
    (void)rig.at(1)->ready();
    CHECK_THROWS(rig.at(1)->tick(), ConfigError, "waits for advance()");
    rig.at(1)->advance();
    CHECK_THROWS(rig.at(1)->compact(1, payload("")), ConfigError, "checkpoint");
}

TEST(configurations_are_checked) {
    const SimKeys keys(4, 1);
    const auto with = [&](auto change) {
        BftConfig config = bft_config(1, keys);
        change(config);
        validate(config);
    };
    with([](BftConfig&) {});
    CHECK_THROWS((with([](BftConfig& c) { c.id = 0; }), 0), ConfigError, "ids start at 1");
    CHECK_THROWS((with([](BftConfig& c) { c.validators.clear(); }), 0), ConfigError, "1 to 63 validators");
    CHECK_THROWS((with([](BftConfig& c) { c.peers = {2, 2}; }), 0), ConfigError, "each once");
    CHECK_THROWS((with([](BftConfig& c) { c.propose_ticks = 0; }), 0), ConfigError, "propose_ticks");
    CHECK_THROWS((with([](BftConfig& c) { c.timeout_growth_ticks = 0; }), 0), ConfigError, "timeout_growth_ticks");
    CHECK_THROWS((with([](BftConfig& c) { c.limits.max_block_bytes = 10; }), 0), ConfigError, "max_block_bytes (10)");
}

TEST(validators_change_from_the_next_height_on) {
    struct Allow : CommandRule {
        bool allows(const bft::Command&) const override { return true; }
    };
    const auto rule = std::make_shared<const Allow>();
    const SimKeys all(5, 1);
    const auto configure = [&](BftConfig& config) {
        config.rule = rule;
        config.peers = {1, 2, 3, 4, 5};
        config.validators = bft_config(1, all).validators;
        config.validators.pop_back();
    };
    BftRig rig(5, {}, configure);
    rig.propose(1, "a", 1);
    rig.tick(5);
    CHECK_EQUAL(rig.at(5).commands(), "a ");  // node 5 follows without a vote
    Validator fifth;
    fifth.id = 5;
    fifth.power = 1;
    fifth.key = all.signers[4]->public_key();
    CHECK(rig.at(2)->propose_change(fifth, session_of(2), 0).status == ProposeStatus::appended);
    rig.tick(40);
    CHECK_EQUAL(rig.at(1)->height(), 3U);
    CHECK_EQUAL(rig.at(1)->chain().validators->size(), 5U);
    Validator gone = fifth;
    gone.id = 1;
    gone.power = 0;
    rig.at(2)->propose_change(gone, session_of(3), 0);
    rig.tick(60);
    CHECK_EQUAL(rig.at(5)->chain().validators->size(), 4U);
    rig.propose(5, "b", 4);
    rig.tick(60);
    CHECK_EQUAL(rig.at(5)->height(), 5U);
    CHECK_EQUAL(rig.at(1)->height(), 5U);  // it still follows
    CHECK_EQUAL(rig.at(1).commands(), "a b ");
    // an outsider walks the chain of certificates: each block names the set that decides on the next one
    ValidatorSet trusted(rig.config(1).validators);
    for (Height height = 1; height <= 4; ++height) {
        const Decided& decided = *rig.at(2)->decided(height);
        CHECK(decided.block->validators == trusted.digest());
        CHECK(verify_certificate(rig.at(2)->genesis(), trusted, decided.certificate, *rig.keys.verifier) == nullptr);
        ChainState state;
        state.validators = std::make_shared<const ValidatorSet>(trusted);
        trusted = state.next_validators(decided.block->commands);
        CHECK(decided.block->next_validators == trusted.digest());
    }
    // nobody removes the last validators, and without a rule nobody changes any
    BftRig fixed(4);
    CHECK(fixed.at(1)->propose_change(fifth, session_of(1), 0).status == ProposeStatus::refused);
}

TEST(a_validator_whose_key_was_replaced_has_no_vote_under_its_old_one) {
    struct AnyChange : CommandRule {
        bool allows(const bft::Command&) const override { return true; }
    };
    BftRig rig(4, {}, [](BftConfig& config) { config.rule = std::make_shared<AnyChange>(); });
    const SimKeys other(5, 1);
    Validator changed = rig.config(1).validators[0];
    changed.key = other.signers[4]->public_key();
    CHECK(rig.at(2)->propose_change(changed, session_of(1), 0).status == ProposeStatus::appended);
    rig.tick(40);
    CHECK_EQUAL(rig.at(1)->height(), 2U);
    rig.propose(2, "a", 2);
    rig.tick(60);
    CHECK_EQUAL(rig.at(1).commands(), "a ");  // it follows, and counts no vote of its own
    const Decided& decided = *rig.at(1)->decided(2);
    CHECK_EQUAL(decided.certificate.votes.size(), 3U);
    CHECK(verify_certificate(rig.at(1)->genesis(), *rig.at(1)->chain().validators, decided.certificate,
                             *rig.keys.verifier) == nullptr);
    CHECK_EQUAL(rig.at(2)->peer(1).forged, 0U);  // and signs none
    // with two others it would be three; the two alone decide nothing, and neither does it
    rig.propose(2, "b", 3);
    rig.tick(60, BftRig::among({1, 2, 3}));
    CHECK_EQUAL(rig.at(1)->height(), 3U);
    CHECK_THROWS((rig.boot(1), 0), fastmas::base::ConfigError, "the signer's public key must be the one");
}

TEST(a_state_that_stands_for_empty_blocks_only_is_a_state) {
    BftRig rig(4);
    PersistentState stored;
    ChainState& chain = stored.snapshot.chain;
    chain = rig.at(1)->chain();
    Block empty = *rig.block(1, 2, {}, 1);
    chain.apply(empty);
    stored.hard_state.height = 2;
    const BftNode node(rig.config(1), rig.keys.signers[0], rig.keys.verifier, stored);
    CHECK_EQUAL(node.height(), 2U);
    CHECK(node.chain() == chain);
}

TEST_MAIN
