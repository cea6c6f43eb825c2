// The decided blocks so far, as far as the next one depends on them: what the paper's valid(v) looks at.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>

#include "consensus/bft/validators.hpp"
#include "consensus/session.hpp"

namespace fastmas::consensus::bft {

// Which commands may stand in a block, beyond what this protocol asks: who may send in whose name, who may change the
// validators. A pure function of the command, the same on every node; the caller owns it. Without one, commands of
// every session are taken as they come and the validators stay who they are.
class CommandRule {
  public:
    virtual ~CommandRule() = default;
    virtual bool allows(const Command& command) const = 0;
};

// The same on every node: the genesis digest covers it.
struct ChainLimits {
    std::uint32_t max_block_commands = 1024;
    std::uint32_t max_block_bytes = 1U << 20;    // of all its commands
    std::uint32_t max_command_bytes = 1U << 20;  // of one
};

Digest genesis_digest(const std::string& chain, const ChainLimits& limits, const ValidatorSet& first);

// The bytes of a CommandKind::validator command: power 0 removes.
Payload encode_change(const Validator& change);
bool decode_change(const Payload& bytes, Validator& change) noexcept;

// Which sequence of each client was decided last. As in SessionTable, a client is forgotten once none of its requests
// can come again, by the time of the decided blocks; there are at most kMaxClients, of which at most kMaxLasting are
// kept for good, so that those whose requests expire always find room again.
class ClientMarks {
  public:
    static constexpr std::size_t kMaxClients = SessionTable::kMaxClients;
    static constexpr std::size_t kMaxLasting = SessionTable::kMaxLasting;
    struct Room {
        std::size_t clients = 0;  // that are new
        std::size_t lasting = 0;  // that did not last before, new ones or not
    };
    std::uint64_t last(std::uint64_t client) const noexcept;
    bool has(std::uint64_t client) const noexcept { return marks_.contains(client); }
    // Whether a request of the client was decided that never expires: it is kept for good.
    bool lasts(std::uint64_t client) const noexcept;
    Room room() const noexcept {
        return {kMaxClients - marks_.size(), lasting_ < kMaxLasting ? kMaxLasting - lasting_ : 0};
    }
    // Whether there is room for what is to be remembered of the request.
    bool has_room(const Session& session) const noexcept;
    void set(const Session& session);
    // Whether a request's time is not over.
    bool admits(const Session& session) const noexcept { return session.expires_ns >= time_ns_; }
    // The last block's time is now this.
    void advance_to(std::int64_t time_ns);
    // Whether this is the client's next request: neither decided before, nor with an unanswered one left out between.
    static bool follows(std::uint64_t last, const Session& session) noexcept {
        if (session.sequence <= last || !is_wellformed(session)) return false;
        return is_last(session) || session.sequence - 1 <= std::max(last, session.acknowledged);
    }

    struct Mark {
        std::uint64_t sequence = 0;
        std::int64_t expires_ns = 0;  // of all its requests

        bool lasts() const noexcept { return expires_ns == INT64_MAX; }
        friend bool operator==(const Mark&, const Mark&) = default;
    };
    const std::map<std::uint64_t, Mark>& all() const noexcept { return marks_; }
    void insert(std::uint64_t client, const Mark& mark) {
        Mark& held = marks_[client];
        lasting_ += mark.lasts();
        lasting_ -= held.lasts();
        held = mark;
        soonest_ns_ = std::min(soonest_ns_, mark.expires_ns);
    }
    friend bool operator==(const ClientMarks& a, const ClientMarks& b) { return a.marks_ == b.marks_; }

  private:
    std::map<std::uint64_t, Mark> marks_;  // ordered, so that its encoding is canonical
    std::size_t lasting_ = 0;              // of them
    std::int64_t time_ns_ = INT64_MIN;
    std::int64_t soonest_ns_ = INT64_MAX;  // no client expires before
};

// A function of the decided blocks alone, so it is the same on every correct node. Copyable.
struct ChainState {
    Height height = 0;
    Digest last_id{};  // of the last block, or the genesis digest
    Index index = 0;   // of the last command
    std::int64_t time_ns = INT64_MIN;
    std::shared_ptr<const ValidatorSet> validators;  // decides on height + 1
    Rotation::Priorities priorities;                 // as of the start of height + 1
    ClientMarks clients;

    static ChainState genesis(const Digest& digest, ValidatorSet first);
    // Why the block cannot be the next one, or nullptr: valid(v), and nothing of it depends on the node or the moment.
    const char* check(const Block& block, const ChainLimits& limits, const CommandRule* rule) const;
    void apply(const Block& block);
    // The set that decides after these commands.
    ValidatorSet next_validators(const std::vector<Command>& commands) const;
};
bool operator==(const ChainState& a, const ChainState& b);

}  // namespace fastmas::consensus::bft
