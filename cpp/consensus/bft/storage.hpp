// What a BFT node must have on disk before it says anything that depends on it.
#pragma once

#include "consensus/bft/chain.hpp"

namespace fastmas::consensus::bft {

// A validator's word that the state after a height has this digest.
struct CheckpointVote {
    Height height = 0;
    Digest digest{};
    NodeId validator = kNoNode;
    Signature signature{};

    friend bool operator==(const CheckpointVote&, const CheckpointVote&) = default;
};

// The state after a height; stands for all blocks up to it. Sent to others only with `proof`: more than one third of
// the power says that this is the state, so somebody correct does.
struct Snapshot {
    Index index = 0;  // of the last command it covers
    ChainState chain;
    Payload state;  // the state machine's
    std::vector<CheckpointVote> proof;

    friend bool operator==(const Snapshot&, const Snapshot&) = default;
};

// Of the height under way. What this node has signed in its round stands here before it is sent, so that a restarted
// node neither contradicts itself nor forgets a lock (PITFALLS 35; lines 6-9).
struct HardState {
    Height height = 1;
    Round round = kNoRound;
    Step step = Step::propose;
    Round locked_round = kNoRound;
    Digest locked_value{};
    Round valid_round = kNoRound;
    BlockPtr valid_block;
    std::vector<Vote> valid_pol;  // the prevotes that made it valid: a proposal of it carries them
    // Its own, of `round`; height 0 = not signed.
    Proposal proposal;
    Vote prevote, precommit;
    // Its own of the rounds before, as far back as others can still use them: if a crash takes them before they
    // arrived, nobody else can say them again, and a round without them may never end.
    std::vector<Vote> earlier;

    friend bool operator==(const HardState& a, const HardState& b) {
        return a.height == b.height && a.round == b.round && a.step == b.step && a.locked_round == b.locked_round &&
               a.locked_value == b.locked_value && a.valid_round == b.valid_round && !a.valid_block == !b.valid_block &&
               (!a.valid_block || *a.valid_block == *b.valid_block) && a.valid_pol == b.valid_pol &&
               a.proposal == b.proposal && a.prevote == b.prevote && a.precommit == b.precommit &&
               a.earlier == b.earlier;
    }
};

// What a restarted node is given back. The blocks have no gap, and the last one before the snapshot is the one it was
// made after: a state that is not vouched for yet helps no laggard, so the blocks it covers are still stored.
struct PersistentState {
    HardState hard_state;
    Snapshot snapshot;  // of height 0 = none
    std::vector<Decided> decided;
    // The latest state that others had vouched for, with their proof; of height 0 = none. It stands for the blocks that
    // are not stored any more: who forgets it in a crash could help nobody who lacks those.
    Snapshot proven = {};
};

// The bytes that checkpoint votes are about: canonical, so that equal states give equal digests.
void encode_chain(const ChainState& chain, std::vector<std::byte>& out);
Digest snapshot_digest(const ChainState& chain, const Payload& state);

}  // namespace fastmas::consensus::bft
