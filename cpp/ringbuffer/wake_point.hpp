// Where a thread sleeps until a ring has changed, in this process or another, without losing the wake-up between its
// last look and its sleep.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "ringbuffer/sequence.hpp"

namespace fastmas::ringbuffer {

// Sleep while `word` is `expected`, at most `bound`; may return early. `shared` when other processes wake it.
void futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected, std::chrono::nanoseconds bound,
                bool shared) noexcept;
void futex_wake_all(const std::atomic<std::uint32_t>& word, bool shared) noexcept;

// What futex_wait() is where the kernel has no wait on a word that other processes wake: looks at it, ever more seldom,
// at least each millisecond. Nobody has to wake it.
void wait_by_polling(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                     std::chrono::nanoseconds bound) noexcept;

// One for each thing that is waited for ("there is a record", "there is room"). The waiter:
//     const auto ticket = point.prepare();
//     if (look again, and find it) go on;  else point.wait(ticket, bound, shared), and look again
// The notifier changes the ring, then calls notify(). A waiter that is killed leaves at most one wake-up too many.
template <class Memory>
class WakePoint {
  public:
    using Ticket = std::uint32_t;

    Ticket prepare() noexcept {
        // [W2 relaxed] [W1] orders it: a wake-up that our flag causes comes after it, so the ticket is stale then.
        const Ticket ticket = epoch_.load(std::memory_order_relaxed);
        // [W1 acq_rel] pairs with [W1 acq_rel] in notify(): read-modify-writes of one word have one order, so either
        // the notifier sees the flag, or our next look at the ring sees the notifier's change.
        flag_.exchange(1, std::memory_order_acq_rel);
        return ticket;
    }

    void wait(Ticket ticket, std::chrono::nanoseconds bound, bool shared) noexcept {
        futex_wait(epoch_, ticket, bound, shared);
    }

    // After every change that somebody may be waiting for. One read-modify-write while nobody waits, no system call.
    void notify(bool shared) noexcept {
        // [W1 acq_rel] pairs with [W1 acq_rel] in prepare(): see there.
        if (flag_.exchange(0, std::memory_order_acq_rel) == 0) [[likely]]
            return;
        wake(shared);
    }

    // The same where the caller's lock (in the bindings of one process: the interpreter's) already orders every
    // prepare() and the look that follows it against the change and this call: one load while nobody waits.
    void notify_under_lock() noexcept {
        if (nobody_waits_under_lock()) [[likely]]
            return;
        flag_.store(0, std::memory_order_relaxed);  // [W3 relaxed] the lock orders it
        wake(false);
    }

    // Whether notify_under_lock() has nothing to do.
    bool nobody_waits_under_lock() const noexcept {
        return flag_.load(std::memory_order_relaxed) == 0;  // [W3 relaxed] the lock orders it
    }

    Ticket epoch() const noexcept {
        return epoch_.load(std::memory_order_relaxed);  // [W4 relaxed] for tests and counters
    }

  private:
    template <class T>
    using Atom = typename Memory::template Atom<T>;

    void wake(bool shared) noexcept {
        // [W2 relaxed] the sleeper looks at the ring again, which has orders of its own
        epoch_.fetch_add(1, std::memory_order_relaxed);
        futex_wake_all(epoch_, shared);
    }

    Atom<std::uint32_t> flag_{0};   // somebody sleeps or is about to
    Atom<std::uint32_t> epoch_{0};  // counts wake-ups; what is slept on
};

}  // namespace fastmas::ringbuffer
