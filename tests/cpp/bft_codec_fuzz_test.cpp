// The BFT codec under hostile bytes: round trips, every cut, random edits; and a node under every message that decodes.
// A seeded run of fixed length, for CI and the sanitizers; `bft_codec_fuzz_test EXECUTIONS [SEED]` runs longer.
#include <cstring>
#include <string>
#include <vector>

#include "base/prng.hpp"
#include "bft_rig.hpp"
#include "check.hpp"
#include "codec_fuzz.hpp"

using namespace fastmas::testing;
using fastmas::base::Payload;
using fastmas::base::Prng;

namespace {

std::uint64_t executions = 100'000;
std::uint64_t first_seed = 1;

template <class Bytes>
void fill(Prng& random, Bytes& bytes) {
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.next());
}

bft::Command random_command(Prng& random) {
    return {random.below(5) == 0 ? CommandKind::validator : CommandKind::command,
            {random.below(4), random.below(9), random.below(5), random.below(2) ? INT64_MAX : random.between(-9, 99)},
            random.between(-9, 9),
            random_payload(random)};
}

BlockPtr random_block(Prng& random) {
    auto block = std::make_shared<Block>();
    block->height = 1 + random.below(4);
    block->first_index = random.below(100);
    block->time_ns = random.between(-100, 100);
    block->proposer = static_cast<NodeId>(random.below(6));
    fill(random, block->parent);
    fill(random, block->validators);
    block->next_validators = block->validators;
    for (std::uint64_t k = random.below(4); k > 0; --k) block->commands.push_back(random_command(random));
    block->id = block_digest(*block);
    return block;
}

Vote random_vote(Prng& random) {
    Vote vote;
    vote.type = random.below(2) == 0 ? VoteType::prevote : VoteType::precommit;
    vote.height = random.below(4);
    vote.round = static_cast<Round>(random.below(6)) - 1;
    if (random.below(3) != 0) fill(random, vote.value);
    vote.validator = static_cast<NodeId>(random.below(6));
    fill(random, vote.signature);
    return vote;
}

CheckpointVote random_checkpoint(Prng& random) {
    CheckpointVote vote;
    vote.height = random.below(200);
    fill(random, vote.digest);
    vote.validator = static_cast<NodeId>(random.below(6));
    fill(random, vote.signature);
    return vote;
}

Message random_message(Prng& random) {
    Message message;
    message.type = static_cast<MessageType>(1 + random.below(7));
    message.from = static_cast<NodeId>(random.below(5));
    message.to = static_cast<NodeId>(random.below(5));
    switch (message.type) {
        case MessageType::proposal: {
            bft::Proposal& made = message.proposal;
            made.block = random_block(random);
            made.height = made.block->height;
            made.value = made.block->id;
            made.round = static_cast<Round>(random.below(4));
            made.pol_round = static_cast<Round>(random.below(4)) - 1;
            made.proposer = static_cast<NodeId>(random.below(6));
            fill(random, made.signature);
            for (std::uint64_t k = random.below(4); k > 0; --k) {
                Vote vote = random_vote(random);
                vote.type = VoteType::prevote;
                vote.height = made.height;
                vote.round = made.pol_round;
                vote.value = made.value;
                made.pol.push_back(vote);
            }
            break;
        }
        case MessageType::votes:
            for (std::uint64_t k = random.below(5); k > 0; --k) message.votes.push_back(random_vote(random));
            break;
        case MessageType::status:
            message.status.height = random.below(9);
            message.status.round = static_cast<Round>(random.below(9)) - 1;
            message.status.checkpoint = random.below(9);
            for (std::uint64_t k = random.below(4); k > 0; --k)
                message.status.rounds.push_back({static_cast<Round>(random.below(9)),
                                                 random.next(),
                                                 random.next(),
                                                 random.below(2) == 0,
                                                 random.below(2) == 0,
                                                 {random.next(), random.next()}});
            break;
        case MessageType::decided:
            for (std::uint64_t k = random.below(3); k > 0; --k) {
                Decided decided;
                decided.block = random_block(random);
                decided.certificate.height = decided.block->height;
                decided.certificate.value = decided.block->id;
                decided.certificate.round = static_cast<Round>(random.below(3));
                for (std::uint64_t v = random.below(4); v > 0; --v) {
                    decided.certificate.votes.push_back({static_cast<NodeId>(random.below(6)), {}});
                    fill(random, decided.certificate.votes.back().signature);
                }
                message.decided.push_back(std::move(decided));
            }
            break;
        case MessageType::snapshot: {
            auto snapshot = std::make_shared<Snapshot>();
            std::vector<Power> powers;
            for (std::uint64_t k = 1 + random.below(5); k > 0; --k) powers.push_back(1 + random.below(9));
            snapshot->chain = ChainState::genesis(Digest{}, ValidatorSet([&] {
                                                      std::vector<Validator> all;
                                                      for (std::size_t i = 0; i < powers.size(); ++i)
                                                          all.push_back({static_cast<NodeId>(i + 1), powers[i], {}});
                                                      return all;
                                                  }()));
            snapshot->chain.height = random.below(100);
            snapshot->index = snapshot->chain.index = random.below(100);
            for (std::int64_t& priority : snapshot->chain.priorities) priority = random.between(-50, 50);
            for (std::uint64_t k = random.below(4); k > 0; --k)
                snapshot->chain.clients.insert(
                    k, {random.below(9), INT64_MAX - static_cast<std::int64_t>(random.below(9))});
            snapshot->state = payload("state");
            for (std::uint64_t k = random.below(3); k > 0; --k) snapshot->proof.push_back(random_checkpoint(random));
            message.snapshot = std::move(snapshot);
            break;
        }
        case MessageType::commands:
            for (std::uint64_t k = random.below(4); k > 0; --k) message.commands.push_back(random_command(random));
            break;
        case MessageType::checkpoint:
            for (std::uint64_t k = random.below(4); k > 0; --k)
                message.checkpoints.push_back(random_checkpoint(random));
            break;
    }
    return message;
}

}  // namespace

