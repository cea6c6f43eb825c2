// One test a line of Algorithm 1 in "The latest gossip on BFT consensus" (Buchman, Kwon, Milosevic 2018). Four
// validators of power 1; the machine is the one at place 3 unless said otherwise, so round 3 is its own.
#include "bft_machine.hpp"
#include "check.hpp"

using namespace fastmas::testing;

// Lines 2-9: round 0, step propose, nothing locked, nothing valid.
TEST(line_2_to_9_nothing_is_locked_at_the_start_of_a_height) {
    Machine node;
    CHECK_EQUAL(node->round(), kNoRound);
    node.start();
    CHECK_EQUAL(node->round(), 0);
    CHECK(node->step() == Step::propose);
    CHECK(node->locks() == Locks());
}

// Line 10: upon start do StartRound(0).
TEST(line_10_start_begins_round_0_once) {
    Machine node;
    CHECK_EQUAL(text_of(node.start()), "schedule propose 0");
    CHECK_EQUAL(text_of(node.start()), "");
}

// Lines 14, 18, 19: the proposer without a valid value proposes a new one, with validRound -1.
TEST(line_18_the_proposer_proposes_a_new_value) {
    Machine node(0);
    CHECK_EQUAL(text_of(node.start()), "propose 0 - -1");
}

// Lines 15, 16, 19: a proposer that has a valid value proposes that again, with the round in which it became valid.
TEST(line_16_the_proposer_proposes_its_valid_value_again) {
    Machine node;
    node.start();
    node.lock(0, 'A');
    node.timeout(Step::precommit, 0);
    node.timeout(Step::precommit, 1);
    CHECK_EQUAL(text_of(node.timeout(Step::precommit, 2)), "propose 3 A 0");
}

// Line 21: whoever is not the proposer schedules OnTimeoutPropose.
TEST(line_21_others_schedule_the_time_out_of_proposals) {
    for (const std::size_t place : {1U, 2U, 3U}) CHECK_EQUAL(text_of(Machine(place).start()), "schedule propose 0");
}

// Lines 22-24: a valid proposal gets a prevote when nothing is locked.
TEST(line_24_a_valid_proposal_is_prevoted) {
    Machine node;
    node.start();
    CHECK_EQUAL(text_of(node.proposal(0, 'A')), "prevote 0 A");
    CHECK(node->step() == Step::prevote);  // line 27
}

// Line 22: "while step_p = propose": a second proposal of the round gets no second prevote.
TEST(line_22_a_round_has_one_prevote) {
    Machine node;
    node.start();
    node.proposal(0, 'A');
    CHECK_EQUAL(text_of(node.proposal(0, 'B')), "");
}

// Line 23: lockedValue_p = v: the locked value is prevoted again even when it comes as a new one.
TEST(line_23_the_locked_value_is_prevoted) {
    Machine node;
    node.start();
    node.lock(0, 'A');
    node.enter(1);
    CHECK_EQUAL(text_of(node.proposal(1, 'A')), "prevote 1 A");
}

// Lines 23, 26: locked on another value: nil.
TEST(line_26_another_value_than_the_locked_one_gets_nil) {
    Machine node;
    node.start();
    node.lock(0, 'A');
    node.enter(1);
    CHECK_EQUAL(text_of(node.proposal(1, 'B')), "prevote 1 -");
    CHECK(node->step() == Step::prevote);  // line 27
}

// Lines 23, 26: not valid(v): nil. A value whose time is off is refused here, and only here.
TEST(line_26_an_invalid_or_untimely_value_gets_nil) {
    Machine invalid;
    invalid.start();
    CHECK_EQUAL(text_of(invalid.proposal(0, 'A', kNoRound, false)), "prevote 0 -");
    Machine untimely;
    untimely.start();
    CHECK_EQUAL(text_of(untimely.proposal(0, 'A', kNoRound, true, false)), "prevote 0 -");
    CHECK_EQUAL(text_of(untimely.prevotes({0, 1, 2}, 0, 'A')), "schedule prevote 0; precommit 0 A");
}

