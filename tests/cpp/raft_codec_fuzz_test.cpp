// The message codec and the session table under hostile bytes: round trips, every cut, every flipped bit, random edits.
// A seeded run of fixed length, for CI and the sanitizers; `raft_codec_fuzz_test EXECUTIONS [SEED]` runs longer.
#include <vector>

#include "base/errors.hpp"
#include "base/prng.hpp"
#include "check.hpp"
#include "codec_fuzz.hpp"
#include "consensus/applier.hpp"
#include "consensus/raft/codec.hpp"
#include "consensus/raft/node.hpp"
#include "consensus/session.hpp"

using namespace fastmas::consensus;
using namespace fastmas::consensus::raft;
using fastmas::base::Payload;
using fastmas::base::Prng;
using namespace fastmas::testing;

namespace {

std::uint64_t executions = 200'000;
std::uint64_t first_seed = 1;

Message random_message(Prng& random) {
    Message message;
    message.type = static_cast<MessageType>(1 + random.below(9));
    message.from = static_cast<NodeId>(1 + random.below(5));
    message.to = static_cast<NodeId>(1 + random.below(5));
    message.term = random.below(2) ? random.below(9) : random.next();
    switch (message.type) {
        case MessageType::pre_vote:
        case MessageType::vote:
            message.index = random.next();
            message.log_term = random.next();
            message.force = message.type == MessageType::vote && random.below(2) == 1;
            break;
        case MessageType::timeout_now:
            break;
        case MessageType::snapshot_reply:
            message.index = random.next();
            message.hint_index = random.next();
            break;
        case MessageType::pre_vote_reply:
        case MessageType::vote_reply:
            message.reject = random.below(2) == 1;
            break;
        case MessageType::append: {
            message.index = random.below(1000);
            message.log_term = random.below(10);
            message.commit = random.next();
            message.round = random.next();
            const std::uint64_t count = random.below(5);
            for (std::uint64_t i = 0; i < count; ++i) {
                Entry entry;
                entry.term = random.below(10);
                entry.index = message.index + i + 1;
                entry.time_ns = static_cast<std::int64_t>(random.next());
                entry.kind = static_cast<EntryKind>(random.below(3));
                if (entry.kind == EntryKind::command) {
                    entry.session = {random.next(), random.next(), random.next(),
                                     random.below(2) ? INT64_MAX : static_cast<std::int64_t>(random.next() >> 2)};
                    entry.command = random_payload(random);
                } else if (entry.kind == EntryKind::membership) {
                    entry.command = encode(Membership({1, 2, static_cast<NodeId>(3 + random.below(9))}));
                }
                message.entries.push_back(entry);
            }
            break;
        }
        case MessageType::append_reply:
            message.reject = random.below(2) == 1;
            message.lost = message.reject && random.below(2) == 1;
            message.index = random.next();
            message.round = random.next();
            if (message.reject) {
                message.hint_index = random.next();
                message.hint_term = random.next();
            }
            break;
        case MessageType::snapshot:
            message.snapshot->index = random.next();
            message.snapshot->term = random.next();
            message.snapshot->offset = random.next();
            message.snapshot->size = random.next();
            message.snapshot->checksum = random.next();
            message.snapshot->time_ns = static_cast<std::int64_t>(random.next());
            message.snapshot->membership.id = random.next();
            for (std::uint64_t i = 1 + random.below(6); i > 0; --i)
                message.snapshot->membership.voters.insert(message.snapshot->membership.voters.begin(),
                                                           static_cast<NodeId>(i));
            message.snapshot->state = random_payload(random);
            break;
    }
    return message;
}

}  // namespace

