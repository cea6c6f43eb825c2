// Multi-Paxos: who takes part is itself chosen, and takes effect a window behind its slot (Paxos Made Simple §3: "the
// set of servers that execute instance i of the consensus algorithm is specified by the state after execution of
// command i - alpha").
#include <functional>
#include <map>

#include "check.hpp"
#include "paxos_rig.hpp"

using namespace fastmas::testing;
using fastmas::base::ConfigError;
using fastmas::base::Payload;

namespace {

Membership members(std::vector<NodeId> voters, std::vector<NodeId> learners = {}, Quorums quorums = {}) {
    Membership membership;
    membership.voters = std::move(voters);
    membership.learners = std::move(learners);
    membership.quorums = quorums;
    return membership;
}

// Nodes 1 to n of which the first few begin; the others join.
struct Cluster {
    std::map<NodeId, Driven> nodes;
    std::vector<Message> wire;
    std::function<bool(const Message&)> is_lost = [](const Message&) { return false; };
    std::size_t began;
    std::size_t window;

    Cluster(std::size_t begins, std::size_t all, std::size_t of_window) : began(begins), window(of_window) {
        for (NodeId id = 1; id <= all; ++id) nodes.emplace(id, Driven(config(id)));
    }
    PaxosConfig config(NodeId id) const {
        PaxosConfig of = plain_config(id, began);
        of.window = window;
        of.joining = id > began;
        return of;
    }
    Driven& operator[](NodeId id) { return nodes.at(id); }
    void collect() {
        for (auto& [id, node] : nodes)
            for (Message& message : node.take()) wire.push_back(std::move(message));
    }
    void settle() {
        collect();
        for (int i = 0; i < 10'000 && !wire.empty(); ++i) {
            const Message message = wire.front();
            wire.erase(wire.begin());
            if (nodes.count(message.to) != 0 && !is_lost(message)) nodes.at(message.to)->step(message);
            collect();
        }
    }
    void elect(NodeId id) {
        for (int i = 0; i < 300 && nodes.at(id)->role() != Role::leader; ++i) {
            nodes.at(id)->tick();
            settle();
        }
        CHECK(nodes.at(id)->role() == Role::leader);
    }
    void beat(NodeId id, int times = 2) {
        for (int i = 0; i < times * 2; ++i) {
            nodes.at(id)->tick();
            settle();
        }
    }
    Proposal propose(NodeId id, const char* text) {
        const Proposal proposal = nodes.at(id)->propose(Payload(std::string_view(text)), {}, 0);
        settle();
        return proposal;
    }
    Proposal change(NodeId id, Membership target) {
        const Proposal proposal = nodes.at(id)->change_membership(std::move(target), 0);
        settle();
        return proposal;
    }
    void restart(NodeId id) {
        Driven again(config(id), nodes.at(id).disk.load());
        nodes.at(id) = std::move(again);
    }
};

}  // namespace

TEST(a_change_takes_effect_a_window_behind_its_slot) {
    Cluster cluster(3, 4, 5);
    cluster.elect(1);
    (void)cluster.propose(1, "a");
    const Proposal proposal = cluster.change(1, members({1, 2, 3}, {4}));
    CHECK(proposal.status == ProposeStatus::appended && proposal.index == 2);
    cluster.beat(1);
    for (const NodeId id : {1U, 2U, 3U, 4U}) {
        // the leader brought it into force with no-ops
        CHECK_EQUAL(cluster[id]->commit_index(), 6U);
        CHECK_EQUAL(cluster[id]->membership().id, 2U);
        CHECK_EQUAL(cluster[id]->membership().from, 7U);
    }
    CHECK_EQUAL(cluster[4].applied(), cluster[1].applied());
    CHECK_EQUAL(cluster[1]->counters().fillers, 4U);
}

TEST(nobody_proposes_beyond_the_window) {
    Cluster cluster(3, 3, 3);
    cluster.elect(1);
    cluster.is_lost = [](const Message& message) { return message.type == MessageType::accepted; };
    for (const char* text : {"a", "b", "c"}) CHECK(cluster.propose(1, text).status == ProposeStatus::appended);
    CHECK(cluster.propose(1, "d").status == ProposeStatus::full);
    // and what is proposed there all the same is not taken
    Driven node(cluster.config(2));
    CHECK(node.step(accept_of(1, 2, {1, 1}, 0, {"a", "b", "c", "d"})).empty());
    CHECK_EQUAL(node->counters().dropped, 1U);
}

