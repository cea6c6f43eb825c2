// Multi-Paxos, a sentence of the paper or a line of the contract a test. Quotations are from Lamport, Paxos Made Simple
// (2001), §3 unless another is named.
#include <algorithm>
#include <set>

#include "check.hpp"
#include "paxos_rig.hpp"

using namespace fastmas::testing;
using fastmas::base::ConfigError;

// "A newly chosen leader executes phase 1 for infinitely many instances of the consensus algorithm ... using a single
// proposal number for all".
TEST(one_prepare_is_for_all_slots_after_those_it_knows) {
    Driven node(plain_config(1, 3));
    const auto prepares = node.time_out();
    CHECK_EQUAL(prepares.size(), 2U);
    CHECK(prepares[0] == message_of(MessageType::prepare, 1, 2, {1, 1}));
    CHECK(node.disk.hard_state().promised == (Ballot{1, 1}));
}

// "An acceptor responds with more than a simple OK only if it has already received a phase 2 message from some
// proposer": with everything it accepted after the slot asked for, each with its own ballot, holes left out.
TEST(a_promise_tells_what_was_accepted_in_each_slot) {
    Driven node(plain_config(2, 3));
    (void)node.step(accept_of(1, 2, {1, 1}, 0, {"a", "b"}));
    (void)node.step(accept_of(3, 2, {2, 3}, 3, {"d"}));
    CHECK_EQUAL(node.log(), "a/1.1 b/1.1 - d/2.3");
    const auto reply = node.step(message_of(MessageType::prepare, 1, 2, {3, 1}, 1));
    CHECK_EQUAL(reply.size(), 1U);
    CHECK(reply[0] == promise_of(2, 1, {3, 1}, 1, {entry_of({1, 1}, 2, "b"), entry_of({2, 3}, 4, "d")}));
    CHECK(node.disk.hard_state().promised == (Ballot{3, 1}));
}

// PITFALLS 26: the promise and what was accepted are in the same Ready as the reply, to be stored before it.
TEST(promise_and_acceptance_are_stored_with_the_reply) {
    PaxosNode node(plain_config(2, 3));
    node.step(message_of(MessageType::prepare, 1, 2, {3, 1}));
    const Ready* ready = &node.ready();
    CHECK(ready->must_sync && ready->hard_state != nullptr && ready->hard_state->promised == (Ballot{3, 1}));
    CHECK_EQUAL(ready->messages.size(), 1U);
    node.advance();
    node.step(accept_of(1, 2, {3, 1}, 0, {"a"}));
    ready = &node.ready();
    CHECK(ready->must_sync && ready->entries.size() == 1);
    CHECK_EQUAL(ready->messages.size(), 1U);
}

TEST(an_accept_of_a_higher_ballot_is_a_promise_too) {
    Driven node(plain_config(2, 3));
    (void)node.step(accept_of(3, 2, {5, 3}, 0, {"a"}));
    CHECK(node.disk.hard_state().promised == (Ballot{5, 3}));
    const auto reply = node.step(message_of(MessageType::prepare, 1, 2, {4, 1}));
    CHECK(reply[0].type == MessageType::refuse && reply[0].other == (Ballot{5, 3}));
}

// PITFALLS 27: per slot, the value of the highest ballot; neither the commonest nor its own, nor the longest log's.
TEST(a_new_leader_adopts_by_slot_the_highest_ballot) {
    Driven node(plain_config(1, 5));
    (void)node.step(accept_of(2, 1, {1, 2}, 0, {"own1", "own2", "own3"}));
    (void)node.time_out();
    const Ballot ballot = node->ballot();
    CHECK(ballot == (Ballot{2, 1}));
    Driven late(plain_config(1, 5));
    (void)late.step(accept_of(2, 1, {9, 2}, 0, {"own1", "own2", "own3"}));
    (void)late.time_out();
    const Ballot high = late->ballot();
    CHECK(high == (Ballot{10, 1}));
    (void)late.step(promise_of(3, 1, high, 0, {entry_of({4, 3}, 1, "low"), entry_of({4, 3}, 2, "low")}));
    const auto accepts =
        late.step(promise_of(4, 1, high, 0, {entry_of({4, 3}, 1, "low"), entry_of({9, 5}, 2, "high")}));
    CHECK(late->role() == Role::leader);
    CHECK_EQUAL(late.log(), "own1/10.1 high/10.1 own3/10.1");
    CHECK(accepts.front().type == MessageType::accept && accepts.front().entries.size() == 3);
}

