// What nodes say to one another.
#pragma once

#include <cstdint>
#include <vector>

#include "consensus/bft/storage.hpp"

namespace fastmas::consensus::bft {

enum class MessageType : std::uint8_t {
    proposal = 1,    // PROPOSAL, with the block and what proves its validRound
    votes = 2,       // PREVOTE and PRECOMMIT of any validators
    status = 3,      // where the sender is and what it has: who has more sends it
    decided = 4,     // blocks and their certificates, for a laggard
    snapshot = 5,    // a proven state, for a laggard whose blocks are compacted away
    commands = 6,    // of clients, to all validators
    checkpoint = 7,  // CheckpointVotes
};

// What the sender has of one round. Says nothing that is believed: it only chooses what it is sent.
struct RoundStatus {
    Round round = 0;
    std::uint64_t prevotes = 0;  // whose, one bit a place
    std::uint64_t precommits = 0;
    bool has_prevote_quorum = false;  // for one value or nil
    bool has_precommit_quorum = false;
    std::uint64_t proposals[2] = {0, 0};  // the first eight bytes of the values it was proposed

    friend bool operator==(const RoundStatus&, const RoundStatus&) = default;
};

struct Status {
    Height height = 0;  // under way; all before it are decided
    Round round = kNoRound;
    Height checkpoint = 0;  // of the latest state it wants proven, or 0
    std::vector<RoundStatus> rounds;

    friend bool operator==(const Status&, const Status&) = default;
};

inline constexpr std::size_t kMaxStatusRounds = 8;
inline constexpr std::size_t kMaxVotesAMessage = 1024;

// One struct for all types, so that a slot can be reused whatever it carries; what its type does not use is empty.
// `from` is who the link says it is from: the transport authenticates links, the votes inside have signatures.
struct Message {
    MessageType type = MessageType::votes;
    NodeId from = kNoNode;
    NodeId to = kNoNode;
    Proposal proposal;
    std::vector<Vote> votes;
    Status status;
    std::vector<Decided> decided;
    std::shared_ptr<const Snapshot> snapshot;
    std::vector<Command> commands;
    std::vector<CheckpointVote> checkpoints;

    // Empty, with the memory it had.
    void clear() noexcept {
        std::vector<Vote> pol = std::move(proposal.pol);
        pol.clear();
        proposal = Proposal();
        proposal.pol = std::move(pol);
        votes.clear();
        status.height = status.checkpoint = 0;
        status.round = kNoRound;
        status.rounds.clear();
        decided.clear();
        snapshot.reset();
        commands.clear();
        checkpoints.clear();
    }

    friend bool operator==(const Message& a, const Message& b) {
        return a.type == b.type && a.from == b.from && a.to == b.to && a.proposal == b.proposal && a.votes == b.votes &&
               a.status == b.status && a.decided == b.decided && !a.snapshot == !b.snapshot &&
               (!a.snapshot || *a.snapshot == *b.snapshot) && a.commands == b.commands &&
               a.checkpoints == b.checkpoints;
    }
};

const char* to_string(MessageType type) noexcept;

}  // namespace fastmas::consensus::bft
