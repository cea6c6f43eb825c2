// SpscRing, slots and parker on one thread: shapes, wrap, batches, refusals, counts.
#include "ringbuffer/spsc_ring.hpp"

#include <chrono>
#include <cstring>
#include <deque>
#include <thread>
#include <vector>

#include "base/errors.hpp"
#include "base/prng.hpp"
#include "check.hpp"
#include "crash_memory.hpp"
#include "ringbuffer/parker.hpp"

using fastmas::base::ConfigError;
using fastmas::base::Prng;
using fastmas::ringbuffer::Parker;
using fastmas::ringbuffer::RingShape;
using fastmas::testing::Body;
using fastmas::testing::Crash;
using fastmas::testing::CrashMemory;
using Ring = fastmas::ringbuffer::SpscRing<>;

namespace {

std::vector<std::byte> record_of(std::uint64_t sequence, std::size_t bytes) {
    std::vector<std::byte> record(bytes);
    Prng prng(sequence);
    for (auto& byte : record) byte = static_cast<std::byte>(prng.next());
    return record;
}

}  // namespace

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
    Ring ring(RingShape::checked(4, 8));
    for (std::uint64_t i = 0; i < 4; ++i) CHECK(ring.try_push(record_of(i, 8).data()));
    CHECK(ring.was_full());
    CHECK(!ring.try_push(record_of(4, 8).data()));
    CHECK_EQUAL(ring.push_many(record_of(4, 8).data(), 1), 0);
    CHECK_EQUAL(ring.room(), 0);
    std::byte out[8];
    for (std::uint64_t i = 0; i < 4; ++i) {
        CHECK(ring.try_pop(out));
        CHECK(std::memcmp(out, record_of(i, 8).data(), 8) == 0);
    }
    CHECK(!ring.try_pop(out));
    CHECK(ring.front() == nullptr);
    CHECK_EQUAL(ring.pop_many(out, 1), 0);
    CHECK(ring.was_empty());
    CHECK_EQUAL(ring.pushed(), 4);
    CHECK_EQUAL(ring.popped(), 4);
}

TEST(sizes_that_no_cpu_likes_wrap_whole) {
    for (const std::size_t bytes : {1U, 3U, 7U, 28U, 40U, 64U, 65U, 200U}) {
        Ring ring(RingShape::checked(8, static_cast<std::int64_t>(bytes)));
        std::vector<std::byte> out(bytes);
        for (std::uint64_t i = 0; i < 100; ++i) {
            CHECK(ring.try_push(record_of(i, bytes).data()));
            CHECK(ring.try_pop(out.data()));
            CHECK(out == record_of(i, bytes));
        }
    }
}

TEST(batches_of_every_length_against_a_deque) {
    const std::size_t bytes = 12;
    Ring ring(RingShape::checked(16, bytes));
    std::deque<std::vector<std::byte>> model;
    Prng prng(3);
    std::uint64_t sequence = 0;
    for (int step = 0; step < 20'000; ++step) {
        const auto count = prng.between(0, 20);
        if (prng.below(2) == 0) {
            std::vector<std::byte> batch;
            for (std::int64_t i = 0; i < count; ++i) {
                const auto record = record_of(sequence + static_cast<std::uint64_t>(i), bytes);
                batch.insert(batch.end(), record.begin(), record.end());
            }
            const auto taken = ring.push_many(batch.data(), count);
            CHECK_EQUAL(taken, std::min<std::int64_t>(count, 16 - static_cast<std::int64_t>(model.size())));
            for (std::int64_t i = 0; i < taken; ++i) model.push_back(record_of(sequence++, bytes));
        } else {
            std::vector<std::byte> batch(static_cast<std::size_t>(count) * bytes + 1, std::byte{0xAB});
            const auto taken = ring.pop_many(batch.data(), count);
            CHECK_EQUAL(taken, std::min<std::int64_t>(count, static_cast<std::int64_t>(model.size())));
            for (std::int64_t i = 0; i < taken; ++i) {
                CHECK(std::memcmp(batch.data() + static_cast<std::size_t>(i) * bytes, model.front().data(), bytes) ==
                      0);
                model.pop_front();
            }
            CHECK(batch[static_cast<std::size_t>(taken) * bytes] == std::byte{0xAB});
        }
        CHECK_EQUAL(ring.was_size(), static_cast<std::int64_t>(model.size()));
    }
    CHECK_EQUAL(ring.pushed(), static_cast<std::int64_t>(sequence));
}

