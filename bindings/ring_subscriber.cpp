// fastmas.ring.Subscriber: a subscriber's side of a broadcast ring. Made by BroadcastRing.subscribe() only.
#include <algorithm>
#include <memory>

#include "call_arguments.hpp"
#include "python_errors.hpp"
#include "ring_arguments.hpp"
#include "ring_broadcast.hpp"
#include "ring_broadcast_docs.hpp"
#include "ring_common.hpp"
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

// Says why its gate is closed, or opens it; false with the error set.
bool check_open(PyObject* self) {
    if (popping<SubscriberEnd>(self) != nullptr) [[likely]]
        return true;
    const SubscriberEnd& end = end_of(self);
    if (!end.open() && end.closed()) {
        raise("ConfigError", "subscriber %R is closed; subscribe again", as_subscriber(self)->name);
        return false;
    }
    return regain_pop(self) != nullptr;
}

// Where there is nothing to read: whether more may come. False with the error set when it was put out.
bool check_in(PyObject* self, SubscriberEnd& end) {
    if (!end.evicted()) [[likely]]
        return true;
    raise(
        "EvictedError",
        "subscriber %R was put out of %s: it fell more than max_lag_records=%lld behind; close it and subscribe again, "
        "which starts with the next record published",
        as_subscriber(self)->name, end.called().c_str(), static_cast<long long>(end.memory()->spec().max_lag_records));
    return false;
}

// The process that publishes.
struct Producer {
    const SubscriberEnd& end;
    bool lost() const { return end.state_of(BroadcastEnd::kProducer) == ringbuffer::RoleState::dead; }
    void raise() const { end.raise_dead(BroadcastEnd::kProducer); }
};

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

// One record off the ring, as a new reference. Making the object may run Python code (a collection, a finaliser) that
// pops from the same subscriber, or closes it: then what was made is of no use.
Attempt pop_record(PyObject* self, SubscriberEnd& end, PyObject*& record) {
    while (true) {
        const std::byte* slot = end.front();
        if (slot == nullptr) return check_in(self, end) ? Attempt::again : Attempt::error;
        const auto sequence = end.next_to_pop();
        record = end.format.to_python(slot);
        if (record == nullptr) return Attempt::error;
        const bool open = popping<SubscriberEnd>(self) != nullptr;
        if (open && end.next_to_pop() == sequence && end.pop_front()) [[likely]] {
            end.notify_producer();
            return Attempt::done;
        }
        Py_CLEAR(record);
        if (!check_open(self)) return Attempt::error;
    }
}

// It is time for a look after the producer: None, when it did not die.
[[gnu::noinline]] PyObject* look_after_producer(PyObject* self, SubscriberEnd& end) {
    const Producer producer{end};
    if (!producer.lost()) Py_RETURN_NONE;
    PyObject* record = nullptr;
    const Attempt last = pop_record(self, end, record);  // what it did before it died
    if (last == Attempt::again) producer.raise();
    return record;
}

PyObject* try_pop(PyObject* self, PyObject*) {
    if (!check_open(self)) return nullptr;
    SubscriberEnd& end = end_of(self);
    PyObject* record = nullptr;
    if (pop_record(self, end, record) != Attempt::again) return record;
    if (end.look_is_due()) return look_after_producer(self, end);
    Py_RETURN_NONE;
}

template <class Step>
Attempt wait_for_records(PyObject* self, SubscriberEnd& end, const Patience& patience, Step&& step) {
    return wait_for(
        end.waiting, end.header->readable, patience, [&] { return check_open(self) ? step() : Attempt::error; },
        [&] { return end.seems_readable(); }, Producer{end});
}

PyObject* pop(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    static const char* const names[] = {"timeout_s"};
    static const Parameters parameters{"pop", names, 1, 0, 1};
    SubscriberEnd& end = end_of(self);
    PyObject* given[1];
    Patience patience;
    if (!match_arguments(parameters, args, nargs, kwnames, given) || !patience.read(given[0], true)) return nullptr;
    PyObject* record = nullptr;
    const Attempt outcome = wait_for_records(self, end, patience, [&] { return pop_record(self, end, record); });
    if (outcome == Attempt::again)
        return raise("DeadlineError", "no record came within %S s; publish one or give a longer timeout_s", given[0]);
    return record;
}