TEST(what_phase_1_found_beyond_the_window_waits_for_it) {
    PaxosConfig config = plain_config(2, 3);
    config.window = 2;
    Driven node(config);
    (void)node.time_out();
    const Ballot old{1, 1};
    // slots 1 and 2 are chosen, and somebody knew that; this node is not told
    const auto sent = node.step(
        promise_of(1, 2, node->ballot(), 0, {entry_of(old, 1, "a"), entry_of(old, 2, "b"), entry_of(old, 4, "d")}));
    CHECK(node->role() == Role::leader);
    CHECK_EQUAL(sent[0].entries.size(), 2U);
    CHECK(node->propose(Payload(), {}, 0).status == ProposeStatus::full);
    (void)node.step(accepted_of(1, 2, node->ballot(), 0, 2));
    CHECK_EQUAL(node.log(), "a/1.2 b/1.2 noop/1.2 d/1.2");
}

// No vote of the new configuration counts a slot early, none of the old one a slot late.
TEST(each_slot_is_chosen_by_its_own_configuration) {
    Cluster cluster(1, 2, 3);
    cluster.elect(1);
    (void)cluster.change(1, members({1}, {2}));
    cluster.beat(1);
    const Index before = cluster[1]->commit_index();
    const Index slot = cluster.change(1, members({2})).index;
    CHECK_EQUAL(slot, before + 1);
    cluster.beat(1);
    // node 1 decided alone up to the last slot before the new configuration's, and then gave way
    CHECK_EQUAL(cluster[1]->commit_index(), slot + 2);
    CHECK(cluster[1]->role() == Role::follower);
    CHECK(cluster.propose(1, "x").status == ProposeStatus::not_leader);
    cluster.elect(2);
    CHECK(cluster.propose(2, "x").status == ProposeStatus::appended);
    CHECK_EQUAL(cluster[2]->commit_index(), slot + 3);
}

TEST(phase_1_begins_anew_in_the_new_configuration) {
    Cluster cluster(3, 5, 4);
    cluster.elect(1);
    (void)cluster.change(1, members({1, 2, 3}, {4, 5}));
    cluster.beat(1);
    const Ballot before = cluster[1]->ballot();
    (void)cluster.change(1, members({1, 4, 5}));
    cluster.beat(1);
    CHECK(cluster[1]->role() == Role::leader);
    CHECK(cluster[1]->ballot() > before);
    CHECK(cluster[4]->promised() == cluster[1]->ballot());
    // those that left decide nothing any more
    cluster.is_lost = [](const Message& message) { return message.to > 3 || message.from > 3; };
    const Index commit = cluster[1]->commit_index();
    (void)cluster.propose(1, "x");
    CHECK_EQUAL(cluster[1]->commit_index(), commit);
    cluster.is_lost = [](const Message&) { return false; };
    cluster.beat(1);
    CHECK_EQUAL(cluster[1]->commit_index(), commit + 1);
}

// A leader that knows of a change to come has asked both: it may propose on both sides of the boundary.
TEST(phase_1_asks_every_configuration_that_may_govern_an_open_slot) {
    Cluster cluster(3, 5, 6);
    cluster.elect(1);
    (void)cluster.change(1, members({1, 2, 3}, {4, 5}));
    cluster.beat(1);
    // the change is chosen and known to node 1 and 2; what follows is not proposed: the new voters do not answer
    cluster.is_lost = [](const Message& message) { return message.from > 3; };
    const Index slot = cluster.change(1, members({3, 4, 5})).index;
    cluster.beat(1);
    CHECK_EQUAL(cluster[2]->commit_index(), slot);
    CHECK_EQUAL(cluster[2]->memberships().back().id, slot);
    cluster.nodes.erase(1);
    for (int i = 0; i < 60; ++i) {
        cluster[2]->tick();
        cluster.settle();
    }
    // a prepare quorum of the old configuration, none of the new one
    CHECK(cluster[2]->role() == Role::preparing);
    cluster.is_lost = [](const Message&) { return false; };
    for (int i = 0; i < 60; ++i) {
        cluster[2]->tick();
        cluster.settle();
    }
    // it led until those that stay knew
    CHECK(cluster[2]->counters().leaderships == 1 && cluster[2]->role() == Role::follower);
    for (const NodeId id : {2U, 3U, 4U, 5U}) CHECK_EQUAL(cluster[id]->membership().id, slot);
}

