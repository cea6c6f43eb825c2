// The nouns that all protocols share: who, where in the log, for whom. Each protocol adds its own (terms, ballots,
// rounds).
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/payload.hpp"

namespace fastmas::consensus {

using base::Payload;
using NodeId = std::uint32_t;  // 1-based
using Index = std::uint64_t;   // 1-based position in the log; 0 = before the first entry

inline constexpr NodeId kNoNode = 0;
inline constexpr std::size_t kMaxNodes = 63;                   // votes are kept as one bit a node
inline constexpr std::uint32_t kMaxElectionTicks = 1'000'000;  // so that no multiple of it that is used overflows

enum class EntryKind : std::uint8_t {
    noop = 0,
    command = 1,
    membership = 2,  // who takes part from here on; of the protocol, not of the state machine
};

// Which request of which client an entry carries, so that a retried one takes effect once (Raft thesis §6.3). That
// holds for clients that keep to this:
//   1. a request has one number, one above that of the request before it, and a retry is the same request in every
//      field. (A retry that expires later would come to replicas that have forgotten the client by right, and take
//      effect again.) Where clients are authenticated, what they sign covers the whole session.
//   2. expires_ns does not fall from a client's request to its next one. (The client is forgotten when the latest that
//      was seen is over; one that is still under way then would take effect after those behind it.)
//   3. after a last request (kLastRequest) comes none, and none before it is sent again once it has expired.
struct Session {
    // As `acknowledged`: the client needs no reply but this request's, and is forgotten when this one has expired,
    // whatever those before it said. So ends a client whose requests did not expire; anybody may end it who knows where
    // it stands.
    static constexpr std::uint64_t kLastRequest = UINT64_MAX;

    std::uint64_t client = 0;        // 0 = no session: every copy takes effect
    std::uint64_t sequence = 0;      // 1-based, grows by one a request
    std::uint64_t acknowledged = 0;  // the client has the replies up to here; replicas may forget them
    // By the log's time. A request that has not taken effect by then never will, so that what is kept of a client to
    // tell its retries apart can be forgotten when its last request is over. INT64_MAX = never: kept for good.
    std::int64_t expires_ns = INT64_MAX;

    friend bool operator==(const Session&, const Session&) = default;
};

inline bool is_last(const Session& session) noexcept {
    return session.acknowledged == Session::kLastRequest;
}
// Whether a client that keeps to the rules can have sent it.
inline bool is_wellformed(const Session& session) noexcept {
    if (session.client == 0) return true;
    if (session.sequence == 0 || session.sequence == UINT64_MAX) return false;
    return is_last(session) ? session.expires_ns != INT64_MAX : session.acknowledged < session.sequence;
}

// What became of a command handed to a node.
enum class ProposeStatus : std::uint8_t {
    appended,    // the node works on it; committed only once it comes out of Ready::committed
    not_leader,  // dropped: ask the node who leads
    too_large,   // dropped: above the configured size
    full,        // dropped: too many wait already
    busy,        // dropped: a change of members or of the leader is under way; ask again later
    // dropped: without a session where one is needed, with one that cannot be, ahead of this node's clock, or against
    // the rule of the chain
    refused,
};

}  // namespace fastmas::consensus
