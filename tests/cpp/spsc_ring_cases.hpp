// What every ring between one producer and one consumer does on one thread, whatever its layout.
#pragma once

#include <algorithm>
#include <cstring>
#include <deque>
#include <vector>

#include "base/prng.hpp"
#include "check.hpp"
#include "crash_memory.hpp"
#include "ringbuffer/slots.hpp"

namespace fastmas::testing {

inline std::vector<std::byte> record_of(std::uint64_t sequence, std::size_t bytes) {
    std::vector<std::byte> record(bytes);
    base::Prng prng(sequence);
    for (auto& byte : record) byte = static_cast<std::byte>(prng.next());
    return record;
}

namespace cases {

using base::Prng;
using ringbuffer::RingShape;

template <class Ring>
void fills_to_capacity_and_not_beyond() {
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

template <class Ring>
void sizes_that_no_cpu_likes_wrap_whole() {
    for (const std::size_t bytes :
         {1U, 3U, 7U, 8U, 28U, 40U, 55U, 56U, 57U, 60U, 64U, 65U, 112U, 113U, 127U, 129U, 200U}) {
        Ring ring(RingShape::checked(8, static_cast<std::int64_t>(bytes)));
        std::vector<std::byte> out(bytes);
        for (std::uint64_t i = 0; i < 100; ++i) {
            CHECK(ring.try_push(record_of(i, bytes).data()));
            CHECK(ring.try_pop(out.data()));
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

template <class Ring>
void counts_below_one_do_nothing() {
    Ring ring(RingShape::checked(2, 8));
    std::byte record[8] = {};
    CHECK_EQUAL(ring.push_many(record, 0), 0);
    CHECK_EQUAL(ring.push_many(record, -5), 0);
    CHECK(ring.try_push(record));
    CHECK_EQUAL(ring.pop_many(record, 0), 0);
    CHECK_EQUAL(ring.pop_many(record, -5), 0);
    CHECK_EQUAL(ring.was_size(), 1);
}

template <class Ring>
void front_stays_until_it_is_popped() {
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

// ---- a holder that died in the middle of a call

// A record of `bytes` with a value at both of its ends, so that a torn one shows.
inline std::vector<std::byte> ends(std::uint64_t value, std::size_t bytes) {
    std::vector<std::byte> record(bytes);
    std::memcpy(record.data(), &value, 8);
    std::memcpy(record.data() + bytes - 8, &value, 8);
    return record;
}
inline std::uint64_t value_of(const std::byte* record, std::size_t bytes) {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    std::memcpy(&first, record, 8);
    std::memcpy(&last, record + bytes - 8, 8);
    CHECK_EQUAL(first, last);
    return first;
}
inline std::vector<std::byte> batch_of(std::uint64_t first, std::int64_t count, std::size_t bytes) {
    std::vector<std::byte> batch;
    for (std::int64_t i = 0; i < count; ++i) {
        const auto record = ends(first + static_cast<std::uint64_t>(i), bytes);
        batch.insert(batch.end(), record.begin(), record.end());
    }
    return batch;
}
template <class Ring>
bool push_value(Ring& ring, std::uint64_t value) {
    return ring.try_push(ends(value, ring.slot_bytes()).data());
}
inline constexpr std::uint64_t kNothing = ~std::uint64_t{0};
template <class Ring>
std::uint64_t pop_value(Ring& ring) {
    std::vector<std::byte> out(ring.slot_bytes());
    return ring.try_pop(out.data()) ? value_of(out.data(), out.size()) : kNothing;
}

// Each kill point of a push and of a batch is taken over by another producer, at every place of the lap and with every
// room; says how many there were.
template <class Ring>
std::size_t a_dead_producer_is_replaced(std::int64_t record_bytes) {
    const auto shape = RingShape::checked(4, record_bytes);
    std::size_t crashes = 0;
    for (std::uint64_t before = 0; before <= 6; ++before) {
        for (const std::int64_t count : {1, 3}) {
            const Body<Ring> body(shape);
            auto ring = body.view();
            for (std::uint64_t i = 0; i < before; ++i) {
                CHECK(push_value(ring, i));
                if (i < 4) CHECK_EQUAL(pop_value(ring), i);
            }
            const std::uint64_t oldest = std::min<std::uint64_t>(before, 4);
            const std::uint64_t whole = std::min(oldest + 4 - before, static_cast<std::uint64_t>(count));
            const auto batch = batch_of(before, count, shape.slot_bytes);
            CrashMemory::watch(body.data(), body.bytes());
            if (count == 1) {
                CHECK(ring.try_push(batch.data()));
            } else {
                CHECK_EQUAL(ring.push_many(batch.data(), count), static_cast<std::int64_t>(whole));
            }
            std::uint64_t published = before;
            for (const Crash& crash : CrashMemory::unwatch()) {
                ++crashes;
                const Body<Ring> left(shape, crash);
                auto survivor = left.view();
                survivor.resume_producer();
                // The call came through as far as it got, and stays that far; what follows comes right after it.
                const auto there = static_cast<std::uint64_t>(survivor.pushed());
                CHECK(there >= published && there <= before + whole);
                published = there;
                CHECK_EQUAL(survivor.room(), static_cast<std::int64_t>(oldest + 4 - there));
                std::uint64_t next = there;
                while (push_value(survivor, next)) ++next;
                CHECK_EQUAL(next, oldest + 4);
                for (std::uint64_t i = oldest; i < next; ++i) CHECK_EQUAL(pop_value(survivor), i);
                CHECK_EQUAL(pop_value(survivor), kNothing);
                CHECK(survivor.was_empty());
            }
            CHECK_EQUAL(published, before + whole);
        }
    }
    return crashes;
}

// The same for a pop and a batch.
template <class Ring>
std::size_t a_dead_consumer_is_replaced(std::int64_t record_bytes) {
    const auto shape = RingShape::checked(4, record_bytes);
    std::size_t crashes = 0;
    for (std::uint64_t before = 0; before <= 6; ++before) {
        for (const std::int64_t count : {1, 3}) {
            const Body<Ring> body(shape);
            auto ring = body.view();
            for (std::uint64_t i = 0; i < before; ++i) {
                CHECK(push_value(ring, i));
                CHECK_EQUAL(pop_value(ring), i);
            }
            for (std::uint64_t i = 0; i < 4; ++i) CHECK(push_value(ring, before + i));
            std::vector<std::byte> out(3 * shape.slot_bytes);
            CrashMemory::watch(body.data(), body.bytes());
            if (count == 1) {
                CHECK(ring.try_pop(out.data()));
            } else {
                CHECK_EQUAL(ring.pop_many(out.data(), count), count);
            }
            const auto whole = static_cast<std::uint64_t>(count);
            std::uint64_t gone = before;
            for (const Crash& crash : CrashMemory::unwatch()) {
                ++crashes;
                const Body<Ring> left(shape, crash);
                auto survivor = left.view();
                survivor.resume_consumer();
                // What the dead one had given back does not come again; nothing else is lost.
                const auto next = static_cast<std::uint64_t>(survivor.next_to_pop());
                CHECK(next == gone || (gone == before && next == before + whole));
                gone = next;
                CHECK_EQUAL(survivor.available(), static_cast<std::int64_t>(before + 4 - next));
                CHECK_EQUAL(survivor.room(), static_cast<std::int64_t>(next - before));
                for (std::uint64_t i = next; i < before + 4; ++i) CHECK_EQUAL(pop_value(survivor), i);
                CHECK_EQUAL(pop_value(survivor), kNothing);
            }
            CHECK_EQUAL(gone, before + whole);
        }
    }
    return crashes;
}

template <class Ring>
void two_views_are_one_ring() {
    const Body<Ring> body(RingShape::checked(4, 64));
    auto producer = body.view();
    CHECK(push_value(producer, 0));
    auto consumer = body.view();
    CHECK(push_value(producer, 1));
    CHECK_EQUAL(pop_value(consumer), 0U);
    CHECK_EQUAL(pop_value(consumer), 1U);
    CHECK_EQUAL(producer.popped(), 2);
}

}  // namespace cases
}  // namespace fastmas::testing
