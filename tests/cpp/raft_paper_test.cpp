// One test a sentence on logs, commits and snapshots of "In Search of an Understandable Consensus Algorithm (Extended
// Version)"; the sentence is quoted in part above its test.
#include <set>

#include "check.hpp"
#include "raft_rig.hpp"

using namespace fastmas::testing;
using fastmas::base::Payload;

// §5.2 "Leaders send periodic heartbeats (AppendEntries RPCs that carry no log entries) to all followers"
TEST(leaders_send_heartbeats_to_all) {
    Driven node = plain_leader(5);
    for (NodeId other = 2; other <= 5; ++other) node.step(append_reply(other, 1, node->term(), 1));
    node.take();
    node.tick(2);
    std::set<NodeId> heard;
    for (const Message& message : node.take()) {
        CHECK(message.type == MessageType::append && message.entries.empty());
        heard.insert(message.to);
    }
    CHECK_EQUAL(heard.size(), 4U);
}

// §5.3 "The leader appends the command to its log as a new entry, then issues AppendEntries RPCs in parallel"
TEST(a_command_is_appended_and_sent_to_all) {
    Driven node = plain_leader();
    for (NodeId other : {2U, 3U}) node.step(append_reply(other, 1, node->term(), 1));
    const Proposal proposal = node->propose(Payload("buy"), {}, 7);
    CHECK(proposal.status == ProposeStatus::appended);
    CHECK_EQUAL(proposal.index, 2U);
    const auto messages = node.take();
    CHECK_EQUAL(messages.size(), 2U);
    for (const Message& message : messages) {
        CHECK_EQUAL(message.index, 1U);
        CHECK_EQUAL(message.entries.size(), 1U);
        CHECK_EQUAL(message.entries[0].command.text(), "buy");
        CHECK_EQUAL(message.entries[0].time_ns, 7);
    }
}

// §5.3 "A log entry is committed once the leader that created the entry has replicated it on a majority of the servers"
TEST(an_entry_is_committed_on_a_majority_and_not_before) {
    for (std::size_t nodes = 1; nodes <= 7; ++nodes) {
        Driven node = plain_leader(nodes);
        for (std::size_t holders = 1; holders <= nodes; ++holders) {
            if (holders > 1) node.step(append_reply(static_cast<NodeId>(holders), 1, node->term(), 1));
            CHECK_EQUAL(node->commit_index(), 2 * holders > nodes ? 1U : 0U);
        }
    }
}

// §5.3 "it includes that index in future AppendEntries RPCs ... so that the other servers eventually find out"; "Once a
// follower learns that a log entry is committed, it applies the entry to its local state machine (in log order)."
TEST(followers_learn_the_commit_index_and_apply_in_order) {
    Rig rig(3);
    rig.elect(1, {1, 2, 3});
    for (const char* text : {"a", "b", "c"}) rig.propose(1, text);
    rig.run();
    for (NodeId id = 1; id <= 3; ++id) CHECK_EQUAL(rig.at(id).commands(), "a b c ");
}

// §5.3 "If the follower does not find an entry in its log with the same index and term, then it refuses the new
// entries."
TEST(an_append_after_an_unknown_entry_is_refused) {
    Driven node = plain_follower({1, 1, 2}, 3);
    CHECK(!node.step(append(2, 1, 3, 3, 2))[0].reject);
    CHECK(node.step(append(2, 1, 3, 3, 1))[0].reject);
    CHECK(node.step(append(2, 1, 3, 4, 2))[0].reject);
    CHECK_EQUAL(node->log().last_index(), 3U);
}

// figure 2, AppendEntries 3: "If an existing entry conflicts with a new one ... delete the existing entry and all that
// follow it"
TEST(a_conflicting_entry_goes_with_all_that_follow_it) {
    Driven node = plain_follower({1, 2, 2, 2}, 3);
    node.step(append(2, 1, 3, 1, 1, {command_entry(3, 2)}));
    CHECK(terms_of(*node.node) == (std::vector<Term>{1, 3}));
    CHECK_EQUAL(node.disk.log().last_index(), 2U);
}

