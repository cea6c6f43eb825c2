// Changes of the membership: joint consensus (paper §6), learners (thesis §4.2.1), witnesses. A quoted sentence is the
// paper's or the thesis's.
#include "base/errors.hpp"
#include "check.hpp"
#include "consensus/raft/codec.hpp"
#include "raft_rig.hpp"

using namespace fastmas::testing;
using fastmas::base::ConfigError;
using fastmas::base::InvariantError;
using fastmas::base::Payload;

namespace {

using Ids = std::vector<NodeId>;

Membership target_of(Ids voters, Ids learners = {}, Ids witnesses = {}) {
    Membership target(std::move(voters));
    target.learners = std::move(learners);
    target.witnesses = std::move(witnesses);
    return target;
}

// Nodes 1 to 3 began the cluster; the others are to come.
RaftConfig growing(NodeId id, std::size_t) {
    RaftConfig config = plain_config(id, 3);
    config.joining = id > 3;
    return config;
}

Rig led_by_1(std::size_t nodes) {
    Rig rig(nodes, growing);
    rig.elect(1, {1, 2, 3});
    CHECK(rig.at(1)->role() == Role::leader);
    rig.run();
    return rig;
}

ProposeStatus change(Rig& rig, NodeId leader, const Membership& target) {
    return rig.at(leader)->change_membership(target, 0).status;
}

bool is_joint(Rig& rig, NodeId id) {
    return rig.at(id)->membership().is_joint();
}

Entry membership_entry(Term term, Index index, const Membership& membership) {
    return {term, index, 0, {}, EntryKind::membership, encode(membership)};
}

}  // namespace

TEST(voters_change_through_a_joint_configuration_that_is_left_by_itself) {
    Rig rig = led_by_1(5);
    CHECK(change(rig, 1, target_of({1, 4, 5})) == ProposeStatus::appended);
    // "a server uses the latest configuration in its log, regardless of whether the entry is committed"
    CHECK(is_joint(rig, 1));
    CHECK(rig.at(1)->membership().outgoing == (Ids{1, 2, 3}));
    rig.run();
    for (const NodeId id : {1U, 4U, 5U}) {
        CHECK(!is_joint(rig, id));
        CHECK(rig.at(id)->membership().voters == (Ids{1, 4, 5}));
        CHECK_EQUAL(rig.at(id)->log().last_index(), 3U);
    }
    rig.propose(1, "after");
    rig.run(Rig::among({1, 4}));
    CHECK_EQUAL(rig.at(4).commands(), "after ");
}

// "Agreement (for elections and entry commitment) requires separate majorities from both the old and new
// configurations."
TEST(a_joint_configuration_commits_with_both_majorities_only) {
    for (const bool old_half : {true, false}) {
        Rig rig = led_by_1(5);
        change(rig, 1, target_of({1, 4, 5}));
        rig.run(Rig::among(old_half ? Ids{1, 2, 3} : Ids{1, 4, 5}));
        CHECK(is_joint(rig, 1));
        CHECK_EQUAL(rig.at(1)->commit_index(), 1U);
        rig.at(1).tick(2);
        rig.run(Rig::among({1, 2, 4}));
        CHECK_EQUAL(rig.at(1)->commit_index(), 3U);
    }
}
TEST(a_joint_configuration_elects_with_both_majorities_only) {
    for (const Ids& reachable : {Ids{1, 2, 3}, Ids{1, 4, 5}, Ids{1, 2, 4}}) {
        Rig rig = led_by_1(5);
        change(rig, 1, target_of({1, 4, 5}));
        rig.run([](const Message& message) {
            return message.type == MessageType::append || message.reject;
        });  // all have it, it counts not
        rig.wire.clear();
        for (const NodeId id : {1U, 2U, 3U, 4U, 5U}) CHECK(is_joint(rig, id));
        Rig after(5, growing);
        for (const NodeId id : {1U, 2U, 3U, 4U, 5U})
            after.nodes.at(id) = Driven(growing(id, 5), rig.at(id).disk.load());
        after.elect(1, reachable);
        CHECK_EQUAL(after.at(1)->role() == Role::leader, (reachable == Ids{1, 2, 4}));
    }
}

