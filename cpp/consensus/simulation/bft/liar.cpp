#include "consensus/simulation/bft/liar.hpp"

#include <algorithm>

namespace fastmas::consensus::bft {
namespace {

enum Habit : std::uint32_t {
    equivocate_votes = 1,
    equivocate_proposals = 2,
    withhold = 4,
    forgery = 8,
    replay = 16,
    delay = 32,
    invent_heights = 64,
    vote_for_all = 128,
    invent_times = 256,
    favouring = 512,
    besieging = 1024,
};
constexpr std::size_t kHeard = 64;
constexpr std::int64_t kHour = 3'600'000'000'000;

}  // namespace

Liar::Liar(NodeId id, std::uint64_t seed, std::shared_ptr<Signer> signer, std::uint32_t schemes)
    : id_(id), random_(seed), signer_(std::move(signer)), habits_(0), sides_(random_.next()) {
    for (std::uint32_t bit = 1; bit <= invent_times; bit <<= 1U)
        if (chance(60)) habits_ |= bit;
    if (!chance(schemes)) return;
    habits_ = favouring | equivocate_proposals;  // a scheme, which all else would give away
    if (chance(60)) habits_ |= besieging;
}

void Liar::hear(const Message& message) {
    if (message.type == MessageType::proposal) {
        values_.push_back(message.proposal.value);
        if (values_.size() > 4) values_.pop_front();
    }
    // commands it withholds at worst: one that turns up after ages is a client's matter, not a liar's
    if ((habits_ & replay) != 0 && message.type != MessageType::commands && chance(30)) {
        heard_.push_back(message);
        if (heard_.size() > kHeard) heard_.pop_front();
    }
}

void Liar::tick() {
    ++ticks_;
    if (ticks_ % 32 == 0) {
        sides_ = random_.next();
        deaf_ = (habits_ & withhold) != 0 && chance(40) ? random_.next() & random_.next() : 0;
    }
}

Vote Liar::sign(const BftNode& node, VoteType type, Height height, Round round, const Digest& value) {
    Vote vote;
    vote.type = type;
    vote.height = height;
    vote.round = round;
    vote.value = value;
    vote.validator = id_;
    vote.signature = signer_->sign(sign_bytes(node.genesis(), vote));
    return vote;
}

BlockPtr Liar::other_block(const Block& block) {
    auto other = std::make_shared<Block>(block);
    if (other->commands.size() > 1) {
        other->commands.pop_back();
        other->time_ns = INT64_MIN;
        for (const Command& command : other->commands) other->time_ns = std::max(other->time_ns, command.time_ns);
        other->time_ns = std::max(other->time_ns, block.time_ns);  // valid where the time is the parent's
    } else {
        // the same command, said to be made by another: a different block, and valid
        other->proposer = other->proposer == 1 ? 2 : 1;
    }
    if (chance(15)) other->parent[0] ^= std::byte{1};  // or not valid at all
    other->id = block_digest(*other);
    return other;
}

// Valid: whether a time can be is nothing that a block says by itself.
BlockPtr Liar::from_the_future(const Block& block) {
    auto other = std::make_shared<Block>(block);
    other->commands.back().time_ns += kHour;
    other->time_ns = std::max(other->time_ns, other->commands.back().time_ns);
    other->id = block_digest(*other);
    return other;
}

// At every third height, so that the cluster gets on; it bides its time at the others.
bool Liar::besieges(Height height) const noexcept {
    return (habits_ & besieging) != 0 && height % 3 == 0;
}
bool Liar::bides(Height height) const noexcept {
    return (habits_ & besieging) != 0 && !besieges(height);
}

NodeId Liar::proposer_of(const BftNode& node, Round round) {
    Rotation rotation(node.chain().validators, node.chain().priorities);
    return node.chain().validators->at(rotation.proposer(round)).id;
}

// Who alone gets its prevote of a round. A siege takes three rounds. In its own it tells the next proposer another
// story, and completes the quorum for the one that did not hear it and is no proposer soon: that node locks, alone. In
// the next round all others vote for something new, and it completes that quorum for the proposer after it, which locks
// alone, too, and proposes that value again with its proof: now the first has to prevote against its lock.
NodeId Liar::favourite(const BftNode& node, Height height, Round round) const {
    if (!besieges(height)) {
        const std::vector<NodeId>& peers = node.config().peers;
        return peers[(static_cast<std::size_t>(round) + height) % peers.size()];
    }
    return proposer_of(node, round + (proposer_of(node, round) == id_ ? 3 : 1));
}

// Its prevote of a round to one node only, which may lock alone then, and its precommits to nobody: what locks
// differently from round to round has to unlock. Whether anything is left to say.
bool Liar::favour_one(const BftNode& node, Message& message) {
    std::erase_if(message.votes, [&](const Vote& vote) {
        return vote.validator == id_ &&
               (vote.type == VoteType::precommit || favourite(node, vote.height, vote.round) != message.to);
    });
    if (message.votes.empty()) return false;
    for (Vote& vote : message.votes) {
        if (vote.validator != id_) continue;
        ++counters_.favoured;
        Digest value = vote.value;
        if (besieges(vote.height)) {
            // what was proposed, whatever it is locked on itself
            const auto* proposed = vote.height == node.height() ? node.machine().proposals(vote.round) : nullptr;
            if (proposed != nullptr && !proposed->empty()) value = proposed->front().value;
        } else if (is_other_side(message.to) && mine_ && value == mine_->id) {
            value = other_->id;
        }
        if (value != vote.value) vote = sign(node, vote.type, vote.height, vote.round, value);
    }
    return true;
}

Digest Liar::some_value(const Digest& honest) {
    if (other_ && mine_ && honest == mine_->id && chance(70)) return other_->id;
    if (honest != kNil && chance(50)) return kNil;
    if (!values_.empty() && chance(80)) return values_[random_.below(values_.size())];
    Digest random{};
    random[0] = static_cast<std::byte>(random_.next() | 1U);
    return random;
}

void Liar::forge(const BftNode& node, NodeId to, std::vector<Message>& out) {
    ++counters_.forged;
    Message message;
    message.from = id_;
    message.to = to;
    const auto victim = static_cast<NodeId>(1 + random_.below(node.config().validators.size()));
    const Digest value = values_.empty() ? kNil : values_.back();
    const Round round = std::max(node.round(), 0);
    switch (random_.below(4)) {
        case 0: {  // another's vote
            message.type = MessageType::votes;
            message.votes.push_back(
                sign(node, chance(50) ? VoteType::prevote : VoteType::precommit, node.height(), round, value));
            message.votes.back().validator = victim;
            break;
        }
        case 1: {  // a certificate that it signed alone
            message.type = MessageType::decided;
            auto block = std::make_shared<Block>();
            block->height = node.height();
            block->first_index = node.chain().index + 1;
            block->parent = node.chain().last_id;
            block->validators = block->next_validators = node.chain().validators->digest();
            block->proposer = id_;
            block->commands.push_back({CommandKind::command, {66, 1, 0}, 0, Payload("a forged order of a liar")});
            block->time_ns = std::max<std::int64_t>(node.chain().time_ns, 0);
            block->id = block_digest(*block);
            Decided decided;
            decided.certificate.height = block->height;
            decided.certificate.value = block->id;
            const Vote own = sign(node, VoteType::precommit, block->height, 0, block->id);
            for (const Validator& validator : node.config().validators)
                decided.certificate.votes.push_back({validator.id, own.signature});
            decided.block = std::move(block);
            message.decided.push_back(std::move(decided));
            break;
        }
        case 2: {  // a state that nobody else vouches for
            message.type = MessageType::snapshot;
            auto snapshot = std::make_shared<Snapshot>();
            snapshot->chain = node.chain();
            snapshot->chain.height = node.height() + 5 * node.config().checkpoint_every;
            snapshot->index = snapshot->chain.index += 100;
            CheckpointVote vote;
            vote.height = snapshot->chain.height;
            vote.digest = snapshot_digest(snapshot->chain, snapshot->state);
            vote.signature = signer_->sign(checkpoint_bytes(node.genesis(), vote.height, vote.digest));
            for (const Validator& validator : node.config().validators) {
                vote.validator = validator.id;
                snapshot->proof.push_back(vote);
            }
            message.snapshot = std::move(snapshot);
            break;
        }
        default: {  // a proposal in another's turn
            if (!mine_) return;
            message.type = MessageType::proposal;
            message.proposal.height = mine_->height;
            message.proposal.round = round;
            message.proposal.value = mine_->id;
            message.proposal.block = mine_;
            message.proposal.proposer = victim;
            message.proposal.signature = signer_->sign(sign_bytes(node.genesis(), message.proposal));
            break;
        }
    }
    out.push_back(std::move(message));
}

void Liar::lie(const BftNode& node, const Message& honest, std::vector<Message>& out) {
    Message message = honest;
    if ((deaf_ >> message.to & 1U) != 0 || ((habits_ & withhold) != 0 && chance(10))) {
        ++counters_.withheld;
        return;
    }
    if ((habits_ & favouring) != 0 && message.type == MessageType::votes && !bides(message.votes.front().height)) {
        if (favour_one(node, message)) out.push_back(std::move(message));
        return;
    }
    const bool other = is_other_side(message.to);
    if ((habits_ & invent_times) != 0 && message.type == MessageType::commands && chance(10)) {
        message.commands.back().time_ns += kHour;
        ++counters_.times_invented;
    }
    // the same for everybody, so that it could be decided on
    if ((habits_ & invent_times) != 0 && message.type == MessageType::proposal && message.proposal.proposer == id_ &&
        message.proposal.pol_round == kNoRound && !message.proposal.block->commands.empty() &&
        message.proposal.value[0] < std::byte{64}) {
        message.proposal.block = from_the_future(*message.proposal.block);
        message.proposal.value = message.proposal.block->id;
        message.proposal.signature = signer_->sign(sign_bytes(node.genesis(), message.proposal));
        ++counters_.times_invented;
    }
    if ((habits_ & equivocate_proposals) != 0 && message.type == MessageType::proposal &&
        message.proposal.proposer == id_ && message.proposal.pol_round == kNoRound && !bides(message.proposal.height)) {
        if (!mine_ || mine_->id != message.proposal.value) {
            mine_ = message.proposal.block;
            other_ = other_block(*mine_);
        }
        if (besieges(message.proposal.height) ? message.to == proposer_of(node, message.proposal.round + 1) : other) {
            message.proposal.block = other_;
            message.proposal.value = other_->id;
            message.proposal.signature = signer_->sign(sign_bytes(node.genesis(), message.proposal));
            ++counters_.proposals_equivocated;
        }
    }
    if ((habits_ & equivocate_votes) != 0 && message.type == MessageType::votes && other)
        for (Vote& vote : message.votes)
            if (vote.validator == id_) {
                vote = sign(node, vote.type, vote.height, vote.round, some_value(vote.value));
                ++counters_.votes_equivocated;
            }
    if ((habits_ & invent_heights) != 0 && message.type == MessageType::status && chance(50)) {
        message.status.height = chance(50) ? 1 + random_.below(node.height() + 3) : random_.next() >> 2U;
        message.status.round = static_cast<Round>(random_.below(20)) - 1;
        for (RoundStatus& row : message.status.rounds) row.prevotes = row.precommits = random_.next();
        ++counters_.heights_invented;
        Message votes;
        votes.type = MessageType::votes;
        votes.from = id_;
        votes.to = message.to;
        for (int i = 0; i < 8; ++i)
            votes.votes.push_back(sign(node, VoteType::precommit, node.height() + random_.below(3),
                                       static_cast<Round>(random_.below(1000)), some_value(kNil)));
        out.push_back(std::move(votes));
    }
    if ((habits_ & vote_for_all) != 0 && message.type == MessageType::votes && !values_.empty() && chance(50)) {
        Message votes;
        votes.type = MessageType::votes;
        votes.from = id_;
        votes.to = message.to;
        for (const Digest& value : values_)
            for (const VoteType type : {VoteType::prevote, VoteType::precommit})
                votes.votes.push_back(sign(node, type, node.height(), std::max(node.round(), 0), value));
        ++counters_.votes_for_all;
        out.push_back(std::move(votes));
    }
    if ((habits_ & forgery) != 0 && chance(10)) forge(node, message.to, out);
    if ((habits_ & replay) != 0 && !heard_.empty() && chance(10)) {
        Message again = heard_[random_.below(heard_.size())];
        again.from = id_;
        again.to = message.to;
        if (again.type != MessageType::proposal || again.proposal.height < node.height()) {
            out.push_back(std::move(again));
            ++counters_.replayed;
        }
    }
    if ((habits_ & delay) != 0 && message.type != MessageType::commands && chance(15)) {
        ++counters_.delayed;
        const std::uint64_t due = ticks_ + 1 + random_.below(60);
        const auto place = std::upper_bound(delayed_.begin(), delayed_.end(), due,
                                            [](std::uint64_t wanted, const auto& held) { return wanted < held.first; });
        delayed_.emplace(place, due, std::move(message));
        return;
    }
    out.push_back(std::move(message));
}

bool Liar::holds_proposal(Height height) const noexcept {
    return std::any_of(delayed_.begin(), delayed_.end(), [&](const auto& held) {
        return held.second.type == MessageType::proposal && held.second.proposal.height >= height;
    });
}

void Liar::release(const BftNode&, std::vector<Message>& out) {
    for (; has_due(); delayed_.pop_front()) out.push_back(std::move(delayed_.front().second));
}

}  // namespace fastmas::consensus::bft