// §5.5 "if a follower receives an AppendEntries request that includes log entries already present in its log, it
// ignores those entries": late, doubled and short appends delete nothing
TEST(entries_already_present_are_ignored) {
    Driven node = plain_follower({1, 1, 1, 1}, 1);
    CHECK_EQUAL(node.step(append(2, 1, 1, 0, 0, {command_entry(1, 1, "t1"), command_entry(1, 2, "t1")}))[0].index, 2U);
    CHECK_EQUAL(node->log().last_index(), 4U);
    node.step(append(2, 1, 1, 1, 1));
    CHECK_EQUAL(node->log().last_index(), 4U);
}

// figure 2, AppendEntries 5: "set commitIndex = min(leaderCommit, index of last new entry)"
TEST(a_follower_commits_no_further_than_the_append_covered) {
    Driven node = plain_follower({1, 1, 1, 1}, 2);
    node.step(append(2, 1, 2, 1, 1, {command_entry(1, 2, "t1")}, 4));
    CHECK_EQUAL(node->commit_index(), 2U);
    node.step(append(2, 1, 2, 2, 1, {}, 1));
    CHECK_EQUAL(node->commit_index(), 2U);
}

// §5.3 figure 7: whatever a follower's log looks like, it ends as the leader's
TEST(every_follower_of_figure_7_is_brought_into_agreement) {
    const std::vector<Term> led = {1, 1, 1, 4, 4, 5, 5, 6, 6, 6};
    const std::vector<std::vector<Term>> followers = {
        {1, 1, 1, 4, 4, 5, 5, 6, 6},          {1, 1, 1, 4},          {1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6},
        {1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7}, {1, 1, 1, 4, 4, 4, 4}, {1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3},
    };
    for (const auto& held : followers) {
        // node 3, whose log is as long as the leader's, gives the second vote
        Rig rig(3, plain_config,
                {{1, {{7, 0}, {}, log_of(led)}}, {2, {{7, 0}, {}, log_of(held)}}, {3, {{7, 0}, {}, log_of(led)}}});
        rig.elect(1, {1, 3});
        CHECK(rig.at(1)->role() == Role::leader);
        rig.at(1).tick(2);
        rig.run();
        CHECK(terms_of(*rig.at(2).node) == terms_of(*rig.at(1).node));
        CHECK_EQUAL(rig.at(2)->commit_index(), rig.at(1)->commit_index());
    }
}

// §5.3 "When rejecting ... the follower can include the term of the conflicting entry and the first index it stores for
// that term": one round a term, not one an entry
TEST(conflicts_are_skipped_a_term_at_a_time) {
    std::vector<Term> led(1, 1), held(1, 1);
    for (int i = 0; i < 200; ++i) held.push_back(i < 100 ? 2 : 3);
    for (int i = 0; i < 50; ++i) led.push_back(4);
    Rig rig(3, plain_config,
            {{1, {{4, 0}, {}, log_of(led)}}, {2, {{4, 0}, {}, log_of(held)}}, {3, {{4, 0}, {}, log_of(led)}}});
    rig.elect(1, {1, 3});
    rig.at(1).tick(2);
    int appends = 0;
    rig.run([&](const Message& message) {
        appends += message.type == MessageType::append && message.to == 2;
        return true;
    });
    CHECK(terms_of(*rig.at(2).node) == terms_of(*rig.at(1).node));
    CHECK(appends <= 6);
}

// §5.4.2 "Raft never commits log entries from previous terms by counting replicas."
TEST(entries_of_earlier_terms_are_not_committed_by_counting) {
    Driven node = plain_leader(3, {1, 2, 2});
    CHECK_EQUAL(node->term(), 3U);
    node.step(append_reply(2, 1, 3, 3));
    node.step(append_reply(3, 1, 3, 3));
    CHECK_EQUAL(node->commit_index(), 0U);
    // "once an entry from the current term has been committed in this way, then all prior entries are committed
    // indirectly"
    node.step(append_reply(2, 1, 3, 4));
    CHECK_EQUAL(node->commit_index(), 4U);
}

