// A ring from many producers to many consumers, each record to one of them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ringbuffer/multi_ring.hpp"

namespace fastmas::ringbuffer {

// Guarantees: every record that a push accepted is popped at most once, whole; by each consumer those of one producer
// in their order. A push that finds no room changes nothing. A participant may be killed at any instruction: once its
// death is known and recover_producer() or recover_consumer() was called the others go on. A record that a killed
// producer had claimed and not published is passed over and counted in skipped(); one that it had published is popped,
// whether or not its push returned: that is for the producer to find out. What a killed consumer had taken and not
// given back is counted in lost() and given to nobody else. Who may call what: push_* any thread with a producer id of
// its own, pop_* any thread with a consumer id of its own; recover_* see MultiRing; the rest any thread. Use it to
// share work among consumers. With one consumer take MpscRing, with one of each SpscRing. Progress: lock-free, both
// sides. An interrupted producer delays consumers from its claim to its publication; an interrupted consumer delays
// producers that have come round to the slot which it has taken.
template <class Memory = HardwareMemory>
class MpmcRing : public MultiRing<Memory> {
    using Base = MultiRing<Memory>;

  public:
    explicit MpmcRing(RingShape shape) : Base(shape) {}
    MpmcRing(std::byte* body, RingShape shape) noexcept : Base(body, shape) {}

    bool try_pop(std::int32_t consumer, std::byte* out) noexcept { return pop_many(consumer, out, 1) == 1; }

    // Pops up to `max` records and says how many, in the order of their pushes; others may take what is in between.
    std::int64_t pop_many(std::int32_t consumer, std::byte* out, std::int64_t max) noexcept {
        const auto& slots = this->slots();
        Sequence head = this->seen_head();
        Sequence sequence = head;
        std::int64_t popped = 0;
        while (popped < max && take(consumer, sequence)) {
            Memory::kill_point("pop.taken");
            if (popped == 0) this->raise_head(head, sequence + 1);
            Memory::kill_point("pop.raised");
            slots.read(sequence, out + static_cast<std::size_t>(popped) * slots.slot_bytes());
            Memory::kill_point("pop.read");
            slots.give_back(sequence);
            Memory::kill_point("pop.given_back");
            ++sequence;
            ++popped;
        }
        if (popped > 1) this->raise_head(head, sequence);
        return popped;
    }

    // Frees what the dead consumer had taken; says how many records are lost with it. See MultiRing on recovery.
    std::int64_t recover_consumer(std::int32_t consumer) noexcept {
        std::int64_t lost = 0;
        auto& count = this->control()->lost[static_cast<std::size_t>(consumer)];
        for (std::int64_t index = 0; index < this->capacity(); ++index) {
            lost += this->slots().forfeit(index, consumer, count) ? 1 : 0;
            Memory::kill_point("recover.forfeited");
        }
        return lost;
    }

  private:
    // Takes the first record from `sequence` on that no other consumer has; false when there is none.
    bool take(std::int32_t consumer, Sequence& sequence) noexcept {
        while (true) {
            const std::uint64_t word = this->find_untaken(sequence);
            if (word == SlotWord::of(sequence, SlotState::published)) {
                if (this->slots().take(sequence, consumer)) return true;
            } else if (word == SlotWord::of(sequence, SlotState::skipped)) {
                this->pass_skipped(sequence);
            } else {
                return false;
            }
        }
    }
};

}  // namespace fastmas::ringbuffer
