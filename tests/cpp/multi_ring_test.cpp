// MpscRing and MpmcRing on one thread: shapes, laps, batches, refusals, counts.
#include <algorithm>
#include <cstring>
#include <deque>
#include <vector>

#include "base/prng.hpp"
#include "check.hpp"
#include "crash_memory.hpp"
#include "ringbuffer/mpmc_ring.hpp"
#include "ringbuffer/mpsc_ring.hpp"

using namespace fastmas::ringbuffer;
using fastmas::base::Prng;
using fastmas::testing::Body;
using fastmas::testing::Crash;
using fastmas::testing::CrashMemory;

namespace {

std::vector<std::byte> record_of(std::uint64_t sequence, std::size_t bytes) {
    std::vector<std::byte> record(bytes);
    Prng prng(sequence);
    for (auto& byte : record) byte = static_cast<std::byte>(prng.next());
    return record;
}

std::int64_t pop_many(MpscRing<>& ring, std::int32_t, std::byte* out, std::int64_t max) {
    return ring.pop_many(out, max);
}
std::int64_t pop_many(MpmcRing<>& ring, std::int32_t consumer, std::byte* out, std::int64_t max) {
    return ring.pop_many(consumer, out, max);
}

template <class Ring>
void fills_to_capacity_and_not_beyond() {
    Ring ring(RingShape::checked(4, 8));
    CHECK_EQUAL(ring.capacity(), 4);
    CHECK_EQUAL(ring.slot_bytes(), 8U);
    for (std::uint64_t i = 0; i < 4; ++i)
        CHECK(ring.try_push(static_cast<std::int32_t>(i % 3), record_of(i, 8).data()));
    CHECK(ring.was_full());
    CHECK(!ring.try_push(0, record_of(4, 8).data()));
    CHECK_EQUAL(ring.push_many(63, record_of(4, 8).data(), 1), 0);
    CHECK(!ring.delays_push().has_value());
    std::byte out[8];
    for (std::uint64_t i = 0; i < 4; ++i) {
        CHECK_EQUAL(pop_many(ring, 0, out, 1), 1);
        CHECK(std::memcmp(out, record_of(i, 8).data(), 8) == 0);
    }
    CHECK_EQUAL(pop_many(ring, 0, out, 1), 0);
    CHECK(!ring.delays_pop().has_value());
    CHECK(ring.was_empty());
    CHECK_EQUAL(ring.pushed(), 4);
    CHECK_EQUAL(ring.popped(), 4);
    CHECK_EQUAL(ring.skipped(), 0);
    CHECK_EQUAL(ring.lost(), 0);
}

template <class Ring>
void sizes_that_no_cpu_likes_wrap_whole() {
    for (const std::size_t bytes : {1U, 3U, 7U, 28U, 56U, 57U, 64U, 120U, 121U, 200U}) {
        Ring ring(RingShape::checked(4, static_cast<std::int64_t>(bytes)));
        std::vector<std::byte> out(bytes);
        for (std::uint64_t i = 0; i < 100; ++i) {
            CHECK(ring.try_push(0, record_of(i, bytes).data()));
            CHECK_EQUAL(pop_many(ring, 0, out.data(), 1), 1);
            CHECK(out == record_of(i, bytes));
        }
    }
}

template <class Ring>
void batches_of_every_length_against_a_deque() {
    const std::size_t bytes = 12;
    Ring ring(RingShape::checked(16, bytes));
    std::deque<std::vector<std::byte>> model;
    Prng prng(3);
    std::uint64_t sequence = 0;
    for (int step = 0; step < 20'000; ++step) {
        const auto count = prng.between(-1, 20);
        const auto who = static_cast<std::int32_t>(prng.below(64));
        if (prng.below(2) == 0) {
            std::vector<std::byte> batch;
            for (std::int64_t i = 0; i < count; ++i) {
                const auto record = record_of(sequence + static_cast<std::uint64_t>(i), bytes);
                batch.insert(batch.end(), record.begin(), record.end());
            }
            const auto taken = ring.push_many(who, batch.data(), count);
            CHECK_EQUAL(taken, std::clamp<std::int64_t>(count, 0, 16 - static_cast<std::int64_t>(model.size())));
            for (std::int64_t i = 0; i < taken; ++i) model.push_back(record_of(sequence++, bytes));
        } else {
            std::vector<std::byte> batch(21 * bytes, std::byte{0xAB});
            const auto taken = pop_many(ring, who, batch.data(), count);
            CHECK_EQUAL(taken, std::clamp<std::int64_t>(count, 0, static_cast<std::int64_t>(model.size())));
            for (std::int64_t i = 0; i < taken; ++i) {
                CHECK(std::memcmp(batch.data() + static_cast<std::size_t>(i) * bytes, model.front().data(), bytes) ==
                      0);
                model.pop_front();
            }
            CHECK(batch[static_cast<std::size_t>(taken) * bytes] == std::byte{0xAB});
        }
        CHECK_EQUAL(ring.was_size(), static_cast<std::int64_t>(model.size()));
        CHECK_EQUAL(ring.pushed(), static_cast<std::int64_t>(sequence));
        CHECK_EQUAL(ring.popped(), static_cast<std::int64_t>(sequence - model.size()));
    }
}

// A ring in a segment is seen through several views of one body.
template <class Ring>
void views_of_one_body_are_one_ring() {
    const auto shape = RingShape::checked(4, 24);
    Block block(Ring::body_bytes(shape));
    Ring::format(block.data(), shape);
    Ring one(block.data(), shape);
    Ring other(block.data(), shape);
    CHECK(one.try_push(0, record_of(1, 24).data()));
    CHECK(other.try_push(1, record_of(2, 24).data()));
    std::byte out[48];
    CHECK_EQUAL(pop_many(other, 0, out, 2), 2);
    CHECK(std::memcmp(out + 24, record_of(2, 24).data(), 24) == 0);
    CHECK_EQUAL(one.popped(), 2);
}

}  // namespace

