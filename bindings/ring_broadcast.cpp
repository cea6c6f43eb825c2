// fastmas.ring.BroadcastRing: the producer's side.
#include "ring_broadcast.hpp"

#include <algorithm>
#include <memory>

#include "call_arguments.hpp"
#include "python_errors.hpp"
#include "ring_docs.hpp"

namespace fastmas::bindings {
namespace {

using ringbuffer::RingShape;

BroadcastState& state_of(PyObject* self) {
    return *reinterpret_cast<BroadcastRingObject*>(self)->state;
}

PyObject* construct(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
    static const char* const names[] = {"dtype", "capacity"};
    static const Parameters parameters{"BroadcastRing", names, 2, 2, 2};
    PyObject* given[2];
    std::int64_t capacity = 0;
    if (!match_arguments(parameters, args, kwargs, given)) return nullptr;
    try {
        RingFormat format;
        if (!format.read(given[0]) || !to_i64(given[1], "capacity", &capacity)) return nullptr;
        const auto shape = RingShape::checked(capacity, format.slot_bytes);
        auto state = std::make_unique<BroadcastState>(std::move(format), shape);
        PyObject* self = type->tp_alloc(type, 0);
        if (self != nullptr) reinterpret_cast<BroadcastRingObject*>(self)->state = state.release();
        return self;
    } catch (...) {
        return raise_current_exception();
    }
}

// Subscribers own the ring, not the other way round; for the rest see SpscRing.
int traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    if (auto* state = reinterpret_cast<BroadcastRingObject*>(self)->state; state != nullptr)
        Py_VISIT(state->format.record_type);
    return 0;
}

void dealloc(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    delete reinterpret_cast<BroadcastRingObject*>(self)->state;
    type->tp_free(self);
    Py_DECREF(type);
}

PyObject* repr(PyObject* self) {
    return repr_of("BroadcastRing", state_of(self).format, state_of(self).ring.capacity());
}

PyObject* try_publish(PyObject* self, PyObject* record) {
    BroadcastState& state = state_of(self);
    RecordBytes bytes;
    if (!bytes.read(state.format, record)) return nullptr;
    if (!state.ring.try_publish(bytes.data())) Py_RETURN_FALSE;
    state.notify_readable();
    Py_RETURN_TRUE;
}

// Says who is in the way: the subscriber furthest behind.
PyObject* raise_full(const BroadcastState& state, PyObject* timeout_s) {
    const auto slowest =
        std::max_element(state.subscribers.begin(), state.subscribers.end(),
                         [](const auto* a, const auto* b) { return a->subscriber.lag() < b->subscriber.lag(); });
    if (slowest == state.subscribers.end())
        return raise("DeadlineError", "the ring stayed full for %S s; give a longer timeout_s", timeout_s);
    return raise(
        "DeadlineError",
        "the ring stayed full for %S s: subscriber %R is %lld records behind; poll it, close it, or give a longer "
        "timeout_s",
        timeout_s, (*slowest)->name, static_cast<long long>((*slowest)->subscriber.lag()));
}

PyObject* publish(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    static const char* const names[] = {"record", "timeout_s"};
    static const Parameters parameters{"publish", names, 2, 1, 2};
    BroadcastState& state = state_of(self);
    PyObject* given[2];
    RecordBytes bytes;
    Patience patience;
    if (!match_arguments(parameters, args, nargs, kwnames, given) || !bytes.read(state.format, given[0]) ||
        !patience.read(given[1], true))
        return nullptr;
    const Attempt outcome = wait_for(
        state.waiting, state.writable, patience,
        [&] {
            if (!state.ring.try_publish(bytes.data())) return Attempt::again;
            state.notify_readable();
            return Attempt::done;
        },
        [] { return true; }, NoPeer{});
    if (outcome == Attempt::error) return nullptr;
    if (outcome == Attempt::again) return raise_full(state, given[1]);
    Py_RETURN_NONE;
}

PyObject* publish_many(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    static const char* const names[] = {"records", "timeout_s"};
    static const Parameters parameters{"publish_many", names, 2, 1, 2};
    BroadcastState& state = state_of(self);
    PyObject* given[2];
    BatchBytes batch;
    Patience patience;
    if (!match_arguments(parameters, args, nargs, kwnames, given) || !batch.read(state.format, given[0]) ||
        !patience.read(given[1], false))
        return nullptr;
    std::int64_t published = 0;
    const Attempt outcome = wait_for(
        state.waiting, state.writable, patience,
        [&] {
            const auto taken =
                state.ring.publish_many(batch.data() + published * state.format.slot_bytes, batch.count() - published);
            published += taken;
            if (taken > 0) state.notify_readable();
            return published == batch.count() ? Attempt::done : Attempt::again;
        },
        [] { return true; }, NoPeer{});
    return outcome == Attempt::error ? nullptr : PyLong_FromLongLong(published);
}

PyObject* subscribe(PyObject* self, PyObject* name) {
    BroadcastState& state = state_of(self);
    if (!PyUnicode_Check(name) || PyUnicode_GET_LENGTH(name) == 0)
        return raise("ConfigError", "a subscriber's name must be a string that is not empty, got %R", name);
    for (const SubscriberObject* other : state.subscribers) {
        const int same = PyObject_RichCompareBool(other->name, name, Py_EQ);
        if (same < 0) return nullptr;
        if (same == 1)
            return raise("ConfigError",
                         "the names of subscribers must differ, got %R again; choose another or close it", name);
    }
    return new_subscriber(self, name);
}

PyObject* get_capacity(PyObject* self, void*) {
    return PyLong_FromLongLong(state_of(self).ring.capacity());
}
PyObject* get_dtype(PyObject* self, void*) {
    return Py_NewRef(state_of(self).format.dtype);
}
PyObject* get_record_type(PyObject* self, void*) {
    auto* type = reinterpret_cast<PyObject*>(state_of(self).format.record_type);
    return Py_NewRef(type != nullptr ? type : Py_None);
}
PyObject* get_published(PyObject* self, void*) {
    return PyLong_FromLongLong(state_of(self).ring.published());
}

PyObject* get_subscribers(PyObject* self, void*) {
    PyObject* lags = PyDict_New();
    if (lags == nullptr) return nullptr;
    for (const SubscriberObject* subscriber : state_of(self).subscribers) {
        PyObject* lag = PyLong_FromLongLong(subscriber->subscriber.lag());
        const int done = lag == nullptr ? -1 : PyDict_SetItem(lags, subscriber->name, lag);
        Py_XDECREF(lag);
        if (done < 0) {
            Py_DECREF(lags);
            return nullptr;
        }
    }
    return lags;
}

PyMethodDef methods[] = {
    {"try_publish", try_publish, METH_O, docs::kTryPublish},
    {"publish", as_method(publish), METH_FASTCALL | METH_KEYWORDS, docs::kPublish},
    {"publish_many", as_method(publish_many), METH_FASTCALL | METH_KEYWORDS, docs::kPublishMany},
    {"subscribe", subscribe, METH_O, docs::kSubscribe},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef properties[] = {
    {"capacity", get_capacity, nullptr, "How many records the ring holds.", nullptr},
    {"dtype", get_dtype, nullptr, "The numpy dtype of a record.", nullptr},
    {"record_type", get_record_type, nullptr, "The Record class the ring was made for, or None.", nullptr},
    {"published", get_published, nullptr, "How many records were ever published.", nullptr},
    {"subscribers", get_subscribers, nullptr, "By name, how many records each subscriber was behind.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>(docs::kBroadcastRing)},
    {Py_tp_new, as_slot(construct)},
    {Py_tp_dealloc, as_slot(dealloc)},
    {Py_tp_traverse, as_slot(traverse)},
    {Py_tp_repr, as_slot(repr)},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {0, nullptr},
};

PyType_Spec spec = {"fastmas.ring.BroadcastRing", sizeof(BroadcastRingObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE, slots};

}  // namespace

bool add_broadcast_ring(PyObject* module) {
    PyObject* type = PyType_FromSpec(&spec);
    if (type == nullptr) return false;
    const int added = PyModule_AddObjectRef(module, "BroadcastRing", type);
    Py_DECREF(type);
    return added == 0;
}

}  // namespace fastmas::bindings
