// BftNode: construction, ready and advance. What it does of its own, what comes in and what is gossiped have files of
// their own.
#include "consensus/bft/node.hpp"

#include <algorithm>

#include "base/errors.hpp"

namespace fastmas::consensus::bft {
namespace {

constexpr std::uint32_t kExpiryTicks = 64;   // between two looks for requests that wait in vain
constexpr std::uint32_t kExpiryLooks = 256;  // after so many of them they go

}  // namespace

BftNode::BftNode(BftConfig config, std::shared_ptr<Signer> signer, std::shared_ptr<Verifier> verifier,
                 PersistentState stored)
    : config_((validate(config), std::move(config))),
      signer_(std::move(signer)),
      verifier_(std::move(verifier)),
      genesis_(genesis_digest(config_.chain, config_.limits, ValidatorSet(config_.validators))),
      chain_(ChainState::genesis(genesis_, ValidatorSet(config_.validators))),
      hard_(std::move(stored.hard_state)),
      machine_(chain_.validators, chain_.priorities, ValidatorSet::kNowhere),
      // all others together leave room for the own clients
      pool_(config_.id, {config_.max_pool_commands, config_.max_pool_bytes,
                         std::max(config_.validators.size(), config_.peers.size() + 1)}) {
    if (verifier_ == nullptr)
        throw base::ConfigError("a node needs a verifier, got none; pass the one that knows your kind of keys");
    if (stored.snapshot.chain.height != 0) {  // by its height: its blocks may all have been empty
        chain_ = stored.snapshot.chain;
        applied_ = stored.snapshot.index;
        applied_height_ = chain_.height;
        pending_ = std::make_shared<const Snapshot>(std::move(stored.snapshot));
        if (!pending_->proof.empty()) proven_ = pending_;  // another's, installed
    }
    if (stored.proven.chain.height > (proven_ ? proven_->chain.height : 0))
        proven_ = std::make_shared<const Snapshot>(std::move(stored.proven));
    for (Decided& decided : stored.decided) {
        if (decided.block != nullptr && decided.block->height <= applied_height_) {
            const bool follows = log_.empty() || log_.back().block->height + 1 == decided.block->height;
            if (!follows) log_.clear();
            log_.push_back(std::move(decided));
            continue;
        }
        if (!log_.empty() && log_.back().block->height != chain_.height) log_.clear();
        const char* problem = decided.block == nullptr
                                  ? "it is missing"
                                  : chain_.check(*decided.block, config_.limits, config_.rule.get());
        if (problem == nullptr && decided.certificate.value != decided.block->id)
            problem = "its certificate is another's";
        if (problem == nullptr)
            problem = verify_certificate(genesis_, *chain_.validators, decided.certificate, *verifier_);
        if (problem != nullptr)
            throw base::ConfigError("the stored block of height " + std::to_string(chain_.height + 1) +
                                    " must follow the ones before it with a good certificate, but " + problem +
                                    "; restore the store from a healthy copy");
        apply_to_chain(*decided.block);
        log_.push_back(std::move(decided));
    }
    if (!log_.empty() && log_.back().block->height != chain_.height) log_.clear();
    if (hard_.height > chain_.height + 1)
        throw base::ConfigError("the stored votes are of height " + std::to_string(hard_.height) +
                                ", which must follow the last stored block's (" + std::to_string(chain_.height) +
                                "); restore the store from a healthy copy");
    const std::size_t place = chain_.validators->place_of(config_.id);
    if (signer_ != nullptr) own_key_ = signer_->public_key();
    if (signer_ != nullptr && place != ValidatorSet::kNowhere && chain_.validators->at(place).key != own_key_)
        throw base::ConfigError("the signer's public key must be the one of validator " + std::to_string(config_.id) +
                                "; pass the signer that belongs to it");
    if (config_.peers.empty())
        for (const Validator& validator : config_.validators) config_.peers.push_back(validator.id);
    for (const NodeId id : config_.peers)
        if (id != config_.id) {
            peers_.emplace_back();
            peers_.back().id = id;
        }
    durable_height_ = chain_.height;
    const HardState given = hard_;
    if (hard_.height <= chain_.height) {
        begin_height();
    } else {
        resume();
    }
    if (pending_) {
        // says again what it had vouched for: the others may still need it
        const Height height = pending_->chain.height;
        const Digest digest = snapshot_digest(pending_->chain, pending_->state);
        if (signer_ && place != ValidatorSet::kNowhere)
            checkpoints_.push_back(
                {height, digest, config_.id, signer_->sign(checkpoint_bytes(genesis_, height, digest))});
        prove_checkpoint();  // where its own word is enough, nobody will say anything more
    }
    // a height that begins anew says nothing yet; whatever was signed since goes to the disk first
    hard_changed_ = hard_.round != kNoRound && !(hard_ == given);
}

void BftNode::enter() {
    if (!poisoned_.empty()) throw base::InvariantError(poisoned_);
    if (ready_out_)
        throw base::ConfigError(
            "node " + std::to_string(config_.id) +
            " waits for advance(): do what ready() asked for, then call advance() before anything else");
    paused_ = false;
}

void BftNode::poison(const std::string& text) {
    poisoned_ = "node " + std::to_string(config_.id) + " broke an invariant and stopped: " + text;
    throw base::InvariantError(poisoned_);
}

std::size_t BftNode::own_place() const noexcept {
    const std::size_t place = chain_.validators->place_of(config_.id);
    return place != ValidatorSet::kNowhere && own_key_ == chain_.validators->at(place).key ? place
                                                                                           : ValidatorSet::kNowhere;
}

void BftNode::begin_height() {
    const std::size_t place = own_place();
    machine_.reset(chain_.validators, chain_.priorities, place);
    timers_.clear();
    proposals_.clear();
    owes_proposal_ = false;
    // as good as new, with the memory it had
    HardState fresh;
    fresh.valid_pol.swap(hard_.valid_pol);
    fresh.valid_pol.clear();
    fresh.earlier.swap(hard_.earlier);
    fresh.earlier.clear();
    fresh.height = height();
    hard_ = std::move(fresh);
    hard_changed_ = true;
    fresh_height_ = true;
}

void BftNode::resume() {
    const std::size_t place = own_place();
    machine_ = Tendermint(chain_.validators, chain_.priorities, place);
    if (hard_.round == kNoRound) return;
    Locks locks{hard_.locked_round, hard_.locked_value, hard_.valid_round,
                hard_.valid_block ? hard_.valid_block->id : kNil};
    machine_.resume(hard_.round, hard_.step, locks, hard_.proposal.height != 0);
    if (hard_.proposal.height != 0) take_proposal(hard_.proposal);
    for (const Vote& vote : hard_.valid_pol)
        if (const std::size_t whose = chain_.validators->place_of(vote.validator); whose != ValidatorSet::kNowhere)
            machine_.add_vote(whose, vote);
    if (place != ValidatorSet::kNowhere) {
        for (const Vote& vote : hard_.earlier) machine_.add_vote(place, vote);
        for (const Vote* vote : {&hard_.prevote, &hard_.precommit})
            if (vote->height != 0) machine_.add_vote(place, *vote);
    }
    progress();
}

void BftNode::tick() {
    enter();
    ++ticks_;
    for (Peer& peer : peers_) {
        peer.wrong = peer.replies = 0;
        peer.asked = false;
        if (peer.silent_ticks < UINT32_MAX) ++peer.silent_ticks;
    }
    for (std::size_t i = 0; i < timers_.size() && !is_stalled();) {
        if (--timers_[i].ticks != 0) {
            ++i;
            continue;
        }
        const Timer due = timers_[i];
        timers_.erase(timers_.begin() + static_cast<std::ptrdiff_t>(i));
        machine_.timeout(due.step, due.round);
    }
    progress();
    const std::uint64_t every = std::uint64_t{config_.status_ticks} * (is_idle() ? 4 : 1);
    if (ticks_ % every == 0) {
        broadcast_status();
        resend_commands();
    }
    if (ticks_ % kExpiryTicks == 0) pool_.expire(chain_.clients, kExpiryLooks);
}

void BftNode::set_clock(std::int64_t now_ns) noexcept {
    clock_ns_ = std::max(clock_ns_, now_ns);
}

Submission BftNode::propose(Payload command, const Session& session, std::int64_t now_ns) {
    return submit(CommandKind::command, std::move(command), session, now_ns);
}

Submission BftNode::propose_change(const Validator& change, const Session& session, std::int64_t now_ns) {
    return submit(CommandKind::validator, encode_change(change), session, now_ns);
}

Submission BftNode::submit(CommandKind kind, Payload bytes, const Session& session, std::int64_t now_ns) {
    enter();
    if (bytes.size() > config_.limits.max_command_bytes) return {ProposeStatus::too_large, 0};
    Command command{kind, session, now_ns, std::move(bytes)};
    if (session.client == 0 || !is_wellformed(session) || !is_timely(now_ns) ||
        (kind == CommandKind::validator && !config_.rule) || (config_.rule && !config_.rule->allows(command)))
        return {ProposeStatus::refused, 0};
    switch (pool_.add(command, config_.id, chain_.clients)) {
        case CommandPool::Added::full:
            return {ProposeStatus::full, 0};
        case CommandPool::Added::expired:
            return {ProposeStatus::refused, 0};
        case CommandPool::Added::duplicate:
            break;
        case CommandPool::Added::added:
            outgoing_.push_back(std::move(command));
            pool_grew_ = true;
            break;
    }
    return {ProposeStatus::appended, chain_.index + pool_.size()};
}

bool BftNode::has_ready() const noexcept {
    return outbox_size_ != 0 || (has_unwritten() && can_write()) || pool_grew_ || !outgoing_.empty() ||
           (applied_height_ < appliable() && !paused_);
}

const Ready& BftNode::ready() {
    const bool paused = paused_;
    enter();
    if (pool_grew_) {
        // a height waits for it to begin, so that a burst is one block
        pool_grew_ = false;
        start_if_needed();
        progress();
    }
    send_commands();
    entries_.clear();
    entries_height_ = applied_height_;
    while (entries_height_ < appliable() && !paused) {
        const Block& block = *decided(++entries_height_)->block;
        Index index = block.first_index;
        for (const Command& command : block.commands) {
            const bool own = command.kind == CommandKind::validator;
            entries_.push_back({block.height, index++, block.time_ns, command.session,
                                own ? EntryKind::noop : EntryKind::command, command.bytes});
        }
        if (entries_height_ % config_.checkpoint_every == 0) break;
    }
    hold_back();
    hand_out();
    ready_.messages = {outbox_.data(), outbox_size_};
    ready_.committed = entries_;
    ready_out_ = true;
    return ready_;
}

bool BftNode::checkpoint_due() const noexcept {
    return boundary_ && boundary_->height == applied_height_ && (!pending_ || pending_->chain.height < applied_height_);
}

Snapshot BftNode::checkpoint(Payload state) const {
    if (!checkpoint_due())
        throw base::ConfigError("a checkpoint is taken once and right after a height that is a multiple of " +
                                std::to_string(config_.checkpoint_every) + " was applied, got height " +
                                std::to_string(applied_height_) + "; ask checkpoint_due()");
    return {boundary_->index, *boundary_, std::move(state), {}};
}

void BftNode::compact(Index index, Payload state) {
    enter();
    if (index != applied_)
        throw base::ConfigError("compact takes the last applied index, " + std::to_string(applied_) + ", got " +
                                std::to_string(index) + "; snapshot what was applied");
    pending_ = std::make_shared<const Snapshot>(checkpoint(std::move(state)));
    if (own_place() != ValidatorSet::kNowhere) {
        CheckpointVote vote;
        vote.height = applied_height_;
        vote.digest = snapshot_digest(pending_->chain, pending_->state);
        vote.validator = config_.id;
        vote.signature = signer_->sign(checkpoint_bytes(genesis_, vote.height, vote.digest));
        checkpoints_.push_back(vote);
        for (const Peer& peer : peers_) send(MessageType::checkpoint, peer.id).checkpoints.push_back(vote);
    }
    prove_checkpoint();
}

Height BftNode::first_kept_height() const noexcept {
    if (!log_.empty()) return log_.front().block->height;
    return fresh_.empty() ? height() : fresh_.front().block->height;
}

const Decided* BftNode::decided(Height wanted) const noexcept {
    if (!log_.empty() && wanted >= log_.front().block->height && wanted <= log_.back().block->height)
        return &log_[static_cast<std::size_t>(wanted - log_.front().block->height)];
    for (const Decided& held : fresh_)
        if (held.block->height == wanted) return &held;
    return nullptr;
}

bool BftNode::is_idle() const noexcept {
    return machine_.round() == kNoRound && has_nothing_to_do();
}

bool BftNode::has_nothing_to_do() const noexcept {
    return applied_height_ == chain_.height && fresh_.empty() && machine_.locks().valid_round == kNoRound &&
           !pool_.has_eligible(chain_.clients) &&
           std::none_of(proposals_.begin(), proposals_.end(), [&](const Proposal& held) {
               return !held.block->commands.empty() &&
                      chain_.check(*held.block, config_.limits, config_.rule.get()) == nullptr;
           });
}

bool BftNode::hears_quorum() const noexcept {
    std::uint64_t places = 0;
    const auto add = [&](NodeId id) {
        if (const std::size_t place = chain_.validators->place_of(id); place != ValidatorSet::kNowhere)
            places |= std::uint64_t{1} << place;
    };
    add(config_.id);
    for (const Peer& peer : peers_)
        if (peer.silent_ticks <= 12 * config_.status_ticks) add(peer.id);
    return is_quorum(chain_.validators->power_of(places), chain_.validators->total());
}

NodeId BftNode::proposer() {
    return chain_.validators->at(machine_.proposer(std::max(machine_.round(), 0))).id;
}

PeerCounters BftNode::peer(NodeId id) const noexcept {
    for (const Peer& known : peers_)
        if (known.id == id) return known.counters;
    return {};
}

BftNode::Peer* BftNode::find(NodeId id) noexcept {
    for (Peer& peer : peers_)
        if (peer.id == id) return &peer;
    return nullptr;
}

Message& BftNode::send(MessageType type, NodeId to) {
    if (outbox_size_ == outbox_.size()) outbox_.emplace_back();
    Message& message = outbox_[outbox_size_++];
    message.clear();
    message.type = type;
    message.from = config_.id;
    message.to = to;
    return message;
}

}  // namespace fastmas::consensus::bft
