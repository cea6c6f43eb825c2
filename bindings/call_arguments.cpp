#include "call_arguments.hpp"

#include <algorithm>
#include <limits>

#include "python_errors.hpp"

namespace fastmas::bindings {
namespace {

Py_ssize_t index_of(const Parameters& parameters, PyObject* name) {
    for (Py_ssize_t i = 0; i < parameters.count; ++i)
        if (PyUnicode_CompareWithASCIIString(name, parameters.names[i]) == 0) return i;
    return -1;
}

bool put_keyword(const Parameters& parameters, PyObject* name, PyObject* value, PyObject** values) {
    const Py_ssize_t index = index_of(parameters, name);
    if (index < 0) {
        PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", parameters.function, name);
        return false;
    }
    if (values[index] != nullptr) {
        PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument '%U'", parameters.function, name);
        return false;
    }
    values[index] = value;
    return true;
}

bool put_positional(const Parameters& parameters, PyObject* const* args, Py_ssize_t nargs, PyObject** values) {
    if (nargs > parameters.positional) {
        PyErr_Format(PyExc_TypeError, "%s() takes at most %zd positional arguments, got %zd", parameters.function,
                     parameters.positional, nargs);
        return false;
    }
    std::copy(args, args + nargs, values);
    std::fill(values + nargs, values + parameters.count, nullptr);
    return true;
}

bool check_required(const Parameters& parameters, PyObject** values) {
    for (Py_ssize_t i = 0; i < parameters.required; ++i) {
        if (values[i] == nullptr) {
            PyErr_Format(PyExc_TypeError, "%s() is missing the argument '%s'", parameters.function,
                         parameters.names[i]);
            return false;
        }
    }
    return true;
}

// An exact int, or what gives one by __index__ (numpy integers); a new reference, nullptr without exception when
// neither.
PyObject* as_int(PyObject* object) {
    if (PyLong_CheckExact(object)) return Py_NewRef(object);
    if (!PyIndex_Check(object)) return nullptr;
    PyObject* value = PyNumber_Index(object);
    if (value == nullptr) clear_refusal();
    return value;
}

bool refuse(const char* what, const char* low, const char* high, PyObject* object) {
    if (PyErr_Occurred() == nullptr)
        raise("ConfigError", "%s must be an integer from %s to %s, got %R", what, low, high, object);
    return false;
}

}  // namespace

bool match_arguments(const Parameters& parameters, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames,
                     PyObject** values) {
    if (!put_positional(parameters, args, nargs, values)) return false;
    const Py_ssize_t keywords = kwnames == nullptr ? 0 : PyTuple_GET_SIZE(kwnames);
    for (Py_ssize_t i = 0; i < keywords; ++i)
        if (!put_keyword(parameters, PyTuple_GET_ITEM(kwnames, i), args[nargs + i], values)) return false;
    return check_required(parameters, values);
}

bool match_arguments(const Parameters& parameters, PyObject* args, PyObject* kwargs, PyObject** values) {
    if (!put_positional(parameters, PySequence_Fast_ITEMS(args), PyTuple_GET_SIZE(args), values)) return false;
    if (kwargs != nullptr) {
        PyObject *name = nullptr, *value = nullptr;
        for (Py_ssize_t position = 0; PyDict_Next(kwargs, &position, &name, &value);)
            if (!put_keyword(parameters, name, value, values)) return false;
    }
    return check_required(parameters, values);
}

bool to_i64(PyObject* object, const char* what, std::int64_t* out) {
    static_assert(sizeof(long long) == sizeof(std::int64_t));
    if (PyObject* value = as_int(object)) {
        int overflow = 0;
        *out = PyLong_AsLongLongAndOverflow(value, &overflow);
        Py_DECREF(value);
        if (overflow == 0) return true;
    }
    return refuse(what, "-2**63", "2**63 - 1", object);
}

bool to_u64(PyObject* object, const char* what, std::uint64_t* out) {
    if (PyObject* value = as_int(object)) {
        *out = PyLong_AsUnsignedLongLong(value);
        Py_DECREF(value);
        if (!PyErr_Occurred()) return true;
        PyErr_Clear();  // OverflowError: refuse() says it with the range
    }
    return refuse(what, "0", "2**64 - 1", object);
}

bool to_u32(PyObject* object, const char* what, std::uint32_t* out) {
    if (PyObject* value = as_int(object)) {
        int overflow = 0;
        const long long wide = PyLong_AsLongLongAndOverflow(value, &overflow);
        Py_DECREF(value);
        if (overflow == 0 && wide >= 0 && wide <= std::numeric_limits<std::uint32_t>::max()) {
            *out = static_cast<std::uint32_t>(wide);
            return true;
        }
    }
    return refuse(what, "0", "2**32 - 1", object);
}

}  // namespace fastmas::bindings