// Else those that leave may know that they are out, and those that come do not know that they are in: nobody stands.
TEST(the_last_slot_of_the_old_configuration_waits_until_a_quorum_of_the_new_one_knows) {
    Cluster cluster(3, 5, 5);
    cluster.elect(1);
    (void)cluster.change(1, members({1, 2, 3}, {4, 5}));
    cluster.beat(1);
    cluster.is_lost = [](const Message& message) { return message.from > 3; };
    const Index slot = cluster.change(1, members({4, 5})).index;
    cluster.beat(1);
    // commands go on meanwhile, up to the slot before the last one
    for (Index index = slot + 1; index < slot + 4; ++index) CHECK_EQUAL(cluster.propose(1, "x").index, index);
    CHECK(cluster.propose(1, "x").status == ProposeStatus::busy);
    CHECK_EQUAL(cluster[1]->membership().id, 1U);
    cluster.is_lost = [](const Message&) { return false; };
    cluster.beat(1, 4);
    CHECK_EQUAL(cluster[1]->membership().id, slot);
    CHECK(cluster[1]->role() == Role::follower);
    // whoever is out does not stand; whoever is in does
    for (int i = 0; i < 100; ++i) cluster[2]->tick();
    CHECK(cluster[2]->role() == Role::follower && cluster[2].take().empty());
    cluster.elect(4);
}

// The window reaches that far while the change itself is not chosen yet, if all before it is.
TEST(the_last_slot_waits_although_it_could_be_proposed_before_its_change_is_chosen) {
    Cluster cluster(3, 4, 5);
    cluster.elect(1);
    (void)cluster.change(1, members({1, 2, 3}, {4}));
    cluster.beat(1);
    cluster.is_lost = [](const Message& message) { return message.from == 4 || message.to == 4; };
    const Index slot = cluster[1]->change_membership(members({4}), 0).index;
    CHECK_EQUAL(slot, cluster[1]->commit_index() + 1);
    const auto propose = [&] { return cluster[1]->propose(Payload(std::string_view("x")), {}, 0); };
    for (Index index = slot + 1; index < slot + 4; ++index) CHECK_EQUAL(propose().index, index);
    CHECK(propose().status == ProposeStatus::busy);
    cluster.settle();
    cluster.beat(1, 4);
    for (const NodeId id : {1U, 2U, 3U}) CHECK_EQUAL(cluster[id]->commit_index(), slot + 3);
    // whoever leads next is still one of them, and the newcomer hears of it
    cluster.is_lost = [](const Message& message) { return message.from == 1 || message.to == 1; };
    for (int i = 0; i < 100; ++i) {
        cluster[2]->tick();
        cluster.settle();
    }
    CHECK(cluster[2]->counters().leaderships == 1 && cluster[2]->role() == Role::follower);
    cluster.elect(4);
}

TEST(a_change_made_from_an_older_configuration_is_void) {
    Driven node([] {
        PaxosConfig of = plain_config(2, 3);
        of.window = 4;
        return of;
    }());
    const auto entry = [](Index index, Index replaces, Membership target) {
        target.quorums = checked({}, target.voters.size());
        return Entry{{1, 1}, index, 0, {}, EntryKind::membership, encode(Change{replaces, 4, target})};
    };
    Message message = message_of(MessageType::accept, 1, 2, {1, 1});
    message.entries = {entry(1, 0, members({1, 2})), entry(2, 0, members({1, 3})), entry(3, 1, members({2, 3}))};
    message.commit = 3;
    (void)node.step(message);
    // the second is of the same one, the third comes before its own is in force
    CHECK_EQUAL(node->memberships().size(), 2U);
    CHECK(node->memberships().back().voters == (std::vector<NodeId>{1, 2}));
    CHECK_EQUAL(node->memberships().back().from, 5U);
}

