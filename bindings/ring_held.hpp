// Records that a consumer has taken, for its next call to give, because there was no memory for an object of their
// bytes.
#pragma once

#include <Python.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <new>

namespace fastmas::bindings {

// Used with the interpreter's lock held, or under a lock of its own where there is none; any() by anyone.
class HeldRecords {
  public:
    // Where a record is copied to when it is taken: had before, so that holding it cannot fail.
    struct Place {
        Place* next = nullptr;
        std::byte* bytes() noexcept { return reinterpret_cast<std::byte*>(this + 1); }
    };
    struct Free {
        void operator()(Place* place) const noexcept { ::operator delete(place); }
    };
    using Owned = std::unique_ptr<Place, Free>;

    explicit HeldRecords(std::size_t record_bytes) noexcept : record_bytes_(record_bytes) {}
    HeldRecords(const HeldRecords&) = delete;
    HeldRecords& operator=(const HeldRecords&) = delete;
    ~HeldRecords() {
        while (oldest()) {
        }
    }

    // To a thread that waits without the interpreter's lock.
    bool any() const noexcept {
        return first_.load(std::memory_order_relaxed) != nullptr;  // [R5 relaxed] a hint: who acts on it looks again
    }

    // The record held longest, which is held no more; nullptr when there is none.
    Owned oldest() noexcept {
        if (!any()) return nullptr;
        const Guard guard(mutex_);
        Place* const place = first_.load(std::memory_order_relaxed);  // [R5 relaxed] whoever holds the guard is alone
        if (place != nullptr)
            first_.store(place->next, std::memory_order_relaxed);  // [R5 relaxed] whoever holds the guard is alone
        return Owned(place);
    }

    // Room for one record; nullptr when memory has run out.
    Owned place() noexcept {
        {
            const Guard guard(mutex_);
            if (spare_) return std::move(spare_);
        }
        void* const memory = ::operator new(sizeof(Place) + record_bytes_, std::nothrow);
        return Owned(memory == nullptr ? nullptr : new (memory) Place);
    }
    void give_back(Owned place) noexcept {
        const Guard guard(mutex_);
        if (!spare_) spare_ = std::move(place);
    }

    // Holds a record: before all others, if it had been held before, else after them.
    void hold(Owned place, bool again) noexcept {
        const Guard guard(mutex_);
        Place* const first = first_.load(std::memory_order_relaxed);  // [R5 relaxed] whoever holds the guard is alone
        if (again || first == nullptr) {
            place->next = first;
            first_.store(place.release(), std::memory_order_relaxed);  // [R5 relaxed] whoever holds the guard is alone
            return;
        }
        Place* last = first;
        while (last->next != nullptr) last = last->next;
        place->next = nullptr;
        last->next = place.release();
    }

  private:
#ifdef Py_GIL_DISABLED
    using Mutex = std::mutex;
    using Guard = std::lock_guard<std::mutex>;
#else
    struct Mutex {};
    struct Guard {
        explicit Guard(Mutex&) noexcept {}
    };
#endif

    const std::size_t record_bytes_;
    [[no_unique_address]] Mutex mutex_;
    std::atomic<Place*> first_{nullptr};
    Owned spare_;
};

}  // namespace fastmas::bindings
