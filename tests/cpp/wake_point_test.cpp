// Sleeping and waking for real: threads, processes, and without a futex. A wake-up that is lost here is slept through
// for an hour; the alarm ends the test first.
#include "ringbuffer/wake_point.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <new>
#include <thread>

#include "check.hpp"
#include "child_process.hpp"

using namespace std::chrono_literals;
using fastmas::ringbuffer::futex_wait;
using fastmas::ringbuffer::HardwareMemory;
using fastmas::ringbuffer::wait_by_polling;
using fastmas::ringbuffer::WakePoint;
using fastmas::testing::exit_code_of;
using fastmas::testing::kRoundsDivisor;
using fastmas::testing::spawn;

namespace {

constexpr unsigned kAlarmSeconds = 40;
constexpr int kRounds = 5000 / kRoundsDivisor;

// A ball that two sides hand to and fro: even, it is the first one's turn.
struct Court {
    WakePoint<HardwareMemory> changed;
    std::atomic<std::int64_t> ball{0};

    void play(std::int64_t side, bool shared) {
        for (int round = 0; round < kRounds; ++round) {
            while (true) {
                const auto ticket = changed.prepare();
                if (ball.load(std::memory_order_acquire) % 2 == side) break;
                changed.wait(ticket, 1h, shared);
            }
            ball.fetch_add(1, std::memory_order_release);
            changed.notify(shared);
        }
    }
};

}  // namespace

TEST(threads_wake_one_another) {
    alarm(kAlarmSeconds);
    Court court;
    std::thread other([&] { court.play(1, false); });
    court.play(0, false);
    other.join();
    CHECK_EQUAL(court.ball.load(), 2 * kRounds);
    alarm(0);
}

TEST(processes_wake_one_another) {
    alarm(kAlarmSeconds);
    void* const memory = mmap(nullptr, sizeof(Court), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    auto& court = *new (memory) Court;
    const pid_t other = spawn([&] {
        alarm(kAlarmSeconds);
        court.play(1, true);
        return 0;
    });
    court.play(0, true);
    CHECK_EQUAL(exit_code_of(other), 0);
    CHECK_EQUAL(court.ball.load(), 2 * kRounds);
    munmap(memory, sizeof(Court));
    alarm(0);
}

TEST(a_stale_ticket_and_a_bound_that_is_over_do_not_sleep) {
    alarm(kAlarmSeconds);
    std::atomic<std::uint32_t> word{7};
    futex_wait(word, 6, 1h, true);
    wait_by_polling(word, 6, 1h);
    for (const auto bound : {-1ns, 0ns, 1ns, std::chrono::nanoseconds(2ms)}) {
        futex_wait(word, 7, bound, false);
        wait_by_polling(word, 7, bound);
    }
    alarm(0);
}

TEST(a_wake_up_between_the_look_and_the_sleep_is_not_slept_through) {
    alarm(kAlarmSeconds);
    for (const bool shared : {false, true}) {
        WakePoint<HardwareMemory> point;
        const auto ticket = point.prepare();
        point.notify(shared);
        point.wait(ticket, 1h, shared);
        const auto second = point.prepare();
        point.notify_under_lock();
        point.wait(second, 1h, shared);
        CHECK_EQUAL(point.epoch(), 2U);
    }
    alarm(0);
}

TEST(polling_sees_a_change_that_nobody_tells_it_of) {
    alarm(kAlarmSeconds);
    std::atomic<std::uint32_t> word{0};
    std::thread other([&] {
        for (std::uint32_t turn = 1; turn < 200; turn += 2) {
            wait_by_polling(word, turn - 1, 1h);
            word.store(turn + 1, std::memory_order_release);
        }
    });
    for (std::uint32_t turn = 0; turn < 200; turn += 2) {
        word.store(turn + 1, std::memory_order_release);
        wait_by_polling(word, turn + 1, 1h);
    }
    other.join();
    CHECK_EQUAL(word.load(), 200U);
    alarm(0);
}

TEST_MAIN
