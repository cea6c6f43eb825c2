// Linearizable reads by Multi-Paxos: a leader's word is good while an accept quorum still takes part in its ballot.
#include "check.hpp"
#include "paxos_rig.hpp"

using namespace fastmas::testing;
using fastmas::base::Payload;

namespace {

struct Reader {
    Driven driven;
    std::vector<ReadState> reads;

    explicit Reader(const PaxosConfig& config) : driven(config) {}
    PaxosNode* operator->() { return driven.node.get(); }
    std::vector<Message> pump() {
        std::vector<Message> sent;
        while (driven->has_ready()) {
            const Ready& ready = driven->ready();
            driven.disk.persist(ready);
            sent.insert(sent.end(), ready.messages.begin(), ready.messages.end());
            reads.insert(reads.end(), ready.reads.begin(), ready.reads.end());
            driven->advance();
        }
        return sent;
    }
    void acknowledge(NodeId from, std::uint64_t round, Index last = 0) {
        Message reply = accepted_of(from, 1, driven->ballot(), 0, last);
        reply.round = round;
        driven->step(reply);
        (void)pump();
    }
    void propose(const char* text) {
        (void)driven->propose(Payload(std::string_view(text)), {}, 0);
        (void)pump();
    }
};

Reader leader(const PaxosConfig& config = plain_config(1, 3)) {
    Reader reader(config);
    (void)reader.driven.lead();
    CHECK(reader->role() == Role::leader);
    return reader;
}

}  // namespace

// Another node may have applied, and told a client of, what this leader only found.
TEST(a_read_waits_until_all_that_phase_1_found_is_chosen) {
    Reader reader(plain_config(1, 3));
    (void)reader.driven.time_out();
    reader->step(promise_of(2, 1, reader->ballot(), 0, {entry_of({1, 1}, 1, "a"), entry_of({1, 1}, 2, "b")}));
    CHECK(reader->role() == Role::leader);
    CHECK(reader->read(7) == ReadStatus::registered);
    (void)reader.pump();
    reader.acknowledge(2, 0, 1);
    CHECK_EQUAL(reader->commit_index(), 1U);
    reader.acknowledge(3, 0, 1);
    CHECK(reader.reads.empty());
    reader.acknowledge(2, 0, 2);
    CHECK(reader.reads.empty());  // its round begins only now
    reader.acknowledge(2, 1, 2);
    CHECK(reader.reads == (std::vector<ReadState>{{7, 2, true}}));
}

TEST(a_read_is_confirmed_by_a_round_begun_after_it) {
    Reader reader = leader();
    (void)reader->read(1);
    const auto sent = reader.pump();
    CHECK(sent.size() == 2 && sent[0].type == MessageType::accept && sent[0].round == 1);
    reader.acknowledge(2, 0);  // of an accept sent before
    CHECK(reader.reads.empty());
    reader.acknowledge(3, 1);
    CHECK_EQUAL(reader.reads.size(), 1U);
}

TEST(a_follower_acknowledges_the_round_unless_it_is_bound_to_a_higher_ballot) {
    Driven node(plain_config(2, 3));
    Message message = accept_of(1, 2, {3, 1}, 0, {});
    message.round = 5;
    CHECK_EQUAL(node.step(message)[0].round, 5U);
    (void)node.step(message_of(MessageType::prepare, 3, 2, {4, 3}));
    CHECK(node.step(message)[0].type == MessageType::refuse);
}

TEST(reads_that_come_together_share_a_round) {
    Reader reader = leader();
    for (std::uint64_t context = 0; context < 10; ++context) (void)reader->read(context);
    CHECK_EQUAL(reader.pump().size(), 2U);
    reader.acknowledge(2, 1);
    CHECK_EQUAL(reader.reads.size(), 10U);
}

// PITFALLS 8
TEST(a_context_that_is_used_again_is_not_confirmed_by_its_first_use) {
    Reader reader = leader();
    (void)reader->read(5);
    (void)reader.pump();
    reader.acknowledge(2, 1);
    (void)reader->read(5);
    (void)reader.pump();
    reader.acknowledge(3, 1);  // late, of the first
    reader.acknowledge(2, 1);  // doubled
    CHECK_EQUAL(reader.reads.size(), 1U);
    reader.acknowledge(3, 2);
    CHECK_EQUAL(reader.reads.size(), 2U);
    const auto dropped = reader->counters().dropped;
    reader.acknowledge(3, 9);  // a round that was not begun
    CHECK_EQUAL(reader->counters().dropped, dropped + 1);
}

TEST(a_read_covers_what_was_committed_before_it) {
    Reader reader = leader();
    reader.propose("a");
    reader.acknowledge(2, 0, 1);
    reader.propose("b");
    (void)reader->read(1);
    (void)reader.pump();
    reader.acknowledge(2, 1, 1);
    CHECK(reader.reads == (std::vector<ReadState>{{1, 1, true}}));
}