TEST(counts_below_one_do_nothing) {
    Ring ring(RingShape::checked(2, 8));
    std::byte record[8] = {};
    CHECK_EQUAL(ring.push_many(record, 0), 0);
    CHECK_EQUAL(ring.push_many(record, -5), 0);
    CHECK(ring.try_push(record));
    CHECK_EQUAL(ring.pop_many(record, 0), 0);
    CHECK_EQUAL(ring.pop_many(record, -5), 0);
    CHECK_EQUAL(ring.was_size(), 1);
}

TEST(front_stays_until_it_is_popped) {
    Ring ring(RingShape::checked(2, 8));
    CHECK(ring.try_push(record_of(1, 8).data()));
    CHECK(ring.try_push(record_of(2, 8).data()));
    const std::byte* front = ring.front();
    CHECK(front == ring.front());
    CHECK(!ring.try_push(record_of(3, 8).data()));
    CHECK(std::memcmp(front, record_of(1, 8).data(), 8) == 0);
    ring.pop_front();
    CHECK(ring.try_push(record_of(3, 8).data()));
    CHECK(std::memcmp(ring.front(), record_of(2, 8).data(), 8) == 0);
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

// ---- a holder that died in the middle of a call

namespace {

using CrashRing = fastmas::ringbuffer::SpscRing<CrashMemory>;

std::uint64_t pop_value(CrashRing& ring) {
    std::uint64_t value = 0;
    return ring.try_pop(reinterpret_cast<std::byte*>(&value)) ? value : ~std::uint64_t{0};
}

bool push_value(CrashRing& ring, std::uint64_t value) {
    return ring.try_push(reinterpret_cast<const std::byte*>(&value));
}

}  // namespace

TEST(a_producer_that_died_at_any_step_is_replaced) {
    const auto shape = RingShape::checked(4, 8);
    std::size_t crashes = 0;
    // As many records were pushed before as bring the wrap under the batch, or the ring to its brim.
    for (std::uint64_t before = 0; before <= 6; ++before) {
        for (const std::int64_t batch : {1, 3}) {
            const Body<CrashRing> body(shape);
            auto ring = body.view();
            for (std::uint64_t i = 0; i < before; ++i) {
                CHECK(push_value(ring, i));
                if (i < 4) CHECK_EQUAL(pop_value(ring), i);
            }
            const std::uint64_t oldest = std::min<std::uint64_t>(before, 4);
            const std::uint64_t values[3] = {before, before + 1, before + 2};
            CrashMemory::watch(body.data(), body.bytes());
            if (batch == 1) {
                ring.try_push(reinterpret_cast<const std::byte*>(values));
            } else {
                ring.push_many(reinterpret_cast<const std::byte*>(values), batch);
            }
            for (const Crash& crash : CrashMemory::unwatch()) {
                ++crashes;
                const Body<CrashRing> left(shape, crash);
                auto survivor = left.view();
                survivor.resume_producer();
                // All or nothing of the call came through; what follows comes right after it.
                const auto there = static_cast<std::uint64_t>(survivor.pushed());
                const std::uint64_t fits = oldest + 4 - before;
                const std::uint64_t whole = std::min(fits, static_cast<std::uint64_t>(batch));
                CHECK_EQUAL(there, before + (crash.step == "push: published" ? whole : 0));
                CHECK_EQUAL(survivor.room(), 4 - (survivor.pushed() - static_cast<std::int64_t>(oldest)));
                std::uint64_t next = there;
                while (push_value(survivor, next)) ++next;
                CHECK_EQUAL(next, oldest + 4);
                for (std::uint64_t i = oldest; i < next; ++i) CHECK_EQUAL(pop_value(survivor), i);
                CHECK(survivor.was_empty());
            }
        }
    }
    CHECK_EQUAL(crashes, 7U * 2U * 3U);
}

TEST(a_consumer_that_died_at_any_step_is_replaced) {
    const auto shape = RingShape::checked(4, 8);
    std::size_t crashes = 0;
    for (std::uint64_t before = 0; before <= 6; ++before) {
        for (const std::int64_t batch : {1, 3}) {
            const Body<CrashRing> body(shape);
            auto ring = body.view();
            for (std::uint64_t i = 0; i < before; ++i) {
                CHECK(push_value(ring, i));
                CHECK_EQUAL(pop_value(ring), i);
            }
            for (std::uint64_t i = 0; i < 4; ++i) CHECK(push_value(ring, before + i));
            std::uint64_t got[3] = {};
            CrashMemory::watch(body.data(), body.bytes());
            if (batch == 1) {
                CHECK(ring.try_pop(reinterpret_cast<std::byte*>(got)));
            } else {
                CHECK_EQUAL(ring.pop_many(reinterpret_cast<std::byte*>(got), batch), batch);
            }
            for (const Crash& crash : CrashMemory::unwatch()) {
                ++crashes;
                const Body<CrashRing> left(shape, crash);
                auto survivor = left.view();
                survivor.resume_consumer();
                // What the dead one returned or was about to return does not come again; nothing else is lost.
                const bool gone = crash.step == "pop: given back";
                const std::uint64_t next = before + (gone ? static_cast<std::uint64_t>(batch) : 0);
                CHECK_EQUAL(survivor.available(), static_cast<std::int64_t>(before + 4 - next));
                CHECK_EQUAL(survivor.room(), static_cast<std::int64_t>(next - before));
                for (std::uint64_t i = next; i < before + 4; ++i) CHECK_EQUAL(pop_value(survivor), i);
                CHECK_EQUAL(pop_value(survivor), ~std::uint64_t{0});
            }
        }
    }
    CHECK_EQUAL(crashes, 7U * 2U * 3U);
}

TEST(a_view_changes_nothing_and_two_views_are_one_ring) {
    const auto shape = RingShape::checked(4, 8);
    const Body<CrashRing> body(shape);
    auto producer = body.view();
    CHECK(push_value(producer, 0));
    auto consumer = body.view();
    CHECK(push_value(producer, 1));
    CHECK_EQUAL(pop_value(consumer), 0U);
    CHECK_EQUAL(pop_value(consumer), 1U);
    CHECK_EQUAL(producer.popped(), 2);
}

TEST(parker_wakes_before_its_bound_and_gives_up_at_it) {
    using namespace std::chrono_literals;
    Parker parker;
    parker.notify();  // nobody there: nothing is remembered
    const auto start = std::chrono::steady_clock::now();
    parker.wait(parker.prepare(), 5ms);
    parker.finish();
    CHECK(std::chrono::steady_clock::now() - start >= 4ms);

    const auto ticket = parker.prepare();
    parker.notify();  // between the look and the sleep
    const auto again = std::chrono::steady_clock::now();
    parker.wait(ticket, 10s);
    parker.finish();
    CHECK(std::chrono::steady_clock::now() - again < 8s);
    CHECK_EQUAL(parker.waiters(), 0);

    parker.prepare();
    CHECK_EQUAL(parker.waiters(), 1);
    parker.cancel();
    CHECK_EQUAL(parker.waiters(), 0);
}

TEST_MAIN
