#include "ringbuffer/wake_point.hpp"

#include <algorithm>
#include <thread>

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <ctime>
#endif

namespace fastmas::ringbuffer {

static_assert(sizeof(std::atomic<std::uint32_t>) == 4 && std::atomic<std::uint32_t>::is_always_lock_free,
              "the kernel compares the word itself");

#if defined(__linux__)

void futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected, std::chrono::nanoseconds bound,
                bool shared) noexcept {
    if (bound <= std::chrono::nanoseconds::zero()) return;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(bound);
    timespec timeout{};
    timeout.tv_sec = static_cast<time_t>(seconds.count());
    timeout.tv_nsec = static_cast<long>((bound - seconds).count());
    // Whatever it returns for (woken, changed before, a signal, the bound) the caller looks again.
    syscall(SYS_futex, &word, shared ? FUTEX_WAIT : FUTEX_WAIT_PRIVATE, expected, &timeout, nullptr, 0);
}

void futex_wake_all(const std::atomic<std::uint32_t>& word, bool shared) noexcept {
    syscall(SYS_futex, &word, shared ? FUTEX_WAKE : FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

#else

void futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected, std::chrono::nanoseconds bound,
                bool /*shared*/) noexcept {
    wait_by_polling(word, expected, bound);
}

void futex_wake_all(const std::atomic<std::uint32_t>& /*word*/, bool /*shared*/) noexcept {}

#endif

void wait_by_polling(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                     std::chrono::nanoseconds bound) noexcept {
    constexpr std::chrono::nanoseconds kFirstNap{20'000};
    constexpr std::chrono::nanoseconds kLongestNap{1'000'000};
    const auto until = std::chrono::steady_clock::now() + bound;
    auto nap = kFirstNap;
    // [W5 relaxed] only whether it changed matters: the caller's next prepare() orders its next look.
    while (word.load(std::memory_order_relaxed) == expected) {
        const auto left = until - std::chrono::steady_clock::now();
        if (left <= std::chrono::nanoseconds::zero()) return;
        std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(nap, left));
        nap = std::min(kLongestNap, nap * 2);
    }
}

}  // namespace fastmas::ringbuffer
