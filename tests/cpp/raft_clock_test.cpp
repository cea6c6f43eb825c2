// Clocks that are wrong: the log's time never falls, so what one of them says is believed only as far as a majority's
// agree.
#include "base/errors.hpp"
#include "check.hpp"
#include "raft_rig.hpp"

using namespace fastmas::testing;
using fastmas::base::ConfigError;
using fastmas::base::Payload;

namespace {

constexpr std::int64_t kNow = 1'000'000, kYear = 31'536'000'000'000'000;

RaftConfig config_with_bound(NodeId id, std::size_t nodes) {
    RaftConfig config = config_of(id, nodes);
    config.max_clock_ahead_ns = 100;
    return config;
}

// Three nodes with clocks, and node 1 leading.
Rig led_by_1(const std::function<RaftConfig(NodeId, std::size_t)>& config = config_with_bound) {
    Rig rig(3, config);
    for (auto& [id, node] : rig.nodes) {
        node->set_clock(kNow);
        node.tick(10);
    }
    for (int i = 0; i < 30 && rig.at(1)->role() != Role::leader; ++i) rig.elect(1, {1, 2, 3});
    CHECK(rig.at(1)->role() == Role::leader);
    return rig;
}

Message stamped(std::int64_t time_ns, Index commit = 0) {
    Entry entry = command_entry(1, 1);
    entry.time_ns = time_ns;
    return append(2, 1, 1, 0, 0, {entry}, commit);
}

Driven follower() {
    Driven node(config_with_bound(1, 3), {{1, 0}, {}, {}});
    node->set_clock(kNow);
    return node;
}

// The others wait far longer before they stand: they do not vote it back into office each time.
RaftConfig with_node_1_first(NodeId id, std::size_t nodes) {
    RaftConfig config = config_with_bound(id, nodes);
    config.priority = id == 1 ? 0 : 3;
    return config;
}

}  // namespace

TEST(an_entry_from_the_future_is_not_acknowledged) {
    CHECK_EQUAL(follower().step(stamped(kNow + 100)).size(), 1U);
    Driven node = follower();
    CHECK(node.step(stamped(kNow + 101)).empty());
    CHECK_EQUAL(node->log().last_index(), 0U);
    CHECK_EQUAL(node->leader(), kNoNode);
    // nor is anything else of that leader: its heartbeats would keep it in office
    CHECK(node.step(append(2, 1, 1, 0, 0)).empty());
    Message snapshot = message_of(MessageType::snapshot, 2, 1, 1);
    snapshot.snapshot = SnapshotPart(Snapshot{3, 1, 0, voters(3), Payload("s")});
    CHECK(node.step(snapshot).empty());
    CHECK_EQUAL(node->counters().early_leaders, 1U);
}
TEST(the_clock_may_come_that_far) {
    Driven node = follower();
    node.step(stamped(kNow + 500));
    node->set_clock(kNow + 399);
    CHECK(node.step(stamped(kNow + 500)).empty());
    node->set_clock(kNow + 400);
    CHECK_EQUAL(node.step(stamped(kNow + 500)).size(), 1U);
    CHECK_EQUAL(node->leader(), 2U);
}
TEST(the_next_leader_is_heard) {
    Driven node = follower();
    node.step(stamped(kNow + 500));
    CHECK_EQUAL(node.step(append(3, 1, 2, 0, 0)).size(), 1U);
    CHECK_EQUAL(node->leader(), 3U);
}
TEST(what_is_committed_is_taken_by_a_node_whose_clock_is_slow) {
    Driven node = follower();
    node.step(stamped(kNow + kYear, 1));
    CHECK_EQUAL(node->commit_index(), 1U);
}
TEST(without_a_clock_every_time_is_believed) {
    Driven node(config_with_bound(1, 3), {{1, 0}, {}, {}});
    CHECK_EQUAL(node.step(stamped(INT64_MAX)).size(), 1U);
}
TEST(a_leader_refuses_what_is_ahead_of_its_own_clock) {
    Rig rig = led_by_1();
    CHECK(rig.at(1)->propose(Payload("x"), {}, kNow + 101).status == ProposeStatus::refused);
    CHECK(rig.at(1)->change_membership(Membership({1, 2}), kNow + 101).status == ProposeStatus::refused);
    CHECK(rig.at(1)->propose(Payload("x"), {}, kNow + 100).status == ProposeStatus::appended);
}
TEST(a_leader_with_a_wild_clock_commits_nothing_and_loses_office) {
    for (const auto& config : {config_with_bound, with_node_1_first}) {
        Rig rig = led_by_1(config);
        rig.at(1)->set_clock(kNow + kYear);
        CHECK(rig.at(1)->propose(Payload("wild"), {}, kNow + kYear).status == ProposeStatus::appended);
        for (int i = 0; i < 2'000 && rig.at(2)->role() != Role::leader && rig.at(3)->role() != Role::leader; ++i) {
            for (auto& [id, node] : rig.nodes) node.tick();
            rig.run();
        }
        CHECK(rig.at(1)->role() == Role::follower);
        const NodeId next = rig.at(2)->role() == Role::leader ? 2 : 3;
        CHECK(rig.at(next)->propose(Payload("sane"), {}, kNow + 5).status == ProposeStatus::appended);
        rig.run();
        rig.at(next).tick(2);
        rig.run();
        for (const NodeId id : {1U, 2U, 3U}) {
            CHECK_EQUAL(rig.at(id).commands(), "sane ");
            CHECK_EQUAL(rig.at(id).committed.back().time_ns, kNow + 5);
        }
        // whose wild entry is gone may lead again
        rig.at(1)->set_clock(kNow);
        CHECK(rig.at(next)->transfer_leadership(1) == ProposeStatus::appended);
        rig.run();
        CHECK(rig.at(1)->role() == Role::leader);
    }
}
TEST(a_bound_that_cannot_be_says_why) {
    RaftConfig config = config_of(1, 3);
    config.max_clock_ahead_ns = -1;
    CHECK_THROWS(validate(config), ConfigError, "max_clock_ahead_ns must not be negative, got -1");
}

TEST_MAIN