// every prepare quorum shares a node with every accept quorum: no smaller number of answers will do
TEST(an_accept_quorum_confirms) {
    PaxosConfig config = plain_config(1, 5);
    config.quorums = {2, 4};
    Reader reader = leader(config);
    (void)reader->read(1);
    (void)reader.pump();
    reader.acknowledge(2, 1);
    reader.acknowledge(3, 1);
    CHECK(reader.reads.empty());
    reader.acknowledge(4, 1);
    CHECK_EQUAL(reader.reads.size(), 1U);
    config.quorums = {5, 1};
    Reader alone = leader(config);
    (void)alone->read(1);
    (void)alone.pump();
    CHECK_EQUAL(alone.reads.size(), 1U);  // nobody leads a higher ballot without this node's promise
}

TEST(a_deposed_leader_gives_its_reads_back) {
    Reader reader = leader();
    (void)reader->read(1);
    (void)reader.pump();
    reader->step(accept_of(2, 1, {9, 2}, 0, {}));
    (void)reader.pump();
    CHECK(reader.reads == (std::vector<ReadState>{{1, 0, false}}));
    CHECK(reader->read(2) == ReadStatus::not_leader);
}

namespace {

Membership members(std::vector<NodeId> voters, std::vector<NodeId> learners = {}) {
    Membership membership;
    membership.voters = std::move(voters);
    membership.learners = std::move(learners);
    return membership;
}

// Node 1 leads 1, 2 and 3 with a window of 8. Slot 9, which is chosen, makes `target` of them from slot 17 on, and its
// ballot has asked both; node 2 has not heard that slot 9 is chosen.
Reader leader_in_a_change(Membership target) {
    PaxosConfig config = plain_config(1, 3);
    config.window = 8;
    Reader reader = leader(config);
    CHECK(reader->change_membership(members({1, 2, 3}, {4, 5}), 0).index == 1);
    (void)reader.pump();
    for (const Index slot : {1U, 8U}) reader.acknowledge(2, 0, slot);
    for (const NodeId id : {2U, 4U, 5U}) reader.driven.step(accepted_of(id, 1, reader->ballot(), 8, 8, 8));
    CHECK(reader->change_membership(std::move(target), 0).index == 9);
    (void)reader.pump();
    reader.acknowledge(2, 0, 9);
    Message refusal = message_of(MessageType::refuse, 2, 1, reader->ballot());
    refusal.other = {5, 2};
    reader.driven.step(refusal);
    (void)reader.driven.time_out();
    for (const NodeId id : {2U, 4U}) reader->step(promise_of(id, 1, {6, 1}, 9, {}, 8));
    CHECK(reader->role() == Role::leader && reader->ballot().number == 6 && reader->commit_index() == 9);
    return reader;
}

}  // namespace

// Those that leave may have promised another leader, who does not know yet that they do, and chosen with them what is
// proposed here: in front of the first slot of those that confirm this read.
TEST(a_read_covers_what_another_leader_may_have_chosen_with_those_that_leave) {
    Reader reader = leader_in_a_change(members({1, 4, 5}));
    reader.propose("x");
    reader.driven.step(accepted_of(4, 1, {6, 1}, 9, 9, 9));  // one of those to come is told, so that they may
    CHECK_EQUAL(reader->log().last_index(), 16U);
    // Node 2 accepted slots 10 to 16 and then, with node 3, chose slot 10 in ballot 7, and a client of 3 has seen it.
    // Then somebody reads here, and node 4 knows nothing of that.
    CHECK(reader->read(7) == ReadStatus::registered);
    (void)reader.pump();
    reader.acknowledge(4, 1);
    CHECK(reader.reads.empty());
    reader->step(accepted_of(2, 1, {6, 1}, 9, 16, 8));  // what it said before it promised ballot 7
    (void)reader.pump();
    CHECK_EQUAL(reader->commit_index(), 16U);
    reader.acknowledge(5, 1);
    CHECK(reader.reads == (std::vector<ReadState>{{7, 16, true}}));
}

// they have acknowledged its round already, and say nothing new
TEST(a_read_is_confirmed_when_those_that_stay_are_enough) {
    Reader reader = leader_in_a_change(members({1, 4}));
    CHECK(reader->read(7) == ReadStatus::registered);
    (void)reader.pump();
    Message reply = accepted_of(4, 1, {6, 1}, 9, 9, 9);
    reply.round = 1;
    reader->step(reply);
    (void)reader.pump();
    CHECK(reader.reads.empty());
    reader->step(accepted_of(2, 1, {6, 1}, 9, 16, 8));
    (void)reader.pump();
    CHECK(reader.reads == (std::vector<ReadState>{{7, 16, true}}));
}

TEST(reads_are_bounded) {
    PaxosConfig config = plain_config(1, 3);
    config.max_pending_reads = 2;
    Reader reader = leader(config);
    CHECK(reader->read(1) == ReadStatus::registered);
    CHECK(reader->read(2) == ReadStatus::registered);
    CHECK(reader->read(3) == ReadStatus::full);
}

TEST_MAIN
