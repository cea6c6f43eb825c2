// Shared rings between real processes: who is alive, who is dead, and the races of create, attach, close, clean and
// unlink.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "base/prng.hpp"
#include "check.hpp"
#include "child_process.hpp"
#include "ring_directory.hpp"
#include "ringbuffer/segment.hpp"
#include "ringbuffer/segment_file.hpp"

using fastmas::base::Prng;
using namespace fastmas::ringbuffer;
using fastmas::testing::exit_code_of;
using fastmas::testing::files_in;
using fastmas::testing::kill_and_wait;
using fastmas::testing::kRoundsDivisor;
using fastmas::testing::RingDirectory;
using fastmas::testing::spawn;
using fastmas::testing::spec_of;
using fastmas::testing::Turn;
using fastmas::testing::wait_until_stopped;

namespace {

constexpr Role kProducer = Role::producer(0);
constexpr Role kConsumer = Role::consumer(0);

std::shared_ptr<Segment> make(const std::string& name) {
    return Segment::create(name, spec_of(64), [](std::byte*) {});
}

std::shared_ptr<Segment> attach(const std::string& name) {
    return Segment::attach(name, RingKind::spsc);
}

// Processes that hold a role of this ring right now, as they say themselves.
std::atomic<std::int64_t>& inside(const Segment& segment) {
    return *reinterpret_cast<std::atomic<std::int64_t>*>(segment.body());
}

}  // namespace

TEST(a_killed_holder_is_dead_and_its_role_free_though_a_forked_child_lives) {
    const RingDirectory directory;
    Turn ready;
    Turn never;
    Turn alive;
    const pid_t holder = spawn([&] {
        const auto segment = make("/feed");
        segment->take(kProducer);
        // It has the mapping and inherits every descriptor; it ends when the test lets go of the pipe.
        if (fork() == 0) {
            alive.now();
            never.await_end();
            _exit(0);
        }
        alive.await();
        ready.now();
        never.await();
        return 0;
    });
    ready.await();
    const auto mine = attach("/feed");
    CHECK(mine->state_of(kProducer) == RoleState::alive);
    CHECK_EQUAL(mine->pid_of(kProducer), static_cast<std::int32_t>(holder));
    CHECK_THROWS(mine->take(kProducer), SegmentBusy,
                 "producer 0 of ring '/feed' is held by process " + std::to_string(holder) + "; a role has one holder");
    CHECK_EQUAL(kill(holder, SIGKILL), 0);
    // The kernel gives the lock back while the process ends, before its parent can know that it has ended.
    siginfo_t ended{};
    while (mine->state_of(kProducer) == RoleState::alive && ended.si_pid == 0)
        CHECK_EQUAL(waitid(P_PID, static_cast<id_t>(holder), &ended, WEXITED | WNOHANG | WNOWAIT), 0);
    CHECK(mine->state_of(kProducer) == RoleState::dead);
    CHECK_EQUAL(Segment::list().at(0).holders.at(0).pid, static_cast<std::int32_t>(holder));
    CHECK(Segment::list().at(0).holders.at(0).state == RoleState::dead);
    CHECK(mine->take(kProducer) == RoleState::dead);
    CHECK_EQUAL(exit_code_of(holder), 128 + SIGKILL);
}

TEST(a_stopped_holder_is_alive) {
    const RingDirectory directory;
    Turn ready;
    Turn go_on;
    const auto mine = make("/feed");
    const pid_t holder = spawn([&] {
        const auto segment = attach("/feed");
        segment->take(kConsumer);
        ready.now();
        go_on.await();
        segment->leave(kConsumer);
        ready.now();
        go_on.await();
        return 0;
    });
    ready.await();
    CHECK_EQUAL(kill(holder, SIGSTOP), 0);
    wait_until_stopped(holder);
    for (int i = 0; i < 1000; ++i) CHECK(mine->state_of(kConsumer) == RoleState::alive);
    CHECK_THROWS(mine->take(kConsumer), SegmentBusy, "is held by process " + std::to_string(holder));
    CHECK_EQUAL(kill(holder, SIGCONT), 0);
    go_on.now();
    ready.await();
    CHECK(mine->state_of(kConsumer) == RoleState::left);
    CHECK(mine->take(kConsumer) == RoleState::left);
    go_on.now();
    CHECK_EQUAL(exit_code_of(holder), 0);
}

