// Blocking calls on rings: attempts with the interpreter's lock held, bounded waits without it, signals and the peer's
// life looked at in between.
#pragma once

#include <Python.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <utility>

#include "ringbuffer/wake_point.hpp"
#include "without_lock.hpp"

namespace fastmas::bindings {

using WakePoint = ringbuffer::WakePoint<ringbuffer::HardwareMemory>;

enum class Attempt { done, again, error };

// How long a caller is ready to wait: None is for ever, 0 not at all.
class Patience {
  public:
    // `timeout_s` as given, nullptr when not; false with ConfigError set when it is no number >= 0.
    bool read(PyObject* timeout_s, bool forever_by_default);

    bool forever() const { return forever_; }
    bool none() const { return !forever_ && seconds_ == 0; }
    double seconds() const { return seconds_; }

  private:
    bool forever_ = false;
    double seconds_ = 0;
};

// What a call does while it waits: turn on the spot; turn, offering the core; sleep; or the three in that order.
enum class WaitStrategy : std::uint8_t { adaptive, spin, yield, block };

// How the calls of one object wait.
struct Waiting {
    WaitStrategy strategy = WaitStrategy::adaptive;
    bool shared = false;  // the other side may be another process
    // Whether a wait has slept. Who takes an end tells the others that he may sleep by a plain store, which a notifier
    // can miss that was under way: so the first sleep is short.
    mutable std::atomic<bool> has_slept{false};

    bool sleeps_for_the_first_time() const {
        if (has_slept.load(std::memory_order_relaxed)) return false;  // [R7 relaxed] at worst a short sleep more
        has_slept.store(true, std::memory_order_relaxed);  // [R7 relaxed] at worst a look or a short sleep more
        return true;
    }

    bool sleeps() const { return strategy == WaitStrategy::block || strategy == WaitStrategy::adaptive; }

    // Whether the other side can go on while this thread holds the interpreter's lock: only then is turning with the
    // lock held of any use.
    bool peer_needs_no_lock() const {
#ifdef Py_GIL_DISABLED
        return true;
#else
        return shared;
#endif
    }
};

// Wakes whoever waits at `point`; after every change that somebody may wait for, by a thread that holds the
// interpreter's lock. In a build with that lock it orders a waiter's second look against every change in this process,
// which saves the read-modify-write.
inline void notify(WakePoint& point, bool shared) noexcept {
#ifdef Py_GIL_DISABLED
    point.notify(shared);
#else
    if (shared)
        point.notify(true);
    else
        point.notify_under_lock();
#endif
}

// Whether notify(point, false) has nothing to do: to be known in advance only where the lock orders it.
inline bool nobody_waits_in_process([[maybe_unused]] const WakePoint& point) noexcept {
#ifdef Py_GIL_DISABLED
    return false;
#else
    return point.nobody_waits_under_lock();
#endif
}

// No wait without the lock is longer, so that Ctrl-C is seen and a death noticed within it.
inline constexpr std::chrono::milliseconds kLongestSlice{50};
inline constexpr std::chrono::milliseconds kFirstSlice{1};

// How often a `try_` call that keeps failing looks after its peer: often enough that a loop of them learns of a death
// within a second, however fast or slowly it polls, and so seldom that the look costs nothing.
class PollPace {
  public:
    // After a failed call: whether it is time for a look.
    bool due() noexcept {
        // [R7 relaxed] several threads of one object may lose a count: the next failure is one too
        const std::uint32_t failures = failures_.load(std::memory_order_relaxed) + 1;
        failures_.store(failures, std::memory_order_relaxed);  // [R7 relaxed] at worst a look or a short sleep more
        // [R7 relaxed] at worst a look more or less
        const std::uint32_t stride = stride_.load(std::memory_order_relaxed);
        return failures >= stride && clock_says_so();
    }

  private:
    bool clock_says_so() noexcept;