TEST(a_later_leader_leaves_the_joint_configuration_of_one_that_crashed) {
    Rig rig = led_by_1(5);
    change(rig, 1, target_of({2, 4, 5}));
    // it got to all, and its maker never heard of it
    rig.run([](const Message& message) { return message.type == MessageType::append || message.reject; });
    rig.wire.clear();
    CHECK(is_joint(rig, 2) && is_joint(rig, 4));
    rig.elect(2, {2, 3, 4, 5});
    CHECK(rig.at(2)->role() == Role::leader);
    CHECK(!is_joint(rig, 2) && !is_joint(rig, 5));
    CHECK(rig.at(4)->membership().voters == (Ids{2, 4, 5}));
}

// "the cluster leader may not be part of the new configuration. In this case, the leader steps down (returns to
// follower state) once it has committed the C_new log entry ... it does not count itself in majorities"
TEST(a_leader_that_leaves_does_not_count_itself_and_steps_down_once_c_new_is_committed) {
    Rig rig = led_by_1(4);
    change(rig, 1, target_of({2, 3}));
    rig.run(Rig::among({1, 2}));
    // C_old,new needs both of {2, 3}
    CHECK(rig.at(1)->role() == Role::leader && is_joint(rig, 1));
    rig.at(1).tick(2);
    bool cut = false;
    rig.run([&](const Message& message) {
        cut = cut || (message.type == MessageType::append && message.from == 1 && !rig.at(1)->membership().is_joint());
        return !(cut && message.to == 3);
    });
    // C_new is on 1 and 2: a majority only if it counted itself
    CHECK(!is_joint(rig, 1));
    CHECK(rig.at(1)->role() == Role::leader);
    CHECK(rig.at(1)->propose(Payload("late"), {}, 0).status == ProposeStatus::busy);
    rig.at(1).tick(2);
    rig.run();
    CHECK(rig.at(1)->role() == Role::follower);
    CHECK(!is_joint(rig, 2) && !is_joint(rig, 3));
    // and it never stands again
    for (int i = 0; i < 100; ++i) rig.at(1).tick();
    CHECK(rig.at(1)->role() == Role::follower);
}
// thesis §4.2.2: "a server that is not part of its own latest configuration should still start new elections, as it
// might still be needed until the C_new entry is committed"
TEST(a_removed_server_stands_while_its_removal_is_not_committed) {
    Rig rig = led_by_1(3);
    change(rig, 1, target_of({2, 3}));
    rig.run([&](const Message& message) {
        return !(message.type == MessageType::append && !rig.at(1)->membership().is_joint());
    });
    CHECK(!is_joint(rig, 1));
    Driven restarted(growing(1, 3), rig.at(1).disk.load());
    restarted.time_out();
    CHECK(restarted->role() == Role::candidate);
    restarted.step(vote_reply(2, 1, restarted->term()));
    CHECK(restarted->role() == Role::candidate);  // itself does not count
    restarted.step(vote_reply(3, 1, restarted->term()));
    CHECK(restarted->role() == Role::leader);
}

