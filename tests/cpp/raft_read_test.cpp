// Linearizable reads, leases, and handing the leadership over (thesis §6.4, §6.4.1, §3.10).
#include "base/errors.hpp"
#include "check.hpp"
#include "raft_rig.hpp"

using namespace fastmas::testing;
using fastmas::base::ConfigError;
using fastmas::base::Payload;

namespace {

// A node, and the reads that came out of it.
struct Reader {
    RaftNode node;
    std::vector<ReadState> reads;

    explicit Reader(const RaftConfig& config) : node(config) {}
    std::vector<Message> pump() {
        std::vector<Message> sent;
        while (node.has_ready()) {
            const Ready& ready = node.ready();
            sent.insert(sent.end(), ready.messages.begin(), ready.messages.end());
            reads.insert(reads.end(), ready.reads.begin(), ready.reads.end());
            node.advance();
        }
        return sent;
    }
    std::vector<Message> step(const Message& message) {
        node.step(message);
        return pump();
    }
    void acknowledge(NodeId from, Index index, std::uint64_t round = 0) {
        Message reply = append_reply(from, 1, node.term(), index);
        reply.round = round;
        step(reply);
    }
};

// Node 1, elected by as few as it takes; the no-op of its term is not committed.
Reader elected(RaftConfig config = config_of(1, 3)) {
    config.pre_vote = false;
    Reader reader(config);
    while (reader.node.role() == Role::follower) reader.node.tick(0);
    reader.pump();
    for (NodeId id = 2; id <= config.voters.size() / 2 + 1; ++id) reader.step(vote_reply(id, 1, reader.node.term()));
    CHECK(reader.node.role() == Role::leader);
    return reader;
}
Reader leader(const RaftConfig& config = config_of(1, 3)) {
    Reader reader = elected(config);
    for (NodeId id = 2; id <= config.voters.size() / 2 + 1; ++id) reader.acknowledge(id, 1);
    CHECK_EQUAL(reader.node.commit_index(), 1U);
    return reader;
}
RaftConfig leased() {
    RaftConfig config = config_of(1, 3);
    config.lease_ns = 900;
    return config;
}

}  // namespace

