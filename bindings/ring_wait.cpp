#include "ring_wait.hpp"

#include <sched.h>
#include <time.h>

#include "python_errors.hpp"

namespace fastmas::bindings {

bool Patience::read(PyObject* timeout_s, bool forever_by_default) {
    // Longer than any program runs, and still far from what a clock can hold.
    constexpr double kForeverSeconds = 1e9;
    if (timeout_s == nullptr) {
        forever_ = forever_by_default;
        return true;
    }
    if (timeout_s == Py_None) {
        forever_ = true;
        return true;
    }
    seconds_ = PyFloat_AsDouble(timeout_s);
    const bool number = PyErr_Occurred() == nullptr;
    if (!number && !clear_refusal()) return false;
    if (!number || !(seconds_ >= 0)) {
        raise("ConfigError", "timeout_s must be None or a number of seconds >= 0, got %R", timeout_s);
        return false;
    }
    forever_ = seconds_ > kForeverSeconds;
    return true;
}

bool PollPace::clock_says_so() noexcept {
    constexpr std::int64_t kPeriodNs = 50'000'000;
    constexpr std::uint32_t kQuickStride = 8;  // a poller every 100 ms is still seen within the second
    timespec now{};
#ifdef CLOCK_MONOTONIC_COARSE
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
#else
    clock_gettime(CLOCK_MONOTONIC, &now);
#endif
    const std::int64_t now_ns = std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
    // [R7 relaxed] for the reason in due()
    const std::int64_t read_ns = read_ns_.load(std::memory_order_relaxed);
    // [R7 relaxed] for the reason in due()
    stride_.store(now_ns - read_ns < kPeriodNs ? kQuickStride : 1, std::memory_order_relaxed);
    read_ns_.store(now_ns, std::memory_order_relaxed);  // [R7 relaxed] for the reason in due()
    failures_.store(0, std::memory_order_relaxed);      // [R7 relaxed] for the reason in due()
    // [R7 relaxed] for the reason in due()
    if (now_ns - looked_ns_.load(std::memory_order_relaxed) < kPeriodNs) return false;
    looked_ns_.store(now_ns, std::memory_order_relaxed);  // [R7 relaxed] for the reason in due()
    return true;
}

namespace waiting {

void yield() noexcept {
    sched_yield();
}

}  // namespace waiting
}  // namespace fastmas::bindings