TEST(fills_to_capacity_and_not_beyond) {
    fills_to_capacity_and_not_beyond<MpscRing<>>();
    fills_to_capacity_and_not_beyond<MpmcRing<>>();
}
TEST(sizes_that_no_cpu_likes_wrap_whole) {
    sizes_that_no_cpu_likes_wrap_whole<MpscRing<>>();
    sizes_that_no_cpu_likes_wrap_whole<MpmcRing<>>();
}
TEST(batches_of_every_length_against_a_deque) {
    batches_of_every_length_against_a_deque<MpscRing<>>();
    batches_of_every_length_against_a_deque<MpmcRing<>>();
}
TEST(views_of_one_body_are_one_ring) {
    views_of_one_body_are_one_ring<MpscRing<>>();
    views_of_one_body_are_one_ring<MpmcRing<>>();
}

// What a producer or a consumer leaves that ends at any of its steps, seen and recovered by the next process.
TEST(every_step_of_a_push_can_be_the_last) {
    using Ring = MpscRing<CrashMemory>;
    const auto shape = RingShape::checked(2, 8);
    Body<Ring> body(shape);
    Ring ring = body.view();
    CHECK(ring.try_push(5, record_of(0, 8).data()));
    CrashMemory::watch(body.data(), body.bytes());
    CHECK(ring.try_push(7, record_of(1, 8).data()));
    int stuck = 0;
    int published = 0;
    for (const Crash& crash : CrashMemory::unwatch()) {
        Body<Ring> left(shape, crash);
        Ring survivor = left.view();
        std::byte out[8];
        CHECK_EQUAL(survivor.pushed(), 2);
        CHECK(survivor.try_pop(out));
        const bool waits = survivor.delays_pop().has_value();
        if (waits) {
            CHECK(survivor.delays_pop() == Role::producer(7));
            CHECK(!survivor.try_pop(out));
            // A full ring whose oldest record nobody can have published: who is waited for is the same.
            CHECK(survivor.try_push(5, record_of(2, 8).data()));
            CHECK(!survivor.try_push(5, record_of(3, 8).data()));
            CHECK(survivor.delays_push() == Role::producer(7));
            CHECK_EQUAL(survivor.recover_producer(5), 0);
            CHECK_EQUAL(survivor.recover_producer(7), 1);
            CHECK_EQUAL(survivor.recover_producer(7), 0);
            CHECK(survivor.try_pop(out));
            CHECK(std::memcmp(out, record_of(2, 8).data(), 8) == 0);
        } else {
            CHECK(survivor.try_pop(out));
            CHECK(std::memcmp(out, record_of(1, 8).data(), 8) == 0);
        }
        CHECK_EQUAL(survivor.skipped(), waits ? 1 : 0);
        CHECK_EQUAL(survivor.pushed(), 2);
        CHECK_EQUAL(survivor.popped(), 2);
        ++(waits ? stuck : published);
    }
    CHECK_EQUAL(stuck, 3);
    CHECK_EQUAL(published, 1);
}