TEST(what_the_dead_left_is_attached_to_or_replaced) {
    const RingDirectory directory;
    for (const bool again : {true, false}) {
        const pid_t holder = spawn([] {
            const auto segment = make("/feed");
            segment->take(kProducer);
            segment->take_any(Side::consumer, "risk", nullptr);
            inside(*segment).store(77);
            raise(SIGKILL);
            return 1;
        });
        CHECK_EQUAL(exit_code_of(holder), 128 + SIGKILL);
        CHECK_EQUAL(files_in(directory.path()), std::string("fastmas.feed"));
        const auto listed = Segment::list();
        CHECK_EQUAL(listed.at(0).state, std::string("stale"));
        CHECK(listed.at(0).holders.at(1).state == RoleState::dead);
        if (again) {
            const auto segment = attach("/feed");
            CHECK_EQUAL(inside(*segment).load(), 77);
            int recovered = 0;
            const auto recover = [&] { ++recovered; };
            CHECK(segment->with_dead(kProducer, recover));
            CHECK(segment->state_of(kProducer) == RoleState::dead);  // still: nobody has taken its place
            CHECK(!segment->with_dead(Role::producer(1), recover));  // nobody was ever there
            CHECK(!segment->with_dead(Role{-1}, recover));
            CHECK(segment->take(kProducer) == RoleState::dead);
            CHECK(!segment->with_dead(kProducer, recover));  // alive
            segment->leave(kProducer);
            CHECK(!segment->with_dead(kProducer, recover));  // it left
            CHECK_EQUAL(recovered, 1);
            // The name's place, not the first that is free; for others it is taken until the name comes back.
            RoleState before{};
            CHECK(segment->take_any(Side::consumer, "audit", &before) == Role::consumer(1));
            CHECK(segment->take_any(Side::consumer, "risk", &before) == Role::consumer(0));
            CHECK(before == RoleState::dead);
        } else {
            const auto segment = make("/feed");
            CHECK_EQUAL(inside(*segment).load(), 0);
            CHECK(segment->state_of(kProducer) == RoleState::absent);
        }
        CHECK_EQUAL(files_in(directory.path()), std::string());
    }
}

TEST(who_only_looks_at_what_the_dead_left_leaves_it_there) {
    const RingDirectory directory;
    CHECK_EQUAL(exit_code_of(spawn([] {
                    const auto segment = make("/feed");
                    segment->take(kProducer);
                    raise(SIGKILL);
                    return 1;
                })),
                128 + SIGKILL);
    for (int i = 0; i < 2; ++i) attach("/feed")->close();  // say, to find that the dtype is another
    CHECK_EQUAL(files_in(directory.path()), std::string("fastmas.feed"));
    const auto observer = attach("/feed");
    CHECK_EQUAL(exit_code_of(spawn([&] {
                    attach("/feed")->take(kProducer);
                    return 0;
                })),
                0);
    CHECK(observer->state_of(kProducer) == RoleState::left);
    observer->close();  // nobody is dead any more
    CHECK_EQUAL(files_in(directory.path()), std::string());
}

