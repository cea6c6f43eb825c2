// The Python type Kernel.
#pragma once

#include <Python.h>

namespace fastmas::bindings {

// Adds the type to `module`; throws pybind11::error_already_set.
void register_kernel_object(PyObject* module);

}  // namespace fastmas::bindings
