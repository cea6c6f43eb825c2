// A ring's region in named shared memory, within one process: names, headers, roles, removal.
#include "ringbuffer/segment.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/errors.hpp"
#include "check.hpp"
#include "child_process.hpp"
#include "ring_directory.hpp"
#include "ringbuffer/region.hpp"
#include "ringbuffer/spsc_ring.hpp"

using fastmas::base::ConfigError;
using namespace fastmas::ringbuffer;
using fastmas::testing::files_in;
using fastmas::testing::RingDirectory;
using fastmas::testing::spec_of;

namespace {

void format_nothing(std::byte* /*body*/) {}

std::shared_ptr<Segment> make(const std::string& name, const RegionSpec& spec = spec_of(64)) {
    return Segment::create(name, spec, format_nothing);
}

void write_file(const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
}

}  // namespace

TEST(names_that_a_ring_may_have) {
    const RingDirectory directory;
    for (const char* const good : {"/a", "/Feed.1_x-y", "/..."}) CHECK(!Segment::unlink(good));
    CHECK(!Segment::unlink("/" + std::string(199, 'x')));
    const std::string rule = "the name of a shared ring must be '/' and then 1 to 199 of A-Z a-z 0-9 . _ -, got ";
    CHECK_THROWS(make("feed"), ConfigError, rule + "'feed'; try '/feed'");
    CHECK_THROWS(make("/a/b"), ConfigError, rule + "'/a/b'; try '/ring'");
    CHECK_THROWS(make("/"), ConfigError, rule + "'/'; try '/ring'");
    CHECK_THROWS(make(""), ConfigError, rule + "''; try '/ring'");
    CHECK_THROWS(make("/" + std::string(200, 'x')), ConfigError, rule);
    CHECK_THROWS(make("/a b"), ConfigError, rule);
    CHECK_THROWS(Segment::attach(std::string("/a\0b", 4), RingKind::spsc), ConfigError, rule);
}

TEST(what_was_created_is_what_is_attached) {
    const RingDirectory directory;
    RegionSpec spec = spec_of(256, 24);
    spec.overflow = Overflow::drop_newest;
    spec.dtype = "[('price', '<i8')]";
    bool blank = true;
    const auto made = Segment::create("/feed", spec, [&](std::byte* body) {
        for (std::size_t i = 0; i < spec.body_bytes(); ++i) blank = blank && body[i] == std::byte{0};
        body[0] = std::byte{42};
    });
    CHECK(blank);
    CHECK(made->usable());
    CHECK_EQUAL(made->name(), std::string("/feed"));
    CHECK_EQUAL(files_in(directory.path()), std::string("fastmas.feed"));
    CHECK_EQUAL(std::filesystem::file_size(directory.path() + "/fastmas.feed"), spec.region_bytes());

    const auto attached = Segment::attach("/feed", RingKind::spsc);
    CHECK(attached->spec().kind == RingKind::spsc);
    CHECK(attached->spec().overflow == Overflow::drop_newest);
    CHECK_EQUAL(attached->spec().shape.capacity, 256);
    CHECK_EQUAL(attached->spec().shape.slot_bytes, 24U);
    CHECK_EQUAL(attached->spec().dtype, spec.dtype);
    CHECK(attached->body()[0] == std::byte{42});
    CHECK(reinterpret_cast<std::uintptr_t>(attached->body()) % kLineBytes == 0);
    attached->body()[1] = std::byte{7};
    CHECK(made->body()[1] == std::byte{7});
}

