// The disk of a simulated node: what it holds survives a crash, all else does not.
#pragma once

#include <vector>

#include "consensus/paxos/log.hpp"
#include "consensus/paxos/ready.hpp"
#include "consensus/simulation/staged_writes.hpp"

namespace fastmas::consensus::paxos {

// Writes are whole. They are durable at once, or, handed over by stage(), later: a crash loses those that are not done.
class SimDisk {
  public:
    explicit SimDisk(const std::vector<NodeId>&) {}

    // Duties 1 to 3 of ready.hpp.
    void persist(const Ready& ready) {
        // a staged one may come after a compaction that went further
        if (ready.snapshot != nullptr && ready.snapshot->index > snapshot_.index) compact(*ready.snapshot);
        for (const Entry& entry : ready.entries)
            if (entry.ballot && entry.index > log_.snapshot_index()) log_.put(entry);
        if (ready.hard_state != nullptr) hard_state_ = *ready.hard_state;
    }
    // Asynchronous storage: the same, once finish_one() is called.
    void stage(const Ready& ready) { staged_.stage(ready); }
    bool idle() const noexcept { return staged_.idle(); }
    // The oldest staged write becomes durable; its number.
    std::uint64_t finish_one() {
        return staged_.finish_one([this](const Ready& ready) { persist(ready); });
    }
    void crash() noexcept { staged_.crash(); }

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
    StagedWrites<Ready> staged_;
    HardState hard_state_;
    Snapshot snapshot_;
    Log log_;
};

}  // namespace fastmas::consensus::paxos
