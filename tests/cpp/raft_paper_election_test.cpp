// One test a sentence on terms and elections of "In Search of an Understandable Consensus Algorithm (Extended
// Version)"; the sentence is quoted in part above its test.
#include <set>

#include "check.hpp"
#include "raft_rig.hpp"

using namespace fastmas::testing;
using fastmas::base::Payload;

// §5.1 "if one server's current term is smaller than the other's, then it updates its current term to the larger value"
TEST(a_smaller_term_is_updated_by_every_message) {
    for (const MessageType type :
         {MessageType::vote, MessageType::vote_reply, MessageType::append, MessageType::append_reply}) {
        Driven node = plain_follower({}, 1);
        node.step(message_of(type, 2, 1, 5));
        CHECK_EQUAL(node->term(), 5U);
        CHECK_EQUAL(node.disk.hard_state().term, 5U);
    }
}

// §5.1 "If a candidate or leader discovers that its term is out of date, it immediately reverts to follower state."
TEST(an_outdated_candidate_or_leader_reverts_to_follower) {
    Driven candidate = plain_follower({}, 1);
    candidate.time_out();
    CHECK(candidate->role() == Role::candidate);
    candidate.step(vote_reply(2, 1, 9, true));
    CHECK(candidate->role() == Role::follower);
    Driven outdated = plain_leader();
    CHECK(outdated->role() == Role::leader);
    outdated.step(append_reply(2, 1, 9, 0));
    CHECK(outdated->role() == Role::follower);
    CHECK_EQUAL(outdated->term(), 9U);
}

// §5.1 "If a server receives a request with a stale term number, it rejects the request."
TEST(a_request_of_a_stale_term_is_rejected) {
    Driven node = plain_follower({1, 2}, 5);
    for (const Message& request : {append(2, 1, 3, 2, 2, {command_entry(3, 3)}), vote_request(2, 1, 3, 9, 3)}) {
        const auto replies = node.step(request);
        CHECK_EQUAL(replies.size(), 1U);
        CHECK(replies[0].reject);
        CHECK_EQUAL(replies[0].term, 5U);
        CHECK_EQUAL(node->log().last_index(), 2U);
        CHECK_EQUAL(node->leader(), kNoNode);
    }
}

// §5.2 "When servers start up, they begin as followers."
TEST(servers_begin_as_followers) {
    CHECK(plain_follower()->role() == Role::follower);
}

// §5.2 "If a follower receives no communication over a period of time called the election timeout, then it ... begins
// an election"; "it increments its current term ... votes for itself and issues RequestVote RPCs in parallel to each of
// the others"
TEST(a_follower_that_hears_nothing_begins_an_election) {
    Driven node = plain_follower({}, 4, kNoNode, 5);
    node.time_out();
    CHECK(node->role() == Role::candidate);
    CHECK_EQUAL(node->term(), 5U);
    CHECK_EQUAL(node->vote(), 1U);
    const auto requests = node.take();
    std::set<NodeId> asked;
    for (const Message& request : requests) {
        CHECK(request.type == MessageType::vote);
        CHECK_EQUAL(request.term, 5U);
        asked.insert(request.to);
    }
    CHECK_EQUAL(asked.size(), 4U);
}

// figure 2, followers: "If election timeout elapses without receiving AppendEntries RPC from current leader or granting
// vote to candidate: convert to candidate". A higher term is neither: whoever cannot win would keep the others from
// standing.
TEST(a_request_that_is_refused_does_not_put_off_an_election) {
    const auto ticks_to_stand = [](bool disturbed) {
        Driven node = plain_follower({1, 1});
        Term term = 1;
        int ticks = 0;
        for (; node->role() == Role::follower; ++ticks) {
            node.tick();
            if (disturbed && node->role() == Role::follower)
                CHECK(node.step(vote_request(2, 1, ++term, 1, 1))[0].reject);
        }
        return ticks;
    };
    CHECK_EQUAL(ticks_to_stand(true), ticks_to_stand(false));
}
TEST(a_vote_that_is_given_puts_off_an_election) {
    Driven node = plain_follower({1, 1});
    for (Term term = 2; term < 20; ++term) {
        node.tick(9);
        CHECK(!node.step(vote_request(2, 1, term, 2, 1))[0].reject);
    }
    CHECK(node->role() == Role::follower);
}
// and a candidate that steps down for such a request waits no longer than any other
TEST(a_candidate_that_is_disturbed_stands_again_within_a_time_out) {
    Driven node = plain_follower({1, 1});
    Term term = 1;
    for (int stood = 0; stood < 5; ++stood) {
        int ticks = 0;
        for (; node->role() == Role::follower; ++ticks) {
            node.tick();
            if (node->role() == Role::follower) node.step(vote_request(2, 1, ++term, 1, 1));
        }
        CHECK(ticks < 20);
        term = node->term();
        node.step(vote_request(2, 1, ++term, 1, 1));
        CHECK(node->role() == Role::follower);
    }
}

