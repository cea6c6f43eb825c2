// The parts of consensus by themselves: configuration, log, sessions, applier, divergence, and the node's own contract.
#include <string>

#include "base/errors.hpp"
#include "base/prng.hpp"
#include "check.hpp"
#include "consensus/applier.hpp"
#include "consensus/simulation/divergence.hpp"
#include "raft_rig.hpp"

using namespace fastmas::testing;
using fastmas::base::ConfigError;
using fastmas::base::InvariantError;
using fastmas::base::Payload;

namespace {

struct Counter : StateMachine {
    int applied = 0;
    Result next;
    std::int64_t time_ns = 0;
    Result apply(const Command& command) override {
        ++applied;
        time_ns = command.time_ns;
        Result result = next;
        if (result.status == ResultStatus::applied) result.reply = Payload(std::to_string(command.index));
        return result;
    }
    std::uint64_t digest() override { return static_cast<std::uint64_t>(applied); }
    bool can_snapshot() const override { return true; }
    Payload snapshot() override { return Payload(std::to_string(applied)); }
    void restore(std::span<const std::byte> state) override {
        applied = std::stoi(std::string(reinterpret_cast<const char*>(state.data()), state.size()));
    }
};

Entry request(Index index, std::uint64_t client, std::uint64_t sequence, std::uint64_t acknowledged = 0) {
    return {
        1,           index, static_cast<std::int64_t>(index) * 10, {client, sequence, acknowledged}, EntryKind::command,
        Payload("c")};
}
Entry noop(Index index) {
    return {1, index, 0, {}, EntryKind::noop, Payload()};
}

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

TEST(the_bytes_that_wait_for_a_commit_are_bounded) {
    RaftConfig config = plain_config(1, 3);
    config.max_uncommitted_bytes = 10;
    Driven node(config);
    node.time_out();
    node.step(vote_reply(2, 1, 1));
    const auto propose = [&](std::size_t bytes) {
        return node->propose(Payload(std::string(bytes, 'x')), {}, 0).status;
    };
    // more than all is taken as long as nothing waits
    CHECK(propose(50) == ProposeStatus::appended);
    CHECK(propose(1) == ProposeStatus::full);
    node.take();
    node.step(append_reply(2, 1, 1, 2));
    CHECK_EQUAL(node->commit_index(), 2U);
    CHECK(propose(6) == ProposeStatus::appended);
    CHECK(propose(5) == ProposeStatus::full);
    CHECK(propose(4) == ProposeStatus::appended);
    CHECK(propose(0) == ProposeStatus::appended);
    CHECK(propose(1) == ProposeStatus::full);
    node.take();
    node.step(append_reply(2, 1, 1, 3));  // the six bytes; the rest waits still
    CHECK(propose(7) == ProposeStatus::full);
    CHECK(propose(6) == ProposeStatus::appended);
    // and told apart from a leader that is handing over
    CHECK(node->transfer_leadership(2) == ProposeStatus::appended);
    CHECK(propose(1) == ProposeStatus::busy);
}

TEST(the_bytes_under_way_to_a_follower_are_bounded) {
    RaftConfig config = plain_config(1, 3);
    config.max_append_bytes = 40;
    config.max_inflight_bytes = 100;
    Driven node(config);
    node.time_out();
    node.step(vote_reply(2, 1, 1));
    node.step(append_reply(2, 1, 1, 1));
    for (int i = 0; i < 40; ++i) (void)node->propose(Payload(std::string(15, 'x')), {}, 0);
    const auto under_way = [](const std::vector<Message>& messages) {
        std::size_t bytes = 0;
        for (const Message& message : messages)
            if (message.to == 2)
                for (const Entry& entry : message.entries) bytes += entry.command.size();
        return bytes;
    };
    CHECK_EQUAL(under_way(node.take()), 90U);
    CHECK_EQUAL(under_way(node.step(append_reply(2, 1, 1, 3))), 30U);
    CHECK_EQUAL(under_way(node.step(append_reply(2, 1, 1, 3))), 0U);
    // one that is larger than all goes alone
    for (Index index = 4; index <= 41; ++index) node.step(append_reply(2, 1, 1, index));
    (void)node->propose(Payload(std::string(500, 'y')), {}, 0);
    (void)node->propose(Payload(std::string(1, 'z')), {}, 0);
    CHECK_EQUAL(under_way(node.take()), 500U);
    CHECK_EQUAL(under_way(node.step(append_reply(2, 1, 1, 42))), 1U);
}

TEST(a_log_knows_its_bytes_through_truncation_compaction_and_snapshots) {
    Log log({}, log_of({1, 1, 1}));  // two bytes each
    for (Index index = 4; index <= 9; ++index) log.append(command_entry(2, index, std::string(index, 'x')));
    CHECK_EQUAL(log.bytes(1, 9), 6U + 4 + 5 + 6 + 7 + 8 + 9);
    CHECK_EQUAL(log.bytes(3, 5), 2U + 4 + 5);
    CHECK_EQUAL(log.bytes(5, 4), 0U);
    log.truncate_from(8);
    CHECK_EQUAL(log.bytes(1, 7), 6U + 4 + 5 + 6 + 7);
    log.compact(2);
    CHECK_EQUAL(log.bytes(1, 4), 2U + 4);
    log.compact(5);
    CHECK_EQUAL(log.bytes(1, 7), 6U + 7);
    log.append(command_entry(2, 8, "12345"));
    CHECK_EQUAL(log.bytes(7, 8), 7U + 5);
    log.restore({20, 3, 0, {}, {}});
    log.append(command_entry(3, 21, "123"));
    CHECK_EQUAL(log.bytes(1, 21), 3U);
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

TEST(appends_are_cut_at_the_limits_and_pipelined_to_the_window) {
    RaftConfig config = plain_config(1, 3);
    config.max_append_entries = 4;
    config.max_inflight_entries = 8;
    Driven node(config);
    node.time_out();
    node.step(vote_reply(2, 1, 1));
    node.step(append_reply(2, 1, 1, 1));
    for (int i = 0; i < 40; ++i) (void)node->propose(Payload("x"), {}, 0);
    std::size_t sent = 0;
    for (const Message& message : node.take()) {
        CHECK(message.entries.size() <= 4);
        if (message.to == 2) sent += message.entries.size();
    }
    CHECK_EQUAL(sent, 8U);
    // node 3 was never heard of: one probe at a time
    node.step(append_reply(2, 1, 1, 5));
    sent = 0;
    for (const Message& message : node.take()) sent += message.to == 2 ? message.entries.size() : 0;
    CHECK(sent <= 8);
}

// Where messages are lost and overtake one another, a follower refuses much that is on its way. If each refusal sent
// the rest again, the stream would multiply.
TEST(lost_messages_do_not_multiply_those_behind_them) {
    Rig rig(3, [](NodeId id, std::size_t nodes) {
        RaftConfig config = plain_config(id, nodes);
        config.max_append_entries = 1;
        return config;
    });
    rig.elect(1, {1, 2, 3});
    const std::size_t entries = 200;
    for (std::size_t i = 0; i < entries; ++i) rig.propose(1, "x");
    fastmas::base::Prng random(1);
    std::size_t sent = 0;
    for (int round = 0; round < 100 && rig.at(2)->commit_index() < rig.at(1)->log().last_index(); ++round) {
        rig.collect();
        for (int i = 0; i < 20'000 && !rig.wire.empty(); ++i) {
            // one of the oldest twenty, so that they overtake one another
            const auto at = static_cast<std::ptrdiff_t>(random.below(std::min<std::size_t>(20, rig.wire.size())));
            const Message message = rig.wire[static_cast<std::size_t>(at)];
            rig.wire.erase(rig.wire.begin() + at);
            sent += message.to == 2 && message.type == MessageType::append;
            if (!random.chance_ppm(100'000)) rig.at(message.to)->step(message);
            rig.collect();
        }
        rig.at(1).tick(2);
    }
    CHECK_EQUAL(rig.at(2)->commit_index(), rig.at(1)->log().last_index());
    CHECK(sent < 20 * entries);
}

TEST(a_large_command_goes_alone) {
    RaftConfig config = plain_config(1, 3);
    config.max_append_bytes = 10;
    Driven node(config);
    node.time_out();
    node.step(vote_reply(2, 1, 1));
    node.step(append_reply(2, 1, 1, 1));
    (void)node->propose(Payload(std::string(50, 'x')), {}, 0);
    (void)node->propose(Payload("y"), {}, 0);
    std::vector<std::size_t> counts;
    for (const Message& message : node.take())
        if (message.to == 2 && !message.entries.empty()) counts.push_back(message.entries.size());
    CHECK(counts == (std::vector<std::size_t>{1, 1}));
}

TEST(a_lost_append_is_found_by_the_next_heartbeat) {
    Rig rig(3);
    rig.elect(1, {1, 2, 3});
    rig.propose(1, "lost");
    rig.run([](const Message& message) { return message.to != 3; });
    CHECK_EQUAL(rig.at(3)->log().last_index(), 1U);
    rig.at(1).tick(2);
    rig.run();
    CHECK_EQUAL(rig.at(3).commands(), "lost ");
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

TEST(a_late_refusal_moves_nothing_back) {
    Driven node(plain_config(1, 3));
    node.time_out();
    node.step(vote_reply(2, 1, 1));
    (void)node->propose(Payload("x"), {}, 0);
    node.step(append_reply(2, 1, 1, 2));
    CHECK_EQUAL(node->progress()[0].match, 2U);
    Message late = append_reply(2, 1, 1, 1);
    late.reject = true;
    late.hint_index = 1;
    CHECK(node.step(late).empty());
    CHECK(node->progress()[0].state == Progress::State::replicate);
    CHECK_EQUAL(node->progress()[0].next, 3U);
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

TEST(commands_are_counted_without_no_ops_and_duplicates) {
    auto owned = std::make_unique<Counter>();
    Counter& machine = *owned;
    Applier applier(std::move(owned));
    CHECK(applier.apply(noop(1)).kind == Applied::Kind::nothing);
    CHECK_EQUAL(applier.apply(request(2, 7, 1)).index, 1U);
    CHECK(applier.apply(request(3, 7, 1)).kind == Applied::Kind::duplicate);
    CHECK_EQUAL(applier.apply(request(4, 7, 2)).index, 2U);
    CHECK_EQUAL(applier.apply(request(5, 8, 1)).index, 3U);
    CHECK(applier.apply(request(6, 7, 2)).kind == Applied::Kind::duplicate);
    CHECK(applier.apply(request(7, 7, 1)).kind == Applied::Kind::duplicate);
    CHECK_EQUAL(machine.applied, 3);
    CHECK_EQUAL(machine.time_ns, 50);
    CHECK_EQUAL(applier.sessions().reply({7, 1, 0})->reply.text(), "1");
    CHECK_EQUAL(applier.commands(), 3U);
    CHECK_THROWS(applier.apply(request(9, 7, 3)), InvariantError, "entries are applied in order, expected 8, got 9");
}

TEST(entries_without_a_session_take_effect_every_time) {
    Applier applier(std::make_unique<Counter>());
    CHECK_EQUAL(applier.apply(request(1, 0, 0)).index, 1U);
    CHECK_EQUAL(applier.apply(request(2, 0, 0)).index, 2U);
}

TEST(a_rejected_command_counts_and_is_remembered) {
    auto owned = std::make_unique<Counter>();
    owned->next = {ResultStatus::rejected, Payload("no")};
    Applier applier(std::move(owned));
    const Applied applied = applier.apply(request(1, 7, 1));
    CHECK_EQUAL(applied.index, 1U);
    CHECK(applied.result.status == ResultStatus::rejected);
    CHECK_EQUAL(applier.sessions().reply({7, 1, 0})->reply.text(), "no");
}

TEST(acknowledged_replies_are_forgotten_and_stay_seen) {
    Applier applier(std::make_unique<Counter>());
    for (Index index = 1; index <= 5; ++index) applier.apply(request(index, 7, index, index >= 4 ? 2 : 0));
    CHECK(applier.sessions().reply({7, 2, 0}) == nullptr);
    CHECK_EQUAL(applier.sessions().reply({7, 3, 0})->reply.text(), "3");
}

TEST(a_snapshot_carries_machine_sessions_and_count) {
    Applier first(std::make_unique<Counter>());
    for (Index index = 1; index <= 5; ++index) first.apply(request(index, 7, index));
    Applier second(std::make_unique<Counter>());
    second.restore(5, first.snapshot());
    CHECK(second.apply(request(6, 7, 5)).kind == Applied::Kind::duplicate);
    CHECK_EQUAL(second.sessions().reply({7, 5, 0})->reply.text(), "5");
    CHECK_EQUAL(second.apply(request(7, 7, 6)).index, 6U);
    CHECK_THROWS(second.restore(9, Payload("short")), InvariantError, "the snapshot at index 9 is damaged");
}

TEST(the_majority_decides_and_whoever_differs_is_named) {
    DivergenceMonitor monitor(3);
    CHECK(!monitor.vote(1, 1, 7).decided_now);
    CHECK(!monitor.vote(1, 1, 7).decided_now);  // the same node again: after a restart
    CHECK(!monitor.vote(2, 1, 8).decided_now);
    const auto verdict = monitor.vote(3, 1, 8);
    CHECK(verdict.decided_now);
    CHECK(verdict.diverged == std::vector<NodeId>{1});
    CHECK(!monitor.vote(1, 1, 7).agrees);
    CHECK(monitor.vote(2, 1, 8).agrees);
}
TEST(three_different_results_cannot_be_decided) {
    DivergenceMonitor monitor(3);
    CHECK(!monitor.vote(1, 1, 1).impossible);
    CHECK(!monitor.vote(2, 1, 2).impossible);
    CHECK(monitor.vote(3, 1, 3).impossible);
    // a later command may be decided all the same
    monitor.vote(1, 2, 5);
    CHECK(monitor.vote(2, 2, 5).decided_now);
}

TEST(payloads_share_long_bytes_and_copy_short_ones) {
    const Payload small("short"), large(std::string(100, 'x'));
    Payload small_copy = small, large_copy = large;
    CHECK(small_copy == small && small_copy.data() != small.data());
    CHECK(large_copy == large && large_copy.data() == large.data());
    Payload moved = std::move(large_copy);
    CHECK(large_copy.empty());
    moved = small;
    CHECK_EQUAL(moved.text(), "short");
    CHECK_EQUAL(large.text(), std::string(100, 'x'));
    CHECK_EQUAL(Payload(std::string(40, 'y')).size(), 40U);
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
