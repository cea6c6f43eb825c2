// What the types of all rings have in common: methods, properties, and how a type is made.
#pragma once

#include "call_arguments.hpp"
#include "ring_end.hpp"

namespace fastmas::bindings {

PyObject* ring_close(PyObject* self, PyObject*);
PyObject* ring_enter(PyObject* self, PyObject*);
PyObject* ring_exit(PyObject* self, PyObject* const*, Py_ssize_t);
PyObject* ring_unlink(PyObject*, PyObject* name);  // static

PyObject* ring_get_name(PyObject* self, void*);
PyObject* ring_get_role(PyObject* self, void*);
PyObject* ring_get_closed(PyObject* self, void*);
PyObject* ring_get_capacity(PyObject* self, void*);
PyObject* ring_get_dtype(PyObject* self, void*);
PyObject* ring_get_record_type(PyObject* self, void*);
PyObject* ring_get_layout(PyObject* self, void*);
PyObject* ring_get_wait(PyObject* self, void*);
PyObject* ring_get_overflow(PyObject* self, void*);
PyObject* ring_get_dropped(PyObject* self, void*);
PyObject* ring_get_peer_state(PyObject* self, void*);
PyObject* ring_get_peer_alive(PyObject* self, void*);

// A number or a truth about what the object holds: `kRead(end)`.
template <class End, auto kRead>
PyObject* ring_get(PyObject* self, void*) {
    const auto value = kRead(*static_cast<End*>(as_ring(self)->end));
    if constexpr (std::is_same_v<decltype(value), const bool>)
        return PyBool_FromLong(value);
    else
        return PyLong_FromLongLong(static_cast<long long>(value));
}

// Name(dtype, capacity=n) in process, <Name '/name' of dtype, capacity n, producer> in shared memory.
PyObject* ring_repr(PyObject* self);

// A type whose objects begin with RingObject. It is final: a subclass could hide the checks that the hot path relies
// on.
struct RingType {
    const char* name;  // "fastmas.ring.SpscRing"
    const char* doc;
    PyMethodDef* methods;
    PyGetSetDef* properties;
    newfunc construct;  // nullptr when Python cannot
    reprfunc repr = ring_repr;
    std::size_t bytes = sizeof(RingObject);
    destructor dealloc = dealloc_ring_object;
    traverseproc traverse = traverse_ring_object;
};
// The type, which the module has too; nullptr with an exception set.
PyTypeObject* add_ring_type(PyObject* module, const RingType& type);

// Rows of method and property tables.
// clang-format off
#define FASTMAS_RING_METHODS(things, close_doc) \
    {"close", ring_close, METH_NOARGS, close_doc}, \
    {"__enter__", ring_enter, METH_NOARGS, "__enter__($self, /)\n--\n\nReturn the " things " itself."}, \
    {"__exit__", as_method(ring_exit), METH_FASTCALL, "__exit__($self, /, *exc_info)\n--\n\nClose the " things "."}
#define FASTMAS_SHARED_METHODS(create, create_doc, attach, attach_doc) \
    {"create", as_method(create), METH_FASTCALL | METH_KEYWORDS | METH_CLASS, create_doc}, \
    {"attach", as_method(attach), METH_FASTCALL | METH_KEYWORDS | METH_CLASS, attach_doc}, \
    {"unlink", ring_unlink, METH_O | METH_STATIC, docs::kUnlink}
#define FASTMAS_PEER_PROPERTIES(peer_doc) \
    {"peer_state", ring_get_peer_state, nullptr, peer_doc, nullptr}, \
    {"peer_alive", ring_get_peer_alive, nullptr, "Whether a process holds the other end now.", nullptr}
#define FASTMAS_END_PROPERTIES(peer_doc) \
    {"name", ring_get_name, nullptr, "The name in shared memory; None in process.", nullptr}, \
    {"role", ring_get_role, nullptr, "'producer' or 'consumer' in shared memory; 'both' in process.", nullptr}, \
    {"closed", ring_get_closed, nullptr, "Whether this object can no longer be used.", nullptr}, \
    {"wait", ring_get_wait, nullptr, "How calls of this object wait: 'adaptive', 'spin', 'yield' or 'block'.", nullptr}, \
    FASTMAS_PEER_PROPERTIES(peer_doc)
#define FASTMAS_RECORD_PROPERTIES \
    {"capacity", ring_get_capacity, nullptr, "How many records the ring holds.", nullptr}, \
    {"dtype", ring_get_dtype, nullptr, "The numpy dtype of a record.", nullptr}, \
    {"record_type", ring_get_record_type, nullptr, "The Record class the ring was made for, or None.", nullptr}, \
    {"layout", ring_get_layout, nullptr, "How records lie in memory: 'contiguous' or 'sequenced'.", nullptr}, \
    {"overflow", ring_get_overflow, nullptr, "What a full ring does with the next record.", nullptr}, \
    {"dropped", ring_get_dropped, nullptr, "How many records were dropped because the ring was full.", nullptr}
// Of an End that has pushed(), popped(), was_size(), was_empty() and was_full().
#define FASTMAS_QUEUE_PROPERTIES(End, pushed_doc, popped_doc) \
    {"pushed", ring_get<End, [](End& end) { return end.pushed(); }>, nullptr, pushed_doc, nullptr}, \
    {"popped", ring_get<End, [](End& end) { return end.popped(); }>, nullptr, popped_doc, nullptr}, \
    {"was_size", ring_get<End, [](End& end) { return end.was_size(); }>, nullptr, \
     "How many records were waiting a moment ago.", nullptr}, \
    {"was_empty", ring_get<End, [](End& end) { return end.was_empty(); }>, nullptr, \
     "Whether no record was waiting a moment ago.", nullptr}, \
    {"was_full", ring_get<End, [](End& end) { return end.was_full(); }>, nullptr, \
     "Whether no record would have fitted a moment ago.", nullptr}
// clang-format on

inline constexpr const char* kOnePeerDoc =
    "What is known of the process at the other end: 'absent' (nobody was there yet), 'alive', 'left' (it closed its "
    "end) "
    "or 'dead' (it ended without). A stopped process is alive.";

}  // namespace fastmas::bindings
