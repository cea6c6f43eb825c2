// What a liar can make a node do is bounded, and small beside what it has to say for it (PITFALLS 38).
#include "bft_rig.hpp"
#include "check.hpp"
#include "consensus/bft/storage_codec.hpp"

using namespace fastmas::testing;

namespace {

struct CountedRule final : CommandRule {
    mutable std::size_t calls = 0;
    bool allows(const Command&) const override {
        ++calls;
        return true;
    }
};

bft::Message commands_of(NodeId from, NodeId to, std::vector<Session> sessions) {
    Message message;
    message.type = MessageType::commands;
    message.from = from;
    message.to = to;
    for (const Session& session : sessions)
        message.commands.push_back({CommandKind::command, session, 0, payload("x")});
    return message;
}

}  // namespace

// A proposer whose turn it is signs as many proposals as it likes, with as many copies of its own vote as there is
// room.
TEST(a_proof_that_cannot_be_one_costs_no_check) {
    BftRig rig(4);
    for (int i = 0; i < 1000; ++i) {
        const BlockPtr block = rig.block(1, 2, {"x" + std::to_string(i)}, 1);
        const Vote own = rig.vote(VoteType::prevote, 2, 1, 0, block->id);
        rig.at(1).step(rig.proposal(2, 1, block, 1, 0, std::vector<Vote>(63, own)));
    }
    CHECK_EQUAL(rig.at(1)->counters().verified, 0U);
    // and one that is, with a vote twice
    const BlockPtr block = rig.block(3, 2, {"y"}, 1);
    std::vector<Vote> pol;
    for (const NodeId id : {1U, 2U, 4U, 4U}) pol.push_back(rig.vote(VoteType::prevote, id, 1, 0, block->id));
    rig.at(3).step(rig.proposal(2, 3, block, 1, 0, pol));
    CHECK_EQUAL(rig.at(3)->counters().verified, 0U);
    pol.pop_back();
    rig.at(3).step(rig.proposal(2, 3, block, 1, 0, pol));
    CHECK_EQUAL(rig.at(3)->machine().proposals(1)->size(), 1U);
}

// 300 bytes would bring it the same block eight times.
TEST(a_status_names_each_round_once) {
    BftRig rig(4);
    rig.at(3).step(rig.proposal(1, 3, rig.block(3, 1, {std::string(100'000, 'x')}, 1), 0));
    Message message;
    message.type = MessageType::status;
    message.from = 2;
    message.to = 3;
    message.status.height = 1;
    message.status.rounds.resize(1);
    CHECK_EQUAL(count_of(rig.at(3).step(message), MessageType::proposal), 1U);
    message.status.rounds.resize(kMaxStatusRounds);
    CHECK_EQUAL(count_of(rig.at(3).step(message), MessageType::proposal), 0U);
    CHECK_EQUAL(rig.at(3)->peer(2).invalid, 1U);
}

TEST(copies_of_a_command_cost_no_call_of_the_rule) {
    const auto rule = std::make_shared<CountedRule>();
    BftRig rig(4, {}, [&](BftConfig& config) { config.rule = rule; });
    for (int i = 0; i < 100; ++i) rig.at(1)->step(commands_of(2, 1, {{50, 2, 0}}));  // waits: 1 is not there
    CHECK_EQUAL(rule->calls, 1U);
    rig.propose(1, "a", 1);
    rig.run();
    CHECK_EQUAL(rig.at(1)->height(), 2U);
    rule->calls = 0;
    rig.at(1)->step(commands_of(3, 1, {session_of(1)}));  // decided
    CHECK_EQUAL(rule->calls, 0U);
}

// what is kept until its height begins was looked at by nobody
TEST(an_early_block_beyond_the_limits_is_not_kept) {
    BftRig rig(4, {}, [](BftConfig& config) { config.limits = {4, 1000, 1000}; });
    const auto early = [&](const std::vector<std::string>& texts) {
        auto block = std::make_shared<Block>(*rig.block(1, 2, texts, 1));
        block->height = 2;
        block->id = block_digest(*block);
        rig.at(1).step(rig.proposal(2, 1, block, 0));
        return rig.at(1)->peer(2).invalid;
    };
    CHECK_EQUAL(early({"x"}), 0U);
    CHECK_EQUAL(early({std::string(600, 'x'), std::string(600, 'x')}), 1U);
    CHECK_EQUAL(early({"a", "b", "c", "d", "e"}), 2U);
}

// There may be more of them than validators: those that look on, those that are to come.
TEST(peers_leave_room_in_the_pool_for_the_own_clients) {
    BftRig rig(4, {}, [](BftConfig& config) {
        config.max_pool_commands = 100;
        config.peers = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    });
    for (NodeId peer = 2; peer <= 10; ++peer)
        for (std::uint64_t client = 1; client <= 100; ++client)
            rig.at(1)->step(commands_of(peer, 1, {{1000 * peer + client, 2, 0}}));
    CHECK(rig.at(1)->pool().size() > 80);
    CHECK(rig.propose(1, "a", 1).status == ProposeStatus::appended);
}

// What is signed does not say by whom: one vote would be those of both.
TEST(validators_have_keys_of_their_own) {
    BftRig rig(4);
    std::vector<Validator> validators = rig.config(1).validators;
    validators[3].key = validators[0].key;
    CHECK_THROWS(ValidatorSet(validators), fastmas::base::ConfigError, "keys of their own");
    // nor may a change bring that about, or bytes off the network
    Validator change = validators[3];
    change.id = 5;
    auto block = std::make_shared<Block>(*rig.block(1, 1, {""}, 1));
    block->commands[0].kind = CommandKind::validator;
    block->commands[0].bytes = encode_change(change);
    const CountedRule rule;
    CHECK_EQUAL(std::string(rig.at(1)->chain().check(*block, {}, &rule)),
                std::string("changes the validators to what cannot be"));
    ChainState chain = rig.at(1)->chain();
    std::vector<std::byte> bytes;
    encode_snapshot({0, chain, payload("s"), {}}, bytes);
    const auto& key = chain.validators->at(0).key;
    auto last =
        std::search(bytes.begin(), bytes.end(), chain.validators->at(3).key.begin(), chain.validators->at(3).key.end());
    CHECK(last != bytes.end());
    Snapshot snapshot;
    CHECK(decode_snapshot(bytes, snapshot) == nullptr);
    std::copy(key.begin(), key.end(), last);
    CHECK_EQUAL(std::string(decode_snapshot(bytes, snapshot)), std::string("no such validators"));
}

TEST_MAIN