// §5.2 "A server remains in follower state as long as it receives valid RPCs from a leader"
TEST(a_follower_that_hears_a_leader_stays_one) {
    Driven node = plain_follower({}, 1);
    for (int i = 0; i < 200; ++i) {
        node.tick();
        if (i % 9 == 8) node.step(append(2, 1, 1, 0, 0));
    }
    CHECK(node->role() == Role::follower);
    CHECK_EQUAL(node->term(), 1U);
}

// §5.2 "A candidate wins an election if it receives votes from a majority of the servers in the full cluster for the
// same term."
TEST(a_majority_of_votes_wins_and_nothing_less) {
    for (std::size_t nodes = 1; nodes <= 7; ++nodes)
        for (std::size_t votes = 1; votes <= nodes; ++votes) {
            Driven node = plain_follower({}, 1, kNoNode, nodes);
            node.time_out();
            for (NodeId other = 2; other <= votes; ++other) node.step(vote_reply(other, 1, 2));
            CHECK((node->role() == Role::leader) == (2 * votes > nodes));
        }
}

TEST(a_vote_counts_once_and_for_its_term_only) {
    Driven node = plain_follower({}, 1, kNoNode, 5);
    node.time_out();
    for (int i = 0; i < 5; ++i) node.step(vote_reply(2, 1, 2));
    node.step(vote_reply(3, 1, 1));
    CHECK(node->role() == Role::candidate);
    node.step(vote_reply(3, 1, 2));
    CHECK(node->role() == Role::leader);
}

// §5.2 "Each server will vote for at most one candidate in a given term, on a first-come-first-served basis"
TEST(one_vote_a_term_first_come_first_served) {
    Driven node = plain_follower();
    CHECK(!node.step(vote_request(2, 1, 1, 0, 0))[0].reject);
    CHECK(node.step(vote_request(3, 1, 1, 0, 0))[0].reject);
    CHECK(!node.step(vote_request(2, 1, 1, 0, 0))[0].reject);
    CHECK_EQUAL(node.disk.hard_state().vote, 2U);
    CHECK(!node.step(vote_request(3, 1, 2, 0, 0))[0].reject);
}

// figure 2, persistent state: votedFor survives a crash
TEST(a_restarted_server_does_not_vote_again) {
    Driven node = plain_follower();
    node.step(vote_request(2, 1, 1, 0, 0));
    Driven restarted(plain_config(1, 3), node.disk.load());
    CHECK(restarted.step(vote_request(3, 1, 1, 0, 0))[0].reject);
}

// §5.2 "If the leader's term ... is at least as large as the candidate's current term, then the candidate recognizes
// the leader as legitimate and returns to follower state." "If ... smaller, then the candidate rejects the RPC and
// continues"
TEST(a_candidate_recognises_a_legitimate_leader_only) {
    for (const Term term : {1U, 2U, 3U}) {
        Driven node = plain_follower({}, 1);
        node.time_out();
        CHECK_EQUAL(node->term(), 2U);
        node.take();
        const auto replies = node.step(append(2, 1, term, 0, 0));
        CHECK((node->role() == Role::follower) == (term >= 2));
        CHECK_EQUAL(replies[0].reject, term < 2);
    }
}

