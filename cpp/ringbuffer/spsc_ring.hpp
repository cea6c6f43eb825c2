// A ring between one producer and one consumer.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>

#include "ringbuffer/sequence.hpp"
#include "ringbuffer/slots.hpp"

namespace fastmas::ringbuffer {

// What the two sides share, besides the slots that follow it. No pointers: it means the same in every process.
template <class Memory>
struct SpscControl {
    template <class T>
    using Atom = typename Memory::template Atom<T>;

    // Each side's own line: only that side touches it, so a push that has room costs one store others can see.
    struct alignas(kLineBytes) Side {
        Sequence next = 0;  // the sequence this side handles next
        Sequence seen = 0;  // the other side's index when last looked at: it can only have grown since
    };

    Side producer;
    Side consumer;
    alignas(kLineBytes) Atom<Sequence> published{0};  // records pushed: everything below may be read
    alignas(kLineBytes) Atom<Sequence> consumed{0};   // records popped: everything below may be overwritten
};

// Guarantees: every record that a push accepted is popped once, whole, in order. A push that finds no room says so and
// changes nothing: nothing is dropped or overwritten.
// Who may call what: push_* and room() one thread at a time, the producer; pop_*, front() and available() one thread at
// a time, the consumer; was_*() and the counters any thread. A side may move to another thread if the hand-over
// synchronises (a join, a mutex).
// Use it for one-to-one hops. For several readers take BroadcastRing.
// Progress: wait-free, both sides; an interrupted thread delays only the records it has not yet published or the slots
// it has not yet given back. Cost: one copy and one store a push or pop; the peer's line is read once a lap at best.
template <class Memory = HardwareMemory>
class SpscRing {
  public:
    explicit SpscRing(RingShape shape)
        : block_(sizeof(Control) + shape.bytes()),
          control_(new (block_.data()) Control),
          slots_(block_.data() + sizeof(Control), shape) {}
    SpscRing(const SpscRing&) = delete;
    SpscRing& operator=(const SpscRing&) = delete;
    ~SpscRing() { control_->~Control(); }

    std::int64_t capacity() const noexcept { return slots_.capacity(); }
    std::size_t slot_bytes() const noexcept { return slots_.slot_bytes(); }

    // ---- producer

    bool try_push(const std::byte* record) noexcept {
        auto& own = control_->producer;
        if (own.next - own.seen >= capacity() && refreshed_room() == 0) return false;
        slots_.write_one(own.next, record);
        publish(own.next + 1);
        return true;
    }

    // Pushes as many as fit, in order, and says how many: one publication for all of them.
    std::int64_t push_many(const std::byte* records, std::int64_t count) noexcept {
        auto& own = control_->producer;
        std::int64_t fits = capacity() - (own.next - own.seen);
        if (fits < count) fits = refreshed_room();
        const std::int64_t taken = std::min(count, fits);
        if (taken <= 0) return 0;
        slots_.write_many(own.next, records, taken);
        publish(own.next + taken);
        return taken;
    }

    // How many records fit now; more may fit later, never fewer.
    std::int64_t room() noexcept { return refreshed_room(); }

    // ---- consumer

    bool try_pop(std::byte* out) noexcept {
        auto& own = control_->consumer;
        if (own.next == own.seen && refreshed_available() == 0) return false;
        slots_.read_one(own.next, out);
        give_back(own.next + 1);
        return true;
    }

    // Pops up to `max` records, in order, and says how many: one index update for all of them.
    std::int64_t pop_many(std::byte* out, std::int64_t max) noexcept {
        auto& own = control_->consumer;
        std::int64_t there = own.seen - own.next;
        if (there < max) there = refreshed_available();
        const std::int64_t taken = std::min(max, there);
        if (taken <= 0) return 0;
        slots_.read_many(own.next, out, taken);
        give_back(own.next + taken);
        return taken;
    }

    // How many records can be popped now; more may come, never fewer.
    std::int64_t available() noexcept { return refreshed_available(); }

    // The oldest record in place, or nullptr; it stays valid and unchanged until pop_front().
    const std::byte* front() noexcept {
        auto& own = control_->consumer;
        if (own.next == own.seen && refreshed_available() == 0) return nullptr;
        return slots_.at(own.next);
    }

    // The sequence that front() shows.
    Sequence next_to_pop() const noexcept { return control_->consumer.next; }

    // Gives the slot that front() showed back to the producer; only after front() gave a record.
    void pop_front() noexcept { give_back(control_->consumer.next + 1); }

    // ---- any thread: what was true a moment ago

    Sequence pushed() const noexcept {
        return control_->published.load(std::memory_order_relaxed);  // [S3 relaxed] a count to show; no slot is read
    }
    Sequence popped() const noexcept {
        return control_->consumed.load(std::memory_order_relaxed);  // [S4 relaxed] a count to show; no slot is written
    }
    // Reads `popped` first: the other order could show more records than were ever in the ring, or fewer than none.
    std::int64_t was_size() const noexcept {
        const Sequence out = popped();
        return std::clamp<std::int64_t>(pushed() - out, 0, capacity());
    }
    bool was_empty() const noexcept { return was_size() == 0; }
    bool was_full() const noexcept { return was_size() == capacity(); }

  private:
    using Control = SpscControl<Memory>;

    void publish(Sequence next) noexcept {
        control_->producer.next = next;
        // [S1 release] pairs with [S1 acquire] in refreshed_available(): who sees the index sees the records below it.
        // Linearization point of a push.
        control_->published.store(next, std::memory_order_release);
    }

    void give_back(Sequence next) noexcept {
        control_->consumer.next = next;
        // [S2 release] pairs with [S2 acquire] in refreshed_room(): our reads of a slot end before it is overwritten.
        // Linearization point of a pop.
        control_->consumed.store(next, std::memory_order_release);
    }

    std::int64_t refreshed_room() noexcept {
        auto& own = control_->producer;
        // [S2 acquire] pairs with [S2 release] in give_back(): the consumer is done with every slot below it.
        own.seen = control_->consumed.load(std::memory_order_acquire);
        return capacity() - (own.next - own.seen);
    }

    std::int64_t refreshed_available() noexcept {
        auto& own = control_->consumer;
        // [S1 acquire] pairs with [S1 release] in publish(): the records below it are written.
        own.seen = control_->published.load(std::memory_order_acquire);
        return own.seen - own.next;
    }

    Block block_;
    Control* control_;
    Slots<Memory> slots_;
};

static_assert(sizeof(SpscControl<HardwareMemory>) == 4 * kLineBytes, "each index on a line of its own");
static_assert(offsetof(SpscControl<HardwareMemory>, consumed) % kLineBytes == 0);

}  // namespace fastmas::ringbuffer
