// BftNode driven by hand: heights, signatures, gossip, catch-up, recovery, evidence, bounds.
#include <set>

#include "bft_rig.hpp"
#include "check.hpp"

using namespace fastmas::testing;
using fastmas::base::ConfigError;
using fastmas::base::InvariantError;

namespace {

std::size_t count_of(const std::vector<Message>& messages, MessageType type) {
    std::size_t count = 0;
    for (const Message& message : messages) count += message.type == type;
    return count;
}

const Vote* vote_in(const std::vector<Message>& messages, VoteType type) {
    for (const Message& message : messages)
        for (const Vote& vote : message.votes)
            if (vote.type == type) return &vote;
    return nullptr;
}

}  // namespace

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

// PITFALLS 39.
TEST(a_third_party_checks_a_certificate_with_public_keys) {
    BftRig rig(4);
    rig.propose(1, "x", 1);
    rig.run();
    const Decided& decided = *rig.at(2)->decided(1);
    const ValidatorSet set(rig.config(1).validators);
    const Digest genesis = genesis_digest("fastmas", ChainLimits(), set);
    const auto problem = [&](const Certificate& certificate) {
        const char* text = verify_certificate(genesis, set, certificate, *rig.keys.verifier);
        return std::string(text == nullptr ? "" : text);
    };
    CHECK_EQUAL(problem(decided.certificate), "");
    CHECK(decided.certificate.value == block_digest(*decided.block));
    CHECK(decided.certificate.votes.size() >= 3);
    Certificate wrong = decided.certificate;
    wrong.value[0] ^= std::byte{1};
    CHECK_EQUAL(problem(wrong), "a signature is not the validator's");
    wrong = decided.certificate;
    ++wrong.height;
    CHECK_EQUAL(problem(wrong), "a signature is not the validator's");
    wrong = decided.certificate;
    ++wrong.round;
    CHECK_EQUAL(problem(wrong), "a signature is not the validator's");
    wrong = decided.certificate;
    wrong.votes.resize(2);
    CHECK_EQUAL(problem(wrong), "not more than two thirds of the voting power");
    wrong = decided.certificate;
    wrong.votes[1] = wrong.votes[0];
    CHECK_EQUAL(problem(wrong), "validators come in order, each once");
    wrong = decided.certificate;
    std::swap(wrong.votes[0].validator, wrong.votes[1].validator);
    CHECK(!problem(wrong).empty());
    wrong = decided.certificate;
    wrong.votes.back().validator = 9;
    CHECK_EQUAL(problem(wrong), "a stranger signed");
    wrong = decided.certificate;
    wrong.value = kNil;
    CHECK_EQUAL(problem(wrong), "nil cannot be decided");
    // the same signatures on another chain
    const Digest other = genesis_digest("elsewhere", ChainLimits(), set);
    CHECK(verify_certificate(other, set, decided.certificate, *rig.keys.verifier) != nullptr);
}

// Prevotes are signed for another purpose than precommits: they make no certificate.
TEST(a_certificate_is_made_of_precommits) {
    BftRig rig(4);
    const BlockPtr block = rig.block(1, 1, {"x"}, 1);
    Certificate certificate;
    certificate.height = 1;
    certificate.round = 0;
    certificate.value = block->id;
    for (NodeId id = 1; id <= 3; ++id)
        certificate.votes.push_back({id, rig.vote(VoteType::prevote, id, 1, 0, block->id).signature});
    const ValidatorSet set(rig.config(1).validators);
    CHECK(verify_certificate(rig.at(1)->genesis(), set, certificate, *rig.keys.verifier) != nullptr);
}

