// Who subscribes to a broadcast ring: the places that subscribers hold, how one is taken, kept across a death, and
// given back. Shared by the rings of all overflow policies.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "ringbuffer/sequence.hpp"

namespace fastmas::ringbuffer {

inline constexpr std::int64_t kMaxSubscribers = 64;

// What producer and subscribers share, besides the slots that follow it. No pointers.
template <class Memory, std::int64_t kPlaces>
struct BroadcastControl {
    template <class T>
    using Atom = typename Memory::template Atom<T>;

    // Instead of a position. Larger than any sequence, so the search for the slowest subscriber passes over them.
    static constexpr Sequence kVacant = std::numeric_limits<Sequence>::max();  // nobody holds the place
    static constexpr Sequence kEvicted = kVacant - 1;  // its holder lagged too far; gone when the holder leaves

    // Bits of Place::state.
    static constexpr std::int64_t kJoined = 1;    // the join is complete: position and start are good
    static constexpr std::int64_t kRequired = 2;  // a death does not free the place

    struct alignas(kLineBytes) Producer {
        Sequence next = 0;  // the sequence to be published next
        Sequence gate = 0;  // the slowest subscriber when last looked at
    };
    struct alignas(kLineBytes) Cursor {
        Atom<Sequence> published{0};  // everything below may be read
        Atom<Sequence> claimed{0};    // everything below may be half written; only OverwritingRing uses it
    };
    struct alignas(kLineBytes) Counters {
        Atom<std::int64_t> roster{0};   // places that were ever held are below it; see join()
        Atom<std::int64_t> evicted{0};  // subscribers put out, for their lag or their death
    };
    struct alignas(kLineBytes) Place {
        Atom<Sequence> consumed{kVacant};  // the holder's exact position: what it reads next
        Atom<Sequence> joined_at{0};       // where it started
        Atom<std::int64_t> state{0};
        Atom<std::int64_t> lost{
            0};  // records that were overwritten before it read them; this and below: OverwritingRing
        Atom<Sequence> jump_to{kVacant};
        Atom<std::int64_t> jump_lost{0};
    };

    Producer producer;
    Cursor cursor;
    Counters counters;
    Place places[static_cast<std::size_t>(kPlaces)];

    static_assert(sizeof(Place) == kLineBytes || sizeof(Atom<Sequence>) != sizeof(Sequence),
                  "subscribers do not write to one line");
};

// What can be seen of a place from outside.
struct PlaceView {
    bool taken;   // somebody holds it, or died holding it
    bool joined;  // and had joined completely
    bool required;
    bool evicted;
    Sequence position;
    Sequence joined_at;
    std::int64_t lost;
};

template <class Memory, std::int64_t kPlaces>
class BroadcastPlaces {
  public:
    using Control = BroadcastControl<Memory, kPlaces>;

    explicit BroadcastPlaces(Control* control) noexcept : control_(control) {}

    // Takes the place if it is vacant, at the cursor: `start` is the next sequence published.
    bool join(std::int64_t place, bool required, Sequence& start) const noexcept {
        auto& mine = control_->places[place];
        // [B4 relaxed] any cursor, however old, holds the producer back far enough while we join.
        Sequence shown = control_->cursor.published.load(std::memory_order_relaxed);
        Sequence vacant = Control::kVacant;
        // [B5 acquire] pairs with [B5 release] in vacate(): our own store below hands on to the producer that whoever
        // held this place before has done reading. [B7 relaxed] a failed try changes and reads nothing.
        if (!mine.consumed.compare_exchange_strong(vacant, shown, std::memory_order_acquire, std::memory_order_relaxed))
            return false;
        Memory::kill_point("join: place taken");
        while (true) {
            meet(place);
            // [B9 relaxed] the meeting has made every publication before the producer's last look visible.
            start = control_->cursor.published.load(std::memory_order_relaxed);
            // [B13 release] pairs with [B13 acquire] in slowest(): carries on what [B5 acquire] received. [B7 relaxed]
            // a failed try is repeated.
            if (mine.consumed.compare_exchange_strong(shown, start, std::memory_order_release,
                                                      std::memory_order_relaxed))
                break;
            // Put out for the age of the cursor that we saw first: that was no subscriber yet. The producer may go on
            // seeing us put out, so we have to meet it again.
            control_->counters.evicted.fetch_add(-1, std::memory_order_relaxed);  // [B6 relaxed] a count to show
            shown = start;
            // [B13 release] pairs with [B13 acquire] in slowest(): as above
            mine.consumed.store(shown, std::memory_order_release);
        }
        mine.joined_at.store(start, std::memory_order_relaxed);  // [B10 relaxed] the state below publishes it
        mine.lost.store(0, std::memory_order_relaxed);           // [B10 relaxed] the state below publishes it
        // [B10 relaxed] the state below publishes it
        mine.jump_to.store(Control::kVacant, std::memory_order_relaxed);
        Memory::kill_point("join: position shown");
        // [B11 release] pairs with [B11 acquire] in resume(): who takes the place over finds a complete join, or none.
        mine.state.store(Control::kJoined | (required ? Control::kRequired : 0), std::memory_order_release);
        Memory::kill_point("join: complete");
        return true;
    }