// §5.2 "Raft uses randomized election timeouts ... chosen randomly from a fixed interval"
TEST(election_timeouts_cover_their_interval) {
    std::set<int> seen;
    for (std::uint64_t seed = 0; seed < 400; ++seed) {
        RaftConfig config = plain_config(1, 3);
        config.seed = seed;
        Driven node(config);
        int ticks = 0;
        for (; node->role() == Role::follower; ++ticks) node.tick();
        seen.insert(ticks);
    }
    CHECK_EQUAL(*seen.begin(), 10);
    CHECK_EQUAL(*seen.rbegin(), 19);
    CHECK_EQUAL(seen.size(), 10U);
}

// §5.4.1 "the log with the later term is more up-to-date ... If the logs end with the same term, then whichever log is
// longer"
TEST(votes_go_to_logs_that_are_at_least_as_up_to_date) {
    for (const Term last_term : {1U, 2U, 3U})
        for (const Index last_index : {1U, 2U, 3U, 4U}) {
            Driven node = plain_follower({1, 2, 2}, 3);
            const bool up_to_date = last_term > 2 || (last_term == 2 && last_index >= 3);
            CHECK_EQUAL(node.step(vote_request(2, 1, 4, last_index, last_term))[0].reject, !up_to_date);
            CHECK_EQUAL(node->vote() == 2, up_to_date);
        }
}

// §6 "if a server receives a RequestVote RPC within the minimum election timeout of hearing from a current leader, it
// does not update its term or grant its vote"
TEST(a_follower_in_contact_with_a_leader_refuses_votes_unless_time_passed) {
    Driven node(config_of(1, 3), {{1, 0}, {}, {}});
    node.tick(10);
    node.step(append(2, 1, 1, 0, 0));
    node.tick(9);
    CHECK(node.step(vote_request(3, 1, 5, 9, 4)).empty());
    CHECK_EQUAL(node->term(), 1U);
    node.tick(1);
    CHECK(!node.step(vote_request(3, 1, 5, 9, 4))[0].reject);
}

// ... "or grant its vote": also when something else has told it of the candidate's term meanwhile. The leader's lease
// stands on the promise, and the leader may not have heard of that term.
TEST(a_follower_in_contact_with_a_leader_refuses_a_vote_in_a_term_it_has_learnt_of) {
    Driven node(config_of(1, 3), {{1, 0}, {}, {}});
    node.tick(10);
    node.step(append(2, 1, 1, 0, 0));
    node.tick(5);
    Message late = message_of(MessageType::pre_vote_reply, 3, 1, 2);  // to a question of long ago
    late.reject = true;
    node.step(late);
    CHECK_EQUAL(node->term(), 2U);
    CHECK(node.step(vote_request(3, 1, 2, 9, 1))[0].reject);
    CHECK_EQUAL(node->vote(), kNoNode);
    // the leader that hands over asks for it
    Message forced = vote_request(3, 1, 2, 9, 1);
    forced.force = true;
    Driven asked(config_of(1, 3), {{1, 0}, {}, {}});
    asked.step(late);
    CHECK(!asked.step(forced)[0].reject);
    // and the promise ends
    node.tick(4);
    CHECK(node.step(vote_request(3, 1, 2, 9, 1))[0].reject);
    node.tick();
    CHECK(!node.step(vote_request(3, 1, 2, 9, 1))[0].reject);
}
TEST(a_restarted_node_waits_a_full_time_out_before_it_votes) {
    Driven node(config_of(1, 3), {{1, 0}, {}, {}});
    CHECK(node.step(vote_request(3, 1, 5, 9, 4)).empty());
    node.tick(10);
    CHECK(!node.step(vote_request(3, 1, 5, 9, 4))[0].reject);
}