// Line 28: "AND 2f + 1 <PREVOTE, h_p, vr, id(v)>": without them the proposal of an old value gets no prevote at all.
TEST(line_28_an_old_value_needs_its_prevotes) {
    Machine node;
    node.start();
    node.enter(1);
    CHECK_EQUAL(text_of(node.proposal(1, 'A', 0)), "");
    CHECK_EQUAL(text_of(node.prevotes({0, 1}, 0, 'A')), "");
    CHECK_EQUAL(text_of(node.prevotes({2}, 0, 'B')), "");
    CHECK_EQUAL(text_of(node.prevotes({3}, 0, 'A')), "prevote 1 A");
    CHECK(node->step() == Step::prevote);  // line 33
}

// Line 28: "vr >= 0 and vr < round_p".
TEST(line_28_the_valid_round_lies_before_the_round) {
    Machine node;
    node.start();
    node.enter(1);
    node.prevotes({0, 1, 2}, 1, 'A');
    CHECK_EQUAL(text_of(node.proposal(1, 'A', 1)), "");
    CHECK(node->step() == Step::propose);
}

// Line 29: lockedRound_p <= vr unlocks: proof of a later (or the same) round.
TEST(line_29_a_proof_of_a_later_round_unlocks) {
    Machine node;
    node.start();
    node.lock(0, 'A');
    node.enter(2);
    node.prevotes({0, 1, 2}, 1, 'B');
    CHECK_EQUAL(text_of(node.proposal(2, 'B', 1)), "prevote 2 B");
}

// Lines 29, 32: locked in a later round than the proof's: nil (PITFALLS 33).
TEST(line_32_a_proof_of_an_earlier_round_does_not_unlock) {
    Machine node;
    node.start();
    node.prevotes({0, 1, 2}, 0, 'B');
    node.enter(1);
    node.lock(1, 'A');
    node.enter(2);
    CHECK_EQUAL(text_of(node.proposal(2, 'B', 0)), "prevote 2 -");
    CHECK(node->step() == Step::prevote);  // line 33
}

// Line 29: "or lockedValue_p = v": the locked value, with a proof that is older than the lock.
TEST(line_29_the_locked_value_is_prevoted_whatever_the_proof) {
    Machine node;
    node.start();
    node.prevotes({0, 1, 2}, 0, 'A');
    node.enter(1);
    node.lock(1, 'A');
    node.enter(2);
    CHECK_EQUAL(text_of(node.proposal(2, 'A', 0)), "prevote 2 A");
}

// Lines 29, 32: not valid(v).
TEST(line_32_an_invalid_old_value_gets_nil) {
    Machine node;
    node.start();
    node.prevotes({0, 1, 2}, 0, 'A');
    node.enter(1);
    CHECK_EQUAL(text_of(node.proposal(1, 'A', 0, false)), "prevote 1 -");
}

// Lines 34, 35: any 2f + 1 prevotes of the round schedule OnTimeoutPrevote, for the first time.
TEST(line_35_any_quorum_of_prevotes_schedules_the_time_out_once) {
    Machine node;
    node.start();
    node.timeout(Step::propose, 0);
    CHECK_EQUAL(text_of(node.prevotes({0}, 0, 'A')), "");
    CHECK_EQUAL(text_of(node.prevotes({1}, 0, 'B')), "");
    CHECK_EQUAL(text_of(node.prevotes({2}, 0, '-')), "schedule prevote 0");
    CHECK_EQUAL(text_of(node.prevotes({3}, 0, '-')), "");
}

// Line 34: "while step_p = prevote".
TEST(line_34_waits_for_the_step_prevote) {
    Machine node;
    node.start();
    CHECK_EQUAL(text_of(node.prevotes({0}, 0, 'A')), "");
    CHECK_EQUAL(text_of(node.prevotes({1, 2}, 0, 'B')), "");
    CHECK_EQUAL(text_of(node.timeout(Step::propose, 0)), "prevote 0 -; schedule prevote 0");
}

