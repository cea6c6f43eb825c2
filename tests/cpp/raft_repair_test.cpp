// A disk that damaged what it had stored: no committed entry vanishes by it, and the others make it whole again
// (Alagappan and others, "Protocol-Aware Recovery for Consensus-Based Storage", 2018; paper §5.4.1).
#include "base/errors.hpp"
#include "check.hpp"
#include "raft_rig.hpp"

using namespace fastmas::testing;
using fastmas::base::ConfigError;
using fastmas::base::Payload;

namespace {

// Restarts with the entries before `first`; the rest cannot be read.
void damage(Rig& rig, NodeId id, Index first,
            const std::function<RaftConfig(NodeId, std::size_t)>& config = plain_config) {
    PersistentState stored = rig.at(id).disk.load();
    stored.lost = {rig.at(id).disk.log().last_term(), rig.at(id).disk.log().last_index()};
    std::erase_if(stored.entries, [&](const Entry& entry) { return entry.index >= first; });
    rig.nodes.at(id) = Driven(config(id, rig.nodes.size()), std::move(stored));
    rig.at(id).pump();
}

Driven damaged_node(const std::vector<Term>& rest, LogEnd lost, Term term = 3) {
    Driven node(plain_config(1, 3), {{term, 0}, {}, log_of(rest), lost});
    node.pump();
    return node;
}

// Entries 1 to 4 are on all three nodes, committed; 1 leads.
Rig replicated() {
    Rig rig(3);
    rig.elect(1, {1, 2, 3});
    for (const char* text : {"a", "b", "c"}) rig.propose(1, text);
    rig.run();
    rig.at(1).tick(2);
    rig.run();
    CHECK_EQUAL(rig.at(3)->commit_index(), 4U);
    return rig;
}

}  // namespace

