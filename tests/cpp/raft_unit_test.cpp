// The node's own contract: configuration, stored state, ready and advance, what it answers to proposals, compaction.
#include <string>

#include "base/errors.hpp"
#include "check.hpp"
#include "raft_rig.hpp"

using namespace fastmas::testing;
using fastmas::base::ConfigError;
using fastmas::base::InvariantError;
using fastmas::base::Payload;

namespace {

void expect_config_error(void (*spoil)(RaftConfig&), const char* text) {
    RaftConfig config = config_of(1, 3);
    spoil(config);
    CHECK_THROWS(RaftNode(config), ConfigError, text);
}

}  // namespace

TEST(a_config_that_cannot_work_says_why) {
    expect_config_error([](RaftConfig& c) { c.voters.clear(); }, "a cluster has 1 to 63 nodes, got 0; 3 or 5 is usual");
    expect_config_error([](RaftConfig& c) { c.voters = voters(64); }, "a cluster has 1 to 63 nodes, got 64");
    expect_config_error(
        [](RaftConfig& c) {
            c.voters = {0, 1};
        },
        "node ids start at 1, got 0; number the nodes 1 to n");
    expect_config_error([](RaftConfig& c) { c.voters = {1, 2, 2}; }, "node ids must differ, got 2 twice");
    expect_config_error([](RaftConfig& c) { c.id = 9; }, "a node must be one of the voters, got id 9");
    expect_config_error([](RaftConfig& c) { c.heartbeat_ticks = 0; }, "heartbeat_ticks must be at least 1, got 0");
    expect_config_error([](RaftConfig& c) { c.max_append_entries = 0; },
                        "max_append_entries must be at least 1, got 0");
    expect_config_error([](RaftConfig& c) { c.max_uncommitted_bytes = 0; },
                        "max_uncommitted_bytes must be at least 1, got 0");
    expect_config_error([](RaftConfig& c) { c.max_inflight_bytes = 1000; },
                        "max_inflight_bytes must be at least max_append_bytes (1048576), got 1000; raise it, or lower");
    expect_config_error([](RaftConfig& c) { c.election_ticks = 2; },
                        "election_ticks must exceed heartbeat_ticks (2), got 2; try 10");
    expect_config_error([](RaftConfig& c) { c.max_command_bytes = std::size_t{1} << 40; },
                        "max_command_bytes must be below 4 GiB");
}

TEST(a_stored_state_that_cannot_be_says_why) {
    const RaftConfig config = config_of(1, 3);
    CHECK_THROWS(RaftNode(config, {{1, 0}, {}, {command_entry(1, 2)}}), ConfigError,
                 "stored entries must follow the snapshot without a gap, expected index 1, got 2");
    CHECK_THROWS(RaftNode(config, {{2, 0}, {}, {command_entry(2, 1), command_entry(1, 2)}}), ConfigError,
                 "terms of stored entries must not fall, got term 1 after 2 at index 2");
}

TEST(entries_that_were_stored_before_their_term_bring_it_back) {
    // the power goes after duty 2 and before duty 3: a state that any crash may leave
    RaftNode node(plain_config(1, 3), {{1, 3}, {}, {command_entry(2, 1)}});
    CHECK_EQUAL(node.term(), 2U);
    CHECK_EQUAL(node.vote(), kNoNode);
    CHECK(node.has_ready());
    const Ready& ready = node.ready();
    CHECK(ready.must_sync && ready.hard_state != nullptr && ready.hard_state->term == 2);
}

TEST(nothing_comes_between_ready_and_advance) {
    RaftNode node(config_of(1, 1));
    CHECK_THROWS(node.advance(), ConfigError, "node 1 has no ready() to advance past; call ready() first");
    while (!node.has_ready()) node.tick();
    (void)node.ready();
    CHECK_THROWS(node.tick(), ConfigError, "node 1 waits for advance(): do what ready() asked for");
    CHECK_THROWS(node.ready(), ConfigError, "waits for advance()");
    node.advance();
    node.tick();
}

