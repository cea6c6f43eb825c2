// A ring from one producer to any number of subscribers, each of which sees every record.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>

#include "ringbuffer/sequence.hpp"
#include "ringbuffer/slots.hpp"

namespace fastmas::ringbuffer {

inline constexpr std::int64_t kMaxSubscribers = 64;

// What producer and subscribers share, besides the slots that follow it. No pointers.
template <class Memory>
struct BroadcastControl {
    template <class T>
    using Atom = typename Memory::template Atom<T>;

    // A place nobody holds: larger than any sequence, so the search for the slowest subscriber passes over it.
    static constexpr Sequence kVacant = std::numeric_limits<Sequence>::max();

    struct alignas(kLineBytes) Producer {
        Sequence next = 0;  // the sequence to be published next
        Sequence gate = 0;  // the slowest subscriber when last looked at
    };
    struct alignas(kLineBytes) Place {
        Atom<Sequence> consumed{kVacant};  // everything below may be overwritten, as far as this subscriber goes
    };

    Producer producer;
    alignas(kLineBytes) Atom<Sequence> published{0};   // the cursor: everything below may be read
    alignas(kLineBytes) Atom<std::int64_t> roster{0};  // places that were ever held are below it; see join()
    Place places[kMaxSubscribers];
};

// Guarantees: a subscriber sees every record from the one after its join to its leave, once, whole, in order. The
// producer never overwrites what a subscriber has not read: a full ring refuses, nothing is dropped.
// Who may call what: publish_* and room() one thread at a time, the producer; a Subscriber one thread at a time, each
// its own; subscribe() any thread, at any time; was_*(), published() any thread.
// Use it for one-to-many. A subscriber that stops reading stops the producer within one lap: watch lag().
// Progress: publishing and polling are wait-free (the look for the slowest subscriber reads at most kMaxSubscribers
// places); subscribe() is lock-free, it retries only when another joined. An interrupted subscriber delays the producer
// once the ring is full; an interrupted subscribe() likewise, from the cursor it saw first.
template <class Memory = HardwareMemory>
class BroadcastRing {
  public:
    class Subscriber;

    explicit BroadcastRing(RingShape shape)
        : block_(sizeof(Control) + shape.bytes()),
          control_(new (block_.data()) Control),
          slots_(block_.data() + sizeof(Control), shape) {}
    BroadcastRing(const BroadcastRing&) = delete;
    BroadcastRing& operator=(const BroadcastRing&) = delete;
    ~BroadcastRing() { control_->~Control(); }

    std::int64_t capacity() const noexcept { return slots_.capacity(); }
    std::size_t slot_bytes() const noexcept { return slots_.slot_bytes(); }

    // ---- producer

    bool try_publish(const std::byte* record) noexcept {
        auto& own = control_->producer;
        if (own.next - own.gate >= capacity() && refreshed_room() == 0) return false;
        slots_.write_one(own.next, record);
        advance_cursor(own.next + 1);
        return true;
    }

    // Publishes as many as fit, in order, and says how many: one publication for all of them.
    std::int64_t publish_many(const std::byte* records, std::int64_t count) noexcept {
        auto& own = control_->producer;
        std::int64_t fits = capacity() - (own.next - own.gate);
        if (fits < count) fits = refreshed_room();
        const std::int64_t taken = std::min(count, fits);
        if (taken <= 0) return 0;
        slots_.write_many(own.next, records, taken);
        advance_cursor(own.next + taken);
        return taken;
    }

    // How many records fit now.
    std::int64_t room() noexcept { return refreshed_room(); }

    // ---- any thread

    // Joins at the cursor: the first record seen is the next one published. An empty Subscriber when all places are
    // held.
    Subscriber subscribe() noexcept {
        for (std::int64_t place = 0; place < kMaxSubscribers; ++place) {
            Sequence start = 0;
            if (join(place, start)) return Subscriber(*this, place, start);
        }
        return Subscriber();
    }

    Sequence published() const noexcept {
        return control_->published.load(std::memory_order_relaxed);  // [B6 relaxed] a count to show; no slot is read
    }

  private:
    using Control = BroadcastControl<Memory>;

    void advance_cursor(Sequence next) noexcept {
        control_->producer.next = next;
        // [B1 release] pairs with [B1 acquire] in Subscriber::refreshed_available(): who sees the cursor sees the
        // records below it. Linearization point of a publication.
        control_->published.store(next, std::memory_order_release);
    }

    // Looks for the slowest subscriber. A subscriber that this look misses has not passed join()'s meeting on the
    // roster when we did, so it passes later, sees at least our cursor, and starts there: `gate` is never beyond the
    // cursor, so what we may overwrite now it does not need. One that is still joining shows an older cursor, which
    // only holds us back (room may even be negative then: it counts as none).
    std::int64_t refreshed_room() noexcept {
        auto& own = control_->producer;
        // [B3 acq_rel] pairs with [B3 acq_rel] in join(): read-modify-writes of one word have one order, so either we
        // see who joined or they see our cursor. A plain load could be satisfied before our last publication is
        // visible.
        const std::int64_t held = control_->roster.fetch_add(0, std::memory_order_acq_rel);
        Sequence gate = own.next;
        for (std::int64_t place = 0; place < held; ++place) {
            // [B2 acquire] pairs with [B2 release] in Subscriber::give_back(), join() and leave(): the subscriber is
            // done with every slot below it.
            gate = std::min(gate, control_->places[place].consumed.load(std::memory_order_acquire));
        }
        own.gate = gate;
        return std::max<std::int64_t>(0, capacity() - (own.next - gate));
    }

