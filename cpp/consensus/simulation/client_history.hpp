// What clients of a simulated cluster saw, and whether one machine could have answered so.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "consensus/applier.hpp"

namespace fastmas::consensus {

// Remembers the numbers of the commands it was given, in order. Answers each, and a read, with how many there are and a
// hash of them: an answer says exactly which state it comes from.
class Recorder : public StateMachine {
  public:
    struct Answer {
        std::uint64_t count = 0;
        std::uint64_t digest = 0;
        friend bool operator==(const Answer&, const Answer&) = default;
    };
    Result apply(const Command& command) override;
    std::uint64_t digest() override { return digest_; }
    bool can_snapshot() const override { return true; }
    Payload snapshot() override;
    void restore(std::span<const std::byte> state) override;
    Answer read() const noexcept { return {numbers_.size(), digest_}; }
    const std::vector<std::uint64_t>& numbers() const noexcept { return numbers_; }

    static Answer answer_of(const Payload& reply) noexcept;
    static std::uint64_t extend(std::uint64_t digest, std::uint64_t number) noexcept;

  private:
    std::vector<std::uint64_t> numbers_;
    std::uint64_t digest_ = 0;
    std::int64_t time_ns_ = INT64_MIN;
};

// Linearizability (Herlihy and Wing 1990) of a Recorder's clients. Every answer names the state it comes from, and the
// list that the cluster ends with names all states there were: so the order is known and need not be searched for, and
// what is left to ask is whether each answer fits its state, and whether the order contradicts time.
class ClientHistory {
  public:
    struct Seen {
        Session session;  // of a read only the client
        bool is_read = false;
        std::int64_t call_ns = 0;
        std::int64_t return_ns = -1;  // -1: no answer; a request may have taken effect at any time since, or never
        Recorder::Answer answer;
    };
    // The operation's number; of a request that was sent before, the one it has.
    std::size_t call(const Session& session, std::int64_t now_ns);
    std::size_t read(std::uint64_t client, std::int64_t now_ns);
    // The first answer counts.
    void answer(std::size_t operation, const Recorder::Answer& answer, std::int64_t now_ns);

    // What breaks linearizability; nothing when all is well. `numbers` is the list that the cluster ended with.
    // O(n log n).
    std::string check(std::span<const std::uint64_t> numbers) const;
    const std::vector<Seen>& seen() const noexcept { return seen_; }
    std::uint64_t answered() const noexcept { return answered_; }
    std::uint64_t reads_answered() const noexcept { return reads_answered_; }

    static std::uint64_t number_of(const Session& session) noexcept { return session.client << 32 | session.sequence; }

  private:
    std::vector<Seen> seen_;
    std::unordered_map<std::uint64_t, std::size_t> places_;  // of requests, by number
    std::uint64_t answered_ = 0;                             // requests
    std::uint64_t reads_answered_ = 0;
};

}  // namespace fastmas::consensus
