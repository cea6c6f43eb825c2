// What MpscRing and MpmcRing share: many producers, each of whom may be killed at any instruction.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <utility>

#include "ringbuffer/owned_slots.hpp"
#include "ringbuffer/region.hpp"
#include "ringbuffer/sequence.hpp"
#include "ringbuffer/slots.hpp"
#include "ringbuffer/stream_rest.hpp"

namespace fastmas::ringbuffer {

// Where both sides are, besides what the slots themselves say. Every number here may lag behind the slots, never run
// ahead of them: whoever is killed before bringing it up to date delays nobody, the next one does it.
template <class Memory>
struct MultiControl {
    template <class T>
    using Atom = typename Memory::template Atom<T>;

    alignas(kLineBytes) Atom<Sequence> tail{0};                    // every sequence below was claimed
    alignas(kLineBytes) Atom<Sequence> head{0};                    // every sequence below was taken or passed
    StreamRest rest;                                               // of the consumer, where there is only one
    alignas(kLineBytes) Atom<std::uint64_t> skipped{0};            // TaggedCount
    std::array<std::atomic<std::uint64_t>, kMaxConsumers> lost{};  // TaggedCount, by consumer; only recoverers write
};

// The producers' side, the counters and recovery. Not used by itself.
// A producer is known by its id, 0 .. kMaxProducers - 1, one thread at a time.
template <class Memory>
class MultiRing {
  public:
    // What stands at the start of a region's body, and how it is made there; the memory must be zeroed.
    static std::size_t body_bytes(RingShape shape) noexcept {
        return sizeof(Control) + OwnedSlots<Memory>::bytes(shape);
    }
    static void format(std::byte* body, RingShape shape) {
        new (body) Control;
        OwnedSlots<Memory>::format(body + sizeof(Control), shape);
    }

    MultiRing(const MultiRing&) = delete;
    MultiRing& operator=(const MultiRing&) = delete;

    std::int64_t capacity() const noexcept { return slots_.capacity(); }
    std::size_t slot_bytes() const noexcept { return slots_.slot_bytes(); }

    // ---- a producer

    bool try_push(std::int32_t producer, const std::byte* record) noexcept {
        return push_many(producer, record, 1) == 1;
    }

    // Pushes as many as fit and says how many, in order; records of others may come in between.
    std::int64_t push_many(std::int32_t producer, const std::byte* records, std::int64_t count) noexcept {
        Sequence tail = seen_tail();
        Sequence sequence = tail;
        std::int64_t pushed = 0;
        while (pushed < count && claim(producer, sequence)) {
            Memory::kill_point("push.claimed");
            if (pushed == 0) raise_tail(tail, sequence + 1);
            Memory::kill_point("push.raised");
            slots_.write(sequence, records + static_cast<std::size_t>(pushed) * slot_bytes());
            Memory::kill_point("push.written");
            slots_.publish(sequence);
            Memory::kill_point("push.published");
            ++sequence;
            ++pushed;
        }
        if (pushed > 1) raise_tail(tail, sequence);
        return pushed;
    }

    // The producer or consumer that a refused push waited for, when it is one: what it holds no one else can free.
    // Nothing when the ring is full of records that nobody has read, or not full.
    std::optional<Role> delays_push() const noexcept {
        const std::uint64_t word = slots_.look(first_unclaimed());
        if (SlotWord::state(word) == SlotState::taken) return Role::consumer(SlotWord::owner(word));
        return delays_pop();
    }

    // ---- recovery: by one thread at a time for each participant, after its death is known; at any time otherwise,
    // and again after a recoverer was itself killed. O(capacity).

    // Turns the dead producer's claims into skipped records, which consumers pass over and count; says how many.
    std::int64_t recover_producer(std::int32_t producer) noexcept {
        std::int64_t abandoned = 0;
        for (std::int64_t index = 0; index < capacity(); ++index) {
            abandoned += slots_.abandon(index, producer) ? 1 : 0;
            Memory::kill_point("recover.abandoned");
        }
        return abandoned;
    }

    // ---- any thread: what was true a moment ago; exact when nothing is under way. pushed() == popped() + lost() +
    // was_size().

    // Records that were pushed. A claim under way counts, until its producer is known to be dead and it was skipped.
    std::int64_t pushed() const noexcept { return first_unclaimed() - skipped(); }
    // Records that were popped. One that a consumer has taken counts, until the consumer is known to be dead.
    std::int64_t popped() const noexcept {
        const Sequence head = first_untaken();
        const std::uint64_t counted = skipped_count();
        const auto passed = static_cast<std::int64_t>(TaggedCount::count(counted));
        return head - (TaggedCount::has(counted, head) ? passed - 1 : passed) - lost();
    }
    // Claims of producers that were killed before they published, passed over by a consumer.
    std::int64_t skipped() const noexcept { return static_cast<std::int64_t>(TaggedCount::count(skipped_count())); }
    // Records that had been taken by consumers that were killed before their pop returned.
    std::int64_t lost() const noexcept {
        std::int64_t sum = 0;
        for (const auto& count : control_->lost) {
            // [M7 relaxed] a count to show; no slot is touched
            sum += static_cast<std::int64_t>(TaggedCount::count(count.load(std::memory_order_relaxed)));
        }
        return sum;
    }
    std::int64_t was_size() const noexcept {
        const std::int64_t out = popped() + lost();
        return std::clamp<std::int64_t>(pushed() - out, 0, capacity());
    }
    bool was_empty() const noexcept { return was_size() == 0; }
    bool was_full() const noexcept { return was_size() == capacity(); }

