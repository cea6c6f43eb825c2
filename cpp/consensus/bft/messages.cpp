// BftNode: proposals, votes and commands that come in. What is cheap to check is checked first; a signature is checked
// once; nothing wrong costs more than a bounded number of checks a peer and tick (PITFALLS 38).
#include <algorithm>

#include "consensus/bft/node.hpp"

namespace fastmas::consensus::bft {
namespace {

bool fits(const Block& block, const ChainLimits& limits) noexcept {
    std::size_t bytes = 0;
    for (const Command& command : block.commands) bytes += command.bytes.size();
    return block.commands.size() <= limits.max_block_commands && bytes <= limits.max_block_bytes;
}

}  // namespace

void BftNode::wrong(Peer& peer, bool forged) {
    ++peer.wrong;
    ++(forged ? peer.counters.forged : peer.counters.invalid);
    ++counters_.dropped;
}

void BftNode::step(const Message& message) {
    enter();
    Peer* peer = message.to == config_.id ? find(message.from) : nullptr;
    if (peer == nullptr) {
        ++counters_.dropped;
        return;
    }
    if (peer->wrong >= config_.max_wrong_messages) {
        ++peer->counters.unread;
        return;
    }
    peer->silent_ticks = 0;
    if (is_stalled() && message.type != MessageType::commands && message.type != MessageType::status) {
        ++counters_.stalled;
        return;
    }
    switch (message.type) {
        case MessageType::proposal:
            handle_proposal(*peer, message);
            break;
        case MessageType::votes:
            handle_votes(*peer, message);
            break;
        case MessageType::status:
            handle_status(*peer, message.status);
            break;
        case MessageType::decided:
            handle_decided(*peer, message);
            break;
        case MessageType::snapshot:
            handle_snapshot(*peer, message);
            break;
        case MessageType::commands:
            handle_commands(*peer, message);
            break;
        case MessageType::checkpoint:
            handle_checkpoints(*peer, message);
            break;
    }
    progress();
}

bool BftNode::verify(const PublicKey& key, const SignBytes& bytes, const Signature& signature) {
    ++counters_.verified;
    return verifier_->verify(key, bytes, signature);
}

BlockPtr BftNode::find_block(const Digest& value) const noexcept {
    for (const Proposal& held : proposals_)
        if (held.value == value) return held.block;
    return hard_.valid_block && hard_.valid_block->id == value ? hard_.valid_block : nullptr;
}

bool BftNode::is_timely(std::int64_t time_ns) const noexcept {
    return clock_ns_ == INT64_MIN || time_ns <= clock_ns_ ||
           static_cast<std::uint64_t>(time_ns) - static_cast<std::uint64_t>(clock_ns_) <=
               static_cast<std::uint64_t>(config_.max_clock_ahead_ns);
}

bool BftNode::has_evidence(Evidence::Kind kind, NodeId culprit, Round round, VoteType type) const noexcept {
    return std::any_of(evidence_.begin(), evidence_.end(), [&](const Evidence& known) {
        if (known.kind != kind || known.culprit() != culprit || known.height() != height()) return false;
        return kind == Evidence::Kind::proposal ? known.first_proposal.round == round
                                                : known.first_vote.round == round && known.first_vote.type == type;
    });
}

void BftNode::keep_evidence(Evidence evidence) {
    // one for each crime is enough; the first ones stay when it is full
    const bool vote = evidence.kind == Evidence::Kind::vote;
    if (evidence_.size() >= config_.max_evidence ||
        has_evidence(evidence.kind, evidence.culprit(),
                     vote ? evidence.first_vote.round : evidence.first_proposal.round, evidence.first_vote.type))
        return;
    for (Proposal* proposal : {&evidence.first_proposal, &evidence.second_proposal}) {
        proposal->block.reset();
        proposal->pol.clear();
    }
    evidence_.push_back(std::move(evidence));
}

void BftNode::keep_early(Peer& peer, const Message& message) {
    if (peer.early.size() >= config_.max_early_messages) {
        ++peer.counters.overflown;
        return;
    }
    peer.early.push_back(message);
}

void BftNode::replay_early() {
    for (Peer& peer : peers_) {
        if (peer.early.empty()) continue;
        std::vector<Message> early;
        early.swap(peer.early);
        for (const Message& message : early) {
            if (peer.wrong >= config_.max_wrong_messages) {
                ++peer.counters.unread;
                continue;
            }
            if (message.type == MessageType::proposal)
                handle_proposal(peer, message);
            else
                handle_votes(peer, message);
        }
    }
}

void BftNode::handle_votes(Peer& peer, const Message& message) {
    if (message.votes.size() > kMaxVotesAMessage || message.votes.empty()) {
        wrong(peer);
        return;
    }
    bool early = false;
    for (const Vote& vote : message.votes) {
        if (vote.height == 0 || vote.height > kMaxHeight) {
            wrong(peer);
            return;
        }
        if (vote.height == height()) {
            // not a word more from who sends forgeries by the thousand in one message
            if (!take_vote(peer, vote) && peer.wrong >= config_.max_wrong_messages) return;
        } else if (vote.height > height()) {
            ask(peer);  // it is ahead, or says so
            early = early || vote.height == height() + 1;
        }
    }
    if (early) keep_early(peer, message);
}

bool BftNode::take_vote(Peer& peer, const Vote& vote) {
    const std::size_t place = chain_.validators->place_of(vote.validator);
    if (place == ValidatorSet::kNowhere || vote.round < 0 || vote.round > kMaxRound) {
        wrong(peer);
        return false;
    }
    if (!machine_.admits(place, vote.round)) return true;
    const VoteSet* held = machine_.votes(vote.type, vote.round);
    if (held != nullptr && held->first(place) != nullptr) {
        if (held->has(place, vote.value)) return true;
        // a further lie of a known liar that would not be counted is not worth a check
        if (!held->is_wanted(vote.value) && has_evidence(Evidence::Kind::vote, vote.validator, vote.round, vote.type))
            return true;
    }
    if (!verify(chain_.validators->at(place).key, sign_bytes(genesis_, vote), vote.signature)) {
        wrong(peer, true);
        return false;
    }
    count_vote(place, vote);
    return true;
}

// PITFALLS 34: wherever it came from, what contradicts an earlier vote is evidence.
void BftNode::count_vote(std::size_t place, const Vote& vote) {
    const VoteSet::Added added = machine_.add_vote(place, vote);
    if (added != VoteSet::Added::conflict && added != VoteSet::Added::conflict_counted) return;
    Evidence evidence;
    evidence.first_vote = *machine_.votes(vote.type, vote.round)->first(place);
    evidence.second_vote = vote;
    keep_evidence(std::move(evidence));
}

void BftNode::handle_proposal(Peer& peer, const Message& message) {
    const Proposal& proposal = message.proposal;
    if (!proposal.block || proposal.height == 0 || proposal.height > kMaxHeight || proposal.round < 0 ||
        proposal.round > kMaxRound || proposal.pol_round < kNoRound || proposal.pol_round >= proposal.round ||
        proposal.block->id != proposal.value || proposal.block->height != proposal.height ||
        (proposal.pol_round == kNoRound) != proposal.pol.empty() || proposal.pol.size() > kMaxNodes) {
        wrong(peer);
        return;
    }
    if (proposal.height != height()) {
        if (proposal.height < height()) return;
        ask(peer);
        if (proposal.height != height() + 1) return;
        // nothing else bounds what it holds until its height begins
        if (fits(*proposal.block, config_.limits))
            keep_early(peer, message);
        else
            wrong(peer);
        return;
    }
    if (!machine_.admits_proposal(proposal.round, proposal.value)) return;
    const std::size_t place = machine_.proposer(proposal.round);
    if (chain_.validators->at(place).id != proposal.proposer) {
        wrong(peer);  // lines 22, 28, 36, 49: from proposer(h_p, round)
        return;
    }
    if (!is_proof(proposal)) {
        wrong(peer);
        return;
    }
    if (!verify(chain_.validators->at(place).key, sign_bytes(genesis_, proposal), proposal.signature) ||
        !check_pol(proposal)) {
        wrong(peer, true);
        return;
    }
    take_proposal(proposal);
    for (const Vote& vote : proposal.pol)
        if (const std::size_t whose = chain_.validators->place_of(vote.validator); machine_.admits(whose, vote.round))
            count_vote(whose, vote);
}

// Whether it would prove pol_round, were its signatures good. Each validator once: a liar could else have its own vote
// checked as often as there is room.
bool BftNode::is_proof(const Proposal& proposal) const noexcept {
    if (proposal.pol_round == kNoRound) return true;
    std::uint64_t places = 0;
    for (const Vote& vote : proposal.pol) {
        const std::size_t place = chain_.validators->place_of(vote.validator);
        if (vote.type != VoteType::prevote || vote.height != proposal.height || vote.round != proposal.pol_round ||
            vote.value != proposal.value || place == ValidatorSet::kNowhere || (places >> place & 1U) != 0)
            return false;
        places |= std::uint64_t{1} << place;
    }
    return is_quorum(chain_.validators->power_of(places), chain_.validators->total());
}

// All of it or nothing: a proposal is passed on as it came, and a correct node passes on no forgery.
bool BftNode::check_pol(const Proposal& proposal) {
    const VoteSet* held = machine_.votes(VoteType::prevote, proposal.pol_round);
    return std::all_of(proposal.pol.begin(), proposal.pol.end(), [&](const Vote& vote) {
        const std::size_t place = chain_.validators->place_of(vote.validator);
        // the very vote that was checked before: another signature for the same value may be a forgery
        const Vote* known = held != nullptr ? held->vote(place, vote.value) : nullptr;
        return (known != nullptr && known->signature == vote.signature) ||
               verify(chain_.validators->at(place).key, sign_bytes(genesis_, vote), vote.signature);
    });
}

void BftNode::take_proposal(const Proposal& proposal) {
    ProposalFact fact;
    fact.round = proposal.round;
    fact.pol_round = proposal.pol_round;
    fact.value = proposal.value;
    fact.valid = chain_.check(*proposal.block, config_.limits, config_.rule.get()) == nullptr;
    // nobody begins a height for nothing, a liar neither
    fact.timely = is_timely(proposal.block->time_ns) && (proposal.round > 0 || !proposal.block->commands.empty());
    if (!fact.valid) ++counters_.invalid_proposals;
    if (!fact.timely) ++counters_.untimely;
    if (machine_.add_proposal(fact)) {
        const auto first = std::find_if(proposals_.begin(), proposals_.end(),
                                        [&](const Proposal& held) { return held.round == proposal.round; });
        if (first != proposals_.end()) {
            Evidence evidence;
            evidence.kind = Evidence::Kind::proposal;
            evidence.first_proposal = *first;
            evidence.second_proposal = proposal;
            keep_evidence(std::move(evidence));
        }
    }
    proposals_.push_back(proposal);
}

void BftNode::handle_commands(Peer& peer, const Message& message) {
    if (message.commands.empty()) wrong(peer);
    bool grew = false;
    for (const Command& command : message.commands) {
        const Session& session = command.session;
        // what is known is worth no call of the rule, which may check a signature
        if (session.sequence <= chain_.clients.last(session.client) || pool_.has(session)) continue;
        if (command.bytes.size() > config_.limits.max_command_bytes || session.client == 0 || !is_wellformed(session) ||
            (command.kind == CommandKind::validator && !config_.rule) ||
            (config_.rule && !config_.rule->allows(command))) {
            wrong(peer);
            if (peer.wrong >= config_.max_wrong_messages) return;
            continue;
        }
        // it would spoil every block it is put in; its node sends it again, and clocks go on
        if (!is_timely(command.time_ns)) {
            ++counters_.untimely;
            continue;
        }
        // a full pool drops it: its node sends it again
        if (pool_.add(command, peer.id, chain_.clients) == CommandPool::Added::added) grew = true;
    }
    if (grew) start_if_needed();
}

}  // namespace fastmas::consensus::bft