// "... the leader ... fills the gap ... by proposing, as commands 136 and 137, a special no-op command that leaves the
// state unchanged" (PITFALLS 28).
TEST(gaps_are_filled_with_no_ops) {
    Driven node(plain_config(1, 3));
    (void)node.time_out();
    (void)node.step(promise_of(2, 1, node->ballot(), 0, {entry_of({0, 2}, 3, "c")}));
    CHECK(node->role() == Role::preparing);  // an entry without a ballot is nothing that anybody accepted
    CHECK_EQUAL(node->counters().dropped, 1U);
    (void)node.step(promise_of(2, 1, node->ballot(), 0, {entry_of({1, 1}, 3, "c")}));
    CHECK_EQUAL(node.log(), "noop/1.1 noop/1.1 c/1.1");
    CHECK_EQUAL(node->counters().gaps, 2U);
    (void)node.step(accepted_of(3, 1, node->ballot(), 0, 3));
    CHECK_EQUAL(node.applied(), "noop noop c");
}

// PITFALLS 29.
TEST(a_ballot_is_never_used_twice_across_restarts) {
    PersistentState stored;
    std::set<std::uint64_t> numbers;
    for (int life = 0; life < 5; ++life) {
        Driven node(plain_config(1, 3), stored);
        (void)node.time_out();
        CHECK(numbers.insert(node->ballot().number).second);
        stored = node.disk.load();
    }
}

// "... a value is chosen when ... accepted by a majority"; in one ballot, by acceptors that stored it, the own one
// included once its disk has it.
TEST(a_slot_commits_with_an_accept_quorum_of_disks) {
    Driven node(plain_config(1, 5));
    const Ballot ballot = node.lead();
    node->propose(fastmas::base::Payload(std::string_view("a")), {}, 0);
    (void)node.step(accepted_of(2, 1, ballot, 0, 1));
    (void)node.step(accepted_of(2, 1, ballot, 0, 1));
    CHECK_EQUAL(node->commit_index(), 0U);
    (void)node.step(accepted_of(3, 1, ballot, 0, 1));
    CHECK_EQUAL(node->commit_index(), 1U);

    // PMS §2.3: by one proposal's acceptances; those of an earlier ballot were for another value, perhaps
    PersistentState stored;
    stored.hard_state.promised = {4, 1};
    Driven again(plain_config(1, 3), stored);
    const Ballot later = again.lead();
    CHECK(later == (Ballot{5, 1}));
    (void)again->propose(fastmas::base::Payload(std::string_view("a")), {}, 0);
    (void)again.take();
    (void)again.step(accepted_of(2, 1, {4, 1}, 0, 1));
    CHECK_EQUAL(again->commit_index(), 0U);
    (void)again.step(accepted_of(2, 1, later, 0, 1));
    CHECK_EQUAL(again->commit_index(), 1U);

    PaxosNode bare(plain_config(1, 1));
    for (int i = 0; i < 40 && bare.role() != Role::leader; ++i) {
        bare.tick();
        while (bare.has_ready()) (void)bare.ready(), bare.advance();
    }
    (void)bare.propose(fastmas::base::Payload(std::string_view("a")), {}, 0);
    CHECK_EQUAL(bare.commit_index(), 0U);  // its own disk does not have it yet
    (void)bare.ready();
    bare.advance();
    CHECK_EQUAL(bare.commit_index(), 1U);
}

// "... the server ... can be chosen in any order": acceptances of later slots count although an earlier one is missing.
TEST(slots_are_accepted_in_any_order_and_applied_in_theirs) {
    Driven node(plain_config(1, 3));
    const Ballot ballot = node.lead();
    for (const char* text : {"a", "b", "c"}) (void)node->propose(fastmas::base::Payload(std::string_view(text)), {}, 0);
    (void)node.take();
    (void)node.step(accepted_of(2, 1, ballot, 1, 3));
    CHECK_EQUAL(node->commit_index(), 0U);
    (void)node.step(accepted_of(3, 1, ballot, 0, 1));
    CHECK_EQUAL(node->commit_index(), 3U);
    CHECK_EQUAL(node.applied(), "a b c");

    Driven acceptor(plain_config(2, 3));
    auto reply = acceptor.step(accept_of(1, 2, {1, 1}, 2, {"c"}, 1));
    CHECK(reply[0].flag && reply[0].index == 2 && reply[0].last == 3 && reply[0].commit == 0);
    reply = acceptor.step(accept_of(1, 2, {1, 1}, 0, {"a", "b"}, 3));
    CHECK(!reply[0].flag && reply[0].commit == 3);
    CHECK_EQUAL(acceptor.applied(), "a b c");
}

