// Arguments of vectorcall and METH_FASTCALL functions, matched to parameter names without building a tuple or dict.
#pragma once

#include <Python.h>

#include <cstddef>
#include <cstdint>

namespace fastmas::bindings {

struct Parameters {
    const char* function;      // for error texts
    const char* const* names;  // in positional order
    Py_ssize_t count;
    Py_ssize_t required;    // the first `required` have no default
    Py_ssize_t positional;  // the first `positional` may be given by position
};

// Fills values[0..count) with borrowed references, nullptr where not given. False with TypeError set when they do not
// fit.
bool match_arguments(const Parameters& parameters, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames,
                     PyObject** values);

// The same for tp_new and tp_init, which get a tuple and a dict.
bool match_arguments(const Parameters& parameters, PyObject* args, PyObject* kwargs, PyObject** values);

// Integers of the width given; ConfigError naming `what`, the range and the value when it does not fit or is no
// integer.
bool to_i64(PyObject* object, const char* what, std::int64_t* out);
bool to_u64(PyObject* object, const char* what, std::uint64_t* out);
bool to_u32(PyObject* object, const char* what, std::uint32_t* out);

// Function pointers as the slots and method tables of CPython want them.
template <class F>
PyCFunction as_method(F* function) {
    return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}
template <class F>
void* as_slot(F* function) {
    return reinterpret_cast<void*>(function);
}

}  // namespace fastmas::bindings