// Lines 36-41: proposal and 2f + 1 prevotes for it: lock and precommit.
TEST(line_38_to_41_a_polka_locks_and_precommits) {
    Machine node;
    node.start();
    node.proposal(0, 'A');
    CHECK_EQUAL(text_of(node.prevotes({0, 1}, 0, 'A')), "");
    CHECK_EQUAL(text_of(node.prevotes({2}, 0, 'A')), "schedule prevote 0; precommit 0 A");
    CHECK(node->step() == Step::precommit);
    CHECK_EQUAL(node->locks().locked_round, 0);
    CHECK(node->locks().locked_value == value_of('A'));
}

// Lines 42, 43: and the value is valid as of the round.
TEST(line_42_and_43_a_polka_makes_the_value_valid) {
    Machine node;
    node.start();
    node.lock(0, 'A');
    CHECK_EQUAL(node->locks().valid_round, 0);
    CHECK(node->locks().valid_value == value_of('A'));
}

// Line 37: "if step_p = prevote": after a precommit for nil a polka no longer locks, but makes valid.
TEST(line_37_a_late_polka_makes_valid_without_a_lock) {
    Machine node;
    node.start();
    node.proposal(0, 'A');
    CHECK_EQUAL(text_of(node.timeout(Step::prevote, 0)), "precommit 0 -");
    CHECK_EQUAL(text_of(node.prevotes({0, 1, 2}, 0, 'A')), "");
    CHECK_EQUAL(node->locks().locked_round, kNoRound);
    CHECK_EQUAL(node->locks().valid_round, 0);
    node.timeout(Step::precommit, 0);
    node.timeout(Step::precommit, 1);
    CHECK_EQUAL(text_of(node.timeout(Step::precommit, 2)), "propose 3 A 0");
}

// Line 36: step_p >= prevote: in step propose a polka does nothing until the prevote is cast.
TEST(line_36_waits_for_the_step_prevote) {
    Machine node;
    node.start();
    node.prevotes({0, 1, 2}, 0, 'A');
    CHECK(node->step() == Step::propose);
    CHECK_EQUAL(text_of(node.proposal(0, 'A')), "prevote 0 A; schedule prevote 0; precommit 0 A");
}

// Line 36: "AND <PROPOSAL ...>": prevotes for a value that was not proposed to this node lock nothing.
TEST(line_36_needs_the_proposal) {
    Machine node;
    node.start();
    node.timeout(Step::propose, 0);
    CHECK_EQUAL(text_of(node.prevotes({0, 1, 2}, 0, 'A')), "schedule prevote 0");
    CHECK_EQUAL(node->locks().locked_round, kNoRound);
    CHECK_EQUAL(text_of(node.proposal(0, 'A')), "precommit 0 A");
}

// Line 36: "while valid(v)".
TEST(line_36_an_invalid_value_locks_nobody) {
    Machine node;
    node.start();
    node.proposal(0, 'A', kNoRound, false);
    CHECK_EQUAL(text_of(node.prevotes({0, 1, 2}, 0, 'A')), "schedule prevote 0");
    CHECK(node->locks() == Locks());
}

// Line 36: round_p: a polka of an earlier round neither locks nor makes valid.
TEST(line_36_is_about_the_current_round) {
    Machine node;
    node.start();
    node.proposal(0, 'A');
    node.enter(1);
    CHECK_EQUAL(text_of(node.prevotes({0, 1, 2}, 0, 'A')), "");
    CHECK(node->locks() == Locks());
}

// Lines 44-46: 2f + 1 prevotes for nil: precommit nil.
TEST(line_45_a_quorum_for_nil_precommits_nil) {
    Machine node;
    node.start();
    node.timeout(Step::propose, 0);
    CHECK_EQUAL(text_of(node.prevotes({0, 1, 2}, 0, '-')), "schedule prevote 0; precommit 0 -");
    CHECK(node->step() == Step::precommit);
    CHECK_EQUAL(text_of(node.prevotes({3}, 0, '-')), "");
}

// Line 44: "while step_p = prevote".
TEST(line_44_waits_for_the_step_prevote) {
    Machine node;
    node.start();
    CHECK_EQUAL(text_of(node.prevotes({0, 1, 2}, 0, '-')), "");
}