TEST(messages_come_back_as_they_were) {
    check_round_trips(random_message, first_seed, executions / 4);
}

TEST(every_cut_and_every_tail_is_refused) {
    check_cuts(random_message, first_seed + 1, 300);
}

TEST(a_snapshot_holds_no_client_whose_time_is_over) {
    Message message, decoded;
    message.type = MessageType::snapshot;
    auto snapshot = std::make_shared<Snapshot>();
    snapshot->chain = BftRig(4).at(1)->chain();
    snapshot->chain.time_ns = 7;
    snapshot->chain.clients.insert(1, {1, 7});
    message.snapshot = snapshot;
    CHECK(decode(encoded(message), decoded) == nullptr);
    snapshot->chain.clients.insert(1, {1, 6});
    CHECK_EQUAL(std::string(decode(encoded(message), decoded)), "a client whose time is over");
}

TEST(hostile_bytes_are_refused_or_canonical) {
    check_hostile_bytes(random_message, first_seed + 2, executions);
}

// Nothing that a stranger to the keys can send stops a node, makes it decide or throws.
TEST(a_node_survives_every_message_that_decodes) {
    Prng random(first_seed + 3);
    for (std::uint64_t i = 0; i < executions / 200; ++i) {
        BftRig rig(4);
        DrivenBft& node = rig.at(1);
        if (random.below(2) == 0) rig.propose(1, "x", 1);
        for (int k = 0; k < 60; ++k) {
            Message message = random_message(random);
            message.from = static_cast<NodeId>(2 + random.below(3));
            message.to = 1;
            node->step(message);
            if (random.below(3) == 0) node->tick();
            node.take();
        }
        CHECK_EQUAL(node->height(), 1U);
        CHECK(node->poisoned().empty());
    }
}

TEST(blocks_and_certificates_travel_by_themselves) {
    BftRig rig(4);
    rig.propose(1, "x", 1);
    rig.run();
    const Decided& decided = *rig.at(1)->decided(1);
    std::vector<std::byte> bytes;
    encode_block(*decided.block, bytes);
    Block block;
    CHECK(decode_block(bytes, block) == nullptr);
    CHECK(block == *decided.block);
    bytes.pop_back();
    CHECK(decode_block(bytes, block) != nullptr);
    bytes.clear();
    encode_certificate(decided.certificate, bytes);
    Certificate certificate;
    CHECK(decode_certificate(bytes, certificate) == nullptr);
    CHECK(certificate == decided.certificate);
    bytes.push_back(std::byte{0});
    CHECK(decode_certificate(bytes, certificate) != nullptr);
}

int main(int argc, char** argv) {
    if (argc > 1) executions = std::stoull(argv[1]);
    if (argc > 2) first_seed = std::stoull(argv[2]);
    return fastmas::testing::run_all(1, argv);
}
