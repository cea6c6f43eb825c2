// Methods and properties that every kind of ring has, for the tables of their types.
#pragma once

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

// `repr`: Name(dtype, capacity=n) in process, <Name '/name' of dtype, capacity n, producer> in shared memory.
PyObject* ring_repr(const char* type_name, PyObject* self);

// The rows of a property table for all of these.
// clang-format off
#define FASTMAS_RING_PROPERTIES \
    {"name", ring_get_name, nullptr, "The name in shared memory; None in process.", nullptr}, \
    {"role", ring_get_role, nullptr, "'producer' or 'consumer' in shared memory; 'both' in process.", nullptr}, \
    {"closed", ring_get_closed, nullptr, "Whether this object can no longer be used.", nullptr}, \
    {"capacity", ring_get_capacity, nullptr, "How many records the ring holds.", nullptr}, \
    {"dtype", ring_get_dtype, nullptr, "The numpy dtype of a record.", nullptr}, \
    {"record_type", ring_get_record_type, nullptr, "The Record class the ring was made for, or None.", nullptr}, \
    {"layout", ring_get_layout, nullptr, "How records lie in memory: 'contiguous' or 'sequenced'.", nullptr}, \
    {"wait", ring_get_wait, nullptr, "How calls of this object wait: 'adaptive', 'spin', 'yield' or 'block'.", nullptr}, \
    {"overflow", ring_get_overflow, nullptr, "What a full ring does with the next record.", nullptr}, \
    {"dropped", ring_get_dropped, nullptr, "How many records were dropped because the ring was full.", nullptr}
#define FASTMAS_RING_METHODS \
    {"close", ring_close, METH_NOARGS, docs::kRingClose}, \
    {"__enter__", ring_enter, METH_NOARGS, "__enter__($self, /)\n--\n\nReturn the ring itself."}, \
    {"__exit__", as_method(ring_exit), METH_FASTCALL, "__exit__($self, /, *exc_info)\n--\n\nClose the ring."}, \
    {"unlink", ring_unlink, METH_O | METH_STATIC, docs::kUnlink}
// clang-format on

}  // namespace fastmas::bindings