PyObject* poll(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    static const char* const names[] = {"max_records", "out", "timeout_s"};
    static const Parameters parameters{"poll", names, 3, 0, 2};
    SubscriberEnd& end = end_of(self);
    PyObject* given[3];
    BatchTarget target;
    Patience patience;
    if (!match_arguments(parameters, args, nargs, kwnames, given) ||
        !target.read(end.format, given[0], given[1], end.memory()->spec().shape.capacity) ||
        !patience.read(given[2], false))
        return nullptr;
    std::int64_t taken = 0;
    const auto step = [&] {
        const auto there = std::min(target.max(), end.available());
        if (there == 0) return target.max() == 0 || check_in(self, end) ? Attempt::again : Attempt::error;
        std::byte* out = target.reserve(end.format, there);
        // Memory for the array may have cost a collection, and that the subscriber.
        if (out == nullptr || !check_open(self)) return Attempt::error;
        taken = end.poll(out, there);
        if (taken == 0) return check_in(self, end) ? Attempt::again : Attempt::error;
        end.notify_producer();
        return Attempt::done;
    };
    const Attempt outcome = wait_for_records(self, end, patience, step);
    if (outcome == Attempt::error) return nullptr;
    if (outcome == Attempt::again && target.max() > 0 && end.look_is_due() && Producer{end}.lost()) {
        const Attempt last = step();
        if (last == Attempt::again) Producer{end}.raise();
        if (last != Attempt::done) return nullptr;
    }
    return target.result(end.format, taken);
}

PyObject* get_name(PyObject* self, void*) {
    return Py_NewRef(as_subscriber(self)->name);
}
PyObject* get_ring(PyObject* self, void*) {
    return Py_NewRef(as_subscriber(self)->ring);
}
PyObject* get_lag(PyObject* self, void*) {
    return check_open(self) ? PyLong_FromLongLong(end_of(self).lag()) : nullptr;
}
PyObject* get_received(PyObject* self, void*) {
    return PyLong_FromLongLong(end_of(self).received());
}
PyObject* get_lost(PyObject* self, void*) {
    return PyLong_FromLongLong(end_of(self).lost());
}
PyObject* get_joined_at(PyObject* self, void*) {
    return PyLong_FromLongLong(end_of(self).joined_at());
}
PyObject* get_required(PyObject* self, void*) {
    return PyBool_FromLong(end_of(self).required);
}
PyObject* get_resumed(PyObject* self, void*) {
    return PyBool_FromLong(end_of(self).resumed);
}
PyObject* get_evicted(PyObject* self, void*) {
    return PyBool_FromLong(end_of(self).evicted());
}
PyObject* get_peer_state(PyObject* self, void*) {
    return PyUnicode_FromString(name_of(end_of(self).state_of(BroadcastEnd::kProducer)));
}
PyObject* get_peer_alive(PyObject* self, void*) {
    return PyBool_FromLong(end_of(self).state_of(BroadcastEnd::kProducer) == ringbuffer::RoleState::alive);
}

PyMethodDef methods[] = {
    {"poll", as_method(poll), METH_FASTCALL | METH_KEYWORDS, docs::kPoll},
    {"try_pop", try_pop, METH_NOARGS, docs::kSubscriberTryPop},
    {"pop", as_method(pop), METH_FASTCALL | METH_KEYWORDS, docs::kSubscriberPop},
    {"close", ring_close, METH_NOARGS, docs::kClose},
    {"__enter__", ring_enter, METH_NOARGS, "__enter__($self, /)\n--\n\nReturn the subscriber itself."},
    {"__exit__", as_method(ring_exit), METH_FASTCALL, "__exit__($self, /, *exc_info)\n--\n\nClose the subscriber."},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef properties[] = {
    {"name", get_name, nullptr, "The name given to subscribe().", nullptr},
    {"ring", get_ring, nullptr, "The ring it subscribes to.", nullptr},
    {"lag", get_lag, nullptr,
     "How many records it was behind a moment ago. At the capacity the producer waits, or begins to overwrite; beyond "
     "max_lag_records this subscriber is put out.",
     nullptr},
    {"received", get_received, nullptr,
     "How many records it has read: exactly those published since its join, less what is lost.", nullptr},
    {"lost", get_lost, nullptr,
     "How many records were overwritten before it read them, by its last read; 0 unless overflow='overwrite_oldest'.",
     nullptr},
    {"joined_at", get_joined_at, nullptr, "The sequence of the first record it sees.", nullptr},
    {"required", get_required, nullptr, "Whether the producer keeps its records when its process dies.", nullptr},
    {"resumed", get_resumed, nullptr, "Whether it goes on where a process stopped that died, instead of joining anew.",
     nullptr},
    {"evicted", get_evicted, nullptr, "Whether it was put out for its lag; reading raises EvictedError then.", nullptr},
    {"closed", ring_get_closed, nullptr, "Whether it has left the ring.", nullptr},
    {"peer_state", get_peer_state, nullptr,
     "What is known of the process that publishes: 'absent', 'alive', 'left' or 'dead'.", nullptr},
    {"peer_alive", get_peer_alive, nullptr, "Whether a process is there now to publish.", nullptr},
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
    subscriber_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
    if (subscriber_type == nullptr) return false;
    return PyModule_AddObjectRef(module, "Subscriber", reinterpret_cast<PyObject*>(subscriber_type)) == 0;
}

}  // namespace fastmas::bindings
