// What keeps the life of a ring's objects consistent where the interpreter has no lock that does.
#pragma once

#include <Python.h>

#ifdef Py_GIL_DISABLED
#include <atomic>
#include <thread>
#endif

namespace fastmas::bindings {

// Held while an end opens, closes, lends or joins; never by a push or a pop. With the interpreter's lock it is nothing.
// Who holds it may take it again: closing a ring closes its subscribers. Who has to wait for it is detached from the
// interpreter meanwhile, which CPython's own mutex sees to, so that its holder may run Python code: allocations that
// collect, finalisers.
class LifeLock {
  public:
    LifeLock() = default;
    LifeLock(const LifeLock&) = delete;
    LifeLock& operator=(const LifeLock&) = delete;

#ifdef Py_GIL_DISABLED
    void lock() noexcept {
        // [R6 relaxed] only this thread ever stores its own id, so it reads it only where it did
        if (holder_.load(std::memory_order_relaxed) != std::this_thread::get_id()) {
            PyMutex_Lock(&mutex_);
            holder_.store(std::this_thread::get_id(),
                          std::memory_order_relaxed);  // [R6 relaxed] only this thread looks for this id
        }
        ++depth_;
    }
    void unlock() noexcept {
        if (--depth_ != 0) return;
        holder_.store(std::thread::id(), std::memory_order_relaxed);  // [R6 relaxed] only this thread looked for its id
        PyMutex_Unlock(&mutex_);
    }

  private:
    PyMutex mutex_{};
    std::atomic<std::thread::id> holder_{};
    int depth_ = 0;
#else
    void lock() noexcept {}
    void unlock() noexcept {}
#endif
};

// For a scope.
class [[nodiscard]] LifeGuard {
  public:
    explicit LifeGuard(LifeLock& lock) noexcept : lock_(lock) { lock_.lock(); }
    LifeGuard(const LifeGuard&) = delete;
    LifeGuard& operator=(const LifeGuard&) = delete;
    ~LifeGuard() { lock_.unlock(); }

  private:
    LifeLock& lock_;
};

}  // namespace fastmas::bindings