TEST(a_node_with_another_window_stops) {
    Driven node(plain_config(2, 3));
    Message message = message_of(MessageType::accept, 1, 2, {1, 1});
    Membership target = members({1, 2});
    target.quorums = {2, 1};
    message.entries = {{{1, 1}, 1, 0, {}, EntryKind::membership, encode(Change{0, 7, target})}};
    message.commit = 1;
    CHECK_THROWS(node->step(message), fastmas::base::InvariantError, "a window of 7, and this node has 4096");
}

TEST(what_a_node_says_that_it_knows_of_its_members_is_on_its_disk) {
    Cluster cluster(1, 2, 4);
    cluster.elect(1);
    (void)cluster.change(1, members({1}, {2}));
    cluster.beat(1);
    CHECK_EQUAL(cluster[2]->membership().id, 1U);
    CHECK(cluster[2].disk.hard_state().commit >= 4U);
    cluster.restart(2);
    CHECK_EQUAL(cluster[2]->membership().id, 1U);
}

TEST(a_snapshot_carries_the_configuration_left_in_force_and_to_come) {
    Cluster cluster(2, 3, 4);
    cluster.elect(1);
    (void)cluster.change(1, members({1, 2}, {3}));
    cluster.beat(1);
    cluster.is_lost = [](const Message& message) { return message.from == 3; };
    const Index slot = cluster.change(1, members({2, 3})).index;
    cluster.beat(1);
    CHECK_EQUAL(cluster[1]->commit_index(), slot);
    const std::vector<Membership> known = cluster[1]->memberships_at(slot);
    CHECK_EQUAL(known.size(), 3U);
    CHECK(known[0].id == 0 && known[1].id == 1 && known[2].id == slot && known[2].from == slot + 4);
    CHECK_EQUAL(cluster[1]->memberships_at(slot - 1).size(), 2U);
    cluster[1]->compact(slot, Payload(std::string_view("s")));
    CHECK(cluster[1]->snapshot().memberships == known);
    // a node that has the snapshot only knows all of it, also after a restart
    Driven late(cluster.config(3));
    Message message = message_of(MessageType::snapshot, 1, 3, cluster[1]->ballot());
    message.flag = true;
    message.snapshot = cluster[1]->snapshot();
    (void)late.step(message);
    CHECK(late->membership() == known[1] && late->memberships() == known);
    Driven again(cluster.config(3), late.disk.load());
    CHECK(again->memberships() == known);
}

TEST(learners_hear_everything_and_never_count) {
    Cluster cluster(3, 5, 4);
    cluster.elect(1);
    (void)cluster.change(1, members({1, 2, 3}, {4, 5}));
    cluster.beat(1);
    cluster.is_lost = [](const Message& message) { return message.to == 2 || message.to == 3; };
    const Index commit = cluster[1]->commit_index();
    (void)cluster.propose(1, "x");
    CHECK_EQUAL(cluster[4]->log().last_index(), commit + 1);
    CHECK_EQUAL(cluster[1]->commit_index(), commit);
    for (int i = 0; i < 100; ++i) cluster[4]->tick();
    CHECK(cluster[4]->role() == Role::follower && cluster[4].take().empty());
}

TEST(one_change_at_a_time) {
    Cluster cluster(3, 4, 4);
    CHECK(cluster[1]->change_membership(members({1, 2}), 0).status == ProposeStatus::not_leader);
    cluster.elect(1);
    cluster.is_lost = [](const Message& message) { return message.type == MessageType::accepted; };
    CHECK(cluster.change(1, members({1, 2, 3}, {4})).status == ProposeStatus::appended);
    CHECK(cluster.change(1, members({1, 2})).status == ProposeStatus::busy);
    CHECK(cluster[1]->change_is_open());
    cluster.is_lost = [](const Message&) { return false; };
    cluster.beat(1, 3);
    CHECK(!cluster[1]->change_is_open());
    CHECK(cluster.change(1, members({1, 2})).status == ProposeStatus::appended);
}

TEST(a_change_waits_until_its_voters_have_caught_up) {
    Cluster cluster(1, 2, 4);
    cluster.elect(1);
    cluster.is_lost = [](const Message& message) { return message.to == 2; };
    (void)cluster.change(1, members({1}, {2}));
    cluster.beat(1);
    CHECK(cluster.change(1, members({1, 2})).status == ProposeStatus::busy);
    cluster.is_lost = [](const Message&) { return false; };
    cluster.beat(1);
    CHECK(cluster.change(1, members({1, 2})).status == ProposeStatus::appended);
}