// thesis §6.4 step 1: "If the leader has not yet marked an entry from its current term committed, it waits until it
// has"
TEST(a_read_waits_for_a_commit_of_the_leaders_own_term) {
    Reader reader = elected();
    CHECK(reader.node.read(7) == ReadStatus::registered);
    CHECK(reader.pump().empty());
    reader.acknowledge(2, 1);
    CHECK(reader.reads.empty());
    reader.acknowledge(2, 1, 1);
    CHECK(reader.reads == (std::vector<ReadState>{{7, 1, true, INT64_MAX}}));
}
// the same sentence, where heartbeats begin rounds for the lease's sake: what is committed from before is not known yet
TEST(a_round_for_the_lease_takes_no_read_before_a_commit_of_the_leaders_own_term) {
    Reader reader = elected(leased());
    (void)reader.node.read(7);
    reader.node.tick(100);
    reader.node.tick(200);  // a heartbeat, and with it round 1
    reader.pump();
    reader.acknowledge(2, 0, 1);
    reader.acknowledge(3, 0, 1);
    CHECK(reader.reads.empty());
    reader.acknowledge(2, 1, 1);  // commits; round 2 begins
    reader.acknowledge(2, 1, 2);
    CHECK(reader.reads == (std::vector<ReadState>{{7, 1, true, INT64_MAX}}));
}
// step 3: "It issues a new round of heartbeats and waits for their acknowledgments from a majority of the cluster"
TEST(a_read_is_confirmed_by_a_round_begun_after_it) {
    Reader reader = leader();
    (void)reader.node.read(1);
    CHECK_EQUAL(reader.pump().size(), 2U);
    reader.acknowledge(2, 1, 0);  // of a heartbeat sent before
    CHECK(reader.reads.empty());
    reader.acknowledge(3, 0, 1);
    CHECK_EQUAL(reader.reads.size(), 1U);
}
TEST(reads_that_come_together_share_a_round) {
    Reader reader = leader();
    for (std::uint64_t context = 0; context < 10; ++context) (void)reader.node.read(context);
    CHECK_EQUAL(reader.pump().size(), 2U);
    reader.acknowledge(2, 1, 1);
    CHECK_EQUAL(reader.reads.size(), 10U);
}
// etcd #20418
TEST(a_context_that_is_used_again_is_not_confirmed_by_its_first_use) {
    Reader reader = leader();
    (void)reader.node.read(5);
    reader.pump();
    reader.acknowledge(2, 1, 1);
    (void)reader.node.read(5);
    reader.pump();
    reader.acknowledge(3, 1, 1);  // late, of the first
    reader.acknowledge(2, 1, 1);  // doubled
    CHECK_EQUAL(reader.reads.size(), 1U);
    reader.acknowledge(3, 1, 2);
    CHECK_EQUAL(reader.reads.size(), 2U);
}
TEST(an_acknowledgement_of_an_earlier_round_confirms_no_later_read) {
    Reader reader = leader(config_of(1, 5));
    (void)reader.node.read(1);
    reader.pump();
    (void)reader.node.read(2);
    reader.pump();
    reader.acknowledge(2, 1, 1);
    reader.acknowledge(3, 1, 1);
    CHECK(reader.reads == (std::vector<ReadState>{{1, 1, true, INT64_MAX}}));
    reader.acknowledge(2, 1, 2);
    reader.acknowledge(4, 1, 1);  // late
    CHECK_EQUAL(reader.reads.size(), 1U);
    reader.acknowledge(4, 1, 2);
    CHECK_EQUAL(reader.reads.size(), 2U);
}
TEST(a_round_that_was_not_begun_is_no_answer) {
    Reader reader = leader();
    const auto dropped = reader.node.counters().dropped;
    reader.acknowledge(2, 1, 9);
    CHECK_EQUAL(reader.node.counters().dropped, dropped + 1);
    (void)reader.node.read(1);
    reader.pump();
    CHECK(reader.reads.empty());
}
TEST(a_read_covers_what_was_committed_before_it) {
    Reader reader = leader();
    (void)reader.node.propose(Payload("a"), {}, 0);
    reader.pump();
    reader.acknowledge(2, 2);
    (void)reader.node.read(1);
    reader.pump();
    reader.acknowledge(2, 2, 1);
    CHECK_EQUAL(reader.reads[0].index, 2U);
}
TEST(a_follower_takes_no_reads_and_a_deposed_leader_gives_its_own_back) {
    Reader reader = leader();
    (void)reader.node.read(1);
    reader.pump();
    reader.step(append(2, 1, reader.node.term() + 1, 1, 1));
    CHECK(reader.reads == (std::vector<ReadState>{{1, 0, false, 0}}));
    CHECK(reader.node.read(2) == ReadStatus::not_leader);
}
TEST(a_single_node_confirms_at_once) {
    Reader reader(config_of(1, 1));
    while (reader.node.role() != Role::leader) reader.node.tick();
    reader.pump();
    (void)reader.node.read(1);
    reader.pump();
    CHECK_EQUAL(reader.reads.size(), 1U);
}
TEST(a_single_node_confirms_what_a_heartbeat_began_a_round_for) {
    RaftConfig config = config_of(1, 1);
    config.lease_ns = 900;
    Reader reader(config);
    while (reader.node.role() != Role::leader) reader.node.tick(0);
    reader.pump();
    (void)reader.node.read(1);
    for (int i = 1; i <= 2; ++i) reader.node.tick(100 * i);
    reader.pump();
    CHECK_EQUAL(reader.reads.size(), 1U);
    (void)reader.node.lease_read(2, 1'000);
    reader.pump();
    CHECK(reader.reads.back() == (ReadState{2, 1, true, 1'100}));
}
// whoever acknowledged the round says it once: when those that were missing are members no more, it is a majority's
TEST(a_read_that_waits_for_members_that_leave_is_confirmed_by_those_who_stay) {
    Reader reader = leader(config_of(1, 3));
    (void)reader.node.change_membership(Membership({1}), 0);
    reader.pump();
    (void)reader.node.read(1);
    reader.pump();
    CHECK(reader.reads.empty());
    // an earlier answer of 2 has the change, and no round: C_old,new is committed, and C_new is node 1 alone
    reader.acknowledge(2, 2);
    CHECK(reader.node.membership().voters == std::vector<NodeId>{1});
    CHECK(reader.reads == (std::vector<ReadState>{{1, 1, true, INT64_MAX}}));
}
TEST(reads_are_bounded) {
    RaftConfig config = config_of(1, 3);
    config.max_pending_reads = 2;
    Reader reader = leader(config);
    CHECK(reader.node.read(1) == ReadStatus::registered);
    CHECK(reader.node.read(2) == ReadStatus::registered);
    CHECK(reader.node.read(3) == ReadStatus::full);
}

TEST(reads_by_a_lease_are_bounded_until_they_are_fetched) {
    RaftConfig config = leased();
    config.max_pending_reads = 2;
    Reader reader = leader(config);
    reader.node.tick(100);
    reader.node.tick(200);
    reader.pump();
    reader.acknowledge(2, 1, 1);
    CHECK(reader.node.lease_read(1, 300) == ReadStatus::registered);
    CHECK(reader.node.lease_read(2, 300) == ReadStatus::registered);
    CHECK(reader.node.lease_read(3, 300) == ReadStatus::full);
    CHECK(reader.node.read(3) == ReadStatus::full);
    reader.pump();
    CHECK_EQUAL(reader.reads.size(), 2U);
    CHECK(reader.node.lease_read(3, 300) == ReadStatus::registered);
}

// thesis §6.4.1: "Once the leader's heartbeats were acknowledged by a majority of the cluster, the leader would extend
// its lease to start + election timeout / clock drift bound": start is when the round was sent, not when it was
// answered
TEST(a_lease_is_measured_from_when_the_acknowledged_round_was_sent) {
    Reader reader = leader(leased());
    (void)reader.node.lease_read(1, 0);
    CHECK(reader.reads.empty());  // none yet: as read()
    reader.pump();
    reader.node.tick(1'000);
    reader.node.tick(1'100);  // a heartbeat, and with it a round
    reader.pump();
    reader.node.tick(1'500);
    reader.acknowledge(2, 1, 2);
    reader.reads.clear();
    (void)reader.node.lease_read(2, 1'999);
    reader.pump();
    CHECK(reader.reads == (std::vector<ReadState>{{2, 1, true, 2'000}}));
    (void)reader.node.lease_read(3, 2'000);
    reader.pump();
    CHECK_EQUAL(reader.reads.size(), 1U);
}
TEST(a_lease_beyond_the_last_time_there_is_lasts_until_then) {
    RaftConfig config = leased();
    config.lease_ns = INT64_MAX - 1'000;
    Reader reader = leader(config);
    reader.node.tick(2'000);
    reader.node.tick(2'100);
    reader.pump();
    reader.acknowledge(2, 1, 1);
    (void)reader.node.lease_read(1, 3'000);
    reader.pump();
    CHECK(reader.reads == (std::vector<ReadState>{{1, 1, true, INT64_MAX}}));
}
TEST(a_lease_is_over_after_a_pause_and_a_round_is_needed) {
    Reader reader = leader(leased());
    reader.node.tick(100);
    reader.node.tick(200);
    reader.pump();
    reader.acknowledge(2, 1, 1);
    // the process slept; not one tick came
    CHECK(reader.node.lease_read(1, 50'000) == ReadStatus::registered);
    reader.pump();
    CHECK(reader.reads.empty());
    reader.acknowledge(2, 1, 2);
    CHECK_EQUAL(reader.reads.size(), 1U);
}
TEST(a_time_that_was_looked_at_before_a_pause_is_no_excuse) {
    Reader reader = leader(leased());
    reader.node.tick(100);
    reader.node.tick(200);
    reader.pump();
    reader.acknowledge(2, 1, 1);
    reader.node.tick(50'000);
    (void)reader.node.lease_read(1, 300);
    reader.pump();
    CHECK(reader.reads.empty());
}
TEST(no_lease_holds_in_a_term_whose_leader_began_to_hand_over) {
    Reader reader = leader(leased());
    reader.node.tick(100);
    reader.node.tick(200);
    reader.pump();
    reader.acknowledge(2, 1, 1);
    CHECK(reader.node.transfer_leadership(2) == ProposeStatus::appended);
    for (int i = 0; i < 12; ++i) {
        reader.node.tick(300 + i);
        reader.pump();
        reader.acknowledge(2, 1, 1);
    }
    reader.reads.clear();
    (void)reader.node.lease_read(1, 320);
    reader.pump();
    CHECK(reader.reads.empty());
    // the same lease without the hand-over
    Reader other = leader(leased());
    other.node.tick(100);
    other.node.tick(200);
    other.pump();
    other.acknowledge(2, 1, 1);
    (void)other.node.lease_read(1, 320);
    other.pump();
    CHECK(other.reads == (std::vector<ReadState>{{1, 1, true, 1'100}}));
}
TEST(a_lease_needs_what_it_stands_on) {
    RaftConfig config = leased();
    config.check_quorum = false;
    CHECK_THROWS(validate(config), ConfigError, "needs check_quorum, got lease_ns 900 without it");
    Reader reader = leader();
    CHECK_THROWS((void)reader.node.lease_read(1, 0), ConfigError, "lease_read() needs a lease, got none");
}

// thesis §3.10
TEST(leadership_goes_to_a_node_that_is_brought_up_to_date_first) {
    Rig rig(3, config_of);
    for (auto& [id, node] : rig.nodes) node.tick(10);
    for (int i = 0; i < 30 && rig.at(1)->role() != Role::leader; ++i) rig.elect(1, {1, 2, 3});
    rig.propose(1, "a");
    rig.run(Rig::among({1, 3}));
    CHECK(rig.at(1)->transfer_leadership(2) == ProposeStatus::appended);
    CHECK(rig.at(1)->transfer_leadership(3) == ProposeStatus::busy);
    // "the prior leader stops accepting new client requests"
    CHECK(rig.at(1)->propose(Payload("late"), {}, 0).status == ProposeStatus::busy);
    rig.at(1).tick(2);
    rig.run();
    // its followers heard it a moment ago and voted all the same
    CHECK(rig.at(2)->role() == Role::leader);
    CHECK(rig.at(1)->role() == Role::follower);
    CHECK_EQUAL(rig.at(2).commands(), "a ");
    CHECK(rig.at(2)->propose(Payload("b"), {}, 0).status == ProposeStatus::appended);
}
// "If leadership transfer does not complete after about an election timeout, the prior leader aborts the transfer and
// resumes accepting client requests."
TEST(a_transfer_that_does_not_complete_is_given_up) {
    Rig rig(3);
    rig.elect(1, {1, 2, 3});
    CHECK(rig.at(1)->transfer_leadership(2) == ProposeStatus::appended);
    CHECK(rig.at(1)->propose(Payload("a"), {}, 0).status == ProposeStatus::busy);
    rig.at(1).tick(9);
    CHECK(rig.at(1)->propose(Payload("a"), {}, 0).status == ProposeStatus::busy);
    rig.at(1).tick(1);
    CHECK(rig.at(1)->propose(Payload("a"), {}, 0).status == ProposeStatus::appended);
}
TEST(leadership_goes_to_voters_only) {
    Rig rig(3);
    rig.elect(1, {1, 2, 3});
    for (const NodeId target : {1U, 9U})
        CHECK_THROWS((void)rig.at(1)->transfer_leadership(target), ConfigError,
                     "leadership goes to another voter that is no witness, got node " + std::to_string(target));
    CHECK(rig.at(2)->transfer_leadership(1) == ProposeStatus::not_leader);
}
TEST(a_forced_vote_request_is_still_one_for_an_up_to_date_log) {
    Driven node(config_of(1, 3), {{1, 0}, {}, log_of({1, 1})});
    Message request = vote_request(2, 1, 2, 1, 1);
    request.force = true;
    CHECK(node.step(request)[0].reject);
}

TEST(a_node_of_lower_priority_waits_longer) {
    for (const std::uint32_t priority : {0U, 1U, 3U}) {
        RaftConfig config = plain_config(1, 3);
        config.priority = priority;
        Driven node(config);
        std::uint32_t ticks = 0;
        for (; node->role() == Role::follower; ++ticks) node.tick();
        CHECK(ticks >= 10 * (priority + 1) && ticks < 10 * (priority + 2));
    }
    RaftConfig config = plain_config(1, 3);
    config.priority = 11;
    CHECK_THROWS(validate(config), ConfigError, "priority must be at most 10, got 11; 0 stands first");
}

TEST_MAIN
