// The cheapest clock there is, for measuring how long a handler takes: the time-stamp counter where it runs at a
// constant rate (7 ns to read), the steady clock elsewhere (20 to 30 ns). Never used for anything that decides.
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace fastmas::base {

std::uint64_t steady_ns() noexcept;

class TickClock {
  public:
    TickClock() noexcept;

    std::uint64_t now() const noexcept {
#if defined(__x86_64__)
        if (counter_) return __rdtsc();
#endif
        return steady_ns();
    }

    // Nanoseconds a tick, measured between the construction and now: the longer ago, the better.
    double ns_per_tick() const noexcept;

  private:
    bool counter_ = false;
    std::uint64_t start_ticks_ = 0;
    std::uint64_t start_ns_ = 0;
};

}  // namespace fastmas::base
