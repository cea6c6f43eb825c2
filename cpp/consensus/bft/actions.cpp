// BftNode: does what Algorithm 1's machine asks for: proposes, signs, waits, decides.
#include <algorithm>

#include "base/errors.hpp"
#include "consensus/bft/node.hpp"

namespace fastmas::consensus::bft {

void BftNode::start_if_needed() {
    if (is_stalled()) return;
    if (owes_proposal_ && machine_.step() == Step::propose && pool_.has_eligible(chain_.clients)) {
        owes_proposal_ = false;
        propose_value(machine_.round(), machine_.locks().valid_value, machine_.locks().valid_round);
    }
    // No empty blocks: a height begins when there is something to decide on.
    if (machine_.round() == kNoRound && pool_.has_eligible(chain_.clients)) machine_.start();
}

void BftNode::progress() {
    if (acting_) {
        again_ = true;
        return;
    }
    if (machine_.is_settled() && !fresh_height_) return;
    acting_ = true;
    do {
        again_ = false;
        machine_.run();
        machine_.take_actions(actions_);
        for (const Action& action : actions_) act(action);
        again_ = again_ || !actions_.empty();
        if (fresh_height_) {
            fresh_height_ = false;
            replay_early();
            start_if_needed();
            again_ = true;
        }
    } while (again_);
    acting_ = false;
    note_state();
}

void BftNode::act(const Action& action) {
    switch (action.kind) {
        case Action::Kind::propose:
            propose_value(action.round, action.value, action.valid_round);
            return;
        case Action::Kind::vote:
            enter_round(action.round);
            sign_vote(action.type, action.value);
            return;
        case Action::Kind::schedule: {
            // PITFALLS 37: later rounds wait longer, without bound
            const std::uint32_t base = action.step == Step::propose   ? config_.propose_ticks
                                       : action.step == Step::prevote ? config_.prevote_ticks
                                                                      : config_.precommit_ticks;
            std::erase_if(timers_, [&](const Timer& timer) { return timer.round < action.round; });
            timers_.push_back({action.step, action.round,
                               base + static_cast<std::uint64_t>(action.round) * config_.timeout_growth_ticks});
            return;
        }
        case Action::Kind::decide:
            decide(action.round, action.value);
            return;
    }
}

void BftNode::enter_round(Round round) {
    if (round == hard_.round) return;
    if (round < hard_.round)
        poison("it would sign in round " + std::to_string(round) + " after round " + std::to_string(hard_.round));
    if (round > 0) ++counters_.rounds;
    for (const Vote* vote : {&hard_.prevote, &hard_.precommit})
        if (vote->height != 0) hard_.earlier.push_back(*vote);
    std::erase_if(hard_.earlier, [&](const Vote& vote) { return vote.round <= round - Tendermint::kKeptRounds; });
    hard_.round = round;
    hard_.proposal = Proposal();
    hard_.prevote = hard_.precommit = Vote();
    hard_changed_ = true;
    owes_proposal_ = false;
}

BlockPtr BftNode::block_of(std::vector<Command> commands, const Digest& next_validators) const {
    auto block = std::make_shared<Block>();
    block->height = height();
    block->first_index = chain_.index + 1;
    block->time_ns = chain_.time_ns;
    for (const Command& command : commands) block->time_ns = std::max(block->time_ns, command.time_ns);
    block->proposer = config_.id;
    block->parent = chain_.last_id;
    block->validators = chain_.validators->digest();
    block->next_validators = next_validators;
    if (commands.capacity() > 2 * commands.size()) commands.shrink_to_fit();  // there was room for all that waits
    block->commands = std::move(commands);
    block->id = block_digest(*block);
    return block;
}

BlockPtr BftNode::make_block() {
    for (;;) {
        std::vector<Command> commands = pool_.take(config_.limits, chain_.clients);
        if (commands.empty()) return nullptr;
        while (!commands.empty()) {
            const auto change = std::find_if(commands.rbegin(), commands.rend(), [](const Command& command) {
                return command.kind == CommandKind::validator;
            });
            if (change == commands.rend()) return block_of(std::move(commands), chain_.validators->digest());
            try {
                const Digest next = chain_.next_validators(commands).digest();
                return block_of(std::move(commands), next);
            } catch (const base::ConfigError&) {
                // It would leave no validators, or too much power: without that change, and what follows it.
                const Session session = change->session;
                commands.erase(change.base() - 1, commands.end());
                if (commands.empty()) pool_.reject(session);
            }
        }
    }
}

void BftNode::propose_value(Round round, const Digest& valid_value, Round valid_round) {
    if (round != machine_.round() || machine_.is_decided()) return;
    enter_round(round);
    if (hard_.proposal.height != 0) poison("it would propose twice in round " + std::to_string(round));
    Proposal proposal;
    if (valid_value != kNil) {
        proposal.block =
            hard_.valid_block && hard_.valid_block->id == valid_value ? hard_.valid_block : find_block(valid_value);
        if (!proposal.block) poison("the value it holds valid is lost");
        if (valid_round == hard_.valid_round)
            proposal.pol = hard_.valid_pol;
        else
            machine_.votes(VoteType::prevote, valid_round)->votes_for(valid_value, proposal.pol);
    } else {
        proposal.block = make_block();
        if (!proposal.block && round == 0) {
            owes_proposal_ = true;  // getValue() (line 18) waits until there is one
            return;
        }
        // A round began for something that was lost since, in a crash or by a liar: an empty block ends the height.
        if (!proposal.block) proposal.block = block_of({}, chain_.validators->digest());
    }
    proposal.height = height();
    proposal.round = round;
    proposal.pol_round = valid_round;
    proposal.value = proposal.block->id;
    proposal.proposer = config_.id;
    proposal.signature = signer_->sign(sign_bytes(genesis_, proposal));
    ++counters_.proposals;
    hard_.proposal = proposal;
    hard_changed_ = true;
    for (const Peer& peer : peers_) send(MessageType::proposal, peer.id).proposal = proposal;
    take_proposal(proposal);
}

void BftNode::sign_vote(VoteType type, const Digest& value) {
    Vote& last = type == VoteType::prevote ? hard_.prevote : hard_.precommit;
    // PITFALLS 35: whatever the machine says, nothing is signed twice
    if (last.height != 0) poison("it would vote twice in round " + std::to_string(hard_.round));
    if (type == VoteType::prevote && hard_.precommit.height != 0)
        poison("it would prevote after its precommit of round " + std::to_string(hard_.round));
    Vote vote;
    vote.type = type;
    vote.height = height();
    vote.round = hard_.round;
    vote.value = value;
    vote.validator = config_.id;
    vote.signature = signer_->sign(sign_bytes(genesis_, vote));
    last = vote;
    hard_changed_ = true;
    const Locks& locks = machine_.locks();
    if (type == VoteType::precommit && value == kNil) ++counters_.nil_precommits;
    if (type == VoteType::prevote && value != kNil && locks.locked_round != kNoRound && locks.locked_value != value)
        ++counters_.unlocks;
    for (const Peer& peer : peers_) send(MessageType::votes, peer.id).votes.push_back(vote);
    machine_.add_vote(chain_.validators->place_of(config_.id), vote);
}

void BftNode::note_state() {
    if (machine_.round() == kNoRound) return;
    if (machine_.round() > hard_.round) enter_round(machine_.round());
    const Locks& locks = machine_.locks();
    if (hard_.step != machine_.step()) {
        hard_.step = machine_.step();
        hard_changed_ = true;
    }
    if (hard_.locked_round != locks.locked_round) {
        ++counters_.locks;
        hard_.locked_round = locks.locked_round;
        hard_.locked_value = locks.locked_value;
        hard_changed_ = true;
    }
    if (hard_.valid_round != locks.valid_round) {
        BlockPtr block = find_block(locks.valid_value);
        if (!block) poison("the value it holds valid is lost");
        hard_.valid_round = locks.valid_round;
        hard_.valid_block = std::move(block);
        hard_.valid_pol.clear();
        machine_.votes(VoteType::prevote, locks.valid_round)->votes_for(locks.valid_value, hard_.valid_pol);
        hard_changed_ = true;
    }
    std::erase_if(proposals_, [&](const Proposal& held) { return machine_.proposals(held.round) == nullptr; });
}

void BftNode::decide(Round round, const Digest& value) {
    Decided decided;
    decided.block = find_block(value);
    if (!decided.block) poison("the value it decides on is lost");
    decided.certificate.height = height();
    decided.certificate.round = round;
    decided.certificate.value = value;
    votes_.clear();
    machine_.votes(VoteType::precommit, round)->votes_for(value, votes_);
    decided.certificate.votes.reserve(votes_.size());
    for (const Vote& vote : votes_) decided.certificate.votes.push_back({vote.validator, vote.signature});
    append(std::move(decided));
}

void BftNode::apply_to_chain(const Block& block) {
    const std::shared_ptr<const ValidatorSet> deciders = chain_.validators;
    chain_.apply(block);
    if (chain_.validators != deciders) former_.emplace_back(chain_.height, deciders);
    if (chain_.height % config_.checkpoint_every == 0)
        boundaries_.push_back(std::make_shared<const ChainState>(chain_));
}

void BftNode::append(Decided decided) {
    apply_to_chain(*decided.block);  // lines 51-53
    pool_.remove_decided(*decided.block);
    fresh_.push_back(std::move(decided));
    begin_height();  // line 54, once there is something to decide on
}

}  // namespace fastmas::consensus::bft
