// A broadcast ring that puts out a subscriber which lags beyond a bound.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

#include "ringbuffer/broadcast_places.hpp"
#include "ringbuffer/sequence.hpp"
#include "ringbuffer/slots.hpp"
#include "ringbuffer/word_slots.hpp"

namespace fastmas::ringbuffer {

// Guarantees: a subscriber sees every record from the one after its join, once, whole, in order, until it leaves or is
// put out; once it is put out it sees none, and knows. It is put out when a publication would leave it more than
// `max_lag` records behind.
// Who may call what: as with BroadcastRing. Use it where no record may be missed in silence and no reader may stop the
// producer: a reader that is put out asks for a snapshot and subscribes again.
// Progress: publishing never waits; it repeats a step only when a subscriber went on meanwhile, so lock-free. Polling
// is wait-free.
//
// Why nothing torn is delivered. A subscriber's position is one word that both sides change by read-modify-write only:
// the subscriber from p to p + k after it has copied, the producer from p to kEvicted before it overwrites. One of them
// is first. If the producer is, the subscriber's exchange fails and its copy is thrown away. If a word that the
// subscriber copied was of a later lap, it was written after the eviction; by O1 the eviction then happened before the
// subscriber's exchange, which sees it.
template <class Memory = HardwareMemory, std::int64_t kPlaces = kMaxSubscribers>
class EvictingRing {
  public:
    class Subscriber;

    static std::size_t body_bytes(RingShape shape) noexcept {
        return sizeof(Control) + WordSlots<Memory>::bytes(shape);
    }
    // Lays an empty ring down in zeroed memory that starts on a line.
    static void format(std::byte* body, RingShape) noexcept { new (body) Control; }

    // A ring of this process. 1 <= max_lag <= capacity
    EvictingRing(RingShape shape, std::int64_t max_lag) : EvictingRing(Block(body_bytes(shape)), shape, max_lag) {}
    // A view of a ring that format() laid down and that outlives it: shared memory. Owns nothing, changes nothing.
    EvictingRing(std::byte* body, RingShape shape, std::int64_t max_lag) noexcept
        : places_(std::launder(reinterpret_cast<Control*>(body))),
          slots_(body + sizeof(Control), shape),
          max_lag_(max_lag) {}
    EvictingRing(const EvictingRing&) = delete;
    EvictingRing& operator=(const EvictingRing&) = delete;
    ~EvictingRing() = default;

    std::int64_t capacity() const noexcept { return slots_.capacity(); }
    std::size_t slot_bytes() const noexcept { return slots_.slot_bytes(); }
    std::int64_t max_lag() const noexcept { return max_lag_; }

    // ---- producer

    void publish(const std::byte* record) noexcept { publish_part(record, 1); }

    // `max_lag` records at a time: a subscriber that has read everything before is not put out by the first part.
    void publish_many(const std::byte* records, std::int64_t count) noexcept {
        for (std::int64_t done = 0; done < count;) {
            const std::int64_t part = std::min(count - done, max_lag_);
            publish_part(records + static_cast<std::size_t>(done) * slot_bytes(), part);
            done += part;
        }
    }

    // Takes the role over from a producer that is gone, wherever it was: what it had not published never was. The
    // hand-over (the role's lock) has to order what it did before this.
    void resume_producer() noexcept {
        auto& own = control().producer;
        // [B12 relaxed] only the producer writes it, and the hand-over orders the last one's stores
        own.next = control().cursor.published.load(std::memory_order_relaxed);
        own.gate = own.next - max_lag_;  // look before the next publication
    }

    // ---- any thread

    // Joins at the cursor; an empty Subscriber when all places are held.
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
        if (!places_.resume(place, required, next, joined_at)) return Subscriber();
        return Subscriber(*this, place, joined_at, next);
    }
    // Puts out whoever died at this place; its role is the caller's.
    void put_out(std::int64_t place) noexcept { places_.put_out(place); }
    void vacate(std::int64_t place) noexcept { places_.vacate(place); }

    PlaceView was(std::int64_t place) const noexcept { return places_.was(place); }
    Sequence published() const noexcept { return places_.published(); }
    std::int64_t evicted() const noexcept { return places_.evicted(); }

  private:
    using Control = BroadcastControl<Memory, kPlaces>;

    EvictingRing(Block&& block, RingShape shape, std::int64_t max_lag) : EvictingRing(block.data(), shape, max_lag) {
        format(block.data(), shape);
        block_ = std::move(block);
    }

    Control& control() const noexcept { return *places_.control(); }

    void publish_part(const std::byte* records, std::int64_t count) noexcept {
        auto& own = control().producer;
        const Sequence next = own.next + count;
        if (next - own.gate > max_lag_) evict_below(next - max_lag_);
        Memory::kill_point("publish: room made");
        slots_.write_many(own.next, records, count);
        Memory::kill_point("publish: written");
        // [B1 release] pairs with [B1 acquire] in Subscriber::refreshed_available(): who sees the cursor sees the
        // records below it. Linearization point of a publication.
        control().cursor.published.store(next, std::memory_order_release);
        Memory::kill_point("publish: published");
        own.next = next;
    }

