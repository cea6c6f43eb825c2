// A model of C++ memory that runs lock-free code on one thread and tries every interleaving of its atomic operations
// and, for each load, every value that the memory orders allow: also the stale ones, which x86 hides. Use ModelMemory
// where the code under test takes its memory as a parameter.
//
// The model: each atomic has a list of stores in modification order. A thread has a view (per atomic, the oldest store
// it may still read) and a vector clock. A release store carries its thread's view and clock; an acquire load takes
// over those of the store it reads; relaxed ones carry and take nothing. A read-modify-write reads the newest store and
// continues its release sequence. Slots are plain memory: two accesses to a byte that no clock orders, one of them a
// write, are reported as a data race. A thread may be mortal: at each kill point it may then stop for ever, which is an
// alternative to try like any other; its heir starts when it does, knowing all that it did. Not modelled: loads that
// read from the future, and sequential consistency, which is refused (the rings use none).
#pragma once

#include <ucontext.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/prng.hpp"
#include "check.hpp"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace fastmas::testing {

using ThreadId = std::size_t;
using AtomId = std::size_t;
inline constexpr ThreadId kModelThreads = 6;  // 0 is the test itself, before and after the others
inline constexpr AtomId kModelAtoms = 72;     // a broadcast ring has 66
using VectorClock = std::array<std::uint32_t, kModelThreads>;
using View = std::array<std::uint16_t, kModelAtoms>;  // by atom: the oldest store that may still be read

// One choice that an execution made: which of `options` was taken.
struct Choice {
    std::uint32_t taken;
    std::uint32_t options;
};

class Execution {
  public:
    explicit Execution(const std::vector<Choice>& prefix, int preemptions, base::Prng* random)
        : prefix_(prefix), preemptions_left_(preemptions), random_(random) {
        current() = this;
        clocks_[0][0] = 1;
    }
    ~Execution() { current() = nullptr; }
    Execution(const Execution&) = delete;
    Execution& operator=(const Execution&) = delete;

    static Execution*& current() {
        static Execution* execution = nullptr;
        return execution;
    }

    // Bodies of the threads 1, 2, ..; they start when run() is called.
    ThreadId thread(std::function<void()> body) { return add({std::move(body), false, 0}); }
    // One that may stop at any kill point. Its frames are left as they are: they must own nothing.
    ThreadId mortal(std::function<void()> body) { return add({std::move(body), true, 0}); }
    // One that starts if `of` stops, and only then: as a kernel that tells of a death does, it shows the heir all that
    // the dead thread did. `may_stop`: it is mortal itself.
    ThreadId heir(ThreadId of, std::function<void()> body, bool may_stop = false) {
        return add({std::move(body), may_stop, of});
    }

    void run() {
        const ThreadId count = threads_.size();
        for (ThreadId t = 1; t <= count; ++t) {
            clocks_[t] = clocks_[0];
            views_[t] = views_[0];
            clocks_[t][t] = 1;
            if (threads_[t - 1].heir_of == 0) runnable_.insert(t);
            start_fiber(t);
        }
        while (!runnable_.empty()) {
            const ThreadId next = pick(/*running=*/0);
            switch_to(next);
        }
        for (ThreadId t = 1; t <= count; ++t) {
            join(clocks_[0], clocks_[t]);
            join_views(views_[0], views_[t]);
        }
        ++clocks_[0][0];
    }

    void fail(const std::string& text) {
        if (failure_.empty()) failure_ = text;
    }
    const std::string& failure() const { return failure_; }
    const std::vector<Choice>& choices() const { return choices_; }

    // ---- called by the code under test, through ModelAtom and ModelMemory

    struct Store {
        std::int64_t value;
        VectorClock clock;  // what an acquire load of this store learns
        View view;          // likewise
    };

    AtomId new_atom(std::int64_t value) {
        CHECK(atoms_.size() < kModelAtoms);
        atoms_.push_back({Store{value, {}, {}}});
        return atoms_.size() - 1;
    }

    // The atom that stands for a word of a slot: made when the word is first touched, for whoever that is, from what
    // stood there before the run.
    AtomId word(std::uint64_t* at) {
        const auto [found, made] = word_atoms_.try_emplace(at, 0);
        if (made) found->second = new_atom(static_cast<std::int64_t>(*at));
        return found->second;
    }

    std::int64_t load(AtomId atom, std::memory_order order) {
        step();
        auto& stores = atoms_[atom];
        const std::size_t oldest = views_[running_][atom];
        const std::size_t read = stores.size() - 1 - choose(static_cast<std::uint32_t>(stores.size() - oldest));
        views_[running_][atom] = static_cast<std::uint16_t>(read);
        if (acquires(order)) learn(stores[read]);
        return stores[read].value;
    }

    void store(AtomId atom, std::int64_t value, std::memory_order order) {
        step();
        append(atom, value, order, nullptr);
    }

