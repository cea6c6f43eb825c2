// What a Raft node keeps: terms, votes, entries, snapshots.
#pragma once

#include <vector>

#include "consensus/raft/membership.hpp"
#include "consensus/types.hpp"

namespace fastmas::consensus::raft {

using Term = std::uint64_t;  // 0 = before the first election
// Terms end before it. Elections never get there; a message that says so is refused, and a node in the last term stands
// for no later one: it stays what it is.
inline constexpr Term kMaxTerm = Term{1} << 62;

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
    std::int64_t time_ns = 0;  // of the last entry it covers: time keeps growing after it
    Membership membership;     // as of index
    Payload state;

    friend bool operator==(const Snapshot&, const Snapshot&) = default;
};

// What a restarted node is given back: all it ever persisted. The entries follow the snapshot without a gap.
struct PersistentState {
    HardState hard_state;
    Snapshot snapshot;
    std::vector<Entry> entries;
};

}  // namespace fastmas::consensus::raft