TEST(one_change_at_a_time) {
    Rig rig = led_by_1(5);
    CHECK(change(rig, 1, target_of({1, 2, 3, 4})) == ProposeStatus::appended);
    CHECK(change(rig, 1, target_of({1, 2, 3, 5})) == ProposeStatus::busy);
    rig.run();
    CHECK(change(rig, 1, target_of({1, 2, 3}, {4})) == ProposeStatus::appended);
    CHECK(change(rig, 1, target_of({1, 2, 3}, {5})) == ProposeStatus::busy);
    CHECK(change(rig, 2, target_of({1, 2})) == ProposeStatus::not_leader);
}
// thesis §4.1: the next change may begin only once the configuration of the one before is committed, joint or not
TEST(a_change_that_needs_no_joint_configuration_is_one_as_well) {
    Rig rig = led_by_1(5);
    CHECK(change(rig, 1, target_of({1, 2, 3}, {4})) == ProposeStatus::appended);
    CHECK(!is_joint(rig, 1));
    CHECK(change(rig, 1, target_of({1, 2, 3}, {5})) == ProposeStatus::busy);
    CHECK_EQUAL(rig.at(1)->memberships().size(), 2U);
    rig.run();
    CHECK(change(rig, 1, target_of({1, 2, 3}, {5})) == ProposeStatus::appended);
}
TEST(a_change_is_not_over_before_c_new_is_committed) {
    Rig rig = led_by_1(4);
    change(rig, 1, target_of({1, 2, 3, 4}));
    // C_old,new is committed, C_new appended and on its maker alone
    rig.run([&](const Message& message) { return is_joint(rig, 1) || message.type != MessageType::append; });
    CHECK(!is_joint(rig, 1));
    CHECK_EQUAL(rig.at(1)->commit_index() + 1, rig.at(1)->membership().id);
    CHECK(change(rig, 1, target_of({1, 2, 3})) == ProposeStatus::busy);
    rig.at(1).tick(2);
    rig.run();
    CHECK(change(rig, 1, target_of({1, 2, 3})) == ProposeStatus::appended);
}
// the bug of single-server changes (Ongaro, raft-dev, 2015)
TEST(a_new_leader_changes_nothing_before_it_has_committed_in_its_own_term) {
    Rig rig(3);
    rig.at(1).time_out();
    rig.run([](const Message& message) { return message.type != MessageType::append_reply; });
    CHECK(rig.at(1)->role() == Role::leader);
    CHECK(change(rig, 1, target_of({1, 2})) == ProposeStatus::busy);
    rig.at(1).tick(2);
    rig.run();
    CHECK(change(rig, 1, target_of({1, 2})) == ProposeStatus::appended);
}

TEST(truncating_a_configuration_restores_the_one_before) {
    Driven node(plain_config(1, 3), {{1, 0}, {}, log_of({1})});
    const Membership joint = begin_change(Membership({1, 2, 3}), target_of({1, 4, 5}));
    node.step(append(2, 1, 1, 1, 1, {membership_entry(1, 2, joint), command_entry(1, 3)}));
    CHECK(node->membership().is_joint());
    CHECK_EQUAL(node->membership().id, 2U);
    node.step(append(3, 1, 2, 1, 1, {command_entry(2, 2)}));
    CHECK(!node->membership().is_joint());
    CHECK(node->membership().voters == (Ids{1, 2, 3}));
    CHECK_EQUAL(node->membership().id, 0U);
}
TEST(a_restart_loads_the_configuration_appended_last_committed_or_not) {
    Driven node(plain_config(1, 3), {{1, 0}, {}, log_of({1})});
    const Membership joint = begin_change(Membership({1, 2, 3}), target_of({1, 4, 5}));
    node.step(append(2, 1, 1, 1, 1, {membership_entry(1, 2, joint)}));
    CHECK_EQUAL(node->commit_index(), 0U);
    Driven restarted(plain_config(1, 3), node.disk.load());
    CHECK(restarted->membership() == node->membership());
    CHECK(restarted->membership().is_joint());
}
TEST(a_snapshot_carries_the_membership_as_of_its_index) {
    Rig rig = led_by_1(5);
    rig.propose(1, "a");
    change(rig, 1, target_of({1, 2, 3, 4}));
    rig.run();
    CHECK_EQUAL(rig.at(1)->membership().id, 4U);
    rig.at(1)->compact(2, Payload("early"));
    CHECK_EQUAL(rig.at(1)->snapshot().membership.id, 0U);
    CHECK(rig.at(1)->snapshot().membership.voters == (Ids{1, 2, 3}));
    rig.at(1)->compact(3, Payload("joint"));
    CHECK_EQUAL(rig.at(1)->snapshot().membership.id, 3U);
    CHECK(rig.at(1)->snapshot().membership.is_joint());
    CHECK_EQUAL(rig.at(1)->membership().id, 4U);
    // by the configuration's own id a node finds the entry that made it: later ones in its log are later changes
    rig.propose(1, "b");
    rig.run();
    rig.at(1)->compact(5, Payload("after"));
    CHECK_EQUAL(rig.at(1)->snapshot().membership.id, 4U);
    Driven late(growing(5, 5));
    Message message = message_of(MessageType::snapshot, 1, 5, 1);
    message.snapshot = rig.at(1)->snapshot();
    std::vector<std::byte> bytes;
    encode(message, bytes);
    Message decoded;
    CHECK(decode(bytes, decoded) == nullptr);
    late.step(decoded);
    CHECK(late->membership() == rig.at(1)->snapshot().membership);
    Driven restarted(growing(5, 5), late.disk.load());
    CHECK(restarted->membership() == late->membership());
}