// Line 44 leaves the lock alone.
TEST(line_44_nil_does_not_unlock) {
    Machine node;
    node.start();
    node.lock(0, 'A');
    node.enter(1);
    node.proposal(1, 'B');
    node.prevotes({0, 1, 2}, 1, '-');
    CHECK_EQUAL(node->locks().locked_round, 0);
    CHECK(node->locks().locked_value == value_of('A'));
}

// Lines 47, 48: any 2f + 1 precommits schedule OnTimeoutPrecommit, in any step, for the first time.
TEST(line_48_any_quorum_of_precommits_schedules_the_time_out_once) {
    Machine node;
    node.start();
    CHECK_EQUAL(text_of(node.precommits({0}, 0, 'A')), "");
    CHECK_EQUAL(text_of(node.precommits({1}, 0, '-')), "");
    CHECK_EQUAL(text_of(node.precommits({2}, 0, 'B')), "schedule precommit 0");
    CHECK_EQUAL(text_of(node.precommits({3}, 0, '-')), "");
}

// Lines 49-51: proposal and 2f + 1 precommits for it decide; 2f do not (PITFALLS 36).
TEST(line_51_a_quorum_of_precommits_decides) {
    Machine node;
    node.start();
    node.proposal(0, 'A');
    CHECK_EQUAL(text_of(node.precommits({0, 1}, 0, 'A')), "");
    CHECK_EQUAL(text_of(node.precommits({2}, 0, 'A')), "decide 0 A");
    CHECK(node->is_decided());
}

// Line 49: "r": of any round, earlier or later than round_p.
TEST(line_49_is_about_any_round) {
    Machine late;
    late.start();
    late.proposal(0, 'A');
    late.enter(4);
    CHECK_EQUAL(text_of(late.precommits({0, 1, 2}, 0, 'A')), "decide 0 A");
    Machine early;
    early.start();
    early.proposal(2, 'A');
    CHECK_EQUAL(text_of(early.precommits({0}, 2, 'A')), "schedule propose 2; prevote 2 A");  // line 55
    CHECK_EQUAL(text_of(early.precommits({1, 2}, 2, 'A')), "decide 2 A");
}

// Line 49: "AND <PROPOSAL ...>".
TEST(line_49_needs_the_proposal) {
    Machine node;
    node.start();
    CHECK_EQUAL(text_of(node.precommits({0, 1, 2}, 0, 'A')), "schedule precommit 0");
    CHECK_EQUAL(text_of(node.proposal(0, 'A')), "decide 0 A");
}

// Line 49: precommits of different rounds do not add up, nor do prevotes count for precommits (PITFALLS 32).
TEST(line_49_votes_of_different_rounds_or_types_do_not_add_up) {
    Machine node;
    node.start();
    node.proposal(0, 'A');
    node.enter(1);
    node.proposal(1, 'A');
    node.precommits({0, 1}, 0, 'A');
    node.precommits({2}, 1, 'A');
    node.prevotes({0, 1, 2}, 0, 'A');
    CHECK(!node->is_decided());
}

// Line 49: nil is no value.
TEST(line_49_nil_is_not_decided) {
    Machine node;
    node.start();
    CHECK_EQUAL(text_of(node.precommits({0, 1, 2, 3}, 0, '-')), "schedule precommit 0");
    CHECK(!node->is_decided());
}

// Line 49: "while decision_p[h_p] = nil": nothing comes after the decision.
TEST(line_49_decides_once) {
    Machine node;
    node.start();
    node.proposal(0, 'A');
    node.precommits({0, 1, 2}, 0, 'A');
    CHECK_EQUAL(text_of(node.precommits({3}, 0, 'A')), "");
    CHECK_EQUAL(text_of(node.timeout(Step::propose, 0)), "");
    CHECK_EQUAL(text_of(node.timeout(Step::precommit, 0)), "");
}

