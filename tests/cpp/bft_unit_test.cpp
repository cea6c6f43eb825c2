// Parts of the BFT protocol by themselves: votes, rotation, the books of Algorithm 1 and their bounds.
#include <map>

#include "base/errors.hpp"
#include "bft_machine.hpp"
#include "check.hpp"

using namespace fastmas::testing;
using fastmas::base::ConfigError;

namespace {

Vote vote_of(std::size_t place, char value) {
    Vote vote;
    vote.value = value == '-' ? kNil : value_of(value);
    vote.validator = static_cast<NodeId>(place + 1);
    return vote;
}

}  // namespace

TEST(a_sender_weighs_once) {
    const std::vector<Power> powers = {5, 1, 1, 1};
    VoteSet votes(powers, 8);
    CHECK(votes.add(0, vote_of(0, 'A')) == VoteSet::Added::counted);
    CHECK(votes.add(0, vote_of(0, 'A')) == VoteSet::Added::duplicate);
    CHECK_EQUAL(votes.any(), 5U);
    CHECK_EQUAL(votes.of(value_of('A')), 5U);
    CHECK(!votes.quorum());
    votes.add(1, vote_of(1, 'A'));
    CHECK(votes.quorum() == value_of('A'));
}

TEST(votes_for_other_values_do_not_add_up) {
    const std::vector<Power> powers = {1, 1, 1, 1};
    VoteSet votes(powers, 4);
    votes.add(0, vote_of(0, 'A'));
    votes.add(1, vote_of(1, 'A'));
    votes.add(2, vote_of(2, 'B'));
    votes.add(3, vote_of(3, '-'));
    CHECK(votes.quorum_of_any());
    CHECK(!votes.quorum());
}

// An equivocator that told this node another value first hides no quorum that the others have.
TEST(an_equivocator_hides_no_quorum) {
    const std::vector<Power> powers = {1, 1, 1, 1};
    VoteSet votes(powers, 4);
    CHECK(votes.add(3, vote_of(3, 'X')) == VoteSet::Added::counted);
    CHECK(votes.add(3, vote_of(3, 'Y')) == VoteSet::Added::conflict);
    CHECK(votes.add(3, vote_of(3, 'A')) == VoteSet::Added::conflict);  // nobody correct is known to be for it
    votes.add(0, vote_of(0, 'A'));
    votes.add(1, vote_of(1, 'A'));
    CHECK(!votes.quorum());
    CHECK(votes.add(3, vote_of(3, 'A')) == VoteSet::Added::conflict_counted);
    CHECK(votes.quorum() == value_of('A'));
    CHECK_EQUAL(votes.any(), 3U);  // once for all that
    CHECK(votes.add(3, vote_of(3, 'A')) == VoteSet::Added::duplicate);
}

TEST(a_forgotten_sender_never_voted) {
    const std::vector<Power> powers = {1, 1, 1, 1};
    VoteSet votes(powers, 4);
    for (const std::size_t place : {0U, 1U, 2U}) votes.add(place, vote_of(place, 'A'));
    votes.add(3, vote_of(3, 'B'));
    votes.add(3, vote_of(3, 'A'));
    votes.forget(3);
    CHECK_EQUAL(votes.of(value_of('A')), 3U);
    CHECK_EQUAL(votes.of(value_of('B')), 0U);
    CHECK_EQUAL(votes.any(), 3U);
    votes.forget(2);
    CHECK(!votes.quorum());
    CHECK_EQUAL(votes.senders(), 3U);
}

TEST(an_equivocator_keeps_at_most_three_votes) {
    const std::vector<Power> powers = {2, 2, 2, 1};
    VoteSet votes(powers, 7);
    votes.add(0, vote_of(0, 'A'));
    votes.add(1, vote_of(1, 'B'));
    votes.add(2, vote_of(2, 'A'));
    for (char value = 'a'; value <= 'z'; ++value) votes.add(3, vote_of(3, value));
    for (const char value : {'A', 'B', '-'}) votes.add(3, vote_of(3, value));
    std::vector<Vote> kept;
    votes.votes_of(3, kept);
    CHECK(kept.size() <= 3);
}

TEST(proposers_take_turns) {
    Rotation rotation(std::make_shared<const ValidatorSet>(set_of({1, 1, 1, 1})), Rotation::Priorities(4, 0));
    for (Round round = 0; round < 12; ++round)
        CHECK_EQUAL(rotation.proposer(round), static_cast<std::size_t>(round % 4));
}

// In any run of `total` rounds each proposes exactly as often as its power says, and heights take turns as rounds do.
TEST(proposers_take_turns_in_proportion_to_power) {
    for (const std::vector<Power>& powers :
         {std::vector<Power>{1, 2, 3}, {10, 1, 1, 1}, {7, 7, 5, 3, 1}, {1}, {100, 33, 33, 33}}) {
        const ValidatorSet set = set_of(powers);
        Rotation::Priorities priorities(powers.size(), 0);
        std::map<std::size_t, Power> turns;
        for (Power turn = 0; turn < set.total(); ++turn) ++turns[Rotation::turn(set, priorities)];
        for (std::size_t place = 0; place < powers.size(); ++place) CHECK_EQUAL(turns[place], powers[place]);
        CHECK(priorities == Rotation::Priorities(powers.size(), 0));  // and it begins again
    }
}

TEST(a_newcomer_proposes_last) {
    const ValidatorSet before = set_of({1, 1, 1}), after = set_of({1, 1, 1, 1});
    Rotation rotation(std::make_shared<const ValidatorSet>(after), Rotation::carry_over(before, {0, 0, 0}, after));
    CHECK(rotation.proposer(0) != 3U && rotation.proposer(1) != 3U && rotation.proposer(2) != 3U);
}

