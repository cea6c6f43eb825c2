#include "ring_wait.hpp"

#include "python_errors.hpp"

namespace fastmas::bindings {

bool Patience::read(PyObject* timeout_s, bool forever_by_default) {
    // Longer than any program runs, and still far from what a clock can hold.
    constexpr double kForeverSeconds = 1e9;
    if (timeout_s == nullptr) {
        forever_ = forever_by_default;
        return true;
    }
    if (timeout_s == Py_None) {
        forever_ = true;
        return true;
    }
    seconds_ = PyFloat_AsDouble(timeout_s);
    const bool number = PyErr_Occurred() == nullptr;
    if (!number) PyErr_Clear();
    if (!number || !(seconds_ >= 0)) {
        raise("ConfigError", "timeout_s must be None or a number of seconds >= 0, got %R", timeout_s);
        return false;
    }
    forever_ = seconds_ > kForeverSeconds;
    return true;
}

}  // namespace fastmas::bindings
