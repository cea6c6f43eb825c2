// The disk of a simulated node: what it holds survives a crash, all else does not.
#pragma once

#include <vector>

#include "consensus/paxos/log.hpp"
#include "consensus/paxos/ready.hpp"
#include "consensus/simulation/record_disk.hpp"

namespace fastmas::consensus::paxos {

class SimDisk : public RecordDisk<SimDisk, Ready, Entry> {
  public:
    explicit SimDisk(const std::vector<NodeId>&) {}

    // Duties 1 to 3 of ready.hpp.
    void persist(const Ready& ready) {
        // a staged one may come after a compaction that went further
        if (ready.snapshot != nullptr && ready.snapshot->index > snapshot_.index) compact(*ready.snapshot);
        for (const Entry& entry : ready.entries) put(entry);
        if (ready.hard_state != nullptr) hard_state_ = *ready.hard_state;
    }
    void put(const Entry& entry) {
        if (entry.ballot && entry.index > log_.snapshot_index()) log_.put(entry);
    }
    void compact(const Snapshot& snapshot) {
        snapshot_ = snapshot;
        log_.compact(snapshot.index);
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

}  // namespace fastmas::consensus::paxos
