// Threads of one process that create, attach, take, ask, close, list and clean the same rings at once: what
// ThreadSanitizer is for. Record locks do not tell threads apart, so the table has to.
#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "base/prng.hpp"
#include "check.hpp"
#include "child_process.hpp"
#include "ring_directory.hpp"
#include "ringbuffer/segment.hpp"

using fastmas::base::Prng;
using namespace fastmas::ringbuffer;
using fastmas::testing::exit_code_of;
using fastmas::testing::files_in;
using fastmas::testing::kRoundsDivisor;
using fastmas::testing::RingDirectory;
using fastmas::testing::spawn;
using fastmas::testing::spec_of;

namespace {

constexpr Role kProducer = Role::producer(0);
constexpr int kThreads = 4;

std::shared_ptr<Segment> open_any(Prng& random, const std::string& name) {
    try {
        if (random.below(2) == 0) return Segment::create(name, spec_of(64), [](std::byte*) {});
        return Segment::attach(name, RingKind::spsc);
    } catch (const SegmentBusy&) {
        return nullptr;
    } catch (const SegmentGone&) {
        return nullptr;
    }
}

}  // namespace

TEST(threads_of_one_process_never_hold_a_role_twice) {
    const RingDirectory directory;
    std::array<std::atomic<int>, 2> inside{};
    std::atomic<int> twice{0};
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (std::uint64_t t = 0; t < kThreads; ++t)
        threads.emplace_back([&, t] {
            Prng random(t + 1);
            for (int taken = 0; taken < 2000 / kRoundsDivisor;) {
                const std::size_t which = random.below(2);
                const auto segment = open_any(random, which == 0 ? "/a" : "/b");
                if (random.below(16) == 0) (void)Segment::clean();
                if (random.below(16) == 0) (void)Segment::list();
                if (segment == nullptr) {
                    std::this_thread::yield();
                    continue;
                }
                // Nobody dies here; a role that is being taken or left must not look as if.
                if (segment->state_of(kProducer) == RoleState::dead) ++wrong;
                try {
                    segment->take(kProducer);
                } catch (const SegmentBusy&) {
                    continue;
                }
                ++taken;
                if (inside[which].fetch_add(1) != 0) ++twice;
                if (segment->state_of(kProducer) != RoleState::alive) ++wrong;
                inside[which].fetch_sub(1);
                if (random.below(2) == 0) segment->leave(kProducer);
            }
        });
    for (std::thread& thread : threads) thread.join();
    CHECK_EQUAL(twice.load(), 0);
    CHECK_EQUAL(wrong.load(), 0);
    CHECK_EQUAL(files_in(directory.path()), std::string());
}

TEST(several_that_close_one_segment_close_it_once) {
    const RingDirectory directory;
    for (int round = 0; round < 200 / kRoundsDivisor; ++round) {
        const auto segment = Segment::create("/a", spec_of(64), [](std::byte*) {});
        const auto keeper = Segment::attach("/a", RingKind::spsc);
        segment->take(kProducer);
        std::vector<std::thread> threads;
        for (int t = 0; t < kThreads; ++t) threads.emplace_back([&] { segment->close(); });
        for (std::thread& thread : threads) thread.join();
        CHECK(keeper->usable());
        CHECK(keeper->state_of(kProducer) == RoleState::left);
    }
    CHECK_EQUAL(files_in(directory.path()), std::string());
}

#if !defined(__SANITIZE_THREAD__)  // which does not follow a fork() of several threads
TEST(a_fork_while_threads_work_leaves_the_child_able_to_attach) {
    const RingDirectory directory;
    const auto keeper = Segment::create("/keep", spec_of(64), [](std::byte*) {});
    keeper->take(kProducer);
    std::atomic<bool> over{false};
    std::vector<std::thread> threads;
    for (std::uint64_t t = 0; t < 2; ++t)
        threads.emplace_back([&, t] {
            Prng random(t);
            while (!over) {
                const auto segment = open_any(random, "/a");
                if (segment != nullptr) (void)segment->state_of(kProducer);
            }
        });
    for (int round = 0; round < 50; ++round)
        CHECK_EQUAL(exit_code_of(spawn([&] {
                        const auto own = Segment::attach("/keep", RingKind::spsc);
                        CHECK(own->state_of(kProducer) == RoleState::alive);
                        CHECK(own->take(Role::consumer(0)) != RoleState::alive);
                        own->close();
                        return 0;
                    })),
                    0);
    over = true;
    for (std::thread& thread : threads) thread.join();
    CHECK(keeper->state_of(Role::consumer(0)) == RoleState::left);
}
#endif

TEST_MAIN
