// The nouns of Tendermint: heights, rounds, validators, blocks, votes, proposals.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "base/sha256.hpp"
#include "consensus/bft/power.hpp"
#include "consensus/types.hpp"

namespace fastmas::consensus::bft {

using base::Digest;

using Height = std::uint64_t;  // of a block, from 1; 0 = before the first
using Round = std::int32_t;    // of a height, from 0
inline constexpr Round kNoRound = -1;
// Above them a message is refused as hostile: no correct node gets there.
inline constexpr Height kMaxHeight = Height{1} << 62;
inline constexpr Round kMaxRound = 1 << 24;

// The paper's nil: no value. SHA-256 of no block that anybody can find is zero.
inline constexpr Digest kNil{};

using Signature = std::array<std::byte, 64>;
using PublicKey = std::array<std::byte, 32>;

struct Validator {
    NodeId id = kNoNode;
    Power power = 1;
    PublicKey key{};

    friend bool operator==(const Validator&, const Validator&) = default;
};

enum class CommandKind : std::uint8_t {
    command = 1,
    validator = 2,  // changes the validator set from the next height on; its bytes are an encoded Validator
};

struct Command {
    CommandKind kind = CommandKind::command;
    Session session;
    std::int64_t time_ns = 0;  // by the clock of the node that took it in
    Payload bytes;

    friend bool operator==(const Command&, const Command&) = default;
};

// The paper's value v. Its digest is id(v); whoever decodes a block computes it, nobody is told it.
struct Block {
    Height height = 0;
    Index first_index = 0;          // in the log of commands, of its first one
    std::int64_t time_ns = 0;       // the latest of its commands, and never before the block before
    NodeId proposer = kNoNode;      // who made it; another may propose it again in a later round
    Digest parent{};                // the block before; of the first one, the digest of the genesis
    Digest validators{};            // the set that decides on this block
    Digest next_validators{};       // the set that decides on the next one, so that certificates form a chain
    std::vector<Command> commands;  // none only where a round began and what was to be decided was lost in a crash
    Digest id{};

    Index last_index() const noexcept { return first_index + commands.size() - 1; }
    friend bool operator==(const Block&, const Block&) = default;
};
using BlockPtr = std::shared_ptr<const Block>;

// A value of the same order as the paper's step_p: propose < prevote < precommit (line 36: step_p >= prevote).
enum class Step : std::uint8_t { propose = 1, prevote = 2, precommit = 3 };
const char* to_string(Step step) noexcept;

enum class VoteType : std::uint8_t { prevote = 1, precommit = 2 };

struct Vote {
    VoteType type = VoteType::prevote;
    Height height = 0;
    Round round = 0;
    Digest value{};  // id(v), or kNil
    NodeId validator = kNoNode;
    Signature signature{};

    friend bool operator==(const Vote&, const Vote&) = default;
};

// <PROPOSAL, height, round, v, validRound>. `pol` proves pol_round: more than two thirds of prevotes for v in it, so
// that line 28 needs nothing that may have been lost.
struct Proposal {
    Height height = 0;
    Round round = 0;
    Round pol_round = kNoRound;
    Digest value{};
    NodeId proposer = kNoNode;  // of the round: it signs
    Signature signature{};
    BlockPtr block;
    std::vector<Vote> pol;

    friend bool operator==(const Proposal& a, const Proposal& b) {
        return a.height == b.height && a.round == b.round && a.pol_round == b.pol_round && a.value == b.value &&
               a.proposer == b.proposer && a.signature == b.signature && a.pol == b.pol && !a.block == !b.block &&
               (!a.block || *a.block == *b.block);
    }
};

// More than two thirds of precommits for one block: whoever has the public keys can check it (PITFALLS 39).
struct Certificate {
    struct Signed {
        NodeId validator = kNoNode;
        Signature signature{};
        friend bool operator==(const Signed&, const Signed&) = default;
    };
    Height height = 0;
    Round round = 0;
    Digest value{};
    std::vector<Signed> votes;  // by validator id, each once

    friend bool operator==(const Certificate&, const Certificate&) = default;
};

// What a node decided at a height, and the proof.
struct Decided {
    BlockPtr block;
    Certificate certificate;

    friend bool operator==(const Decided& a, const Decided& b) {
        return !a.block == !b.block && (!a.block || *a.block == *b.block) && a.certificate == b.certificate;
    }
};

// What a state machine gets: one command of a decided block.
struct Entry {
    Height height = 0;
    Index index = 0;
    std::int64_t time_ns = 0;
    Session session;
    EntryKind kind = EntryKind::command;  // a change of validators is a no-op to the state machine
    Payload command;

    friend bool operator==(const Entry&, const Entry&) = default;
};

// Two signed statements of one validator that no correct one makes both (PITFALLS 34).
struct Evidence {
    enum class Kind : std::uint8_t { vote = 1, proposal = 2 };
    Kind kind = Kind::vote;
    Vote first_vote, second_vote;              // kind vote: same type, height and round, other value
    Proposal first_proposal, second_proposal;  // kind proposal: same height and round; without blocks

    NodeId culprit() const noexcept { return kind == Kind::vote ? first_vote.validator : first_proposal.proposer; }
    Height height() const noexcept { return kind == Kind::vote ? first_vote.height : first_proposal.height; }
    friend bool operator==(const Evidence&, const Evidence&) = default;
};

}  // namespace fastmas::consensus::bft
