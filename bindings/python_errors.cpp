#include "python_errors.hpp"

#include <pybind11/pybind11.h>

#include <cstdarg>
#include <map>
#include <mutex>
#include <new>
#include <string>
#include <system_error>

#include "base/errors.hpp"
#include "ringbuffer/segment.hpp"

namespace fastmas::bindings {

PyObject* error_class(const char* name) {
    // The references are kept: exception classes live as long as the module does. No Python code runs under the mutex.
    static auto& classes = *new std::map<std::string, PyObject*>();
    static auto& mutex = *new std::mutex();
    {
        const std::lock_guard lock(mutex);
        if (const auto found = classes.find(name); found != classes.end()) return found->second;
    }
    PyObject* module = PyImport_ImportModule("fastmas.errors");
    if (module == nullptr) return nullptr;
    PyObject* found = PyObject_GetAttrString(module, name);
    Py_DECREF(module);
    if (found == nullptr) return nullptr;
    const std::lock_guard lock(mutex);
    classes.emplace(name, found);
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

namespace {

// The exception that is set, normalised and with its traceback; a new reference. Nothing is set afterwards.
PyObject* take_exception() {
#if PY_VERSION_HEX >= 0x030C0000
    return PyErr_GetRaisedException();
#else
    PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != nullptr) PyException_SetTraceback(value, traceback);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return value;
#endif
}

void set_exception(PyObject* value) {
#if PY_VERSION_HEX >= 0x030C0000
    PyErr_SetRaisedException(value);
#else
    PyErr_Restore(Py_NewRef(reinterpret_cast<PyObject*>(Py_TYPE(value))), value, PyException_GetTraceback(value));
#endif
}

}  // namespace

PyObject* raise_from(const char* name, const char* format, ...) {
    PyObject* cause = take_exception();
    va_list arguments;
    va_start(arguments, format);
    PyObject* prefix = PyUnicode_FromFormatV(format, arguments);
    va_end(arguments);
    PyObject* text = PyObject_Str(cause);
    if (text == nullptr) {
        PyErr_Clear();
        text = PyUnicode_FromString("(its text cannot be shown)");
    }
    if (prefix != nullptr && text != nullptr)
        raise(name, "%U%s%s%U", prefix, Py_TYPE(cause)->tp_name, PyUnicode_GET_LENGTH(text) != 0 ? ": " : "", text);
    Py_XDECREF(prefix);
    Py_XDECREF(text);
    PyObject* raised = take_exception();  // ours, or that there was no memory for it
    PyException_SetContext(raised, Py_NewRef(cause));
    PyException_SetCause(raised, cause);
    set_exception(raised);
    return nullptr;
}

bool is_raised(const char* name) noexcept {
    PyObject* const raised = take_exception();
    PyObject* const type = error_class(name);
    if (type == nullptr) PyErr_Clear();
    const bool is = type != nullptr && PyErr_GivenExceptionMatches(raised, type) != 0;
    set_exception(raised);
    return is;
}

void add_progress(const char* attribute, long long count, const char* note) noexcept {
    PyObject* const raised = take_exception();
    PyObject* const number = PyLong_FromLongLong(count);
    PyObject* noted = nullptr;
    if (number != nullptr && PyObject_SetAttrString(raised, attribute, number) == 0)
        noted = PyObject_CallMethod(raised, "add_note", "s", note);
    if (noted == nullptr) PyErr_Clear();  // the exception itself matters more
    Py_XDECREF(noted);
    Py_XDECREF(number);
    set_exception(raised);
}

bool clear_refusal() noexcept {
    if (PyErr_Occurred() == nullptr) return true;
    if (PyErr_ExceptionMatches(PyExc_Exception) == 0 || PyErr_ExceptionMatches(PyExc_MemoryError) != 0) return false;
    PyErr_Clear();
    return true;
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
    } catch (const ringbuffer::SegmentBusy& error) {
        raise("RingBusyError", "%s", error.what());
    } catch (const ringbuffer::SegmentGone& error) {
        raise("RingGoneError", "%s", error.what());
    } catch (const ringbuffer::SegmentError& error) {
        raise("ConfigError", "%s", error.what());
    } catch (const std::system_error& error) {
        if (PyObject* type = error_class("StorageError")) {
            PyObject* arguments = Py_BuildValue("(is)", error.code().value(), error.what());
            if (arguments != nullptr) PyErr_SetObject(type, arguments);
            Py_XDECREF(arguments);
        }
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
