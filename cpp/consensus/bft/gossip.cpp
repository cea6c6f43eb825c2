// BftNode: whatever one correct node has, all get, though any message may be lost (the paper's gossip communication
// property): each says now and then what it has, and who has more sends it. Laggards get blocks with certificates, or
// a state that somebody correct vouches for.
#include <algorithm>
#include <cstring>

#include "consensus/bft/codec.hpp"
#include "consensus/bft/node.hpp"

namespace fastmas::consensus::bft {
namespace {

std::uint64_t tag_of(const Digest& value) noexcept {
    std::uint64_t tag;
    std::memcpy(&tag, value.data(), sizeof tag);
    return tag;
}

bool ascends(const std::vector<RoundStatus>& rounds) noexcept {
    return std::adjacent_find(rounds.begin(), rounds.end(), [](const RoundStatus& a, const RoundStatus& b) {
               return a.round >= b.round;
           }) == rounds.end();
}

}  // namespace

void BftNode::fill_status(Status& status) {
    status.height = height();
    status.round = machine_.round();
    status.checkpoint =
        pending_ && (!proven_ || proven_->chain.height < pending_->chain.height) ? pending_->chain.height : 0;
    status.rounds.clear();
    const Round first = std::max(machine_.round() - 1, 0);
    for (Round round = first; round <= machine_.highest_round() && status.rounds.size() < kMaxStatusRounds; ++round) {
        const VoteSet* prevotes = machine_.votes(VoteType::prevote, round);
        if (prevotes == nullptr) {
            if (round >= machine_.round() + static_cast<Round>(kMaxStatusRounds)) break;
            continue;
        }
        const VoteSet* precommits = machine_.votes(VoteType::precommit, round);
        RoundStatus& row = status.rounds.emplace_back();
        row.round = round;
        row.prevotes = prevotes->senders();
        row.precommits = precommits->senders();
        row.has_prevote_quorum = prevotes->quorum().has_value();
        row.has_precommit_quorum = precommits->quorum().has_value();
        std::size_t known = 0;
        for (const ProposalFact& fact : *machine_.proposals(round))
            if (known < 2) row.proposals[known++] = tag_of(fact.value);
    }
}

void BftNode::broadcast_status() {
    fill_status(status_);
    for (const Peer& peer : peers_) send(MessageType::status, peer.id).status = status_;
}

void BftNode::ask(Peer& peer) {
    if (peer.asked) return;
    peer.asked = true;
    fill_status(send(MessageType::status, peer.id).status);
}

void BftNode::resend_commands() {
    if (pool_.size() == 0 || !outgoing_.empty()) return;
    // Its own clients' now and then, others' more seldom: the node that took those in may have lost them in a crash.
    const bool only_own = ticks_ % (std::uint64_t{config_.status_ticks} * 4) != 0;
    pool_.waiting(config_.limits.max_block_commands, only_own, outgoing_);
}

void BftNode::send_commands() {
    std::size_t at = 0;
    while (at < outgoing_.size()) {
        std::size_t end = at, bytes = 0;
        while (end < outgoing_.size() &&
               (end == at || bytes + outgoing_[end].bytes.size() <= config_.max_message_bytes))
            bytes += outgoing_[end++].bytes.size();
        for (const Peer& peer : peers_) {
            auto& commands = send(MessageType::commands, peer.id).commands;
            commands.assign(outgoing_.begin() + static_cast<std::ptrdiff_t>(at),
                            outgoing_.begin() + static_cast<std::ptrdiff_t>(end));
        }
        at = end;
    }
    outgoing_.clear();
}

void BftNode::handle_status(Peer& peer, const Status& status) {
    // each round once: it is sent what it lacks of each, and that is much
    if (status.height == 0 || status.height > kMaxHeight || status.rounds.size() > kMaxStatusRounds ||
        status.round < kNoRound || status.round > kMaxRound || !ascends(status.rounds)) {
        wrong(peer);
        return;
    }
    if (status.height > height()) {
        ask(peer);
        return;
    }
    if (peer.replies >= config_.max_replies) return;
    if (status.checkpoint != 0) {
        for (const CheckpointVote& vote : checkpoints_)
            if (vote.height == status.checkpoint && vote.validator != peer.id) {
                Message& message = send(MessageType::checkpoint, peer.id);
                for (const CheckpointVote& other : checkpoints_)
                    if (other.height == status.checkpoint) message.checkpoints.push_back(other);
                ++peer.replies;
                break;
            }
    }
    if (status.height < height())
        send_decided(peer, status.height);
    else
        send_missing(peer, status);
}

void BftNode::send_missing(Peer& peer, const Status& status) {
    std::vector<Vote>& votes = votes_;
    votes.clear();
    const auto look = [&](const RoundStatus& has) {
        const VoteSet* prevotes = machine_.votes(VoteType::prevote, has.round);
        if (prevotes == nullptr) return;
        const VoteSet* precommits = machine_.votes(VoteType::precommit, has.round);
        const auto missing = [&](const VoteSet& mine, std::uint64_t places, bool has_quorum) {
            const auto quorum = mine.quorum();
            // an equivocator may have told it something else: only all votes of the quorum show it the quorum
            if (quorum && !has_quorum) mine.votes_for(*quorum, votes);
            for (std::size_t place = 0; place < chain_.validators->size(); ++place)
                if ((mine.senders() & ~places) >> place & 1U) mine.votes_of(place, votes);
        };
        missing(*prevotes, has.prevotes, has.has_prevote_quorum);
        missing(*precommits, has.precommits, has.has_precommit_quorum);
        std::size_t sent = 0;
        for (const Proposal& held : proposals_) {
            if (held.round != has.round || sent == 2) continue;
            const std::uint64_t tag = tag_of(held.value);
            if (tag == has.proposals[0] || tag == has.proposals[1]) continue;
            // two it has already: a third only if somebody correct is for it
            if (has.proposals[1] != 0 && !prevotes->is_wanted(held.value) && !precommits->is_wanted(held.value))
                continue;
            send(MessageType::proposal, peer.id).proposal = held;
            ++sent;
        }
    };
    for (const RoundStatus& has : status.rounds) look(has);
    const Round first = std::max(machine_.round() - 1, 0);
    for (Round round = first; round <= machine_.round(); ++round)
        if (std::none_of(status.rounds.begin(), status.rounds.end(),
                         [&](const RoundStatus& has) { return has.round == round; })) {
            RoundStatus nothing;
            nothing.round = round;
            look(nothing);
        }
    if (!votes.empty()) {
        if (votes.size() > kMaxVotesAMessage) votes.resize(kMaxVotesAMessage);
        send(MessageType::votes, peer.id).votes = votes;
    }
    ++peer.replies;
}

void BftNode::send_decided(Peer& peer, Height from) {
    ++peer.replies;
    if (decided(from) == nullptr) {
        if (proven_ && proven_->chain.height >= from) send(MessageType::snapshot, peer.id).snapshot = proven_;
        return;
    }
    Message& message = send(MessageType::decided, peer.id);
    std::size_t bytes = 0;
    for (Height at = from; at <= chain_.height; ++at) {
        const Decided* held = decided(at);
        if (held == nullptr) break;
        bytes += encoded_size(*held->block);
        if (at != from && bytes > config_.max_message_bytes) break;
        message.decided.push_back(*held);
    }
}

void BftNode::handle_decided(Peer& peer, const Message& message) {
    bool grew = false;
    for (const Decided& decided : message.decided) {
        if (!decided.block || decided.certificate.value != decided.block->id ||
            decided.certificate.height != decided.block->height) {
            wrong(peer);
            return;
        }
        if (decided.block->height < height()) continue;
        if (decided.block->height > height()) break;
        // the certificate first: what a quorum decided is valid, and nothing else is worth a look
        counters_.verified += decided.certificate.votes.size();
        if (verify_certificate(genesis_, *chain_.validators, decided.certificate, *verifier_) != nullptr) {
            wrong(peer, true);
            return;
        }
        if (const char* problem = chain_.check(*decided.block, config_.limits, config_.rule.get()))
            poison(std::string("more than two thirds decided on a block that is not valid: ") + problem);
        ++counters_.caught_up;
        append(decided);
        grew = true;
    }
    if (grew && !message.decided.empty()) {
        peer.asked = false;
        ask(peer);  // there may be more; each answer brought a block, so this ends
    }
}

void BftNode::handle_checkpoints(Peer& peer, const Message& message) {
    if (message.checkpoints.empty() || message.checkpoints.size() > kMaxNodes) {
        wrong(peer);
        return;
    }
    for (const CheckpointVote& vote : message.checkpoints) {
        const std::size_t place = chain_.validators->place_of(vote.validator);
        if (vote.height == 0 || vote.height > kMaxHeight || vote.height % config_.checkpoint_every != 0) {
            wrong(peer);
            return;
        }
        // it may have been one at that height, and whoever passes its vote on may not know yet that it left
        if (place == ValidatorSet::kNowhere) continue;
        if (proven_ && vote.height <= proven_->chain.height) continue;
        std::size_t of_sender = 0;
        auto oldest = checkpoints_.end();
        bool known = false;
        for (auto held = checkpoints_.begin(); held != checkpoints_.end(); ++held) {
            if (held->validator != vote.validator) continue;
            ++of_sender;
            known = known || held->height == vote.height;
            if (oldest == checkpoints_.end() || held->height < oldest->height) oldest = held;
        }
        if (known || (of_sender >= 2 && oldest->height > vote.height)) continue;
        ++counters_.verified;
        if (!verifier_->verify(chain_.validators->at(place).key, checkpoint_bytes(genesis_, vote.height, vote.digest),
                               vote.signature)) {
            wrong(peer, true);
            return;
        }
        if (of_sender >= 2)
            *oldest = vote;
        else
            checkpoints_.push_back(vote);
    }
    prove_checkpoint();
}

void BftNode::prove_checkpoint() {
    if (!pending_ || (proven_ && proven_->chain.height >= pending_->chain.height)) return;
    const Height at = pending_->chain.height;
    const auto own = std::find_if(checkpoints_.begin(), checkpoints_.end(), [&](const CheckpointVote& vote) {
        return vote.height == at && vote.validator == config_.id;
    });
    const Digest digest = own != checkpoints_.end() ? own->digest : snapshot_digest(pending_->chain, pending_->state);
    std::uint64_t places = 0;
    std::vector<CheckpointVote> proof;
    for (const CheckpointVote& vote : checkpoints_) {
        const std::size_t place = chain_.validators->place_of(vote.validator);
        if (vote.height != at || vote.digest != digest || place == ValidatorSet::kNowhere) continue;
        places |= std::uint64_t{1} << place;
        proof.push_back(vote);
    }
    if (!has_correct(chain_.validators->power_of(places), chain_.validators->total())) return;
    // Laggards go by the set that they know. Those that are behind by more than this have lost other blocks before, and
    // a cluster that changes all its validators must not keep its blocks for ever.
    std::erase_if(former_, [&](const auto& set) { return set.first + config_.checkpoint_every <= at; });
    // After a restart a set may be known by its name alone.
    const auto is_known = [&](const Digest& set) {
        return set == pending_->chain.validators->digest() ||
               std::any_of(former_.begin(), former_.end(),
                           [&](const auto& known) { return known.second->digest() == set; });
    };
    for (const Decided& held : log_) {
        const Block& block = *held.block;
        if (block.height <= at && block.height + config_.checkpoint_every > at && !is_known(block.validators)) return;
    }
    for (const auto& [last, set] : former_) {
        Power power = 0;
        for (const CheckpointVote& vote : proof)
            if (const std::size_t place = set->place_of(vote.validator); place != ValidatorSet::kNowhere)
                power += set->powers()[place];
        if (last <= at && !has_correct(power, set->total())) return;
    }
    Snapshot snapshot = *pending_;
    snapshot.proof = std::move(proof);
    proven_ = std::make_shared<const Snapshot>(std::move(snapshot));
    // only now: until then a laggard might need the blocks
    while (!log_.empty() && log_.front().block->height <= at) log_.pop_front();
    std::erase_if(checkpoints_, [&](const CheckpointVote& vote) { return vote.height < at; });
}

void BftNode::handle_snapshot(Peer& peer, const Message& message) {
    if (!message.snapshot || !message.snapshot->chain.validators) {
        wrong(peer);
        return;
    }
    const Snapshot& snapshot = *message.snapshot;
    if (snapshot.chain.height < height()) return;
    // More than one third of the set this node knows says so: at least one of them is correct. The set may have changed
    // since; a node that was away while more than two thirds of the power left needs a newer genesis.
    const Height at = snapshot.chain.height;
    std::uint64_t places = 0;
    for (const CheckpointVote& vote : snapshot.proof) {
        const std::size_t place = chain_.validators->place_of(vote.validator);
        if (vote.height != at || place == ValidatorSet::kNowhere || vote.digest != snapshot.proof.front().digest)
            continue;
        ++counters_.verified;
        if (!verifier_->verify(chain_.validators->at(place).key, checkpoint_bytes(genesis_, at, vote.digest),
                               vote.signature)) {
            wrong(peer, true);
            return;
        }
        places |= std::uint64_t{1} << place;
    }
    if (!has_correct(chain_.validators->power_of(places), chain_.validators->total()) ||
        snapshot_digest(snapshot.chain, snapshot.state) != snapshot.proof.front().digest) {
        wrong(peer, true);
        return;
    }
    chain_ = snapshot.chain;
    log_.clear();
    fresh_.clear();
    boundaries_.clear();
    boundary_.reset();
    former_.clear();
    applied_ = snapshot.index;
    applied_height_ = chain_.height;
    pending_ = proven_ = install_ = message.snapshot;
    pool_.remove_decided(chain_.clients);
    begin_height();
    peer.asked = false;
    ask(peer);  // for the blocks after it
}

}  // namespace fastmas::consensus::bft
