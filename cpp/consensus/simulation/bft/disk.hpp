// The disk of a simulated node: what it holds survives a crash, all else does not, writes under way neither.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "base/prng.hpp"
#include "consensus/bft/ready.hpp"

namespace fastmas::consensus::bft {

class SimDisk {
  public:
    SimDisk() = default;
    explicit SimDisk(const std::vector<NodeId>&) {}  // of the cluster's nodes, as SimCluster builds it

    // Duties 1 to 3 of ready.hpp, durable at once and all or nothing.
    void persist(const Ready& ready) {
        if (ready.snapshot != nullptr) {
            compact(*ready.snapshot);
            forget_before(snapshot_.chain.height + 1);
        }
        decided_.insert(decided_.end(), ready.decided.begin(), ready.decided.end());
        if (ready.hard_state != nullptr) hard_ = *ready.hard_state;
    }
    // The blocks it covers stay until others have vouched for it.
    void compact(Snapshot snapshot) { snapshot_ = std::move(snapshot); }
    void keep_proven(const Snapshot& proven) {
        if (proven.chain.height > proven_.chain.height) proven_ = proven;
    }
    void forget_before(Height first) {
        std::erase_if(decided_, [&](const Decided& held) { return held.block->height < first; });
    }
    // Asynchronous storage: the same, once finish_one() is called.
    void stage(const Ready& ready) {
        Staged& staged = staged_.emplace_back();
        staged.write = ready.write;
        if (ready.snapshot != nullptr) staged.snapshot = *ready.snapshot;
        staged.decided.assign(ready.decided.begin(), ready.decided.end());
        if (ready.hard_state != nullptr) staged.hard_state = *ready.hard_state;
    }
    bool idle() const noexcept { return staged_.empty(); }
    // The oldest staged write becomes durable, all or nothing; its number.
    std::uint64_t finish_one() {
        const Staged staged = std::move(staged_.front());
        staged_.pop_front();
        Ready ready;
        if (staged.snapshot) ready.snapshot = &*staged.snapshot;
        ready.decided = staged.decided;
        if (staged.hard_state) ready.hard_state = &*staged.hard_state;
        persist(ready);
        return staged.write;
    }
    // Any number of the oldest writes under way is durable all the same, each all or nothing.
    void crash(base::Prng& random) {
        for (std::uint64_t whole = random.below(staged_.size() + 1); whole != 0; --whole) (void)finish_one();
        crash();
    }
    void crash() noexcept { staged_.clear(); }  // none of them is
    PersistentState load() const { return {hard_, snapshot_, decided_, proven_}; }

    const HardState& hard_state() const noexcept { return hard_; }
    const Snapshot& snapshot() const noexcept { return snapshot_; }
    const std::vector<Decided>& decided() const noexcept { return decided_; }
    Height height() const noexcept {
        return decided_.empty() ? snapshot_.chain.height
                                : std::max(snapshot_.chain.height, decided_.back().block->height);
    }

  private:
    struct Staged {
        std::uint64_t write = 0;
        std::optional<Snapshot> snapshot;
        std::vector<Decided> decided;
        std::optional<HardState> hard_state;
    };
    std::deque<Staged> staged_;
    HardState hard_;
    Snapshot snapshot_;
    Snapshot proven_;
    std::vector<Decided> decided_;
};

}  // namespace fastmas::consensus::bft
