// Interleavings of SPSC rings, with every stale value that the memory orders allow, whatever their layout: the real
// code on the model of weak_memory.hpp. `kBytes` is a record's size.
#pragma once

#include <algorithm>
#include <cstring>
#include <iostream>
#include <vector>

#include "check.hpp"
#include "explore.hpp"
#include "ringbuffer/slots.hpp"

namespace fastmas::testing::interleavings {

using ringbuffer::RingShape;

inline std::int64_t value_of(std::int64_t sequence) {
    return 1000 + 7 * sequence;
}

template <std::size_t kBytes>
struct Value {
    std::byte bytes[kBytes]{};

    Value() = default;
    explicit Value(std::int64_t value) {
        std::memcpy(bytes, &value, 8);
        std::memcpy(bytes + kBytes - 8, &value, 8);
    }
    std::int64_t whole() const {
        std::int64_t first = 0;
        std::int64_t last = 0;
        std::memcpy(&first, bytes, 8);
        std::memcpy(&last, bytes + kBytes - 8, 8);
        CHECK_EQUAL(first, last);
        return first;
    }
};

inline void report(const char* name, const Exploration& result) {
    std::cout << name << ": " << result.executions << " executions\n";
    CHECK_EQUAL(result.failure, std::string());
    CHECK(result.complete);
}

// One ring and what came of it.
template <class Ring, std::size_t kBytes>
struct Run {
    explicit Run(std::int64_t capacity) : ring(RingShape::checked(capacity, kBytes)) {}

    void push() {
        const Value<kBytes> record(value_of(accepted));
        if (ring.try_push(record.bytes)) ++accepted;
    }
    void push_many(std::int64_t count) {
        Value<kBytes> batch[4];
        for (std::int64_t i = 0; i < count; ++i) batch[i] = Value<kBytes>(value_of(accepted + i));
        accepted += ring.push_many(batch[0].bytes, count);
    }
    void pop() {
        Value<kBytes> record;
        if (!ring.try_pop(record.bytes)) return;
        got.push_back(record.whole());
    }
    void pop_many(std::int64_t max) {
        Value<kBytes> batch[4];
        const std::int64_t taken = ring.pop_many(batch[0].bytes, max);
        for (std::int64_t i = 0; i < taken; ++i) got.push_back(batch[i].whole());
    }
    void peek() {
        const std::byte* front = ring.front();
        if (front == nullptr) return;
        Value<kBytes> record;
        ModelMemory::read(record.bytes, front, kBytes);
        got.push_back(record.whole());
        ring.pop_front();
    }

    // What the consumer got is the first of what was accepted, whole and in order; the rest is still there.
    void check_all() {
        for (std::size_t before = 0; before != got.size() + 1;) {
            before = got.size() + 1;
            pop();
        }
        CHECK_EQUAL(static_cast<std::int64_t>(got.size()), accepted);
        for (std::size_t i = 0; i < got.size(); ++i) CHECK_EQUAL(got[i], value_of(static_cast<std::int64_t>(i)));
        CHECK_EQUAL(ring.pushed(), accepted);
        CHECK_EQUAL(ring.popped(), accepted);
        CHECK(ring.was_empty());
    }

    Ring ring;
    std::int64_t accepted = 0;
    std::vector<std::int64_t> got;
};

template <class Ring, std::size_t kBytes>
void singles(Execution& execution, int pushes, int pops) {
    Run<Ring, kBytes> run(2);
    execution.thread([&] {
        for (int i = 0; i < pushes; ++i) run.push();
    });
    execution.thread([&] {
        for (int i = 0; i < pops; ++i) run.pop();
    });
    execution.run();
    // Two slots: whatever the consumer does, the first two pushes fit, and no more than two beyond what was popped.
    CHECK(run.accepted >= std::min(pushes, 2));
    CHECK(run.accepted <= 2 + static_cast<std::int64_t>(run.got.size()));
    run.check_all();
}

template <class Ring, std::size_t kBytes>
void batches(Execution& execution, std::int64_t capacity, int pushes, int pops) {
    Run<Ring, kBytes> run(capacity);
    execution.thread([&] {
        for (int round = 0; round < pushes; ++round) run.push_many(3);
    });
    execution.thread([&] {
        for (int round = 0; round < pops; ++round) run.pop_many(3);
    });
    execution.run();
    CHECK(run.accepted >= capacity || run.accepted == 3 * pushes);
    CHECK(run.accepted <= capacity + static_cast<std::int64_t>(run.got.size()));
    run.check_all();
}

template <class Ring, std::size_t kBytes>
void peeks(Execution& execution, int pushes, int peeks) {
    Run<Ring, kBytes> run(2);
    execution.thread([&] {
        for (int i = 0; i < pushes; ++i) run.push();
    });
    execution.thread([&] {
        for (int i = 0; i < peeks; ++i) run.peek();
    });
    execution.run();
    run.check_all();
}

template <class Ring, std::size_t kBytes>
void observer(Execution& execution) {
    Run<Ring, kBytes> run(2);
    execution.thread([&] {
        for (int i = 0; i < 2; ++i) run.push();
    });
    execution.thread([&] { run.pop(); });
    execution.thread([&] { CHECK(run.ring.was_size() >= 0 && run.ring.was_size() <= 2); });
    execution.run();
}

// The producer may die at any step of its pushes; its heir goes on from what came through.
template <class Ring, std::size_t kBytes>
void producer_dies(Execution& execution, int pushes, int pops) {
    Run<Ring, kBytes> run(2);
    const ThreadId dying = execution.mortal([&] {
        for (int i = 0; i < pushes; ++i) run.push();
    });
    execution.heir(dying, [&] {
        run.ring.resume_producer();
        run.accepted = run.ring.pushed();
        run.push();
    });
    execution.thread([&] {
        for (int i = 0; i < pops; ++i) run.pop();
    });
    execution.run();
    run.check_all();
}

// The consumer may die at any step of its pops. What it had given back may be lost with it, one record at most; nothing
// comes twice.
template <class Ring, std::size_t kBytes>
void consumer_dies(Execution& execution, int pushes, int pops) {
    Run<Ring, kBytes> run(2);
    bool died = false;
    execution.thread([&] {
        for (int i = 0; i < pushes; ++i) run.push();
    });
    const ThreadId dying = execution.mortal([&] {
        for (int i = 0; i < pops; ++i) run.pop();
    });
    execution.heir(dying, [&] {
        died = true;
        run.ring.resume_consumer();
        run.pop();
    });
    execution.run();
    for (int i = 0; i < 3; ++i) run.pop();
    const auto lost = run.accepted - static_cast<std::int64_t>(run.got.size());
    CHECK(lost >= 0 && lost <= (died ? 1 : 0));
    for (std::size_t i = 1; i < run.got.size(); ++i) CHECK(run.got[i] > run.got[i - 1]);
    CHECK_EQUAL(run.ring.popped(), run.accepted);
}

}  // namespace fastmas::testing::interleavings
