// What liars with keys of their own say to a BFT node: bytes choose it, so it is well formed and well signed more often
// than bytes alone would be.
#pragma once

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "base/errors.hpp"
#include "consensus/bft/codec.hpp"
#include "consensus/bft/node.hpp"
#include "consensus/simulation/bft/sim_signer.hpp"
#include "fuzz.hpp"

namespace fastmas::fuzz {

using namespace consensus;
using namespace consensus::bft;

inline constexpr NodeId kValidators = 4;

inline const SimKeys& keys() {
    static const SimKeys made(kValidators, 1);
    return made;
}

// Everything small, so that few bytes reach every bound.
inline BftConfig small_config(NodeId id, std::shared_ptr<const CommandRule> rule) {
    BftConfig config;
    config.id = id;
    for (NodeId one = 1; one <= kValidators; ++one) {
        config.validators.emplace_back();
        config.validators.back().id = one;
        config.validators.back().key = keys().signers[one - 1]->public_key();
    }
    config.rule = std::move(rule);
    config.limits = {3, 64, 32};
    config.propose_ticks = config.prevote_ticks = config.precommit_ticks = config.timeout_growth_ticks = 1;
    config.status_ticks = 2;
    config.checkpoint_every = 2;
    config.max_pool_commands = 8;
    config.max_message_bytes = 512;
    config.max_early_messages = 2;
    config.max_evidence = 2;
    return config;
}

struct AnyCommand : CommandRule {
    bool allows(const bft::Command&) const override { return true; }
};

class BftLies {
  public:
    explicit BftLies(std::vector<NodeId> liars) : liars_(std::move(liars)) {}

    // What correct nodes said is something to lie about.
    void hear(const Message& message) {
        if (message.type == MessageType::proposal) note(message.proposal.block);
        for (const Vote& vote : message.votes) {
            if (heard_.size() == kHeard) heard_.erase(heard_.begin());
            heard_.push_back(vote);
        }
    }

    // The next message to the node; false where the input makes none.
    bool say(Parts& input, const BftNode& node, Message& out) {
        const std::uint8_t what = input.byte();
        const NodeId liar = liars_[what / 16 % liars_.size()];
        out = Message();
        out.from = liar;
        out.to = node.id();
        switch (what % 16) {
            case 0:
                if (decode(input.part(), out) != nullptr) return false;
                out.from = liar;
                out.to = node.id();
                return true;
            case 1:
                make_status(input, node, out);
                return true;
            case 2:
                make_commands(input, node, out);
                return true;
            case 3:
                make_checkpoints(input, node, out, liar);
                return true;
            case 4:
                make_snapshot(input, node, out);
                return true;
            case 5:
            case 6:
                make_decided(input, node, out);
                return true;
            case 7:
            case 8:
            case 9:
            case 10:
                make_proposal(input, node, out, liar);
                return true;
            case 11: {  // what it heard, passed on
                out.type = MessageType::votes;
                out.votes = heard_;
                return !heard_.empty();
            }
            default:
                out.type = MessageType::votes;
                for (int left = what / 64; left >= 0; --left) {
                    const std::uint8_t how = input.byte(), which = input.byte();
                    const Height height = node.height() + (how / 64 == 3 ? 1 : 0);
                    out.votes.push_back(vote(node, how % 2 == 0 ? VoteType::prevote : VoteType::precommit, height,
                                             how / 2 % 8, value(which), liars_[which / 16 % liars_.size()]));
                    if (which >= 240) out.votes.back().validator = how / 16 % 6;  // a forgery
                }
                return true;
        }
    }

  private:
    static constexpr std::size_t kHeard = 64, kBlocks = 6;

    void note(const BlockPtr& block) {
        if (std::any_of(blocks_.begin(), blocks_.end(), [&](const BlockPtr& known) { return known->id == block->id; }))
            return;
        if (blocks_.size() == kBlocks) blocks_.erase(blocks_.begin());
        blocks_.push_back(block);
    }

    Digest value(std::uint8_t which) const {
        which %= 8;
        if (which < blocks_.size()) return blocks_[which]->id;
        Digest other{};
        if (which == 7) other[0] = std::byte{1};
        return other;
    }

    static Vote vote(const BftNode& node, VoteType type, Height height, Round round, const Digest& value,
                     NodeId validator) {
        Vote made;
        made.type = type;
        made.height = height;
        made.round = round;
        made.value = value;
        made.validator = validator;
        made.signature = keys().signers[validator - 1]->sign(sign_bytes(node.genesis(), made));
        return made;
    }

    // Of all liars, and of whom else it heard.
    std::vector<Vote> votes_for(const BftNode& node, VoteType type, Height height, Round round,
                                const Digest& value) const {
        std::vector<Vote> votes;
        for (const NodeId liar : liars_) votes.push_back(vote(node, type, height, round, value, liar));
        for (const Vote& one : heard_)
            if (one.type == type && one.height == height && one.round == round && one.value == value &&
                std::none_of(votes.begin(), votes.end(),
                             [&](const Vote& held) { return held.validator == one.validator; }))
                votes.push_back(one);
        std::sort(votes.begin(), votes.end(), [](const Vote& a, const Vote& b) { return a.validator < b.validator; });
        return votes;
    }

