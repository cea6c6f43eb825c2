// BftNode: which signatures messages will have to be checked for, so that a driver checks them ahead: many at once, in
// parallel, each once. A verdict is a function of its item alone; step() asks for it all the same, in its own order.
#include <algorithm>

#include "consensus/bft/node.hpp"

namespace fastmas::consensus::bft {
namespace {

// What a peer's messages are checked for in one call. What is beyond is checked by step(), one by one and only up to
// max_wrong_messages forgeries: so a liar gains this much work of ours in a tick, and no more (PITFALLS 38).
constexpr std::size_t kMaxAhead = 256;

}  // namespace

void BftNode::signatures(std::span<const Message> messages, std::vector<Verifier::Item>& out) const {
    std::vector<std::size_t> left(peers_.size());
    for (std::size_t i = 0; i < peers_.size(); ++i) {
        const std::uint32_t more = config_.max_wrong_messages - std::min(peers_[i].wrong, config_.max_wrong_messages);
        left[i] = peers_[i].wrong == 0 ? kMaxAhead : more;  // who has forged in this tick is not believed in advance
    }
    for (const Message& message : messages) {
        const auto peer =
            std::find_if(peers_.begin(), peers_.end(), [&](const Peer& known) { return known.id == message.from; });
        if (message.to != config_.id || peer == peers_.end()) continue;
        std::size_t& budget = left[static_cast<std::size_t>(peer - peers_.begin())];
        const std::size_t before = out.size();
        list_signatures(message, before + budget, out);
        budget -= out.size() - before;
    }
}

void BftNode::list_signatures(const Message& message, std::size_t most, std::vector<Verifier::Item>& out) const {
    const ValidatorSet& set = *chain_.validators;
    const auto add = [&](NodeId id, const SignBytes& bytes, const Signature& signature) {
        const std::size_t place = set.place_of(id);
        if (place != ValidatorSet::kNowhere && out.size() < most) out.push_back({set.at(place).key, bytes, signature});
    };
    // of the next height, too, which most likely has the same validators: those messages are kept until it begins
    const auto add_vote = [&](const Vote& vote, bool is_proof) {
        if (vote.height < height() || vote.height > height() + 1 || vote.round < 0 || vote.round > kMaxRound) return;
        if (vote.height == height()) {
            const std::size_t place = set.place_of(vote.validator);
            if (place == ValidatorSet::kNowhere || !machine_.admits(place, vote.round)) return;
            const VoteSet* held = machine_.votes(vote.type, vote.round);
            const Vote* known = held != nullptr ? held->vote(place, vote.value) : nullptr;
            if (known != nullptr && (!is_proof || known->signature == vote.signature)) return;
        }
        add(vote.validator, sign_bytes(genesis_, vote), vote.signature);
    };
    const auto add_checkpoints = [&](const std::vector<CheckpointVote>& votes) {
        for (const CheckpointVote& vote : votes)
            add(vote.validator, checkpoint_bytes(genesis_, vote.height, vote.digest), vote.signature);
    };
    switch (message.type) {
        case MessageType::proposal: {
            const Proposal& proposal = message.proposal;
            if (proposal.height < height() || proposal.height > height() + 1) return;
            if (proposal.height == height() && !machine_.admits_proposal(proposal.round, proposal.value)) return;
            add(proposal.proposer, sign_bytes(genesis_, proposal), proposal.signature);
            for (const Vote& vote : proposal.pol) add_vote(vote, true);
            return;
        }
        case MessageType::votes:
            for (const Vote& vote : message.votes) add_vote(vote, false);
            return;
        case MessageType::decided:
            for (const Decided& decided : message.decided) {
                if (!decided.block || decided.block->height < height()) continue;
                Vote vote;
                vote.type = VoteType::precommit;
                vote.height = decided.certificate.height;
                vote.round = decided.certificate.round;
                vote.value = decided.certificate.value;
                const SignBytes bytes = sign_bytes(genesis_, vote);
                for (const Certificate::Signed& held : decided.certificate.votes)
                    add(held.validator, bytes, held.signature);
            }
            return;
        case MessageType::snapshot:
            if (message.snapshot && message.snapshot->chain.height >= height())
                add_checkpoints(message.snapshot->proof);
            return;
        case MessageType::checkpoint:
            add_checkpoints(message.checkpoints);
            return;
        case MessageType::status:
        case MessageType::commands:
            return;
    }
}

}  // namespace fastmas::consensus::bft
