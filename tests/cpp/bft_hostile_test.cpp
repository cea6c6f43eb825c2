// BftNode among liars, driven by hand: certificates, forgeries, equivocation, invalid values, bounds.
#include <set>

#include "bft_rig.hpp"
#include "check.hpp"

using namespace fastmas::testing;
using fastmas::base::ConfigError;

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

// A command of the far future is kept out of the pools: in a block it would make every proposal untimely, and a liar
// could stop the chain until that time has come.
TEST(a_command_of_the_far_future_stops_nobody) {
    BftRig rig(4);
    for (NodeId id = 1; id <= 4; ++id) rig.at(id)->set_clock(1'000'000'000);
    CHECK(rig.propose(1, "future", 1, 3'000'000'000).status == ProposeStatus::refused);
    Message message;
    message.type = MessageType::commands;
    message.from = 4;
    message.commands = {{CommandKind::command, session_of(1, 66), 3'000'000'000, payload("liar")}};
    for (message.to = 1; message.to <= 3; ++message.to) rig.at(message.to).step(message);
    CHECK_EQUAL(rig.at(2)->counters().untimely, 1U);
    CHECK_EQUAL(rig.at(2)->peer(4).invalid, 0U);  // its clock may be right and ours be late
    rig.propose(2, "now", 1, 1'000'000'000);
    rig.tick(100);
    for (NodeId id = 1; id <= 4; ++id) CHECK_EQUAL(rig.at(id).commands(), "now ");
    CHECK_EQUAL(rig.at(1)->decided(1)->certificate.round, 0);
}

// What a correct node passes on is checked as a whole: else a liar makes it a sender of forgeries.
TEST(a_proof_of_known_votes_with_other_signatures_is_refused) {
    BftRig rig(4);
    const BlockPtr block = rig.block(3, 1, {"x"}, 1);
    std::vector<Vote> pol;
    for (const NodeId id : {1U, 2U, 4U}) pol.push_back(rig.vote(VoteType::prevote, id, 1, 0, block->id));
    rig.at(3).step(BftRig::votes(1, 3, pol));
    std::vector<Vote> forged = pol;
    forged[0].signature[0] ^= std::byte{1};
    rig.at(3).step(rig.proposal(2, 3, block, 1, 0, forged));
    CHECK_EQUAL(rig.at(3)->peer(2).forged, 1U);
    CHECK(rig.at(3)->machine().proposals(1) == nullptr);
    const auto verified = rig.at(3)->counters().verified;
    rig.at(3).step(rig.proposal(2, 3, block, 1, 0, pol));
    CHECK_EQUAL(rig.at(3)->machine().proposals(1)->size(), 1U);
    CHECK_EQUAL(rig.at(3)->counters().verified, verified + 1);  // the proposal's: the votes are known
}

// PITFALLS 34: also a vote that comes within a proof may contradict an earlier one.
TEST(equivocation_in_a_proof_is_evidence) {
    BftRig rig(4);
    const BlockPtr block = rig.block(3, 1, {"x"}, 1);
    rig.at(3).step(BftRig::votes(1, 3, {rig.vote(VoteType::prevote, 1, 1, 0, kNil)}));
    std::vector<Vote> pol;
    for (const NodeId id : {1U, 2U, 4U}) pol.push_back(rig.vote(VoteType::prevote, id, 1, 0, block->id));
    rig.at(3).step(rig.proposal(2, 3, block, 1, 0, pol));
    CHECK_EQUAL(rig.at(3)->evidence().size(), 1U);
    CHECK_EQUAL(rig.at(3)->evidence()[0].culprit(), 1U);
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

TEST_MAIN
