// fastmas.ring.SpscRing.
#include <memory>

#include "call_arguments.hpp"
#include "python_errors.hpp"
#include "ring_docs.hpp"
#include "ring_objects.hpp"
#include "ringbuffer/spsc_ring.hpp"

namespace fastmas::bindings {
namespace {

using ringbuffer::Parker;
using ringbuffer::RingShape;

struct State {
    State(RingFormat&& held, RingShape shape) : format(std::move(held)), ring(shape) {}
    RingFormat format;
    ringbuffer::SpscRing<> ring;
    Parker readable;
    Parker writable;
};

// Complete from the moment Python can see it: `state` is set in the only constructor there is.
struct SpscRingObject {
    PyObject_HEAD State* state;
};

State& state_of(PyObject* self) {
    return *reinterpret_cast<SpscRingObject*>(self)->state;
}

PyObject* construct(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
    static const char* const names[] = {"dtype", "capacity"};
    static const Parameters parameters{"SpscRing", names, 2, 2, 2};
    PyObject* given[2];
    std::int64_t capacity = 0;
    if (!match_arguments(parameters, args, kwargs, given)) return nullptr;
    try {
        RingFormat format;
        if (!format.read(given[0]) || !to_i64(given[1], "capacity", &capacity)) return nullptr;
        const auto shape = RingShape::checked(capacity, format.slot_bytes);
        auto state = std::make_unique<State>(std::move(format), shape);
        PyObject* self = type->tp_alloc(type, 0);
        if (self != nullptr) reinterpret_cast<SpscRingObject*>(self)->state = state.release();
        return self;
    } catch (...) {
        return raise_current_exception();
    }
}

// A class may refer to a ring of its own records; that cycle is broken in the class, so there is no tp_clear here.
int traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    if (auto* state = reinterpret_cast<SpscRingObject*>(self)->state; state != nullptr)
        Py_VISIT(state->format.record_type);
    return 0;
}

void dealloc(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    delete reinterpret_cast<SpscRingObject*>(self)->state;
    type->tp_free(self);
    Py_DECREF(type);
}

PyObject* repr(PyObject* self) {
    return repr_of("SpscRing", state_of(self).format, state_of(self).ring.capacity());
}

// ---- producer

PyObject* try_push(PyObject* self, PyObject* record) {
    State& state = state_of(self);
    RecordBytes bytes;
    if (!bytes.read(state.format, record)) return nullptr;
    if (!state.ring.try_push(bytes.data())) Py_RETURN_FALSE;
    state.readable.notify();
    Py_RETURN_TRUE;
}

PyObject* push(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    static const char* const names[] = {"record", "timeout_s"};
    static const Parameters parameters{"push", names, 2, 1, 2};
    State& state = state_of(self);
    PyObject* given[2];
    RecordBytes bytes;
    Patience patience;
    if (!match_arguments(parameters, args, nargs, kwnames, given) || !bytes.read(state.format, given[0]) ||
        !patience.read(given[1], true))
        return nullptr;
    const Attempt outcome = wait_for(state.writable, patience, [&] {
        if (!state.ring.try_push(bytes.data())) return Attempt::again;
        state.readable.notify();
        return Attempt::done;
    });
    if (outcome == Attempt::error) return nullptr;
    if (outcome == Attempt::again)
        return raise("DeadlineError",
                     "the ring of %lld records stayed full for %S s; pop from it or give a longer timeout_s",
                     static_cast<long long>(state.ring.capacity()), given[1]);
    Py_RETURN_NONE;
}

PyObject* push_many(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    static const char* const names[] = {"records", "timeout_s"};
    static const Parameters parameters{"push_many", names, 2, 1, 2};
    State& state = state_of(self);
    PyObject* given[2];
    BatchBytes batch;
    Patience patience;
    if (!match_arguments(parameters, args, nargs, kwnames, given) || !batch.read(state.format, given[0]) ||
        !patience.read(given[1], false))
        return nullptr;
    std::int64_t pushed = 0;
    const Attempt outcome = wait_for(state.writable, patience, [&] {
        const auto taken =
            state.ring.push_many(batch.data() + pushed * state.format.slot_bytes, batch.count() - pushed);
        pushed += taken;
        if (taken > 0) state.readable.notify();
        return pushed == batch.count() ? Attempt::done : Attempt::again;
    });
    return outcome == Attempt::error ? nullptr : PyLong_FromLongLong(pushed);
}

// ---- consumer

PyObject* try_pop(PyObject* self, PyObject*) {
    State& state = state_of(self);
    PyObject* record = pop_one(state.format, state.ring);
    if (record != nullptr) {
        state.writable.notify();
        return record;
    }
    if (PyErr_Occurred() != nullptr) return nullptr;
    Py_RETURN_NONE;
}

PyObject* pop(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    static const char* const names[] = {"timeout_s"};
    static const Parameters parameters{"pop", names, 1, 0, 1};
    State& state = state_of(self);
    PyObject* given[1];
    Patience patience;
    if (!match_arguments(parameters, args, nargs, kwnames, given) || !patience.read(given[0], true)) return nullptr;
    PyObject* record = nullptr;
    const Attempt outcome = wait_for(state.readable, patience, [&] {
        record = pop_one(state.format, state.ring);
        if (record == nullptr) return PyErr_Occurred() != nullptr ? Attempt::error : Attempt::again;
        state.writable.notify();
        return Attempt::done;
    });
    if (outcome == Attempt::again)
        return raise("DeadlineError", "no record came within %S s; push one or give a longer timeout_s", given[0]);
    return record;
}

PyObject* pop_many(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    static const char* const names[] = {"max_records", "out", "timeout_s"};
    static const Parameters parameters{"pop_many", names, 3, 0, 2};
    State& state = state_of(self);
    PyObject* given[3];
    BatchTarget target;
    Patience patience;
    if (!match_arguments(parameters, args, nargs, kwnames, given) ||
        !target.read(state.format, given[0], given[1], state.ring.capacity()) || !patience.read(given[2], false))
        return nullptr;
    std::int64_t taken = 0;
    const Attempt outcome = wait_for(state.readable, patience, [&] {
        const auto there = std::min(target.max(), state.ring.available());
        if (there == 0) return Attempt::again;
        std::byte* out = target.reserve(state.format, there);
        if (out == nullptr) return Attempt::error;
        taken = state.ring.pop_many(out, there);
        state.writable.notify();
        return Attempt::done;
    });
    return outcome == Attempt::error ? nullptr : target.result(state.format, taken);
}

// ---- what the ring is, and was

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
PyObject* get_pushed(PyObject* self, void*) {
    return PyLong_FromLongLong(state_of(self).ring.pushed());
}
PyObject* get_popped(PyObject* self, void*) {
    return PyLong_FromLongLong(state_of(self).ring.popped());
}
PyObject* get_was_size(PyObject* self, void*) {
    return PyLong_FromLongLong(state_of(self).ring.was_size());
}
PyObject* get_was_empty(PyObject* self, void*) {
    return PyBool_FromLong(state_of(self).ring.was_empty());
}
PyObject* get_was_full(PyObject* self, void*) {
    return PyBool_FromLong(state_of(self).ring.was_full());
}

PyMethodDef methods[] = {
    {"try_push", try_push, METH_O, docs::kTryPush},
    {"push", as_method(push), METH_FASTCALL | METH_KEYWORDS, docs::kPush},
    {"push_many", as_method(push_many), METH_FASTCALL | METH_KEYWORDS, docs::kPushMany},
    {"try_pop", try_pop, METH_NOARGS, docs::kTryPop},
    {"pop", as_method(pop), METH_FASTCALL | METH_KEYWORDS, docs::kPop},
    {"pop_many", as_method(pop_many), METH_FASTCALL | METH_KEYWORDS, docs::kPopMany},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef properties[] = {
    {"capacity", get_capacity, nullptr, "How many records the ring holds.", nullptr},
    {"dtype", get_dtype, nullptr, "The numpy dtype of a record.", nullptr},
    {"record_type", get_record_type, nullptr, "The Record class the ring was made for, or None.", nullptr},
    {"pushed", get_pushed, nullptr, "How many records were ever pushed.", nullptr},
    {"popped", get_popped, nullptr, "How many records were ever popped.", nullptr},
    {"was_size", get_was_size, nullptr, "How many records were waiting a moment ago.", nullptr},
    {"was_empty", get_was_empty, nullptr, "Whether no record was waiting a moment ago.", nullptr},
    {"was_full", get_was_full, nullptr, "Whether no record would have fitted a moment ago.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>(docs::kSpscRing)},
    {Py_tp_new, as_slot(construct)},
    {Py_tp_dealloc, as_slot(dealloc)},
    {Py_tp_traverse, as_slot(traverse)},
    {Py_tp_repr, as_slot(repr)},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {0, nullptr},
};

// Final: a subclass could hide the checks that the hot path relies on.
PyType_Spec spec = {"fastmas.ring.SpscRing", sizeof(SpscRingObject), 0,
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
