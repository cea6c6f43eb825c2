// The message codecs of Paxos under hostile bytes: round trips, every cut, every flipped bit, random edits, and what a
// node makes of whatever decodes. A seeded run of fixed length, for CI and the sanitizers;
// `paxos_codec_fuzz_test EXECUTIONS [SEED]` runs longer.
#include <vector>

#include "base/errors.hpp"
#include "base/prng.hpp"
#include "check.hpp"
#include "codec_fuzz.hpp"
#include "consensus/paxos/codec.hpp"
#include "consensus/paxos/node.hpp"
#include "consensus/paxos/synod_node.hpp"

using namespace fastmas::consensus;
using namespace fastmas::consensus::paxos;
using fastmas::base::Payload;
using fastmas::base::Prng;
using namespace fastmas::testing;

namespace {

std::uint64_t executions = 100'000;
std::uint64_t first_seed = 1;

Ballot random_ballot(Prng& random) {
    return {1 + random.below(5), static_cast<NodeId>(1 + random.below(3))};
}

Membership random_membership(Prng& random) {
    Membership membership;
    membership.id = random.below(9);
    membership.from = membership.id == 0 ? 1 : membership.id + 64;
    for (NodeId id = 1; id < 6; ++id)
        if (const std::uint64_t part = random.below(3); part != 0)
            (part == 1 ? membership.voters : membership.learners).push_back(id);
    membership.quorums = with_majorities({random.below(3), random.below(3)}, membership.voters.size());
    return membership;
}

void fill(Entry& entry, Prng& random) {
    entry.time_ns = static_cast<std::int64_t>(random.next());
    entry.kind = static_cast<EntryKind>(random.below(3));
    if (entry.kind == EntryKind::noop) return;
    if (entry.kind == EntryKind::membership) {
        entry.command = random.below(4) == 0 ? random_payload(random)
                                             : encode(Change{random.below(4), 64, random_membership(random)});
        return;
    }
    entry.session = {random.next(), random.next(), random.next(),
                     random.below(2) ? INT64_MAX : static_cast<std::int64_t>(random.next() >> 2)};
    entry.command = random_payload(random);
}

void random_message(Prng& random, Message& message) {
    message = Message();
    message.type = static_cast<MessageType>(1 + random.below(8));
    message.from = static_cast<NodeId>(1 + random.below(4));
    message.to = static_cast<NodeId>(1 + random.below(4));
    message.ballot = random_ballot(random);
    const bool flag = random.below(2) == 1;
    switch (message.type) {
        case MessageType::ask:
        case MessageType::prepare:
            message.flag = flag && message.type == MessageType::prepare;
            message.index = random.below(9);
            break;
        case MessageType::answer:
        case MessageType::refuse:
            message.flag = flag;
            if (random.below(2) == 1) message.other = random_ballot(random);
            break;
        case MessageType::promise:
        case MessageType::accept:
            message.index = random.below(6);
            message.commit = random.below(9);
            for (std::uint64_t count = random.below(5), k = 0; k < count; ++k) {
                Entry& entry = message.entries.emplace_back();
                entry.index = message.index + k + 1;
                entry.ballot = message.type == MessageType::accept ? message.ballot : random_ballot(random);
                fill(entry, random);
            }
            message.round = random.below(3);
            if (message.type == MessageType::accept) break;
            message.flag = flag;
            message.last = message.index + random.below(6);
            break;
        case MessageType::accepted:
            message.flag = flag;
            message.index = random.below(6);
            message.last = message.index + random.below(6);
            message.commit = random.below(9);
            message.round = random.below(3);
            break;
        case MessageType::snapshot:
            message.flag = flag;
            message.snapshot = {random.below(9),
                                static_cast<std::int64_t>(random.next()),
                                {},
                                random_payload(random),
                                random_ballot(random)};
            for (std::uint64_t count = random.below(kMaxMemberships + 1), k = 0; k < count; ++k)
                message.snapshot.memberships.push_back(random_membership(random));
            break;
    }
}

void random_message(Prng& random, SynodMessage& message) {
    message = SynodMessage();
    message.type = static_cast<SynodType>(1 + random.below(6));
    message.from = static_cast<NodeId>(1 + random.below(4));
    message.to = static_cast<NodeId>(1 + random.below(4));
    message.ballot = random_ballot(random);
    const bool has_other = message.type == SynodType::promise || message.type == SynodType::refuse;
    if (has_other && random.below(2) == 1) message.other = random_ballot(random);
    if (message.type == SynodType::accept || message.type == SynodType::decided ||
        (message.type == SynodType::promise && message.other))
        message.value = random_payload(random);
}

template <class M>
M drawn(Prng& random) {
    M message;
    random_message(random, message);
    return message;
}

}  // namespace

