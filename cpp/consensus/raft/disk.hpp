// The disk of a simulated node: what it holds survives a crash, all else does not.
#pragma once

#include <vector>

#include "consensus/raft/log.hpp"
#include "consensus/raft/ready.hpp"
#include "consensus/types.hpp"

namespace fastmas::consensus::raft {

// Writes are whole and durable at once; torn and lost writes belong to the replica's log file, which is not simulated
// yet.
class SimDisk {
  public:
    explicit SimDisk(std::vector<NodeId> voters) { snapshot_.voters = std::move(voters); }

    // Duties 1 to 3 of ready.hpp.
    void persist(const Ready& ready) {
        if (ready.snapshot != nullptr) {
            snapshot_ = *ready.snapshot;
            log_.restore(snapshot_);
        }
        if (!ready.entries.empty()) {
            if (ready.entries.front().index <= log_.last_index()) log_.truncate_from(ready.entries.front().index);
            for (const Entry& entry : ready.entries) log_.append(entry);
        }
        if (ready.hard_state != nullptr) hard_state_ = *ready.hard_state;
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
