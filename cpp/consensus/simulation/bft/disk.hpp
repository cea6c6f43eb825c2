// The disk of a simulated node: what it holds survives a crash, all else does not.
#pragma once

#include <utility>
#include <vector>

#include "consensus/bft/ready.hpp"

namespace fastmas::consensus::bft {

class SimDisk {
  public:
    SimDisk() = default;
    explicit SimDisk(const std::vector<NodeId>&) {}  // of the cluster's nodes, as SimCluster builds it

    // Duties 1 to 3 of ready.hpp, durable at once and all or nothing.
    void persist(const Ready& ready) {
        if (ready.snapshot != nullptr) compact(*ready.snapshot);
        decided_.insert(decided_.end(), ready.decided.begin(), ready.decided.end());
        if (ready.hard_state != nullptr) hard_ = *ready.hard_state;
    }
    void compact(Snapshot snapshot) {
        std::erase_if(decided_, [&](const Decided& held) { return held.block->height <= snapshot.chain.height; });
        snapshot_ = std::move(snapshot);
    }
    PersistentState load() const { return {hard_, snapshot_, decided_}; }

    const HardState& hard_state() const noexcept { return hard_; }
    const Snapshot& snapshot() const noexcept { return snapshot_; }
    const std::vector<Decided>& decided() const noexcept { return decided_; }
    Height height() const noexcept { return decided_.empty() ? snapshot_.chain.height : decided_.back().block->height; }

  private:
    HardState hard_;
    Snapshot snapshot_;
    std::vector<Decided> decided_;
};

}  // namespace fastmas::consensus::bft
