#include "base/tick_clock.hpp"

#include <chrono>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace fastmas::base {
namespace {

bool has_constant_counter() noexcept {
#if defined(__x86_64__)
    unsigned int a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid(0x80000007U, &a, &b, &c, &d) != 0 && (d >> 8 & 1U) != 0;
#else
    return false;
#endif
}

}  // namespace

std::uint64_t steady_ns() noexcept {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

TickClock::TickClock() noexcept : counter_(has_constant_counter()) {
    start_ns_ = steady_ns();
    start_ticks_ = now();
}

double TickClock::ns_per_tick() const noexcept {
    if (!counter_) return 1.0;
    // At least 200 us of base line, or the two clocks' reading times would show.
    std::uint64_t ns = steady_ns(), ticks = now();
    while (ns - start_ns_ < 200'000) {
        ns = steady_ns();
        ticks = now();
    }
    return ticks == start_ticks_ ? 1.0
                                 : static_cast<double>(ns - start_ns_) / static_cast<double>(ticks - start_ticks_);
}

}  // namespace fastmas::base
