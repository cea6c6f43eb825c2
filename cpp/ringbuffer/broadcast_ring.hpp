// A ring from one producer to any number of subscribers, each of which sees every record.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

#include "ringbuffer/broadcast_places.hpp"
#include "ringbuffer/sequence.hpp"
#include "ringbuffer/slots.hpp"
#include "ringbuffer/stream_rest.hpp"

namespace fastmas::ringbuffer {

// Guarantees: a subscriber sees every record from the one after its join to its leave, once, whole, in order. The
// producer never overwrites what a subscriber has not read: a full ring refuses, nothing is dropped. A producer or
// subscriber that died can be taken over where it was. Who may call what: publish_* and room() one thread at a time,
// the producer; a Subscriber one thread at a time, each its own; subscribe() any thread, at any time; was(),
// published() and the counters any thread. What takes a role over from the dead (resume_producer(), resume(),
// put_out()) is for whoever has been given that role since. Use it for one-to-many. A subscriber that stops reading
// stops the producer within one lap: watch lag(). Where the producer must not wait, take OverwritingRing or
// EvictingRing. Progress: publishing and polling are wait-free (the look for the slowest subscriber reads at most
// kPlaces places); subscribe() is lock-free, it retries only when another joined. An interrupted subscriber delays the
// producer once the ring is full; an interrupted subscribe() likewise, from the cursor it saw first.
template <class Memory = HardwareMemory, std::int64_t kPlaces = kMaxSubscribers>
class BroadcastRing {
  public:
    class Subscriber;

    static std::size_t body_bytes(RingShape shape) noexcept { return sizeof(Control) + shape.bytes(); }
    // Lays an empty ring down in zeroed memory that starts on a line.
    static void format(std::byte* body, RingShape) noexcept { new (body) Control; }

    // A ring of this process.
    explicit BroadcastRing(RingShape shape) : BroadcastRing(Block(body_bytes(shape)), shape) {}
    // A view of a ring that format() laid down and that outlives it: shared memory. Owns nothing, changes nothing.
    BroadcastRing(std::byte* body, RingShape shape) noexcept
        : places_(std::launder(reinterpret_cast<Control*>(body))), slots_(body + sizeof(Control), shape) {}
    BroadcastRing(const BroadcastRing&) = delete;
    BroadcastRing& operator=(const BroadcastRing&) = delete;
    ~BroadcastRing() = default;

    std::int64_t capacity() const noexcept { return slots_.capacity(); }
    std::size_t slot_bytes() const noexcept { return slots_.slot_bytes(); }

    // ---- producer

    bool try_publish(const std::byte* record) noexcept {
        auto& own = control().producer;
        if (own.next - own.gate >= capacity() && refreshed_room() == 0) return false;
        Memory::kill_point("publish: room seen");
        slots_.write_one(own.next, record);
        publish(1);
        return true;
    }

    // Publishes as many as fit, in order, and says how many: one publication for all of them.
    std::int64_t publish_many(const std::byte* records, std::int64_t count) noexcept {
        auto& own = control().producer;
        std::int64_t fits = capacity() - (own.next - own.gate);
        if (fits < count) fits = refreshed_room();
        const std::int64_t taken = std::min({count, fits, capacity()});  // whatever the positions say
        if (taken <= 0) return 0;
        Memory::kill_point("publish_many: room seen");
        slots_.write_many(own.next, records, taken);
        publish(taken);
        return taken;
    }

    // How many records fit now.
    std::int64_t room() noexcept { return refreshed_room(); }

    // Takes the role over from a producer that is gone, wherever it was: what it had not published never was. The
    // hand-over (the role's lock) has to order what it did before this.
    void resume_producer() noexcept {
        // [B12 relaxed] only the producer writes it, and the hand-over orders the last one's stores
        control().producer.next = control().cursor.published.load(std::memory_order_relaxed);
        refreshed_room();
    }

    // ---- any thread

    // Joins at the cursor: the first record seen is the next one published. An empty Subscriber when all places are
    // held.
    Subscriber subscribe() noexcept {
        for (std::int64_t place = 0; place < kPlaces; ++place) {
            if (Subscriber joined = subscribe(place, false); joined.joined()) return joined;
        }
        return Subscriber();
    }
    // The same at a place that the caller has taken the role of; empty when it is not vacant.
    Subscriber subscribe(std::int64_t place, bool required) noexcept {
        Sequence start = 0;
        return places_.join(place, required, start) ? Subscriber(*this, place, start, start) : Subscriber();
    }
    // Goes on exactly where the last holder of the place was, if that one died and was not put out; else empty.
    Subscriber resume(std::int64_t place, bool required) noexcept {
        Sequence next = 0, joined_at = 0;
        return places_.resume(place, required, next, joined_at) ? Subscriber(*this, place, joined_at, next)
                                                                : Subscriber();
    }
    // Puts out whoever died at this place; its role is the caller's.
    void put_out(std::int64_t place) noexcept { places_.put_out(place); }
    void vacate(std::int64_t place) noexcept { places_.vacate(place); }

