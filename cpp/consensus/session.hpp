// Client sessions: a retried command takes effect once and gets its first reply again (paper §8, thesis §6.3).
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <vector>

#include "consensus/bytes.hpp"
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

// Whether a request may take effect at a place of the log.
enum class Admission : std::uint8_t {
    fresh,      // it has not yet, and may
    duplicate,  // it has
    expired,    // its time is over, or it has no number: it has, and that is forgotten, or it never will
    crowded,    // too many other clients have requests that may still be retried, or are kept for good
};

// Part of the replicated state: a function of the applied entries alone, so it is the same on every replica.
// A client is forgotten once none of its requests can come again, by the log's time, which never falls: forgetting it
// earlier would let a retry take effect twice. Bounded: at most kMaxReplies replies a client and kMaxClients clients,
// of which at most kMaxLasting are kept for good, so that those whose requests expire always find room again.
class SessionTable {
  public:
    static constexpr std::size_t kMaxReplies = 65'536;
    static constexpr std::size_t kMaxClients = 4'096;
    static constexpr std::size_t kMaxLasting = 2'048;

    // `time_ns` is the entry's, and not below that of any call before.
    Admission admit(const Session& session, std::int64_t time_ns);
    // The reply of a request that took effect; nullptr once the client acknowledged it or it fell out of the bound.
    const Result* reply(const Session& session) const;
    // A fresh request has taken effect.
    void record(const Session& session, const Result& result);
    std::size_t size() const noexcept { return clients_.size(); }

    void encode(std::vector<std::byte>& out) const;
    // Whether the bytes were an encoded table; takes them off the front.
    bool decode(std::span<const std::byte>& bytes);

  private:
    struct Client {
        std::uint64_t last = 0;       // highest sequence that took effect
        std::int64_t expires_ns = 0;  // of all its requests
        std::deque<Result> replies;   // of sequences first .. last
        std::uint64_t first = 1;

        bool lasts() const noexcept { return expires_ns == INT64_MAX; }
    };
    void forget_expired(std::int64_t time_ns);

    std::size_t lasting_ = 0;                  // of the clients
    std::int64_t soonest_ns_ = INT64_MAX;      // no client expires before: what spares a look at all of them
    std::map<std::uint64_t, Client> clients_;  // ordered, so that its encoding is canonical
};

// A session in a message or a record: 24 bytes, and 8 more with an expiry. Whether there is one is told apart by
// whoever encodes what the session belongs to.
inline bool expires(const Session& session) noexcept {
    return session.expires_ns != INT64_MAX;
}
inline std::size_t encoded_size(const Session& session) noexcept {
    return expires(session) ? 32 : 24;
}
void put(Writer& writer, const Session& session);
// Whether these were the bytes of a session that expires, or of one that does not; each has one encoding.
bool get(Reader& reader, Session& session, bool expires) noexcept;

}  // namespace fastmas::consensus
