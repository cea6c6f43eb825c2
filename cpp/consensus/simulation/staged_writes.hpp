// Writes of a simulated disk that are under way: a crash loses them.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace fastmas::consensus {

// Copies what a Ready of any protocol wants stored, and gives it back in order.
template <class Ready>
class StagedWrites {
  public:
    void stage(const Ready& ready) {
        Staged& staged = staged_.emplace_back();
        staged.write = ready.write;
        if (ready.snapshot != nullptr) staged.snapshot = *ready.snapshot;
        staged.entries.assign(ready.entries.begin(), ready.entries.end());
        if (ready.hard_state != nullptr) staged.hard_state = *ready.hard_state;
    }
    bool idle() const noexcept { return staged_.empty(); }
    // The oldest one goes to `persist`; its number.
    template <class Persist>
    std::uint64_t finish_one(Persist persist) {
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

  private:
    struct Staged {
        std::uint64_t write = 0;
        std::optional<std::remove_cvref_t<decltype(*Ready::snapshot)>> snapshot;
        std::vector<typename decltype(Ready::entries)::value_type> entries;
        std::optional<std::remove_cvref_t<decltype(*Ready::hard_state)>> hard_state;
    };
    std::deque<Staged> staged_;
};

}  // namespace fastmas::consensus
