// Asynchronous storage: what overlaps a write, what waits for it, and what a crash takes with it.
#include "bft_rig.hpp"
#include "check.hpp"

using namespace fastmas::testing;
using fastmas::base::ConfigError;

namespace {

// A node whose disk finishes a write only when it is told to.
struct Slow {
    SimKeys keys{4, 1};
    std::unique_ptr<BftNode> node;
    bft::SimDisk disk;
    std::vector<Message> sent;
    std::vector<Entry> committed;
    std::uint64_t highest = 0;

    explicit Slow(NodeId id = 2, std::size_t writes = 64) { boot(id, writes); }
    void boot(NodeId id, std::size_t writes = 64) {
        BftConfig config = bft_config(id, keys);
        config.async_storage = true;
        config.max_writes_in_flight = writes;
        node = std::make_unique<BftNode>(config, keys.signers[id - 1], keys.verifier, disk.load());
        sent.clear();
        committed.clear();
    }
    void pump() {
        while (node->has_ready()) {
            const bft::Ready& ready = node->ready();
            CHECK_EQUAL(ready.write != 0, ready.must_sync);
            if (ready.write != 0) {
                CHECK(ready.write > highest);
                highest = ready.write;
                disk.stage(ready);
            }
            sent.insert(sent.end(), ready.messages.begin(), ready.messages.end());
            committed.insert(committed.end(), ready.committed.begin(), ready.committed.end());
            node->advance();
        }
    }
    void finish(bool tell = true) {
        const std::uint64_t write = disk.finish_one();
        if (tell) node->stored(write);
        pump();
    }
    std::size_t count(MessageType type) const {
        return static_cast<std::size_t>(
            std::count_if(sent.begin(), sent.end(), [&](const Message& message) { return message.type == type; }));
    }
    Vote vote(VoteType type, NodeId validator, const Digest& value, Height height = 1) {
        Vote made;
        made.type = type;
        made.height = height;
        made.value = value;
        made.validator = validator;
        made.signature = keys.signers[validator - 1]->sign(sign_bytes(node->genesis(), made));
        return made;
    }
    // Others' votes for the proposal that node 1 made.
    void hear(VoteType type, NodeId validator, const Digest& value) {
        Message message;
        message.type = MessageType::votes;
        message.from = validator;
        message.to = node->id();
        message.votes.push_back(vote(type, validator, value));
        node->step(message);
        pump();
    }
    // The first proposer's proposal, as its node makes it.
    Message proposal() {
        BftNode first(bft_config(1, keys), keys.signers[0], keys.verifier);
        CHECK(first.propose(payload("c"), session_of(1), 5).status == ProposeStatus::appended);
        for (const Message& message : first.ready().messages)
            if (message.type == MessageType::proposal && message.to == node->id()) return message;
        throw std::runtime_error("node 1 does not begin");
    }
};

}  // namespace

TEST(a_vote_waits_until_it_is_stored_and_commands_do_not) {
    Slow slow;
    const Message proposal = slow.proposal();
    CHECK(slow.node->propose(payload("mine"), session_of(1, 7), 5).status == ProposeStatus::appended);
    slow.pump();
    CHECK_EQUAL(slow.count(MessageType::commands), 3U);
    slow.node->step(proposal);
    slow.pump();
    CHECK_EQUAL(slow.count(MessageType::votes), 0U);
    CHECK(slow.node->writes_in_flight() > 0);
    while (!slow.disk.idle()) slow.finish();
    CHECK_EQUAL(slow.count(MessageType::votes), 3U);
    CHECK(slow.disk.hard_state().prevote.value == proposal.proposal.value);
    CHECK_EQUAL(slow.node->stored_write(), slow.highest);
}