TEST(a_ring_that_does_not_fit_is_refused_with_both_sides) {
    const RingDirectory directory;
    const auto made = make("/feed");
    CHECK_THROWS(Segment::attach("/feed", RingKind::mpmc), SegmentError,
                 "ring '/feed' is a ring of kind spsc, not mpmc; attach to it with SpscRing");
    CHECK_THROWS(Segment::attach("/feed", RingKind::spsc,
                                 [](const RegionSpec& spec) { spec.require_dtype("float64", "/feed"); }),
                 SegmentError, "ring '/feed' carries records of int64, not of float64; attach with the dtype");
    CHECK_THROWS(Segment::attach("/food", RingKind::spsc), SegmentGone, "there is no ring '/food'; create it first");
    CHECK_THROWS(make("/feed"), SegmentBusy,
                 "ring '/feed' is in use by process " + std::to_string(getpid()) + "; attach to it, close it there");
    // Who is refused was never there: the ring goes on.
    CHECK(made->usable());
    CHECK_EQUAL(files_in(directory.path()), std::string("fastmas.feed"));
}

TEST(specs_that_no_ring_can_have) {
    const RingDirectory directory;
    RegionSpec spec = spec_of(100);
    CHECK_THROWS(make("/x", spec), ConfigError, "capacity must be a power of two >= 2, got 100; try 128");
    spec = spec_of(64);
    spec.dtype.assign(3073, 'x');
    CHECK_THROWS(make("/x", spec), ConfigError, "dtype must have at most 3072 bytes, got 3073; take fewer or shorter");
    spec = spec_of(64);
    spec.overflow = Overflow::evict;
    CHECK_THROWS(make("/x", spec), ConfigError, "got number 4 for a spsc ring");
    spec = spec_of(64);
    spec.max_lag_records = 3;
    CHECK_THROWS(make("/x", spec), ConfigError, "max_lag_records is for a ring whose overflow is 'evict', got 3");
    spec = spec_of(64);
    spec.kind = static_cast<RingKind>(9);
    CHECK_THROWS(make("/x", spec), ConfigError, "kind must be 1 to 5, got 9");
    spec = spec_of(64);
    spec.kind = RingKind::bytes;
    spec.slots = SlotLayout::sequenced;
    CHECK_THROWS(make("/x", spec), ConfigError,
                 "a shared bytes ring cannot have sequenced slots; take the other layout");
    CHECK_EQUAL(files_in(directory.path()), std::string());
}

TEST(a_directory_that_is_not_there_is_a_system_error) {
    const RingDirectory directory;
    setenv("FASTMAS_RING_DIR", "/nowhere/at/all", 1);
    CHECK_THROWS(make("/x"), std::system_error, "cannot make shared memory in /nowhere/at/all");
    CHECK_THROWS(Segment::list(), std::system_error, "cannot list shared rings in /nowhere/at/all");
}

TEST(the_last_to_close_removes_the_name) {
    const RingDirectory directory;
    auto made = make("/feed");
    auto attached = Segment::attach("/feed", RingKind::spsc);
    made.reset();
    CHECK_EQUAL(files_in(directory.path()), std::string("fastmas.feed"));
    CHECK(attached->take(Role::producer(0)) == RoleState::absent);
    attached->close();
    CHECK(!attached->usable());
    CHECK_EQUAL(files_in(directory.path()), std::string());
    attached->body()[0] = std::byte{1};  // still mapped
    CHECK_THROWS(attached->take(Role::producer(0)), SegmentError, "ring '/feed' is closed; attach to it again");
    CHECK(attached->state_of(Role::producer(0)) == RoleState::absent);
    attached->close();
}

TEST(a_name_that_was_made_anew_is_not_removed_by_the_last_of_the_old) {
    const RingDirectory directory;
    auto old = make("/feed");
    CHECK(Segment::unlink("/feed"));
    CHECK(!Segment::unlink("/feed"));
    const auto fresh = make("/feed", spec_of(8));
    old.reset();
    CHECK_EQUAL(files_in(directory.path()), std::string("fastmas.feed"));
    CHECK_EQUAL(Segment::attach("/feed", RingKind::spsc)->spec().shape.capacity, 8);
}

