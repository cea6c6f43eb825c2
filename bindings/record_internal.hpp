// What the record_*.cpp files share among themselves; everybody else includes record_object.hpp.
#pragma once

#include <pybind11/pybind11.h>

#include <exception>
#include <memory>
#include <string>
#include <utility>

#include "record_make.hpp"
#include "record_object.hpp"

namespace fastmas::record_detail {

namespace py = pybind11;

inline constexpr std::uint32_t kMaxRecordBytes = 65536;
inline constexpr std::size_t kMaxFields = 64;         // one bit each in the constructor's mask
inline constexpr std::uint32_t kFreeListLength = 64;  // dead instances kept per class
inline constexpr std::uint32_t kFreeListBytes = 512;  // larger records are not kept

struct KindRow {
    const char* name;    // in annotations and errors
    const char* numpy;   // little-endian type code
    std::uint32_t size;  // bytes, also the alignment
};
const KindRow& kind_row(FieldKind kind);
bool kind_of_name(const std::string& name, FieldKind& kind);

// Raises fastmas.errors.ConfigError, with the exception now set (if any) as its cause.
void set_config_error(const std::string& text);
[[noreturn]] void throw_config_error(const std::string& text);

// repr of a value for an error text, never longer than a line.
std::string shown(PyObject* value);

// record_field.cpp: one field to and from Python
PyObject* load_field(const RecordField& field, const std::byte* record);
// False with an exception set when the value does not fit.
bool store_field(const RecordInfo& info, const RecordField& field, std::byte* record, PyObject* value);

// record_layout.cpp: fields with kinds and lengths get offsets, the info its schema, dtype and tables
void lay_out(RecordInfo& info);
void index_names(RecordInfo& info, RecordClass& record_class);

// record_declaration.cpp: reads the annotations and defaults of a class into fields
void declare_fields(RecordInfo& info, py::handle cls);

// record_meta.cpp
void register_types(py::module_& module);

// record_type.cpp
PyObject* record_new(PyTypeObject* type, PyObject* args, PyObject* kwargs);
void record_dealloc(PyObject* self);
PyObject* record_getattro(PyObject* self, PyObject* name);
int record_setattro(PyObject* self, PyObject* name, PyObject* value);
// Assigns one field of a writable record, which stays as it was when the value does not fit; -1 with an exception set.
int write_field(PyObject* self, const RecordField& field, PyObject* value);
PyObject* record_vectorcall(PyObject* cls, PyObject* const* args, std::size_t nargsf, PyObject* kwnames);
// The index of the field of this name, -1 when there is none.
Py_ssize_t find_field(const RecordClass& record_class, PyObject* name);
std::string joined_names(const RecordInfo& info);
void set_unknown_field(const RecordInfo& info, PyObject* name);

// record_methods.cpp
extern PyMethodDef record_methods[];
PyObject* record_repr(PyObject* self);
Py_hash_t record_hash(PyObject* self);
Py_hash_t refuse_hash(PyObject* self);
PyObject* record_compare(PyObject* left, PyObject* right, int operation);
int record_getbuffer(PyObject* self, Py_buffer* view, int flags);
PyObject* restore_record(PyObject* module, PyObject* const* args, Py_ssize_t count);

// record_registry.cpp
void register_dtype(const RecordInfo& info);

inline RecordClass& class_of(PyObject* record) {
    return *reinterpret_cast<RecordClass*>(Py_TYPE(record));
}

// Runs what may throw on behalf of a C slot: an exception becomes the Python error and `failed` is returned.
template <class Result, class Body>
Result guarded(Result failed, Body&& body) noexcept {
    try {
        return std::forward<Body>(body)();
    } catch (py::error_already_set& error) {
        error.restore();
    } catch (const std::bad_alloc&) {
        PyErr_NoMemory();
    } catch (const std::exception& error) {
        PyErr_SetString(PyExc_RuntimeError, error.what());
    }
    return failed;
}

}  // namespace fastmas::record_detail