// A leader's commit index is about its own proposals: what was accepted in an earlier ballot may be another's.
TEST(a_follower_commits_only_what_it_accepted_in_the_leaders_ballot) {
    Driven node(plain_config(2, 3));
    (void)node.step(accept_of(1, 2, {1, 1}, 0, {"old"}));
    const auto reply = node.step(accept_of(3, 2, {2, 3}, 1, {}, 1));
    CHECK_EQUAL(node->commit_index(), 0U);
    CHECK(reply[0].flag);
    (void)node.step(accept_of(3, 2, {2, 3}, 0, {"new"}, 1));
    CHECK_EQUAL(node.applied(), "new");
}

TEST(a_candidate_that_lacks_what_was_compacted_gets_the_snapshot_and_no_promise) {
    PersistentState stored;
    stored.hard_state.promised = {3, 3};
    stored.snapshot = {7, 70, members_of(3), fastmas::base::Payload(std::string_view("state")), {2, 3}};
    Driven node(plain_config(2, 3), stored);
    const auto reply = node.step(message_of(MessageType::prepare, 1, 2, {4, 1}, 5));
    CHECK_EQUAL(reply.size(), 1U);
    CHECK(reply[0].type == MessageType::snapshot && reply[0].snapshot.index == 7 && !reply[0].flag);
    CHECK(node->promised() == (Ballot{3, 3}));
    Driven candidate(plain_config(1, 3));
    (void)candidate.time_out();
    (void)candidate.step(reply[0]);
    CHECK(candidate->role() == Role::follower);
    CHECK_EQUAL(candidate->commit_index(), 7U);
    candidate->tick();
    CHECK(candidate->role() == Role::preparing);
    CHECK_EQUAL(candidate.take().front().index, 7U);
}

TEST(a_snapshot_forgets_nothing_that_was_accepted_after_it) {
    Driven node(plain_config(2, 3));
    (void)node.step(accept_of(1, 2, {1, 1}, 0, {"a", "b", "c"}));
    Message message = message_of(MessageType::snapshot, 1, 2, {1, 1});
    message.flag = true;
    message.snapshot = {2, 0, members_of(3), fastmas::base::Payload(std::string_view("state")), {1, 1}};
    const auto reply = node.step(message);
    CHECK(reply[0].type == MessageType::accepted && reply[0].commit == 2);
    CHECK_EQUAL(node.log(), "c/1.1");
    CHECK(node.disk.log().holds(3));
    message.snapshot.index = 1;
    (void)node.step(message);
    CHECK_EQUAL(node->commit_index(), 2U);  // a stale one moves nothing
}

// Node 1 led ballot 1.1, was cut off with a proposal that nobody accepted, and another value was chosen in its slot by
// 2.2. Were node 4, which never heard of 2.2 but got a snapshot, to go on in 1.1, it would tell node 1 that the slot is
// chosen, and node 1 would take that for its own proposal.
TEST(whoever_installs_a_snapshot_promises_the_ballots_it_was_chosen_in) {
    Driven node(plain_config(4, 5));
    (void)node.step(accept_of(1, 4, {1, 1}, 0, {}));
    (void)node.time_out();
    CHECK(node->promised() == (Ballot{2, 4}));
    Driven late(plain_config(4, 5));
    (void)late.step(accept_of(1, 4, {1, 1}, 0, {}));
    Message message = message_of(MessageType::snapshot, 3, 4, {2, 2});
    message.snapshot = {5, 0, members_of(5), fastmas::base::Payload(std::string_view("state")), {2, 2}};
    (void)late.step(message);
    CHECK_EQUAL(late->commit_index(), 5U);
    CHECK(late.disk.hard_state().promised == (Ballot{2, 2}));
    const auto reply = late.step(accept_of(1, 4, {1, 1}, 5, {}));
    CHECK(reply[0].type == MessageType::refuse && reply[0].other == (Ballot{2, 2}));

    // the power goes after duty 1 and before duty 3
    PersistentState stored;
    stored.snapshot = message.snapshot;
    Driven again(plain_config(4, 5), stored);
    CHECK(again->promised() == (Ballot{2, 2}));
    (void)again.take();
    CHECK(again.disk.hard_state().promised == (Ballot{2, 2}));
    stored.snapshot.ballot = {};
    CHECK_THROWS(PaxosNode(plain_config(4, 5), stored), ConfigError, "a snapshot says in which ballots it was chosen");
}