// thesis §9.6 "a candidate only increments its term if it first learns from a majority of the cluster that they would
// be willing to grant the candidate their votes"
TEST(a_pre_vote_changes_no_term_and_no_vote) {
    Driven asker(config_of(1, 3), {{4, 3}, {}, {}});
    asker.time_out();
    CHECK(asker->role() == Role::pre_candidate);
    CHECK_EQUAL(asker->term(), 4U);
    CHECK_EQUAL(asker->vote(), 3U);
    const auto requests = asker.take();
    CHECK_EQUAL(requests[0].term, 5U);
    Driven asked(config_of(2, 3), {{4, 3}, {}, {}});
    asked.tick(10);
    const auto replies = asked.step(requests[0]);
    CHECK(!replies[0].reject);
    CHECK_EQUAL(asked->term(), 4U);
    CHECK_EQUAL(asked->vote(), 3U);
    asker.step(replies[0]);
    CHECK(asker->role() == Role::candidate);
    CHECK_EQUAL(asker->term(), 5U);
}

TEST(a_node_that_asks_in_a_lower_term_learns_the_higher_one_and_asks_again) {
    Driven asker(config_of(1, 2), {{4, 0}, {}, log_of({4})}), asked(config_of(2, 2), {{9, 0}, {}, {}});
    asked.tick(10);  // the higher term, the shorter log: without an answer neither could ever lead
    for (int i = 0; i < 2; ++i) {
        while (asker.sent.empty()) asker.tick();
        for (const Message& reply : asked.step(asker.take()[0])) asker.step(reply);
    }
    CHECK_EQUAL(asker->term(), 10U);
}

TEST(a_pre_vote_checks_the_log_as_strictly_as_a_vote) {
    Driven asked(config_of(1, 3), {{4, 0}, {}, log_of({1, 2, 2})});
    asked.tick(10);
    CHECK(asked.step(vote_request(2, 1, 5, 2, 2, true))[0].reject);
    CHECK(asked.step(vote_request(2, 1, 5, 9, 1, true))[0].reject);
    CHECK(!asked.step(vote_request(2, 1, 5, 3, 2, true))[0].reject);
}

TEST(a_node_that_was_cut_off_deposes_nobody) {
    Rig rig(3, config_of);
    for (auto& [id, node] : rig.nodes) node.tick(10);
    rig.elect(1, {1, 2, 3});
    for (int i = 0; i < 30 && rig.at(1)->role() != Role::leader; ++i) rig.elect(1, {1, 2, 3});
    CHECK(rig.at(1)->role() == Role::leader);
    const Term term = rig.at(1)->term();
    for (int i = 0; i < 200; ++i) {
        rig.at(3).tick();
        rig.at(1).tick();
        rig.run(Rig::among({1, 2}));
    }
    CHECK_EQUAL(rig.at(3)->term(), term);
    rig.at(3).tick(50);
    rig.run();
    rig.at(1).tick(2);
    rig.run();
    CHECK_EQUAL(rig.at(1)->term(), term);
    CHECK(rig.at(1)->role() == Role::leader);
    CHECK_EQUAL(rig.at(3)->leader(), 1U);
}

// thesis §6.2 "a leader steps down if an election timeout elapses without a successful round of heartbeats to a
// majority"
TEST(a_leader_without_a_quorum_steps_down) {
    Rig rig(3, config_of);
    for (auto& [id, node] : rig.nodes) node.tick(10);
    for (int i = 0; i < 30 && rig.at(1)->role() != Role::leader; ++i) rig.elect(1, {1, 2, 3});
    CHECK(rig.at(1)->role() == Role::leader);
    rig.at(1).tick(21);
    CHECK(rig.at(1)->role() == Role::follower);
    CHECK(rig.at(1)->propose(Payload("x"), {}, 0).status == ProposeStatus::not_leader);
}

// it was in contact with nobody but itself, and has stopped: others need not wait for it
TEST(a_leader_that_stepped_down_votes_at_once) {
    RaftConfig config = config_of(1, 3);
    config.pre_vote = false;
    Driven node(config);
    node.time_out();
    node.step(vote_reply(2, 1, node->term()));
    CHECK(node->role() == Role::leader);
    for (int i = 0; i < 20 && node->role() == Role::leader; ++i) node.tick();
    CHECK(node->role() == Role::follower);
    node.take();  // what it said as a leader
    const auto replies = node.step(vote_request(2, 1, 9, 5, 8));
    CHECK(replies.size() == 1 && replies[0].type == MessageType::vote_reply && !replies[0].reject);
}

TEST_MAIN
