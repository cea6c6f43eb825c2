// SpscRing and slots on one thread: shapes, wrap, batches, refusals, counts.
#include "ringbuffer/spsc_ring.hpp"

#include <cstring>
#include <thread>
#include <vector>

#include "base/errors.hpp"
#include "check.hpp"
#include "crash_memory.hpp"
#include "spsc_ring_cases.hpp"

using fastmas::base::ConfigError;
using fastmas::ringbuffer::RingShape;
using fastmas::testing::CrashMemory;
using fastmas::testing::record_of;
namespace cases = fastmas::testing::cases;
using Ring = fastmas::ringbuffer::SpscRing<>;
using CrashRing = fastmas::ringbuffer::SpscRing<CrashMemory>;

TEST(shape_says_rule_value_and_cure) {
    CHECK_THROWS(RingShape::checked(1000, 8), ConfigError, "capacity must be a power of two >= 2, got 1000; try 1024");
    CHECK_THROWS(RingShape::checked(1, 8), ConfigError, "capacity must be a power of two >= 2, got 1; try 2");
    CHECK_THROWS(RingShape::checked(0, 8), ConfigError, "got 0; try 2");
    CHECK_THROWS(RingShape::checked(-8, 8), ConfigError, "got -8; try 2");
    CHECK_THROWS(RingShape::checked(INT64_MAX, 8), ConfigError, "got 9223372036854775807; try 17179869184");
    CHECK_THROWS(RingShape::checked(4, 0), ConfigError, "a record must have 1 to 1048576 bytes, got 0");
    CHECK_THROWS(RingShape::checked(4, 1048577), ConfigError, "got 1048577; send what is larger in parts");
    CHECK_THROWS(RingShape::checked(std::int64_t{1} << 40, 64), ConfigError,
                 "a ring must not be larger than 17179869184 bytes, got 1099511627776 records of 64 bytes; try "
                 "capacity 268435456");
    CHECK_EQUAL(RingShape::checked(2, 1).bytes(), 2U);
}

TEST(fills_to_capacity_and_not_beyond) {
    cases::fills_to_capacity_and_not_beyond<Ring>();
}

TEST(sizes_that_no_cpu_likes_wrap_whole) {
    cases::sizes_that_no_cpu_likes_wrap_whole<Ring>();
}

TEST(batches_of_every_length_against_a_deque) {
    cases::batches_of_every_length_against_a_deque<Ring>();
}

TEST(counts_below_one_do_nothing) {
    cases::counts_below_one_do_nothing<Ring>();
}

TEST(front_stays_until_it_is_popped) {
    cases::front_stays_until_it_is_popped<Ring>();
}

TEST(memory_starts_on_a_line) {
    for (const std::int64_t capacity : {2, 64, 1024}) {
        Ring ring(RingShape::checked(capacity, 8));
        std::byte record[8] = {};
        CHECK(ring.try_push(record));
        CHECK_EQUAL(reinterpret_cast<std::uintptr_t>(ring.front()) % fastmas::ringbuffer::kLineBytes, 0U);
    }
}

TEST(claims_and_peeks_end_at_the_wrap) {
    Ring ring(RingShape::checked(8, 8));
    std::byte out[64];
    CHECK_EQUAL(ring.peek(8).count, 0);
    CHECK(ring.peek(8).records == nullptr);
    CHECK_EQUAL(ring.claim(0).count, 0);
    CHECK_EQUAL(ring.claim(-1).count, 0);
    for (int i = 0; i < 6; ++i) CHECK(ring.try_push(record_of(0, 8).data()));
    CHECK_EQUAL(ring.pop_many(out, 5), 5);

    const auto first = ring.claim(5);  // seven free, two of them before the wrap
    CHECK_EQUAL(first.count, 2);
    std::memcpy(first.records, record_of(100, 8).data(), 8);
    std::memcpy(first.records + 8, record_of(101, 8).data(), 8);
    CHECK_EQUAL(ring.was_size(), 1);
    ring.publish(2);
    const auto second = ring.claim(100);
    CHECK_EQUAL(second.count, 5);
    std::memcpy(second.records, record_of(102, 8).data(), 8);
    CHECK(second.records == ring.claim(1).records);  // the one before was given up
    ring.publish(1);
    CHECK_EQUAL(ring.was_size(), 4);

    CHECK_EQUAL(ring.peek(0).count, 0);
    const auto oldest = ring.peek(100);
    CHECK_EQUAL(oldest.count, 3);
    CHECK(std::memcmp(oldest.records + 8, record_of(100, 8).data(), 8) == 0);
    CHECK(std::memcmp(oldest.records + 16, record_of(101, 8).data(), 8) == 0);
    ring.give_back(2);
    CHECK_EQUAL(ring.peek(1).count, 1);
    CHECK_EQUAL(ring.was_size(), 2);
    ring.give_back(1);
    const auto wrapped = ring.peek(4);
    CHECK_EQUAL(wrapped.count, 1);
    CHECK(std::memcmp(wrapped.records, record_of(102, 8).data(), 8) == 0);
    ring.give_back(1);
    CHECK(ring.was_empty());

    for (int i = 0; i < 8; ++i) CHECK(ring.try_push(record_of(0, 8).data()));
    CHECK_EQUAL(ring.claim(1).count, 0);
}

TEST(a_producer_that_died_at_any_step_is_replaced) {
    CHECK_EQUAL(cases::a_dead_producer_is_replaced<CrashRing>(8), 7U * 2U * 3U);
}

TEST(a_consumer_that_died_at_any_step_is_replaced) {
    CHECK_EQUAL(cases::a_dead_consumer_is_replaced<CrashRing>(8), 7U * 2U * 3U);
}

TEST(two_views_are_one_ring) {
    cases::two_views_are_one_ring<CrashRing>();
}

TEST_MAIN