TEST(a_ring_of_which_nobody_lives_is_cleaned_and_no_other) {
    const RingDirectory directory;
    const auto mine = make("/mine");
    for (int i = 0; i < 3; ++i)
        kill_and_wait(spawn([&] {
            const auto segment = make("/dead." + std::to_string(i));
            raise(SIGSTOP);  // the parent's SIGKILL comes now or before: either way nothing was closed
            return 1;
        }));
    Turn ready;
    Turn done;
    const pid_t other = spawn([&] {
        const auto segment = make("/others");
        ready.now();
        done.await();
        raise(SIGKILL);
        return 1;
    });
    ready.await();
    (void)Segment::clean();
    CHECK_EQUAL(files_in(directory.path()), std::string("fastmas.mine fastmas.others"));
    CHECK_EQUAL(Segment::clean().size(), 0U);
    done.now();
    CHECK_EQUAL(exit_code_of(other), 128 + SIGKILL);
    CHECK_EQUAL(Segment::clean().size(), 1U);
    CHECK_EQUAL(files_in(directory.path()), std::string("fastmas.mine"));
}

TEST(a_forked_child_has_nothing_of_its_parents_and_may_attach_itself) {
    const RingDirectory directory;
    auto segment = make("/feed");
    segment->take(kProducer);
    Turn ready;
    Turn done;
    const pid_t child = spawn([&] {
        CHECK(!segment->usable());
        const std::string text =
            "ring '/feed' was attached before a fork and belongs to the parent; attach to it again";
        CHECK_THROWS(segment->take(kConsumer), SegmentError, text);
        CHECK_THROWS(segment->take_any(Side::consumer, "", nullptr), SegmentError, text);
        segment->leave(kProducer);
        CHECK(!segment->forget(kProducer));
        const auto own = attach("/feed");
        CHECK(own->usable());
        CHECK_THROWS(own->take(kProducer), SegmentBusy, "is held by process " + std::to_string(getppid()));
        CHECK(own->take(kConsumer) == RoleState::absent);
        segment.reset();  // the inherited one goes: neither the parent's role nor our own with it
        CHECK(own->state_of(kProducer) == RoleState::alive);
        ready.now();
        done.await();
        own->close();
        return 0;
    });
    ready.await();
    CHECK(segment->state_of(kProducer) == RoleState::alive);
    CHECK(segment->state_of(kConsumer) == RoleState::alive);
    CHECK_EQUAL(segment->pid_of(kConsumer), static_cast<std::int32_t>(child));
    done.now();
    CHECK_EQUAL(exit_code_of(child), 0);
    CHECK(segment->state_of(kConsumer) == RoleState::left);
    CHECK_EQUAL(files_in(directory.path()), std::string("fastmas.feed"));
    segment.reset();
    CHECK_EQUAL(files_in(directory.path()), std::string());
}

TEST(a_program_that_is_replaced_by_exec_is_dead) {
    const RingDirectory directory;
    const auto mine = make("/feed");
    Turn input;
    int closes_at_exec[2];
    CHECK_EQUAL(pipe2(closes_at_exec, O_CLOEXEC), 0);
    const pid_t child = spawn([&] {
        const auto segment = attach("/feed");
        segment->take(kConsumer);
        dup2(input.reading_end(), 0);
        input.become_listener();
        execl("/bin/cat", "cat", static_cast<char*>(nullptr));
        return 1;
    });
    close(closes_at_exec[1]);
    char byte = 0;
    CHECK_EQUAL(read(closes_at_exec[0], &byte, 1), 0);
    close(closes_at_exec[0]);
    CHECK_EQUAL(kill(child, 0), 0);
    CHECK(mine->state_of(kConsumer) == RoleState::dead);
    kill_and_wait(child);
}

TEST(exit_removes_the_name_and_what_was_not_closed_counts_as_dead) {
    const RingDirectory directory;
    const pid_t alone = spawn([]() -> int {
        auto& segment = *new std::shared_ptr<Segment>(make("/feed"));  // no destructor closes it
        segment->take(kProducer);
        exit(0);
    });
    CHECK_EQUAL(exit_code_of(alone), 0);
    CHECK_EQUAL(files_in(directory.path()), std::string());

    const auto mine = make("/feed");
    const pid_t second = spawn([]() -> int {
        auto& segment = *new std::shared_ptr<Segment>(attach("/feed"));
        segment->take(kProducer);
        exit(0);
    });
    CHECK_EQUAL(exit_code_of(second), 0);
    CHECK(mine->state_of(kProducer) == RoleState::dead);
    CHECK_EQUAL(files_in(directory.path()), std::string("fastmas.feed"));
}

