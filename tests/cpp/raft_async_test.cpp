// Asynchronous storage: what waits for the disk, what does not, and what a late acknowledgement says.
#include "base/errors.hpp"
#include "check.hpp"
#include "raft_rig.hpp"

using namespace fastmas::testing;
using fastmas::base::ConfigError;
using fastmas::base::Payload;

namespace {

RaftConfig async_config(NodeId id, std::size_t nodes) {
    RaftConfig config = plain_config(id, nodes);
    config.async_storage = true;
    return config;
}

// Hands every write to a disk that finishes none until it is told to.
struct Slow {
    RaftNode node;
    SimDisk disk;
    std::vector<Message> sent;
    std::vector<Entry> committed;
    std::uint64_t handed_out = 0;

    explicit Slow(const RaftConfig& config, PersistentState stored = {}) : node(config, stored), disk(config.voters) {
        Ready ready;
        ready.hard_state = &stored.hard_state;
        ready.entries = stored.entries;
        disk.persist(ready);
    }
    std::vector<Message> pump() {
        while (node.has_ready()) {
            const Ready& ready = node.ready();
            if (ready.must_sync) {
                CHECK_EQUAL(ready.write, handed_out + 1);
                handed_out = ready.write;
                disk.stage(ready);
            }
            sent.insert(sent.end(), ready.messages.begin(), ready.messages.end());
            committed.insert(committed.end(), ready.committed.begin(), ready.committed.end());
            node.advance();
        }
        return std::exchange(sent, {});
    }
    std::vector<Message> step(const Message& message) {
        node.step(message);
        return pump();
    }
    // The oldest write is durable, and the node is told.
    std::vector<Message> finish() {
        node.stored(disk.finish_one());
        return pump();
    }
    std::vector<Message> time_out() {
        for (int i = 0; i < 100 && node.role() == Role::follower; ++i) node.tick();
        return pump();
    }
};

// Node 1 of three, leading term 1 with its first entry committed everywhere and durable.
Slow leader() {
    Slow node(async_config(1, 3));
    node.time_out();
    node.finish();
    node.step(vote_reply(2, 1, 1));
    node.finish();
    for (const NodeId other : {2U, 3U}) node.step(append_reply(other, 1, 1, 1));
    CHECK_EQUAL(node.node.applied_index(), 1U);
    return node;
}

}  // namespace

TEST(a_vote_leaves_once_it_is_durable) {
    Slow node(async_config(1, 3));
    CHECK(node.step(vote_request(2, 1, 1, 0, 0)).empty());
    const auto replies = node.finish();
    CHECK_EQUAL(replies.size(), 1U);
    CHECK(replies[0].type == MessageType::vote_reply && !replies[0].reject);
    CHECK_EQUAL(node.disk.hard_state().vote, 2U);
}

TEST(a_candidate_asks_and_counts_itself_once_its_vote_is_durable) {
    Slow node(async_config(1, 3));
    CHECK(node.time_out().empty());
    CHECK_EQUAL(node.finish().size(), 2U);
    node.step(vote_reply(2, 1, 1));
    CHECK(node.node.role() == Role::leader);
    Slow alone(async_config(1, 1));
    alone.time_out();
    CHECK(alone.node.role() == Role::candidate);
    alone.finish();
    CHECK(alone.node.role() == Role::leader);
    CHECK_EQUAL(alone.node.commit_index(), 0U);
    alone.finish();
    CHECK_EQUAL(alone.node.commit_index(), 1U);
}

TEST(an_append_is_acknowledged_once_it_is_durable) {
    Slow node(async_config(1, 3));
    CHECK(node.step(append(2, 1, 1, 0, 0, {command_entry(1, 1)})).empty());
    CHECK(node.step(append(2, 1, 1, 1, 1, {command_entry(1, 2)})).empty());
    auto replies = node.finish();
    CHECK_EQUAL(replies.size(), 1U);
    CHECK_EQUAL(replies[0].index, 1U);
    CHECK_EQUAL(node.disk.log().last_index(), 1U);
    replies = node.finish();
    CHECK_EQUAL(replies.size(), 1U);
    CHECK_EQUAL(replies[0].index, 2U);
}

