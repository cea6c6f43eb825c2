// The disk of a simulated node: what it holds survives a crash, all else does not.
#pragma once

#include <vector>

#include "consensus/raft/log.hpp"
#include "consensus/raft/ready.hpp"
#include "consensus/simulation/record_disk.hpp"
#include "consensus/types.hpp"

namespace fastmas::consensus::raft {

class SimDisk : public RecordDisk<SimDisk, Ready, Entry> {
  public:
    explicit SimDisk(std::vector<NodeId> voters) { snapshot_.membership = Membership(std::move(voters)); }

    // Duties 1 to 3 of ready.hpp.
    void persist(const Ready& ready) {
        // a staged one may come after a compaction that went further
        if (ready.snapshot != nullptr && ready.snapshot->index > snapshot_.index) {
            snapshot_ = *ready.snapshot;
            log_.restore(snapshot_);
        }
        for (const Entry& entry : ready.entries) put(entry);
        if (ready.hard_state != nullptr) hard_state_ = *ready.hard_state;
    }
    // The record of an index voids those before it from that index on.
    void put(const Entry& entry) {
        if (entry.index <= log_.last_index()) log_.truncate_from(entry.index);
        log_.append(entry);
    }
    void compact(const Snapshot& snapshot) {
        snapshot_ = snapshot;
        log_.restore(snapshot);
    }
    PersistentState load() const {
        const auto entries = log_.slice(log_.first_index(), log_.last_index());
        return {hard_state_, snapshot_, {entries.begin(), entries.end()}};
    }
    const Log& log() const noexcept { return log_; }
    const HardState& hard_state() const noexcept { return hard_state_; }
    const Snapshot& snapshot() const noexcept { return snapshot_; }

  private:
    HardState hard_state_;
    Snapshot snapshot_;
    Log log_;
};

}  // namespace fastmas::consensus::raft