    std::atomic<std::uint32_t> failures_{0};
    std::atomic<std::uint32_t> stride_{1};  // failures from one look at the clock to the next; more when they are quick
    std::atomic<std::int64_t> looked_ns_{0};
    std::atomic<std::int64_t> read_ns_{0};
};

namespace waiting {

using Clock = std::chrono::steady_clock;

// Turning with the lock held: as long as a peer that is at work takes, and too short for other threads to notice.
inline constexpr std::chrono::microseconds kAttached{20};
// Turning without it, before an adaptive wait sleeps: about what a sleep and its wake-up cost.
inline constexpr std::chrono::microseconds kBeforeSleep{30};

void yield() noexcept;  // the core to whoever wants it

// Turns until `ready` or `until`: whether it was ready. The clock is read once in a while: it costs more than a look;
// a yield may cost a time slice.
template <class Ready>
bool turn(Ready&& ready, Clock::time_point until, bool yields) {
    const int looks = yields ? 4 : 32;
    while (true) {
        for (int i = 0; i < looks; ++i) {
            if (ready()) return true;
            if (yields)
                yield();
            else
                ringbuffer::HardwareMemory::relax();
        }
        if (Clock::now() >= until) return ready();
    }
}

}  // namespace waiting

// Whom a wait waits for when nobody can die.
struct NoPeer {
    bool lost() const { return false; }
    void raise() const {}
};

// Calls `attempt` until it says done or error, or until patience ends: then again.
//   attempt()     does it, or says again; with the lock held. Exact, also about an object that was closed meanwhile.
//   ready()       whether an attempt looks worth while; without the lock, so it only looks, and may be wrong.
//   peer.lost()   after every slice that brought nothing, with the lock held: whether nothing will ever come. What had
//                 come before is still found: after it, one more attempt is made.
//   peer.raise()  sets the exception for that.
template <class Try, class Ready, class Peer>
Attempt wait_for(const Waiting& how, WakePoint& point, const Patience& patience, Try&& attempt, Ready&& ready,
                 Peer&& peer) {
    using waiting::Clock;
    Attempt outcome = attempt();
    if (outcome != Attempt::again || patience.none()) return outcome;
    const bool sleeps = how.sleeps();
    const bool yields = how.strategy == WaitStrategy::yield || how.strategy == WaitStrategy::adaptive;
    // Under the lock of one interpreter a peer moves only once we are out of its way: then sleeping is quickest.
    bool turns = how.strategy != WaitStrategy::block && (!sleeps || how.peer_needs_no_lock());
    const auto began = Clock::now();
    const auto end = began + std::chrono::duration_cast<Clock::duration>(
                                 std::chrono::duration<double>(patience.forever() ? 0 : patience.seconds()));
    if (turns && how.peer_needs_no_lock()) {
        if (waiting::turn(ready, began + waiting::kAttached, false)) outcome = attempt();
        if (outcome != Attempt::again) return outcome;
    }
    while (true) {
        const auto now = Clock::now();
        std::chrono::nanoseconds bound = kLongestSlice;
        if (!patience.forever()) bound = std::min<std::chrono::nanoseconds>(bound, end - now);
        if (bound.count() <= 0) return Attempt::again;
        if (turns) {
            if (sleeps) bound = std::min<std::chrono::nanoseconds>(bound, waiting::kBeforeSleep);
            {
                const WithoutLock unlocked;
                waiting::turn(ready, now + bound, yields);
            }
            outcome = attempt();
        } else {
            const auto ticket = point.prepare();
            outcome = attempt();
            if (outcome == Attempt::again) {
                if (how.sleeps_for_the_first_time()) bound = std::min<std::chrono::nanoseconds>(bound, kFirstSlice);
                {
                    const WithoutLock unlocked;
                    point.wait(ticket, bound, how.shared);
                }
                outcome = attempt();
            }
        }
        if (outcome != Attempt::again) return outcome;
        if (PyErr_CheckSignals() < 0) return Attempt::error;
        if (sleeps && turns) {
            turns = false;  // too early to ask after the peer
            continue;
        }
        if (!peer.lost()) continue;
        outcome = attempt();
        if (outcome == Attempt::again) {
            peer.raise();
            return Attempt::error;
        }
        return outcome;
    }
}

}  // namespace fastmas::bindings
