// fastmas.ring.BroadcastRing: the producer's side, and an observer's.
#include "ring_broadcast.hpp"

#include <algorithm>

#include "call_arguments.hpp"
#include "python_errors.hpp"
#include "ring_arguments.hpp"
#include "ring_broadcast_docs.hpp"
#include "ring_common.hpp"
#include "ring_objects.hpp"
#include "ring_producer.hpp"
#include "ring_shared_docs.hpp"

namespace fastmas::bindings {
namespace {

BroadcastEnd& end_of(PyObject* self) {
    return *static_cast<BroadcastEnd*>(as_ring(self)->end);
}

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
    // No name twice, and nobody joins a ring that closes.
    const LifeGuard guard(end.life());
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

PyObject* get_max_lag_records(PyObject* self, void*) {
    const auto max_lag = end_of(self).memory()->spec().max_lag_records;
    if (max_lag == 0) Py_RETURN_NONE;
    return PyLong_FromLongLong(max_lag);
}

PyObject* get_subscribers(PyObject* self, void*) {
    const BroadcastEnd& end = end_of(self);
    const LifeGuard guard(end.life());
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

using Publishes = Producer<BroadcastEnd>;

PyMethodDef methods[] = {
    {"try_publish", Publishes::try_push, METH_O, docs::kTryPublish},
    {"publish", as_method(Publishes::push), METH_FASTCALL | METH_KEYWORDS, docs::kPublish},
    {"publish_many", as_method(Publishes::push_many), METH_FASTCALL | METH_KEYWORDS, docs::kPublishMany},
    {"subscribe", as_method(subscribe), METH_FASTCALL | METH_KEYWORDS, docs::kSubscribe},
    FASTMAS_SHARED_METHODS(broadcast_create, docs::kBroadcastCreate, broadcast_attach, docs::kBroadcastAttach),
    FASTMAS_RING_METHODS("ring", docs::kRingClose),
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef properties[] = {
    FASTMAS_END_PROPERTIES("What is known of the process that publishes: 'absent' (nobody did yet), 'alive', 'left' "
                           "(it closed its end) or "
                           "'dead' (it ended without). A stopped process is alive."),
    FASTMAS_RECORD_PROPERTIES,
    {"published", ring_get<BroadcastEnd, [](BroadcastEnd& end) { return end.published(); }>, nullptr,
     "How many records were ever published.", nullptr},
    {"evicted", ring_get<BroadcastEnd, [](BroadcastEnd& end) { return end.evicted(); }>, nullptr,
     "How many subscribers were put out, for their lag or because they died.", nullptr},
    {"max_lag_records", get_max_lag_records, nullptr,
     "How far behind a subscriber may be before it is put out; None when the overflow is not 'evict'.", nullptr},
    {"subscribers", get_subscribers, nullptr, "By name, how many records each subscriber was behind.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

}  // namespace

bool add_broadcast_ring(PyObject* module) {
    return add_ring_type(module, {"fastmas.ring.BroadcastRing", docs::kBroadcastRing, methods, properties,
                                  broadcast_construct}) != nullptr;
}

}  // namespace fastmas::bindings
