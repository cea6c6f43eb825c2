// fastmas.ring.Subscriber: a subscriber's side of a broadcast ring. Made by BroadcastRing.subscribe() only.
#include <algorithm>
#include <memory>

#include "call_arguments.hpp"
#include "python_errors.hpp"
#include "ring_broadcast.hpp"
#include "ring_docs.hpp"

namespace fastmas::bindings {
namespace {

using Subscriber = ringbuffer::BroadcastRing<>::Subscriber;

PyTypeObject* subscriber_type = nullptr;

SubscriberObject* as_subscriber(PyObject* self) {
    return reinterpret_cast<SubscriberObject*>(self);
}
BroadcastState& state_of(PyObject* self) {
    return *as_subscriber(self)->ring->state;
}

// Leaves the ring; the producer, and whoever waits in a call on this subscriber, look again.
void leave(SubscriberObject* self) {
    if (!self->subscriber.joined()) return;
    self->subscriber.leave();
    BroadcastState& state = *self->ring->state;
    std::erase(state.subscribers, self);
    state.notify_writable();
    state.notify_readable();
}

bool check_open(const SubscriberObject* self) {
    if (self->subscriber.joined()) return true;
    raise("ConfigError", "subscriber %R is closed; subscribe again", self->name);
    return false;
}

int traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(as_subscriber(self)->ring);
    return 0;
}

void dealloc(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    SubscriberObject* object = as_subscriber(self);
    leave(object);
    std::destroy_at(&object->subscriber);
    Py_XDECREF(object->name);
    Py_XDECREF(object->ring);
    type->tp_free(self);
    Py_DECREF(type);
}

PyObject* repr(PyObject* self) {
    const SubscriberObject* object = as_subscriber(self);
    if (!object->subscriber.joined()) return PyUnicode_FromFormat("<Subscriber %R, closed>", object->name);
    return PyUnicode_FromFormat("<Subscriber %R, lag %lld>", object->name,
                                static_cast<long long>(object->subscriber.lag()));
}

PyObject* try_pop(PyObject* self, PyObject*) {
    SubscriberObject* object = as_subscriber(self);
    if (!check_open(object)) return nullptr;
    BroadcastState& state = state_of(self);
    PyObject* record = pop_one(state.format, object->subscriber);
    if (record != nullptr) {
        state.notify_writable();
        return record;
    }
    if (PyErr_Occurred() != nullptr) return nullptr;
    Py_RETURN_NONE;
}

PyObject* pop(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    static const char* const names[] = {"timeout_s"};
    static const Parameters parameters{"pop", names, 1, 0, 1};
    SubscriberObject* object = as_subscriber(self);
    BroadcastState& state = state_of(self);
    PyObject* given[1];
    Patience patience;
    if (!match_arguments(parameters, args, nargs, kwnames, given) || !patience.read(given[0], true)) return nullptr;
    PyObject* record = nullptr;
    const Attempt outcome = wait_for(
        state.waiting, state.readable, patience,
        [&] {
            if (!check_open(object)) return Attempt::error;
            record = pop_one(state.format, object->subscriber);
            if (record == nullptr) return PyErr_Occurred() != nullptr ? Attempt::error : Attempt::again;
            state.notify_writable();
            return Attempt::done;
        },
        [] { return true; }, NoPeer{});
    if (outcome == Attempt::again)
        return raise("DeadlineError", "no record came within %S s; publish one or give a longer timeout_s", given[0]);
    return record;
}

PyObject* poll(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    static const char* const names[] = {"max_records", "out", "timeout_s"};
    static const Parameters parameters{"poll", names, 3, 0, 2};
    SubscriberObject* object = as_subscriber(self);
    BroadcastState& state = state_of(self);
    PyObject* given[3];
    BatchTarget target;
    Patience patience;
    if (!match_arguments(parameters, args, nargs, kwnames, given) ||
        !target.read(state.format, given[0], given[1], state.ring.capacity()) || !patience.read(given[2], false))
        return nullptr;
    std::int64_t taken = 0;
    const Attempt outcome = wait_for(
        state.waiting, state.readable, patience,
        [&] {
            if (!check_open(object)) return Attempt::error;
            const auto there = std::min(target.max(), object->subscriber.available());
            if (there == 0) return Attempt::again;
            std::byte* out = target.reserve(state.format, there);
            if (out == nullptr || !check_open(object)) return Attempt::error;
            taken = object->subscriber.poll(out, there);
            state.notify_writable();
            return Attempt::done;
        },
        [] { return true; }, NoPeer{});
    return outcome == Attempt::error ? nullptr : target.result(state.format, taken);
}

PyObject* close(PyObject* self, PyObject*) {
    leave(as_subscriber(self));
    Py_RETURN_NONE;
}

PyObject* enter(PyObject* self, PyObject*) {
    return Py_NewRef(self);
}

PyObject* exit(PyObject* self, PyObject* const*, Py_ssize_t) {
    leave(as_subscriber(self));
    Py_RETURN_NONE;
}

PyObject* get_name(PyObject* self, void*) {
    return Py_NewRef(as_subscriber(self)->name);
}
PyObject* get_ring(PyObject* self, void*) {
    return Py_NewRef(reinterpret_cast<PyObject*>(as_subscriber(self)->ring));
}
PyObject* get_lag(PyObject* self, void*) {
    const SubscriberObject* object = as_subscriber(self);
    return check_open(object) ? PyLong_FromLongLong(object->subscriber.lag()) : nullptr;
}
PyObject* get_received(PyObject* self, void*) {
    return PyLong_FromLongLong(as_subscriber(self)->subscriber.received());
}
PyObject* get_joined_at(PyObject* self, void*) {
    return PyLong_FromLongLong(as_subscriber(self)->subscriber.joined_at());
}
PyObject* get_closed(PyObject* self, void*) {
    return PyBool_FromLong(!as_subscriber(self)->subscriber.joined());
}

PyMethodDef methods[] = {
    {"poll", as_method(poll), METH_FASTCALL | METH_KEYWORDS, docs::kPoll},
    {"try_pop", try_pop, METH_NOARGS, docs::kSubscriberTryPop},
    {"pop", as_method(pop), METH_FASTCALL | METH_KEYWORDS, docs::kSubscriberPop},
    {"close", close, METH_NOARGS, docs::kClose},
    {"__enter__", enter, METH_NOARGS, "__enter__($self, /)\n--\n\nReturn the subscriber itself."},
    {"__exit__", as_method(exit), METH_FASTCALL, "__exit__($self, /, *exc_info)\n--\n\nClose the subscriber."},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef properties[] = {
    {"name", get_name, nullptr, "The name given to subscribe().", nullptr},
    {"ring", get_ring, nullptr, "The ring it subscribes to.", nullptr},
    {"lag", get_lag, nullptr, "How many records it was behind a moment ago; at the capacity the producer waits.",
     nullptr},
    {"received", get_received, nullptr, "How many records it has read: exactly those published since its join.",
     nullptr},
    {"joined_at", get_joined_at, nullptr, "The sequence of the first record it sees.", nullptr},
    {"closed", get_closed, nullptr, "Whether it has left the ring.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>(docs::kSubscriber)},
    {Py_tp_dealloc, as_slot(dealloc)},
    {Py_tp_traverse, as_slot(traverse)},
    {Py_tp_repr, as_slot(repr)},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {0, nullptr},
};

PyType_Spec spec = {
    "fastmas.ring.Subscriber", sizeof(SubscriberObject), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

}  // namespace

PyObject* new_subscriber(PyObject* ring, PyObject* name) {
    auto* owner = reinterpret_cast<BroadcastRingObject*>(ring);
    try {
        owner->state->subscribers.reserve(owner->state->subscribers.size() + 1);
    } catch (...) {
        return raise_current_exception();
    }
    Subscriber joined = owner->state->ring.subscribe();
    if (!joined.joined())
        return raise("ConfigError", "a broadcast ring takes at most %lld subscribers and has them; close one first",
                     static_cast<long long>(ringbuffer::kMaxSubscribers));
    auto* self = reinterpret_cast<SubscriberObject*>(subscriber_type->tp_alloc(subscriber_type, 0));
    if (self == nullptr) return nullptr;  // `joined` leaves again
    self->ring = reinterpret_cast<BroadcastRingObject*>(Py_NewRef(ring));
    self->name = Py_NewRef(name);
    std::construct_at(&self->subscriber, std::move(joined));
    owner->state->subscribers.push_back(self);
    return reinterpret_cast<PyObject*>(self);
}

bool add_subscriber(PyObject* module) {
    subscriber_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
    if (subscriber_type == nullptr) return false;
    return PyModule_AddObjectRef(module, "Subscriber", reinterpret_cast<PyObject*>(subscriber_type)) == 0;
}

}  // namespace fastmas::bindings
