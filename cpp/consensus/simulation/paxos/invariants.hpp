#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include "consensus/paxos/node.hpp"
#include "consensus/simulation/applied_history.hpp"
#include "consensus/simulation/paxos/disk.hpp"

namespace fastmas::consensus::paxos {

// Watches a simulated cluster from outside, with a memory of its own (what every disk accepted in which ballot, hence
// what is chosen whether anybody knows it or not), and compares each step with the one before. A check that fails
// throws base::InvariantError, which begins with the invariant's sentence. O(1) a step plus O(1) an entry.
class InvariantChecker {
  public:
    explicit InvariantChecker(std::size_t nodes) : seen_(nodes + 1), history_(nodes) {}

    struct Changes {
        std::uint64_t in_force = 0;             // configurations that came into force
        std::uint64_t disjoint = 0;             // without a voter of the one before
        std::uint64_t void_entries = 0;         // chosen, and made from a configuration that was no longer the latest
        std::uint64_t promoted = 0;             // learners that became voters
        std::uint64_t pending_in_snapshot = 0;  // snapshots sent from between a change's slot and its coming into force
    };

    // The node is about to do these duties; what its disk acknowledged to it is durable.
    void on_ready(const PaxosNode& node, const Ready& ready);
    // The node stored this Ready's snapshot, entries and hard state, or handed them to its disk.
    void on_persist(const PaxosNode& node, const Ready& ready);
    // The node is about to hand this message to the network.
    void on_send(const PaxosNode& node, const Message& message, const SimDisk& disk);
    // The node's state machine got this entry.
    void on_apply(const PaxosNode& node, const Entry& entry, const Applied& applied);
    // The node's state machine was replaced by a snapshot that stands for this many commands.
    void on_restore(const PaxosNode& node, const Snapshot& snapshot, std::uint64_t commands);
    // The node came back with what its disk held.
    void on_restart(const PaxosNode& node);
    // The node handled an event and did its duties; disks[i] is that of node i + 1.
    void after_step(const PaxosNode& node, const std::vector<const SimDisk*>& disks);
    // The node's log and disk, slot by slot, against each other and against what is chosen. O(entries).
    void check_log(const PaxosNode& node, const SimDisk& disk) const;

    // What anybody knows to be chosen; a read that is asked for now must see it. Its context says how much that was
    // (observer.hpp).
    Index committed() const noexcept { return committed_; }
    std::uint64_t reads() const noexcept { return reads_; }  // confirmed
    std::uint64_t checks() const noexcept { return checks_; }
    std::uint64_t commands() const noexcept { return history_.commands(); }
    std::size_t ballots_led() const noexcept { return led_.size(); }
    // Slots that were chosen in one ballot, and later proposed again in higher ones: adoption had something to keep.
    std::uint64_t kept() const noexcept { return kept_; }
    std::uint64_t gaps() const noexcept { return gaps_; }  // filled with a no-op, by nodes that are gone, too
    const Changes& changes() const noexcept { return changes_; }

  private:
    struct Vote {
        Ballot ballot;
        std::uint64_t value = 0;
        std::uint64_t who = 0;  // one bit a node
        Payload change;         // of a membership entry
    };
    struct Slot {
        std::vector<Vote> votes;  // by ballot; once one is chosen, only those of lower ballots
        Ballot chosen;            // the lowest ballot, of those known, in which an accept quorum accepted
        std::uint64_t value = 0;
        std::int64_t time_ns = 0;  // the log's, once somebody applied it
        bool is_applied = false;
        bool was_kept = false;
        Payload change;
    };
    // Handed to a disk that has not acknowledged it.
    struct Staged {
        std::uint64_t write = 0;
        std::vector<Entry> entries;
        Ballot promised;
    };
    struct Seen {
        Ballot promised;  // handed to the disk
        Ballot durable;   // acknowledged by it
        std::deque<Staged> staged;
        std::vector<Ballot> accepted;  // handed to the disk, by slot
        bool led = false;
        Ballot ballot;
        Index commit = 0;
        Index applied = 0;
        std::uint64_t gaps = 0;
        std::int64_t time_ns = INT64_MIN;
    };
    [[noreturn]] static void fail(const PaxosNode& node, const char* invariant, const std::string& detail);
    Slot& slot(Index index);
    void on_durable(const PaxosNode& node);
    void on_vote(const PaxosNode& node, const Entry& entry);
    void follow_changes(const PaxosNode& node);
    const Membership& governs(const PaxosNode& node, Index index);
    void check_membership(const PaxosNode& node);
    void check_proposal(const PaxosNode& node, const Entry& entry, const Ballot& ballot);

    std::vector<Seen> seen_;  // by node id
    std::vector<Slot> slots_;
    std::unordered_map<std::uint64_t, NodeId> led_;  // ballots that were led
    AppliedHistory history_;
    std::vector<Membership> memberships_;  // as what is chosen says, whether anybody knows or not
    Changes changes_;
    Index chosen_ = 0;  // all slots up to here are chosen
    Index committed_ = 0;
    std::uint64_t reads_ = 0;
    std::uint64_t checks_ = 0;
    std::uint64_t kept_ = 0;
    std::uint64_t gaps_ = 0;
};

}  // namespace fastmas::consensus::paxos