TEST(one_acknowledgement_may_stand_for_several_writes) {
    Slow node(async_config(1, 3));
    node.step(append(2, 1, 1, 0, 0, {command_entry(1, 1)}));
    node.step(append(2, 1, 1, 1, 1, {command_entry(1, 2)}));
    node.disk.finish_one();
    CHECK_EQUAL(node.finish().size(), 2U);
    CHECK_EQUAL(node.node.log().stable_index(), 2U);
    CHECK_EQUAL(node.node.writes_in_flight(), 0U);
}

// thesis §10.2.1: "the leader can write to its disk in parallel with replicating to the followers"
TEST(a_leaders_appends_do_not_wait_and_it_counts_itself_later) {
    Slow node = leader();
    (void)node.node.propose(Payload("a"), {}, 0);
    const auto appends = node.pump();
    CHECK_EQUAL(appends.size(), 2U);
    CHECK_EQUAL(appends[0].entries.size(), 1U);
    node.step(append_reply(2, 1, 1, 2));
    CHECK_EQUAL(node.node.commit_index(), 1U);  // itself and one other, but its own disk does not have it
    node.finish();
    CHECK_EQUAL(node.node.commit_index(), 2U);
    CHECK_EQUAL(node.committed.back().index, 2U);
}
// thesis §10.2.1: "the leader may even commit an entry before it has been written to its own disk"
TEST(the_others_may_commit_before_the_leaders_disk_has_it_but_it_applies_later) {
    Slow node = leader();
    (void)node.node.propose(Payload("a"), {}, 0);
    node.pump();
    for (const NodeId other : {2U, 3U}) node.step(append_reply(other, 1, 1, 2));
    CHECK_EQUAL(node.node.commit_index(), 2U);
    CHECK_EQUAL(node.node.applied_index(), 1U);
    node.finish();
    CHECK_EQUAL(node.node.applied_index(), 2U);
}

// etcd #1690
TEST(a_late_acknowledgement_of_a_replaced_write_moves_nothing) {
    Slow node(async_config(1, 3));
    node.step(append(2, 1, 1, 0, 0, {command_entry(1, 1), command_entry(1, 2)}));  // write 1
    node.step(append(3, 1, 2, 1, 1, {command_entry(2, 2)}));                       // write 2 replaces index 2
    node.finish();
    CHECK_EQUAL(node.node.log().stable_index(), 1U);
    node.finish();
    CHECK_EQUAL(node.node.log().stable_index(), 2U);
}
// and not even when the very same entry has come back: between the two the disk holds another one
TEST(an_acknowledgement_does_not_speak_for_an_entry_that_came_back) {
    Slow node(async_config(1, 3));
    node.step(append(2, 1, 1, 0, 0, {command_entry(1, 1), command_entry(1, 2)}));  // write 1
    node.step(append(3, 1, 2, 1, 1, {command_entry(2, 2)}));                       // write 2
    node.step(append(2, 1, 3, 1, 1, {command_entry(1, 2), command_entry(3, 3)}));  // write 3: index 2 of term 1 again
    node.finish();
    CHECK_EQUAL(node.node.log().stable_index(), 1U);
    node.finish();
    CHECK_EQUAL(node.node.log().stable_index(), 1U);
    CHECK_EQUAL(*node.disk.log().term(2), 2U);
    node.finish();
    CHECK_EQUAL(node.node.log().stable_index(), 3U);
}
TEST(what_a_later_term_voided_is_not_said_any_more) {
    Slow node(async_config(1, 3));
    node.step(append(2, 1, 1, 0, 0, {command_entry(1, 1)}));
    node.step(vote_request(3, 1, 2, 5, 1));
    CHECK(node.finish().empty());
    const auto replies = node.finish();
    CHECK_EQUAL(replies.size(), 1U);
    CHECK(replies[0].type == MessageType::vote_reply);
    CHECK_EQUAL(replies[0].term, 2U);
}

TEST(writes_in_flight_are_bounded_and_the_rest_waits_in_the_log) {
    RaftConfig config = async_config(1, 3);
    config.max_writes_in_flight = 2;
    Slow node(config);
    for (Index index = 1; index <= 5; ++index)
        node.step(append(2, 1, 1, index - 1, index == 1 ? 0 : 1, {command_entry(1, index)}));
    CHECK_EQUAL(node.node.writes_in_flight(), 2U);
    CHECK_EQUAL(node.node.log().last_index(), 5U);
    CHECK(!node.node.has_ready());
    std::size_t replies = 0;
    for (int i = 0; i < 3; ++i) replies += node.finish().size();
    CHECK_EQUAL(replies, 5U);
    CHECK_EQUAL(node.node.log().stable_index(), 5U);
    CHECK_EQUAL(node.disk.log().last_index(), 5U);
}

