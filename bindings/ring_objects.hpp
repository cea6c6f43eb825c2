// The extension types of fastmas._core.ring.
#pragma once

#include <Python.h>

namespace fastmas::bindings {

// Add the types to the module; false with an exception set.
bool add_spsc_ring(PyObject* module);
bool add_byte_ring(PyObject* module);
bool add_broadcast_ring(PyObject* module);
bool add_multi_rings(PyObject* module);
bool add_subscriber(PyObject* module);
bool add_loan(PyObject* module);

}  // namespace fastmas::bindings
