// kill -9 (and SIGSTOP) at every step of create, attach, take, leave and close of a shared ring: what is left stands in
// nobody's way. Linked with the library that has the kill points.
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <memory>
#include <set>
#include <string>

#include "check.hpp"
#include "child_process.hpp"
#include "ring_directory.hpp"
#include "ringbuffer/file_lock.hpp"
#include "ringbuffer/kill_point.hpp"
#include "ringbuffer/segment.hpp"
#include "ringbuffer/segment_file.hpp"

using namespace fastmas::ringbuffer;
using fastmas::testing::exit_code_of;
using fastmas::testing::files_in;
using fastmas::testing::RingDirectory;
using fastmas::testing::spawn;
using fastmas::testing::spec_of;
using fastmas::testing::Turn;
using fastmas::testing::wait_until_stopped;

namespace {

constexpr Role kProducer = Role::producer(0);

std::shared_ptr<Segment> make() {
    return Segment::create("/feed", spec_of(64), [](std::byte* body) { body[100] = std::byte{42}; });
}

std::shared_ptr<Segment> attach() {
    return Segment::attach("/feed", RingKind::spsc);
}

// In a child: the signal comes at the step-th kill point that it passes.
int steps_left = 0;
int signal_at_step = 0;
void die_at_step(const char* /*step*/) {
    if (--steps_left == 0) raise(signal_at_step);
}

pid_t spawn_and_signal(int step, int signal, const std::function<void()>& body) {
    return spawn([&] {
        steps_left = step;
        signal_at_step = signal;
        kill_point_hook = die_at_step;
        body();
        return 0;
    });
}

// Kills `body` at its first step, its second, ..., until it lives; `check` looks at what is left each time.
void kill_at_every_step(const char* what, int fewest, const std::function<void()>& body,
                        const std::function<void()>& check) {
    int step = 1;
    for (;; ++step) {
        const int code = exit_code_of(spawn_and_signal(step, SIGKILL, body));
        check();
        if (code == 0) break;
        CHECK_EQUAL(code, 128 + SIGKILL);
    }
    std::cout << what << ": killed at " << step - 1 << " steps\n";
    CHECK(step > fewest);
}

// A life of a ring from end to end, as one process has it.
void whole_life() {
    const auto segment = make();
    segment->take(kProducer);
    segment->take_any(Side::consumer, "risk", nullptr);
    segment->leave(kProducer);
    segment->take(kProducer);
    const auto observer = attach();
    segment->close();
}

// Besides the ring's, a draft's name may be left where files must have one from the start; clean() removes it.
bool only_ring_or_nothing(const std::string& files) {
    if (!plain_system) return files.empty() || files == "fastmas.feed";
    return files.find("fastmas.", files.find("fastmas.") + 1) == std::string::npos;
}

// On this system, and as on one without nameless files.
void on_both_systems(const std::function<void()>& body) {
    body();
    plain_system = true;
    body();
    plain_system = false;
}

}  // namespace

TEST(killed_alone_it_leaves_a_complete_ring_or_none) {
    on_both_systems([] {
        const RingDirectory directory;
        int step = 0;
        kill_at_every_step("life of a ring, alone", 20, whole_life, [&] {
            CHECK(only_ring_or_nothing(files_in(directory.path())));
            for (const SegmentInfo& info : Segment::list()) {
                CHECK(info.state == "stale" || (plain_system && info.name != "/feed" && info.state == "unfinished"));
                for (const auto& holder : info.holders) CHECK(holder.state != RoleState::alive);
            }
            // The next one attaches, replaces or cleans, in turn.
            ++step;
            if (step % 3 == 0) {
                (void)Segment::clean();
            } else if (step % 3 == 1) {
                const auto segment = make();
                CHECK(segment->take(kProducer) == RoleState::absent);
            } else if (std::filesystem::exists(directory.path() + "/fastmas.feed")) {
                const auto segment = attach();
                CHECK(segment->body()[100] == std::byte{42});
                CHECK(segment->state_of(kProducer) != RoleState::alive);
                CHECK(segment->take(kProducer) != RoleState::alive);
                CHECK(segment->take_any(Side::consumer, "risk", nullptr) == Role::consumer(0));
            }
            CHECK(files_in(directory.path()).find("fastmas.feed") == std::string::npos);
            if (plain_system) (void)Segment::clean();
            CHECK_EQUAL(files_in(directory.path()), std::string());
        });
    });
}

