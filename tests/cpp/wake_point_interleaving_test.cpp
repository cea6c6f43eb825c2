// No wake-up is lost: every interleaving of waiters and notifiers, with every stale value the memory orders allow, on
// the real WakePoint.
#include <array>
#include <iostream>
#include <optional>

#include "check.hpp"
#include "explore.hpp"
#include "ringbuffer/wake_point.hpp"

namespace fastmas::testing {

// Where WakePoint calls the kernel. A futex sleeps only while the word is what the ticket says, and every wake-up
// follows a change of that word: so who sleeps for ever is who still has the word's last value for a ticket. The model
// need not sleep; the tests compare at the end.
void futex_wake_all(const ModelAtom<std::uint32_t>& /*word*/, bool /*shared*/) noexcept {}

}  // namespace fastmas::testing

using fastmas::testing::Execution;
using fastmas::testing::Exploration;
using fastmas::testing::explore;
using fastmas::testing::ModelAtom;
using fastmas::testing::ModelMemory;

namespace {

using Point = fastmas::ringbuffer::WakePoint<ModelMemory>;

void report(const char* name, const Exploration& result) {
    std::cout << name << ": " << result.executions << " executions\n";
    CHECK_EQUAL(result.failure, std::string());
    CHECK(result.complete);
}

// What a waiter does once: a look with plain acquire, as rings look, and the ticket that it would sleep on.
struct Waiter {
    std::optional<Point::Ticket> asleep;
    std::int64_t saw = 0;

    void wait_for(Point& point, ModelAtom<std::int64_t>& ring, std::int64_t wanted) {
        const auto ticket = point.prepare();
        saw = ring.load(std::memory_order_acquire);
        if (saw < wanted) asleep = ticket;
    }
    // After everything: who sleeps with the newest ticket is woken by nobody.
    void check_woken(const Point& point) const {
        if (asleep) CHECK(*asleep != point.epoch());
    }
};

}  // namespace

TEST(a_waiter_sees_the_change_or_is_woken) {
    report("1 waiter, 1 notifier", explore([](Execution& execution) {
               Point point;
               ModelAtom<std::int64_t> ring(0);
               Waiter waiter;
               execution.thread([&] {
                   ring.store(1, std::memory_order_release);
                   point.notify(true);
               });
               execution.thread([&] { waiter.wait_for(point, ring, 1); });
               execution.run();
               waiter.check_woken(point);
           }));
}

TEST(a_waiter_that_waits_twice_misses_nothing) {
    report("1 waiter twice, 2 changes", explore([](Execution& execution) {
               Point point;
               ModelAtom<std::int64_t> ring(0);
               Waiter first;
               Waiter second;
               execution.thread([&] {
                   for (std::int64_t i = 1; i <= 2; ++i) {
                       ring.store(i, std::memory_order_release);
                       point.notify(true);
                   }
               });
               execution.thread([&] {
                   first.wait_for(point, ring, 1);
                   // A futex that found its ticket stale, or was woken, or returned for no reason: it looks again.
                   second.wait_for(point, ring, 2);
               });
               execution.run();
               second.check_woken(point);
           }));
}

TEST(two_waiters_are_both_woken) {
    report("2 waiters, 1 notifier", explore([](Execution& execution) {
               Point point;
               ModelAtom<std::int64_t> ring(0);
               std::array<Waiter, 2> waiters;
               execution.thread([&] {
                   ring.store(1, std::memory_order_release);
                   point.notify(true);
               });
               for (Waiter& waiter : waiters) execution.thread([&] { waiter.wait_for(point, ring, 1); });
               execution.run();
               for (const Waiter& waiter : waiters) waiter.check_woken(point);
           }));
}

// Two producers of one ring: the one that finds the flag cleared by the other leaves the waking to it.
TEST(a_notifier_may_leave_the_waking_to_another) {
    report("1 waiter, 2 notifiers", explore([](Execution& execution) {
               Point point;
               ModelAtom<std::int64_t> ring(0);
               Waiter waiter;
               for (int i = 0; i < 2; ++i)
                   execution.thread([&] {
                       ring.fetch_add(1, std::memory_order_release);
                       point.notify(true);
                   });
               execution.thread([&] { waiter.wait_for(point, ring, 2); });
               execution.run();
               waiter.check_woken(point);
           }));
}

TEST(a_waiter_that_died_costs_one_wake_up_and_no_more) {
    report("1 killed, 1 waiter", explore([](Execution& execution) {
               Point point;
               ModelAtom<std::int64_t> ring(0);
               Waiter waiter;
               execution.thread([&] { (void)point.prepare(); });  // and is killed
               execution.thread([&] { waiter.wait_for(point, ring, 1); });
               execution.thread([&] {
                   ring.store(1, std::memory_order_release);
                   point.notify(true);
               });
               execution.run();
               waiter.check_woken(point);
               // One change wakes once, however many have flagged themselves; the next finds nobody.
               CHECK(point.epoch() <= 1);
               point.notify(true);
               const auto before = point.epoch();
               point.notify(true);
               CHECK_EQUAL(point.epoch(), before);
           }));
}

// The caller's lock, as a word that is handed on: whoever has it finds the flag and the ring as the last holder left
// them.
TEST(under_a_lock_one_load_is_enough) {
    report("under a lock", explore([](Execution& execution) {
               Point point;
               ModelAtom<std::int64_t> lock(0);
               ModelAtom<std::int64_t> ring(0);
               Waiter waiter;
               const auto locked = [&](const auto& body) {
                   std::int64_t free = 0;
                   if (!lock.compare_exchange_strong(free, 1, std::memory_order_acquire, std::memory_order_relaxed))
                       return false;
                   body();
                   lock.store(0, std::memory_order_release);
                   return true;
               };
               bool changed = false;
               execution.thread([&] {
                   changed = locked([&] {
                       ring.store(1, std::memory_order_relaxed);
                       point.notify_under_lock();
                   });
               });
               execution.thread([&] {
                   (void)locked([&] {
                       const auto ticket = point.prepare();
                       waiter.saw = ring.load(std::memory_order_relaxed);
                       if (waiter.saw == 0) waiter.asleep = ticket;
                   });
               });
               execution.run();
               if (changed) waiter.check_woken(point);
           }));
}

TEST_MAIN