// A number that no correct node comes to is not listened to: it would leave no higher one to begin a ballot with.
TEST(ballots_at_the_end_of_the_range_are_refused) {
    Driven node(plain_config(2, 3));
    for (const std::uint64_t number : {kMaxBallotNumber, kMaxBallotNumber - 1, kMaxBallotLead + 1})
        CHECK(node.step(accept_of(1, 2, {number, 1}, 0, {"a"})).empty());
    CHECK_EQUAL(node->counters().dropped, 3U);
    CHECK(node->promised() == Ballot{});
    CHECK_EQUAL(node.step(accept_of(1, 2, {kMaxBallotLead, 1}, 0, {"a"})).size(), 1U);
    (void)node.time_out();
    CHECK(node->ballot() == (Ballot{kMaxBallotLead + 1, 2}));

    PersistentState stored;
    stored.hard_state.promised = {kMaxBallotNumber - 1, 3};
    Driven last(plain_config(2, 3), stored);
    // it begins none any more, and does all else: a number that somebody made up stops no cluster that has a leader
    CHECK(last.time_out().empty() && last->role() == Role::follower);
    CHECK_EQUAL(last.step(accept_of(3, 2, {kMaxBallotNumber - 1, 3}, 0, {"a"})).size(), 1U);
}

// One part a round trip would take a log of many small messages seconds to tell, in which nobody leads.
TEST(promises_come_in_parts_without_being_asked_for_each) {
    PaxosConfig config = plain_config(2, 3);
    config.max_message_entries = 1;
    Driven node(config);
    std::vector<std::string> texts(kPromiseParts + 2, "a");
    (void)node.step(accept_of(1, 2, {1, 1}, 0, texts));
    auto reply = node.step(message_of(MessageType::prepare, 3, 2, {2, 3}, 0));
    CHECK_EQUAL(reply.size(), kPromiseParts);
    for (std::size_t part = 0; part < reply.size(); ++part) {
        CHECK(reply[part].flag && reply[part].index == part && reply[part].last == part + 1);
        CHECK_EQUAL(reply[part].round, kPromiseParts - 1 - part);
    }
    reply = node.step(message_of(MessageType::prepare, 3, 2, {2, 3}, kPromiseParts));
    CHECK_EQUAL(reply.size(), 2U);
    CHECK(reply[0].flag && reply[0].round != 0 && !reply[1].flag && reply[1].last == kPromiseParts + 2);
    // told that somebody prepares, and asked for nothing
    Message only_tells = message_of(MessageType::prepare, 3, 2, {2, 3}, 0);
    only_tells.flag = true;
    CHECK(node.step(only_tells).empty());
    only_tells.ballot = {1, 1};
    only_tells.from = 1;
    CHECK(node.step(only_tells)[0].type == MessageType::refuse);

    // what an entry weighs counts, too: the parts of one answer are bounded by their bytes
    config.max_message_bytes = 1;
    Driven heavy(config);
    (void)heavy.step(accept_of(1, 2, {1, 1}, 0, {"12345678", "12345678", "12345678"}));
    reply = heavy.step(message_of(MessageType::prepare, 3, 2, {2, 3}, 0));
    CHECK(reply.size() == 2 && reply[1].flag && reply[1].round == 0);
}