    // `update` says what to write for what was read; false: it stays a load of `failure` order.
    bool modify(AtomId atom, std::int64_t& read, std::memory_order success, std::memory_order failure,
                const std::function<bool(std::int64_t, std::int64_t&)>& update) {
        step();
        const Store newest = atoms_[atom].back();
        read = newest.value;
        views_[running_][atom] = static_cast<std::uint16_t>(atoms_[atom].size() - 1);
        std::int64_t value = 0;
        if (!update(read, value)) {
            if (acquires(failure)) learn(newest);
            return false;
        }
        if (acquires(success)) learn(newest);
        append(atom, value, success, &newest);
        return true;
    }

    // Where a mortal thread may end. The first option is to go on.
    void kill_point() {
        if (running_ == 0 || !threads_[running_ - 1].mortal || choose(2) == 0) return;
        const ThreadId dead = running_;
        fibers_[dead].abandoned = true;
        runnable_.erase(dead);
        for (ThreadId t = 1; t <= threads_.size(); ++t) {
            if (threads_[t - 1].heir_of != dead) continue;
            join(clocks_[t], clocks_[dead]);
            join_views(views_[t], views_[dead]);
            runnable_.insert(t);
        }
        switch_to(0);
    }

    void plain_access(const std::byte* first, std::size_t bytes, bool write) {
        const ThreadId me = running_;
        for (std::size_t i = 0; i < bytes; i += 8) {
            Word& word = words_[first + i];
            const VectorClock& mine = clocks_[running_];
            for (ThreadId t = 0; t < kModelThreads; ++t) {
                if (t == me) continue;
                if (word.written[t] > mine[t])
                    fail(write ? "data race: write after write" : "data race: read after write");
                if (write && word.read[t] > mine[t]) fail("data race: write after read");
            }
            (write ? word.written : word.read)[me] = mine[me];
        }
    }

  private:
    struct Word {
        VectorClock written{};
        VectorClock read{};
    };
    struct Thread {
        std::function<void()> body;
        bool mortal;
        ThreadId heir_of;  // 0: starts with the others
    };
    struct Fiber {
        ucontext_t context;
        std::vector<char> stack;
        bool abandoned;  // its thread stopped for ever in the execution before
#if defined(__SANITIZE_THREAD__)
        void* tsan;  // zeroed, like the rest of fibers_
#endif
    };

    ThreadId add(Thread thread) {
        threads_.push_back(std::move(thread));
        CHECK(threads_.size() < kModelThreads);
        return threads_.size();
    }

    static bool acquires(std::memory_order order) {
        return order == std::memory_order_acquire || order == std::memory_order_acq_rel;
    }
    static bool releases(std::memory_order order) {
        return order == std::memory_order_release || order == std::memory_order_acq_rel;
    }
    static void join(VectorClock& into, const VectorClock& from) {
        for (ThreadId t = 0; t < kModelThreads; ++t) into[t] = std::max(into[t], from[t]);
    }
    static void join_views(View& into, const View& from) {
        for (AtomId atom = 0; atom < kModelAtoms; ++atom) into[atom] = std::max(into[atom], from[atom]);
    }
    void learn(const Store& from) {
        join(clocks_[running_], from.clock);
        join_views(views_[running_], from.view);
    }

    void append(AtomId atom, std::int64_t value, std::memory_order order, const Store* continued) {
        auto& stores = atoms_[atom];
        views_[running_][atom] = static_cast<std::uint16_t>(stores.size());
        Store next{value, {}, {}};
        if (continued != nullptr) {
            next.clock = continued->clock;
            next.view = continued->view;
        }
        if (releases(order)) {
            join(next.clock, clocks_[running_]);
            join_views(next.view, views_[running_]);
        }
        stores.push_back(next);
        // What this thread does from here on is later than what the store released.
        ++clocks_[running_][running_];
    }

    // Before each atomic operation another thread may run.
    void step() {
        if (running_ == 0) return;
        const ThreadId next = pick(running_);
        if (next != running_) switch_to(next);
    }

    ThreadId pick(ThreadId running) {
        std::vector<ThreadId> options(runnable_.begin(), runnable_.end());
        if (running != 0) {
            if (preemptions_left_ == 0) return running;
            // First option: go on. So the prefix of zeros is the run without preemptions.
            std::rotate(options.begin(), std::find(options.begin(), options.end(), running), options.end());
        }
        const ThreadId next = options[choose(static_cast<std::uint32_t>(options.size()))];
        if (running != 0 && next != running && preemptions_left_ > 0) --preemptions_left_;
        return next;
    }

    std::uint32_t choose(std::uint32_t options) {
        if (options <= 1) return 0;
        std::uint32_t taken = 0;
        if (choices_.size() < prefix_.size()) {
            taken = prefix_[choices_.size()].taken;
        } else if (random_ != nullptr) {
            taken = static_cast<std::uint32_t>(random_->below(options));
        }
        choices_.push_back({taken, options});
        return taken;
    }

