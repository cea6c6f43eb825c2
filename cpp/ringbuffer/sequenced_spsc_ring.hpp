// A ring between one producer and one consumer, for single messages.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <type_traits>
#include <utility>

#include "ringbuffer/sequence.hpp"
#include "ringbuffer/sequenced_slots.hpp"
#include "ringbuffer/slots.hpp"
#include "ringbuffer/stream_rest.hpp"

namespace fastmas::ringbuffer {

// What the two sides share, besides the slots that follow it. No pointers.
template <class Memory>
struct SequencedSpscControl {
    template <class T>
    using Atom = typename Memory::template Atom<T>;

    struct alignas(kLineBytes) Producer {
        Sequence next = 0;         // the sequence to be pushed next
        Atom<Sequence> pushed{0};  // the same, for others to see
        Sequence seen = 0;         // how far the consumer was when last looked at: it can only have got further
    };
    struct alignas(kLineBytes) Consumer {
        Sequence next = 0;         // the sequence to be popped next
        Atom<Sequence> popped{0};  // the same, for others to see: exact
        Sequence shown = 0;        // what `consumed` says
        StreamRest rest;
    };

    Producer producer;
    Consumer consumer;
    alignas(kLineBytes) Atom<Sequence> consumed{0};  // everything below may be overwritten; behind by a few slots
};

// Guarantees and who may call what: as SpscRing. It differs in the layout: no index of the producer's is read by the
// consumer, so a message is there as soon as its own lines are, and a push is seen by nobody but who looks at its slot.
// Use it where messages go one at a time; where they go in batches SpscRing copies them in one piece, and lends its
// slots. A slot takes whole lines: 64 bytes for records of up to 56, 128 for up to 112.
// Progress: wait-free, both sides.
template <class Memory = HardwareMemory>
class SequencedSpscRing {
  public:
    static std::size_t body_bytes(RingShape shape) noexcept {
        return sizeof(Control) + SequencedSlots<Memory>::bytes(shape);
    }
    // Lays an empty ring down in zeroed memory that starts on a line.
    static void format(std::byte* body, RingShape shape) noexcept {
        new (body) Control;
        SequencedSlots<Memory>::format(body + sizeof(Control), shape);
    }

    // A ring of this process.
    explicit SequencedSpscRing(RingShape shape) : SequencedSpscRing(Block(body_bytes(shape)), shape) {}
    // A view of a ring that format() laid down and that outlives it: shared memory. Owns nothing, changes nothing.
    SequencedSpscRing(std::byte* body, RingShape shape) noexcept
        : control_(std::launder(reinterpret_cast<Control*>(body))),
          slots_(body + sizeof(Control), shape),
          // A small part of a lap: the producer rarely waits for it, and rarely has to fetch it.
          show_every_(std::max<std::int64_t>(1, shape.capacity / 8)) {}
    SequencedSpscRing(const SequencedSpscRing&) = delete;
    SequencedSpscRing& operator=(const SequencedSpscRing&) = delete;
    ~SequencedSpscRing() = default;

    std::int64_t capacity() const noexcept { return slots_.capacity(); }
    std::size_t slot_bytes() const noexcept { return slots_.slot_bytes(); }

    // ---- producer

    bool try_push(const std::byte* record) noexcept {
        const Sequence next = control_->producer.next;
        if (next - control_->producer.seen >= capacity() && room_at_least(next, 1) == 0) [[unlikely]]
            return false;
        Memory::kill_point("push: room seen");
        slots_.write(next, record);
        Memory::kill_point("push: published");
        note_pushed(next + 1);
        return true;
    }

    // Pushes as many as fit, in order, and says how many. Each is published on its own.
    std::int64_t push_many(const std::byte* records, std::int64_t count) noexcept {
        const Sequence next = control_->producer.next;
        std::int64_t fits = capacity() - (next - control_->producer.seen);
        if (fits < count) fits = room_at_least(next, count);
        const std::int64_t taken = std::min(count, fits);
        if (taken <= 0) return 0;
        Memory::kill_point("push_many: room seen");
        for (std::int64_t i = 0; i < taken; ++i) {
            slots_.write(next + i, records + static_cast<std::size_t>(i) * slot_bytes());
            Memory::kill_point("push_many: one published");
        }
        note_pushed(next + taken);
        return taken;
    }

    // How many records fit now; more may fit later, never fewer.
    std::int64_t room() noexcept { return room_at_least(control_->producer.next, capacity()); }

    // Takes the role over from a producer that is gone, wherever it was: goes on after the last record that is
    // complete in its slot. The hand-over (the role's lock) has to order what the last one did before this.
    void resume_producer() noexcept {
        // From where the consumer is: what lies there is this lap's, whatever the last producer noted.
        Sequence next = exactly_consumed();
        while (slots_.holds(next)) ++next;
        note_pushed(next);
        room_at_least(next, capacity());
    }

    // ---- consumer

    bool try_pop(std::byte* out) noexcept {
        const Sequence next = control_->consumer.next;
        if (!slots_.holds(next)) {
            show_empty(next);
            return false;
        }
        Memory::kill_point("pop: record seen");
        slots_.read(next, out);
        Memory::kill_point("pop: read");
        give_back_up_to(next + 1);
        return true;
    }

    // Pops up to `max` records, in order, and says how many.
    std::int64_t pop_many(std::byte* out, std::int64_t max) noexcept {
        const Sequence next = control_->consumer.next;
        std::int64_t taken = 0;
        for (; taken < max && slots_.holds(next + taken); ++taken)
            slots_.read(next + taken, out + static_cast<std::size_t>(taken) * slot_bytes());
        if (taken == 0) {
            if (max > 0) show_empty(next);
            return 0;
        }
        Memory::kill_point("pop_many: read");
        give_back_up_to(next + taken);
        return taken;
    }