TEST(what_was_encoded_decodes_to_itself_into_a_used_message) {
    check_round_trips(random_message, first_seed, 20'000);
}

TEST(every_prefix_and_every_extension_is_refused) {
    check_cuts(random_message, first_seed + 1, 300);
}

TEST(hostile_bytes_are_refused_or_canonical) {
    check_hostile_bytes(random_message, first_seed + 2, executions);
}

TEST(a_node_survives_every_message_that_decodes) {
    Prng random(first_seed + 3);
    for (std::uint64_t i = 0; i < executions / 100; ++i) {
        RaftConfig config;
        config.id = 1;
        config.voters = {1, 2, 3};
        RaftNode node(config);
        std::uint64_t taken = 0;
        try {
            for (int k = 0; k < 30; ++k) {
                Message message = random_message(random);
                message.to = 1;
                message.term = 1 + random.below(4);
                node.step(message);
                if (random.below(2) == 1) node.tick();
                while (node.has_ready()) {
                    (void)node.ready();
                    node.advance();
                }
                ++taken;
            }
        } catch (const fastmas::base::InvariantError&) {
            // a liar can make a node see two leaders; it stops and says so, it does not crash
            CHECK(!node.poisoned().empty());
        }
        CHECK(taken > 0 || !node.poisoned().empty());
    }
}

TEST(messages_of_strangers_and_impossible_terms_are_dropped_and_counted) {
    RaftConfig config;
    config.id = 1;
    config.voters = {1, 2, 3};
    RaftNode node(config);
    Message message;
    message.type = MessageType::append;
    message.from = 2;
    message.to = 1;
    message.term = 1;
    const auto dropped = [&](auto change) {
        Message changed = message;
        change(changed);
        const auto before = node.counters().dropped;
        node.step(changed);
        return node.counters().dropped - before;
    };
    CHECK_EQUAL(dropped([](Message& m) { m.from = kNoNode; }), 1U);
    CHECK_EQUAL(dropped([](Message& m) {
                    m.entries = {Entry{1, 1, 0, {}, EntryKind::membership, Payload("no membership")}};
                }),
                1U);
    CHECK_EQUAL(dropped([](Message& m) { m.from = 1; }), 1U);
    CHECK_EQUAL(dropped([](Message& m) { m.to = 2; }), 1U);
    CHECK_EQUAL(dropped([](Message& m) { m.term = 0; }), 1U);
    CHECK_EQUAL(dropped([](Message& m) { m.term = kMaxTerm; }), 1U);
    CHECK_EQUAL(dropped([](Message& m) { m.commit = kMaxTerm + 1; }), 1U);
    CHECK_EQUAL(dropped([](Message& m) {
                    m.type = MessageType::append_reply;
                    m.reject = true;
                    m.index = 3;
                    m.hint_index = 4;
                }),
                1U);
    CHECK_EQUAL(dropped([](Message& m) { m.log_term = 2; }), 1U);
    CHECK_EQUAL(dropped([](Message& m) { m.log_term = 1; }), 1U);
    CHECK_EQUAL(dropped([](Message& m) { m.index = 1; }), 1U);
    CHECK_EQUAL(dropped([](Message& m) { m.entries = {Entry{}}; }), 1U);
    CHECK_EQUAL(dropped([](Message& m) { m.type = MessageType::snapshot; }), 1U);
    CHECK_EQUAL(dropped([](Message&) {}), 0U);
}

TEST(session_tables_decode_to_themselves_and_refuse_the_rest) {
    Prng random(first_seed + 4);
    for (std::uint64_t i = 0; i < executions / 100; ++i) {
        SessionTable table;
        for (std::uint64_t client = 1; client < 4; ++client)
            for (std::uint64_t sequence = 1; sequence < 1 + random.below(5); ++sequence)
                table.record({client, sequence, random.below(2), static_cast<std::int64_t>(random.below(9))},
                             {ResultStatus::applied, random_payload(random)});
        std::vector<std::byte> bytes;
        table.encode(bytes);
        SessionTable copy;
        std::span<const std::byte> rest = bytes;
        CHECK(copy.decode(rest));
        CHECK(rest.empty());
        std::vector<std::byte> again;
        copy.encode(again);
        CHECK(again == bytes);
        std::vector<std::byte> hostile(bytes.begin(),
                                       bytes.begin() + static_cast<std::ptrdiff_t>(random.below(bytes.size() + 1)));
        if (!hostile.empty()) hostile[random.below(hostile.size())] ^= static_cast<std::byte>(1U << random.below(8));
        rest = hostile;
        (void)copy.decode(rest);
    }
}

int main(int argc, char** argv) {
    if (argc > 1) executions = std::stoull(argv[1]);
    if (argc > 2) first_seed = std::stoull(argv[2]);
    return fastmas::testing::run_all(1, argv);
}