// thesis §4.2.1: a new server joins "as a non-voting member": it gets the log and is not counted
TEST(a_learner_gets_the_log_and_counts_for_nothing) {
    Rig rig = led_by_1(5);
    CHECK(change(rig, 1, target_of({1, 2, 3}, {4, 5})) == ProposeStatus::appended);
    CHECK(!is_joint(rig, 1));  // no quorum changes: one entry is enough
    rig.run();
    rig.propose(1, "a");
    rig.run(Rig::among({1, 4, 5}));
    CHECK_EQUAL(rig.at(1)->commit_index(), 2U);
    CHECK_EQUAL(rig.at(4)->log().last_index(), 3U);
    rig.at(4).tick(100);
    CHECK(rig.at(4)->role() == Role::follower);
    rig.at(1).tick(2);
    rig.run(Rig::among({1, 2, 4, 5}));
    CHECK_EQUAL(rig.at(4).commands(), "a ");
}
TEST(nobody_asks_a_learner_for_its_vote_or_counts_it) {
    RaftConfig config = plain_config(1, 3);
    config.learners = {4};
    Driven node(config);
    node.time_out();
    for (const Message& request : node.take()) CHECK(request.to != 4);
    node.step(vote_reply(4, 1, node->term()));
    CHECK(node->role() == Role::candidate);
}
// "a voter answers the request": the candidate's configuration says who counts, and a learner may lack the entry that
// made it a voter
TEST(a_learner_that_was_promoted_without_knowing_it_votes) {
    RaftConfig config = plain_config(4, 3);
    config.learners = {4};
    Driven node(config);
    CHECK(!node.step(vote_request(1, 4, 1, 0, 0))[0].reject);
    // and it votes for one it has never heard of
    CHECK(!node.step(vote_request(9, 4, 2, 0, 0))[0].reject);
}
TEST(a_learner_is_promoted_and_a_voter_demoted) {
    Rig rig = led_by_1(4);
    change(rig, 1, target_of({1, 2, 3}, {4}));
    rig.run();
    CHECK(change(rig, 1, target_of({1, 2, 4}, {3})) == ProposeStatus::appended);
    rig.run();
    CHECK(rig.at(4)->membership().voters == (Ids{1, 2, 4}));
    CHECK(rig.at(3)->membership().learners == (Ids{3}));
    rig.propose(1, "a");
    rig.run(Rig::among({1, 3}));
    CHECK(rig.at(1)->commit_index() < rig.at(1)->log().last_index());
    rig.at(1).tick(2);
    rig.run(Rig::among({1, 4}));
    CHECK_EQUAL(rig.at(1)->commit_index(), rig.at(1)->log().last_index());
}