// PITFALLS 38.
TEST(forgeries_are_dropped_and_counted_against_their_sender) {
    BftRig rig(4);
    const BlockPtr block = rig.block(1, 1, {"x"}, 1);
    Vote forged = rig.vote(VoteType::precommit, 4, 1, 0, block->id);
    forged.validator = 2;  // node 4 signs as node 2
    rig.at(1).step(BftRig::votes(4, 1, {forged}));
    CHECK_EQUAL(rig.at(1)->peer(4).forged, 1U);
    CHECK_EQUAL(rig.at(1)->peer(2).forged, 0U);
    Message proposal = rig.proposal(1, 3, block, 0);
    proposal.from = 2;
    proposal.proposal.signature[0] ^= std::byte{1};
    rig.at(3).step(proposal);
    CHECK_EQUAL(rig.at(3)->peer(2).forged, 1U);
    CHECK(rig.at(3)->machine().proposals(0) == nullptr);
    // and hide nothing: the real one comes through
    rig.at(3).step(rig.proposal(1, 3, block, 0));
    CHECK_EQUAL(rig.at(3)->machine().proposals(0)->size(), 1U);
    rig.at(1).step(BftRig::votes(2, 1, {rig.vote(VoteType::precommit, 2, 1, 0, block->id)}));
    CHECK_EQUAL(rig.at(1)->machine().votes(VoteType::precommit, 0)->any(), 1U);
}