TEST(killed_beside_a_survivor_it_takes_nothing_along) {
    const RingDirectory directory;
    const auto mine = make();
    mine->take(Role::consumer(0));
    std::set<RoleState> seen;
    kill_at_every_step(
        "attach, take, leave, close", 12,
        [] {
            const auto segment = attach();
            segment->take(kProducer, "feeder");
            segment->leave(kProducer);
            segment->take(kProducer, "another");
        },
        [&] {
            const RoleState state = mine->state_of(kProducer);
            seen.insert(state);
            CHECK(state != RoleState::alive);
            CHECK_EQUAL(files_in(directory.path()), std::string("fastmas.feed"));
            CHECK_EQUAL(Segment::list().at(0).state, std::string("in use"));
            CHECK(mine->state_of(Role::consumer(0)) == RoleState::alive);
            // A name is there whole or not at all.
            const auto listed = Segment::list();
            for (const auto& holder : listed.at(0).holders)
                CHECK(holder.name.empty() || holder.name == "feeder" || holder.name == "another");
            CHECK(mine->take(kProducer) == state);
            mine->leave(kProducer);
            CHECK(mine->forget(kProducer));
        });
    CHECK(seen.count(RoleState::absent) == 1 && seen.count(RoleState::dead) == 1 && seen.count(RoleState::left) == 1);
}

TEST(killed_while_it_replaces_a_stale_ring_it_leaves_the_old_or_none_or_the_new) {
    const RingDirectory directory;
    const auto leave_one = [] {
        CHECK_EQUAL(exit_code_of(spawn([] {
                        const auto segment = make();
                        segment->take(kProducer);
                        segment->body()[101] = std::byte{1};  // the old one
                        raise(SIGKILL);
                        return 1;
                    })),
                    128 + SIGKILL);
    };
    leave_one();
    bool old_seen = false;
    bool none_seen = false;
    bool new_seen = false;
    kill_at_every_step(
        "create over a stale ring", 6,
        [] {
            const auto segment = make();
            segment->take(kProducer);
        },
        [&] {
            if (files_in(directory.path()).empty()) {
                none_seen = true;
            } else {
                const auto segment = attach();
                const bool old = segment->body()[101] == std::byte{1};
                (old ? old_seen : new_seen) = true;
                CHECK(segment->take(kProducer) != RoleState::alive);
                CHECK(segment->body()[100] == std::byte{42});
            }
            CHECK_EQUAL(files_in(directory.path()), std::string());
            leave_one();
        });
    CHECK(old_seen && none_seen && new_seen);
}

TEST(killed_while_it_cleans_or_unlinks_it_leaves_the_ring_or_none) {
    const RingDirectory directory;
    for (const bool clean : {true, false})
        kill_at_every_step(
            clean ? "clean" : "unlink", 1,
            [clean] {
                kill_point_hook = nullptr;
                if (files_in(std::getenv("FASTMAS_RING_DIR")).empty()) {
                    // what clean() is for: a process that ended without closing
                    (void)exit_code_of(spawn([] {
                        const auto segment = make();
                        raise(SIGKILL);
                        return 1;
                    }));
                }
                kill_point_hook = die_at_step;
                if (clean)
                    CHECK_EQUAL(Segment::clean().size(), 1U);
                else
                    CHECK(Segment::unlink("/feed"));
            },
            [&] {
                CHECK(only_ring_or_nothing(files_in(directory.path())));
                (void)Segment::clean();
                CHECK_EQUAL(files_in(directory.path()), std::string());
            });
}

