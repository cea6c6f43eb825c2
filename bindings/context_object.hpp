// Context: what a handler is told of the time it acts at. The kernel writes `now_ns`, Python reads it.
#pragma once

#include <Python.h>

#include <cstdint>

namespace fastmas::bindings {

struct ContextObject {
    PyObject_HEAD std::int64_t now_ns;
};

extern PyTypeObject* context_type;

inline bool is_context(PyObject* object) {
    return PyObject_TypeCheck(object, context_type) != 0;
}

// Adds the type to `module`; throws pybind11::error_already_set.
void register_context(PyObject* module);

}  // namespace fastmas::bindings
