// What the two Python types of a broadcast ring hold: the ring in the class of its overflow policy, and the places of
// its subscribers.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ring_end.hpp"
#include "ringbuffer/broadcast_ring.hpp"
#include "ringbuffer/evicting_ring.hpp"
#include "ringbuffer/overwriting_ring.hpp"

namespace fastmas::bindings {

class BroadcastEnd;
class SubscriberEnd;

// The subscribers that a full ring waits for. Those that died are put out, so that the next try succeeds, or are
// required, so that it never will.
struct Subscribers {
    BroadcastEnd& end;
    std::int32_t dead = -1;
    bool lost();
    void raise() const;
};

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

    // ---- as Producer wants it (ring_producer.hpp)

    static constexpr const char* kPush = "publish";
    static constexpr const char* kPushMany = "publish_many";
    Subscribers consumers() { return {*this}; }

    template <class F>
    PyObject* with_back(F&& f) {
        return gates ? f(gated_) : f(*this);
    }
    bool try_push(const std::byte* record) {
        if (gates) [[likely]]
            return gated_.try_publish(record);
        push_many(record, 1);
        return true;
    }
    std::int64_t push_many(const std::byte* records, std::int64_t count);
    // Says who is in the way: the subscriber furthest behind.
    PyObject* raise_full(PyObject* timeout_s) const;
    // To a thread that waits without the interpreter's lock.
    bool seems_writable() const { return !gates || !gated_.was_full(); }

    // Takes the role: goes on after what the last holder has published.
    void take_over();

    ringbuffer::RoleState peer_state() const noexcept override { return state_of(kProducer); }

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

    std::vector<SubscriberEnd*> subscribers;  // made by this object and still open; under life()

  protected:
    void leaving() noexcept override;

  private:
    friend class SubscriberEnd;

    // Views of the same body, of which one means something; places and counters are the same in all.
    Gated gated_;
    Overwriting overwriting_;
    Evicting evicting_;
};

inline bool Subscribers::lost() {
    dead = end.put_out_the_dead(true);
    return dead >= 0;
}
inline void Subscribers::raise() const {
    end.raise_dead_subscriber(dead);
}

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

    // ---- as Consumer wants it (ring_consumer.hpp)

    static constexpr const char* kPush = "publish";
    static constexpr const char* kPopMany = "poll";
    static constexpr bool kTakesFirst = false;
    bool takes_all_there() const noexcept { return ring_.gates; }
    OnePeer producers() const { return {*this, BroadcastEnd::kProducer}; }
    void notify_producers() const noexcept {
        if (ring_.gates) notify_writable();
    }
    PyObject* notify_producers(PyObject* result) const noexcept {
        return ring_.gates ? notify_writable(result) : result;
    }
    template <class F>
    PyObject* with_front(F&& f) {
        return ring_.gates ? f(gated_) : f(*this);
    }
    bool put_out() const { return evicted(); }
    void raise_put_out() const;

    // The oldest unread record, in place or as a copy that the next call overwrites; nullptr when there is none.
    const std::byte* front();
    std::int64_t next_to_pop() const;
    // False when it was put out meanwhile: then the record is to be thrown away.
    bool pop_front();
    std::int64_t available(std::int64_t most) {
        return std::min(most, with([](auto& subscriber) { return subscriber.available(); }));
    }
    std::int64_t pop_many(std::byte* out, std::int64_t max) {
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

    BroadcastEnd& ring() const { return ring_; }

    ringbuffer::RoleState peer_state() const noexcept override { return state_of(BroadcastEnd::kProducer); }
    PyObject* refuse(Side side) const override;

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
