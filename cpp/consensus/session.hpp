// Client sessions: a retried command takes effect once and gets its first reply again (paper §8, thesis §6.3).
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <vector>

#include "consensus/types.hpp"

namespace fastmas::consensus {

enum class ResultStatus : std::uint8_t {
    applied = 0,
    rejected = 1,  // the state machine refused the command and changed nothing; identical on every replica
    broken = 2,    // this replica's state machine cannot go on
};

struct Result {
    ResultStatus status = ResultStatus::applied;
    Payload reply;  // of a rejection: what the caller needs to raise it again

    friend bool operator==(const Result&, const Result&) = default;
};

// Part of the replicated state: a function of the applied entries alone, so it is the same on every replica.
// Bounded: at most kMaxReplies replies a client and kMaxClients clients, the longest idle one going first.
class SessionTable {
  public:
    static constexpr std::size_t kMaxReplies = 65'536;
    static constexpr std::size_t kMaxClients = 4'096;

    // Whether this request has taken effect before.
    bool seen(const Session& session) const;
    // The reply of a seen request; nullptr once the client acknowledged it or it fell out of the bound.
    const Result* reply(const Session& session) const;
    void record(const Session& session, Index index, const Result& result);

    void encode(std::vector<std::byte>& out) const;
    // Whether the bytes were an encoded table; takes them off the front.
    bool decode(std::span<const std::byte>& bytes);

  private:
    struct Client {
        std::uint64_t last = 0;      // highest sequence that took effect
        Index last_index = 0;        // where
        std::deque<Result> replies;  // of sequences first .. last
        std::uint64_t first = 1;
    };
    std::map<std::uint64_t, Client> clients_;  // ordered, so that its encoding is canonical
};

}  // namespace fastmas::consensus