TEST(every_step_of_a_pop_can_be_the_last) {
    using Ring = MpmcRing<CrashMemory>;
    const auto shape = RingShape::checked(2, 8);
    Body<Ring> body(shape);
    Ring ring = body.view();
    for (std::uint64_t i = 0; i < 2; ++i) CHECK(ring.try_push(0, record_of(i, 8).data()));
    std::byte out[8];
    CrashMemory::watch(body.data(), body.bytes());
    CHECK(ring.try_pop(9, out));
    int taken = 0;
    int given_back = 0;
    for (const Crash& crash : CrashMemory::unwatch()) {
        Body<Ring> left(shape, crash);
        Ring survivor = left.view();
        CHECK_EQUAL(survivor.popped(), 1);
        CHECK_EQUAL(survivor.was_size(), 1);
        const bool waits = !survivor.try_push(0, record_of(2, 8).data());
        if (waits) {
            CHECK(survivor.delays_push() == Role::consumer(9));
            CHECK(!survivor.delays_pop().has_value());
            CHECK_EQUAL(survivor.recover_consumer(8), 0);
            CHECK_EQUAL(survivor.recover_consumer(9), 1);
            CHECK_EQUAL(survivor.recover_consumer(9), 0);
            CHECK(survivor.try_push(0, record_of(2, 8).data()));
        }
        CHECK_EQUAL(survivor.lost(), waits ? 1 : 0);
        for (std::uint64_t i = 1; i < 3; ++i) {
            CHECK(survivor.try_pop(1, out));
            CHECK(std::memcmp(out, record_of(i, 8).data(), 8) == 0);
        }
        CHECK_EQUAL(survivor.pushed(), 3);
        CHECK_EQUAL(survivor.popped(), waits ? 2 : 3);
        ++(waits ? taken : given_back);
    }
    CHECK_EQUAL(taken, 3);
    CHECK_EQUAL(given_back, 1);
}

// The counts agree at every step of passing over a claim, also for who looks while the consumer is dead.
TEST(every_step_of_passing_over_a_claim_can_be_the_last) {
    using Ring = MpmcRing<CrashMemory>;
    const auto shape = RingShape::checked(2, 8);
    Body<Ring> body(shape);
    Ring ring = body.view();
    CrashMemory::watch(body.data(), body.bytes());
    CHECK(ring.try_push(0, record_of(0, 8).data()));
    const auto crashes = CrashMemory::unwatch();
    Body<Ring> left(shape, crashes.front());
    Ring survivor = left.view();
    CHECK_EQUAL(survivor.recover_producer(0), 1);
    CrashMemory::watch(left.data(), left.bytes());
    std::byte out[8];
    CHECK(!survivor.try_pop(0, out));
    const auto passing = CrashMemory::unwatch();
    CHECK_EQUAL(passing.size(), 3U);
    for (const Crash& crash : passing) {
        Body<Ring> again(shape, crash);
        Ring next = again.view();
        CHECK_EQUAL(next.popped(), 0);
        CHECK_EQUAL(next.pushed(), 1 - next.skipped());
        CHECK(!next.try_pop(1, out));
        CHECK_EQUAL(next.skipped(), 1);
        CHECK_EQUAL(next.pushed(), 0);
        CHECK_EQUAL(next.popped(), 0);
        CHECK(next.was_empty());
    }
}

TEST(front_stays_until_it_is_popped) {
    MpscRing<> ring(RingShape::checked(2, 8));
    CHECK(ring.front() == nullptr);
    CHECK(ring.try_push(0, record_of(1, 8).data()));
    CHECK(ring.try_push(1, record_of(2, 8).data()));
    const std::byte* front = ring.front();
    CHECK(front == ring.front());
    CHECK_EQUAL(ring.next_to_pop(), 0);
    CHECK(!ring.try_push(0, record_of(3, 8).data()));
    CHECK(std::memcmp(front, record_of(1, 8).data(), 8) == 0);
    ring.pop_front();
    CHECK_EQUAL(ring.next_to_pop(), 1);
    CHECK(ring.try_push(0, record_of(3, 8).data()));
    CHECK(std::memcmp(ring.front(), record_of(2, 8).data(), 8) == 0);
}

TEST(a_slots_word_says_lap_state_and_owner) {
    for (const Sequence sequence : {Sequence{0}, Sequence{7}, Sequence{1} << 54, (Sequence{1} << 55) - 1}) {
        const auto word = SlotWord::of(sequence, SlotState::claimed, 63);
        CHECK(SlotWord::state(word) == SlotState::claimed);
        CHECK_EQUAL(SlotWord::owner(word), 63);
        CHECK_EQUAL(SlotWord::ahead(word, sequence), 0);
        CHECK_EQUAL(SlotWord::ahead(word, sequence + 8), -8);
        CHECK_EQUAL(SlotWord::ahead(word, sequence - 16), 16);
        CHECK_EQUAL(SlotWord::turned(word, SlotState::skipped), SlotWord::of(sequence, SlotState::skipped));
        CHECK_EQUAL(SlotWord::freed(word, 8), SlotWord::of(sequence + 8, SlotState::free));
    }
}

TEST(a_tagged_count_counts_a_sequence_once) {
    std::uint64_t counted = 0;
    CHECK(!TaggedCount::has(counted, 0));
    counted = TaggedCount::next(counted, 0);
    CHECK(TaggedCount::has(counted, 0));
    CHECK(!TaggedCount::has(counted, 1));
    counted = TaggedCount::next(counted, (Sequence{1} << 40) - 1);
    CHECK_EQUAL(TaggedCount::count(counted), 2U);
    CHECK(TaggedCount::has(counted, (Sequence{1} << 40) - 1));
}

TEST_MAIN
