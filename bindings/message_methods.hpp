// What Observation, Intent and Committed have in common: all of it follows from the canonical encoding.
#pragma once

#include <Python.h>

#include <new>
#include <span>
#include <string>

#include "call_arguments.hpp"
#include "message_objects.hpp"
#include "python_errors.hpp"

namespace fastmas::bindings {

inline PyObject* message_to_bytes(PyObject* self, PyObject*) {
    try {
        std::string out;
        if (!encode_message(self, out)) return nullptr;
        return PyBytes_FromStringAndSize(out.data(), static_cast<Py_ssize_t>(out.size()));
    } catch (...) {
        return raise_current_exception();
    }
}

template <PyObject* (*Decode)(std::span<const std::byte>)>
PyObject* message_from_bytes(PyObject*, PyObject* data) {
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) return nullptr;
    PyObject* made = nullptr;
    try {
        made = Decode({static_cast<const std::byte*>(view.buf), static_cast<std::size_t>(view.len)});
    } catch (...) {
        raise_current_exception();
    }
    PyBuffer_Release(&view);
    return made;
}

inline PyObject* message_reduce(PyObject* self, PyObject*) {
    PyObject* decode = PyObject_GetAttrString(reinterpret_cast<PyObject*>(Py_TYPE(self)), "from_bytes");
    if (decode == nullptr) return nullptr;
    PyObject* bytes = message_to_bytes(self, nullptr);
    if (bytes == nullptr) {
        Py_DECREF(decode);
        return nullptr;
    }
    return Py_BuildValue("N(N)", decode, bytes);
}

// Equal when the encodings are: bit for bit, so that a NaN equals itself and 0.0 differs from -0.0, on every replica
// alike.
inline PyObject* message_compare(PyObject* a, PyObject* b, int operation) {
    if ((operation != Py_EQ && operation != Py_NE) || Py_TYPE(a) != Py_TYPE(b)) Py_RETURN_NOTIMPLEMENTED;
    try {
        std::string left, right;
        if (!encode_message(a, left) || !encode_message(b, right)) return nullptr;
        return PyBool_FromLong((left == right) == (operation == Py_EQ));
    } catch (...) {
        return raise_current_exception();
    }
}

inline Py_hash_t message_hash(PyObject* self) {
    PyObject* bytes = message_to_bytes(self, nullptr);
    if (bytes == nullptr) return -1;
    const Py_hash_t hash = PyObject_Hash(bytes);
    Py_DECREF(bytes);
    return hash;
}

// Creates a final heap type from `spec` whose constructor is `construct`, and adds it to the module.
PyTypeObject* add_message_type(PyObject* module, PyType_Spec* spec, vectorcallfunc construct);

// tp_new for what goes round the vectorcall (`type.__new__(type, ...)`): the same constructor from a tuple and a dict.
PyObject* construct_from_tuple(PyTypeObject* type, PyObject* args, PyObject* kwargs);

}  // namespace fastmas::bindings
