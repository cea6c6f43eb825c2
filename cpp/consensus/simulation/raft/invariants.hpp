// What must hold in every Raft cluster at every moment: all of it in this file pair, one sentence each.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "consensus/raft/node.hpp"
#include "consensus/simulation/applied_history.hpp"
#include "consensus/simulation/raft/disk.hpp"

namespace fastmas::consensus::raft {

// Watches a simulated cluster from outside, with a memory of its own (the hash chain of every log, who led which term,
// what was committed, which request became which command), and compares each step with the one before. A check that
// fails throws base::InvariantError, which begins with the invariant's sentence. O(nodes) a step plus O(1) an entry.
class InvariantChecker {
  public:
    explicit InvariantChecker(std::size_t nodes) : seen_(nodes + 1), history_(nodes) {}

    // The node asks for its duties, at this time of its clock. A read's context says what it must cover (observer.hpp).
    void on_ready(const RaftNode& node, const Ready& ready, std::int64_t clock_ns);
    // The node stored this Ready's snapshot, entries and hard state.
    void on_persist(const RaftNode& node, const Ready& ready);
    // The node is about to hand this message to the network.
    void on_send(const RaftNode& node, const Message& message, const SimDisk& disk);
    // The node's state machine got this entry.
    void on_apply(const RaftNode& node, const Entry& entry, const Applied& applied);
    // The node's state machine was replaced by a snapshot that stands for this many commands.
    void on_restore(const RaftNode& node, const Snapshot& snapshot, std::uint64_t commands);
    // The node came back with what its disk held.
    void on_restart(const RaftNode& node);
    // What the node's disk held from entry `first` on is damaged. The node runs, and stores it again.
    void on_damage(const RaftNode& node, Index first);
    // The node handled an event and did its duties; disks[i] is that of node i + 1.
    void after_step(const RaftNode& node, const std::vector<const SimDisk*>& disks);
    // The node's log and disk, entry by entry, against the memory. O(entries).
    void check_log(const RaftNode& node, const SimDisk& disk) const;

    std::uint64_t checks() const noexcept { return checks_; }
    Index committed() const noexcept { return committed_.size(); }
    std::uint64_t commands() const noexcept { return history_.commands(); }
    std::size_t memberships() const noexcept { return memberships_.size(); }
    // What became of configurations, over all nodes.
    struct Changes {
        std::uint64_t joint = 0;            // in force on some node
        std::uint64_t left_by_another = 0;  // joint states that a later leader than their maker left
        std::uint64_t promoted = 0;         // learners made voters
        std::uint64_t rolled_back = 0;      // truncated away again
    };
    std::uint64_t reads() const noexcept { return reads_; }
    std::uint64_t parts() const noexcept { return parts_; }  // of snapshots, beyond the first
    std::uint64_t forced_votes() const noexcept { return forced_votes_; }
    const Changes& changes() const noexcept { return changes_; }
    std::size_t terms_led() const noexcept { return leaders_.size(); }

  private:
    struct Link {
        Term term = 0;
        std::uint64_t chain = 0;  // hash of this entry and all before it
        std::int64_t time_ns = 0;
    };
    struct Seen {
        HardState hard;
        HardState durable;  // what the disk is known to have held
        bool led = false;
        Index commit = 0;
        Index applied = 0;
        Index membership = 0;   // the id of the one in force
        std::vector<Link> log;  // what the node stored or is storing, from index 1
    };
    [[noreturn]] static void fail(const RaftNode& node, const char* invariant, const std::string& detail);
    Link link_of(const RaftNode& node, const Link& previous, const Entry& entry) const;
    void check_memberships(const RaftNode& node);
    static Link extend(const Link& previous, const Entry& entry);
    void check_matching(const RaftNode& node, Index index, const Link& link);
    static Index known_commit(const RaftNode& node);
    void check_election(const RaftNode& node, const Seen& seen);
    void check_vote(const RaftNode& node, const Seen& seen, const SimDisk& disk);
    void check_commit(const RaftNode& node, const Seen& seen, const std::vector<const SimDisk*>& disks);

    std::vector<Seen> seen_;  // by node id
    std::unordered_map<Term, NodeId> leaders_;
    std::map<std::pair<Term, NodeId>, LogEnd> stood_;  // where the logs of candidates ended
    std::vector<Link> first_;                          // the first entry ever stored at each index
    std::map<std::pair<Index, Term>, Link> others_;    // those of other terms
    std::vector<Link> committed_;
    std::vector<Term> commit_terms_;       // the term in which each index was first known to be committed
    std::vector<Membership> memberships_;  // every one that was ever in force on some node
    Changes changes_;
    std::uint64_t reads_ = 0;
    std::uint64_t forced_votes_ = 0;
    std::uint64_t parts_ = 0;
    Index claimed_ = 0;  // the furthest that any node said is committed, be it checked already or not
    AppliedHistory history_;
    std::uint64_t checks_ = 0;
};

}  // namespace fastmas::consensus::raft