    // For who holds the role of a place whose last holder died: whether that one had joined completely and was not put
    // out since; then `next` and `joined_at` are where it was. If not, vacate() and join() anew.
    bool resume(std::int64_t place, bool required, Sequence& next, Sequence& joined_at) const noexcept {
        auto& mine = control_->places[place];
        // [B11 acquire] pairs with [B11 release] in join() and vacate()
        if ((mine.state.load(std::memory_order_acquire) & Control::kJoined) == 0) return false;
        next = mine.consumed.load(std::memory_order_relaxed);        // [B10 relaxed] ordered by the state just read
        joined_at = mine.joined_at.load(std::memory_order_relaxed);  // [B10 relaxed] ordered by the state just read
        if (next == Control::kVacant || next == Control::kEvicted) return false;
        // [B11 release] pairs with [B11 acquire] in resume(): as in join()
        mine.state.store(Control::kJoined | (required ? Control::kRequired : 0), std::memory_order_release);
        return true;
    }

    // Gives the place back: by its holder, or for a holder that died by who has taken its role.
    void vacate(std::int64_t place) const noexcept {
        // [B11 release] pairs with [B11 acquire] in resume(): who stops half-way through here leaves no join to resume.
        control_->places[place].state.store(0, std::memory_order_release);
        Memory::kill_point("leave: no longer joined");
        // [B2 release] pairs with [B2 acquire] in slowest(), and [B5 release] with [B5 acquire] in join(): the reads
        // end before the producer overwrites, even if it first sees whoever takes this place.
        control_->places[place].consumed.store(Control::kVacant, std::memory_order_release);
        Memory::kill_point("leave: place given back");
    }

    // Puts out a subscriber that died, and counts it; by who has taken its role.
    void put_out(std::int64_t place) const noexcept {
        vacate(place);
        control_->counters.evicted.fetch_add(1, std::memory_order_relaxed);  // [B6 relaxed] a count to show
    }

    // The position of the slowest subscriber, at most `cursor`; by the producer. `visit(place, position)` may put a
    // subscriber out: what it returns counts. A subscriber that this look misses has not passed join()'s meeting on the
    // roster when we did, so it passes later, sees at least our cursor, and starts there: the gate is never beyond the
    // cursor, so what we may overwrite now it does not need. One that is still joining shows an older cursor, which
    // only holds us back (room may even be negative then: it counts as none).
    template <class Visit>
    Sequence slowest(Sequence cursor, Visit&& visit) const noexcept {
        // [B3 acq_rel] pairs with [B3 acq_rel] in join(): read-modify-writes of one word have one order, so either we
        // see who joined or they see our cursor. A plain load could be satisfied before our last publication is
        // visible.
        const std::int64_t held = std::min(control_->counters.roster.fetch_add(0, std::memory_order_acq_rel), kPlaces);
        Sequence gate = cursor;
        for (std::int64_t place = 0; place < held; ++place) {
            // [B2 acquire] pairs with [B2 release] in vacate() and the subscribers' give_back(), and [B13 acquire] with
            // [B13 release] in join(): the subscriber, and who held its place before, is done with every slot below it.
            const Sequence position = control_->places[place].consumed.load(std::memory_order_acquire);
            gate = std::min(gate, visit(place, position));
        }
        return gate;
    }