TEST(wrong_messages_cost_a_bounded_number_of_checks_a_tick) {
    BftRig rig(4);
    Vote forged = rig.vote(VoteType::prevote, 4, 1, 0, kNil);
    forged.validator = 2;
    for (int i = 0; i < 10'000; ++i) {
        forged.value[1] = static_cast<std::byte>(i);
        rig.at(1).step(BftRig::votes(4, 1, std::vector<Vote>(i % 7 == 0 ? 100 : 1, forged)));
    }
    CHECK(rig.at(1)->counters().verified <= rig.at(1)->config().max_wrong_messages);
    CHECK(rig.at(1)->peer(4).unread > 9'000);
    // others are heard all the while
    rig.at(1).step(BftRig::votes(3, 1, {rig.vote(VoteType::prevote, 3, 1, 0, kNil)}));
    CHECK_EQUAL(rig.at(1)->machine().votes(VoteType::prevote, 0)->any(), 1U);
    // and node 4 is again after the tick
    rig.at(1)->tick();
    rig.at(1).step(BftRig::votes(4, 1, {rig.vote(VoteType::prevote, 4, 1, 0, kNil)}));
    CHECK_EQUAL(rig.at(1)->machine().votes(VoteType::prevote, 0)->any(), 2U);
}

TEST(what_is_known_is_not_checked_again) {
    BftRig rig(4);
    const Message message = BftRig::votes(2, 1, {rig.vote(VoteType::prevote, 2, 1, 0, kNil)});
    for (int i = 0; i < 100; ++i) rig.at(1).step(message);
    CHECK_EQUAL(rig.at(1)->counters().verified, 1U);
    CHECK_EQUAL(rig.at(1)->counters().dropped, 0U);
}

TEST(messages_that_no_correct_node_sends_are_refused) {
    BftRig rig(4);
    const BlockPtr block = rig.block(1, 1, {"x"}, 1);
    const auto refused = [&](Message message) {
        const auto before = rig.at(3)->counters().dropped;
        rig.at(3)->tick();
        rig.at(3).step(message);
        return rig.at(3)->counters().dropped == before + 1 && rig.at(3)->machine().proposals(0) == nullptr;
    };
    Message message = rig.proposal(1, 3, block, 0);
    message.from = 7;
    CHECK(refused(message));  // a stranger
    message = rig.proposal(1, 3, block, 0);
    message.to = 2;
    CHECK(refused(message));
    CHECK(refused(rig.proposal(2, 3, block, 0)));  // not its turn
    CHECK(refused(rig.proposal(1, 3, block, -1)));
    CHECK(refused(rig.proposal(1, 3, block, 0, 0)));  // a proof of its own round
    CHECK(refused(rig.proposal(2, 3, block, 1, 0)));  // without the proof it names
    CHECK(refused(rig.proposal(2, 3, block, 1, 0, {rig.vote(VoteType::prevote, 1, 1, 0, block->id)})));  // too small
    message = rig.proposal(1, 3, block, 0);
    message.proposal.block.reset();
    CHECK(refused(message));
    CHECK(refused(BftRig::votes(1, 3, {})));
    CHECK(refused(BftRig::votes(1, 3, {rig.vote(VoteType::prevote, 1, 0, 0, kNil)})));
    CHECK(refused(BftRig::votes(1, 3, {rig.vote(VoteType::prevote, 1, 1, -1, kNil)})));
    CHECK(refused(BftRig::votes(1, 3, {rig.vote(VoteType::prevote, 1, 1, kMaxRound + 1, kNil)})));
}

// PITFALLS 34: both sides of an equivocation are kept, provable, once.
TEST(equivocation_of_a_voter_is_evidence) {
    BftRig rig(4);
    const Digest a = rig.block(1, 1, {"a"}, 1)->id, b = rig.block(1, 1, {"b"}, 1)->id;
    rig.at(1).step(BftRig::votes(2, 1, {rig.vote(VoteType::prevote, 4, 1, 0, a)}));
    rig.at(1).step(BftRig::votes(3, 1, {rig.vote(VoteType::prevote, 4, 1, 0, b)}));
    rig.at(1).step(BftRig::votes(3, 1, {rig.vote(VoteType::prevote, 4, 1, 0, kNil)}));
    CHECK_EQUAL(rig.at(1)->evidence().size(), 1U);
    const Evidence& evidence = rig.at(1)->evidence()[0];
    CHECK_EQUAL(evidence.culprit(), 4U);
    const ValidatorSet set(rig.config(1).validators);
    const Digest& genesis = rig.at(1)->genesis();
    CHECK(verify_evidence(genesis, set, evidence, *rig.keys.verifier) == nullptr);
    Evidence framed = evidence;
    framed.second_vote = framed.first_vote;
    CHECK(verify_evidence(genesis, set, framed, *rig.keys.verifier) != nullptr);
    framed = evidence;
    framed.first_vote.validator = framed.second_vote.validator = 3;
    CHECK(verify_evidence(genesis, set, framed, *rig.keys.verifier) != nullptr);
    framed = evidence;
    ++framed.second_vote.round;
    CHECK(verify_evidence(genesis, set, framed, *rig.keys.verifier) != nullptr);
    // the one who passed it on is not to blame
    CHECK_EQUAL(rig.at(1)->peer(3).forged + rig.at(1)->peer(3).invalid, 0U);
}

TEST(equivocation_of_a_proposer_is_evidence_and_yields_one_commit) {
    BftRig rig(4);
    const BlockPtr a = rig.block(2, 1, {"a"}, 1), b = rig.block(2, 1, {"b"}, 1);
    // node 1 lies: two blocks, and votes for both
    const auto tell = [&](NodeId to, const BlockPtr& block) {
        rig.at(to).node->step(rig.proposal(1, to, block, 0));
        rig.at(to).node->step(BftRig::votes(
            1, to,
            {rig.vote(VoteType::prevote, 1, 1, 0, block->id), rig.vote(VoteType::precommit, 1, 1, 0, block->id)}));
    };
    tell(2, a);
    tell(3, a);
    tell(4, b);
    tell(2, b);
    rig.tick(200, BftRig::among({2, 3, 4}));
    CHECK(rig.at(2)->height() >= 2);
    CHECK(rig.at(2)->decided(1)->block->id == rig.at(4)->decided(1)->block->id);
    CHECK_EQUAL(rig.at(2).commands(), rig.at(4).commands());
    bool seen = false;
    for (const Evidence& evidence : rig.at(2)->evidence())
        seen = seen || (evidence.kind == Evidence::Kind::proposal && evidence.culprit() == 1);
    CHECK(seen);
    for (const Evidence& evidence : rig.at(2)->evidence()) {
        CHECK(verify_evidence(rig.at(2)->genesis(), ValidatorSet(rig.config(1).validators), evidence,
                              *rig.keys.verifier) == nullptr);
        CHECK_EQUAL(evidence.culprit(), 1U);
    }
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

TEST(early_messages_of_the_next_height_are_kept_within_a_bound) {
    BftRig rig(4);
    for (int i = 0; i < 1000; ++i)
        rig.at(1).step(BftRig::votes(4, 1, {rig.vote(VoteType::prevote, 4, 2, i % 50, kNil)}));
    CHECK_EQUAL(rig.at(1)->peer(4).overflown, 1000U - rig.at(1)->config().max_early_messages);
    CHECK_EQUAL(rig.at(1)->counters().verified, 0U);
    for (int i = 0; i < 1000; ++i)
        rig.at(1).step(BftRig::votes(4, 1, {rig.vote(VoteType::prevote, 4, 3 + static_cast<Height>(i), 0, kNil)}));
    // the height is decided all the same, and what was early is looked at then
    rig.propose(2, "x", 1);
    rig.run();
    CHECK_EQUAL(rig.at(1)->height(), 2U);
}

TEST(an_invalid_block_is_not_decided) {
    BftRig rig(4);
    const auto prevote_for = [&](auto spoil) {
        BftRig fresh(4);
        Block block = *fresh.block(3, 1, {"a", "b"}, 1);
        spoil(block);
        block.id = block_digest(block);
        const auto said = fresh.at(3).step(fresh.proposal(1, 3, std::make_shared<const Block>(block), 0));
        const Vote* vote = vote_in(said, VoteType::prevote);
        return vote == nullptr ? std::string("none") : vote->value == kNil ? "nil" : "yes";
    };
    CHECK_EQUAL(prevote_for([](Block&) {}), "yes");
    CHECK_EQUAL(prevote_for([](Block& block) { block.parent[0] ^= std::byte{1}; }), "none");  // and begins no round
    CHECK_EQUAL(prevote_for([](Block& block) { block.first_index = 2; }), "none");
    CHECK_EQUAL(prevote_for([](Block& block) { block.time_ns = 1; }), "none");
    CHECK_EQUAL(prevote_for([](Block& block) { block.proposer = 9; }), "none");
    CHECK_EQUAL(prevote_for([](Block& block) { block.validators[0] ^= std::byte{1}; }), "none");
    CHECK_EQUAL(prevote_for([](Block& block) { block.next_validators[0] ^= std::byte{1}; }), "none");
    CHECK_EQUAL(prevote_for([](Block& block) { block.commands.clear(); }), "none");  // in round 0
    CHECK_EQUAL(prevote_for([](Block& block) { block.commands[1].session.sequence = 1; }), "none");
    CHECK_EQUAL(prevote_for([](Block& block) {
                    block.commands[1].session.acknowledged = 0;
                    block.commands[1].session.sequence = 3;
                }),
                "none");
    CHECK_EQUAL(prevote_for([](Block& block) { block.commands[0].session.client = 0; }), "none");
    CHECK_EQUAL(prevote_for([](Block& block) { block.commands[0].kind = CommandKind::validator; }), "none");
    // with a command of its own it is in round 0 and says nil
    BftRig busy(4);
    busy.propose(3, "own", 1);
    busy.at(3).take();
    Block block = *busy.block(3, 1, {"a"}, 1);
    block.parent[0] ^= std::byte{1};
    block.id = block_digest(block);
    const auto said = busy.at(3).step(busy.proposal(1, 3, std::make_shared<const Block>(block), 0));
    CHECK(vote_in(said, VoteType::prevote)->value == kNil);
    CHECK_EQUAL(busy.at(3)->counters().invalid_proposals, 1U);
}

TEST(times_far_ahead_of_the_clock_are_refused_when_new) {
    BftRig rig(4);
    for (NodeId id = 2; id <= 4; ++id) rig.at(id)->set_clock(1'000'000'000);
    rig.propose(1, "future", 1, 3'000'000'000);  // node 1 has no clock and believes its client
    rig.tick(20);
    CHECK_EQUAL(rig.at(2)->height(), 1U);
    CHECK(rig.at(2)->counters().untimely > 0);
    for (NodeId id = 2; id <= 4; ++id) rig.at(id)->set_clock(2'500'000'000);
    rig.tick(200);
    CHECK_EQUAL(rig.at(2)->height(), 2U);
    CHECK_EQUAL(rig.at(2).committed[0].time_ns, 3'000'000'000);
    rig.propose(1, "past", 2, 1);
    rig.tick(200);
    CHECK_EQUAL(rig.at(2).committed[1].time_ns, 3'000'000'000);  // never falls
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

TEST(a_state_that_only_liars_vouch_for_is_refused) {
    BftRig rig(4, {}, [](BftConfig& config) { config.checkpoint_every = 1; });
    rig.propose(1, "c", 1);
    rig.tick(5, BftRig::among({1, 2, 3}));
    auto forged = std::make_shared<Snapshot>(rig.at(1)->checkpoint(payload("lies")));
    const Digest digest = snapshot_digest(forged->chain, forged->state);
    const auto sign = [&](NodeId id) {
        CheckpointVote vote;
        vote.height = 1;
        vote.digest = digest;
        vote.validator = id;
        vote.signature = rig.keys.signers[id - 1]->sign(checkpoint_bytes(rig.at(1)->genesis(), 1, digest));
        return vote;
    };
    forged->proof = {sign(1), sign(1)};  // one liar, twice
    Message message;
    message.type = MessageType::snapshot;
    message.from = 1;
    message.to = 4;
    message.snapshot = forged;
    rig.at(4).step(message);
    CHECK_EQUAL(rig.at(4)->height(), 1U);
    CHECK_EQUAL(rig.at(4)->peer(1).forged, 1U);
    auto changed = std::make_shared<Snapshot>(*forged);
    changed->proof = {sign(1), sign(2)};
    changed->state = payload("other lies");  // not what was signed
    message.snapshot = changed;
    rig.at(4).step(message);
    CHECK_EQUAL(rig.at(4)->height(), 1U);
    auto good = std::make_shared<Snapshot>(*forged);
    good->proof = {sign(1), sign(2)};
    message.snapshot = good;
    rig.at(4).step(message);
    CHECK_EQUAL(rig.at(4)->height(), 2U);  // two of four: at least one of them is correct
}

TEST(a_damaged_store_is_refused) {
    BftRig rig(4);
    for (std::uint64_t k = 1; k <= 3; ++k) {
        rig.propose(1, "c", k);
        rig.run();
    }
    const auto boot = [&](PersistentState stored) {
        return BftNode(rig.config(1), rig.keys.signers[0], rig.keys.verifier, std::move(stored)).height();
    };
    const PersistentState stored = rig.at(1).disk.load();
    CHECK_EQUAL(boot(stored), 4U);
    PersistentState bad = stored;
    bad.decided.erase(bad.decided.begin());
    CHECK_THROWS(boot(bad), ConfigError, "not the next height");
    bad = stored;
    bad.decided[1].certificate.votes[0].signature[0] ^= std::byte{1};
    CHECK_THROWS(boot(bad), ConfigError, "a signature is not the validator's");
    bad = stored;
    bad.decided.pop_back();
    CHECK_THROWS(boot(bad), ConfigError, "the stored votes are of height 4");
    CHECK_THROWS(BftNode(rig.config(1), rig.keys.signers[1], rig.keys.verifier), ConfigError, "public key");
    CHECK_THROWS(BftNode(rig.config(1), rig.keys.signers[0], nullptr), ConfigError, "needs a verifier");
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

TEST(simulated_signatures_are_their_holders) {
    const SimKeys keys(2, 7);
    const std::string text = "statement";
    const auto bytes = std::as_bytes(std::span(text));
    const Signature mine = keys.signers[0]->sign(bytes);
    CHECK(keys.verifier->verify(keys.signers[0]->public_key(), bytes, mine));
    CHECK(!keys.verifier->verify(keys.signers[1]->public_key(), bytes, mine));
    CHECK(!keys.verifier->verify(keys.signers[0]->public_key(), bytes.subspan(1), mine));
    CHECK(!keys.verifier->verify(PublicKey{}, bytes, mine));
    for (std::size_t i = 0; i < mine.size(); ++i) {
        Signature other = mine;
        other[i] ^= std::byte{1};
        CHECK(!keys.verifier->verify(keys.signers[0]->public_key(), bytes, other));
    }
    // the reference value of SipHash-2-4-128 for the key 00 01 .. 0f and no bytes
    const SimSigner::Secret secret = {0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL};
    const auto tag = siphash128(secret, {});
    CHECK_EQUAL(tag[0], 0xe6a825ba047f81a3ULL);
    CHECK_EQUAL(tag[1], 0x930255c71472f66dULL);
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

TEST_MAIN
