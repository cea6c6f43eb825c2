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

// Where a log ends. The greater one is the more up-to-date log (paper §5.4.1): the later last term, with equal terms
// the longer log.
struct LogEnd {
    Term term = 0;
    Index index = 0;

    friend auto operator<=>(const LogEnd&, const LogEnd&) = default;
};

// What a node must have on disk before it says anything that depends on it (paper figure 2, "persistent state").
struct HardState {
    Term term = 0;
    NodeId vote = kNoNode;
    LogEnd lost = {};  // where its log ended that its disk then damaged, until it has caught up (repair.cpp)

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
//
// When some of it cannot be read although it was durable, the entries are those before the first damaged one (none, and
// no snapshot, when that is what is damaged), and `lost` says where the log ended: the term and index of the last entry
// that was ever stored, damaged or not. Too high is safe and keeps the node from voting for longer; too low is not
// safe. With term 0 (nobody can tell) the stored term is taken, which is never too low. Not for the torn end of a write
// that was never acknowledged: nobody was told of it, so it is cut, and nothing is lost. A hard state that cannot be
// read has no remedy here: the node may have voted already. It comes back under a new id.
struct PersistentState {
    HardState hard_state;
    Snapshot snapshot;
    std::vector<Entry> entries;
    LogEnd lost = {};
};

}  // namespace fastmas::consensus::raft
