// Snapshots in parts (paper §7, figure 13): in order, resumed after losses and crashes, installed whole or not at all.
#include "check.hpp"
#include "consensus/applier.hpp"
#include "raft_rig.hpp"

using namespace fastmas::testing;
using fastmas::base::Payload;

namespace {

const std::string kState = "0123456789abcdefghijklmnopqrstuvwxyz";

RaftConfig in_parts(NodeId id, std::size_t nodes) {
    RaftConfig config = plain_config(id, nodes);
    config.max_snapshot_part_bytes = 5;
    return config;
}

// Three nodes; 3 lacks what 1 and 2 compacted away.
Rig lagging() {
    Rig rig(3, in_parts);
    rig.elect(1, {1, 2});
    for (const char* text : {"a", "b"}) rig.propose(1, text);
    rig.run(Rig::among({1, 2}));
    for (const NodeId id : {1U, 2U}) {
        rig.at(id).tick(id == 1 ? 2 : 0);
        rig.run(Rig::among({1, 2}));
    }
    for (const NodeId id : {1U, 2U}) {
        rig.at(id)->compact(3, Payload(kState));
        rig.at(id).disk.compact(rig.at(id)->snapshot());
    }
    return rig;
}

Message part_of(const std::string& state, std::size_t offset, std::size_t bytes, Index index = 3) {
    Message message = message_of(MessageType::snapshot, 2, 1, 1);
    SnapshotPart part(Snapshot{index, 1, 0, voters(3), Payload(state)});
    part.state = Payload(state.substr(offset, bytes));
    part.offset = offset;
    message.snapshot = part;
    return message;
}

}  // namespace

