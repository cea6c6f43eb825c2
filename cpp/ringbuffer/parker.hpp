// Sleeping until a ring has changed, without losing the wake-up between the last look and the sleep.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace fastmas::ringbuffer {

// One for each thing that is waited for ("there is a record", "there is room"). The waiter:
//     const auto ticket = parker.prepare();
//     if (look again, and find it) parker.cancel(); else parker.wait(ticket, bound);
// The notifier changes the ring, then calls notify(), which costs one load while nobody waits.
// prepare(), cancel() and notify() are called under one lock of the caller (in the bindings: the interpreter's), which
// orders the waiter's second look against the notifier's change: so no wake-up is lost, and the ring needs no full
// fence on every push. wait() is called without that lock. Every wait is bounded; it may return early.
class Parker {
  public:
    using Ticket = std::uint64_t;

    Ticket prepare() {
        const std::lock_guard lock(mutex_);
        ++waiters_;
        return round_;
    }

    void cancel() noexcept { --waiters_; }

    void wait(Ticket ticket, std::chrono::nanoseconds bound) {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, bound, [&] { return round_ != ticket; });
    }

    // After wait() returned, under the caller's lock again.
    void finish() noexcept { --waiters_; }

    void notify() {
        if (waiters_ == 0) [[likely]]
            return;
        {
            const std::lock_guard lock(mutex_);
            ++round_;
        }
        changed_.notify_all();
    }

    std::int64_t waiters() const noexcept { return waiters_; }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    Ticket round_ = 0;          // guarded by mutex_
    std::int64_t waiters_ = 0;  // guarded by the caller's lock
};

}  // namespace fastmas::ringbuffer