// §5.4.1: the voter denies its vote if its own log is more up to date. Its own is the one that it acknowledged.
TEST(a_damaged_node_votes_as_if_it_still_had_its_log) {
    for (const bool pre : {false, true}) {
        Driven node = damaged_node({1, 1}, {2, 5});
        CHECK(node->lost() == (LogEnd{2, 5}));
        CHECK(node.step(vote_request(2, 1, 4, 4, 2, pre))[0].reject);
        CHECK(node.step(vote_request(2, 1, 5, 9, 1, pre))[0].reject);
        CHECK(!node.step(vote_request(2, 1, 6, 5, 2, pre))[0].reject);
        CHECK(!node.step(vote_request(2, 1, 7, 3, 3, pre))[0].reject);
    }
}
// What was committed by this node and another one is not replaced while that one is away.
TEST(a_committed_entry_does_not_vanish_with_a_disk) {
    Rig rig(3);
    rig.elect(1, {1, 2});
    rig.propose(1, "a");
    rig.run(Rig::among({1, 2}));
    CHECK_EQUAL(rig.at(1).commands(), "a ");
    damage(rig, 2, 2);
    for (int i = 0; i < 5; ++i) {
        rig.elect(3, {2, 3});
        rig.at(3).tick(30);
        rig.run(Rig::among({2, 3}));
        CHECK(rig.at(3)->role() != Role::leader);
        rig.at(2).tick(30);
        CHECK(rig.at(2)->role() == Role::follower);
    }
    rig.wire.clear();
    // the one that has it comes back, leads with the damaged node's vote, and makes both whole
    rig.at(1).tick(2);
    rig.run();
    for (int i = 0; i < 20 && rig.at(1)->role() != Role::leader; ++i) rig.elect(1, {1, 2});
    CHECK(rig.at(1)->role() == Role::leader);
    rig.at(1).tick(2);
    rig.run();
    for (const NodeId id : {2U, 3U}) {
        CHECK_EQUAL(rig.at(id).commands(), "a ");
        CHECK_EQUAL(rig.at(id)->lost().index, 0U);
    }
}
TEST(a_damaged_node_does_not_stand) {
    Driven node = damaged_node({1, 1}, {1, 3});
    node.tick(100);
    node.step(message_of(MessageType::timeout_now, 2, 1, 3));
    CHECK(node->role() == Role::follower);
    CHECK_EQUAL(node->term(), 3U);
    Driven alone(plain_config(1, 1), {{1, 1}, {}, log_of({1}), {1, 2}});
    alone.tick(100);
    CHECK(alone->role() == Role::follower);
}
// It is the first thing that a crash may not take: the entries that come would cover up the damage.
TEST(nothing_happens_to_it_before_its_loss_is_stored) {
    RaftNode node(plain_config(1, 3), {{3, 0}, {}, log_of({1, 1}), {2, 5}});
    node.step(append(2, 1, 3, 2, 1, {command_entry(3, 3)}));
    for (int i = 0; i < 100; ++i) node.tick();
    CHECK_EQUAL(node.log().last_index(), 2U);
    CHECK_THROWS(node.damaged(1), ConfigError, "node 1 has not stored yet what its disk lost");
    const Ready& ready = node.ready();
    CHECK(ready.must_sync && ready.hard_state != nullptr && ready.hard_state->lost == (LogEnd{2, 5}));
    CHECK(ready.entries.empty() && ready.messages.empty());
    node.advance();
    node.step(append(2, 1, 3, 2, 1, {command_entry(3, 3)}));
    CHECK_EQUAL(node.log().last_index(), 3U);
}
// The leader counts its earlier acknowledgements: it would take the refusal for a late one.
TEST(the_leader_sends_again_what_was_acknowledged_before) {
    Rig rig = replicated();
    damage(rig, 3, 2);
    CHECK_EQUAL(rig.at(3)->log().last_index(), 1U);
    rig.at(1).tick(2);
    rig.run();
    CHECK_EQUAL(rig.at(3)->log().last_index(), 4U);
    CHECK_EQUAL(rig.at(3)->lost().index, 0U);
    CHECK_EQUAL(rig.at(3).commands(), "a b c ");
    CHECK(rig.at(3).disk.load().entries == rig.at(1).disk.load().entries);
    CHECK(rig.at(3).disk.hard_state().lost == LogEnd{});
    CHECK_EQUAL(rig.at(1)->progress()[1].match, 4U);
    // and it counts again
    rig.propose(1, "d");
    rig.run(Rig::among({1, 3}));
    CHECK_EQUAL(rig.at(1)->commit_index(), 5U);
}
TEST(until_then_it_counts_for_what_it_has) {
    Rig rig = replicated();
    rig.propose(1, "d");
    rig.run([](const Message& message) { return message.to == 3 && message.type == MessageType::append; });
    // 3 has it, and its acknowledgement was lost
    damage(rig, 3, 5);
    rig.at(1).tick(2);
    rig.run([](const Message& message) {
        return message.to != 2 && (message.type != MessageType::append || message.entries.empty());
    });
    CHECK_EQUAL(rig.at(1)->progress()[1].match, 4U);
    CHECK_EQUAL(rig.at(1)->commit_index(), 4U);
}
TEST(a_late_copy_of_the_refusal_costs_nothing_that_lasts) {
    Rig rig = replicated();
    damage(rig, 3, 2);
    rig.at(1).tick(2);
    Message late;
    rig.run([&](const Message& message) {
        if (message.lost) late = message;
        return true;
    });
    CHECK(late.reject && late.hint_index == 2);
    rig.at(1)->step(late);
    rig.run();
    rig.at(1).tick(2);
    rig.run();
    CHECK_EQUAL(rig.at(1)->progress()[1].match, 4U);
    CHECK(rig.at(1)->progress()[1].state == Progress::State::replicate);
}
TEST(what_is_compacted_away_meanwhile_comes_as_a_snapshot) {
    Rig rig = replicated();
    rig.at(1)->compact(4, Payload("state"));
    damage(rig, 3, 2);
    rig.at(1).tick(2);
    rig.run();
    CHECK_EQUAL(rig.at(3)->snapshot().index, 4U);
    CHECK_EQUAL(rig.at(3)->lost().index, 0U);
}
TEST(a_damaged_snapshot_is_fetched_again_as_well) {
    Rig rig = replicated();
    for (const NodeId id : {1U, 3U}) {
        rig.at(id)->compact(3, Payload("state"));
        rig.at(id).disk.compact(rig.at(id)->snapshot());
    }
    PersistentState stored = rig.at(3).disk.load();
    rig.nodes.at(3) = Driven(plain_config(3, 3), {stored.hard_state, {}, {}, {1, 4}});
    rig.at(1).tick(2);
    rig.run();
    CHECK_EQUAL(rig.at(3)->snapshot().index, 3U);
    CHECK_EQUAL(rig.at(3)->log().last_index(), 4U);
    CHECK_EQUAL(rig.at(3)->lost().index, 0U);
}