    bool join(std::int64_t place, Sequence& start) noexcept {
        auto& consumed = control_->places[place].consumed;
        // [B4 relaxed] any cursor, however old, holds the producer back far enough while we join.
        const Sequence provisional = control_->published.load(std::memory_order_relaxed);
        Sequence vacant = Control::kVacant;
        // [B5 acquire] pairs with [B5 release] in leave(): our own store below hands on to the producer that whoever
        // held this place before has done reading. [B7 relaxed] a failed try changes and reads nothing.
        if (!consumed.compare_exchange_strong(vacant, provisional, std::memory_order_acquire,
                                              std::memory_order_relaxed))
            return false;
        // [B8 relaxed] a first guess; the exchange below checks it.
        std::int64_t held = control_->roster.load(std::memory_order_relaxed);
        // [B3 acq_rel] pairs with [B3 acq_rel] in refreshed_room(): the meeting described there. It has to be a write
        // even if the roster stays as it is. [B7 relaxed] a failed try is repeated.
        while (!control_->roster.compare_exchange_weak(held, std::max(held, place + 1), std::memory_order_acq_rel,
                                                       std::memory_order_relaxed)) {
        }
        // [B9 relaxed] the meeting has made every publication before the producer's last look visible.
        start = control_->published.load(std::memory_order_relaxed);
        // [B2 release] pairs with [B2 acquire] in refreshed_room(): carries on what [B5 acquire] received.
        consumed.store(start, std::memory_order_release);
        return true;
    }

    void leave(std::int64_t place) noexcept {
        // [B2 release] pairs with [B2 acquire] in refreshed_room(), and [B5 release] with [B5 acquire] in join(): our
        // reads end before the producer overwrites, even if it first sees whoever takes this place.
        control_->places[place].consumed.store(Control::kVacant, std::memory_order_release);
    }

    Block block_;
    Control* control_;
    Slots<Memory> slots_;

    static_assert(sizeof(typename Control::Place) == kLineBytes, "subscribers do not write to one line");
};

// One subscriber's view of the ring, which must outlive it. Leaves when destroyed.
template <class Memory>
class BroadcastRing<Memory>::Subscriber {
  public:
    Subscriber() noexcept = default;
    Subscriber(Subscriber&& other) noexcept
        : ring_(other.ring_),
          place_(other.place_),
          joined_at_(other.joined_at_),
          next_(other.next_),
          seen_(other.seen_) {
        other.ring_ = nullptr;
    }
    Subscriber& operator=(Subscriber&& other) noexcept {
        if (this != &other) {
            leave();
            ring_ = other.ring_;
            place_ = other.place_;
            joined_at_ = other.joined_at_;
            next_ = other.next_;
            seen_ = other.seen_;
            other.ring_ = nullptr;
        }
        return *this;
    }
    ~Subscriber() { leave(); }

    bool joined() const noexcept { return ring_ != nullptr; }

    // Idempotent; afterwards only joined(), joined_at() and received() may be called.
    void leave() noexcept {
        if (ring_ != nullptr) ring_->leave(place_);
        ring_ = nullptr;
    }

    bool try_pop(std::byte* out) noexcept {
        if (next_ == seen_ && refreshed_available() == 0) return false;
        ring_->slots_.read_one(next_, out);
        give_back(next_ + 1);
        return true;
    }

    // Copies up to `max` records, in order, and says how many: one index update for all of them.
    std::int64_t poll(std::byte* out, std::int64_t max) noexcept {
        std::int64_t there = seen_ - next_;
        if (there < max) there = refreshed_available();
        const std::int64_t taken = std::min(max, there);
        if (taken <= 0) return 0;
        ring_->slots_.read_many(next_, out, taken);
        give_back(next_ + taken);
        return taken;
    }

    // How many records can be read now.
    std::int64_t available() noexcept { return refreshed_available(); }

    // The oldest unread record in place, or nullptr; it stays valid and unchanged until pop_front().
    const std::byte* front() noexcept {
        if (next_ == seen_ && refreshed_available() == 0) return nullptr;
        return ring_->slots_.at(next_);
    }
    // The sequence that front() shows.
    Sequence next_to_pop() const noexcept { return next_; }
    // Only after front() gave a record.
    void pop_front() noexcept { give_back(next_ + 1); }

    Sequence joined_at() const noexcept { return joined_at_; }
    // Exact, and nothing in between is ever lost: received() == next_to_pop() - joined_at().
    std::int64_t received() const noexcept { return next_ - joined_at_; }
    // How far behind the producer this subscriber was; at capacity() the producer is stopped.
    std::int64_t lag() const noexcept { return std::max<std::int64_t>(0, ring_->published() - next_); }

  private:
    friend class BroadcastRing;
    Subscriber(BroadcastRing& ring, std::int64_t place, Sequence start) noexcept
        : ring_(&ring), place_(place), joined_at_(start), next_(start), seen_(start) {}

    std::int64_t refreshed_available() noexcept {
        // [B1 acquire] pairs with [B1 release] in advance_cursor(): the records below it are written.
        seen_ = ring_->control_->published.load(std::memory_order_acquire);
        return seen_ - next_;
    }

    void give_back(Sequence next) noexcept {
        next_ = next;
        // [B2 release] pairs with [B2 acquire] in refreshed_room(): our reads of a slot end before it is overwritten.
        ring_->control_->places[place_].consumed.store(next, std::memory_order_release);
    }

    BroadcastRing* ring_ = nullptr;
    std::int64_t place_ = 0;
    Sequence joined_at_ = 0;
    Sequence next_ = 0;
    Sequence seen_ = 0;
};

}  // namespace fastmas::ringbuffer