TEST(the_node_goes_on_meanwhile_and_applies_what_is_durable_only) {
    Slow slow;
    const Message proposal = slow.proposal();
    const Digest& value = proposal.proposal.value;
    slow.node->step(proposal);
    slow.pump();
    for (const VoteType type : {VoteType::prevote, VoteType::precommit})
        for (const NodeId id : {1U, 3U, 4U}) slow.hear(type, id, value);
    // decided in memory, from votes of which its own are not stored
    CHECK_EQUAL(slow.node->height(), 2U);
    CHECK(slow.committed.empty());
    CHECK_EQUAL(slow.count(MessageType::votes), 0U);
    CHECK_EQUAL(slow.disk.height(), 0U);
    std::size_t before = slow.disk.height();
    while (!slow.disk.idle()) {
        before = slow.committed.size();
        CHECK(before == 0 || slow.disk.height() == 1);
        slow.finish();
    }
    CHECK_EQUAL(slow.committed.size(), 1U);
    CHECK_EQUAL(slow.disk.height(), 1U);
}

TEST(a_crash_takes_only_what_was_never_said) {
    Slow slow;
    const Message proposal = slow.proposal();
    slow.node->step(proposal);
    slow.pump();
    CHECK_EQUAL(slow.count(MessageType::votes), 0U);
    slow.disk.crash();
    slow.boot(2);
    CHECK_EQUAL(slow.node->hard_state().prevote.height, 0U);
    // it may say something else now, for nobody has heard of it
    slow.highest = 0;
    slow.node->step(proposal);
    slow.pump();
    while (!slow.disk.idle()) slow.finish(false);
    CHECK_EQUAL(slow.count(MessageType::votes), 0U);  // durable, but it was not told
    slow.boot(2);
    CHECK(slow.node->hard_state().prevote.value == proposal.proposal.value);
}

TEST(one_acknowledgement_stands_for_those_before_it) {
    Slow slow;
    const Message proposal = slow.proposal();
    slow.node->step(proposal);
    slow.pump();
    for (const NodeId id : {1U, 3U, 4U}) slow.hear(VoteType::prevote, id, proposal.proposal.value);
    CHECK(slow.node->writes_in_flight() >= 2);
    std::uint64_t last = 0;
    while (!slow.disk.idle()) last = slow.disk.finish_one();
    slow.node->stored(last);
    slow.pump();
    CHECK_EQUAL(slow.node->writes_in_flight(), 0U);
    CHECK_EQUAL(slow.count(MessageType::votes), 6U);
    slow.node->stored(1);  // late, and changes nothing
    CHECK_EQUAL(slow.node->stored_write(), last);
}

TEST(a_disk_that_hangs_costs_bounded_memory) {
    Slow slow(2, 1);
    const Message proposal = slow.proposal();
    slow.node->step(proposal);
    slow.pump();
    CHECK_EQUAL(slow.node->writes_in_flight(), 1U);
    for (int ticks = 0; ticks < 1000; ++ticks) {
        slow.node->tick();
        slow.hear(VoteType::prevote, 3, proposal.proposal.value);
    }
    CHECK(slow.node->counters().stalled >= 1000);
    CHECK_EQUAL(slow.node->writes_in_flight(), 1U);
    CHECK_EQUAL(slow.node->round(), 0);  // its time stands still until the disk is back
    slow.finish();
    for (const NodeId id : {3U, 4U}) {
        slow.hear(VoteType::prevote, id, proposal.proposal.value);
        while (!slow.disk.idle()) slow.finish();
    }
    CHECK(slow.disk.hard_state().precommit.value == proposal.proposal.value);
}

TEST(wrong_acknowledgements_are_refused) {
    Slow slow;
    CHECK_THROWS(slow.node->stored(1), ConfigError,
                 "stored() takes the number of a write that was handed out, got 1 with 0 handed out");
    BftNode plain(bft_config(1, slow.keys), slow.keys.signers[0], slow.keys.verifier);
    CHECK_THROWS(plain.stored(1), ConfigError, "stored() is for asynchronous storage, got write 1");
}

TEST_MAIN