    // How many records can be popped now, counted up to `most`; more may come, never fewer.
    std::int64_t available(std::int64_t most = std::numeric_limits<std::int64_t>::max()) noexcept {
        const Sequence next = control_->consumer.next;
        std::int64_t there = 0;
        while (there < most && slots_.holds(next + there)) ++there;
        if (there == 0) show_empty(next);
        return there;
    }

    // The oldest record in place, or nullptr; it stays valid and unchanged until pop_front().
    const std::byte* front() noexcept {
        const Sequence next = control_->consumer.next;
        if (slots_.holds(next)) [[likely]]
            return slots_.at(next);
        show_empty(next);
        return nullptr;
    }

    // For a consumer whose producer stands still while it looks, as threads of one interpreter do: then a look away
    // from a stream is time lost.
    void never_rest() noexcept { longest_rest_ = 0; }

    // The sequence that front() shows.
    Sequence next_to_pop() const noexcept { return control_->consumer.next; }

    // Gives the slot that front() showed back to the producer; only after front() gave a record.
    void pop_front() noexcept {
        Memory::kill_point("pop: read");
        give_back_up_to(control_->consumer.next + 1);
    }

    // Takes the role over from a consumer that is gone, wherever it was: goes on after the last record that it gave
    // back, so nothing comes twice. The hand-over has to order what it did before this.
    void resume_consumer() noexcept {
        auto& own = control_->consumer;
        // [Q7 relaxed] only the consumer writes it, and the hand-over orders the last one's stores
        own.next = own.popped.load(std::memory_order_relaxed);
        show(own.next);
    }

    // ---- any thread: what was true a moment ago

    Sequence pushed() const noexcept {
        return control_->producer.pushed.load(
            std::memory_order_relaxed);  // [Q5 relaxed] a count to show; no slot is read
    }
    Sequence popped() const noexcept {
        // [Q6 relaxed] a count to show; no slot is written
        return control_->consumer.popped.load(std::memory_order_relaxed);
    }
    // Reads `popped` first: the other order could show more records than were ever in the ring. A push is in its slot
    // before it is in the count, so fewer than none are possible, and shown as none.
    std::int64_t was_size() const noexcept {
        const Sequence out = popped();
        return std::clamp<std::int64_t>(pushed() - out, 0, capacity());
    }
    // Whether a record was there, by the slot's own lines only: for who waits in a loop.
    bool was_readable() const noexcept { return slots_.holds(popped()); }
    bool was_empty() const noexcept { return was_size() == 0; }
    bool was_full() const noexcept { return was_size() == capacity(); }

  private:
    using Control = SequencedSpscControl<Memory>;

    SequencedSpscRing(Block&& block, RingShape shape) noexcept : SequencedSpscRing(formatted(block, shape), shape) {
        block_ = std::move(block);
    }
    static std::byte* formatted(Block& block, RingShape shape) noexcept {
        format(block.data(), shape);
        return block.data();
    }

    void note_pushed(Sequence next) noexcept {
        control_->producer.next = next;
        // [Q5 relaxed] a count for others to show; the slots' words publish
        control_->producer.pushed.store(next, std::memory_order_relaxed);
    }

    void give_back_up_to(Sequence next) noexcept {
        // [Q3 release] pairs with [Q3 acquire] in exactly_consumed(): our reads of a slot end before it is overwritten.
        // Linearization point of a pop: who replaces us goes on from here.
        control_->consumer.popped.store(next, std::memory_order_release);
        Memory::kill_point("pop: given back");
        control_->consumer.next = next;
        if (next - control_->consumer.shown >= show_every_) show(next);
    }

    void show(Sequence next) noexcept {
        control_->consumer.shown = next;
        // [Q4 release] pairs with [Q4 acquire] in room_at_least(): our reads of a slot end before it is overwritten.
        control_->consumed.store(next, std::memory_order_release);
        Memory::kill_point("pop: shown");
    }

    // Nothing is there: shows the producer all the room there is, since we may be about to sleep.
    void show_empty(Sequence next) noexcept {
        if (control_->consumer.shown != next) show(next);
        control_->consumer.rest.template nothing_at<Memory>(next, longest_rest_);
    }

    Sequence exactly_consumed() const noexcept {
        // [Q3 acquire] pairs with [Q3 release] in give_back_up_to(): the consumer is done with every slot below it.
        return control_->consumer.popped.load(std::memory_order_acquire);
    }

    // How much room there is; exact when it is less than `wanted`. The consumer's own line is read only then, so that
    // it need not be fetched back for each pop.
    std::int64_t room_at_least(Sequence next, std::int64_t wanted) noexcept {
        auto& own = control_->producer;
        // [Q4 acquire] pairs with [Q4 release] in show(): the consumer is done with every slot below it.
        own.seen = std::max(own.seen, control_->consumed.load(std::memory_order_acquire));
        if (capacity() - (next - own.seen) < wanted) own.seen = exactly_consumed();
        return capacity() - (next - own.seen);
    }

    Block block_;  // of a ring that owns its memory
    Control* control_;
    SequencedSlots<Memory> slots_;
    std::int64_t show_every_;
    int longest_rest_ = StreamRest::kLongest;

    static_assert(std::is_trivially_destructible_v<Control>, "nobody ends the life of a ring in shared memory");
};

static_assert(sizeof(SequencedSpscControl<HardwareMemory>) == 3 * kLineBytes,
              "each side's own line, and the shared one");

}  // namespace fastmas::ringbuffer