TEST(an_installed_snapshot_is_acknowledged_once_it_is_durable) {
    Slow node(async_config(1, 3));
    node.step(append(2, 1, 1, 0, 0, {command_entry(1, 1)}));
    Message message = message_of(MessageType::snapshot, 2, 1, 1);
    message.snapshot = Snapshot{5, 1, 0, voters(3), Payload("state")};
    CHECK(node.step(message).empty());
    CHECK_EQUAL(node.finish().size(), 1U);  // of the entry
    const auto replies = node.finish();
    CHECK_EQUAL(replies.size(), 1U);
    CHECK_EQUAL(replies[0].index, 5U);
    CHECK_EQUAL(node.disk.snapshot().index, 5U);
}

// PITFALL of etcd and others: the leader's heartbeats go on while its disk hangs, and nothing is ever committed
TEST(a_leader_whose_disk_hangs_steps_down_and_does_not_stand_until_it_answers) {
    Slow node = leader();
    (void)node.node.propose(Payload("a"), {}, 0);
    node.pump();
    for (int i = 0; i < 9; ++i) node.node.tick();
    CHECK(node.node.role() == Role::leader);
    node.node.tick();
    node.node.tick();
    CHECK(node.node.role() == Role::follower);
    for (int i = 0; i < 200; ++i) node.node.tick();
    node.pump();
    CHECK(node.node.role() == Role::follower);
    CHECK_EQUAL(node.node.term(), 1U);
    node.finish();
    node.time_out();
    CHECK(node.node.role() == Role::candidate);
}
TEST(a_disk_that_is_slow_but_answers_keeps_its_leader) {
    Slow node = leader();
    for (int i = 0; i < 50; ++i) {
        (void)node.node.propose(Payload("a"), {}, 0);
        node.pump();
        for (int k = 0; k < 9; ++k) node.node.tick();
        node.finish();
    }
    CHECK(node.node.role() == Role::leader);
}

TEST(stored_is_refused_where_it_makes_no_sense) {
    RaftNode sync(plain_config(1, 1));
    CHECK_THROWS(sync.stored(1), ConfigError,
                 "stored() is for asynchronous storage, got write 1; set async_storage, or let advance() say that all "
                 "is stored");
    RaftNode node(async_config(1, 1));
    CHECK_THROWS(node.stored(1), ConfigError,
                 "stored() takes the number of a write that was handed out, got 1 with 0 handed out; acknowledge "
                 "Ready::write");
}

// A majority can be quicker than this leader's disk for ever. What it has to keep until then is bounded all the same.
TEST(what_a_slow_disk_has_not_written_counts_among_what_waits) {
    for (const bool by_bytes : {false, true}) {
        RaftConfig config = async_config(1, 3);
        if (by_bytes)
            config.max_uncommitted_bytes = 3;
        else
            config.max_uncommitted_entries = 3;
        Slow node(config);
        node.time_out();
        node.finish();
        node.step(vote_reply(2, 1, 1));
        node.finish();
        node.step(append_reply(2, 1, 1, 1));
        for (Index index = 2; index <= 4; ++index) {
            CHECK(node.node.propose(Payload("a"), {}, 0).status == ProposeStatus::appended);
            node.pump();
            for (const NodeId other : {2U, 3U}) node.step(append_reply(other, 1, 1, index));
        }
        CHECK_EQUAL(node.node.commit_index(), 4U);
        CHECK(node.node.propose(Payload("b"), {}, 0).status == ProposeStatus::full);
        node.finish();
        CHECK(node.node.propose(Payload("b"), {}, 0).status == ProposeStatus::appended);
        CHECK(node.node.propose(Payload("c"), {}, 0).status == ProposeStatus::full);
        node.pump();
        while (!node.disk.idle()) node.finish();
        for (const NodeId other : {2U, 3U}) node.step(append_reply(other, 1, 1, 5));
        for (int i = 0; i < 3; ++i) CHECK(node.node.propose(Payload("d"), {}, 0).status == ProposeStatus::appended);
        CHECK(node.node.propose(Payload("d"), {}, 0).status == ProposeStatus::full);
    }
}

TEST_MAIN