TEST(a_single_node_commits_only_what_its_disk_holds) {
    RaftNode node(config_of(1, 1));
    while (node.role() != Role::leader) node.tick();
    const Ready& ready = node.ready();
    CHECK(ready.must_sync);
    CHECK_EQUAL(ready.entries.size(), 1U);
    CHECK_EQUAL(ready.committed.size(), 0U);
    CHECK_EQUAL(node.commit_index(), 0U);
    node.advance();
    CHECK_EQUAL(node.commit_index(), 1U);
    CHECK_EQUAL(node.ready().committed.size(), 1U);
    CHECK_EQUAL(node.applied_index(), 0U);
    node.advance();
    CHECK_EQUAL(node.applied_index(), 1U);
    CHECK(!node.has_ready());
}

TEST(a_proposal_that_was_dropped_is_told_apart_from_one_that_was_appended) {
    RaftConfig config = config_of(1, 1);
    config.max_command_bytes = 4;
    config.max_uncommitted_entries = 2;
    RaftNode node(config);
    CHECK(node.propose(Payload("x"), {}, 0).status == ProposeStatus::not_leader);
    while (node.role() != Role::leader) node.tick();
    CHECK(node.propose(Payload("12345"), {}, 0).status == ProposeStatus::too_large);
    CHECK(node.propose(Payload("1234"), {}, 0).status == ProposeStatus::appended);
    CHECK(node.propose(Payload("1"), {}, 0).status == ProposeStatus::full);
}

// Terms end, and a message can bring a node there: it stays a follower that can be led, and breaks nothing.
TEST(a_node_in_the_last_term_does_not_stand) {
    for (const bool pre_vote : {false, true}) {
        RaftConfig config = plain_config(1, 3);
        config.pre_vote = pre_vote;
        Driven node(config);
        node.step(append(2, 1, kMaxTerm - 1, 0, 0));
        CHECK_EQUAL(node->term(), kMaxTerm - 1);
        node.tick(100);
        node.step(message_of(MessageType::timeout_now, 2, 1, kMaxTerm - 1));
        CHECK(node->role() == Role::follower && node->poisoned().empty());
        CHECK(!node.step(append(2, 1, kMaxTerm - 1, 0, 0, {command_entry(kMaxTerm - 1, 1)}))[0].reject);
        node.step(append(2, 1, kMaxTerm, 0, 0));
        CHECK_EQUAL(node->counters().dropped, 1U);
    }
}

TEST(time_never_falls_whatever_the_clock_says) {
    RaftNode node(config_of(1, 1));
    while (node.role() != Role::leader) node.tick();
    for (const std::int64_t now_ns : {50, 40, 60}) (void)node.propose(Payload("x"), {}, now_ns);
    CHECK_EQUAL(node.log().at(2).time_ns, 50);
    CHECK_EQUAL(node.log().at(3).time_ns, 50);
    CHECK_EQUAL(node.log().at(4).time_ns, 60);
}

TEST(a_leader_counts_its_own_log_as_far_as_its_disk_holds_it) {
    Driven node(plain_config(1, 3));
    node.time_out();
    node.step(vote_reply(2, 1, 1));
    node.step(append_reply(2, 1, 1, 1));
    CHECK_EQUAL(node->commit_index(), 1U);
    (void)node->propose(Payload("x"), {}, 0);
    // a follower has it, the leader's own disk does not yet: one of three
    node->step(append_reply(2, 1, 1, 2));
    CHECK_EQUAL(node->commit_index(), 1U);
    node.pump();
    CHECK_EQUAL(node->commit_index(), 2U);
}

TEST(a_snapshot_below_the_commit_index_moves_nothing) {
    Driven node(plain_config(1, 3), {{1, 0}, {}, log_of({1, 1, 1, 1})});
    node.step(append(2, 1, 1, 4, 1, {}, 4));
    CHECK_EQUAL(node->commit_index(), 4U);
    Message message = message_of(MessageType::snapshot, 2, 1, 1);
    message.snapshot = Snapshot{2, 1, 5, voters(3), Payload("old")};
    CHECK_EQUAL(node.step(message)[0].index, 4U);
    CHECK(node.restored.empty());
    CHECK_EQUAL(node->log().first_index(), 1U);
    CHECK_EQUAL(node->applied_index(), 4U);
}