TEST(whoever_did_not_hear_that_it_is_out_is_told) {
    Cluster cluster(3, 3, 4);
    cluster.elect(1);
    cluster.is_lost = [](const Message& message) { return message.to == 3; };
    const Index slot = cluster.change(1, members({1, 2})).index;
    cluster.beat(1);
    CHECK_EQUAL(cluster[1]->membership().id, slot);
    CHECK_EQUAL(cluster[3]->membership().id, 0U);
    cluster.is_lost = [](const Message&) { return false; };
    cluster.beat(1, 4);
    CHECK_EQUAL(cluster[3]->membership().id, slot);
    cluster.wire.clear();
    cluster[1]->tick();
    cluster[1]->tick();
    for (const Message& message : cluster[1].take()) CHECK(message.to != 3);
}

TEST(a_node_that_is_out_and_does_not_know_gets_no_promise) {
    Cluster cluster(3, 3, 4);
    cluster.elect(1);
    cluster.is_lost = [](const Message& message) { return message.to == 3; };
    (void)cluster.change(1, members({1, 2}));
    cluster.beat(1);
    const Ballot before = cluster[2]->promised();
    for (const Message& message : cluster[3].time_out())
        if (message.to == 2) (void)cluster[2].step(message);
    CHECK(cluster[2]->promised() == before);
}

TEST(flexible_quorums_are_those_of_the_configuration) {
    Cluster cluster(3, 4, 4);
    cluster.elect(1);
    CHECK_THROWS(cluster[1]->change_membership(members({1, 2, 3}, {}, {2, 1}), 0), ConfigError,
                 "every prepare quorum must share a node with every accept quorum, got 2 and 1 of 3 nodes");
    (void)cluster.change(1, members({1, 2, 3}, {}, {3, 1}));
    cluster.beat(1);
    CHECK(cluster[1]->role() == Role::leader && cluster[1]->membership().quorums == (Quorums{3, 1}));
    cluster.is_lost = [](const Message&) { return true; };
    const Index commit = cluster[1]->commit_index();
    (void)cluster.propose(1, "x");
    CHECK_EQUAL(cluster[1]->commit_index(), commit + 1);
}

TEST(a_target_that_cannot_be_is_told) {
    Cluster cluster(3, 3, 4);
    cluster.elect(1);
    const auto refuses = [&](Membership target, const char* text) {
        CHECK_THROWS(cluster[1]->change_membership(std::move(target), 0), ConfigError, text);
    };
    refuses(members({}), "a cluster has 1 to 63 nodes, got 0");
    refuses(members({1, 1}), "node ids must differ, got 1 twice");
    refuses(members({0, 1}), "node ids start at 1, got 0");
    refuses(members({1, 2}, {2}), "a node is a voter or a learner, got 2 as both");
    refuses(members({1, 2, 9}), "a node joins as a learner, got 9 as a new voter");
    PaxosConfig config = plain_config(1, 3);
    config.window = 1;
    CHECK_THROWS(PaxosNode{config}, ConfigError, "window must be 2 to max_open_slots (1048576), got 1; try 4096");
    config.window = 4;
    config.joining = true;
    CHECK_THROWS(PaxosNode{config}, ConfigError, "joining is for a node that is not one of the cluster's, got id 1");
}

// The first found it: each thought that the other lacked what it had compacted, and neither listened.
TEST(of_two_leaders_that_send_one_another_snapshots_the_lower_ballot_gives_in) {
    Driven node(plain_config(1, 3));
    const Ballot ballot = node.lead();
    Message message = message_of(MessageType::snapshot, 2, 1, {ballot.number + 1, 2});
    message.flag = true;
    message.snapshot = {5, 0, members_of(3), Payload(std::string_view("state")), {ballot.number + 1, 2}};
    const auto replies = node.step(message);
    CHECK(node->role() == Role::follower && node->commit_index() == 5);
    CHECK(replies[0].type == MessageType::accepted && replies[0].commit == 5);
    Driven higher(plain_config(3, 3));
    (void)higher.lead();
    message.to = 3;
    message.from = 1;
    message.ballot = message.snapshot.ballot = {1, 1};
    CHECK(higher.step(message)[0].type == MessageType::refuse);
}

TEST_MAIN