TEST(a_witness_votes_and_counts_without_the_commands_and_never_leads) {
    const auto with_witness = [](NodeId id, std::size_t nodes) {
        RaftConfig config = plain_config(id, nodes);
        config.witnesses = {3};
        return config;
    };
    Rig rig(3, with_witness);
    rig.elect(1, {1, 3});
    CHECK(rig.at(1)->role() == Role::leader);
    rig.propose(1, "secret");
    rig.run(Rig::among({1, 3}));
    CHECK_EQUAL(rig.at(1)->commit_index(), 2U);
    CHECK_EQUAL(rig.at(1).commands(), "secret ");
    const Entry& held = rig.at(3)->log().at(2);
    CHECK(held.term == 1 && held.kind == EntryKind::command && held.command.empty());
    rig.at(1).tick(2);
    rig.run(Rig::among({1, 3}));
    CHECK_EQUAL(rig.at(3)->applied_index(), 2U);
    CHECK(rig.at(3).committed.empty());
    rig.at(3).tick(100);
    CHECK(rig.at(3)->role() == Role::follower);
    // node 2 lacks what is committed: the witness keeps it from leading
    rig.elect(2, {2, 3});
    CHECK(rig.at(2)->role() != Role::leader);
}
TEST(a_witness_gets_a_snapshot_without_the_state) {
    RaftConfig config = plain_config(1, 3);
    config.witnesses = {3};
    Rig rig(3, [](NodeId id, std::size_t nodes) {
        RaftConfig each = plain_config(id, nodes);
        each.witnesses = {3};
        return each;
    });
    rig.elect(1, {1, 2});
    rig.propose(1, "a");
    rig.run(Rig::among({1, 2}));
    rig.at(1)->compact(2, Payload("state"));
    rig.at(1).tick(2);
    rig.run();
    CHECK_EQUAL(rig.at(3)->snapshot().index, 2U);
    CHECK(rig.at(3)->snapshot().state.empty());
}
// What others hold of it must be on the leader's own disk: an entry whose command is nowhere would keep the witness
// from ever voting again.
TEST(a_witness_hears_only_of_what_the_leaders_disk_has) {
    RaftConfig config = plain_config(1, 3);
    config.witnesses = {3};
    config.async_storage = true;
    RaftNode node(config);
    const auto sent = [&] {
        std::map<NodeId, std::size_t> entries;
        while (node.has_ready()) {
            for (const Message& message : node.ready().messages) entries[message.to] += message.entries.size();
            node.advance();
        }
        return entries;
    };
    while (node.role() == Role::follower) node.tick();
    sent();
    node.stored(1);
    sent();
    node.step(vote_reply(2, 1, 1));
    auto entries = sent();
    CHECK_EQUAL(entries[2], 1U);
    CHECK_EQUAL(entries[3], 0U);
    node.stored(2);
    for (const NodeId other : {2U, 3U}) node.step(append_reply(other, 1, 1, other == 2 ? 1 : 0));
    entries = sent();
    CHECK_EQUAL(entries[3], 1U);
}
TEST(a_node_that_is_not_what_the_membership_says_stops) {
    Driven node(growing(4, 5));
    Membership wrong = target_of({1, 2, 3, 4}, {}, {4});
    CHECK_THROWS(node.step(append(1, 4, 1, 0, 0, {membership_entry(1, 1, wrong)})), InvariantError,
                 "it was not built as a witness and is one in the membership at index 1");
}

TEST(a_change_that_cannot_be_says_why) {
    const Membership old = target_of({1, 2, 3}, {4}, {3});
    const auto refused = [&](const Membership& target, const std::string& text) {
        CHECK_THROWS((void)begin_change(old, target), ConfigError, text);
    };
    refused(target_of({}), "a cluster has 1 to 63 nodes, got 0; 3 or 5 is usual");
    refused(target_of({0, 1}), "node ids start at 1, got 0");
    refused(target_of({1, 1}), "node ids must differ, got 1 twice");
    refused(target_of({1, 2}, {2}), "a node is a voter or a learner, got 2 as both");
    refused(target_of({1, 2}, {}, {5}), "a witness is one of the voters, got 5");
    refused(target_of({3}, {}, {3}), "a cluster needs a voter that is no witness, got 1 voters, all of them witnesses");
    refused(target_of({1, 2, 3}), "a node is a witness for as long as it lives, got 3 changed");
    Membership joint = target_of({1, 2, 3}, {}, {3});
    joint.outgoing = {1};
    refused(joint, "a change is asked for by its end, got a joint configuration");
}
TEST(hostile_memberships_are_dropped) {
    Driven node(plain_config(1, 3));
    for (Membership wrong : {target_of({}), target_of({2, 2}), target_of({1}, {1})}) {
        node.step(append(2, 1, 1, 0, 0, {membership_entry(1, 1, wrong)}));
        CHECK_EQUAL(node->log().last_index(), 0U);
    }
    CHECK_EQUAL(node->counters().dropped, 3U);
}

TEST_MAIN