TEST(validator_sets_are_checked) {
    CHECK_THROWS(ValidatorSet(std::vector<Validator>{}), ConfigError, "1 to 63 validators, got 0");
    CHECK_THROWS(ValidatorSet({{1, 1, {}}, {1, 1, {}}}), ConfigError, "got 1 twice");
    CHECK_THROWS(ValidatorSet({{0, 1, {}}}), ConfigError, "ids start at 1");
    CHECK_THROWS(ValidatorSet({{1, 0, {}}}), ConfigError, "at least 1");
    CHECK_THROWS(ValidatorSet({{1, kMaxTotalPower, {}}, {2, 1, {}}}), ConfigError, "at most 2^60");
    const ValidatorSet set({{7, 2, {}}, {3, 1, {}}});
    CHECK_EQUAL(set.place_of(3), 0U);
    CHECK_EQUAL(set.place_of(7), 1U);
    CHECK_EQUAL(set.place_of(5), ValidatorSet::kNowhere);
    CHECK(set.digest() != ValidatorSet({{7, 2, {}}, {3, 2, {}}}).digest());
}

// A liar that votes in a thousand future rounds takes up four of them.
TEST(future_rounds_are_bounded_by_sender) {
    Machine node;
    node.start();
    for (Round round = 1; round <= 1000; ++round)
        if (node->admits(0, round)) node.add(VoteType::prevote, 0, round, 'A');
    CHECK(node->rounds_held() <= 1 + Tendermint::kAheadRounds);
    CHECK(!node->admits(0, 5));    // below the ones it holds
    CHECK(node->admits(0, 2000));  // above
    CHECK(node->admits(1, 5));     // another sender has places of its own
    CHECK(!node->admits(1, kMaxRound + 1));
    CHECK(!node->admits(1, -1));
    // and the others get through
    CHECK_EQUAL(text_of(node.prevotes({1, 2}, 1000, '-')), "schedule propose 1000");
}

TEST(past_rounds_are_forgotten_unless_something_refers_to_them) {
    Machine node;
    node.start();
    node.lock(0, 'A');
    for (Round round = 0; round < 100; ++round) {
        node.prevotes({0, 1, 2}, round + 1, '-');
        node.enter(round + 1);
    }
    CHECK(node->rounds_held() <= 2 + static_cast<std::size_t>(Tendermint::kKeptRounds));
    CHECK(node->votes(VoteType::prevote, 0) != nullptr);  // the lock's
    CHECK(node->votes(VoteType::prevote, 50) == nullptr);
    CHECK(!node->admits(0, 50));
    node->add_proposal({100, 50, value_of('B'), true, true});
    CHECK(node->admits(0, 50));  // the proposal at hand refers to it
}

TEST(proposals_of_a_round_are_bounded) {
    Machine node;
    node.start();
    CHECK(node->admits_proposal(0, value_of('A')));
    CHECK(!node->add_proposal({0, kNoRound, value_of('A'), true, true}));
    CHECK(!node->admits_proposal(0, value_of('A')));
    CHECK(node->add_proposal({0, kNoRound, value_of('B'), true, true}));  // evidence
    CHECK(!node->admits_proposal(0, value_of('C')));
    node.prevotes({0, 1}, 0, 'C');  // but somebody correct voted for it
    CHECK(node->admits_proposal(0, value_of('C')));
    CHECK(!node->admits_proposal(Tendermint::kProposalsAhead + 1, value_of('D')));
}

// After a crash the step is where it was: what was signed is not signed again.
TEST(a_resumed_round_signs_nothing_twice) {
    Machine node;
    node->resume(2, Step::prevote, {0, value_of('A'), 0, value_of('A')}, false);
    CHECK_EQUAL(text_of(node.proposal(2, 'B')), "");
    CHECK_EQUAL(text_of(node.prevotes({0, 1, 2}, 2, '-')), "schedule prevote 2; precommit 2 -");
    Machine proposer;
    proposer->resume(3, Step::propose, Locks(), true);
    CHECK_EQUAL(text_of(proposer.take()), "");
    Machine silent;
    silent->resume(3, Step::propose, {0, value_of('A'), 1, value_of('A')}, false);
    CHECK_EQUAL(text_of(silent.take()), "propose 3 A 1");
}

// While it waits for commands, one liar's votes begin no round; a proposal or f + 1 do.
TEST(waiting_ends_by_a_proposal_or_by_f_plus_1) {
    Machine node;
    CHECK_EQUAL(text_of(node.prevotes({1}, 0, '-')), "");
    CHECK_EQUAL(text_of(node.prevotes({2}, 0, '-')), "schedule propose 0");
    Machine other;
    CHECK_EQUAL(text_of(other.proposal(0, 'A')), "schedule propose 0; prevote 0 A");
    Machine invalid;
    CHECK_EQUAL(text_of(invalid.proposal(0, 'A', kNoRound, false)), "");
}

// Who is not a validator decides with the others and says nothing.
TEST(an_onlooker_decides_and_is_silent) {
    Machine node(ValidatorSet::kNowhere);
    CHECK_EQUAL(text_of(node.proposal(0, 'A')), "schedule propose 0");
    CHECK_EQUAL(text_of(node.prevotes({0, 1, 2}, 0, 'A')), "schedule prevote 0");
    CHECK_EQUAL(text_of(node.precommits({0, 1, 2}, 0, 'A')), "decide 0 A");
}

TEST_MAIN
