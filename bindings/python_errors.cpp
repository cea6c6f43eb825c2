#include "python_errors.hpp"

#include <pybind11/pybind11.h>

#include <cstdarg>
#include <map>
#include <new>
#include <string>

#include "base/errors.hpp"

namespace fastmas::bindings {

PyObject* error_class(const char* name) {
    // Under the GIL only. The references are kept: exception classes live as long as the module does.
    static auto& classes = *new std::map<std::string, PyObject*>();
    if (const auto found = classes.find(name); found != classes.end()) return found->second;
    PyObject* module = PyImport_ImportModule("fastmas.errors");
    if (module == nullptr) return nullptr;
    PyObject* found = PyObject_GetAttrString(module, name);
    Py_DECREF(module);
    if (found != nullptr) classes.emplace(name, found);
    return found;
}

PyObject* raise(const char* name, const char* format, ...) {
    PyObject* type = error_class(name);
    if (type == nullptr) return nullptr;
    va_list arguments;
    va_start(arguments, format);
    PyErr_FormatV(type, format, arguments);
    va_end(arguments);
    return nullptr;
}

PyObject* raise_current_exception() noexcept {
    try {
        throw;
    } catch (pybind11::error_already_set& error) {
        error.restore();
    } catch (const base::ConfigError& error) {
        raise("ConfigError", "%s", error.what());
    } catch (const base::InvariantError& error) {
        raise("InvariantError", "%s", error.what());
    } catch (const std::bad_alloc&) {
        PyErr_NoMemory();
    } catch (const std::exception& error) {
        PyErr_SetString(PyExc_RuntimeError, error.what());
    } catch (...) {
        PyErr_SetString(PyExc_RuntimeError, "unknown C++ exception");
    }
    return nullptr;
}

}  // namespace fastmas::bindings
