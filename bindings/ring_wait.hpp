// Blocking calls on rings: attempts with the GIL held, bounded sleeps without it, signals looked at in between.
#pragma once

#include <Python.h>

#include <algorithm>
#include <chrono>

#include "ringbuffer/parker.hpp"

namespace fastmas::bindings {

enum class Attempt { done, again, error };

// How long a caller is ready to wait: None is for ever, 0 not at all.
class Patience {
  public:
    // `timeout_s` as given, nullptr when not; false with ConfigError set when it is no number >= 0.
    bool read(PyObject* timeout_s, bool forever_by_default);

    bool forever() const { return forever_; }
    double seconds() const { return seconds_; }

  private:
    bool forever_ = false;
    double seconds_ = 0;
};

// No sleep is longer, so that Ctrl-C is seen within it.
inline constexpr std::chrono::milliseconds kLongestSleep{50};

// Calls `attempt` until it says done or error, or until patience ends: then again. Attempts are made with the GIL held,
// as every other call on the ring, so the second look after prepare() is ordered against every push and pop.
template <class F>
Attempt wait_for(ringbuffer::Parker& parker, const Patience& patience, F&& attempt) {
    using Clock = std::chrono::steady_clock;
    Attempt outcome = attempt();
    if (outcome != Attempt::again || (!patience.forever() && patience.seconds() == 0)) return outcome;
    const auto until = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                          std::chrono::duration<double>(patience.forever() ? 0 : patience.seconds()));
    while (true) {
        const auto ticket = parker.prepare();
        outcome = attempt();
        std::chrono::nanoseconds bound = kLongestSleep;
        if (!patience.forever()) bound = std::min<std::chrono::nanoseconds>(bound, until - Clock::now());
        if (outcome != Attempt::again || bound.count() <= 0) {
            parker.cancel();
            return outcome;
        }
        Py_BEGIN_ALLOW_THREADS;
        parker.wait(ticket, bound);
        Py_END_ALLOW_THREADS;
        parker.finish();
        if (PyErr_CheckSignals() < 0) return Attempt::error;
    }
}

}  // namespace fastmas::bindings