    // A fiber serves one thread number of all executions: making it anew would be most of an execution's cost, and
    // ThreadSanitizer wants each function that was entered to be left.
    void start_fiber(ThreadId t) {
        auto& fiber = fibers_[t];
        if (!fiber.stack.empty() && !fiber.abandoned) return;
        fiber.stack.resize(std::size_t{256} * 1024);
        if (fiber.abandoned) forget(fiber);
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.data();
        fiber.context.uc_stack.ss_size = fiber.stack.size();
        fiber.context.uc_link = nullptr;
        makecontext(&fiber.context, &Execution::fiber_main, 0);
#if defined(__SANITIZE_THREAD__)
        fiber.tsan = __tsan_create_fiber(0);
        fibers_[0].tsan = __tsan_get_current_fiber();
#endif
    }

    // The stack of a thread that stopped for ever is used again from its start.
    static void forget(Fiber& fiber) {
        fiber.abandoned = false;
#if defined(__SANITIZE_ADDRESS__)
        __asan_unpoison_memory_region(fiber.stack.data(), fiber.stack.size());
#endif
#if defined(__SANITIZE_THREAD__)
        __tsan_destroy_fiber(fiber.tsan);
#endif
    }

    void switch_to(ThreadId next) {
        const ThreadId from = running_;
        running_ = next;
#if defined(__SANITIZE_THREAD__)
        __tsan_switch_to_fiber(fibers_[next].tsan, 0);
#endif
        swapcontext(&fibers_[from].context, &fibers_[next].context);
    }

    static void fiber_main() {
        while (true) serve();
    }

    static void serve() {
        Execution& self = *current();
        const ThreadId me = self.running_;
        try {
            self.threads_[me - 1].body();
        } catch (const Failure& failure) {
            self.fail(failure.text);
        }
        self.runnable_.erase(me);
        self.switch_to(0);
    }

    const std::vector<Choice>& prefix_;
    std::vector<Choice> choices_;
    int preemptions_left_;  // negative: no bound
    base::Prng* random_;
    std::vector<Thread> threads_;
    std::set<ThreadId> runnable_;
    ThreadId running_ = 0;
    std::vector<std::vector<Store>> atoms_;
    std::array<View, kModelThreads> views_{};
    std::array<VectorClock, kModelThreads> clocks_{};
    std::map<const std::byte*, Word> words_;
    std::map<const std::uint64_t*, AtomId> word_atoms_;
    std::string failure_;
    inline static std::array<Fiber, kModelThreads> fibers_{};
};

// The atomics of the model, with the interface of std::atomic as far as rings use it.
template <class T>
class ModelAtom {
  public:
    explicit ModelAtom(T value) : id_(Execution::current()->new_atom(static_cast<std::int64_t>(value))) {}
    ModelAtom(const ModelAtom&) = delete;
    ModelAtom& operator=(const ModelAtom&) = delete;

    T load(std::memory_order order) const { return static_cast<T>(Execution::current()->load(id_, order)); }
    void store(T value, std::memory_order order) {
        Execution::current()->store(id_, static_cast<std::int64_t>(value), order);
    }
    T fetch_add(T delta, std::memory_order order) {
        std::int64_t read = 0;
        Execution::current()->modify(id_, read, order, order, [delta](std::int64_t old, std::int64_t& value) {
            value = old + static_cast<std::int64_t>(delta);
            return true;
        });
        return static_cast<T>(read);
    }
    T exchange(T desired, std::memory_order order) {
        std::int64_t read = 0;
        Execution::current()->modify(id_, read, order, order, [desired](std::int64_t, std::int64_t& value) {
            value = static_cast<std::int64_t>(desired);
            return true;
        });
        return static_cast<T>(read);
    }
    bool compare_exchange_strong(T& expected, T desired, std::memory_order success, std::memory_order failure) {
        std::int64_t read = 0;
        const bool done =
            Execution::current()->modify(id_, read, success, failure, [&](std::int64_t old, std::int64_t& value) {
                value = static_cast<std::int64_t>(desired);
                return old == static_cast<std::int64_t>(expected);
            });
        if (!done) expected = static_cast<T>(read);
        return done;
    }
    bool compare_exchange_weak(T& expected, T desired, std::memory_order success, std::memory_order failure) {
        return compare_exchange_strong(expected, desired, success, failure);
    }

  private:
    AtomId id_;
};

// A word of a slot that is read while it may be written.
class ModelWord {
  public:
    explicit ModelWord(std::uint64_t& at) : id_(Execution::current()->word(&at)) {}

    std::uint64_t load(std::memory_order order) const {
        return static_cast<std::uint64_t>(Execution::current()->load(id_, order));
    }
    void store(std::uint64_t value, std::memory_order order) const {
        Execution::current()->store(id_, static_cast<std::int64_t>(value), order);
    }

  private:
    AtomId id_;
};

struct ModelMemory {
    template <class T>
    using Atom = ModelAtom<T>;
    using AtomicWord = ModelWord;
    static void write(std::byte* slot, const std::byte* from, std::size_t bytes) {
        Execution::current()->plain_access(slot, bytes, true);
        std::memcpy(slot, from, bytes);
    }
    static void read(std::byte* to, const std::byte* slot, std::size_t bytes) {
        Execution::current()->plain_access(slot, bytes, false);
        std::memcpy(to, slot, bytes);
    }
    static void relax() {}
    static void kill_point(const char*) { Execution::current()->kill_point(); }
};

}  // namespace fastmas::testing