    // Puts out who has not read up to `floor`.
    void evict_below(Sequence floor) noexcept {
        auto& own = control().producer;
        own.gate = places_.slowest(own.next, [&](std::int64_t place, Sequence position) {
            while (position < floor) {
                // [E2 acquire] pairs with [E2 release] in give_back(): the subscriber has gone on, and is done with
                // what is below. What tells it that it is out need not be released here: the words that follow carry it
                // to whoever reads one of them; see above.
                if (control().places[place].consumed.compare_exchange_weak(
                        position, Control::kEvicted, std::memory_order_acquire, std::memory_order_acquire)) {
                    control().counters.evicted.fetch_add(1, std::memory_order_relaxed);  // [B6 relaxed] a count to show
                    Memory::kill_point("publish: put out");
                    return Control::kEvicted;
                }
            }
            return position;
        });
    }

    Block block_;
    BroadcastPlaces<Memory, kPlaces> places_;
    WordSlots<Memory> slots_;
    std::int64_t max_lag_;
};

// One subscriber's view of the ring, which must outlive it. Leaves when destroyed.
template <class Memory, std::int64_t kPlaces>
class EvictingRing<Memory, kPlaces>::Subscriber : public HeldPlace<Memory, kPlaces> {
  public:
    Subscriber() noexcept = default;

    bool try_pop(std::byte* out) noexcept { return poll(out, 1) == 1; }

    // Copies up to `max` records, in order, and says how many; `out` is scratch beyond those. None, when evicted().
    std::int64_t poll(std::byte* out, std::int64_t max) noexcept {
        const std::int64_t taken = copy(out, max);
        return taken > 0 && give_back(taken) ? taken : 0;
    }

    // The oldest unread record, copied but not given back: false when there is none, or evicted().
    bool read_front(std::byte* out) noexcept { return copy(out, 1) == 1 && !evicted(); }
    // The sequence that read_front() shows.
    Sequence next_to_pop() const noexcept { return next_; }
    // Only after read_front() gave a record. False when put out meanwhile: then the record is to be thrown away.
    bool pop_front() noexcept { return give_back(1); }

    // How many records can be read now, unless put out.
    std::int64_t available() noexcept { return std::min(refreshed_available(), ring_->capacity()); }

    // Whether it was put out for its lag; it reads no more, and has to leave and join anew. So it is when its position
    // is not the one it left there, whoever changed it: it could never give anything back.
    bool evicted() const noexcept {
        // [E1 relaxed] a glance; what was read counts only after give_back()
        return ring_->control().places[this->place()].consumed.load(std::memory_order_relaxed) != next_;
    }

    // Exact: received() == next_to_pop() - joined_at(). May be called after leave().
    std::int64_t received() const noexcept { return next_ - this->joined_at(); }
    std::int64_t lag() const noexcept { return std::max<std::int64_t>(0, ring_->published() - next_); }

  private:
    friend class EvictingRing;
    Subscriber(EvictingRing& ring, std::int64_t place, Sequence joined_at, Sequence next) noexcept
        : HeldPlace<Memory, kPlaces>(ring.places_, place, joined_at), ring_(&ring), next_(next), seen_(next) {}

    std::int64_t copy(std::byte* out, std::int64_t max) noexcept {
        std::int64_t there = seen_ - next_;
        if (there < max) there = refreshed_available();
        const std::int64_t count = std::min({max, there, ring_->capacity()});
        if (count <= 0) return 0;
        ring_->slots_.read_many(next_, out, count);
        Memory::kill_point("poll: copied");
        return count;
    }

    std::int64_t refreshed_available() noexcept {
        // [B1 acquire] pairs with [B1 release] in publish_part(): the records below it are written.
        seen_ = ring_->control().cursor.published.load(std::memory_order_acquire);
        return seen_ - next_;
    }

    bool give_back(std::int64_t count) noexcept {
        Sequence expected = next_;
        // [E2 release] pairs with [E2 acquire] in evict_below() and [B2 acquire] in slowest(): our reads of a slot end
        // before it is overwritten. [E1 relaxed] what a failed exchange reads is only that we are out.
        const bool still_in = ring_->control().places[this->place()].consumed.compare_exchange_strong(
            expected, next_ + count, std::memory_order_release, std::memory_order_relaxed);
        Memory::kill_point("pop: given back");
        if (still_in) next_ += count;
        return still_in;
    }

    EvictingRing* ring_ = nullptr;
    Sequence next_ = 0;
    Sequence seen_ = 0;
};

}  // namespace fastmas::ringbuffer
