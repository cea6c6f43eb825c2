// The extension types of fastmas._core.ring.
#pragma once

#include <Python.h>

#include "ring_format.hpp"
#include "ring_wait.hpp"

namespace fastmas::bindings {

// Add the types to the module; false with an exception set.
bool add_spsc_ring(PyObject* module);
bool add_byte_ring(PyObject* module);
bool add_broadcast_ring(PyObject* module);
bool add_multi_rings(PyObject* module);
bool add_subscriber(PyObject* module);
bool add_loan(PyObject* module);

// One record off a consumer's side: a new reference, nullptr without an exception when there is none. Making the object
// may run Python code (a collection, a finaliser) that pops from the same ring: then what was made is of no use.
template <class Consumer>
PyObject* pop_one(const RingFormat& format, Consumer& consumer) {
    while (true) {
        const std::byte* slot = consumer.front();
        if (slot == nullptr) return nullptr;
        const auto sequence = consumer.next_to_pop();
        PyObject* record = format.to_python(slot);
        if (record == nullptr) return nullptr;
        if (consumer.next_to_pop() == sequence) [[likely]] {
            consumer.pop_front();
            return record;
        }
        Py_DECREF(record);
    }
}

// `repr` of a ring: Name(dtype, capacity=n). A new reference.
inline PyObject* repr_of(const char* name, const RingFormat& format, std::int64_t capacity) {
    PyObject* held = format.description();
    if (held == nullptr) return nullptr;
    PyObject* text = PyUnicode_FromFormat("%s(%U, capacity=%lld)", name, held, static_cast<long long>(capacity));
    Py_DECREF(held);
    return text;
}

}  // namespace fastmas::bindings
