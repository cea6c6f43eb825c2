// A broadcast ring whose producer never waits: what a reader has not read in time is overwritten, and the reader learns
// exactly how many records that were.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <utility>

#include "ringbuffer/broadcast_places.hpp"
#include "ringbuffer/sequence.hpp"
#include "ringbuffer/slots.hpp"
#include "ringbuffer/word_slots.hpp"

namespace fastmas::ringbuffer {

// Guarantees: each record from a subscriber's join to its leave is either received once, whole and in order, or counted
// once in lost(): next_to_pop() == joined_at() + received() + lost(). Never both, also across the death of either side.
// Who may call what: as with BroadcastRing. Use it where the newest records matter and the producer must not depend on
// its readers: quotes to a display, not orders to a book.
// Progress: publishing is wait-free and looks at no reader. Polling is lock-free: a reader that the producer overtakes
// while it copies tries again further on, kTries times at most before it says that there is nothing.
//
// Why nothing torn is delivered. The producer claims [n, n + k), writes the words, then publishes n + k:
//     claimed.store(n + k)      [O2]
//     words.store(..)           [O1 release]
//     published.store(n + k)    [O3 release]
// The reader at position p looks at published, copies the words of p, then looks at claimed:
//     published.load()          [O3 acquire]   is beyond p, so the words are those of p or of a later lap
//     words.load()              [O1 acquire]
//     claimed.load()            [O2]
// A word of a later lap, p + i * capacity, was written after a claim beyond p + capacity was stored. Who reads the word
// also sees that claim, by O1, and a load of claimed after that cannot return an older one. So if claimed is at most
// p + capacity, every word was of p. `claimed` never decreases, even if the next producer claims less than one that
// died: the words which that one left behind are of no record.
template <class Memory = HardwareMemory, std::int64_t kPlaces = kMaxSubscribers>
class OverwritingRing {
  public:
    class Subscriber;

    static std::size_t body_bytes(RingShape shape) noexcept {
        return sizeof(Control) + WordSlots<Memory>::bytes(shape);
    }
    // Lays an empty ring down in zeroed memory that starts on a line.
    static void format(std::byte* body, RingShape) noexcept { new (body) Control; }

    // A ring of this process.
    explicit OverwritingRing(RingShape shape) : OverwritingRing(Block(body_bytes(shape)), shape) {}
    // A view of a ring that format() laid down and that outlives it: shared memory. Owns nothing, changes nothing.
    OverwritingRing(std::byte* body, RingShape shape) noexcept
        : places_(std::launder(reinterpret_cast<Control*>(body))), slots_(body + sizeof(Control), shape) {}
    OverwritingRing(const OverwritingRing&) = delete;
    OverwritingRing& operator=(const OverwritingRing&) = delete;
    ~OverwritingRing() = default;

    std::int64_t capacity() const noexcept { return slots_.capacity(); }
    std::size_t slot_bytes() const noexcept { return slots_.slot_bytes(); }

    // ---- producer

    void publish(const std::byte* record) noexcept { publish_part(record, 1); }

    // Half a ring at a time: a reader that keeps up finds something to read that is not being overwritten.
    void publish_many(const std::byte* records, std::int64_t count) noexcept {
        for (std::int64_t done = 0; done < count;) {
            const std::int64_t part = std::min(count - done, capacity() / 2);
            publish_part(records + static_cast<std::size_t>(done) * slot_bytes(), part);
            done += part;
        }
    }

