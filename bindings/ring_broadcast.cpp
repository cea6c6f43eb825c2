// fastmas.ring.BroadcastRing: the producer's side, and an observer's.
#include "ring_broadcast.hpp"

#include <algorithm>

#include "call_arguments.hpp"
#include "python_errors.hpp"
#include "ring_arguments.hpp"
#include "ring_broadcast_docs.hpp"
#include "ring_common.hpp"
#include "ring_objects.hpp"
#include "ring_shared_docs.hpp"

namespace fastmas::bindings {
namespace {

BroadcastEnd& end_of(PyObject* self) {
    return *static_cast<BroadcastEnd*>(as_ring(self)->end);
}

PyObject* repr(PyObject* self) {
    return ring_repr("BroadcastRing", self);
}

// The subscribers that a full ring waits for. Those that died are put out, so that the next try succeeds, or are
// required, so that it never will.
struct Subscribers {
    BroadcastEnd& end;
    std::int32_t dead = -1;
    bool lost() {
        dead = end.put_out_the_dead(true);
        return dead >= 0;
    }
    void raise() const { end.raise_dead_subscriber(dead); }
};

// A record that found no room: False, when nobody died.
[[gnu::noinline]] PyObject* not_published(BroadcastEnd& end, const std::byte* record) {
    Subscribers in_the_way{end};
    if (end.look_is_due()) {
        const bool lost = in_the_way.lost();
        if (end.try_publish(record)) {
            end.notify_readable();
            Py_RETURN_TRUE;
        }
        if (lost) {
            in_the_way.raise();
            return nullptr;
        }
    }
    if (end.drops) end.count_dropped(1);
    Py_RETURN_FALSE;
}

PyObject* try_publish(PyObject* self, PyObject* record) {
    auto* end = pushing<BroadcastEnd>(self);
    if (end == nullptr) [[unlikely]] {
        end = static_cast<BroadcastEnd*>(regain_push(self));
        if (end == nullptr) return nullptr;
    }
    RecordBytes bytes;
    if (!bytes.read(end->format, record)) return nullptr;
    // Reading may have run Python code, which may have closed the ring.
    if (pushing<BroadcastEnd>(self) == nullptr) [[unlikely]]
        return end->refuse(Side::producer);
    if (!end->try_publish(bytes.data())) [[unlikely]]
        return not_published(*end, bytes.data());
    end->notify_readable();
    Py_RETURN_TRUE;
}

// Waits for room until `step`, called with the gate open, says done; only a ring that refuses waits.
template <class Step>
Attempt wait_for_room(PyObject* self, BroadcastEnd& end, const Patience& patience, Step&& step) {
    return wait_for(
        end.waiting, end.header->writable, end.drops ? Patience() : patience,
        [&] {
            if (pushing<BroadcastEnd>(self) != nullptr || regain_push(self) != nullptr) return step();
            return Attempt::error;
        },
        [&] { return end.seems_writable(); }, Subscribers{end});
}

// Says who is in the way: the subscriber furthest behind.
PyObject* raise_full(const BroadcastEnd& end, PyObject* timeout_s) {
    std::int32_t slowest = -1;
    for (std::int32_t place = 0; place < ringbuffer::kMaxSubscribers; ++place) {
        const auto seen = end.was(place);
        if (seen.joined && (slowest < 0 || seen.position < end.was(slowest).position)) slowest = place;
    }
    PyObject* name = slowest < 0 ? nullptr : subscriber_name(end, slowest);
    if (name == nullptr)
        return raise("DeadlineError", "the ring stayed full for %S s; give a longer timeout_s", timeout_s);
    raise("DeadlineError",
          "the ring stayed full for %S s: subscriber %R is %lld records behind; poll it, close it, or give a longer "
          "timeout_s",
          timeout_s, name, static_cast<long long>(end.published() - end.was(slowest).position));
    Py_DECREF(name);
    return nullptr;
}

PyObject* publish(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    static const char* const names[] = {"record", "timeout_s"};
    static const Parameters parameters{"publish", names, 2, 1, 2};
    BroadcastEnd& end = end_of(self);
    PyObject* given[2];
    RecordBytes bytes;
    Patience patience;
    if (!match_arguments(parameters, args, nargs, kwnames, given) || !bytes.read(end.format, given[0]) ||
        !patience.read(given[1], true))
        return nullptr;
    const Attempt outcome = wait_for_room(self, end, patience, [&] {
        if (!end.try_publish(bytes.data())) return Attempt::again;
        end.notify_readable();
        return Attempt::done;
    });
    if (outcome == Attempt::error) return nullptr;
    if (outcome == Attempt::again) {
        if (!end.drops) return raise_full(end, given[1]);
        PyObject* published = not_published(end, bytes.data());
        if (published == nullptr) return nullptr;
        Py_DECREF(published);
    }
    Py_RETURN_NONE;
}

PyObject* publish_many(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    static const char* const names[] = {"records", "timeout_s"};
    static const Parameters parameters{"publish_many", names, 2, 1, 2};
    BroadcastEnd& end = end_of(self);
    PyObject* given[2];
    BatchBytes batch;
    Patience patience;
    if (!match_arguments(parameters, args, nargs, kwnames, given) || !batch.read(end.format, given[0]) ||
        !patience.read(given[1], false))
        return nullptr;
    std::int64_t published = 0;
    const auto step = [&] {
        const std::byte* rest = batch.data() + published * end.format.slot_bytes;
        const auto taken = end.publish_many(rest, batch.count() - published);
        published += taken;
        if (taken > 0) end.notify_readable();
        return published == batch.count() ? Attempt::done : Attempt::again;
    };
    const Attempt outcome = wait_for_room(self, end, patience, step);
    if (outcome == Attempt::error && !RingEnd::only_dead_after(published)) return nullptr;
    if (outcome == Attempt::again) {
        Subscribers in_the_way{end};
        if (end.look_is_due()) {
            const bool lost = in_the_way.lost();
            if (step() == Attempt::again && published == 0 && lost) {
                in_the_way.raise();
                return nullptr;
            }
        }
        if (end.drops) end.count_dropped(batch.count() - published);
    }
    return PyLong_FromLongLong(published);
}

// ---- anyone

PyObject* subscribe(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    static const char* const names[] = {"name", "required"};
    static const Parameters parameters{"subscribe", names, 2, 1, 1};
    BroadcastEnd& end = end_of(self);
    PyObject* given[2];
    if (!match_arguments(parameters, args, nargs, kwnames, given)) return nullptr;
    PyObject* name = given[0];
    if (!PyUnicode_Check(name) || PyUnicode_GET_LENGTH(name) == 0)
        return raise("ConfigError", "a subscriber's name must be a string that is not empty, got %R", name);
    const int required = given[1] == nullptr ? 0 : PyObject_IsTrue(given[1]);
    if (required < 0) return nullptr;
    if (required == 1 && !end.gates)
        return raise("ConfigError",
                     "required=True keeps records for a subscriber that died, which a ring with overflow='%s' does not "
                     "do; leave it out, or take overflow='refuse'",
                     name_of(end.policy));
    if (!end.open()) return end.refuse(Side::producer);
    if (!end.shared())
        for (const SubscriberEnd* other : end.subscribers) {
            const int same = PyUnicode_Compare(other->name, name);
            if (same == -1 && PyErr_Occurred() != nullptr) return nullptr;
            if (same == 0)
                return raise("ConfigError",
                             "the names of subscribers must differ, got %R again; choose another or close it", name);
        }
    return new_subscriber(self, name, required == 1);
}

PyObject* get_published(PyObject* self, void*) {
    return PyLong_FromLongLong(end_of(self).published());
}
PyObject* get_evicted(PyObject* self, void*) {
    return PyLong_FromLongLong(end_of(self).evicted());
}
PyObject* get_max_lag_records(PyObject* self, void*) {
    const auto max_lag = end_of(self).memory()->spec().max_lag_records;
    if (max_lag == 0) Py_RETURN_NONE;
    return PyLong_FromLongLong(max_lag);
}

PyObject* get_subscribers(PyObject* self, void*) {
    const BroadcastEnd& end = end_of(self);
    PyObject* lags = PyDict_New();
    for (std::int32_t place = 0; place < ringbuffer::kMaxSubscribers && lags != nullptr; ++place) {
        const auto seen = end.was(place);
        PyObject* name = seen.joined && !seen.evicted ? subscriber_name(end, place) : nullptr;
        if (name == nullptr) continue;
        PyObject* lag = PyLong_FromLongLong(std::max<std::int64_t>(0, end.published() - seen.position));
        if (lag == nullptr || PyDict_SetItem(lags, name, lag) < 0) Py_CLEAR(lags);
        Py_XDECREF(lag);
        Py_DECREF(name);
    }
    return lags;
}

ringbuffer::RoleState producer_state(PyObject* self) {
    return end_of(self).state_of(BroadcastEnd::kProducer);
}
PyObject* get_peer_state(PyObject* self, void*) {
    return PyUnicode_FromString(name_of(producer_state(self)));
}
PyObject* get_peer_alive(PyObject* self, void*) {
    return PyBool_FromLong(producer_state(self) == ringbuffer::RoleState::alive);
}

PyMethodDef methods[] = {
    {"try_publish", try_publish, METH_O, docs::kTryPublish},
    {"publish", as_method(publish), METH_FASTCALL | METH_KEYWORDS, docs::kPublish},
    {"publish_many", as_method(publish_many), METH_FASTCALL | METH_KEYWORDS, docs::kPublishMany},
    {"subscribe", as_method(subscribe), METH_FASTCALL | METH_KEYWORDS, docs::kSubscribe},
    {"create", as_method(broadcast_create), METH_FASTCALL | METH_KEYWORDS | METH_CLASS, docs::kBroadcastCreate},
    {"attach", as_method(broadcast_attach), METH_FASTCALL | METH_KEYWORDS | METH_CLASS, docs::kBroadcastAttach},
    FASTMAS_RING_METHODS,
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef properties[] = {
    FASTMAS_RING_PROPERTIES,
    {"published", get_published, nullptr, "How many records were ever published.", nullptr},
    {"evicted", get_evicted, nullptr, "How many subscribers were put out, for their lag or because they died.",
     nullptr},
    {"max_lag_records", get_max_lag_records, nullptr,
     "How far behind a subscriber may be before it is put out; None when the overflow is not 'evict'.", nullptr},
    {"subscribers", get_subscribers, nullptr, "By name, how many records each subscriber was behind.", nullptr},
    {"peer_state", get_peer_state, nullptr,
     "What is known of the process that publishes: 'absent' (nobody did yet), 'alive', 'left' (it closed its end) or "
     "'dead' (it ended without). A stopped process is alive.",
     nullptr},
    {"peer_alive", get_peer_alive, nullptr, "Whether a process is there now to publish.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>(docs::kBroadcastRing)},
    {Py_tp_new, as_slot(broadcast_construct)},
    {Py_tp_dealloc, as_slot(dealloc_ring_object)},
    {Py_tp_traverse, as_slot(traverse_ring_object)},
    {Py_tp_repr, as_slot(repr)},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {0, nullptr},
};

PyType_Spec spec = {"fastmas.ring.BroadcastRing", sizeof(RingObject), 0,
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