TEST(a_snapshot_comes_in_bounded_parts_and_is_installed_once_whole) {
    Rig rig = lagging();
    rig.at(1).tick(2);
    std::size_t parts = 0;
    rig.run([&](const Message& message) {
        parts += message.type == MessageType::snapshot;
        CHECK(message.type != MessageType::snapshot || message.snapshot->state.size() <= 5);
        return true;
    });
    CHECK_EQUAL(parts, 8U);
    CHECK_EQUAL(rig.at(3).restored.size(), 1U);
    CHECK_EQUAL(rig.at(3).restored[0].state.text(), kState);
    CHECK_EQUAL(rig.at(3)->commit_index(), 3U);
}
TEST(a_lost_part_is_sent_again_and_no_other) {
    Rig rig = lagging();
    rig.at(1).tick(2);
    std::size_t parts = 0;
    rig.run([&](const Message& message) { return message.type != MessageType::snapshot || ++parts != 4; });
    CHECK(rig.at(3).restored.empty());
    for (int i = 0; i < 20; ++i) rig.at(1).tick();
    rig.run([&](const Message& message) {
        parts += message.type == MessageType::snapshot;
        return true;
    });
    CHECK_EQUAL(rig.at(3).restored.size(), 1U);
    CHECK(parts <= 12);
}
TEST(a_follower_that_restarts_gets_it_from_the_start) {
    Rig rig = lagging();
    rig.at(1).tick(2);
    std::size_t parts = 0;
    rig.run([&](const Message& message) { return message.type != MessageType::snapshot || ++parts < 5; });
    rig.nodes.at(3) = Driven(in_parts(3, 3), rig.at(3).disk.load());
    for (int i = 0; i < 20 && rig.at(3).restored.empty(); ++i) {
        rig.at(1).tick();
        rig.run();
    }
    CHECK_EQUAL(rig.at(3).restored.size(), 1U);
    CHECK_EQUAL(rig.at(3).restored[0].state.text(), kState);
}
TEST(another_leader_with_the_same_snapshot_goes_on_where_the_last_one_was) {
    Rig rig = lagging();
    rig.at(1).tick(2);
    std::size_t parts = 0;
    rig.run([&](const Message& message) { return message.type != MessageType::snapshot || ++parts < 6; });
    rig.wire.clear();
    parts = 0;
    rig.at(2).time_out();
    for (int i = 0; i < 20 && rig.at(3).restored.empty(); ++i) {
        rig.at(2).tick(i == 0 ? 0 : 1);
        rig.run([&](const Message& message) {
            parts += message.type == MessageType::snapshot;
            return message.from != 1 && message.to != 1;
        });
    }
    CHECK_EQUAL(rig.at(3).restored.size(), 1U);
    CHECK(parts <= 4);
}
TEST(parts_of_another_snapshot_and_parts_out_of_place_do_not_mix) {
    Driven node(plain_config(1, 3), {{1, 0}, {}, {}});
    const std::string other = "9876543210zyxwvutsrqponmlkjihgfedcba";
    CHECK_EQUAL(node.step(part_of(kState, 0, 10))[0].hint_index, 10U);
    CHECK_EQUAL(node.step(part_of(kState, 0, 10))[0].hint_index, 10U);   // doubled
    CHECK_EQUAL(node.step(part_of(kState, 20, 10))[0].hint_index, 10U);  // early
    CHECK_EQUAL(node.step(part_of(other, 10, 26))[0].hint_index, 0U);    // of the same size, by another leader
    CHECK_EQUAL(node.step(part_of(kState, 0, 36))[0].index, 3U);
    CHECK_EQUAL(node.restored[0].state.text(), kState);
    CHECK_EQUAL(node->counters().damaged_snapshots, 0U);
    // stale by now
    CHECK(node.step(part_of(kState, 0, 5))[0].type == MessageType::append_reply);
    CHECK_EQUAL(node.restored.size(), 1U);
}
// "Use InstallSnapshot RPC ... if lastIncludedIndex is larger than anything there": a suffix that agrees stays, one
// that does not goes (figure 13, steps 6 and 7)
TEST(a_snapshot_in_parts_keeps_a_suffix_that_agrees_and_no_other) {
    for (const Term term : {Term{1}, Term{2}}) {
        Driven node(plain_config(1, 3), {{2, 0}, {}, log_of({1, 1, 1, 1, 1})});
        for (std::size_t at = 0; at < kState.size(); at += 12) {
            Message part = part_of(kState, at, 12);
            part.term = 2;
            part.snapshot->term = term;
            // nothing of it shows before it is whole
            CHECK_EQUAL(node->log().first_index(), 1U);
            CHECK_EQUAL(node->commit_index(), 0U);
            node.step(part);
        }
        CHECK_EQUAL(node->log().last_index(), term == 1 ? 5U : 3U);
        CHECK_EQUAL(node->commit_index(), 3U);
        CHECK_EQUAL(node.disk.log().last_index(), term == 1 ? 5U : 3U);
        CHECK_EQUAL(node.restored[0].state.text(), kState);
    }
}
TEST(a_snapshot_that_is_overtaken_by_the_log_is_forgotten) {
    Driven node(plain_config(1, 3), {{1, 0}, {}, {}});
    node.step(part_of(kState, 0, 30));
    node.step(append(2, 1, 1, 0, 0, log_of({1, 1, 1}), 3));
    CHECK_EQUAL(node->commit_index(), 3U);
    const auto replies = node.step(part_of(kState, 30, 6));
    CHECK(replies[0].type == MessageType::append_reply && replies[0].index == 3);
    CHECK(node.restored.empty());
}
// The one that is being sent stays the same to its end: else a link slower than the compactions would never see one.
TEST(a_later_compaction_does_not_begin_the_transfer_anew) {
    Rig rig = lagging();
    rig.at(1).tick(2);
    std::size_t parts = 0;
    rig.run([&](const Message& message) { return message.type != MessageType::snapshot || ++parts < 5; });
    rig.propose(1, "c");
    rig.run(Rig::among({1, 2}));
    rig.at(1)->compact(4, Payload("later"));
    for (int i = 0; i < 20 && rig.at(3).restored.empty(); ++i) {
        rig.at(1).tick();
        rig.run([&](const Message& message) {
            parts += message.type == MessageType::snapshot;
            return true;
        });
    }
    CHECK_EQUAL(rig.at(3).restored[0].index, 3U);
    CHECK_EQUAL(parts - 5, 5U);  // the lost one, three more, and the later snapshot
    CHECK_EQUAL(rig.at(3).restored.back().index, 4U);
}
// ... but a follower that has nothing of it any more gets the latest
TEST(who_starts_anew_gets_the_latest) {
    Rig rig = lagging();
    rig.at(1).tick(2);
    std::size_t parts = 0;
    rig.run([&](const Message& message) { return message.type != MessageType::snapshot || ++parts < 5; });
    rig.nodes.at(3) = Driven(in_parts(3, 3), rig.at(3).disk.load());
    rig.propose(1, "c");
    rig.run(Rig::among({1, 2}));
    rig.at(1)->compact(4, Payload("later"));
    for (int i = 0; i < 20 && rig.at(3).restored.empty(); ++i) {
        rig.at(1).tick();
        rig.run();
    }
    CHECK_EQUAL(rig.at(3).restored.size(), 1U);
    CHECK_EQUAL(rig.at(3).restored[0].index, 4U);
}
TEST(one_part_is_under_way_at_a_time_however_often_its_answer_is_doubled) {
    Rig rig = lagging();
    rig.at(1).tick(2);
    rig.collect();
    std::size_t parts = 0;
    for (int i = 0; i < 200 && rig.at(3).restored.empty(); ++i) {
        std::size_t under_way = 0;
        std::vector<Message> wire = std::exchange(rig.wire, {});
        for (const Message& message : wire) under_way += message.type == MessageType::snapshot;
        CHECK(under_way <= 1);
        parts += under_way;
        for (const Message& message : wire) {
            rig.at(message.to)->step(message);
            if (message.type == MessageType::snapshot_reply) rig.at(message.to)->step(message);
        }
        rig.collect();
    }
    CHECK_EQUAL(parts, 8U);
}
// Between the parts the follower hears of its leader, however many of them get lost, and confirms reads.
TEST(a_follower_that_waits_for_parts_is_in_contact) {
    Rig rig(3, [](NodeId id, std::size_t nodes) {
        RaftConfig config = in_parts(id, nodes);
        config.pre_vote = config.check_quorum = true;
        return config;
    });
    rig.at(2).tick(10);
    for (int i = 0; i < 30 && rig.at(1)->role() != Role::leader; ++i) rig.elect(1, {1, 2});
    rig.propose(1, "a");
    rig.run(Rig::among({1, 2}));
    rig.at(1)->compact(2, Payload(kState));
    const Term term = rig.at(1)->term();
    for (int i = 0; i < 100; ++i) {
        for (const NodeId id : {1U, 3U}) rig.at(id).tick();
        rig.run([](const Message& message) { return message.type != MessageType::snapshot && message.to != 2; });
    }
    CHECK_EQUAL(rig.at(3)->term(), term);
    CHECK(rig.at(3)->role() == Role::follower && rig.at(1)->role() == Role::leader);
    CHECK(rig.at(1)->read(7) == ReadStatus::registered);
    bool is_confirmed = false;
    for (int i = 0; i < 10 && rig.at(1)->has_ready(); ++i) {
        const Ready& ready = rig.at(1)->ready();
        is_confirmed = is_confirmed || (!ready.reads.empty() && ready.reads[0].is_confirmed);
        const std::vector<Message> sent(ready.messages.begin(), ready.messages.end());
        rig.at(1)->advance();
        for (const Message& message : sent)
            if (message.to == 3 && message.type == MessageType::append)
                for (const Message& reply : rig.at(3).step(message)) rig.at(1)->step(reply);
    }
    CHECK(is_confirmed);
}
TEST(a_witness_needs_one_part) {
    Rig rig(3, [](NodeId id, std::size_t nodes) {
        RaftConfig config = in_parts(id, nodes);
        config.witnesses = {3};
        return config;
    });
    rig.elect(1, {1, 2});
    rig.propose(1, "a");
    rig.run(Rig::among({1, 2}));
    rig.at(1)->compact(2, Payload(kState));
    rig.at(1).tick(2);
    rig.run();
    CHECK_EQUAL(rig.at(3)->snapshot().index, 2U);
    CHECK(rig.at(3)->snapshot().state.empty());
}
TEST(a_damaged_snapshot_is_not_installed) {
    Driven node(plain_config(1, 3), {{1, 0}, {}, {}});
    Message message = part_of(kState, 0, 36);
    message.snapshot->state = Payload(std::string(36, '?'));
    CHECK_EQUAL(node.step(message)[0].hint_index, 0U);
    CHECK(node.restored.empty());
    CHECK_EQUAL(node->commit_index(), 0U);
    CHECK_EQUAL(node->counters().damaged_snapshots, 1U);
    CHECK_EQUAL(node.step(part_of(kState, 0, 36))[0].index, 3U);
    CHECK_EQUAL(node.restored.size(), 1U);
}
TEST(a_late_part_of_an_earlier_snapshot_does_not_undo_what_has_come_of_a_later_one) {
    Driven node(plain_config(1, 3), {{1, 0}, {}, {}});
    node.step(part_of(kState, 0, 10, 3));
    node.step(part_of(kState, 0, 20, 7));
    CHECK(node.step(part_of(kState, 10, 10, 3)).empty());
    CHECK_EQUAL(node.step(part_of(kState, 20, 16, 7))[0].index, 7U);
    CHECK_EQUAL(node->commit_index(), 7U);
}
// the next leader may have compacted less: what is left of the last one's snapshot would wait for ever
TEST(another_leaders_earlier_snapshot_is_taken) {
    Driven node(plain_config(1, 3), {{1, 0}, {}, {}});
    node.step(part_of(kState, 0, 20, 7));
    Message message = part_of(kState, 0, 36, 3);
    message.from = 3;
    message.term = 2;
    CHECK_EQUAL(node.step(message)[0].index, 3U);
    CHECK_EQUAL(node->commit_index(), 3U);
}
TEST(a_part_that_cannot_be_is_dropped) {
    Driven node(plain_config(1, 3), {{1, 0}, {}, {}});
    Message message = part_of(kState, 30, 6);
    message.snapshot->size = 35;
    node.step(message);
    message.snapshot->offset = 99;
    node.step(message);
    message = part_of(kState, 10, 0);  // would never end
    node.step(message);
    CHECK_EQUAL(node->counters().dropped, 3U);
    RaftConfig config = plain_config(1, 3);
    config.max_snapshot_bytes = 35;
    Driven small(config);
    small.step(part_of(kState, 0, 5));
    CHECK_EQUAL(small->counters().dropped, 1U);
    CHECK_THROWS(
        [&] {
            config.max_snapshot_part_bytes = 0;
            validate(config);
        }(),
        fastmas::base::ConfigError, "max_snapshot_part_bytes must be at least 1, got 0");
}

TEST(an_answer_that_cannot_be_is_dropped) {
    Rig rig = lagging();
    rig.at(1).tick(2);
    rig.collect();
    Message reply = message_of(MessageType::snapshot_reply, 3, 1, 1);
    reply.index = 3;
    reply.hint_index = 99;
    rig.at(1).step(reply);
    CHECK_EQUAL(rig.at(1)->counters().dropped, 1U);
}

TEST_MAIN
