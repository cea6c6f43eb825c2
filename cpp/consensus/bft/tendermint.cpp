#include "consensus/bft/tendermint.hpp"

#include <algorithm>

namespace fastmas::consensus::bft {

const char* to_string(Step step) noexcept {
    switch (step) {
        case Step::propose:
            return "propose";
        case Step::prevote:
            return "prevote";
        case Step::precommit:
            return "precommit";
    }
    return "unknown";
}

Tendermint::Tendermint(std::shared_ptr<const ValidatorSet> set, Rotation::Priorities priorities, std::size_t place)
    : set_(std::move(set)), rotation_(set_, std::move(priorities)), place_(place), ahead_(set_->size()) {
    for (auto& rounds : ahead_) rounds.fill(kFree);
}

void Tendermint::reset(std::shared_ptr<const ValidatorSet> set, const Rotation::Priorities& priorities,
                       std::size_t place) {
    set_ = std::move(set);
    rotation_.reset(set_, priorities);
    place_ = place;
    round_ = kNoRound;
    step_ = Step::propose;
    locks_ = Locks();
    decided_ = is_settled_ = false;
    if (!rounds_.empty()) spare_.node = rounds_.extract(rounds_.begin());
    rounds_.clear();
    ahead_.resize(set_->size());
    for (auto& rounds : ahead_) rounds.fill(kFree);
    actions_.clear();
}

void Tendermint::start() {
    if (round_ != kNoRound || decided_) return;
    is_settled_ = false;
    start_round(0);  // line 10, line 54
}

void Tendermint::resume(Round round, Step step, const Locks& locks, bool proposed) {
    round_ = round;
    step_ = step;
    locks_ = locks;
    is_settled_ = false;
    if (step != Step::propose) return;  // lines 34 and 47 schedule again once the votes are back
    if (rotation_.proposer(round) == place_) {
        if (!proposed)
            actions_.push_back({.kind = Action::Kind::propose,
                                .round = round,
                                .value = locks_.valid_value,
                                .valid_round = locks_.valid_round});
    } else {
        schedule(Step::propose);
    }
}

Tendermint::RoundBook& Tendermint::book(Round round) {
    const auto known = rounds_.find(round);
    if (known != rounds_.end()) return known->second;
    if (spare_.node.empty()) return rounds_.try_emplace(round, *set_).first->second;
    spare_.node.key() = round;
    spare_.node.mapped().reset(*set_);
    return rounds_.insert(std::move(spare_.node)).position->second;
}

const Tendermint::RoundBook* Tendermint::find(Round round) const noexcept {
    const auto found = rounds_.find(round);
    return found == rounds_.end() ? nullptr : &found->second;
}

const VoteSet* Tendermint::votes(VoteType type, Round round) const noexcept {
    const RoundBook* at = find(round);
    if (at == nullptr) return nullptr;
    return type == VoteType::prevote ? &at->prevotes : &at->precommits;
}

const std::vector<ProposalFact>* Tendermint::proposals(Round round) const noexcept {
    const RoundBook* at = find(round);
    return at == nullptr ? nullptr : &at->proposals;
}

bool Tendermint::is_cited(Round round) const noexcept {
    if (round == locks_.valid_round) return true;
    for (auto at = rounds_.lower_bound(round_); at != rounds_.end(); ++at)
        for (const ProposalFact& fact : at->second.proposals)
            if (fact.pol_round == round) return true;
    return false;
}

bool Tendermint::admits(std::size_t place, Round round) const noexcept {
    if (decided_ || round < 0 || round > kMaxRound) return false;
    if (round <= round_) return round > round_ - kKeptRounds || is_cited(round);
    // A sender far ahead holds few places, the lowest of which a higher round takes over: those of a correct one rise.
    const auto& held = ahead_[place];
    return std::any_of(held.begin(), held.end(), [&](Round at) { return at <= round || at <= round_; });
}

bool Tendermint::admits_proposal(Round round, const Digest& value) const noexcept {
    if (decided_ || round < 0 || round > kMaxRound || round > std::max(round_, 0) + kProposalsAhead) return false;
    if (round <= round_ - kKeptRounds) return false;
    const RoundBook* at = find(round);
    if (at == nullptr) return true;
    if (proposal_of(*at, value) != nullptr) return false;
    // the first, the second as evidence, and what somebody correct voted for
    return at->proposals.size() < 2 || at->prevotes.is_wanted(value) || at->precommits.is_wanted(value);
}

void Tendermint::note_ahead(std::size_t place, Round round) {
    if (round <= round_) return;
    auto& held = ahead_[place];
    if (std::find(held.begin(), held.end(), round) != held.end()) return;
    Round& lowest = *std::min_element(held.begin(), held.end());
    if (lowest > round_) {
        RoundBook& at = book(lowest);
        at.prevotes.forget(place);
        at.precommits.forget(place);
        if (at.prevotes.empty() && at.precommits.empty() && at.proposals.empty()) rounds_.erase(lowest);
    }
    lowest = round;
}

VoteSet::Added Tendermint::add_vote(std::size_t place, const Vote& vote) {
    note_ahead(place, vote.round);
    RoundBook& at = book(vote.round);
    const VoteSet::Added added = (vote.type == VoteType::prevote ? at.prevotes : at.precommits).add(place, vote);
    if (added == VoteSet::Added::counted || added == VoteSet::Added::conflict_counted) is_settled_ = false;
    return added;
}

bool Tendermint::add_proposal(const ProposalFact& fact) {
    RoundBook& at = book(fact.round);
    at.proposals.push_back(fact);
    is_settled_ = false;
    return at.proposals.size() > 1;
}

const ProposalFact* Tendermint::proposal_of(const RoundBook& at, const Digest& value) noexcept {
    for (const ProposalFact& fact : at.proposals)
        if (fact.value == value) return &fact;
    return nullptr;
}

void Tendermint::broadcast(VoteType type, const Digest& value) {
    if (place_ == ValidatorSet::kNowhere) return;  // it only looks on
    actions_.push_back({.kind = Action::Kind::vote, .round = round_, .type = type, .value = value});
}

void Tendermint::schedule(Step step) {
    actions_.push_back({.kind = Action::Kind::schedule, .round = round_, .step = step});
}

void Tendermint::start_round(Round round) {
    round_ = round;                             // line 12
    step_ = Step::propose;                      // line 13
    if (rotation_.proposer(round) == place_) {  // line 14
        actions_.push_back({.kind = Action::Kind::propose,
                            .round = round,
                            .value = locks_.valid_value,          // lines 15-16; kNil: line 18, getValue()
                            .valid_round = locks_.valid_round});  // line 19
    } else {
        schedule(Step::propose);  // line 21
    }
    prune();
}

void Tendermint::prune() {
    for (auto at = rounds_.begin(); at != rounds_.end() && at->first <= round_ - kKeptRounds;)
        at = is_cited(at->first) ? std::next(at) : rounds_.erase(at);
}

void Tendermint::run() {
    while (!is_settled_) is_settled_ = decided_ || !fire_one();
}

bool Tendermint::fire_one() {
    if (fire_decision()) return true;
    if (fire_round_skip()) return true;
    if (round_ == kNoRound) {
        // Waiting for something to decide on: a proposal for round 0 says that there is something.
        const RoundBook* first = find(0);
        if (first == nullptr || first->proposals.empty()) return false;
        if (!first->proposals.front().valid || !first->proposals.front().timely) return false;
        start_round(0);
        return true;
    }
    const auto found = rounds_.find(round_);
    if (found == rounds_.end()) return false;
    RoundBook& at = found->second;
    return fire_proposal(at) || fire_prevotes(at) || fire_precommits(at);
}

bool Tendermint::fire_decision() {
    // line 49: upon <PROPOSAL, h_p, r, v, *> and 2f + 1 <PRECOMMIT, h_p, r, id(v)> while decision_p[h_p] = nil
    for (const auto& [round, at] : rounds_) {
        const auto value = at.precommits.quorum();
        if (!value || *value == kNil) continue;
        const ProposalFact* fact = proposal_of(at, *value);
        if (fact == nullptr || !fact->valid) continue;  // line 50
        decided_ = true;                                // line 51; lines 52-54 are the caller's: a new machine
        actions_.push_back({.kind = Action::Kind::decide, .round = round, .value = *value});
        return true;
    }
    return false;
}

bool Tendermint::fire_round_skip() {
    // line 55: upon f + 1 <*, h_p, round, *, *> with round > round_p
    for (auto at = rounds_.rbegin(); at != rounds_.rend() && at->first > round_; ++at) {
        std::uint64_t senders = at->second.prevotes.senders() | at->second.precommits.senders();
        // the rotation is only asked for rounds of which a proposal was let in, so no far round costs anything
        if (!at->second.proposals.empty()) senders |= std::uint64_t{1} << rotation_.proposer(at->first);
        if (!has_correct(set_->power_of(senders), set_->total())) continue;
        start_round(at->first);  // line 56
        return true;
    }
    return false;
}

bool Tendermint::fire_proposal(RoundBook& at) {
    if (step_ != Step::propose) return false;
    for (const ProposalFact& fact : at.proposals) {
        bool accept = false;
        if (fact.pol_round == kNoRound) {
            // line 22: upon <PROPOSAL, h_p, round_p, v, -1> while step_p = propose
            accept = fact.valid && fact.timely &&
                     (locks_.locked_round == kNoRound || locks_.locked_value == fact.value);  // line 23
        } else {
            // line 28: and 2f + 1 <PREVOTE, h_p, vr, id(v)> while step_p = propose and vr >= 0 and vr < round_p
            const RoundBook* proof = find(fact.pol_round);
            if (fact.pol_round >= round_ || proof == nullptr || !proof->prevotes.quorum_of(fact.value)) continue;
            accept =
                fact.valid && (locks_.locked_round <= fact.pol_round || locks_.locked_value == fact.value);  // line 29
        }
        broadcast(VoteType::prevote, accept ? fact.value : kNil);  // lines 24, 26, 30, 32
        step_ = Step::prevote;                                     // lines 27, 33
        return true;
    }
    return false;
}

bool Tendermint::fire_prevotes(RoundBook& at) {
    // line 34: upon 2f + 1 <PREVOTE, h_p, round_p, *> while step_p = prevote for the first time
    if (step_ == Step::prevote && !at.any_prevotes_seen && at.prevotes.quorum_of_any()) {
        at.any_prevotes_seen = true;
        schedule(Step::prevote);  // line 35
        return true;
    }
    const auto value = at.prevotes.quorum();
    if (!value) return false;
    if (*value == kNil) {
        // line 44: upon 2f + 1 <PREVOTE, h_p, round_p, nil> while step_p = prevote
        if (step_ != Step::prevote) return false;
        broadcast(VoteType::precommit, kNil);  // line 45
        step_ = Step::precommit;               // line 46
        return true;
    }
    // line 36: upon <PROPOSAL, h_p, round_p, v, *> and 2f + 1 <PREVOTE, h_p, round_p, id(v)> while valid(v) and
    // step_p >= prevote for the first time
    const ProposalFact* fact = proposal_of(at, *value);
    if (fact == nullptr || !fact->valid || step_ < Step::prevote || at.polka_seen) return false;
    at.polka_seen = true;
    if (step_ == Step::prevote) {                // line 37
        locks_.locked_value = *value;            // line 38
        locks_.locked_round = round_;            // line 39
        broadcast(VoteType::precommit, *value);  // line 40
        step_ = Step::precommit;                 // line 41
    }
    locks_.valid_value = *value;  // line 42
    locks_.valid_round = round_;  // line 43
    return true;
}

bool Tendermint::fire_precommits(RoundBook& at) {
    // line 47: upon 2f + 1 <PRECOMMIT, h_p, round_p, *> for the first time
    if (at.any_precommits_seen || !at.precommits.quorum_of_any()) return false;
    at.any_precommits_seen = true;
    schedule(Step::precommit);  // line 48
    return true;
}

void Tendermint::timeout(Step step, Round round) {
    if (decided_ || round != round_) return;  // lines 58, 62, 66
    is_settled_ = false;
    switch (step) {
        case Step::propose:
            if (step_ != Step::propose) return;  // line 58
            broadcast(VoteType::prevote, kNil);  // line 59
            step_ = Step::prevote;               // line 60
            return;
        case Step::prevote:
            if (step_ != Step::prevote) return;    // line 62
            broadcast(VoteType::precommit, kNil);  // line 63
            step_ = Step::precommit;               // line 64
            return;
        case Step::precommit:
            start_round(round + 1);  // line 67
            return;
    }
}

}  // namespace fastmas::consensus::bft