// §5.4.2 figure 8, with both of its ends
TEST(figure_8) {
    for (const bool overwritten : {true, false}) {
        // (a) S1 leads term 2 and replicates index 2 to S2 only; (b) S5 leads term 3 and holds another entry there
        const auto stored = [](std::vector<Term> terms, Term term) {
            return PersistentState{{term, 0}, {}, log_of(terms)};
        };
        Rig rig(5, plain_config,
                {{1, stored({1, 2}, 3)},
                 {2, stored({1, 2}, 3)},
                 {3, stored({1}, 3)},
                 {4, stored({1}, 3)},
                 {5, stored({1, 3}, 3)}});
        if (overwritten) {
            // (c) S1, leading term 4, brought index 2 of term 2 to S3: on a majority, but not committed. Its own entry
            // of term 4 reached nobody when it crashed. (d) S5 wins with the votes of S2, S3 and S4, {1, 3} being more
            // up to date than {1, 2}, and overwrites it.
            rig = Rig(5, plain_config,
                      {{1, stored({1, 2, 4}, 4)},
                       {2, stored({1, 2}, 4)},
                       {3, stored({1, 2}, 4)},
                       {4, stored({1}, 4)},
                       {5, stored({1, 3}, 4)}});
            rig.elect(5, {2, 3, 4, 5});
            CHECK(rig.at(5)->role() == Role::leader);
            rig.at(5).tick(2);
            rig.run();
            for (NodeId id = 1; id <= 5; ++id) CHECK_EQUAL(terms_of(*rig.at(id).node)[1], 3U);
        } else {
            // (e) S1 leads term 4 and its entry of term 4 gets to a majority: committed, and S5 cannot win any more
            rig.elect(1, {1, 2, 3});
            CHECK_EQUAL(rig.at(1)->term(), 4U);
            CHECK_EQUAL(rig.at(1)->commit_index(), 3U);
            rig.elect(5, {2, 3, 4, 5});
            CHECK(rig.at(5)->role() != Role::leader);
        }
    }
}

// §7 "If InstallSnapshot contains new information ... the follower discards its entire log"; "if ... it describes a
// prefix of its log, then log entries covered by the snapshot are deleted but entries following it are still valid and
// must be retained"
TEST(a_snapshot_replaces_what_it_covers_and_keeps_a_matching_suffix) {
    for (const bool matches : {true, false}) {
        Driven node = plain_follower({1, 1, matches ? 1U : 2U, 2}, 2);
        Message message = message_of(MessageType::snapshot, 2, 1, 3);
        message.snapshot = Snapshot{3, 1, 5, voters(3), Payload("state")};
        const auto replies = node.step(message);
        CHECK_EQUAL(replies[0].index, 3U);
        CHECK_EQUAL(node.restored.size(), 1U);
        CHECK_EQUAL(node->log().last_index(), matches ? 4U : 3U);
        CHECK_EQUAL(node->commit_index(), 3U);
        CHECK_EQUAL(node.disk.log().last_index(), matches ? 4U : 3U);
        // a stale one moves nothing backwards
        message.snapshot->index = 2;
        CHECK_EQUAL(node.step(message)[0].index, 3U);
        CHECK_EQUAL(node->commit_index(), 3U);
        CHECK_EQUAL(node.restored.size(), 1U);
    }
}

// §7 "when the leader has already discarded the next log entry that it needs to send to a follower"
TEST(a_follower_behind_the_compacted_log_gets_the_snapshot) {
    Rig rig(3);
    rig.elect(1, {1, 2});
    for (int i = 0; i < 10; ++i) rig.propose(1, std::to_string(i));
    rig.run(Rig::among({1, 2}));
    rig.at(1)->compact(rig.at(1)->applied_index(), Payload("ten"));
    rig.propose(1, "after");
    rig.at(1).tick(2);
    rig.run();
    CHECK_EQUAL(rig.at(3).restored.size(), 1U);
    CHECK_EQUAL(rig.at(3).restored[0].state.text(), "ten");
    CHECK_EQUAL(rig.at(3).commands(), "after ");
    CHECK_EQUAL(rig.at(3)->commit_index(), rig.at(1)->commit_index());
}

// §8 "Raft handles this by having each leader commit a blank no-op entry into the log at the start of its term."
TEST(a_term_starts_with_a_no_op) {
    Driven node = plain_leader(3, {1, 1});
    CHECK_EQUAL(node->log().last_index(), 3U);
    CHECK(node->log().at(3).kind == EntryKind::noop);
    CHECK_EQUAL(node->log().at(3).term, 2U);
}

TEST_MAIN