    // Takes the role over from a producer that is gone, wherever it was. The hand-over (the role's lock) has to order
    // what it did before this.
    void resume_producer() noexcept {
        auto& cursor = control().cursor;
        // [B12 relaxed] only the producer writes it, and the hand-over orders the last one's stores
        control().producer.next = cursor.published.load(std::memory_order_relaxed);
        // [B12 relaxed] only the producer writes it, and the hand-over orders the last one's stores
        control().producer.gate = cursor.claimed.load(std::memory_order_relaxed);
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

    OverwritingRing(Block&& block, RingShape shape) : OverwritingRing(block.data(), shape) {
        format(block.data(), shape);
        block_ = std::move(block);
    }

    Control& control() const noexcept { return *places_.control(); }

    void publish_part(const std::byte* records, std::int64_t count) noexcept {
        auto& own = control().producer;
        const Sequence next = own.next + count;
        // Here the gate is what has been claimed so far: more than `next` after a producer died amid a larger batch.
        own.gate = std::max(own.gate, next);
        // [O2 relaxed] the words that follow carry it to whoever reads one of them; see above
        control().cursor.claimed.store(own.gate, std::memory_order_relaxed);
        Memory::kill_point("publish: claimed");
        slots_.write_many(own.next, records, count);
        Memory::kill_point("publish: written");
        // [O3 release] pairs with [O3 acquire] in Subscriber::refreshed_available(): who sees the cursor sees words at
        // least as new. Linearization point of a publication.
        control().cursor.published.store(next, std::memory_order_release);
        Memory::kill_point("publish: published");
        own.next = next;
    }

    Block block_;
    BroadcastPlaces<Memory, kPlaces> places_;
    WordSlots<Memory> slots_;
};

// One subscriber's view of the ring, which must outlive it. Leaves when destroyed.
template <class Memory, std::int64_t kPlaces>
class OverwritingRing<Memory, kPlaces>::Subscriber : public HeldPlace<Memory, kPlaces> {
  public:
    // Each time that it is overtaken a reader leaves the producer twice the room, so this is more than any ring needs.
    static constexpr int kTries = 40;

    Subscriber() noexcept = default;

    bool try_pop(std::byte* out) noexcept { return poll(out, 1) == 1; }

    // Copies up to `max` records, in order, and says how many. `out` is scratch beyond those.
    std::int64_t poll(std::byte* out, std::int64_t max) noexcept {
        const Copied copied = copy(out, max);
        if (copied.records > 0) move_to(copied.next, copied.lost);
        return copied.records;
    }

    // The oldest record that is still there, copied but not given up, as with BroadcastRing's front(): false when there
    // is none. What was lost before it counts at once.
    bool read_front(std::byte* out) noexcept {
        const Copied copied = copy(out, 1);
        if (copied.records == 0) return false;
        if (copied.lost != lost_) move_to(copied.next - 1, copied.lost);
        return true;
    }
    // The sequence that read_front() shows.
    Sequence next_to_pop() const noexcept { return next_; }
    // Only after read_front() gave a record.
    void pop_front() noexcept { move_to(next_ + 1, lost_); }

    // How many records can be read now, unless the producer is faster.
    std::int64_t available() noexcept {
        refreshed_available();
        return std::min(seen_ - next_, ring_->capacity());
    }

    // Exact: next_to_pop() == joined_at() + received() + lost(). May be called after leave().
    std::int64_t received() const noexcept { return next_ - this->joined_at() - lost_; }
    // What was overwritten before it was read, as far as this subscriber has noticed: by its last poll.
    std::int64_t lost() const noexcept { return lost_; }
    // How far behind the producer it was; beyond capacity() records have been lost already.
    std::int64_t lag() const noexcept { return std::max<std::int64_t>(0, ring_->published() - next_); }

  private:
    friend class OverwritingRing;
    struct Copied {
        std::int64_t records;  // at the start of `out`
        Sequence next;         // the sequence after them
        std::int64_t lost;     // in all
    };

    Subscriber(OverwritingRing& ring, std::int64_t place, Sequence joined_at, Sequence next) noexcept
        : HeldPlace<Memory, kPlaces>(ring.places_, place, joined_at), ring_(&ring), next_(next), seen_(next) {
        recover_lost();
    }