// With an entry of a later term, all that was committed before that term is in front of it.
TEST(it_has_caught_up_with_an_entry_of_a_later_term_and_not_before) {
    Driven node = damaged_node({1}, {2, 6}, 3);
    node.step(append(2, 1, 4, 1, 1, {command_entry(1, 2), command_entry(2, 3)}));
    CHECK(node->lost() == (LogEnd{2, 6}));
    node.step(append(2, 1, 4, 3, 2, {command_entry(2, 4)}));
    CHECK(node->lost() == (LogEnd{2, 6}));
    node.step(append(2, 1, 4, 4, 2, {command_entry(4, 5)}));
    CHECK(node->lost() == LogEnd{});
    node.time_out();
    CHECK(node->role() == Role::candidate);
}
TEST(within_the_term_it_has_caught_up_where_its_log_ended) {
    Driven node = damaged_node({1}, {3, 3}, 3);
    node.step(append(2, 1, 3, 1, 1, {command_entry(3, 2)}));
    CHECK_EQUAL(node->lost().index, 3U);
    node.step(append(2, 1, 3, 2, 3, {command_entry(3, 3)}));
    CHECK_EQUAL(node->lost().index, 0U);
}
TEST(where_nobody_can_tell_the_last_term_it_is_the_stored_one) {
    Driven node = damaged_node({1}, {0, 4}, 3);
    CHECK(node->lost() == (LogEnd{3, 4}));
}
TEST(damage_behind_the_end_of_the_log_is_no_loss) {
    Driven node = damaged_node({1, 2}, {2, 2});
    CHECK_EQUAL(node->lost().index, 0U);
    CHECK(!node.step(vote_request(2, 1, 4, 2, 2))[0].reject);
}
TEST(a_loss_outlives_crashes_until_it_is_made_good) {
    Rig rig = replicated();
    damage(rig, 3, 2);
    rig.at(1).tick(2);
    // the first entry is back, and the power goes
    rig.run([](const Message& message) { return message.entries.size() < 2 || message.to != 3; });
    Driven half(plain_config(3, 3), {rig.at(3).disk.hard_state(), {}, log_of({1, 1})});
    half.pump();
    CHECK(half->lost() == (LogEnd{1, 4}));
    // the power goes after duty 2 and before duty 3: the entries are there, and so is the mark
    Driven whole(plain_config(3, 3), {rig.at(3).disk.hard_state(), {}, log_of({1, 1, 1, 1})});
    whole.pump();
    CHECK_EQUAL(whole->lost().index, 0U);
    CHECK(whole.disk.hard_state().lost == LogEnd{});
    // damaged again on the way: the first end counts
    Driven twice(plain_config(3, 3), {rig.at(3).disk.hard_state(), {}, log_of({1}), {1, 2}});
    twice.pump();
    CHECK(twice->lost() == (LogEnd{1, 4}));
}
// Where every node that has an entry has lost it, nothing is made up.
TEST(where_all_copies_are_gone_nobody_is_elected) {
    Rig rig(3);
    rig.elect(1, {1, 2});
    rig.propose(1, "a");
    rig.run(Rig::among({1, 2}));
    damage(rig, 1, 2);
    damage(rig, 2, 2);
    for (int i = 0; i < 5; ++i)
        for (const NodeId id : {1U, 2U, 3U}) {
            rig.at(id).tick(30);
            rig.run();
            CHECK(rig.at(id)->role() != Role::leader);
        }
}

