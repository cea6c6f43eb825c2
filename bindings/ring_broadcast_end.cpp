// What stands behind the objects of a broadcast ring: taking places over, and looking after who died.
#include <time.h>

#include "base/errors.hpp"
#include "python_errors.hpp"
#include "ring_broadcast.hpp"
#include "ringbuffer/segment.hpp"
#include "without_lock.hpp"

namespace fastmas::bindings {

using ringbuffer::Overflow;
using ringbuffer::RoleState;
using ringbuffer::SegmentBusy;

namespace {

std::int64_t max_lag_of(const ringbuffer::RegionSpec& spec) {
    return spec.overflow == Overflow::evict ? spec.max_lag_records : spec.shape.capacity;
}

}  // namespace

BroadcastEnd::BroadcastEnd(RingFormat&& held, std::shared_ptr<RingMemory> owned, WaitStrategy strategy)
    : RingEnd(std::move(held), std::move(owned), strategy),
      policy(memory()->spec().overflow),
      gates(policy == Overflow::refuse || policy == Overflow::drop_newest),
      drops(policy == Overflow::drop_newest),
      gated_(memory()->body(), memory()->spec().shape),
      overwriting_(memory()->body(), memory()->spec().shape),
      evicting_(memory()->body(), memory()->spec().shape, max_lag_of(memory()->spec())) {}

BroadcastEnd::~BroadcastEnd() {
    close();
}

void BroadcastEnd::leaving() noexcept {
    while (!subscribers.empty()) subscribers.back()->close();
}

std::int64_t BroadcastEnd::push_many(const std::byte* records, std::int64_t count) {
    if (gates) return gated_.publish_many(records, count);
    if (policy == Overflow::evict)
        evicting_.publish_many(records, count);
    else
        overwriting_.publish_many(records, count);
    return count;
}

void BroadcastEnd::take_over() {
    take(kProducer);
    with([](auto& ring) { ring.resume_producer(); });
    notify_readable();
}

std::string BroadcastEnd::name_at(std::int32_t place) const {
    const auto& entry = header->roles[static_cast<std::size_t>(Role::consumer(place).place)];
    const std::string_view bytes(entry.name, sizeof(entry.name));
    return std::string(bytes.substr(0, bytes.find('\0')));
}

std::int32_t BroadcastEnd::put_out_the_dead(bool only_in_the_way) {
    if (!shared()) return -1;
    const std::int64_t capacity = memory()->spec().shape.capacity;
    std::int32_t required = -1;
    for (std::int32_t place = 0; place < ringbuffer::kMaxSubscribers; ++place) {
        const auto role = Role::consumer(place);
        const auto seen = was(place);
        if (!seen.taken || (only_in_the_way && published() - seen.position < capacity)) continue;
        if (state_of(role) == RoleState::alive) continue;
        if (seen.required) {
            required = place;
            continue;
        }
        // As the holder of its role nobody comes back to the place while it is given up.
        auto& segment = *memory()->segment();
        try {
            segment.take(role);
        } catch (const std::exception&) {
            continue;  // it has come back
        }
        const auto now = was(place);
        if (now.taken && !now.required) gated_.put_out(place);
        segment.leave(role);
        if (now.required) required = place;
    }
    return required;
}

void BroadcastEnd::raise_dead_subscriber(std::int32_t place) const {
    raise("PeerDeadError",
          "subscriber '%s' of %s died: process %d ended without closing it, and it is required; start it again under "
          "its name, and it goes on where it stopped",
          name_at(place).c_str(), called().c_str(),
          static_cast<int>(memory()->segment()->pid_of(Role::consumer(place))));
}

// Says who is in the way: the subscriber furthest behind.
PyObject* BroadcastEnd::raise_full(PyObject* timeout_s) const {
    const LifeGuard guard(life());
    std::int32_t slowest = -1;
    for (std::int32_t place = 0; place < ringbuffer::kMaxSubscribers; ++place) {
        const auto seen = was(place);
        if (seen.joined && (slowest < 0 || seen.position < was(slowest).position)) slowest = place;
    }
    PyObject* name = slowest < 0 ? nullptr : subscriber_name(*this, slowest);
    if (name == nullptr)
        return raise("DeadlineError", "the ring stayed full for %S s; give a longer timeout_s", timeout_s);
    raise("DeadlineError",
          "the ring stayed full for %S s: subscriber %R is %lld records behind; poll it, close it, or give a longer "
          "timeout_s",
          timeout_s, name, static_cast<long long>(published() - was(slowest).position));
    Py_DECREF(name);
    return nullptr;
}

SubscriberEnd::SubscriberEnd(RingFormat&& held, BroadcastEnd& ring, std::string_view holder_name, bool is_required)
    : RingEnd(std::move(held), ring.memory(), ring.waiting.strategy, &ring), required(is_required), ring_(ring) {
    if (!ring.gates) copy_ = std::make_unique<std::byte[]>(static_cast<std::size_t>(format.slot_bytes));
    if (shared()) take_place(holder_name);
    const auto enter = [&](auto& view, auto& subscriber) {
        if (shared())
            join(view, subscriber, resumed);
        else
            subscriber = view.subscribe();
        if (!subscriber.joined())
            throw base::ConfigError("a broadcast ring takes at most " + std::to_string(ringbuffer::kMaxSubscribers) +
                                    " subscribers and has them; close one first");
        joined_at_ = subscriber.joined_at();
    };
    if (ring.gates)
        enter(ring.gated_, gated_);
    else if (ring.policy == Overflow::evict)
        enter(ring.evicting_, evicting_);
    else
        enter(ring.overwriting_, overwriting_);
    if (!waiting.peer_needs_no_lock()) gated_.never_rest();
    ring.subscribers.push_back(this);
}

SubscriberEnd::~SubscriberEnd() {
    close();
    // It is given back; or, in a forked child, the parent's.
    with([](auto& subscriber) { subscriber.forget(); });
}

// A place that the dead hold for nothing may be all that is left; and a producer that puts the last holder out holds
// the role for some microseconds.
void SubscriberEnd::take_place(std::string_view holder_name) {
    constexpr int kTries = 5;
    for (int attempt = 0;; ++attempt) {
        try {
            resumed = take_any(Side::consumer, holder_name) == RoleState::dead;
            return;
        } catch (const SegmentBusy&) {
            if (attempt == kTries) throw;
        }
        ring_.put_out_the_dead(false);
        const WithoutLock unlocked;
        const timespec while_{0, 1'000'000};
        nanosleep(&while_, nullptr);
    }
}

template <class Ring>
void SubscriberEnd::join(Ring& ring, typename Ring::Subscriber& subscriber, bool last_died) {
    const auto place = role()->index();
    if (last_died) subscriber = ring.resume(place, required);
    resumed = subscriber.joined();
    if (resumed) return;
    ring.vacate(place);  // what a holder left that died while it joined or left, or that had been put out
    subscriber = ring.subscribe(place, required);
}

void SubscriberEnd::leaving() noexcept {
    // Given back by the ring and not by the subscriber, which forgets it when it goes: its thread may be in a call
    // while another closes the ring, and has to find all that it uses where it was.
    const auto give_back = [](auto& ring, auto& subscriber) {
        if (subscriber.joined()) ring.vacate(subscriber.place());
    };
    if (ring_.gates)
        give_back(ring_.gated_, gated_);
    else if (ring_.policy == Overflow::evict)
        give_back(ring_.evicting_, evicting_);
    else
        give_back(ring_.overwriting_, overwriting_);
    std::erase(ring_.subscribers, this);
}

PyObject* SubscriberEnd::refuse(Side side) const {
    if (!closed()) return RingEnd::refuse(side);
    return raise("ConfigError", "subscriber %R is closed; subscribe again", name);
}

void SubscriberEnd::raise_put_out() const {
    raise(
        "EvictedError",
        "subscriber %R was put out of %s: it fell more than max_lag_records=%lld behind; close it and subscribe again, "
        "which starts with the next record published",
        name, called().c_str(), static_cast<long long>(memory()->spec().max_lag_records));
}

const std::byte* SubscriberEnd::front() {
    if (ring_.gates) return gated_.front();
    const bool there =
        ring_.policy == Overflow::evict ? evicting_.read_front(copy_.get()) : overwriting_.read_front(copy_.get());
    return there ? copy_.get() : nullptr;
}

std::int64_t SubscriberEnd::next_to_pop() const {
    if (ring_.gates) return gated_.next_to_pop();
    return ring_.policy == Overflow::evict ? evicting_.next_to_pop() : overwriting_.next_to_pop();
}

bool SubscriberEnd::pop_front() {
    if (ring_.gates) {
        gated_.pop_front();
        return true;
    }
    if (ring_.policy == Overflow::evict) return evicting_.pop_front();
    overwriting_.pop_front();
    return true;
}

}  // namespace fastmas::bindings
