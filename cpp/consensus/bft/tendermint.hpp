// Algorithm 1 of "The latest gossip on BFT consensus" (Buchman, Kwon, Milosevic 2018) for one height, as a pure state
// machine: validated proposals, votes and time-outs in; what to broadcast, schedule and decide out. "line N" is its
// line.
#pragma once

#include <array>
#include <map>
#include <vector>

#include "consensus/bft/validators.hpp"
#include "consensus/bft/vote_set.hpp"

namespace fastmas::consensus::bft {

// What the machine wants done, in order.
struct Action {
    enum class Kind : std::uint8_t {
        propose,   // broadcast a proposal for `value`, or for a new one (getValue) when it is kNil; lines 14-19
        vote,      // broadcast this vote
        schedule,  // call timeout(step, round) after the time-out of that step and round
        decide,    // line 51; the machine is done
    };
    Kind kind = Kind::propose;
    Round round = 0;
    Step step = Step::propose;
    VoteType type = VoteType::prevote;
    Digest value{};
    Round valid_round = kNoRound;

    friend bool operator==(const Action&, const Action&) = default;
};

// Lines 6-9: what outlives a round, and must outlive a crash.
struct Locks {
    Round locked_round = kNoRound;
    Digest locked_value{};
    Round valid_round = kNoRound;
    Digest valid_value{};

    friend bool operator==(const Locks&, const Locks&) = default;
};

// What the machine is told of a proposal whose signature, proposer and height the caller has checked.
struct ProposalFact {
    Round round = 0;
    Round pol_round = kNoRound;  // the proposer's validRound_p
    Digest value{};
    bool valid = true;   // valid(v): a function of the chain so far, the same on every correct node
    bool timely = true;  // acceptable at this moment (its time is near this node's clock): line 23, where v is new
};

// Not thread-safe. Bounded: of past rounds the last kKeptRounds are kept, and those that a lock or a proposal at hand
// refers to; of future rounds, kAheadRounds a sender; of proposals, two a round and those that votes name.
// Inputs change nothing but the books; run() then fires the rules until none applies.
class Tendermint {
  public:
    static constexpr Round kKeptRounds = 8;
    static constexpr std::size_t kAheadRounds = 4;
    static constexpr Round kProposalsAhead = 8;

    // `place` is this node's, ValidatorSet::kNowhere when it only looks on. A copy of the machine is one of its own.
    Tendermint(std::shared_ptr<const ValidatorSet> set, Rotation::Priorities priorities, std::size_t place);

    // Lines 52-54: a machine for the next height, which needs no more memory than the last one did.
    void reset(std::shared_ptr<const ValidatorSet> set, const Rotation::Priorities& priorities, std::size_t place);

    // Line 10 or 54: begins round 0. Until then the machine is in round kNoRound and waits.
    void start();
    // Back where a crash hit: whatever was signed in this round is not signed again. `proposed`: in this round.
    void resume(Round round, Step step, const Locks& locks, bool proposed);

    // Whether a message of this sender for this round would be kept: asked before its signature is checked.
    bool admits(std::size_t place, Round round) const noexcept;
    bool admits_proposal(Round round, const Digest& value) const noexcept;

    VoteSet::Added add_vote(std::size_t place, const Vote& vote);
    // Whether the proposer had proposed another value in this round before: then the caller holds evidence.
    bool add_proposal(const ProposalFact& fact);
    // Lines 57-67. A stale one changes nothing.
    void timeout(Step step, Round round);
    void run();
    // Whether no rule can apply, and nothing is to be done: no input since run() that said anything new.
    bool is_settled() const noexcept { return is_settled_ && actions_.empty(); }

    const std::vector<Action>& actions() const noexcept { return actions_; }
    void clear_actions() noexcept { actions_.clear(); }
    // Leaves none; `out` gives its memory in exchange.
    void take_actions(std::vector<Action>& out) noexcept {
        out.clear();
        out.swap(actions_);
    }

    std::size_t proposer(Round round) { return rotation_.proposer(round); }  // its place
    Round round() const noexcept { return round_; }
    Step step() const noexcept { return step_; }
    const Locks& locks() const noexcept { return locks_; }
    bool is_decided() const noexcept { return decided_; }
    // nullptr where nothing of that round is held.
    const VoteSet* votes(VoteType type, Round round) const noexcept;
    const std::vector<ProposalFact>* proposals(Round round) const noexcept;
    std::size_t rounds_held() const noexcept { return rounds_.size(); }
    Round highest_round() const noexcept { return rounds_.empty() ? kNoRound : rounds_.rbegin()->first; }

  private:
    friend struct ModelDigest;  // simulation/bft/model.cpp: what an exhaustive search tells states apart by

    struct RoundBook {
        RoundBook(const ValidatorSet& set)
            : prevotes(set.powers(), set.total()), precommits(set.powers(), set.total()) {}
        void reset(const ValidatorSet& set) {
            proposals.clear();
            prevotes.reset(set.powers(), set.total());
            precommits.reset(set.powers(), set.total());
            any_prevotes_seen = polka_seen = any_precommits_seen = false;
        }
        std::vector<ProposalFact> proposals;
        VoteSet prevotes, precommits;
        bool any_prevotes_seen = false;    // line 34, "for the first time"
        bool polka_seen = false;           // line 36, "for the first time"
        bool any_precommits_seen = false;  // line 47, "for the first time"
    };
    static constexpr Round kFree = kNoRound;
    using Books = std::map<Round, RoundBook>;
    // A free book, its memory with it. A copy begins without.
    struct Spare {
        Spare() = default;
        Spare(const Spare&) noexcept {}
        Spare& operator=(const Spare&) noexcept { return *this; }
        Spare(Spare&&) noexcept = default;
        Spare& operator=(Spare&&) noexcept = default;
        ~Spare() = default;
        Books::node_type node;
    };

    RoundBook& book(Round round);
    const RoundBook* find(Round round) const noexcept;
    void note_ahead(std::size_t place, Round round);
    bool is_cited(Round round) const noexcept;
    void prune();
    bool fire_one();
    bool fire_decision();
    bool fire_round_skip();
    bool fire_proposal(RoundBook& at);
    bool fire_prevotes(RoundBook& at);
    bool fire_precommits(RoundBook& at);
    void start_round(Round round);
    void broadcast(VoteType type, const Digest& value);
    void schedule(Step step);
    static const ProposalFact* proposal_of(const RoundBook& at, const Digest& value) noexcept;

    std::shared_ptr<const ValidatorSet> set_;
    Rotation rotation_;
    std::size_t place_;
    Round round_ = kNoRound;
    Step step_ = Step::propose;
    Locks locks_;
    bool decided_ = false;
    bool is_settled_ = false;  // no rule applies: each depends on what inputs and rules change, and on nothing else
    Books rounds_;
    Spare spare_;
    std::vector<std::array<Round, kAheadRounds>> ahead_;  // by place: the future rounds its messages are held of
    std::vector<Action> actions_;
};

}  // namespace fastmas::consensus::bft
