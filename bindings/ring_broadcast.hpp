// What the two Python types of a broadcast ring hold: the ring in the class of its overflow policy, and the places of
// its subscribers.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ring_end.hpp"
#include "ringbuffer/broadcast_ring.hpp"
#include "ringbuffer/evicting_ring.hpp"
#include "ringbuffer/overwriting_ring.hpp"

namespace fastmas::bindings {

class SubscriberEnd;

// The producer's end, or an observer's: one that may only subscribe and look.
class BroadcastEnd final : public RingEnd {
  public:
    using Gated = ringbuffer::BroadcastRing<>;
    using Overwriting = ringbuffer::OverwritingRing<>;
    using Evicting = ringbuffer::EvictingRing<>;
    static constexpr Role kProducer = Role::producer(0);

    BroadcastEnd(RingFormat&& held, std::shared_ptr<RingMemory> owned, WaitStrategy strategy);
    ~BroadcastEnd() override;

    // Calls `f` with the ring in the class of its policy: a branch that always goes the same way.
    template <class F>
    decltype(auto) with(F&& f) {
        if (gates) [[likely]]
            return f(gated_);
        return policy == ringbuffer::Overflow::evict ? f(evicting_) : f(overwriting_);
    }

    bool try_publish(const std::byte* record) {
        if (gates) [[likely]]
            return gated_.try_publish(record);
        publish_many(record, 1);
        return true;
    }
    std::int64_t publish_many(const std::byte* records, std::int64_t count);
    // To a thread that waits without the interpreter's lock.
    bool seems_writable() const { return !gates || !gated_.was_full(); }

    // Takes the role: goes on after what the last holder has published.
    void take_over();

    // What is seen of a place, and whether someone has it (or had, and died).
    ringbuffer::PlaceView was(std::int32_t place) const { return gated_.was(place); }
    std::int64_t published() const { return gated_.published(); }
    std::int64_t evicted() const { return gated_.evicted(); }
    // The name that the subscriber at this place gave.
    std::string name_at(std::int32_t place) const;

    // Looks after the subscribers, or only those that a full ring waits for. Puts out who died, but for those that are
    // required: one of these, or -1.
    std::int32_t put_out_the_dead(bool only_in_the_way);
    // Sets PeerDeadError for a required subscriber.
    void raise_dead_subscriber(std::int32_t place) const;

    const ringbuffer::Overflow policy;
    const bool gates;  // the producer minds what its subscribers have not read
    const bool drops;  // and what does not fit is dropped and counted

    std::vector<SubscriberEnd*> subscribers;  // made by this object and still open; under the interpreter's lock

  protected:
    void leaving() noexcept override;

  private:
    friend class SubscriberEnd;

    // Views of the same body, of which one means something; places and counters are the same in all.
    Gated gated_;
    Overwriting overwriting_;
    Evicting evicting_;
};

// A subscriber's end. Its memory is the ring's, whose object it outlives.
class SubscriberEnd final : public RingEnd {
  public:
    // Joins; throws SegmentBusy, or ConfigError when in this process all places are taken.
    SubscriberEnd(RingFormat&& held, BroadcastEnd& ring, std::string_view holder_name, bool is_required);
    ~SubscriberEnd() override;

    template <class F>
    decltype(auto) with(F&& f) {
        if (ring_.gates) [[likely]]
            return f(gated_);
        return ring_.policy == ringbuffer::Overflow::evict ? f(evicting_) : f(overwriting_);
    }

    // The oldest unread record, in place or as a copy that the next call overwrites; nullptr when there is none.
    const std::byte* front();
    std::int64_t next_to_pop() const;
    // False when it was put out meanwhile: then the record is to be thrown away.
    bool pop_front();
    std::int64_t available() {
        return with([](auto& subscriber) { return subscriber.available(); });
    }
    std::int64_t poll(std::byte* out, std::int64_t max) {
        return with([&](auto& subscriber) { return subscriber.poll(out, max); });
    }
    // To a thread that waits without the interpreter's lock.
    bool seems_readable() const { return ring_.published() != next_to_pop(); }
    // Whether the producer put it out for its lag.
    bool evicted() const { return ring_.policy == ringbuffer::Overflow::evict && open() && evicting_.evicted(); }

    std::int64_t lag() {
        return with([](const auto& subscriber) { return subscriber.lag(); });
    }
    std::int64_t received() {
        return with([](const auto& subscriber) { return subscriber.received(); });
    }
    std::int64_t lost() const {
        return ring_.policy == ringbuffer::Overflow::overwrite_oldest ? overwriting_.lost() : 0;
    }
    std::int64_t joined_at() const { return joined_at_; }
    std::int64_t place() {
        return with([](const auto& subscriber) { return subscriber.place(); });
    }

    void notify_producer() const noexcept {
        if (ring_.gates) notify_writable();
    }
    BroadcastEnd& ring() const { return ring_; }

    const bool required;
    bool resumed = false;      // it goes on where a holder of its name stopped that died
    PyObject* name = nullptr;  // the object's; borrowed

  protected:
    void leaving() noexcept override;

  private:
    void take_place(std::string_view holder_name);
    template <class Ring>
    void join(Ring& ring, typename Ring::Subscriber& subscriber, bool last_died);

    BroadcastEnd& ring_;
    BroadcastEnd::Gated::Subscriber gated_;
    BroadcastEnd::Overwriting::Subscriber overwriting_;
    BroadcastEnd::Evicting::Subscriber evicting_;
    std::int64_t joined_at_ = 0;
    std::unique_ptr<std::byte[]> copy_;  // of the front, where the producer does not wait
};

struct SubscriberObject {
    RingObject base;
    PyObject* ring;  // owned: a ring outlives its subscribers
    PyObject* name;  // owned
};

// The name of the subscriber at a place: a new reference, nullptr without an exception when there is none.
PyObject* subscriber_name(const BroadcastEnd& end, std::int32_t place);

// A subscriber that has joined: a new reference, nullptr with an exception set.
PyObject* new_subscriber(PyObject* ring, PyObject* name, bool required);

// How a ring comes to be: the constructor and the class methods.
PyObject* broadcast_construct(PyTypeObject* type, PyObject* args, PyObject* kwargs);
PyObject* broadcast_create(PyObject* type, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames);
PyObject* broadcast_attach(PyObject* type, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames);

}  // namespace fastmas::bindings