// Line 50: if valid(v).
TEST(line_50_an_invalid_value_is_not_decided) {
    Machine node;
    node.start();
    node.proposal(0, 'A', kNoRound, false);
    node.precommits({0, 1, 2}, 0, 'A');
    CHECK(!node->is_decided());
}

// Lines 55, 56: f + 1 messages of a later round begin it; f do not (PITFALLS 36).
TEST(line_55_f_plus_1_messages_of_a_later_round_begin_it) {
    Machine node;
    node.start();
    CHECK_EQUAL(text_of(node.prevotes({0}, 5, 'A')), "");
    CHECK_EQUAL(text_of(node.precommits({0}, 5, 'A')), "");  // the same sender
    CHECK_EQUAL(text_of(node.prevotes({1}, 4, 'A')), "");    // another round
    CHECK_EQUAL(text_of(node.precommits({1}, 5, '-')), "schedule propose 5");
    CHECK_EQUAL(node->round(), 5);
    CHECK(node->step() == Step::propose);
}

// Line 55: <*, h_p, round, *, *>: proposals count as well, of whoever proposes in that round.
TEST(line_55_a_proposal_is_a_message) {
    Machine node;
    node.start();
    CHECK_EQUAL(text_of(node.proposal(1, 'A')), "");
    CHECK_EQUAL(text_of(node.prevotes({1}, 1, 'A')), "");  // place 1 proposes round 1: the same sender
    CHECK_EQUAL(text_of(node.prevotes({2}, 1, 'A')), "schedule propose 1; prevote 1 A");
}

// Line 55: "with round > round_p".
TEST(line_55_never_goes_back) {
    Machine node;
    node.start();
    node.enter(4);
    CHECK_EQUAL(text_of(node.prevotes({0, 1, 2}, 3, '-')), "");
    CHECK_EQUAL(node->round(), 4);
}

// Lines 57-60: OnTimeoutPropose.
TEST(line_59_the_time_out_of_proposals_prevotes_nil) {
    Machine node;
    node.start();
    CHECK_EQUAL(text_of(node.timeout(Step::propose, 0)), "prevote 0 -");
    CHECK(node->step() == Step::prevote);
    CHECK_EQUAL(text_of(node.timeout(Step::propose, 0)), "");  // line 58
}

// Line 58: "round = round_p and step_p = propose".
TEST(line_58_a_stale_time_out_of_proposals_changes_nothing) {
    Machine node;
    node.start();
    node.enter(1);
    CHECK_EQUAL(text_of(node.timeout(Step::propose, 0)), "");
    CHECK_EQUAL(text_of(node.proposal(1, 'A')), "prevote 1 A");
    CHECK_EQUAL(text_of(node.timeout(Step::propose, 1)), "");
}

// Lines 61-64: OnTimeoutPrevote.
TEST(line_63_the_time_out_of_prevotes_precommits_nil) {
    Machine node;
    node.start();
    CHECK_EQUAL(text_of(node.timeout(Step::prevote, 0)), "");  // line 62: step propose
    node.proposal(0, 'A');
    CHECK_EQUAL(text_of(node.timeout(Step::prevote, 0)), "precommit 0 -");
    CHECK(node->step() == Step::precommit);
    CHECK_EQUAL(text_of(node.timeout(Step::prevote, 0)), "");
}

// Lines 65-67: OnTimeoutPrecommit.
TEST(line_67_the_time_out_of_precommits_begins_the_next_round) {
    Machine node;
    node.start();
    CHECK_EQUAL(text_of(node.timeout(Step::precommit, 0)), "schedule propose 1");
    CHECK_EQUAL(text_of(node.timeout(Step::precommit, 0)), "");  // line 66
    CHECK_EQUAL(node->round(), 1);
}

// §3.2: a lock is kept over rounds in which nothing happens.
TEST(a_lock_outlives_rounds) {
    Machine node;
    node.start();
    node.lock(0, 'A');
    node.enter(30);
    CHECK_EQUAL(node->locks().locked_round, 0);
    CHECK_EQUAL(text_of(node.timeout(Step::precommit, 30)), "propose 31 A 0");
}

TEST_MAIN
