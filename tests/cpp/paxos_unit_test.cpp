// Multi-Paxos: bounds, contradictions, restarts, and what is told to whoever uses a node wrongly.
#include "check.hpp"
#include "paxos_rig.hpp"

using namespace fastmas::testing;
using fastmas::base::ConfigError;
using fastmas::base::InvariantError;

TEST(everything_is_bounded) {
    PaxosConfig config = plain_config(1, 3);
    config.max_open_slots = config.window = 2;
    config.max_command_bytes = 3;
    Driven node(config);
    (void)node.lead();
    const auto propose = [&](const char* text) {
        return node->propose(fastmas::base::Payload(std::string_view(text)), {}, 0);
    };
    CHECK(propose("long").status == ProposeStatus::too_large);
    CHECK(propose("a").status == ProposeStatus::appended);
    CHECK(propose("b").status == ProposeStatus::appended);
    CHECK(propose("c").status == ProposeStatus::full);
    Session no_number;
    no_number.client = 7;
    CHECK(node->propose(fastmas::base::Payload(), no_number, 0).status == ProposeStatus::refused);
    Driven acceptor([] {
        PaxosConfig of = plain_config(2, 3);
        of.max_open_slots = of.window = 2;
        return of;
    }());
    const auto reply = acceptor.step(accept_of(1, 2, {1, 1}, 1, {"b", "c", "d"}, 2));
    CHECK_EQUAL(reply[0].last, 2U);
    CHECK_EQUAL(acceptor.log(), "- b/1.1");
}

TEST(a_contradiction_poisons_the_node) {
    Driven node(plain_config(2, 3));
    (void)node.step(accept_of(1, 2, {1, 1}, 0, {"a"}, 1));
    CHECK_THROWS(node->step(accept_of(3, 2, {2, 3}, 0, {"b"})), InvariantError,
                 "slot 1 has two values, and one is chosen");
    CHECK_THROWS(node->tick(), InvariantError, "node 2 broke an invariant and stopped");
    Driven other(plain_config(2, 3));
    (void)other.step(accept_of(1, 2, {1, 1}, 0, {"a"}));
    CHECK_THROWS(other->step(accept_of(1, 2, {1, 1}, 0, {"b"})), InvariantError, "both of ballot 1.1");
}

TEST(a_restarted_node_knows_again_what_it_had_committed) {
    Driven node(plain_config(2, 3));
    (void)node.step(accept_of(1, 2, {1, 1}, 0, {"a", "b"}, 2));
    CHECK_EQUAL(node.applied(), "a b");
    CHECK_EQUAL(node.disk.hard_state().commit, 2U);  // with the entries: they were stored anyway
    (void)node.step(accept_of(1, 2, {1, 1}, 2, {"c"}, 2));
    (void)node.step(accept_of(1, 2, {1, 1}, 3, {}, 3));
    CHECK_EQUAL(node->commit_index(), 3U);
    CHECK_EQUAL(node.disk.hard_state().commit, 2U);  // alone it is worth no write
    Driven again(plain_config(2, 3), node.disk.load());
    CHECK_EQUAL(again->commit_index(), 2U);
    again.pump();
    CHECK_EQUAL(again.applied(), "a b");
}

TEST(an_acceptance_that_was_stored_before_its_promise_is_one) {
    // the power goes after duty 2 and before duty 3: a state that any crash may leave
    PersistentState stored;
    stored.entries = {entry_of({5, 1}, 1, "a")};
    PaxosNode node(plain_config(2, 3), stored);
    CHECK(node.promised() == (Ballot{5, 1}));
    CHECK(node.has_ready());
    const Ready& first = node.ready();
    CHECK(first.must_sync && first.hard_state != nullptr && first.hard_state->promised == (Ballot{5, 1}));
    node.advance();
    node.step(accept_of(3, 2, {4, 3}, 0, {"b"}));
    const Ready& ready = node.ready();
    CHECK_EQUAL(ready.messages.size(), 1U);
    CHECK(ready.messages.front().type == MessageType::refuse && ready.messages.front().other == (Ballot{5, 1}));
}

TEST(nodes_may_be_told_of_one_another_in_any_order) {
    PaxosConfig config = plain_config(2, 3);
    config.nodes = {3, 1, 2};
    PaxosNode node(config);
    Message message = message_of(MessageType::snapshot, 1, 2, {3, 1});
    message.flag = true;
    message.snapshot.index = 10;
    message.snapshot.memberships = {node.membership()};
    message.snapshot.ballot = {3, 1};
    node.step(message);
    CHECK_EQUAL(node.counters().dropped, 0U);
    CHECK_EQUAL(node.commit_index(), 10U);
}

TEST(wrong_use_is_told) {
    Driven node(plain_config(1, 1));
    CHECK_THROWS(node->advance(), ConfigError, "has no ready() to advance past; call ready() first");
    (void)node->ready();
    CHECK_THROWS(node->tick(), ConfigError, "waits for advance()");
    node->advance();
    CHECK_THROWS(node->compact(1, {}), ConfigError, "compact takes an applied index above the last snapshot's");
    PersistentState stored;
    stored.entries = {entry_of({2, 1}, 1, "a")};
    stored.hard_state.promised = {2, 1};
    stored.hard_state.commit = 2;
    CHECK_THROWS(PaxosNode(plain_config(1, 3), stored), ConfigError, "but slot 2 is empty");
    stored.hard_state.commit = 0;
    stored.entries.push_back(entry_of({2, 1}, 1, "a"));
    CHECK_THROWS(PaxosNode(plain_config(1, 3), stored), ConfigError, "must come in the order of their slots");
    PaxosConfig config = plain_config(4, 3);
    CHECK_THROWS(PaxosNode{config}, ConfigError, "a node must be one of the cluster's, got id 4");
    config = plain_config(1, 3);
    config.nodes = {1, 2, 2};
    CHECK_THROWS(PaxosNode{config}, ConfigError, "node ids must differ, got 2 twice");
    config = plain_config(1, 3);
    config.election_ticks = 2;
    CHECK_THROWS(PaxosNode{config}, ConfigError, "election_ticks must exceed heartbeat_ticks (2), got 2; try 10");
    config = plain_config(1, 3);
    config.max_open_slots = 0;
    CHECK_THROWS(PaxosNode{config}, ConfigError, "max_open_slots must be at least 1, got 0");
}

TEST_MAIN