TEST(an_acknowledgement_of_a_replaced_write_moves_nothing) {
    Log log({}, log_of({1, 1}));
    log.append(command_entry(2, 3));
    log.truncate_from(3);
    log.append(command_entry(3, 3));
    log.mark_stable(3, 2);
    CHECK_EQUAL(log.stable_index(), 2U);
    log.mark_stable(3, 3);
    CHECK_EQUAL(log.stable_index(), 3U);
}

TEST(compaction_keeps_the_term_and_time_of_the_last_forgotten_entry) {
    Log log({}, log_of({1, 1, 2, 2, 3}));
    log.compact(4);
    CHECK_EQUAL(log.first_index(), 5U);
    CHECK_EQUAL(log.last_index(), 5U);
    CHECK_EQUAL(log.term(4).value(), 2U);
    CHECK(!log.term(3).has_value());
    CHECK(!log.term(6).has_value());
    CHECK_EQUAL(log.last_term(), 3U);
    CHECK_EQUAL(log.last_not_after(2), 4U);
    CHECK_EQUAL(log.last_not_after(9), 5U);
}

TEST(compact_takes_applied_indexes_only) {
    RaftNode node(config_of(1, 1));
    CHECK_THROWS(
        node.compact(1, Payload()), ConfigError,
        "compact takes an applied index above the last snapshot's, got 1 with 0 applied and the snapshot at 0");
    while (node.role() != Role::leader) node.tick();
    (void)node.ready();
    node.advance();
    CHECK_EQUAL(node.commit_index(), 1U);  // and not applied yet
    CHECK_THROWS(node.compact(1, Payload()), ConfigError, "got 1 with 0 applied");
    (void)node.ready();
    node.advance();
    node.compact(1, Payload("state"));
    CHECK_THROWS(node.compact(1, Payload()), ConfigError, "got 1 with 1 applied and the snapshot at 1");
}

TEST(compact_takes_no_snapshot_that_nobody_would_take) {
    RaftConfig config = plain_config(1, 1);
    config.max_snapshot_bytes = 4;
    Driven node(config);
    node.time_out();
    node.pump();
    CHECK_THROWS(node->compact(1, Payload("12345")), ConfigError,
                 "a snapshot's state has at most max_snapshot_bytes (4), got 5; raise it on all nodes");
    CHECK_EQUAL(node->snapshot().index, 0U);
    node->compact(1, Payload("1234"));
    CHECK_EQUAL(node->snapshot().index, 1U);
}
TEST(a_session_that_cannot_be_is_refused) {
    Driven node(plain_config(1, 1));
    node.time_out();
    const auto status = [&](const Session& session) { return node->propose(Payload("x"), session, 0).status; };
    CHECK(status({7, 0, 0}) == ProposeStatus::refused);                      // numbers begin at 1
    CHECK(status({7, UINT64_MAX, 0}) == ProposeStatus::refused);             // nothing could follow
    CHECK(status({7, 3, 3}) == ProposeStatus::refused);                      // it cannot have this reply yet
    CHECK(status({7, 3, Session::kLastRequest}) == ProposeStatus::refused);  // a last one that never ends
    CHECK(status({7, 3, Session::kLastRequest, 50}) == ProposeStatus::appended);
    CHECK(status({7, 3, 2}) == ProposeStatus::appended);
    CHECK(status({}) == ProposeStatus::appended);
}

// "Election Safety: at most one leader can be elected in a given term": hearing of another is a broken invariant
TEST(a_second_leader_of_the_term_poisons_the_node) {
    Driven node(plain_config(1, 3));
    node.time_out();
    node.step(vote_reply(2, 1, 1));
    CHECK_THROWS(node->step(append(2, 1, node->term(), 0, 0)), InvariantError, "nodes 1 and 2 both lead term 1");
    CHECK_THROWS(node->tick(), InvariantError, "node 1 broke an invariant and stopped");
}

// a committed entry is never replaced (figure 3, leader completeness)
TEST(a_leader_that_would_replace_a_committed_entry_poisons_the_node) {
    Driven node(plain_config(1, 3), {{1, 0}, {}, log_of({1, 1})});
    node.step(append(2, 1, 1, 2, 1, {}, 2));
    CHECK_THROWS(node->step(append(3, 1, 2, 0, 0, {command_entry(2, 1), command_entry(2, 2), command_entry(2, 3)})),
                 InvariantError, "differs from the leader's");
}

TEST_MAIN
