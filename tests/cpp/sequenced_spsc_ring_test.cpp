// SequencedSpscRing on one thread: what every SPSC ring does, and what its slots and positions are.
#include "ringbuffer/sequenced_spsc_ring.hpp"

#include <cstring>

#include "check.hpp"
#include "crash_memory.hpp"
#include "spsc_ring_cases.hpp"

using fastmas::ringbuffer::RingShape;
using fastmas::ringbuffer::SequencedSpscControl;
using fastmas::testing::Body;
using fastmas::testing::CrashMemory;
using fastmas::testing::record_of;
namespace cases = fastmas::testing::cases;
using Ring = fastmas::ringbuffer::SequencedSpscRing<>;
using CrashRing = fastmas::ringbuffer::SequencedSpscRing<CrashMemory>;

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

// Records of one line, of two, and of more.
TEST(a_producer_that_died_at_any_step_is_replaced) {
    CHECK(cases::a_dead_producer_is_replaced<CrashRing>(8) > 7U * 2U * 3U);
    CHECK(cases::a_dead_producer_is_replaced<CrashRing>(64) > 7U * 2U * 5U);
    CHECK(cases::a_dead_producer_is_replaced<CrashRing>(200) > 7U * 2U * 5U);
}

TEST(a_consumer_that_died_at_any_step_is_replaced) {
    CHECK(cases::a_dead_consumer_is_replaced<CrashRing>(8) > 7U * 2U * 2U);
    CHECK(cases::a_dead_consumer_is_replaced<CrashRing>(64) > 7U * 2U * 2U);
}

TEST(two_views_are_one_ring) {
    cases::two_views_are_one_ring<CrashRing>();
}

TEST(a_slot_takes_whole_lines) {
    const auto slots = [](std::int64_t record_bytes) {
        return Ring::body_bytes(RingShape::checked(2, record_bytes)) -
               sizeof(SequencedSpscControl<fastmas::ringbuffer::HardwareMemory>);
    };
    CHECK_EQUAL(slots(1), 2U * 64U);
    CHECK_EQUAL(slots(56), 2U * 64U);
    CHECK_EQUAL(slots(57), 2U * 128U);
    CHECK_EQUAL(slots(112), 2U * 128U);
    CHECK_EQUAL(slots(113), 2U * 192U);
}

TEST(nothing_is_written_beside_the_slots) {
    for (const std::int64_t bytes : {1, 8, 56, 57, 64, 112, 113, 200}) {
        const auto shape = RingShape::checked(4, bytes);
        std::vector<std::byte> memory(Ring::body_bytes(shape) + 512);
        auto* body = memory.data();
        while (reinterpret_cast<std::uintptr_t>(body) % fastmas::ringbuffer::kLineBytes != 0) ++body;
        std::byte* const end = body + Ring::body_bytes(shape);
        for (std::byte* after = end; after != memory.data() + memory.size(); ++after) *after = std::byte{0xAB};
        Ring::format(body, shape);
        Ring ring(body, shape);
        for (std::uint64_t i = 0; i < 4; ++i)
            CHECK(ring.try_push(record_of(i, static_cast<std::size_t>(bytes)).data()));
        for (std::byte* after = end; after != memory.data() + memory.size(); ++after) CHECK(*after == std::byte{0xAB});
    }
}

// The producer reads where the consumer is at times only; a push that would fit succeeds all the same.
TEST(room_is_exact_however_few_were_popped) {
    Ring ring(RingShape::checked(64, 8));
    std::byte record[8] = {};
    for (int i = 0; i < 64; ++i) CHECK(ring.try_push(record));
    for (int i = 0; i < 200; ++i) {
        CHECK(!ring.try_push(record));
        CHECK(ring.try_pop(record));
        CHECK_EQUAL(ring.room(), 1);
        CHECK(ring.try_push(record));
    }
    for (int i = 0; i < 3; ++i) CHECK(ring.try_pop(record));
    std::byte batch[8 * 8] = {};
    CHECK_EQUAL(ring.push_many(batch, 8), 3);
}

TEST(available_counts_up_to_what_is_asked_for) {
    Ring ring(RingShape::checked(8, 64));
    CHECK_EQUAL(ring.available(), 0);
    for (std::uint64_t i = 0; i < 5; ++i) CHECK(ring.try_push(record_of(i, 64).data()));
    CHECK_EQUAL(ring.available(), 5);
    CHECK_EQUAL(ring.available(3), 3);
    CHECK_EQUAL(ring.available(0), 0);
    for (std::uint64_t i = 5; i < 8; ++i) CHECK(ring.try_push(record_of(i, 64).data()));
    CHECK_EQUAL(ring.available(), 8);
}

TEST_MAIN
