// A ring between one producer and one consumer.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>

#include "ringbuffer/sequence.hpp"
#include "ringbuffer/slots.hpp"
#include "ringbuffer/stream_rest.hpp"

namespace fastmas::ringbuffer {

// What the two sides share, besides the slots that follow it. No pointers: it means the same in every process.
template <class Memory>
struct SpscControl {
    template <class T>
    using Atom = typename Memory::template Atom<T>;

    // Each side's own line: only that side touches it, so a push that has room costs one store others can see.
    struct alignas(kLineBytes) Producer {
        Sequence next = 0;  // the sequence this side handles next
        Sequence seen = 0;  // the other side's index when last looked at: it can only have grown since
    };
    struct alignas(kLineBytes) Consumer {
        Sequence next = 0;
        Sequence seen = 0;
        StreamRest rest;
    };

    Producer producer;
    Consumer consumer;
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
    // Room for `count` records, or `count` records, in place and without a gap.
    struct Claim {
        std::byte* records;
        std::int64_t count;
    };
    struct Peek {
        const std::byte* records;
        std::int64_t count;
    };

    static std::size_t body_bytes(RingShape shape) noexcept { return sizeof(Control) + shape.bytes(); }
    // Lays an empty ring down in zeroed memory that starts on a line.
    static void format(std::byte* body, RingShape) noexcept { new (body) Control; }

    // A ring of this process.
    explicit SpscRing(RingShape shape) : SpscRing(Block(body_bytes(shape)), shape) {}
    // A view of a ring that format() laid down and that outlives it: shared memory. Owns nothing, changes nothing.
    SpscRing(std::byte* body, RingShape shape) noexcept
        : control_(std::launder(reinterpret_cast<Control*>(body))), slots_(body + sizeof(Control), shape) {}
    SpscRing(const SpscRing&) = delete;
    SpscRing& operator=(const SpscRing&) = delete;
    ~SpscRing() = default;

    std::int64_t capacity() const noexcept { return slots_.capacity(); }
    std::size_t slot_bytes() const noexcept { return slots_.slot_bytes(); }

    // ---- producer

    bool try_push(const std::byte* record) noexcept {
        auto& own = control_->producer;
        if (own.next - own.seen >= capacity() && refreshed_room() == 0) return false;
        Memory::kill_point("push: room seen");
        slots_.write_one(own.next, record);
        publish(1);
        return true;
    }

    // Pushes as many as fit, in order, and says how many: one publication for all of them.
    std::int64_t push_many(const std::byte* records, std::int64_t count) noexcept {
        auto& own = control_->producer;
        std::int64_t fits = capacity() - (own.next - own.seen);
        if (fits < count) fits = refreshed_room();
        const std::int64_t taken = std::min({count, fits, capacity()});  // whatever the positions say
        if (taken <= 0) return 0;
        Memory::kill_point("push_many: room seen");
        slots_.write_many(own.next, records, taken);
        publish(taken);
        return taken;
    }

    // Room for up to `count` records to be written in place, less where the ring wraps or is nearly full; none when it
    // is full. Nothing is published: a claim that is given up needs no call.
    Claim claim(std::int64_t count) noexcept {
        auto& own = control_->producer;
        std::int64_t fits = capacity() - (own.next - own.seen);
        if (fits < count) fits = refreshed_room();
        const std::int64_t taken = slots_.before_wrap(own.next, std::min(count, fits));
        if (taken <= 0) return {nullptr, 0};
        return {slots_.at(own.next), taken};
    }

    // Publishes the first `count` records of the last claim.
    void publish(std::int64_t count) noexcept {
        const Sequence next = control_->producer.next + count;
        Memory::kill_point("push: written");
        // [S1 release] pairs with [S1 acquire] in refreshed_available(): who sees the index sees the records below it.
        // Linearization point of a push.
        control_->published.store(next, std::memory_order_release);
        Memory::kill_point("push: published");
        control_->producer.next = next;
    }

    // Takes the role over from a producer that is gone, wherever it was: what it had not published never was. The
    // hand-over (the role's lock) has to order what it did before this.
    void resume_producer() noexcept {
        // [S5 relaxed] only the producer writes it, and the hand-over orders the last one's stores
        control_->producer.next = control_->published.load(std::memory_order_relaxed);
        refreshed_room();
    }

    // How many records fit now; more may fit later, never fewer.
    std::int64_t room() noexcept { return refreshed_room(); }

    // ---- consumer

