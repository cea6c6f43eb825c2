// The nouns of consensus: who, when (logically), what.
#pragma once

#include <cstdint>
#include <vector>

#include "base/payload.hpp"

namespace fastmas::consensus {

using base::Payload;
using NodeId = std::uint32_t;  // 1-based
using Term = std::uint64_t;    // 0 = before the first election
using Index = std::uint64_t;   // 1-based position in the log; 0 = before the first entry

inline constexpr NodeId kNoNode = 0;
inline constexpr std::size_t kMaxNodes = 63;  // votes are kept as one bit a node
// A term above it is refused as hostile: the last terms before the counter wraps are never reached by elections.
inline constexpr Term kMaxTerm = Term{1} << 62;

enum class EntryKind : std::uint8_t { noop = 0, command = 1 };

// Which request of which client an entry carries, so that a retried one takes effect once (Raft thesis §6.3).
struct Session {
    std::uint64_t client = 0;        // 0 = no session: every copy takes effect
    std::uint64_t sequence = 0;      // 1-based, grows by one a request
    std::uint64_t acknowledged = 0;  // the client has the replies up to here; replicas may forget them

    friend bool operator==(const Session&, const Session&) = default;
};

struct Entry {
    Term term = 0;
    Index index = 0;
    std::int64_t time_ns = 0;  // the leader's time at append; never decreases along the log
    Session session;
    EntryKind kind = EntryKind::noop;
    Payload command;

    friend bool operator==(const Entry&, const Entry&) = default;
};

// What a node must have on disk before it says anything that depends on it (paper figure 2, "persistent state").
struct HardState {
    Term term = 0;
    NodeId vote = kNoNode;

    friend bool operator==(const HardState&, const HardState&) = default;
};

// The state machine as of `index`; stands for all entries up to it (paper §7).
struct Snapshot {
    Index index = 0;
    Term term = 0;
    std::int64_t time_ns = 0;    // of the last entry it covers: time keeps growing after it
    std::vector<NodeId> voters;  // membership as of index
    Payload state;

    friend bool operator==(const Snapshot&, const Snapshot&) = default;
};

// What a restarted node is given back: all it ever persisted. The entries follow the snapshot without a gap.
struct PersistentState {
    HardState hard_state;
    Snapshot snapshot;
    std::vector<Entry> entries;
};

}  // namespace fastmas::consensus