TEST(a_role_has_one_holder) {
    const RingDirectory directory;
    const auto made = make("/feed");
    const auto other = Segment::attach("/feed", RingKind::spsc);
    const Role producer = Role::producer(0);
    CHECK(made->state_of(producer) == RoleState::absent);
    CHECK(made->take(producer) == RoleState::absent);
    CHECK(other->state_of(producer) == RoleState::alive);
    CHECK_EQUAL(other->pid_of(producer), static_cast<std::int32_t>(getpid()));
    const std::string text = "producer 0 of ring '/feed' is held by process " + std::to_string(getpid()) +
                             "; a role has one holder: close it there, or wait until that process ends";
    CHECK_THROWS(other->take(producer), SegmentBusy, text);
    CHECK_THROWS(made->take(producer), SegmentBusy, text);
    other->leave(producer);  // not its own
    CHECK(other->state_of(producer) == RoleState::alive);
    made->leave(producer);
    CHECK(other->state_of(producer) == RoleState::left);
    CHECK(other->take(producer) == RoleState::left);
    CHECK(other->forget(Role::consumer(3)));
    CHECK(!made->forget(producer));
    other->leave(producer);
    CHECK(made->forget(producer));
    CHECK(made->state_of(producer) == RoleState::absent);
    CHECK_THROWS(made->take(Role{128}), ConfigError, "a role's place must be 0 to 127, got 128");
    CHECK_THROWS(made->take(Role{-1}), ConfigError, "got -1");
}

TEST(places_for_those_who_have_no_number) {
    const RingDirectory directory;
    const auto made = make("/feed");
    RoleState before{};
    const Role risk = made->take_any(Side::consumer, "risk", &before);
    CHECK(risk == Role::consumer(0) && before == RoleState::absent);
    CHECK_THROWS(made->take_any(Side::consumer, "risk", nullptr), SegmentBusy, "consumer 0 'risk' of ring '/feed'");
    const Role audit = made->take_any(Side::consumer, "audit", &before);
    CHECK(audit == Role::consumer(1));
    made->leave(risk);
    made->leave(audit);
    CHECK(made->take_any(Side::consumer, "audit", &before) == audit);
    CHECK(before == RoleState::left);
    // A place that nobody ever had comes before one that somebody left.
    CHECK(made->take_any(Side::consumer, "", &before) == Role::consumer(2));
    CHECK_THROWS(made->take_any(Side::consumer, std::string(48, 'n'), nullptr), ConfigError,
                 "the name of a subscriber must have at most 47 bytes and no zero, got 48 bytes; take a shorter one");
    for (int i = 0; i < kMaxProducers; ++i) CHECK_EQUAL(made->take_any(Side::producer, "", nullptr).index(), i);
    CHECK_THROWS(made->take_any(Side::producer, "", nullptr), SegmentBusy,
                 "all 64 places for producers of ring '/feed' are taken; close one first");
    made->leave(Role::producer(17));
    CHECK(made->take_any(Side::producer, "", &before) == Role::producer(17));
    CHECK(before == RoleState::left);
}

TEST(files_that_are_no_rings) {
    const RingDirectory directory;
    const std::string path = directory.path() + "/fastmas.x";
    write_file(path, "something else altogether");
    CHECK_THROWS(Segment::attach("/x", RingKind::spsc), SegmentError,
                 "ring '/x' is no ring: its file begins with other bytes than FMSRING1; take another name");
    CHECK_THROWS(make("/x"), SegmentError, "is not the file of a ring; remove it or take another name");
    CHECK_EQUAL(Segment::clean().size(), 0U);
    const auto listed = Segment::list();
    CHECK_EQUAL(listed.size(), 1U);
    CHECK_EQUAL(listed[0].state, std::string("foreign"));
    CHECK(listed[0].why.find("other bytes than FMSRING1") != std::string::npos);
    CHECK(Segment::unlink("/x"));

    std::filesystem::create_directory(path);
    CHECK_THROWS(Segment::attach("/x", RingKind::spsc), SegmentError, "is not a regular file; take another name");
    std::filesystem::remove(path);
    std::filesystem::create_symlink("/etc/passwd", path);
    CHECK_THROWS(Segment::attach("/x", RingKind::spsc), SegmentError, "is not a regular file; take another name");
    std::filesystem::remove(path);
    CHECK_EQUAL(mkfifo(path.c_str(), 0600), 0);
    CHECK_THROWS(make("/x"), SegmentError, "is not a regular file; take another name");
    std::filesystem::remove(path);
}

