// Writes of a simulated disk that are under way: a crash leaves some of them, the last one torn.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/prng.hpp"

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
        persist(staged.ready());
        return staged.write;
    }
    // Any number of the oldest goes to `persist`, the next one to `tear`, the rest is lost.
    template <class Persist, class Tear>
    void crash(base::Prng& random, Persist persist, Tear tear) {
        for (std::uint64_t whole = random.below(staged_.size() + 1); whole != 0; --whole) (void)finish_one(persist);
        if (!staged_.empty()) tear(staged_.front().ready());
        staged_.clear();
    }

  private:
    struct Staged {
        std::uint64_t write = 0;
        std::optional<std::remove_cvref_t<decltype(*Ready::snapshot)>> snapshot;
        std::vector<typename decltype(Ready::entries)::value_type> entries;
        std::optional<std::remove_cvref_t<decltype(*Ready::hard_state)>> hard_state;

        Ready ready() const noexcept {
            Ready ready;
            if (snapshot) ready.snapshot = &*snapshot;
            ready.entries = entries;
            if (hard_state) ready.hard_state = &*hard_state;
            return ready;
        }
    };
    std::deque<Staged> staged_;
};

}  // namespace fastmas::consensus
