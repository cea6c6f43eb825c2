// A ring from many producers to one consumer.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ringbuffer/multi_ring.hpp"

namespace fastmas::ringbuffer {

// Guarantees: every record that a push accepted is popped once, whole, and those of one producer in their order. A push
// that finds no room changes nothing. A participant may be killed at any instruction: once its death is known and
// recover_producer() was called the others go on; a record that it had claimed and not published is passed over and
// counted in skipped(); one that it had published is popped, whether or not its push returned: that is for the producer
// to find out. A killed consumer is replaced by simply going on: nothing that a pop returned comes again.
// Who may call what: push_* any thread with a producer id of its own; pop_*, front() one thread at a time, the
// consumer; recover_* see MultiRing; the rest any thread.
// Use it to gather what many send. For several consumers take MpmcRing, for one producer SpscRing: it is faster.
// Progress: pushing is lock-free, popping wait-free but for skipped records. An interrupted producer delays the
// consumer from its claim to its publication; an interrupted consumer delays producers once the ring is full.
template <class Memory = HardwareMemory>
class MpscRing : public MultiRing<Memory> {
    using Base = MultiRing<Memory>;

  public:
    explicit MpscRing(RingShape shape) : Base(shape) {}
    MpscRing(std::byte* body, RingShape shape) noexcept : Base(body, shape) {}

    bool try_pop(std::byte* out) noexcept { return pop_many(out, 1) == 1; }

    // Pops up to `max` records and says how many: one update of the position for all of them.
    std::int64_t pop_many(std::byte* out, std::int64_t max) noexcept {
        const auto& slots = this->slots();
        Sequence next = this->seen_head();
        std::int64_t popped = 0;
        while (popped < max && find_published(next)) {
            slots.read(next, out + static_cast<std::size_t>(popped) * slots.slot_bytes());
            Memory::kill_point("pop.read");
            slots.give_back(next);
            Memory::kill_point("pop.given_back");
            ++next;
            ++popped;
        }
        move_to(next);
        if (popped == 0) this->control()->rest.template nothing_at<Memory>(next, longest_rest_);
        return popped;
    }

    // The oldest record in place, or nullptr; it stays valid and unchanged until pop_front().
    const std::byte* front() noexcept {
        Sequence next = this->seen_head();
        const bool found = find_published(next);
        move_to(next);
        if (!found) this->control()->rest.template nothing_at<Memory>(next, longest_rest_);
        return found ? this->slots().record(next) : nullptr;
    }
    // For a consumer whose producers stand still while it looks, as threads of one interpreter do: then a look away
    // from a stream is time lost.
    void never_rest() noexcept { longest_rest_ = 0; }

    // The sequence that front() shows.
    Sequence next_to_pop() const noexcept { return this->seen_head(); }
    // Only after front() gave a record.
    void pop_front() noexcept {
        const Sequence next = this->seen_head();
        this->slots().give_back(next);
        Memory::kill_point("pop.given_back");
        move_to(next + 1);
    }

    // Nothing is left to do after a consumer's death: the slots say how far it had come.
    std::int64_t recover_consumer(std::int32_t) noexcept { return 0; }

  private:
    // Moves `next` over skipped records, and over what a consumer gave back that was killed before it had noted it.
    bool find_published(Sequence& next) noexcept {
        const Sequence first = next;
        while (true) {
            const std::uint64_t word = this->slots().look_inside(next);
            if (word == SlotWord::of(next, SlotState::published)) [[likely]]
                return true;
            if (word == SlotWord::of(next, SlotState::skipped)) {
                this->pass_skipped(next);
                ++next;
            } else if (!Base::follow(next, first, SlotWord::ahead(word, next) - this->capacity() + 1)) {
                return false;
            }
        }
    }

    void move_to(Sequence next) noexcept {
        // [M8 relaxed] only the consumer reads it to go by, and the slots correct it; others show it
        this->control()->head.store(next, std::memory_order_relaxed);
    }

    int longest_rest_ = StreamRest::kLongest;
};

}  // namespace fastmas::ringbuffer
