// Multi-Paxos with asynchronous storage: what waits for the disk, what does not, and what counts when (PITFALLS 26).
#include "check.hpp"
#include "paxos_rig.hpp"

using namespace fastmas::testing;
using fastmas::base::ConfigError;
using fastmas::base::Payload;

namespace {

PaxosConfig async_config(NodeId id, std::size_t nodes) {
    PaxosConfig config = plain_config(id, nodes);
    config.async_storage = true;
    config.hung_write_ticks = 1'000;
    return config;
}

// Hands every write to a disk that finishes none until it is told to.
struct Slow {
    PaxosNode node;
    SimDisk disk;
    std::vector<Message> sent;
    std::string applied;
    std::uint64_t handed_out = 0;

    explicit Slow(const PaxosConfig& config) : node(config), disk(config.nodes) {}
    std::vector<Message> pump() {
        while (node.has_ready()) {
            const Ready& ready = node.ready();
            if (ready.must_sync) {
                CHECK_EQUAL(ready.write, handed_out + 1);
                handed_out = ready.write;
                disk.stage(ready);
            }
            sent.insert(sent.end(), ready.messages.begin(), ready.messages.end());
            for (const Entry& entry : ready.committed) applied += std::string(entry.command.text()) + " ";
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
    void propose(const char* text) {
        CHECK(node.propose(Payload(std::string_view(text)), {}, 0).status == ProposeStatus::appended);
        sent = pump();
    }
    bool leads() const { return node.role() == Role::leader; }
};

Slow leader(const PaxosConfig& config = async_config(1, 3)) {
    Slow slow(config);
    CHECK(slow.time_out().empty());  // a ballot that is not stored is not spoken of (PITFALLS 29)
    CHECK_EQUAL(slow.finish().size(), 2U);
    (void)slow.step(promise_of(2, 1, slow.node.ballot(), 0, {}));
    CHECK(slow.leads());
    return slow;
}

}  // namespace

TEST(promises_and_acceptances_wait_until_they_are_durable) {
    Slow slow(async_config(2, 3));
    CHECK(slow.step(message_of(MessageType::prepare, 1, 2, {3, 1})).empty());
    CHECK(slow.step(accept_of(1, 2, {3, 1}, 0, {"a"})).empty());
    auto said = slow.finish();
    CHECK(said.size() == 1 && said[0].type == MessageType::promise);
    CHECK(slow.disk.hard_state().promised == (Ballot{3, 1}));
    said = slow.finish();
    CHECK(said.size() == 1 && said[0].type == MessageType::accepted && said[0].last == 1);
    // the same again asks for no write, and waits for none
    CHECK_EQUAL(slow.step(accept_of(1, 2, {3, 1}, 0, {"a"})).size(), 1U);
}

TEST(a_heartbeat_is_answered_while_the_disk_is_slow) {
    Slow slow(async_config(2, 3));
    CHECK(slow.step(accept_of(1, 2, {1, 1}, 0, {})).empty());  // of a ballot that is not durable yet
    CHECK_EQUAL(slow.finish().size(), 1U);
    CHECK(slow.step(accept_of(1, 2, {1, 1}, 0, {"a"})).empty());
    const auto said = slow.step(accept_of(1, 2, {1, 1}, 1, {}));
    CHECK(said.size() == 1 && said[0].last == said[0].index);
    CHECK_EQUAL(slow.finish().size(), 1U);
}

TEST(what_was_accepted_a_moment_ago_is_told_once_it_is_durable) {
    Slow slow(async_config(2, 3));
    CHECK(slow.step(accept_of(1, 2, {1, 1}, 0, {"a"})).empty());
    CHECK(slow.step(message_of(MessageType::prepare, 3, 2, {2, 3})).empty());
    CHECK(slow.step(accept_of(1, 2, {1, 1}, 0, {"a"}))[0].type == MessageType::refuse);  // promises nothing
    auto said = slow.finish();
    // it did accept; that it is bound to a higher ballot by now makes it no less true
    CHECK(said.size() == 1 && said[0].type == MessageType::accepted && said[0].ballot == (Ballot{1, 1}));
    said = slow.finish();
    CHECK(said.size() == 1 && said[0].type == MessageType::promise && said[0].entries.size() == 1);
}

TEST(a_leader_counts_itself_as_far_as_its_disk_is) {
    Slow slow = leader();
    slow.propose("a");
    CHECK_EQUAL(slow.sent.size(), 2U);  // they may store it meanwhile
    (void)slow.step(accepted_of(2, 1, slow.node.ballot(), 0, 1));
    CHECK_EQUAL(slow.node.commit_index(), 0U);
    (void)slow.finish();
    CHECK_EQUAL(slow.node.commit_index(), 1U);
    CHECK_EQUAL(slow.applied, "a ");
}

TEST(what_others_made_durable_is_applied_once_it_is_here) {
    Slow slow = leader();
    slow.propose("a");
    (void)slow.step(accepted_of(2, 1, slow.node.ballot(), 0, 1));
    (void)slow.step(accepted_of(3, 1, slow.node.ballot(), 0, 1));
    CHECK_EQUAL(slow.node.commit_index(), 1U);
    CHECK_EQUAL(slow.applied, "");
    CHECK_THROWS(slow.node.compact(1, {}), ConfigError, "compact takes an applied index");
    (void)slow.finish();
    CHECK_EQUAL(slow.applied, "a ");

    Slow follower(async_config(2, 3));
    (void)follower.step(accept_of(1, 2, {1, 1}, 1, {"b"}, 0));
    (void)follower.step(accept_of(1, 2, {1, 1}, 0, {"a"}, 2));
    CHECK_EQUAL(follower.node.commit_index(), 2U);
    (void)follower.finish();
    CHECK_EQUAL(follower.applied, "");  // slot 1 is on its way
    CHECK_EQUAL(follower.disk.hard_state().commit, 0U);
    (void)follower.finish();
    CHECK_EQUAL(follower.applied, "a b ");
    CHECK_EQUAL(follower.disk.hard_state().commit, 2U);  // as of when it was handed out
}

// What was written before it led was another's proposal, or of another ballot: it says nothing about this one.
TEST(a_write_of_an_earlier_ballot_is_no_vote) {
    PaxosConfig config = async_config(1, 3);
    Slow slow(config);
    (void)slow.step(accept_of(2, 1, {1, 2}, 0, {"a"}));  // write 1
    (void)slow.time_out();                               // write 2, the promise of 2.1
    (void)slow.step(promise_of(2, 1, slow.node.ballot(), 0, {}));
    (void)slow.step(promise_of(3, 1, slow.node.ballot(), 0, {}));
    CHECK(slow.leads());
    CHECK_EQUAL(slow.handed_out, 3U);  // "a" in 2.1
    (void)slow.step(accepted_of(2, 1, slow.node.ballot(), 0, 1));
    (void)slow.finish();
    (void)slow.finish();
    CHECK_EQUAL(slow.node.commit_index(), 0U);
    (void)slow.finish();
    CHECK_EQUAL(slow.node.commit_index(), 1U);
}

TEST(its_own_promise_counts_once_it_is_durable) {
    Slow slow(async_config(1, 3));
    (void)slow.time_out();
    (void)slow.step(promise_of(2, 1, slow.node.ballot(), 0, {}));
    CHECK(slow.node.role() == Role::preparing);
    (void)slow.finish();
    CHECK(slow.leads());

    // not that of the ballot before
    Slow again(async_config(1, 3));
    (void)again.time_out();
    Message refuse = message_of(MessageType::refuse, 2, 1, again.node.ballot());
    refuse.other = {5, 2};
    (void)again.step(refuse);
    (void)again.time_out();
    CHECK(again.node.role() == Role::preparing);
    (void)again.step(promise_of(2, 1, again.node.ballot(), 0, {}));
    (void)again.finish();
    CHECK(again.node.role() == Role::preparing);
    (void)again.finish();
    CHECK(again.leads());
}

TEST(writes_in_flight_are_bounded_and_the_rest_waits_in_the_log) {
    PaxosConfig config = async_config(2, 3);
    config.max_writes_in_flight = 2;
    Slow slow(config);
    for (Index index = 0; index < 5; ++index) (void)slow.step(accept_of(1, 2, {1, 1}, index, {"x"}));
    CHECK_EQUAL(slow.node.writes_in_flight(), 2U);
    CHECK_EQUAL(slow.node.log().last_index(), 5U);
    CHECK(!slow.node.has_ready());
    std::size_t replies = 0;
    for (int i = 0; i < 3; ++i) replies += slow.finish().size();
    CHECK_EQUAL(replies, 5U);
    CHECK_EQUAL(slow.disk.log().last_index(), 5U);
}

TEST(an_installed_snapshot_is_acknowledged_once_it_is_durable) {
    Slow slow(async_config(2, 3));
    (void)slow.step(accept_of(1, 2, {1, 1}, 3, {"d", "e", "f"}));
    Message message = message_of(MessageType::snapshot, 1, 2, {1, 1});
    message.flag = true;
    message.snapshot = {5, 0, members_of(3), Payload(std::string_view("state")), {1, 1}};
    CHECK(slow.step(message).empty());
    (void)slow.step(accept_of(1, 2, {1, 1}, 6, {}, 6));
    CHECK_EQUAL(slow.node.commit_index(), 6U);
    CHECK_EQUAL(slow.node.applied_index(), 5U);
    CHECK_EQUAL(slow.finish().size(), 1U);  // of the entries; "f" is durable by it
    CHECK_EQUAL(slow.applied, "f ");
    const auto said = slow.finish();
    CHECK(said.size() == 2 && said[0].commit == 5);
    CHECK(slow.disk.snapshot().index == 5 && slow.disk.log().holds(6));
}

// A leader whose heartbeats go on while its disk hangs commits nothing and lets nobody else.
TEST(a_leader_whose_disk_hangs_stops_and_does_not_try_until_it_answers) {
    PaxosConfig config = async_config(1, 3);
    config.hung_write_ticks = 0;
    Slow slow = leader(config);
    slow.propose("a");
    for (int i = 0; i < 12; ++i) slow.node.tick();
    CHECK(slow.node.role() == Role::follower);
    const std::uint64_t number = slow.node.ballot().number;
    for (int i = 0; i < 300; ++i) slow.node.tick();
    CHECK_EQUAL(slow.node.ballot().number, number);
    (void)slow.finish();
    (void)slow.time_out();
    CHECK(slow.node.role() == Role::preparing);
}

TEST(stored_is_refused_where_it_makes_no_sense) {
    PaxosNode sync(plain_config(1, 1));
    CHECK_THROWS(sync.stored(1), ConfigError, "stored() is for asynchronous storage, got write 1; set async_storage");
    PaxosNode node(async_config(1, 1));
    CHECK_THROWS(node.stored(1), ConfigError,
                 "stored() takes the number of a write that was handed out, got 1 with 0 handed out; acknowledge "
                 "Ready::write");
    PaxosConfig config = async_config(1, 1);
    config.max_writes_in_flight = 0;
    CHECK_THROWS(PaxosNode{config}, ConfigError, "max_writes_in_flight must be at least 1, got 0");
}

TEST_MAIN