    bool try_pop(std::byte* out) noexcept {
        auto& own = control_->consumer;
        if (own.next == own.seen && refreshed_available() == 0) return false;
        Memory::kill_point("pop: record seen");
        slots_.read_one(own.next, out);
        give_back(1);
        return true;
    }

    // Pops up to `max` records, in order, and says how many: one index update for all of them.
    std::int64_t pop_many(std::byte* out, std::int64_t max) noexcept {
        auto& own = control_->consumer;
        std::int64_t there = own.seen - own.next;
        if (there < max) there = refreshed_available();
        const std::int64_t taken = std::min({max, there, capacity()});  // whatever the positions say
        if (taken <= 0) return 0;
        Memory::kill_point("pop_many: records seen");
        slots_.read_many(own.next, out, taken);
        give_back(taken);
        return taken;
    }

    // Up to `max` of the oldest records in place, fewer where the ring wraps; they stay valid and unchanged until they
    // are given back.
    Peek peek(std::int64_t max) noexcept {
        auto& own = control_->consumer;
        std::int64_t there = own.seen - own.next;
        if (there < max) there = refreshed_available();
        const std::int64_t taken = slots_.before_wrap(own.next, std::min(max, there));
        if (taken <= 0) return {nullptr, 0};
        return {slots_.at(own.next), taken};
    }

    // Gives the slots of the first `count` records that peek() showed back to the producer.
    void give_back(std::int64_t count) noexcept {
        const Sequence next = control_->consumer.next + count;
        Memory::kill_point("pop: read");
        // [S2 release] pairs with [S2 acquire] in refreshed_room(): our reads of a slot end before it is overwritten.
        // Linearization point of a pop.
        control_->consumed.store(next, std::memory_order_release);
        Memory::kill_point("pop: given back");
        control_->consumer.next = next;
    }

    // Takes the role over from a consumer that is gone, wherever it was: goes on after the last record that it gave
    // back, so nothing comes twice. The hand-over has to order what it did before this.
    void resume_consumer() noexcept {
        // [S6 relaxed] only the consumer writes it, and the hand-over orders the last one's stores
        control_->consumer.next = control_->consumed.load(std::memory_order_relaxed);
        refreshed_available();
    }

    // How many records can be popped now; more may come, never fewer.
    std::int64_t available() noexcept { return refreshed_available(); }

    // The oldest record in place, or nullptr; it stays valid and unchanged until pop_front().
    const std::byte* front() noexcept {
        auto& own = control_->consumer;
        if (own.next == own.seen && refreshed_available() == 0) return nullptr;
        return slots_.at(own.next);
    }

    // For a consumer whose producer stands still while it looks, as threads of one interpreter do: then a look away
    // from a stream is time lost.
    void never_rest() noexcept { longest_rest_ = 0; }

    // The sequence that front() shows.
    Sequence next_to_pop() const noexcept { return control_->consumer.next; }

    // Gives the slot that front() showed back to the producer; only after front() gave a record.
    void pop_front() noexcept { give_back(1); }

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

    std::int64_t refreshed_room() noexcept {
        auto& own = control_->producer;
        // [S2 acquire] pairs with [S2 release] in give_back(): the consumer is done with every slot below it.
        own.seen = control_->consumed.load(std::memory_order_acquire);
        return capacity() - (own.next - own.seen);
    }

    // Inlined, whatever the compiler thinks of its size: a call would cost an empty front() more than all it does.
    [[gnu::always_inline]] std::int64_t refreshed_available() noexcept {
        auto& own = control_->consumer;
        // [S1 acquire] pairs with [S1 release] in publish(): the records below it are written.
        own.seen = control_->published.load(std::memory_order_acquire);
        if (own.seen == own.next) own.rest.template nothing_at<Memory>(own.next, longest_rest_);
        return own.seen - own.next;
    }

    SpscRing(Block&& block, RingShape shape) noexcept : SpscRing(formatted(block, shape), shape) {
        block_ = std::move(block);
    }
    static std::byte* formatted(Block& block, RingShape shape) noexcept {
        format(block.data(), shape);
        return block.data();
    }

    Block block_;  // of a ring that owns its memory
    Control* control_;
    Slots<Memory> slots_;
    int longest_rest_ = StreamRest::kLongest;

    static_assert(std::is_trivially_destructible_v<Control>, "nobody ends the life of a ring in shared memory");
};

static_assert(sizeof(SpscControl<HardwareMemory>) == 4 * kLineBytes, "each index on a line of its own");
static_assert(offsetof(SpscControl<HardwareMemory>, consumed) % kLineBytes == 0);

}  // namespace fastmas::ringbuffer
