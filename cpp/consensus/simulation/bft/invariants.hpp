// What must hold in every BFT cluster at every moment while liars have less than a third: all of it in this file pair,
// one sentence each.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "consensus/simulation/applied_history.hpp"
#include "consensus/simulation/bft/disk.hpp"
#include "consensus/simulation/bft/sim_node.hpp"

namespace fastmas::consensus::bft {

// Watches a simulated cluster from outside, with a memory of its own (who said what, the one chain of blocks), and
// compares each step with the one before. It knows who lies: of a liar only what it learns is checked, never what it
// says. A check that fails throws base::InvariantError, which begins with the invariant's sentence.
class InvariantChecker {
  public:
    explicit InvariantChecker(std::size_t nodes) : seen_(nodes + 1), said_(nodes + 1), history_(nodes) {}

    // The node stored this Ready's snapshot, blocks and hard state, or began to.
    void on_persist(const SimNode& node, const Ready& ready);
    // The node is about to hand this message to the network.
    void on_send(const SimNode& node, const Message& message, const SimDisk& disk);
    // The node's state machine got this entry.
    void on_apply(const SimNode& node, const Entry& entry, const Applied& applied);
    // The node's state machine was replaced by a snapshot that stands for this many commands.
    void on_restore(const SimNode& node, const Snapshot& snapshot, std::uint64_t commands);
    // The node came back with what its disk held.
    void on_restart(const SimNode& node);
    // The node handled an event and did its duties.
    void after_step(const SimNode& node, const std::vector<const SimDisk*>& disks);
    // The node's blocks and its disk's, one by one, against the chain.
    void check_log(const SimNode& node, const SimDisk& disk) const;

    std::uint64_t checks() const noexcept { return checks_; }
    Height decided() const noexcept { return chain_.size(); }
    std::uint64_t commands() const noexcept { return history_.commands(); }
    std::uint64_t late_decisions() const noexcept { return late_; }  // in a round after the first
    std::uint64_t changes() const noexcept { return changes_; }      // of the validators
    std::uint64_t unlocks() const noexcept { return unlocks_; }  // prevotes against a lock, with the proof they need

  private:
    // What a correct node has signed at a height: type 1 prevote, 2 precommit, 3 proposal.
    struct Statement {
        Height height = 0;
        Round round = kNoRound;
        int type = 0;
        Digest value{};
    };
    // Whose prevotes for a value were ever sent, one bit a place.
    struct Polka {
        Height height = 0;
        Round round = kNoRound;
        Digest value{};
        std::uint64_t places = 0;
    };
    // A write that is under way: what it says counts once it is durable.
    struct Staged {
        std::uint64_t write = 0;
        std::optional<Snapshot> snapshot;
        std::vector<Decided> decided;
        std::optional<HardState> hard_state;
    };
    struct Seen {
        std::deque<Staged> staged;
        HardState hard;
        Height applied_height = 0;
        Index applied = 0;
        std::size_t evidence = 0;
    };
    [[noreturn]] static void fail(const SimNode& node, const char* invariant, const std::string& detail);
    void note_stored(const SimNode& node, const Ready& ready);
    void settle(const SimNode& node, std::uint64_t write);
    void note_decided(const SimNode& node, const Decided& decided);
    void note_own(const SimNode& node, const HardState& hard);
    const Statement* said(const SimNode& node, Height height, Round round, int type) const noexcept;
    void note_prevote(const Vote& vote, std::size_t place);
    void note_statement(const SimNode& node, Height height, Round round, int type, const Digest& value);
    void check_vote(const SimNode& node, const Vote& vote, const HardState& hard);
    bool was_polka(Height height, Round round, const Digest& value) const;
    void start_chain(const SimNode& node);

    std::vector<Seen> seen_;                    // by node id
    std::vector<std::vector<Statement>> said_;  // by node id
    std::vector<Polka> prevotes_;               // of the height that is not decided yet, and few before
    ChainState tip_;
    std::vector<BlockPtr> chain_;                                // by height - 1
    std::vector<std::shared_ptr<const ValidatorSet>> deciders_;  // of each height
    std::vector<std::pair<std::uint64_t, Session>> commands_;    // by index - 1: a hash, and whose
    std::vector<bool> honest_ = std::vector<bool>(64, false);
    AppliedHistory history_;
    std::uint64_t checks_ = 0;
    std::uint64_t late_ = 0;
    std::uint64_t changes_ = 0;
    std::uint64_t unlocks_ = 0;
    std::int64_t latest_clock_ns_ = INT64_MIN;  // of any correct node
};

}  // namespace fastmas::consensus::bft