    PlaceView was(std::int64_t place) const noexcept { return places_.was(place); }
    Sequence published() const noexcept { return places_.published(); }
    bool was_full() const noexcept { return published() - places_.was_slowest() >= capacity(); }
    std::int64_t evicted() const noexcept { return places_.evicted(); }

  private:
    using Control = BroadcastControl<Memory, kPlaces>;

    BroadcastRing(Block&& block, RingShape shape) : BroadcastRing(block.data(), shape) {
        format(block.data(), shape);
        block_ = std::move(block);
    }

    Control& control() const noexcept { return *places_.control(); }

    void publish(std::int64_t count) noexcept {
        auto& own = control().producer;
        const Sequence next = own.next + count;
        Memory::kill_point("publish: written");
        // [B1 release] pairs with [B1 acquire] in Subscriber::refreshed_available(): who sees the cursor sees the
        // records below it. Linearization point of a publication.
        control().cursor.published.store(next, std::memory_order_release);
        Memory::kill_point("publish: published");
        own.next = next;
    }

    std::int64_t refreshed_room() noexcept {
        auto& own = control().producer;
        own.gate = places_.slowest(own.next, [](std::int64_t, Sequence position) { return position; });
        return std::max<std::int64_t>(0, capacity() - (own.next - own.gate));
    }

    Block block_;
    BroadcastPlaces<Memory, kPlaces> places_;
    Slots<Memory> slots_;
};

// One subscriber's view of the ring, which must outlive it. Leaves when destroyed.
template <class Memory, std::int64_t kPlaces>
class BroadcastRing<Memory, kPlaces>::Subscriber : public HeldPlace<Memory, kPlaces> {
  public:
    Subscriber() noexcept = default;

    bool try_pop(std::byte* out) noexcept {
        if (next_ == seen_ && refreshed_available() == 0) return false;
        Memory::kill_point("pop: record seen");
        ring_->slots_.read_one(next_, out);
        give_back(1);
        return true;
    }

    // Copies up to `max` records, in order, and says how many: one index update for all of them.
    std::int64_t poll(std::byte* out, std::int64_t max) noexcept {
        std::int64_t there = seen_ - next_;
        if (there < max) there = refreshed_available();
        const std::int64_t taken = std::min({max, there, ring_->capacity()});  // whatever the positions say
        if (taken <= 0) return 0;
        Memory::kill_point("poll: records seen");
        ring_->slots_.read_many(next_, out, taken);
        give_back(taken);
        return taken;
    }

    // How many records can be read now.
    std::int64_t available() noexcept { return refreshed_available(); }

    // The oldest unread record in place, or nullptr; it stays valid and unchanged until pop_front().
    const std::byte* front() noexcept {
        if (next_ == seen_ && refreshed_available() == 0) return nullptr;
        return ring_->slots_.at(next_);
    }
    // For a subscriber whose producer stands still while it looks, as threads of one interpreter do: then a look away
    // from a stream is time lost.
    void never_rest() noexcept { longest_rest_ = 0; }

    // The sequence that front() shows.
    Sequence next_to_pop() const noexcept { return next_; }
    // Only after front() gave a record.
    void pop_front() noexcept { give_back(1); }

    // Exact, and nothing in between is ever lost: received() == next_to_pop() - joined_at(). May be called after
    // leave().
    std::int64_t received() const noexcept { return next_ - this->joined_at(); }
    // How far behind the producer this subscriber was; at capacity() the producer is stopped.
    std::int64_t lag() const noexcept { return std::max<std::int64_t>(0, ring_->published() - next_); }

  private:
    friend class BroadcastRing;
    Subscriber(BroadcastRing& ring, std::int64_t place, Sequence joined_at, Sequence next) noexcept
        : HeldPlace<Memory, kPlaces>(ring.places_, place, joined_at), ring_(&ring), next_(next), seen_(next) {}

    std::int64_t refreshed_available() noexcept {
        // [B1 acquire] pairs with [B1 release] in publish(): the records below it are written.
        seen_ = ring_->control().cursor.published.load(std::memory_order_acquire);
        if (seen_ == next_) rest_.template nothing_at<Memory>(next_, longest_rest_);
        return seen_ - next_;
    }

    void give_back(std::int64_t count) noexcept {
        const Sequence next = next_ + count;
        Memory::kill_point("pop: read");
        // [B2 release] pairs with [B2 acquire] in slowest(): our reads of a slot end before it is overwritten.
        ring_->control().places[this->place()].consumed.store(next, std::memory_order_release);
        Memory::kill_point("pop: given back");
        next_ = next;
    }

    BroadcastRing* ring_ = nullptr;
    Sequence next_ = 0;
    Sequence seen_ = 0;
    StreamRest rest_;
    int longest_rest_ = StreamRest::kLongest;
};

}  // namespace fastmas::ringbuffer
