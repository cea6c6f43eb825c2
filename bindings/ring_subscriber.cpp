// fastmas.ring.Subscriber: a subscriber's side of a broadcast ring. Made by BroadcastRing.subscribe() only.
#include <algorithm>
#include <memory>

#include "call_arguments.hpp"
#include "python_errors.hpp"
#include "ring_arguments.hpp"
#include "ring_broadcast.hpp"
#include "ring_broadcast_docs.hpp"
#include "ring_common.hpp"
#include "ring_consumer.hpp"
#include "ring_objects.hpp"

namespace fastmas::bindings {
namespace {

PyTypeObject* subscriber_type = nullptr;

SubscriberObject* as_subscriber(PyObject* self) {
    return reinterpret_cast<SubscriberObject*>(self);
}
SubscriberEnd& end_of(PyObject* self) {
    return *static_cast<SubscriberEnd*>(as_ring(self)->end);
}

int traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(as_subscriber(self)->ring);
    return traverse_ring_object(self, visit, arg);
}

void dealloc(PyObject* self) {
    PyObject* const ring = as_subscriber(self)->ring;
    PyObject* const name = as_subscriber(self)->name;
    dealloc_ring_object(self);
    Py_XDECREF(name);
    Py_XDECREF(ring);
}

PyObject* repr(PyObject* self) {
    SubscriberEnd& end = end_of(self);
    PyObject* name = as_subscriber(self)->name;
    if (!end.open()) return PyUnicode_FromFormat("<Subscriber %R, closed>", name);
    if (end.evicted()) return PyUnicode_FromFormat("<Subscriber %R, put out>", name);
    return PyUnicode_FromFormat("<Subscriber %R, lag %lld>", name, static_cast<long long>(end.lag()));
}

PyObject* get_name(PyObject* self, void*) {
    return Py_NewRef(as_subscriber(self)->name);
}
PyObject* get_ring(PyObject* self, void*) {
    return Py_NewRef(as_subscriber(self)->ring);
}
PyObject* get_lag(PyObject* self, void*) {
    SubscriberEnd& end = end_of(self);
    return end.open() ? PyLong_FromLongLong(end.lag()) : end.refuse(Side::consumer);
}

using Pops = Consumer<SubscriberEnd>;

PyMethodDef methods[] = {
    {"poll", as_method(Pops::pop_many), METH_FASTCALL | METH_KEYWORDS, docs::kPoll},
    {"try_pop", Pops::try_pop, METH_NOARGS, docs::kSubscriberTryPop},
    {"pop", as_method(Pops::pop), METH_FASTCALL | METH_KEYWORDS, docs::kSubscriberPop},
    FASTMAS_RING_METHODS("subscriber", docs::kClose),
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef properties[] = {
    {"name", get_name, nullptr, "The name given to subscribe().", nullptr},
    {"ring", get_ring, nullptr, "The ring it subscribes to.", nullptr},
    {"lag", get_lag, nullptr,
     "How many records it was behind a moment ago. At the capacity the producer waits, or begins to overwrite; beyond "
     "max_lag_records this subscriber is put out.",
     nullptr},
    {"received", ring_get<SubscriberEnd, [](SubscriberEnd& end) { return end.received(); }>, nullptr,
     "How many records it has read: exactly those published since its join, less what is lost.", nullptr},
    {"lost", ring_get<SubscriberEnd, [](SubscriberEnd& end) { return end.lost(); }>, nullptr,
     "How many records were overwritten before it read them, by its last read; 0 unless overflow='overwrite_oldest'.",
     nullptr},
    {"joined_at", ring_get<SubscriberEnd, [](SubscriberEnd& end) { return end.joined_at(); }>, nullptr,
     "The sequence of the first record it sees.", nullptr},
    {"required", ring_get<SubscriberEnd, [](SubscriberEnd& end) { return end.required; }>, nullptr,
     "Whether the producer keeps its records when its process dies.", nullptr},
    {"resumed", ring_get<SubscriberEnd, [](SubscriberEnd& end) { return end.resumed; }>, nullptr,
     "Whether it goes on where a process stopped that died, instead of joining anew.", nullptr},
    {"evicted", ring_get<SubscriberEnd, [](SubscriberEnd& end) { return end.evicted(); }>, nullptr,
     "Whether it was put out for its lag; reading raises EvictedError then.", nullptr},
    {"closed", ring_get_closed, nullptr, "Whether it has left the ring.", nullptr},
    FASTMAS_PEER_PROPERTIES("What is known of the process that publishes: 'absent', 'alive', 'left' or 'dead'."),
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

}  // namespace

PyObject* subscriber_name(const BroadcastEnd& end, std::int32_t place) {
    if (end.shared()) {
        const std::string name = end.name_at(place);
        return PyUnicode_DecodeUTF8(name.data(), static_cast<Py_ssize_t>(name.size()), "replace");
    }
    for (SubscriberEnd* subscriber : end.subscribers)
        if (subscriber->place() == place) return Py_NewRef(subscriber->name);
    return nullptr;
}

PyObject* new_subscriber(PyObject* ring, PyObject* name, bool required) {
    auto& owner = *static_cast<BroadcastEnd*>(as_ring(ring)->end);
    Py_ssize_t length = 0;
    const char* text = PyUnicode_AsUTF8AndSize(name, &length);
    if (text == nullptr) return nullptr;
    try {
        RingFormat format;
        if (!format.read(owner.format.record_type != nullptr ? reinterpret_cast<PyObject*>(owner.format.record_type)
                                                             : owner.format.dtype))
            return nullptr;
        auto end = std::make_unique<SubscriberEnd>(std::move(format), owner,
                                                   std::string_view(text, static_cast<std::size_t>(length)), required);
        end->name = name;
        PyObject* self = new_ring_object(subscriber_type, std::move(end));
        if (self == nullptr) return nullptr;
        as_subscriber(self)->ring = Py_NewRef(ring);
        as_subscriber(self)->name = Py_NewRef(name);
        return self;
    } catch (...) {
        return raise_current_exception();
    }
}

bool add_subscriber(PyObject* module) {
    subscriber_type = add_ring_type(module, {"fastmas.ring.Subscriber", docs::kSubscriber, methods, properties, nullptr,
                                             repr, sizeof(SubscriberObject), dealloc, traverse});
    return subscriber_type != nullptr;
}

}  // namespace fastmas::bindings
