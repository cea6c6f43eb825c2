#include "consensus/simulation/bft/invariants.hpp"

#include <algorithm>

#include "base/errors.hpp"
#include "consensus/bft/certificate.hpp"

namespace fastmas::consensus::bft {
namespace {

constexpr int kProposal = 3;

std::string at(Height height, Round round) {
    return "height " + std::to_string(height) + ", round " + std::to_string(round);
}

}  // namespace

void InvariantChecker::fail(const SimNode& node, const char* invariant, const std::string& detail) {
    throw base::InvariantError(std::string(invariant) + ": node " + std::to_string(node.id()) + " at height " +
                               std::to_string(node.real().height()) + ", " + detail);
}

void InvariantChecker::start_chain(const SimNode& node) {
    if (tip_.validators) return;
    tip_ = ChainState::genesis(node.real().genesis(), ValidatorSet(node.real().config().validators));
}

// The latest are asked for most.
const InvariantChecker::Statement* InvariantChecker::said(const SimNode& node, Height height, Round round,
                                                          int type) const noexcept {
    const std::vector<Statement>& all = said_[node.id()];
    const auto found = std::find_if(all.rbegin(), all.rend(), [&](const Statement& one) {
        return one.height == height && one.round == round && one.type == type;
    });
    return found == all.rend() ? nullptr : &*found;
}

void InvariantChecker::note_prevote(const Vote& vote, std::size_t place) {
    const auto found = std::find_if(prevotes_.rbegin(), prevotes_.rend(), [&](const Polka& one) {
        return one.round == vote.round && one.height == vote.height && one.value == vote.value;
    });
    if (found != prevotes_.rend())
        found->places |= std::uint64_t{1} << place;
    else
        prevotes_.push_back({vote.height, vote.round, vote.value, std::uint64_t{1} << place});
}

void InvariantChecker::note_statement(const SimNode& node, Height height, Round round, int type, const Digest& value) {
    const Statement* known = said(node, height, round, type);
    if (known == nullptr)
        said_[node.id()].push_back({height, round, type, value});
    else if (known->value != value)
        fail(node, "a correct node signs at most one proposal, one prevote and one precommit a round",
             at(height, round));
}

bool InvariantChecker::was_polka(Height height, Round round, const Digest& value) const {
    return std::any_of(prevotes_.rbegin(), prevotes_.rend(), [&](const Polka& one) {
        return one.round == round && one.height == height && one.value == value &&
               is_quorum(tip_.validators->power_of(one.places), tip_.validators->total());
    });
}

void InvariantChecker::check_vote(const SimNode& node, const Vote& vote, const HardState& hard) {
    if (vote.height != tip_.height + 1 || vote.value == kNil) return;  // long decided: what it needed is forgotten
    if (vote.type == VoteType::precommit) {
        if (!was_polka(vote.height, vote.round, vote.value))
            fail(node, "a precommit follows a quorum of prevotes of its round (line 36)", at(vote.height, vote.round));
        if (hard.locked_round != vote.round || hard.locked_value != vote.value)
            fail(node, "a precommit for a value locks it (lines 38, 39)", at(vote.height, vote.round));
        return;
    }
    const Seen& seen = seen_[node.id()];
    if (seen.hard.height != vote.height || seen.hard.locked_round == kNoRound || seen.hard.locked_round >= vote.round ||
        seen.hard.locked_value == vote.value)
        return;
    for (Round round = seen.hard.locked_round; round < vote.round; ++round)
        if (was_polka(vote.height, round, vote.value)) {
            ++unlocks_;
            return;
        }
    fail(node, "a locked node prevotes another value only on proof of a later round (lines 23, 29)",
         at(vote.height, vote.round) + ", locked in round " + std::to_string(seen.hard.locked_round));
}

void InvariantChecker::note_own(const SimNode& node, const HardState& hard) {
    Seen& seen = seen_[node.id()];
    const HardState& before = seen.hard;
    if (hard.height < before.height) fail(node, "a height never falls", std::to_string(hard.height));
    if (hard.height == before.height) {
        if (hard.round < before.round) fail(node, "a round never falls", at(hard.height, hard.round));
        if (hard.round == before.round && hard.step < before.step)
            fail(node, "a step never falls within its round", at(hard.height, hard.round));
        if (hard.locked_round < before.locked_round || hard.valid_round < before.valid_round)
            fail(node, "locked and valid rounds never fall within a height", at(hard.height, hard.round));
        if (hard.locked_round == before.locked_round && hard.locked_value != before.locked_value)
            fail(node, "a lock changes with its round only", at(hard.height, hard.round));
    }
    if (hard.valid_round < hard.locked_round)
        fail(node, "what is locked was valid then (lines 38 to 43)", at(hard.height, hard.round));
    const std::size_t place = tip_.validators->place_of(node.id());
    for (const Vote* vote : {&hard.prevote, &hard.precommit}) {
        if (vote->height == 0) continue;
        if (vote->height != hard.height || vote->round != hard.round)
            fail(node, "a node signs for the round it is in", at(vote->height, vote->round));
        const bool is_new = said(node, vote->height, vote->round, static_cast<int>(vote->type)) == nullptr;
        note_statement(node, vote->height, vote->round, static_cast<int>(vote->type), vote->value);
        if (vote->type == VoteType::prevote && place != ValidatorSet::kNowhere) note_prevote(*vote, place);
        if (is_new) check_vote(node, *vote, hard);
    }
    if (hard.proposal.height != 0)
        note_statement(node, hard.proposal.height, hard.proposal.round, kProposal, hard.proposal.value);
    seen.hard = hard;
}

void InvariantChecker::note_decided(const SimNode& node, const Decided& decided) {
    const Block& block = *decided.block;
    const Height height = block.height;
    if (height <= chain_.size()) {
        if (chain_[height - 1]->id != block.id)
            fail(node, "agreement: no two correct nodes decide on different blocks of a height",
                 std::to_string(height));
    } else {
        if (height != chain_.size() + 1) fail(node, "heights have no gaps", std::to_string(height));
        if (const char* problem = tip_.check(block, node.real().config().limits, node.real().config().rule.get()))
            fail(node, "validity: what is decided is valid", problem);
        if (latest_clock_ns_ != INT64_MIN && block.time_ns > latest_clock_ns_ + node.real().config().max_clock_ahead_ns)
            fail(node, "nothing is decided whose time no correct node's clock allowed", std::to_string(block.time_ns));
        chain_.push_back(decided.block);
        deciders_.push_back(tip_.validators);
        for (const Command& command : block.commands)
            commands_.emplace_back(hash_bytes(command.bytes.bytes(), 0), command.session);
        tip_.apply(block);
        changes_ += *tip_.validators != *deciders_.back();
        if (decided.certificate.round > 0) ++late_;
        // what was said at heights before cannot matter any more
        std::erase_if(prevotes_, [&](const Polka& one) { return one.height < height; });
    }
    const char* problem =
        verify_certificate(node.real().genesis(), *deciders_[height - 1], decided.certificate, *node.verifier());
    if (problem != nullptr || decided.certificate.value != block.id)
        fail(node, "every decision has a certificate that anybody can check", problem ? problem : "of another block");
}

void InvariantChecker::on_persist(const SimNode& node, const Ready& ready) {
    if (!node.real().config().async_storage) return note_stored(node, ready);
    if (ready.write == 0) return;
    Staged& staged = seen_[node.id()].staged.emplace_back();
    staged.write = ready.write;
    if (ready.snapshot != nullptr) staged.snapshot = *ready.snapshot;
    staged.decided.assign(ready.decided.begin(), ready.decided.end());
    if (ready.hard_state != nullptr) staged.hard_state = *ready.hard_state;
}

void InvariantChecker::settle(const SimNode& node, std::uint64_t write) {
    auto& staged = seen_[node.id()].staged;
    for (; !staged.empty() && staged.front().write <= write; staged.pop_front()) {
        const Staged& stored = staged.front();
        Ready ready;
        if (stored.snapshot) ready.snapshot = &*stored.snapshot;
        ready.decided = stored.decided;
        if (stored.hard_state) ready.hard_state = &*stored.hard_state;
        note_stored(node, ready);
    }
}

void InvariantChecker::note_stored(const SimNode& node, const Ready& ready) {
    start_chain(node);
    if (!node.lies()) latest_clock_ns_ = std::max(latest_clock_ns_, node.clock_ns());
    if (ready.snapshot != nullptr) {
        const ChainState& chain = ready.snapshot->chain;
        if (chain.height > chain_.size() || chain_[chain.height - 1]->id != chain.last_id)
            fail(node, "states that are installed are of decided blocks", std::to_string(chain.height));
    }
    // what it votes for is checked before what was decided meanwhile makes the proof forgotten
    if (ready.hard_state != nullptr && !node.lies() && ready.hard_state->height == tip_.height + 1 &&
        ready.decided.empty())
        note_own(node, *ready.hard_state);
    else if (ready.hard_state != nullptr && !node.lies())
        seen_[node.id()].hard = *ready.hard_state;
    for (const Decided& decided : ready.decided) note_decided(node, decided);
    if (!ready.decided.empty())
        std::erase_if(said_[node.id()],
                      [&](const Statement& one) { return one.height <= ready.decided.back().block->height; });
    // a laggard's statements, or those of the height after a decision
    if (ready.hard_state != nullptr && !node.lies()) {
        const HardState& hard = *ready.hard_state;
        for (const Vote* vote : {&hard.prevote, &hard.precommit})
            if (vote->height != 0)
                note_statement(node, vote->height, vote->round, static_cast<int>(vote->type), vote->value);
        const std::size_t place = tip_.validators->place_of(node.id());
        if (hard.prevote.height == tip_.height + 1 && place != ValidatorSet::kNowhere)
            note_prevote(hard.prevote, place);
        if (hard.proposal.height != 0)
            note_statement(node, hard.proposal.height, hard.proposal.round, kProposal, hard.proposal.value);
    }
}

void InvariantChecker::on_send(const SimNode& node, const Message& message, const SimDisk& disk) {
    ++checks_;
    settle(node, node.real().stored_write());
    start_chain(node);
    const auto note = [&](const Vote& vote) {
        const std::size_t place = tip_.validators->place_of(vote.validator);
        // of others a correct node passes on what it has checked; a liar speaks for itself
        if (place == ValidatorSet::kNowhere || vote.type != VoteType::prevote || vote.height != tip_.height + 1) return;
        if (!node.lies() || vote.validator == node.id()) note_prevote(vote, place);
    };
    for (const Vote& vote : message.votes) note(vote);
    for (const Vote& vote : message.proposal.pol) note(vote);  // a liar may say it there for the first time
    if (node.lies()) return;
    const char* const invariant = "nothing leaves before what it says is durable";
    const auto must_be_stored = [&](Height height, Round round, int type, const Digest& value) {
        if (height <= disk.height()) return;  // decided since
        const Statement* found = said(node, height, round, type);
        // of a round that the disk says is over nothing can be signed any more
        const HardState& stored = disk.hard_state();
        if (found == nullptr && stored.height == height && stored.round > round)
            return note_statement(node, height, round, type, value);
        if (found == nullptr) fail(node, invariant, std::string("a ") + to_string(message.type));
        if (found->value != value)
            fail(node, "a correct node signs at most one proposal, one prevote and one precommit a round",
                 at(height, round));
    };
    for (const Vote& vote : message.votes)
        if (vote.validator == node.id())
            must_be_stored(vote.height, vote.round, static_cast<int>(vote.type), vote.value);
    if (message.type == MessageType::proposal && message.proposal.proposer == node.id())
        must_be_stored(message.proposal.height, message.proposal.round, kProposal, message.proposal.value);
    for (const Decided& decided : message.decided)
        if (decided.block->height > disk.height()) fail(node, invariant, "a block");
}

void InvariantChecker::on_apply(const SimNode& node, const Entry& entry, const Applied& applied) {
    settle(node, node.real().stored_write());
    Seen& seen = seen_[node.id()];
    if (entry.index != seen.applied + 1 || entry.height > node.real().height() - 1)
        fail(node, "decided commands are applied in order, each once", std::to_string(entry.index));
    seen.applied = entry.index;
    if (entry.index > commands_.size() ||
        commands_[entry.index - 1] != std::pair(hash_bytes(entry.command.bytes(), 0), entry.session))
        fail(node, "what is applied is what was decided", std::to_string(entry.index));
    if (entry.time_ns != chain_[entry.height - 1]->time_ns)
        fail(node, "an entry has its block's time", std::to_string(entry.index));
    const std::string broken = history_.on_apply(node.id(), entry.index, entry.time_ns, entry.session, applied);
    if (!broken.empty()) fail(node, AppliedHistory::kInvariant, broken);
}

void InvariantChecker::on_restore(const SimNode& node, const Snapshot& snapshot, std::uint64_t commands) {
    Seen& seen = seen_[node.id()];
    if (snapshot.index < seen.applied)
        fail(node, "a snapshot never moves a state machine backwards", std::to_string(snapshot.index));
    seen.applied = snapshot.index;
    history_.on_restore(node.id(), commands);
}

void InvariantChecker::on_restart(const SimNode& node) {
    // What its disk had finished is its own, told or not. The rest is lost, and nothing of that was ever said.
    for (const Staged& write : seen_[node.id()].staged)
        for (const Decided& decided : write.decided)
            if (decided.block->height < node.real().height()) note_decided(node, decided);
    seen_[node.id()].staged.clear();
    Seen& seen = seen_[node.id()];
    const HardState& now = node.real().hard_state();
    if (now.height < seen.hard.height || (now.height == seen.hard.height && now.round < seen.hard.round))
        fail(node, "a restarted node remembers where it was", at(seen.hard.height, seen.hard.round));
    if (now.height == seen.hard.height && now.locked_round < seen.hard.locked_round)
        fail(node, "a restarted node remembers its lock", at(seen.hard.height, seen.hard.locked_round));
    for (const Vote* vote : {&now.prevote, &now.precommit})
        if (vote->height != 0 && !node.lies())
            note_statement(node, vote->height, vote->round, static_cast<int>(vote->type), vote->value);
    if (now.proposal.height != 0 && !node.lies())
        note_statement(node, now.proposal.height, now.proposal.round, kProposal, now.proposal.value);
    seen.applied = 0;
    seen.evidence = 0;
    history_.on_restore(node.id(), 0);
}

void InvariantChecker::after_step(const SimNode& node, const std::vector<const SimDisk*>&) {
    ++checks_;
    start_chain(node);
    if (!node.lies()) latest_clock_ns_ = std::max(latest_clock_ns_, node.clock_ns());
    settle(node, node.real().stored_write());
    Seen& seen = seen_[node.id()];
    const BftNode& real = node.real();
    if (!node.lies()) honest_[node.id()] = true;
    const ChainState& chain = real.chain();
    // what it has decided and not stored counts for nothing yet: it may lose it in a crash, and its own vote with it
    const bool may_be_ahead = real.config().async_storage && chain.height > chain_.size();
    if (!may_be_ahead &&
        (chain.height > chain_.size() || (chain.height != 0 && chain_[chain.height - 1]->id != chain.last_id)))
        fail(node, "agreement: no two correct nodes decide on different blocks of a height",
             std::to_string(chain.height));
    if (real.applied_height() > chain.height || real.applied_index() != seen.applied)
        fail(node, "nothing is applied before it is decided", std::to_string(real.applied_index()));
    for (; seen.evidence < real.evidence().size(); ++seen.evidence) {
        const Evidence& evidence = real.evidence()[seen.evidence];
        if (honest_[evidence.culprit()])
            fail(node, "nobody correct is accused of equivocation", std::to_string(evidence.culprit()));
        if (evidence.height() == chain.height + 1 &&
            verify_evidence(real.genesis(), *chain.validators, evidence, *node.verifier()) != nullptr)
            fail(node, "evidence of equivocation can be checked by anybody", std::to_string(evidence.culprit()));
    }
    // PITFALLS 38: no one makes it remember more than it says it does
    const BftConfig& config = real.config();
    if (real.pool().size() > config.max_pool_commands || real.evidence().size() > config.max_evidence)
        fail(node, "buffers keep their bounds", std::to_string(real.pool().size()));
}

void InvariantChecker::check_log(const SimNode& node, const SimDisk& disk) const {
    if (node.real().writes_in_flight() != 0) return;
    for (const Decided& held : node.real().log())
        if (held.block->id != chain_[held.block->height - 1]->id)
            fail(node, "log and disk hold what was decided", std::to_string(held.block->height));
    for (const Decided& held : disk.decided())
        if (block_digest(*held.block) != chain_[held.block->height - 1]->id)
            fail(node, "log and disk hold what was decided", std::to_string(held.block->height));
    if (disk.height() != node.real().height() - 1)
        fail(node, "log and disk hold what was decided", std::to_string(disk.height()));
}

}  // namespace fastmas::consensus::bft