TEST(a_candidate_asks_for_what_follows_and_for_what_was_lost) {
    Driven candidate(plain_config(1, 3));
    (void)candidate.time_out();
    Message part = promise_of(2, 1, candidate->ballot(), 0, {});
    part.last = 1;
    part.flag = true;
    part.round = 1;
    CHECK(candidate.step(part).empty());  // the next one is under way
    // a heartbeat: node 2 is about it, node 3 has said nothing
    candidate->tick();
    candidate->tick();
    auto asked = candidate.take();
    CHECK(asked.size() == 2 && asked[0].to == 2 && asked[0].flag && asked[1].to == 3 && !asked[1].flag);
    // nothing came since the last one: lost
    candidate->tick();
    candidate->tick();
    asked = candidate.take();
    CHECK(asked.size() == 2 && asked[0].to == 2 && !asked[0].flag && asked[0].index == 1);
    part.index = 1;
    part.last = 2;
    part.round = 0;
    asked = candidate.step(part);
    CHECK(asked.size() == 1 && asked[0].type == MessageType::prepare && asked[0].index == 2 && !asked[0].flag);
    CHECK(candidate->role() == Role::preparing);
    part.index = 4;
    part.last = 5;
    part.flag = false;
    (void)candidate.step(part);  // one between is missing
    CHECK(candidate->role() == Role::preparing);
    part.index = 2;
    (void)candidate.step(part);
    CHECK(candidate->role() == Role::leader);
}

// The log's time is a function of what is chosen: the greatest stamp so far.
TEST(time_never_falls_along_the_log) {
    Driven node(plain_config(1, 3));
    (void)node.time_out();
    (void)node.step(promise_of(2, 1, node->ballot(), 0, {entry_of({1, 3}, 1, "a", 900)}));
    CHECK(node->counters().dropped == 1);  // of no ballot below the candidate's
    (void)node.step(
        promise_of(2, 1, node->ballot(), 0, {entry_of({1, 1}, 1, "a", 900), entry_of({1, 1}, 2, "b", 100)}));
    (void)node->propose(fastmas::base::Payload(std::string_view("c")), {}, 50);
    (void)node.take();
    (void)node.step(accepted_of(3, 1, node->ballot(), 0, 3));
    CHECK_EQUAL(node.committed.size(), 3U);
    for (const Entry& entry : node.committed) CHECK_EQUAL(entry.time_ns, 900);
}

// PITFALLS 30.
TEST(quorums_that_do_not_intersect_are_refused) {
    PaxosConfig config = plain_config(1, 4);
    config.quorums = {2, 2};
    CHECK_THROWS(PaxosNode(config), ConfigError, "every prepare quorum must share a node with every accept quorum");
    config.quorums = {4, 1};
    Driven node(config);
    (void)node.time_out();
    const Ballot ballot = node->ballot();
    (void)node.step(promise_of(2, 1, ballot, 0, {}));
    (void)node.step(promise_of(3, 1, ballot, 0, {}));
    CHECK(node->role() == Role::preparing);
    (void)node.step(promise_of(4, 1, ballot, 0, {}));
    CHECK(node->role() == Role::leader);
    (void)node->propose(fastmas::base::Payload(std::string_view("a")), {}, 0);
    (void)node.take();
    CHECK_EQUAL(node->commit_index(), 1U);  // one acceptance is a quorum: its own
}

// One of five may prepare alone where all five must accept: it still asks those it needs.
TEST(a_node_asks_whether_it_would_get_anything_accepted) {
    PaxosConfig config = config_of(1, 3);
    config.quorums = {1, 3};
    Driven node(config);
    const auto asked = node.time_out();
    CHECK(asked.size() == 2 && asked[0].type == MessageType::ask && node->role() == Role::asking);
    Message answer = message_of(MessageType::answer, 2, 1, node->ballot());
    CHECK(node.step(answer).empty());
    answer.from = 3;
    CHECK(!node.step(answer).empty());
    CHECK(node->role() == Role::leader);  // its own promise is a quorum
    Driven other(config);
    (void)other.time_out();
    answer.ballot = other->ballot();
    answer.flag = true;  // in contact with a leader: without it nothing is ever accepted
    (void)other.step(answer);
    CHECK(other->role() == Role::follower);
}

