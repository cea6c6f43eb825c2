// What a Multi-Paxos node keeps: promises, accepted entries, snapshots.
#pragma once

#include <vector>

#include "consensus/paxos/ballot.hpp"
#include "consensus/paxos/membership.hpp"
#include "consensus/types.hpp"

namespace fastmas::consensus::paxos {

// What was accepted in a slot of the log. Without a ballot it is a hole: nothing was accepted there.
struct Entry {
    Ballot ballot;  // the highest it was accepted in
    Index index = 0;
    std::int64_t time_ns =
        0;  // the proposing leader's stamp; once committed, the log's time: the greatest stamp so far
    Session session;
    EntryKind kind = EntryKind::noop;
    Payload command;

    friend bool operator==(const Entry&, const Entry&) = default;
};

inline Entry hole(Index index) {
    Entry entry;
    entry.index = index;
    return entry;
}

// Whether they are the same value; the ballots they were accepted in, and what the log made of their stamps, are not
// part of it.
inline bool same_value(const Entry& a, const Entry& b) noexcept {
    return a.kind == b.kind && a.session == b.session && a.command == b.command;
}

// What a node must have on disk before it says anything that depends on it. A node promises its own ballots, too,
// before it speaks of them: so it never uses one twice, whatever it forgets.
struct HardState {
    Ballot promised;
    Index commit = 0;  // as of the last thing stored; it may lag: it spares a restarted node asking for all it has

    friend bool operator==(const HardState&, const HardState&) = default;
};

// The state machine as of `index`; stands for all slots up to it, which are chosen.
struct Snapshot {
    Index index = 0;
    std::int64_t time_ns = 0;  // the log's time there: it keeps growing after it
    // The configurations that govern the slots after index as far as index says, and the one before: of at most three,
    // one is in force, one may be to come, and one was left.
    std::vector<Membership> memberships;
    Payload state;
    Ballot ballot;  // what it stands for was chosen in ballots up to this one: whoever installs it promises that much

    friend bool operator==(const Snapshot&, const Snapshot&) = default;
};

// What is wrong with the configurations that a snapshot carries, in a cluster with this window.
std::string problem_of(const Snapshot& snapshot, std::uint64_t window);

// What a restarted node is given back: all it ever persisted. The entries are in the order of their slots, with holes
// left out or not.
struct PersistentState {
    HardState hard_state;
    Snapshot snapshot;
    std::vector<Entry> entries;
};

}  // namespace fastmas::consensus::paxos
