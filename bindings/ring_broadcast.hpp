// What the two Python types of a broadcast ring share.
#pragma once

#include <utility>
#include <vector>

#include "ring_objects.hpp"
#include "ringbuffer/broadcast_ring.hpp"

namespace fastmas::bindings {

struct SubscriberObject;

struct BroadcastState {
    BroadcastState(RingFormat&& held, ringbuffer::RingShape shape) : format(std::move(held)), ring(shape) {}
    RingFormat format;
    ringbuffer::BroadcastRing<> ring;
    Waiting waiting{WaitStrategy::block};
    WakePoint readable;
    WakePoint writable;
    void notify_readable() noexcept { notify(readable, false); }
    void notify_writable() noexcept { notify(writable, false); }
    std::vector<SubscriberObject*> subscribers;  // those that have not left; borrowed, under the GIL
};

struct BroadcastRingObject {
    PyObject_HEAD BroadcastState* state;
};

struct SubscriberObject {
    PyObject_HEAD BroadcastRingObject* ring;  // owned: a ring outlives its subscribers
    PyObject* name;                           // owned
    ringbuffer::BroadcastRing<>::Subscriber subscriber;
};

// A subscriber that has joined: a new reference, nullptr with an exception set when all places are taken.
PyObject* new_subscriber(PyObject* ring, PyObject* name);

}  // namespace fastmas::bindings