// PITFALLS 31: "a distinguished proposer must be selected"; nodes in contact with one promise nothing to others, and a
// node that was cut off asks before it begins a ballot.
TEST(a_working_leader_is_not_deposed_by_one_that_was_cut_off) {
    Driven node(config_of(2, 3));
    (void)node.step(accept_of(1, 2, {1, 1}, 0, {}));
    Message ask = message_of(MessageType::ask, 3, 2, {7, 3});
    CHECK(node.step(ask)[0].flag);
    CHECK(node.step(message_of(MessageType::prepare, 3, 2, {7, 3})).empty());
    CHECK(node->promised() == (Ballot{1, 1}));
    for (int i = 0; i < 10; ++i) node->tick();
    (void)node.take();
    CHECK(!node.step(ask)[0].flag);
    CHECK_EQUAL(node.step(message_of(MessageType::prepare, 3, 2, {7, 3})).size(), 1U);
}

TEST(a_leader_that_hears_from_no_accept_quorum_stops) {
    Driven node(config_of(1, 3));
    (void)node.time_out();
    Message answer = message_of(MessageType::answer, 2, 1, node->ballot());
    (void)node.step(answer);
    (void)node.step(promise_of(2, 1, node->ballot(), 0, {}));
    CHECK(node->role() == Role::leader);
    for (int i = 0; i < 20; ++i) node->tick();
    CHECK(node->role() != Role::leader);
    CHECK(node->propose(fastmas::base::Payload(std::string_view("a")), {}, 0).status == ProposeStatus::not_leader);
}

TEST(a_refused_leader_stands_back_and_tries_again_soon) {
    Driven node(plain_config(1, 3));
    const Ballot ballot = node.lead();
    Message refuse = message_of(MessageType::refuse, 2, 1, ballot);
    refuse.other = {9, 3};
    CHECK(node.step(refuse).empty());  // at once would be a duel
    CHECK(node->role() == Role::follower);
    for (int i = 0; i < 10; ++i) node->tick();
    (void)node.take();
    CHECK(node->ballot() == (Ballot{10, 1}));
}

// PITFALLS 31: "each keep issuing a sequence of proposals with increasing numbers, none of which are ever chosen".
TEST(duelling_proposers_make_progress) {
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        std::vector<Driven> nodes;
        for (NodeId id = 1; id <= 3; ++id) {
            PaxosConfig config = plain_config(id, 3);
            config.seed = seed;
            nodes.emplace_back(config);
        }
        // a promise takes longer to come back than anybody waits at first, and all clocks go in step
        const std::size_t delay = 7;
        std::vector<std::vector<Message>> wire(delay);
        std::size_t ticks = 0;
        const auto leads = [](Driven& node) { return node->role() == Role::leader; };
        for (; ticks < 5'000 && std::none_of(nodes.begin(), nodes.end(), leads); ++ticks) {
            const std::vector<Message> arriving = std::exchange(wire[ticks % delay], {});
            for (const Message& message : arriving) nodes[message.to - 1]->step(message);
            for (Driven& node : nodes) {
                node->tick();
                for (const Message& message : node.take()) wire[ticks % delay].push_back(message);
            }
        }
        CHECK(ticks < 1'000);
    }
}

// A leader that did not hear of it in phase 1 (its quorum were others) learns it from the first answer.
TEST(what_an_acceptor_knows_to_be_chosen_needs_no_more_votes) {
    PaxosConfig config = plain_config(1, 2);
    config.quorums = {1, 2};
    Driven node(config);
    (void)node.step(accept_of(2, 1, {1, 2}, 0, {"a", "b"}));
    (void)node.time_out();
    CHECK(node->role() == Role::leader);
    CHECK_EQUAL(node->commit_index(), 0U);
    (void)node.step(accepted_of(2, 1, node->ballot(), 2, 2, 2));
    CHECK_EQUAL(node.applied(), "a b");
}

TEST(lost_accepts_are_sent_again) {
    Driven node(plain_config(1, 3));
    const Ballot ballot = node.lead();
    for (const char* text : {"a", "b", "c"}) {
        (void)node->propose(fastmas::base::Payload(std::string_view(text)), {}, 0);
        (void)node.take();
    }
    Message reply = accepted_of(2, 1, ballot, 2, 3);
    reply.flag = true;  // slots 1 and 2 did not arrive
    const auto again = node.step(reply);
    CHECK_EQUAL(again.size(), 1U);
    CHECK(again[0].to == 2 && again[0].index == 0 && again[0].entries.size() == 3);
    CHECK(node.step(reply).empty());  // once until the next heartbeat
}

TEST_MAIN