TEST(what_was_encoded_decodes_to_itself_into_a_used_message) {
    check_round_trips(drawn<Message>, first_seed, 20'000);
    check_round_trips(drawn<SynodMessage>, first_seed, 20'000);
}

TEST(every_prefix_and_every_extension_is_refused) {
    check_cuts(drawn<Message>, first_seed + 1, 300);
    check_cuts(drawn<SynodMessage>, first_seed + 1, 300);
}

TEST(hostile_bytes_are_refused_or_canonical) {
    check_hostile_bytes(drawn<Message>, first_seed + 2, executions);
    check_hostile_bytes(drawn<SynodMessage>, first_seed + 2, executions);
}

TEST(a_node_survives_every_message_that_decodes) {
    Prng random(first_seed + 3);
    std::uint64_t taken = 0, poisoned = 0;
    for (std::uint64_t i = 0; i < executions / 50; ++i) {
        PaxosConfig config;
        config.id = 1;
        config.nodes = {1, 2, 3};
        config.seed = i;
        config.max_open_slots = config.window = 64;
        config.check_quorum = random.below(2) == 1;
        config.ask_first = random.below(2) == 1;
        PaxosNode node(config);
        try {
            for (int k = 0; k < 40; ++k) {
                Message message;
                random_message(random, message);
                message.to = 1;
                // half of them as if they answered this node
                if (random.below(2) == 1 && node.ballot()) message.ballot = node.ballot();
                node.step(message);
                for (std::uint64_t ticks = random.below(12); ticks > 0; --ticks) node.tick();
                if (random.below(4) == 0) (void)node.propose(random_payload(random), {}, 0);
                while (node.has_ready()) {
                    (void)node.ready();
                    node.advance();
                }
                ++taken;
            }
        } catch (const fastmas::base::InvariantError&) {
            // a liar can make a node see two values chosen; it stops and says so, it does not crash
            CHECK(!node.poisoned().empty());
            ++poisoned;
        }
    }
    CHECK(taken > executions / 50);
    CHECK(poisoned > 0);
}

TEST(a_synod_node_survives_every_message_that_decodes) {
    Prng random(first_seed + 4);
    for (std::uint64_t i = 0; i < executions / 50; ++i) {
        SynodConfig config;
        config.id = 1;
        config.nodes = 3;
        config.seed = i;
        SynodNode node(config);
        node.propose(random_payload(random), random.below(2) == 1);
        for (int k = 0; k < 20; ++k) {
            SynodMessage message;
            random_message(random, message);
            message.to = 1;
            try {
                node.step(message);
            } catch (const fastmas::base::InvariantError&) {
                CHECK(node.is_decided());  // a liar told of another decision
                break;
            }
            node.tick();
            while (node.has_ready()) {
                (void)node.ready();
                node.advance();
            }
        }
    }
}

TEST(messages_that_no_correct_node_sends_are_dropped_and_counted) {
    PaxosConfig config;
    config.id = 1;
    config.nodes = {1, 2, 3};
    PaxosNode node(config);
    Message message;
    message.type = MessageType::accept;
    message.from = 2;
    message.to = 1;
    message.ballot = {1, 2};
    const auto dropped = [&](auto change) {
        Message changed = message;
        change(changed);
        const auto before = node.counters().dropped;
        node.step(changed);
        return node.counters().dropped - before;
    };
    CHECK_EQUAL(dropped([](Message& m) { m.from = kNoNode; }), 1U);
    CHECK_EQUAL(dropped([](Message& m) { m.from = 1; }), 1U);
    CHECK_EQUAL(dropped([](Message& m) { m.to = 2; }), 1U);
    CHECK_EQUAL(dropped([](Message& m) { m.ballot = {}; }), 1U);
    CHECK_EQUAL(dropped([](Message& m) { m.ballot.number = kMaxBallotNumber; }), 1U);
    CHECK_EQUAL(dropped([](Message& m) { m.ballot.number = kMaxBallotLead + 1; }), 1U);
    CHECK_EQUAL(dropped([](Message& m) { m.snapshot.ballot.number = kMaxBallotNumber; }), 1U);
    CHECK_EQUAL(dropped([](Message& m) { m.ballot.node = 3; }), 1U);
    CHECK_EQUAL(dropped([](Message& m) { m.index = UINT64_MAX; }), 1U);
    CHECK_EQUAL(dropped([](Message& m) { m.entries = {Entry{}}; }), 1U);
    CHECK_EQUAL(dropped([](Message& m) { m.type = MessageType::prepare, m.ballot.node = 3; }), 1U);
    CHECK_EQUAL(dropped([](Message& m) { m.type = MessageType::promise; }), 1U);
    CHECK_EQUAL(dropped([](Message& m) { m.type = MessageType::accepted, m.ballot.node = 1, m.index = 1; }), 1U);
    CHECK_EQUAL(dropped([](Message& m) { m.type = MessageType::snapshot; }), 1U);
    const auto three = [] {
        PaxosConfig of;
        of.id = 1;
        of.nodes = {1, 2, 3};
        of.quorums = {2, 2};
        return of;
    };
    CHECK_EQUAL(dropped([&](Message& m) {
                    m.type = MessageType::snapshot;
                    m.snapshot = {5, 0, {initial_membership(three())}, {}, {}};
                }),
                1U);
    // a promise without what its sender knows to be chosen
    const auto promised = [&](Index last, Index commit, std::vector<Index> slots, bool more) {
        return dropped([&](Message& m) {
            m.type = MessageType::promise;
            m.ballot = {2, 1};
            m.last = last;
            m.commit = commit;
            m.flag = more;
            for (const Index slot : slots) m.entries.push_back({{1, 2}, slot, 0, {}, EntryKind::noop, {}});
        });
    };
    CHECK_EQUAL(promised(0, 3, {}, false), 1U);
    CHECK_EQUAL(promised(2, 3, {1, 2}, false), 1U);
    CHECK_EQUAL(promised(3, 3, {1, 3}, false), 1U);
    CHECK_EQUAL(promised(3, 2, {3}, false), 1U);
    CHECK_EQUAL(promised(4, 2, {1, 3, 4}, false), 1U);
    CHECK_EQUAL(promised(3, 3, {1}, true), 1U);
    CHECK_EQUAL(promised(2, 3, {1, 2}, true), 0U);
    CHECK_EQUAL(promised(4, 2, {1, 2, 4}, false), 0U);
    CHECK_EQUAL(dropped([](Message&) {}), 0U);
}

int main(int argc, char** argv) {
    if (argc > 1) executions = std::stoull(argv[1]);
    if (argc > 2) first_seed = std::stoull(argv[2]);
    return fastmas::testing::run_all(1, argv);
}