// A node that runs has it all in memory: it stores it again, and does not count itself until it has.
TEST(a_running_leader_stores_again_what_its_disk_damaged) {
    Driven node(plain_config(1, 3));
    node.time_out();
    node.step(vote_reply(2, 1, 1));
    for (const char* text : {"a", "b"}) (void)node->propose(Payload(std::string_view(text)), {}, 0);
    node.take();
    node->damaged(2);
    node->step(append_reply(2, 1, 1, 3));
    CHECK_EQUAL(node->commit_index(), 1U);
    const Ready& ready = node->ready();
    CHECK_EQUAL(ready.entries.size(), 2U);
    CHECK_EQUAL(ready.entries.front().index, 2U);
    node->advance();
    CHECK_EQUAL(node->commit_index(), 3U);
}
TEST(a_write_under_way_says_nothing_about_what_is_damaged) {
    RaftConfig config = plain_config(1, 1);
    config.async_storage = true;
    RaftNode node(config);
    const auto hand_out = [&] {
        std::uint64_t write = 0;
        Index applied = 0;
        while (node.has_ready()) {
            const Ready& ready = node.ready();
            if (ready.write != 0) write = ready.write;
            if (!ready.committed.empty()) applied = ready.committed.back().index;
            node.advance();
        }
        return std::pair(write, applied);
    };
    while (node.role() == Role::follower) node.tick();
    node.stored(hand_out().first);
    node.stored(hand_out().first);
    CHECK_EQUAL(hand_out().second, 1U);
    (void)node.propose(Payload("x"), {}, 0);
    const auto first = hand_out().first;
    node.damaged(1);
    const auto second = hand_out().first;
    CHECK(second > first);
    node.stored(first);
    CHECK_EQUAL(node.commit_index(), 1U);
    CHECK_EQUAL(node.applied_index(), 1U);  // nothing is unapplied
    node.stored(second);
    CHECK_EQUAL(node.commit_index(), 2U);
    CHECK_EQUAL(hand_out().second, 2U);
    // a snapshot of what is damaged stands for it
    node.damaged(2);
    node.compact(2, Payload("state"));
    CHECK(!node.has_ready());
    CHECK_EQUAL(node.log().stable_index(), 2U);
}

TEST(wrong_calls_say_why) {
    Driven node(plain_config(1, 3), {{1, 0}, {}, log_of({1, 1})});
    for (const Index index : {Index{0}, Index{3}})
        CHECK_THROWS(node->damaged(index), ConfigError,
                     "damaged() takes an index of the log, 1 to 2, got " + std::to_string(index) +
                         "; a damaged snapshot is stored again from snapshot()");
    CHECK_THROWS(damaged_node({1}, {2, 0}), ConfigError,
                 "the end of a damaged log is the term and index of its last entry, got term 2 and index 0");
    CHECK_THROWS(damaged_node({1}, {kMaxTerm, 3}), ConfigError, "give term 0 when it is not known");
}
TEST(only_a_refused_append_tells_of_a_loss) {
    Driven node(plain_config(1, 3));
    node.time_out();
    node.step(vote_reply(2, 1, 1));
    Message reply = append_reply(2, 1, 1, 1);
    reply.reject = reply.lost = true;
    node.step(reply);  // and says from where on
    CHECK_EQUAL(node->counters().dropped, 1U);
}

TEST_MAIN