    // Whether a push, or a pop, would find something to do; for who waits.
    bool was_pushable() const noexcept {
        Sequence sequence = seen_tail();
        return find_unclaimed(sequence);
    }
    bool was_poppable() const noexcept {
        Sequence sequence = seen_head();
        const std::uint64_t word = find_untaken(sequence);
        const SlotState state = SlotWord::state(word);
        return SlotWord::ahead(word, sequence) == 0 && (state == SlotState::published || state == SlotState::skipped);
    }

    // The producer whose claim a refused pop waited for, when there is one.
    std::optional<Role> delays_pop() const noexcept {
        Sequence head = seen_head();
        const std::uint64_t word = find_untaken(head);
        if (SlotWord::state(word) != SlotState::claimed || SlotWord::ahead(word, head) != 0) return std::nullopt;
        return Role::producer(SlotWord::owner(word));
    }

  protected:
    using Control = MultiControl<Memory>;

    // A view of a formatted body, which must outlive it.
    MultiRing(std::byte* body, RingShape shape) noexcept
        : control_(std::launder(reinterpret_cast<Control*>(body))), slots_(body + sizeof(Control), shape) {}
    // Owns its memory: for one process.
    explicit MultiRing(RingShape shape) : MultiRing(Block(body_bytes(shape)), shape) {}
    ~MultiRing() = default;

    // Moves `sequence` on to the first one that no consumer has taken or passed, and gives its slot's word.
    std::uint64_t find_untaken(Sequence& sequence) const noexcept {
        const Sequence first = sequence;
        while (true) {
            const std::uint64_t word = slots_.look(sequence);
            const std::int64_t ahead = SlotWord::ahead(word, sequence);
            std::int64_t steps = 0;
            if (SlotWord::state(word) == SlotState::taken && ahead >= 0) {
                steps = ahead + 1;
            } else if (ahead > 0) {
                steps = ahead - capacity() + 1;  // the lap before the word's has been given back
            }
            if (!follow(sequence, first, steps)) return word;
        }
    }

    // Goes on by so many, if it is forward and no farther from `first` than a ring's words lead. Each slot is then met
    // twice at most, whatever stands in it.
    static bool follow(Sequence& sequence, Sequence first, std::int64_t steps) noexcept {
        if (steps <= 0 || sequence - first > SlotWord::kFarthest - steps) return false;
        sequence += steps;
        return true;
    }

    // Passes over what a dead producer left there, or finds that another consumer did.
    void pass_skipped(Sequence sequence) noexcept {
        slots_.count_once(control_->skipped, sequence);
        Memory::kill_point("pop.counted");
        slots_.pass(sequence);
        Memory::kill_point("pop.passed");
    }

    // `seen`: what the mark was when last looked at.
    static void raise(typename Control::template Atom<Sequence>& mark, Sequence& seen, Sequence to) noexcept {
        while (seen < to) {
            // [M8 relaxed] a mark that lags is found out by the slots: nothing is read or written on its word alone.
            // [M8 relaxed] a failed try is repeated, unless others have come as far.
            if (mark.compare_exchange_weak(seen, to, std::memory_order_relaxed, std::memory_order_relaxed)) seen = to;
        }
    }
    void raise_head(Sequence& seen, Sequence to) noexcept { raise(control_->head, seen, to); }

    Control* control() const noexcept { return control_; }
    const OwnedSlots<Memory>& slots() const noexcept { return slots_; }
    Sequence seen_head() const noexcept {
        return control_->head.load(std::memory_order_relaxed);  // [M8 relaxed] a mark that lags is found out
    }

  private:
    MultiRing(Block block, RingShape shape) : MultiRing((format(block.data(), shape), block.data()), shape) {
        block_ = std::move(block);
    }

    Sequence seen_tail() const noexcept {
        return control_->tail.load(std::memory_order_relaxed);  // [M8 relaxed] a mark that lags is found out
    }
    void raise_tail(Sequence& seen, Sequence to) noexcept { raise(control_->tail, seen, to); }

    // Moves `sequence` on to the first one that nobody has claimed; says whether its slot is free. Claims have no gaps:
    // a sequence is claimed only by who has seen that the one before it was.
    bool find_unclaimed(Sequence& sequence) const noexcept {
        const Sequence first = sequence;
        while (true) {
            const std::uint64_t word = slots_.look(sequence);
            const std::int64_t ahead = SlotWord::ahead(word, sequence);
            if (ahead < 0) return false;
            std::int64_t steps = ahead + 1;
            if (SlotWord::state(word) == SlotState::free) {
                if (ahead == 0) return SlotWord::owner(word) == 0;  // as claim() will find it
                steps = ahead - capacity() + 1;                     // the lap before the word's is over
            }
            if (!follow(sequence, first, steps)) return false;
        }
    }

    // Claims the first sequence from `sequence` on that nobody has claimed; false when the ring is full.
    bool claim(std::int32_t producer, Sequence& sequence) noexcept {
        while (find_unclaimed(sequence))
            if (slots_.claim(sequence, producer)) return true;
        return false;
    }

    Sequence first_unclaimed() const noexcept {
        Sequence sequence = seen_tail();
        find_unclaimed(sequence);
        return sequence;
    }
    Sequence first_untaken() const noexcept {
        Sequence sequence = seen_head();
        find_untaken(sequence);
        return sequence;
    }

    std::uint64_t skipped_count() const noexcept {
        return control_->skipped.load(std::memory_order_relaxed);  // [M8 relaxed] a count to show; no slot is touched
    }

    Block block_;  // empty in a view
    Control* control_;
    OwnedSlots<Memory> slots_;
};

}  // namespace fastmas::ringbuffer