    static bft::Command command(Parts& input, const BftNode& node) {
        const std::uint8_t how = input.byte();
        bft::Command made;
        made.session.client = 1 + how % 3;
        made.session.sequence = node.chain().clients.last(made.session.client) + 1 + (how / 4 % 8 == 7 ? 1 : 0);
        made.session.acknowledged = made.session.sequence - (how / 32 % 4 == 3 ? 2 : 1);
        made.time_ns = how / 4 % 4;
        if (how >= 128) {
            made.session.expires_ns = 2 + how % 4;
            made.bytes = Payload(input.part());
            return made;
        }
        const std::uint8_t what = input.byte();
        if (what < 128) return made;
        made.kind = CommandKind::validator;
        Validator change;
        change.id = 1 + what % 6;
        change.power = what / 8 % 4;
        change.key = keys().signers[what / 32 % kValidators]->public_key();
        made.bytes = encode_change(change);
        return made;
    }

    BlockPtr block(Parts& input, const BftNode& node, NodeId proposer) {
        const std::uint8_t how = input.byte();
        if (how < 128 && !blocks_.empty()) return blocks_[how % blocks_.size()];
        const ChainState& chain = node.chain();
        auto made = std::make_shared<Block>();
        made->height = chain.height + (how % 16 == 15 ? 2 : 1);
        made->first_index = chain.index + 1;
        made->time_ns = chain.time_ns;
        made->proposer = proposer;
        made->parent = chain.last_id;
        made->validators = chain.validators->digest();
        for (int left = how / 16 % 4; left > 0; --left) {
            made->commands.push_back(command(input, node));
            made->time_ns = std::max(made->time_ns, made->commands.back().time_ns);
        }
        made->next_validators = made->validators;
        try {
            made->next_validators = chain.next_validators(made->commands).digest();
        } catch (const base::ConfigError&) {  // what cannot be is said all the same
        }
        if (how % 16 == 14) made->parent[0] ^= std::byte{1};
        if (how % 16 == 13) ++made->time_ns;
        made->id = block_digest(*made);
        note(made);
        return made;
    }

    void make_proposal(Parts& input, const BftNode& node, Message& out, NodeId liar) {
        out.type = MessageType::proposal;
        bft::Proposal& made = out.proposal;
        const std::uint8_t how = input.byte();
        made.round = how % 8;
        made.pol_round = how / 8 % 8 - 1;
        if (made.pol_round >= made.round) made.pol_round = kNoRound;
        Rotation rotation(node.chain().validators, node.chain().priorities);
        made.proposer = node.chain().validators->at(rotation.proposer(made.round)).id;
        made.block = block(input, node, liar);
        made.height = made.block->height;
        made.value = made.block->id;
        if (made.pol_round != kNoRound)
            made.pol = votes_for(node, VoteType::prevote, made.height, made.pol_round, made.value);
        const bool is_turn = std::find(liars_.begin(), liars_.end(), made.proposer) != liars_.end();
        made.signature = keys().signers[(is_turn ? made.proposer : liar) - 1]->sign(sign_bytes(node.genesis(), made));
    }

    void make_decided(Parts& input, const BftNode& node, Message& out) {
        out.type = MessageType::decided;
        Decided decided;
        decided.block = block(input, node, liars_[0]);
        const Certificate made{decided.block->height, input.byte() % 8, decided.block->id, {}};
        decided.certificate = made;
        for (const Vote& one : votes_for(node, VoteType::precommit, made.height, made.round, made.value))
            decided.certificate.votes.push_back({one.validator, one.signature});
        out.decided.push_back(std::move(decided));
    }

    static void make_status(Parts& input, const BftNode& node, Message& out) {
        const std::uint8_t how = input.byte(), what = input.byte();
        out.type = MessageType::status;
        out.status.height = node.height() + how % 4 - (node.height() > 1 ? 2 : 0);
        out.status.round = how / 4 % 8 - 1;
        out.status.checkpoint = how / 32 % 4 * node.config().checkpoint_every;
        for (int left = how / 128 * 3; left > 0; --left)
            out.status.rounds.push_back(
                {left, what, static_cast<std::uint64_t>(what) >> 2U, what % 3 == 0, what % 5 == 0, {0, what % 2U}});
    }

    static void make_commands(Parts& input, const BftNode& node, Message& out) {
        out.type = MessageType::commands;
        for (int left = input.byte() % 4; left > 0; --left) out.commands.push_back(command(input, node));
    }

    static CheckpointVote checkpoint(const BftNode& node, Height height, const Digest& state, NodeId validator) {
        return {height, state, validator,
                keys().signers[validator - 1]->sign(checkpoint_bytes(node.genesis(), height, state))};
    }

    static void make_checkpoints(Parts& input, const BftNode& node, Message& out, NodeId liar) {
        out.type = MessageType::checkpoint;
        const std::uint8_t how = input.byte();
        Digest state{};
        if (how >= 128 && node.checkpoint_due())
            state = snapshot_digest(node.checkpoint({}).chain, {});
        else
            state[0] = static_cast<std::byte>(how);
        out.checkpoints.push_back(checkpoint(node, how % 8 * node.config().checkpoint_every, state, liar));
    }

    void make_snapshot(Parts& input, const BftNode& node, Message& out) const {
        out.type = MessageType::snapshot;
        const std::uint8_t how = input.byte();
        auto made = std::make_shared<Snapshot>();
        made->chain = node.chain();
        made->chain.height += how % 4 + how / 4 % 2 * node.config().checkpoint_every;
        made->index = made->chain.index += how / 8 % 4;
        made->state = Payload(input.part());
        const Digest state = snapshot_digest(made->chain, made->state);
        for (const NodeId liar : liars_)
            made->proof.push_back(checkpoint(node, made->chain.height, state, how >= 128 ? liars_[0] : liar));
        out.snapshot = std::move(made);
    }

    std::vector<NodeId> liars_;
    std::vector<BlockPtr> blocks_;  // proposed of late, by whomever
    std::vector<Vote> heard_;
};

}  // namespace fastmas::fuzz
