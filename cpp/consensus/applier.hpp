// Committed entries on their way into a state machine: each command once, counted, no-ops left out.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "consensus/session.hpp"
#include "consensus/types.hpp"

namespace fastmas::consensus {

// What a state machine sees of an entry. Terms, log indexes and ballots stay outside: they may differ from run to run.
struct Command {
    std::uint64_t index = 0;   // counts the commands that took effect, from 1
    std::int64_t time_ns = 0;  // never decreases
    std::span<const std::byte> bytes;
};

// Deterministic: what it answers depends on the commands so far alone.
class StateMachine {
  public:
    virtual ~StateMachine() = default;
    virtual Result apply(const Command& command) = 0;
    // A hash of the state after the last command, compared between replicas; 0 when the machine has none to offer.
    virtual std::uint64_t digest() { return 0; }
    virtual bool can_snapshot() const { return false; }
    virtual Payload snapshot() { return Payload(); }
    virtual void restore(std::span<const std::byte> state) { (void)state; }
};

// What an entry did to a replica.
struct Applied {
    enum class Kind : std::uint8_t {
        nothing,
        effect,
        duplicate,  // of a request that took effect before
        expired,    // it came too late to take effect, or to be told from one that did
        crowded,    // too many clients have requests that may be retried: it had no effect and may come again
    };
    Kind kind = Kind::nothing;
    std::uint64_t index = 0;        // effect: the command's
    std::uint64_t fingerprint = 0;  // effect: hash of result and digest, equal on healthy replicas
    Result result;                  // effect
};

// Not thread-safe. Entries come in log order, each once; a gap throws base::InvariantError.
class Applier {
  public:
    explicit Applier(std::unique_ptr<StateMachine> machine) : machine_(std::move(machine)) {}

    // Any protocol's entry: what it has of index, time_ns, session, kind and command.
    template <class Entry>
    Applied apply(const Entry& entry) {
        return apply(entry.index, entry.time_ns, entry.session, entry.kind, entry.command);
    }
    Applied apply(Index index, std::int64_t time_ns, const Session& session, EntryKind kind, const Payload& command);
    // State machine, sessions and counters as of the last entry.
    Payload snapshot();
    // `state` stands for all entries up to `index`. Throws base::InvariantError for bytes that snapshot() did not make.
    void restore(Index index, const Payload& state);

    std::uint64_t commands() const noexcept { return commands_; }
    Index log_index() const noexcept { return log_index_; }
    StateMachine& machine() noexcept { return *machine_; }
    const SessionTable& sessions() const noexcept { return sessions_; }

  private:
    std::unique_ptr<StateMachine> machine_;
    SessionTable sessions_;
    std::uint64_t commands_ = 0;
    Index log_index_ = 0;
};

// 64 bits of the bytes, mixed into `seed`. For comparing replicas that do not lie; not for cryptography.
std::uint64_t hash_bytes(std::span<const std::byte> bytes, std::uint64_t seed) noexcept;

}  // namespace fastmas::consensus
