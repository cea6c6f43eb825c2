// Raising the exceptions of fastmas.errors from code that speaks the C API and not pybind11.
#pragma once

#include <Python.h>

namespace fastmas::bindings {

// The class of that name in fastmas.errors, borrowed for ever; nullptr with an exception set when it cannot be
// imported. Not while an exception is set: the import would meet it.
PyObject* error_class(const char* name);

// Whether the exception that is set is a fastmas.errors.<name>.
bool is_raised(const char* name) noexcept;

// Sets fastmas.errors.<name> with a text made as by PyErr_Format. Always returns nullptr, for `return raise(...)`.
PyObject* raise(const char* name, const char* format, ...);

// Sets fastmas.errors.<name> with the text made of `format`, the type and the text of the exception that is set, which
// becomes its cause.
PyObject* raise_from(const char* name, const char* format, ...);

// Tells whoever catches the exception that is set how far the call had come: as its attribute, and in a note.
void add_progress(const char* attribute, long long count, const char* note) noexcept;

// After asking an object for something: clears the exception that says that it will not do. One that says something
// else stays (an interrupt, no memory): false.
bool clear_refusal() noexcept;

// Inside `catch (...)`: sets the Python exception that stands for the C++ one in flight. Always returns nullptr.
PyObject* raise_current_exception() noexcept;

}  // namespace fastmas::bindings
