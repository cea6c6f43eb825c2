// Tendermint as the exhaustive checker sees it: what can happen to one validator, what of its state decides, what must
// hold.
#pragma once

#include <string>
#include <vector>

#include "consensus/bft/tendermint.hpp"
#include "consensus/simulation/exploration.hpp"

namespace fastmas::consensus::bft {

// One height of n validators of power 1, each the real Algorithm 1 (tendermint.cpp) without what is around it:
// signatures hold, blocks are one letter, nothing is gossiped. Messages between correct nodes may arrive at any time or
// never; a crash loses all but what hard_state holds, and what the node had been told may be told again.
// One validator may lie: everything it could say (below) is in flight to everybody from its first event on, so that all
// choices of what is said to whom, and when, are covered; each node listens to so many of its lies.
// For Explorer: a time-out is that of the step (lines 57, 61), a heartbeat that of the round (line 65), a proposal the
// begin of the liar and of the first proposer.
class BftModel {
  public:
    struct World {
        std::size_t nodes = 4;
        std::size_t liar = ValidatorSet::kNowhere;  // its place
        std::uint8_t lies = 0;                      // that one node listens to; 15 at most
        Round first_round = 0, last_round = 1;      // of which the liar speaks; no node ends the last one
        bool lies_votes = true;                     // and not only proposes
        // Begin here instead of in round 0, with a lock that a liar's vote made. Of 4 nodes; 0, 2 or 3.
        // 2, where node 3 lies: in round 0 the others prevoted A, heard of two of these votes and a nil of the liar,
        // and went on; what makes it a polka is still on its way. In round 1 nodes 2 and 4 prevoted B, and the liar's
        // vote for B, which only node 4 got, made it lock B. 3, where node 4 lies: in round 0 nobody got the proposal.
        // In round 1 nodes 1 and 2 prevoted B, and the liar's vote, which only node 1 got, made it lock B. In round 2
        // nodes 2 and 3 prevoted C. The liar proposes next.
        Round begin_in = 0;
    };
    enum class Kind : std::uint8_t { proposal, prevote, precommit };
    struct Message {
        Kind kind = Kind::proposal;
        std::uint8_t from = 0, to = 0;  // places
        Round round = 0;
        Round pol_round = kNoRound;
        char value = '-';  // '-' is nil
    };
    struct Participant {
        Tendermint machine;
        std::uint8_t place = 0;
        std::uint8_t lies_left = 0;
        bool begun = false;
        std::uint8_t timers = 0;  // of the round under way: one bit a step
    };
    using Output = StepOutput<Message>;

    explicit BftModel(const World& world);

    Participant start(NodeId id) const;
    // Validators that never propose within the bounds may change places.
    std::vector<Renaming> symmetry() const;

    bool can_time_out(const Participant& at) const noexcept;
    bool can_heartbeat(const Participant& at) const noexcept;
    bool can_propose(const Participant& at) const noexcept { return !at.begun; }
    void time_out(Participant& at, Output& out) const;
    void heartbeat(Participant& at, Output& out) const;
    void propose(Participant& at, std::uint32_t number, Output& out) const;
    void crash(Participant& at, Output& out) const;
    void deliver(Participant& at, const Message& message, Output& out) const;

    std::uint64_t digest(const Participant& at, const Renaming& renaming) const;
    std::uint64_t digest(const Message& message, const Renaming& renaming) const;
    bool is_dead(const Participant& at, const Message& message) const noexcept;
    NodeId sender(const Message& message) const noexcept { return message.from + NodeId{1}; }
    NodeId receiver(const Message& message) const noexcept { return message.to + NodeId{1}; }
    void check(const std::vector<const Participant*>& all) const;
    std::string describe(const Message& message) const;

  private:
    Tendermint machine(std::size_t place) const;
    void say_all(Output& out) const;
    std::uint8_t next_correct(std::size_t place) const noexcept;
    void begin(Participant& at, Output& out) const;
    void live_through_two(Participant& at) const;
    void live_through_three(Participant& at) const;
    void is_told(Participant& at, Kind kind, std::uint8_t from, Round round, char value) const;
    void vote_nil_for_lack_of_time(Participant& at, Round round) const;
    void take(Participant& at, const Message& message) const;
    void go_on(Participant& at, Output& out) const;
    void act(Participant& at, const Action& action, Output& out) const;
    void check_vote(const Participant& at, const Action& action) const;
    void check_skip(const Participant& at) const;
    void broadcast(const Participant& at, Message message, Output& out) const;

    World world_;
    std::shared_ptr<const ValidatorSet> set_;
};

}  // namespace fastmas::consensus::bft