namespace {

// A child that stops itself at the step `where` of `body`.
template <const char* where>
pid_t spawn_and_stop(const std::function<void()>& body) {
    const pid_t child = spawn([&] {
        kill_point_hook = [](const char* step) {
            if (std::string(step) == where) raise(SIGSTOP);
        };
        body();
        return 0;
    });
    wait_until_stopped(child);
    return child;
}

constexpr char kNameDecided[] = "close: name decided";
constexpr char kGivenBack[] = "leave: written down";
constexpr char kPlaceTaken[] = "take: locked";

void go_on_to_the_end(pid_t stopped) {
    CHECK_EQUAL(kill(stopped, SIGCONT), 0);
    CHECK_EQUAL(exit_code_of(stopped), 0);
}

}  // namespace

TEST(of_two_that_leave_at_once_one_removes_the_name) {
    const RingDirectory directory;
    auto mine = make();
    // It has found that we are still there, and has not closed yet.
    const pid_t other = spawn_and_stop<kNameDecided>([] { attach()->take(kProducer); });
    mine.reset();
    CHECK_EQUAL(files_in(directory.path()), std::string());
    go_on_to_the_end(other);
}

TEST(who_leaves_is_alive_until_it_has_left) {
    const RingDirectory directory;
    const auto mine = make();
    const pid_t other = spawn_and_stop<kGivenBack>([] { attach()->take(kProducer); });
    CHECK(mine->state_of(kProducer) == RoleState::alive);
    CHECK_THROWS(mine->take(kProducer), SegmentBusy, "is held by process " + std::to_string(other));
    go_on_to_the_end(other);
    CHECK(mine->state_of(kProducer) == RoleState::left);
}

// It has a place and has not written its name there: who looked for the name now would find it nowhere, and take
// another.
TEST(who_takes_a_place_by_name_keeps_others_from_looking) {
    const RingDirectory directory;
    const auto mine = make();
    const pid_t other = spawn_and_stop<kPlaceTaken>([] { attach()->take_any(Side::consumer, "risk", nullptr); });
    CHECK_EQUAL(exit_code_of(spawn([&] {  // a child: who closes a ring's file gives its own locks on it back
                    const Descriptor file = open_ring_file(path_of("/feed"), "/feed", true);
                    const LockHolder looking = holder_of(file.get(), LockByte::kRoleTable, LockType::exclusive);
                    CHECK(looking.held && looking.exclusive);
                    CHECK_EQUAL(looking.pid, other);
                    return 0;
                })),
                0);
    go_on_to_the_end(other);
    CHECK(mine->take_any(Side::consumer, "risk", nullptr) == Role::consumer(0));
}

TEST(who_leaves_while_it_is_asked_for_is_not_dead) {
    const RingDirectory directory;
    static Turn leave;
    static Turn left;
    const auto mine = make();
    const pid_t other = spawn([] {
        const auto segment = attach();
        segment->take(kProducer);
        left.now();
        leave.await();
        segment->leave(kProducer);
        left.now();
        return 0;
    });
    left.await();
    CHECK(mine->state_of(kProducer) == RoleState::alive);
    kill_point_hook = [](const char* step) {
        if (std::string(step) != "state: looked") return;
        kill_point_hook = nullptr;  // once
        leave.now();
        left.await();
    };
    CHECK(mine->state_of(kProducer) == RoleState::left);
    CHECK_EQUAL(exit_code_of(other), 0);
}

// Only in the microseconds of a removal does a stopped process stand in others' way; they are told whom to wake.
TEST(stopped_in_the_middle_of_a_removal_it_is_named) {
    const RingDirectory directory;
    const pid_t stopped = spawn([] {
        const auto segment = make();
        kill_point_hook = [](const char* step) {
            if (std::string(step) == "remove: locked") raise(SIGSTOP);
        };
        segment->close();
        return 0;
    });
    wait_until_stopped(stopped);
    const std::string text = "ring '/feed' has been in the middle of a change by process " + std::to_string(stopped) +
                             " for 5000 ms, which takes microseconds: that process is stopped; let it go on (SIGCONT)";
    CHECK_THROWS(attach(), SegmentBusy, text);
    CHECK_EQUAL(kill(stopped, SIGCONT), 0);
    CHECK_EQUAL(exit_code_of(stopped), 0);
    CHECK_EQUAL(files_in(directory.path()), std::string());
    // Killed instead, it would have held nothing.
    const auto segment = make();
    CHECK(segment->usable());
}

TEST_MAIN