TEST(what_was_never_finished_is_replaced_or_cleaned) {
    const RingDirectory directory;
    for (const char* const bytes : {"", "\0\0\0\0"}) {
        write_file(directory.path() + "/fastmas.x", std::string(bytes));
        CHECK_THROWS(Segment::attach("/x", RingKind::spsc), SegmentError,
                     "ring '/x' was never finished: its creator ended first; create it again");
        CHECK_EQUAL(Segment::list().at(0).state, std::string("unfinished"));
        CHECK(make("/x") != nullptr);
    }
    write_file(directory.path() + "/fastmas.x", std::string(20000, '\0'));
    write_file(directory.path() + "/fastmas+draft.1.0", "");
    write_file(directory.path() + "/fastmas.no ring", "");
    CHECK_EQUAL(Segment::list().size(), 2U);
    const auto removed = Segment::clean();
    CHECK_EQUAL(removed.size(), 2U);
    CHECK_EQUAL(removed[0], std::string("/x"));
    CHECK_EQUAL(removed[1], std::string("fastmas+draft.1.0"));
    CHECK_EQUAL(files_in(directory.path()), std::string("fastmas.no ring"));
}

TEST(the_list_shows_rings_and_who_holds_them) {
    const RingDirectory directory;
    const auto a = make("/a");
    const auto b = make("/b", spec_of(1024, 16));
    a->take(Role::producer(0));
    a->take_any(Side::consumer, "risk", nullptr);
    a->take(Role::consumer(1));
    a->leave(Role::consumer(1));
    const auto all = Segment::list();
    CHECK_EQUAL(all.size(), 2U);
    CHECK_EQUAL(all[0].name, std::string("/a"));
    CHECK_EQUAL(all[0].state, std::string("in use"));
    CHECK_EQUAL(all[0].bytes, static_cast<std::int64_t>(spec_of(64).region_bytes()));
    CHECK_EQUAL(all[0].spec.dtype, std::string("int64"));
    CHECK_EQUAL(all[0].holders.size(), 3U);
    CHECK(all[0].holders[0].role == Role::producer(0) && all[0].holders[0].state == RoleState::alive);
    CHECK_EQUAL(all[0].holders[0].pid, static_cast<std::int32_t>(getpid()));
    CHECK_EQUAL(all[0].holders[1].name, std::string("risk"));
    CHECK(all[0].holders[2].state == RoleState::left);
    CHECK_EQUAL(all[1].spec.shape.capacity, 1024);
    CHECK_EQUAL(all[1].holders.size(), 0U);
    CHECK_EQUAL(Segment::clean().size(), 0U);
}

TEST(an_observer_that_leaves_does_not_take_the_roles_of_its_process_along) {
    const RingDirectory directory;
    const auto made = make("/feed");
    made->take(Role::producer(0));
    for (int i = 0; i < 3; ++i) {
        Segment::attach("/feed", RingKind::spsc).reset();
        (void)Segment::list();
        (void)Segment::clean();
    }
    // A second process sees the lock that the first must still have.
    const pid_t child = fastmas::testing::spawn([] {
        const auto seen = Segment::attach("/feed", RingKind::spsc);
        return seen->state_of(Role::producer(0)) == RoleState::alive ? 0 : 1;
    });
    CHECK_EQUAL(fastmas::testing::exit_code_of(child), 0);
}

TEST_MAIN