namespace {

// A process of the races: opens the ring as it can, works in a role if it gets one, goes.
int race(std::uint64_t seed, int roles_to_take, bool unlinks) {
    Prng random(seed);
    const std::string path = path_of("/race");
    std::shared_ptr<Segment> segment;
    for (int taken = 0; taken < roles_to_take;) {
        try {
            segment = random.below(2) == 0 ? make("/race") : attach("/race");
        } catch (const SegmentGone&) {
            continue;
        } catch (const SegmentBusy&) {
            sched_yield();
            continue;
        }
        // While somebody has it, its name means it: nobody may have removed it or put another in its place.
        if (!unlinks) {
            struct stat status {};
            CHECK_EQUAL(stat(path.c_str(), &status), 0);
            CHECK_EQUAL(reinterpret_cast<const RegionHeader*>(&segment->header())->magic, RegionHeader::kMagic);
            const auto again = attach("/race");
            CHECK(&again->header() == &segment->header());
        }
        try {
            segment->take(kProducer);
            ++taken;
            CHECK_EQUAL(inside(*segment).fetch_add(1), 0);
            CHECK(segment->state_of(kProducer) == RoleState::alive);
            if (random.below(4) == 0) sched_yield();
            CHECK_EQUAL(inside(*segment).fetch_sub(1), 1);
            if (random.below(2) == 0) segment->leave(kProducer);
            // One name is one place, also for those who ask at once.
            CHECK(segment->take_any(Side::consumer, "risk", nullptr) == kConsumer);
        } catch (const SegmentBusy&) {
            const RoleState state = segment->state_of(kProducer);
            CHECK(state == RoleState::alive || state == RoleState::left);
        }
        if (random.below(8) == 0) (void)Segment::clean();
        if (random.below(8) == 0) (void)Segment::list();
        if (unlinks && random.below(8) == 0) (void)Segment::unlink("/race");
        segment.reset();
        if (random.below(8) == 0) (void)Segment::clean();
    }
    return 0;
}

void run_races(bool unlinks) {
    const RingDirectory directory;
    constexpr int kProcesses = 5;
    std::vector<pid_t> children;
    for (std::uint64_t i = 0; i < kProcesses; ++i)
        children.push_back(spawn([&] { return race(i + 1, 1000 / kRoundsDivisor, unlinks); }));
    for (const pid_t child : children) CHECK_EQUAL(exit_code_of(child), 0);
    CHECK_EQUAL(files_in(directory.path()), std::string());
}

}  // namespace

TEST(racing_processes_never_hold_a_role_twice_nor_lose_a_ring) {
    run_races(false);
}

TEST(racing_processes_that_also_unlink_leave_nothing) {
    run_races(true);
}

TEST(racing_processes_that_are_killed_anywhere_leave_what_clean_removes) {
    const RingDirectory directory;
    Prng random(7);
    for (int round = 0; round < 150 / kRoundsDivisor; ++round) {
        std::vector<pid_t> children;
        for (std::uint64_t i = 0; i < 3; ++i)
            children.push_back(
                spawn([&] { return race(100 * static_cast<std::uint64_t>(round) + i, 1 << 30, false); }));
        // They die wherever they are; what stood in their way then must not stand there for the next.
        for (std::uint64_t i = random.below(300); i > 0; --i) sched_yield();
        for (const pid_t child : children) CHECK_EQUAL(kill(child, SIGKILL), 0);
        for (const pid_t child : children) CHECK_EQUAL(exit_code_of(child), 128 + SIGKILL);
        const auto segment = make("/race");
        CHECK(segment->take(kProducer) == RoleState::absent);
    }
    CHECK_EQUAL(files_in(directory.path()), std::string());
}

TEST_MAIN