    // Copies without moving on.
    Copied copy(std::byte* out, std::int64_t max) noexcept {
        Sequence from = next_;
        std::int64_t lost = lost_;
        std::int64_t headroom = 0;
        for (int attempt = 0; attempt < kTries; ++attempt) {
            if (seen_ - from < max) refreshed_available();
            if (const Sequence oldest = oldest_intact(); oldest > from) {
                refreshed_available();
                const Sequence to = std::min(oldest + headroom, seen_);
                lost += to - from;
                from = to;
            }
            const std::int64_t count = std::min({max, seen_ - from, ring_->capacity()});
            if (count <= 0) break;
            ring_->slots_.read_many(from, out, count);
            Memory::kill_point("poll: copied");
            const std::int64_t torn = oldest_intact() - from;
            if (torn <= 0) return {count, from + count, lost};
            if (torn < count) {
                const std::size_t bytes = ring_->slot_bytes();
                std::memmove(out, out + static_cast<std::size_t>(torn) * bytes,
                             static_cast<std::size_t>(count - torn) * bytes);
                return {count - torn, from + count, lost + torn};
            }
            // Overtaken while it copied: the next try starts some way beyond what is intact, for the producer is as
            // fast.
            headroom = std::min(2 * headroom + 1, ring_->capacity() - 1);
        }
        if (from != next_) move_to(from, lost);
        return {0, from, lost};
    }

    void refreshed_available() noexcept {
        // [O3 acquire] pairs with [O3 release] in publish_part(): the words below it are at least as new.
        seen_ = ring_->control().cursor.published.load(std::memory_order_acquire);
    }

    // Everything below it may have been overwritten when the words were copied.
    Sequence oldest_intact() const noexcept {
        // [O2 relaxed] a word of a later lap would have brought its claim along; see OverwritingRing
        return ring_->control().cursor.claimed.load(std::memory_order_relaxed) - ring_->capacity();
    }

    // The position and the loss are two words, and a death between their stores must not count a record twice or not at
    // all. So a jump is written down first, and is done when the position has reached it.
    void move_to(Sequence next, std::int64_t lost) noexcept {
        auto& mine = ring_->control().places[this->place()];
        if (lost != lost_) {
            // [O4 release] pairs with [O4 acquire] in recover_lost(): a journal that is being written is not valid
            mine.jump_to.store(Control::kVacant, std::memory_order_release);
            Memory::kill_point("jump: no journal");
            // [O4 release] pairs with [O4 acquire] in recover_lost(): after the line above
            mine.jump_lost.store(lost, std::memory_order_release);
            Memory::kill_point("jump: loss written down");
            // [O4 release] pairs with [O4 acquire] in recover_lost(): after the loss that it makes valid
            mine.jump_to.store(next, std::memory_order_release);
            Memory::kill_point("jump: written down");
        }
        // [O4 release] pairs with [O4 acquire] in recover_lost(): after the jump that it completes
        mine.consumed.store(next, std::memory_order_release);
        Memory::kill_point("pop: moved on");
        if (lost != lost_) {
            // [O4 release] pairs with [O4 acquire] in recover_lost(): after the position
            mine.lost.store(lost, std::memory_order_release);
            Memory::kill_point("jump: loss counted");
        }
        next_ = next;
        lost_ = lost;
    }

    // What the last holder of the place had lost at the position that it left.
    void recover_lost() noexcept {
        auto& mine = ring_->control().places[this->place()];
        lost_ = mine.lost.load(std::memory_order_acquire);  // [O4 acquire] pairs with [O4 release] in move_to()
        // [O4 acquire] pairs with [O4 release] in move_to()
        const Sequence jump_to = mine.jump_to.load(std::memory_order_acquire);
        // [O4 acquire] pairs with [O4 release] in move_to()
        const std::int64_t jump_lost = mine.jump_lost.load(std::memory_order_acquire);
        if (next_ >= jump_to) lost_ = std::max(lost_, jump_lost);
        // [O4 release] pairs with [O4 acquire] in recover_lost(): for whoever comes next
        mine.lost.store(lost_, std::memory_order_release);
    }

    OverwritingRing* ring_ = nullptr;
    Sequence next_ = 0;
    Sequence seen_ = 0;
    std::int64_t lost_ = 0;
};

}  // namespace fastmas::ringbuffer
