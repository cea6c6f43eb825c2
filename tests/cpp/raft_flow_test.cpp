// How a leader feeds its followers: windows, bounds on bytes, what is lost on the way.
#include <string>

#include "base/errors.hpp"
#include "base/prng.hpp"
#include "check.hpp"
#include "raft_rig.hpp"

using namespace fastmas::testing;
using fastmas::base::ConfigError;
using fastmas::base::Payload;

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

TEST_MAIN