    PlaceView was(std::int64_t place) const noexcept {
        const auto& seen = control_->places[place];
        const auto state = seen.state.load(std::memory_order_relaxed);        // [B6 relaxed] a glance from outside
        const auto position = seen.consumed.load(std::memory_order_relaxed);  // [B6 relaxed] a glance from outside
        const auto start = seen.joined_at.load(std::memory_order_relaxed);    // [B6 relaxed] a glance from outside
        const auto lost = seen.lost.load(std::memory_order_relaxed);          // [B6 relaxed] a glance from outside
        return {position != Control::kVacant,
                (state & Control::kJoined) != 0 && position != Control::kVacant,
                (state & Control::kRequired) != 0,
                position == Control::kEvicted,
                position,
                start,
                lost};
    }

    Sequence published() const noexcept {
        // [B6 relaxed] a count to show; no slot is read
        return control_->cursor.published.load(std::memory_order_relaxed);
    }
    // The position of the slowest subscriber, for who only wants to know: not to overwrite by.
    Sequence was_slowest() const noexcept {
        // [B6 relaxed] a glance from outside
        const std::int64_t held = std::min(control_->counters.roster.load(std::memory_order_relaxed), kPlaces);
        Sequence slowest = published();
        for (std::int64_t place = 0; place < held; ++place) {
            const auto& seen = control_->places[place].consumed;
            slowest = std::min(slowest, seen.load(std::memory_order_relaxed));  // [B6 relaxed] a glance from outside
        }
        return slowest;
    }
    std::int64_t evicted() const noexcept {
        // [B6 relaxed] a count to show; a join that meets its own eviction may take it back before it is counted
        return std::max<std::int64_t>(0, control_->counters.evicted.load(std::memory_order_relaxed));
    }

    Control* control() const noexcept { return control_; }

  private:
    // After it the producer sees us, or we see the cursor that it had when it last looked.
    void meet(std::int64_t place) const noexcept {
        // [B8 relaxed] a first guess; the exchange below checks it.
        std::int64_t held = control_->counters.roster.load(std::memory_order_relaxed);
        // [B3 acq_rel] pairs with [B3 acq_rel] in slowest(): the meeting described there. It has to be a write even if
        // the roster stays as it is. [B7 relaxed] a failed try is repeated.
        while (!control_->counters.roster.compare_exchange_weak(held, std::max(held, place + 1),
                                                                std::memory_order_acq_rel, std::memory_order_relaxed)) {
        }
        Memory::kill_point("join: met the producer");
    }

    Control* control_;
};

// A place that is held: what the subscribers of all rings have in common. Gives the place back when destroyed.
template <class Memory, std::int64_t kPlaces>
class HeldPlace {
  public:
    using Places = BroadcastPlaces<Memory, kPlaces>;

    HeldPlace() noexcept = default;
    HeldPlace(Places places, std::int64_t place, Sequence joined_at) noexcept
        : places_(places), place_(place), joined_at_(joined_at) {}
    HeldPlace(HeldPlace&& other) noexcept : places_(other.places_), place_(other.place_), joined_at_(other.joined_at_) {
        other.forget();
    }
    HeldPlace& operator=(HeldPlace&& other) noexcept {
        if (this != &other) {
            leave();
            places_ = other.places_;
            place_ = other.place_;
            joined_at_ = other.joined_at_;
            other.forget();
        }
        return *this;
    }
    ~HeldPlace() { leave(); }

    bool joined() const noexcept { return places_.control() != nullptr; }
    std::int64_t place() const noexcept { return place_; }
    Sequence joined_at() const noexcept { return joined_at_; }

    // Idempotent.
    void leave() noexcept {
        if (joined()) places_.vacate(place_);
        forget();
    }
    // Lets go without giving the place back: in a forked child, whose parent holds it.
    void forget() noexcept { places_ = Places(nullptr); }

  protected:
    const Places& places() const noexcept { return places_; }

  private:
    Places places_{nullptr};
    std::int64_t place_ = -1;
    Sequence joined_at_ = 0;
};

}  // namespace fastmas::ringbuffer
