// fastmas.ring.SpscRing.
#include "ring_spsc.hpp"

#include <algorithm>

#include "call_arguments.hpp"
#include "python_errors.hpp"
#include "ring_arguments.hpp"
#include "ring_common.hpp"
#include "ring_docs.hpp"
#include "ring_objects.hpp"
#include "ring_shared_docs.hpp"

namespace fastmas::bindings {
namespace {

PyObject* repr(PyObject* self) {
    return ring_repr("SpscRing", self);
}

SpscEnd& end_of(PyObject* self) {
    return *static_cast<SpscEnd*>(as_ring(self)->end);
}

// The one process at the other end.
struct Peer {
    const SpscEnd& end;
    Role role;
    bool lost() const { return end.state_of(role) == ringbuffer::RoleState::dead; }
    void raise() const { end.raise_dead(role); }
};

// ---- producer

// A record that found no room: False, when nobody died.
[[gnu::noinline]] PyObject* not_pushed(SpscEnd& end, const std::byte* record) {
    const Peer consumer{end, SpscEnd::kConsumer};
    if (end.look_is_due() && consumer.lost()) {
        if (end.try_push(record)) {  // the last thing it did was to make room
            end.notify_readable();
            Py_RETURN_TRUE;
        }
        consumer.raise();
        return nullptr;
    }
    if (end.drops) end.count_dropped(1);
    Py_RETURN_FALSE;
}

PyObject* try_push(PyObject* self, PyObject* record) {
    SpscEnd* end = pushing<SpscEnd>(self);
    if (end == nullptr) [[unlikely]] {
        end = static_cast<SpscEnd*>(regain_push(self));
        if (end == nullptr) return nullptr;
    }
    RecordBytes bytes;
    if (!bytes.read(end->format, record)) return nullptr;
    // Reading may have run Python code, which may have closed the ring.
    if (pushing<SpscEnd>(self) == nullptr) [[unlikely]]
        return end->refuse(Side::producer);
    if (!end->try_push(bytes.data())) [[unlikely]]
        return not_pushed(*end, bytes.data());
    end->notify_readable();
    Py_RETURN_TRUE;
}

// Waits for room until `step`, called with the gate open, says done; a ring that drops does not wait.
template <class Step>
Attempt wait_for_room(PyObject* self, SpscEnd& end, const Patience& patience, Step&& step) {
    return wait_for(
        end.waiting, end.header->writable, end.drops ? Patience() : patience,
        [&] {
            if (pushing<SpscEnd>(self) != nullptr || regain_push(self) != nullptr) return step();
            return Attempt::error;
        },
        [&] { return end.seems_writable(); }, Peer{end, SpscEnd::kConsumer});
}

PyObject* push(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    static const char* const names[] = {"record", "timeout_s"};
    static const Parameters parameters{"push", names, 2, 1, 2};
    SpscEnd& end = end_of(self);
    PyObject* given[2];
    RecordBytes bytes;
    Patience patience;
    if (!match_arguments(parameters, args, nargs, kwnames, given) || !bytes.read(end.format, given[0]) ||
        !patience.read(given[1], true))
        return nullptr;
    const Attempt outcome = wait_for_room(self, end, patience, [&] {
        if (!end.try_push(bytes.data())) return Attempt::again;
        end.notify_readable();
        return Attempt::done;
    });
    if (outcome == Attempt::error) return nullptr;
    if (outcome == Attempt::again) {
        if (!end.drops)
            return raise("DeadlineError",
                         "the ring of %lld records stayed full for %S s; pop from it or give a longer timeout_s",
                         static_cast<long long>(end.memory()->spec().shape.capacity), given[1]);
        PyObject* pushed = not_pushed(end, bytes.data());
        if (pushed == nullptr) return nullptr;
        Py_DECREF(pushed);
    }
    Py_RETURN_NONE;
}

PyObject* push_many(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    static const char* const names[] = {"records", "timeout_s"};
    static const Parameters parameters{"push_many", names, 2, 1, 2};
    SpscEnd& end = end_of(self);
    PyObject* given[2];
    BatchBytes batch;
    Patience patience;
    if (!match_arguments(parameters, args, nargs, kwnames, given) || !batch.read(end.format, given[0]) ||
        !patience.read(given[1], false))
        return nullptr;
    std::int64_t pushed = 0;
    const Attempt outcome = wait_for_room(self, end, patience, [&] {
        const std::byte* rest = batch.data() + pushed * end.format.slot_bytes;
        const auto taken = end.with([&](auto& ring) { return ring.push_many(rest, batch.count() - pushed); });
        pushed += taken;
        if (taken > 0) end.notify_readable();
        return pushed == batch.count() ? Attempt::done : Attempt::again;
    });
    if (outcome == Attempt::error && !RingEnd::only_dead_after(pushed)) return nullptr;
    if (outcome == Attempt::again) {
        const Peer consumer{end, SpscEnd::kConsumer};
        if (pushed == 0 && end.look_is_due() && consumer.lost()) {
            consumer.raise();
            return nullptr;
        }
        if (end.drops) end.count_dropped(batch.count() - pushed);
    }
    return PyLong_FromLongLong(pushed);
}

// ---- consumer

// One record off the ring, as a new reference. Making the object may run Python code (a collection, a finaliser) that
// pops from the same ring, or closes it: then what was made is of no use. Inlined, as is what it calls of the ring: an
// empty ring should cost no more than the call.
template <class Ring>
[[gnu::always_inline]] inline Attempt pop_from(PyObject* self, SpscEnd& end, Ring& ring, PyObject*& record) {
    while (true) {
        const std::byte* slot = ring.front();
        if (slot == nullptr) return Attempt::again;
        const auto sequence = ring.next_to_pop();
        record = end.format.to_python(slot);
        if (record == nullptr) return Attempt::error;
        const bool open = popping<SpscEnd>(self) != nullptr;
        if (open && ring.next_to_pop() == sequence) [[likely]] {
            ring.pop_front();
            end.notify_writable();
            return Attempt::done;
        }
        Py_CLEAR(record);
        if (!open) {
            end.refuse(Side::consumer);
            return Attempt::error;
        }
    }
}

[[gnu::always_inline]] inline Attempt pop_one(PyObject* self, SpscEnd& end, PyObject*& record) {
    return end.sequenced ? pop_from(self, end, end.sequenced_ring(), record)
                         : pop_from(self, end, end.contiguous_ring(), record);
}

// It is time for a look after the producer: None, when it did not die.
[[gnu::noinline]] PyObject* look_after_producer(PyObject* self, SpscEnd& end) {
    const Peer producer{end, SpscEnd::kProducer};
    if (!producer.lost()) Py_RETURN_NONE;
    PyObject* record = nullptr;
    const Attempt last = pop_one(self, end, record);  // what it did before it died
    if (last == Attempt::again) producer.raise();
    return record;
}

PyObject* try_pop(PyObject* self, PyObject*) {
    SpscEnd* end = popping<SpscEnd>(self);
    if (end == nullptr) [[unlikely]] {
        end = static_cast<SpscEnd*>(regain_pop(self));
        if (end == nullptr) return nullptr;
    }
    PyObject* record = nullptr;
    if (pop_one(self, *end, record) != Attempt::again) return record;
    if (end->look_is_due()) return look_after_producer(self, *end);
    Py_RETURN_NONE;
}

template <class Step>
Attempt wait_for_records(PyObject* self, SpscEnd& end, const Patience& patience, Step&& step) {
    return wait_for(
        end.waiting, end.header->readable, patience,
        [&] {
            if (popping<SpscEnd>(self) != nullptr || regain_pop(self) != nullptr) return step();
            return Attempt::error;
        },
        [&] { return end.seems_readable(); }, Peer{end, SpscEnd::kProducer});
}

PyObject* pop(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    static const char* const names[] = {"timeout_s"};
    static const Parameters parameters{"pop", names, 1, 0, 1};
    SpscEnd& end = end_of(self);
    PyObject* given[1];
    Patience patience;
    if (!match_arguments(parameters, args, nargs, kwnames, given) || !patience.read(given[0], true)) return nullptr;
    PyObject* record = nullptr;
    const Attempt outcome = wait_for_records(self, end, patience, [&] { return pop_one(self, end, record); });
    if (outcome == Attempt::again)
        return raise("DeadlineError", "no record came within %S s; push one or give a longer timeout_s", given[0]);
    return record;
}

PyObject* pop_many(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    static const char* const names[] = {"max_records", "out", "timeout_s"};
    static const Parameters parameters{"pop_many", names, 3, 0, 2};
    SpscEnd& end = end_of(self);
    PyObject* given[3];
    BatchTarget target;
    Patience patience;
    if (!match_arguments(parameters, args, nargs, kwnames, given) ||
        !target.read(end.format, given[0], given[1], end.memory()->spec().shape.capacity) ||
        !patience.read(given[2], false))
        return nullptr;
    std::int64_t taken = 0;
    const auto step = [&] {
        const auto there = end.available(target.max());
        if (there == 0) return Attempt::again;
        std::byte* out = target.reserve(end.format, there);
        if (out == nullptr) return Attempt::error;
        // Memory for the array may have cost a collection, and that the ring.
        if (popping<SpscEnd>(self) == nullptr) {
            end.refuse(Side::consumer);
            return Attempt::error;
        }
        taken = end.with([&](auto& ring) { return ring.pop_many(out, there); });
        end.notify_writable();
        return Attempt::done;
    };
    const Attempt outcome = wait_for_records(self, end, patience, step);
    if (outcome == Attempt::error) return nullptr;
    if (outcome == Attempt::again) {
        const Peer producer{end, SpscEnd::kProducer};
        if (end.look_is_due() && producer.lost()) {
            const Attempt last = step();
            if (last == Attempt::again) producer.raise();
            if (last != Attempt::done) return nullptr;
        }
    }
    return target.result(end.format, taken);
}

// ---- what the ring is, and was

PyObject* get_pushed(PyObject* self, void*) {
    return PyLong_FromLongLong(end_of(self).with([](const auto& ring) { return ring.pushed(); }));
}
PyObject* get_popped(PyObject* self, void*) {
    return PyLong_FromLongLong(end_of(self).with([](const auto& ring) { return ring.popped(); }));
}
PyObject* get_was_size(PyObject* self, void*) {
    return PyLong_FromLongLong(end_of(self).with([](const auto& ring) { return ring.was_size(); }));
}
PyObject* get_was_empty(PyObject* self, void*) {
    return PyBool_FromLong(end_of(self).with([](const auto& ring) { return ring.was_empty(); }));
}
PyObject* get_was_full(PyObject* self, void*) {
    return PyBool_FromLong(end_of(self).with([](const auto& ring) { return ring.was_full(); }));
}

ringbuffer::RoleState peer_state(PyObject* self) {
    const SpscEnd& end = end_of(self);
    return end.state_of(end.shared() && end.holds(Side::producer) ? SpscEnd::kConsumer : SpscEnd::kProducer);
}
PyObject* get_peer_state(PyObject* self, void*) {
    return PyUnicode_FromString(name_of(peer_state(self)));
}
PyObject* get_peer_alive(PyObject* self, void*) {
    return PyBool_FromLong(peer_state(self) == ringbuffer::RoleState::alive);
}

PyMethodDef methods[] = {
    {"try_push", try_push, METH_O, docs::kTryPush},
    {"push", as_method(push), METH_FASTCALL | METH_KEYWORDS, docs::kPush},
    {"push_many", as_method(push_many), METH_FASTCALL | METH_KEYWORDS, docs::kPushMany},
    {"try_pop", try_pop, METH_NOARGS, docs::kTryPop},
    {"pop", as_method(pop), METH_FASTCALL | METH_KEYWORDS, docs::kPop},
    {"pop_many", as_method(pop_many), METH_FASTCALL | METH_KEYWORDS, docs::kPopMany},
    {"claim", spsc_claim, METH_O, docs::kClaim},
    {"peek", spsc_peek, METH_O, docs::kPeek},
    {"create", as_method(spsc_create), METH_FASTCALL | METH_KEYWORDS | METH_CLASS, docs::kCreate},
    {"attach", as_method(spsc_attach), METH_FASTCALL | METH_KEYWORDS | METH_CLASS, docs::kAttach},
    FASTMAS_RING_METHODS,
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef properties[] = {
    FASTMAS_RING_PROPERTIES,
    {"pushed", get_pushed, nullptr, "How many records were ever pushed.", nullptr},
    {"popped", get_popped, nullptr, "How many records were ever popped.", nullptr},
    {"was_size", get_was_size, nullptr, "How many records were waiting a moment ago.", nullptr},
    {"was_empty", get_was_empty, nullptr, "Whether no record was waiting a moment ago.", nullptr},
    {"was_full", get_was_full, nullptr, "Whether no record would have fitted a moment ago.", nullptr},
    {"peer_state", get_peer_state, nullptr,
     "What is known of the process at the other end: 'absent' (nobody was there yet), 'alive', 'left' (it closed its "
     "end) or 'dead' (it ended without). A stopped process is alive.",
     nullptr},
    {"peer_alive", get_peer_alive, nullptr, "Whether a process holds the other end now.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>(docs::kSpscRing)},
    {Py_tp_new, as_slot(spsc_construct)},
    {Py_tp_dealloc, as_slot(dealloc_ring_object)},
    {Py_tp_traverse, as_slot(traverse_ring_object)},
    {Py_tp_repr, as_slot(repr)},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {0, nullptr},
};

// Final: a subclass could hide the checks that the hot path relies on.
PyType_Spec spec = {"fastmas.ring.SpscRing", sizeof(RingObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE, slots};

}  // namespace

bool add_spsc_ring(PyObject* module) {
    PyObject* type = PyType_FromSpec(&spec);
    if (type == nullptr) return false;
    const int added = PyModule_AddObjectRef(module, "SpscRing", type);
    Py_DECREF(type);
    return added == 0;
}

}  // namespace fastmas::bindings
