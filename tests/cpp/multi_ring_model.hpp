// One run of a few producers and consumers on the model of memory: what went in, what came out, and what must hold of
// it afterwards, whoever stopped for ever on the way.
#pragma once

#include <cstring>
#include <iostream>
#include <map>
#include <vector>

#include "check.hpp"
#include "explore.hpp"
#include "ringbuffer/mpmc_ring.hpp"
#include "ringbuffer/mpsc_ring.hpp"

namespace fastmas::testing {

using ringbuffer::RingShape;
using ModelMpsc = ringbuffer::MpscRing<ModelMemory>;
using ModelMpmc = ringbuffer::MpmcRing<ModelMemory>;

// Under a sanitizer an execution is slow and shows nothing that the plain build does not, a death costs a fiber.
constexpr int most(int preemptions) {
    return kMostPreemptions < 0 ? preemptions : 0;
}
inline constexpr std::uint64_t kRandom = kMostPreemptions < 0 ? 20'000 : 200;

inline bool pop_with(ModelMpsc& ring, std::int32_t, std::byte* out) {
    return ring.try_pop(out);
}
inline bool pop_with(ModelMpmc& ring, std::int32_t consumer, std::byte* out) {
    return ring.try_pop(consumer, out);
}
inline std::int64_t pop_many_with(ModelMpsc& ring, std::int32_t, std::byte* out, std::int64_t max) {
    return ring.pop_many(out, max);
}
inline std::int64_t pop_many_with(ModelMpmc& ring, std::int32_t consumer, std::byte* out, std::int64_t max) {
    return ring.pop_many(consumer, out, max);
}

inline void report(const char* name, const Exploration& result) {
    std::cout << name << ": " << result.executions << " executions\n";
    CHECK_EQUAL(result.failure, std::string());
    CHECK(result.complete);
}

template <class Ring>
class MultiRun {
  public:
    static constexpr std::int32_t kIds = 4;
    static constexpr std::int32_t kLast = 3;  // the id of the test itself, which drains the ring at the end

    explicit MultiRun(std::int64_t capacity)
        : shape(RingShape::checked(capacity, 8)),
          block(formatted(shape)),
          ring(block.data(), shape),
          slots(block.data() + sizeof(ringbuffer::MultiControl<ModelMemory>), shape) {}

    // A record is a function of its producer and of how many that producer pushed before.
    static std::int64_t value_of(std::int32_t producer, std::int64_t number) { return 1000 * (producer + 1) + number; }

    bool push(std::int32_t producer) { return push_many(producer, 1) == 1; }

    std::int64_t push_many(std::int32_t producer, std::int64_t count) {
        std::int64_t values[8];
        std::int64_t& number = tried[producer];
        for (std::int64_t i = 0; i < count; ++i) values[i] = value_of(producer, number + i);
        // Should this producer be killed, the records of the call may or may not have gone in.
        in_doubt[producer] = count;
        const std::int64_t taken = ring.push_many(producer, reinterpret_cast<const std::byte*>(values), count);
        in_doubt[producer] = 0;
        number += taken;
        return taken;
    }

    bool pop(std::int32_t consumer) { return pop_many(consumer, 1) == 1; }

    std::int64_t pop_many(std::int32_t consumer, std::int64_t max) {
        std::int64_t values[8] = {};
        in_hand[consumer] = max;
        const std::int64_t taken = pop_many_with(ring, consumer, reinterpret_cast<std::byte*>(values), max);
        in_hand[consumer] = 0;
        for (std::int64_t i = 0; i < taken; ++i) got[consumer].push_back(values[i]);
        return taken;
    }

    // After run(): everything still in the ring comes out, all counts agree, and the ring is as good as new.
    void check_all() {
        while (pop(kLast)) {
        }
        std::map<std::int64_t, int> seen;
        std::int64_t delivered = 0;
        for (const auto& values : got) {
            std::map<std::int64_t, std::int64_t> last;
            for (const std::int64_t value : values) {
                CHECK_EQUAL(++seen[value], 1);
                const std::int64_t producer = value / 1000 - 1;
                CHECK(producer >= 0 && producer < kIds);
                CHECK(value % 1000 < tried[producer] + in_doubt[producer]);
                // Of one producer, in order.
                const auto before = last.find(producer);
                CHECK(before == last.end() || before->second < value);
                last[producer] = value;
                ++delivered;
            }
        }
        std::int64_t accepted = 0;
        std::int64_t doubtful = 0;
        std::int64_t vanished_at_most = 0;  // in the hands of consumers that were killed in a pop
        for (std::int32_t id = 0; id < kIds; ++id) {
            accepted += tried[id];
            doubtful += in_doubt[id];
            vanished_at_most += in_hand[id];
        }
        CHECK_EQUAL(ring.pushed(), ring.popped() + ring.lost());
        CHECK_EQUAL(ring.was_size(), 0);
        CHECK(ring.pushed() >= accepted && ring.pushed() <= accepted + doubtful);
        CHECK(ring.skipped() <= doubtful);
        CHECK(ring.lost() <= vanished_at_most);
        CHECK(ring.popped() >= delivered && ring.popped() + ring.lost() <= delivered + vanished_at_most);
        if (vanished_at_most == 0) {
            CHECK_EQUAL(ring.popped(), delivered);
            for (std::int32_t id = 0; id < kIds; ++id)
                for (std::int64_t i = 0; i < tried[id]; ++i) CHECK_EQUAL(seen[value_of(id, i)], 1);
        }
        CHECK(!ring.delays_pop().has_value());
        check_usable();
    }

    RingShape shape;
    ringbuffer::Block block;
    Ring ring;
    ringbuffer::OwnedSlots<ModelMemory> slots;  // for what a killed participant would have done to one
    std::int64_t tried[kIds] = {};              // pushed by each producer, for certain
    std::int64_t in_doubt[kIds] = {};           // in the call that it was killed in
    std::int64_t in_hand[kIds] = {};            // wanted by the pop that a consumer was killed in
    std::vector<std::int64_t> got[kIds];

  private:
    static ringbuffer::Block formatted(RingShape shape) {
        ringbuffer::Block block(Ring::body_bytes(shape));
        Ring::format(block.data(), shape);
        return block;
    }

    // A lap in, a lap out.
    void check_usable() {
        for (std::int64_t i = 0; i < ring.capacity(); ++i) {
            const std::int64_t value = 9000 + i;
            CHECK(ring.try_push(kLast, reinterpret_cast<const std::byte*>(&value)));
        }
        const std::int64_t one_more = 0;
        CHECK(!ring.try_push(kLast, reinterpret_cast<const std::byte*>(&one_more)));
        CHECK(ring.was_full());
        for (std::int64_t i = 0; i < ring.capacity(); ++i) {
            std::int64_t value = 0;
            CHECK(pop_with(ring, kLast, reinterpret_cast<std::byte*>(&value)));
            CHECK_EQUAL(value, 9000 + i);
        }
        CHECK(ring.was_empty());
    }
};

}  // namespace fastmas::testing
