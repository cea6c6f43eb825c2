// The disk of a simulated node: what it holds survives a crash, all else does not.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "consensus/raft/log.hpp"
#include "consensus/raft/ready.hpp"
#include "consensus/simulation/record_disk.hpp"
#include "consensus/types.hpp"

namespace fastmas::consensus::raft {

class SimDisk : public RecordDisk<SimDisk, Ready, Entry> {
  public:
    explicit SimDisk(std::vector<NodeId> voters) {
        snapshot_.membership = Membership(std::move(voters));
        first_ = snapshot_;
    }

    // Duties 1 to 3 of ready.hpp.
    void persist(const Ready& ready) {
        // a staged one may come after a compaction that went further
        if (ready.snapshot != nullptr && ready.snapshot->index > snapshot_.index) {
            snapshot_ = *ready.snapshot;
            log_.restore(snapshot_);
        }
        for (const Entry& entry : ready.entries) put(entry);
        if (ready.hard_state != nullptr) {
            hard_state_ = *ready.hard_state;
            if (loss_.is_cut) loss_.told = {};
        }
        if (loss_.had.index != 0) mend_loss();
    }
    // The record of an index voids those before it from that index on.
    void put(const Entry& entry) {
        // stored again after a damage, and covered by a compaction meanwhile
        if (entry.index <= log_.snapshot_index()) return;
        if (entry.index > log_.last_index() + 1 && loss_.had.index != 0) {
            // it was on its way, and stands behind what cannot be read; also there it voids what came from its index on
            if (entry.index <= loss_.had.index) loss_.had = loss_.told = {};
            lose({entry.term, entry.index});
            return;
        }
        // where the damage was stands something else now: nobody will see it there again
        if (loss_.is_cut) loss_.told = {};
        if (entry.index <= log_.last_index()) log_.truncate_from(entry.index);
        log_.append(entry);
    }
    void compact(const Snapshot& snapshot) {
        snapshot_ = snapshot;
        log_.restore(snapshot);
        if (loss_.had.index != 0) mend_loss();
    }
    // What is stored from entry `first` on cannot be read any more, with `whole` the snapshot neither. A reader sees it
    // by checksums; where the log ended it may be able to tell or not.
    void damage(Index first, bool whole, bool end_is_known) {
        LogEnd end{log_.last_term(), log_.last_index()};
        if (end.index == 0) return;
        // entries of a term that is not stored yet were not acknowledged (ready.hpp, duty 4)
        if (!end_is_known) end.term = std::min(end.term, hard_state_.term);
        loss_.is_end_known = end_is_known && (loss_.told.index == 0 || loss_.is_end_known);
        loss_.is_cut = false;
        lose(end);
        if (whole) {
            log_ = Log();
            snapshot_ = first_;
        } else if (first <= log_.last_index()) {
            log_.truncate_from(first);
        }
    }
    // Where the log ended that was damaged, whatever the node makes of it; index 0 once it is as up to date again.
    const LogEnd& lost() const noexcept { return loss_.had; }
    // How often the others made good what a node found damaged when it started.
    std::uint64_t made_whole() const noexcept { return made_whole_; }
    // The file is read again, and cut where it cannot be read.
    bool mend() {
        const bool was_torn = RecordDisk::mend();
        loss_.is_cut = loss_.had.index != 0;
        return was_torn;
    }
    PersistentState load() const {
        const auto entries = log_.slice(log_.first_index(), log_.last_index());
        const LogEnd lost = loss_.is_end_known ? loss_.told : LogEnd{0, loss_.told.index};
        return {hard_state_, snapshot_, {entries.begin(), entries.end()}, lost};
    }
    const Log& log() const noexcept { return log_; }
    const HardState& hard_state() const noexcept { return hard_state_; }
    const Snapshot& snapshot() const noexcept { return snapshot_; }

  private:
    struct Loss {
        LogEnd had;                // the end of what was damaged
        LogEnd told;               // what a reader of the file can tell of it
        bool is_end_known = true;  // or only that there was more
        bool is_cut = false;       // read since: the next write goes where the damage is
    };
    void lose(const LogEnd& end) {
        loss_.had = std::max(loss_.had, end);
        loss_.told = std::max(loss_.told, end);
    }
    void mend_loss() {
        if (LogEnd{log_.last_term(), log_.last_index()} < loss_.had) return;
        made_whole_ += loss_.is_cut;
        loss_ = {};
    }

    Loss loss_;
    std::uint64_t made_whole_ = 0;
    Snapshot first_;  // of a log that holds nothing
    HardState hard_state_;
    Snapshot snapshot_;
    Log log_;
};

}  // namespace fastmas::consensus::raft
