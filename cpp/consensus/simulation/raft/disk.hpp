// The disk of a simulated node: what it holds survives a crash, all else does not.
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "consensus/raft/log.hpp"
#include "consensus/raft/ready.hpp"
#include "consensus/types.hpp"

namespace fastmas::consensus::raft {

// Writes are whole, and durable at once or, when they are staged, in their order and later: a crash loses those that
// are not done. Torn writes belong to the replica's log file.
class SimDisk {
  public:
    explicit SimDisk(std::vector<NodeId> voters) { snapshot_.membership = Membership(std::move(voters)); }

    // Duties 1 to 3 of ready.hpp.
    void persist(const Ready& ready) {
        // a staged one may come after a compaction that went further
        if (ready.snapshot != nullptr && ready.snapshot->index > snapshot_.index) {
            snapshot_ = *ready.snapshot;
            log_.restore(snapshot_);
        }
        if (!ready.entries.empty()) {
            if (ready.entries.front().index <= log_.last_index()) log_.truncate_from(ready.entries.front().index);
            for (const Entry& entry : ready.entries) log_.append(entry);
        }
        if (ready.hard_state != nullptr) hard_state_ = *ready.hard_state;
    }
    // Asynchronous storage: the same, once finish_one() is called.
    void stage(const Ready& ready) {
        Staged& staged = staged_.emplace_back();
        staged.write = ready.write;
        if (ready.snapshot != nullptr) staged.snapshot = *ready.snapshot;
        staged.entries.assign(ready.entries.begin(), ready.entries.end());
        if (ready.hard_state != nullptr) staged.hard_state = *ready.hard_state;
    }
    bool idle() const noexcept { return staged_.empty(); }
    // The oldest staged write becomes durable; its number.
    std::uint64_t finish_one() {
        const Staged staged = std::move(staged_.front());
        staged_.pop_front();
        Ready ready;
        if (staged.snapshot) ready.snapshot = &*staged.snapshot;
        ready.entries = staged.entries;
        if (staged.hard_state) ready.hard_state = &*staged.hard_state;
        persist(ready);
        return staged.write;
    }
    void crash() noexcept { staged_.clear(); }

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
    struct Staged {
        std::uint64_t write = 0;
        std::optional<Snapshot> snapshot;
        std::vector<Entry> entries;
        std::optional<HardState> hard_state;
    };
    std::deque<Staged> staged_;
    HardState hard_state_;
    Snapshot snapshot_;
    Log log_;
};

}  // namespace fastmas::consensus::raft
