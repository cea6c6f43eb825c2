// What a record can do besides being built and read: bytes, equality, repr, pickle, numpy.
#include <algorithm>

#include "record_internal.hpp"

namespace fastmas {
namespace record_detail {
namespace {

template <class Function>
PyCFunction as_method(Function* function) {
    return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

RecordInfo* info_of_class(PyObject* cls) {
    RecordInfo* info = Py_TYPE(cls) == record_meta_type ? reinterpret_cast<RecordClass*>(cls)->info : nullptr;
    if (info == nullptr) {
        guarded(0, [&] {
            set_config_error(
                std::string("Record has no layout of its own: call this on a class of it that has fields"));
            return 0;
        });
    }
    return info;
}

PyObject* to_bytes(PyObject* self, PyObject*) {
    return PyBytes_FromStringAndSize(reinterpret_cast<const char*>(record_data(self)), class_of(self).info->size_bytes);
}

// Why these bytes are none that a record could have written, empty when they are.
std::string flaw(const RecordInfo& info, const std::byte* bytes) {
    for (const std::uint32_t at : info.padding) {
        if (bytes[at] != std::byte{0}) return "padding byte " + std::to_string(at) + " is not zero";
    }
    for (const std::uint32_t at : info.booleans) {
        if (std::to_integer<unsigned>(bytes[at]) > 1U)
            return "bool at byte " + std::to_string(at) + " is neither 0 nor 1";
    }
    return {};
}

// A buffer held for a scope.
struct View {
    Py_buffer buffer{};
    bool held = false;

    View(PyObject* source, int flags) : held(PyObject_GetBuffer(source, &buffer, flags) == 0) {}
    ~View() {
        if (held) PyBuffer_Release(&buffer);
    }
    View(const View&) = delete;
    View& operator=(const View&) = delete;
    const std::byte* bytes() const { return static_cast<const std::byte*>(buffer.buf); }
};

PyObject* from_bytes(PyObject* cls, PyObject* source) {
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        const RecordInfo* info = info_of_class(cls);
        if (info == nullptr) return nullptr;
        if (PyObject_CheckBuffer(source) == 0) {
            throw_config_error(info->name + ".from_bytes needs a bytes-like object of " +
                               std::to_string(info->size_bytes) + " bytes, got " + shown(source) + " of type " +
                               Py_TYPE(source)->tp_name);
        }
        const View view(source, PyBUF_SIMPLE);
        if (!view.held) return nullptr;
        if (view.buffer.len != static_cast<Py_ssize_t>(info->size_bytes)) {
            throw_config_error(info->name + ".from_bytes needs exactly " + std::to_string(info->size_bytes) +
                               " bytes, got " + std::to_string(view.buffer.len) +
                               "; for rows use from_array(numpy.frombuffer(data, " + info->name + ".dtype))");
        }
        if (const std::string reason = flaw(*info, view.bytes()); !reason.empty()) {
            throw_config_error("bytes are no " + info->name + ": " + reason +
                               "; pass bytes that bytes(record) gave, or rows of numpy to from_row");
        }
        return record_from_bytes(info->type, view.bytes());
    });
}

void check_dtype(const RecordInfo& info, py::handle value, const char* method) {
    const py::object dtype = py::getattr(value, "dtype", py::none());
    if (dtype.ptr() == info.dtype || (!dtype.is_none() && dtype.equal(py::handle(info.dtype)))) return;
    throw_config_error(
        info.name + "." + method + " needs the dtype " + info.name + ".dtype, got " +
        (dtype.is_none() ? shown(value.ptr()) + " of type " + Py_TYPE(value.ptr())->tp_name : shown(dtype.ptr())) +
        "; convert the array with array.astype(" + info.name + ".dtype)");
}

PyObject* from_row(PyObject* cls, PyObject* row) {
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        const RecordInfo* info = info_of_class(cls);
        if (info == nullptr) return nullptr;
        check_dtype(*info, row, "from_row");
        const View view(row, PyBUF_SIMPLE);
        if (!view.held) return nullptr;
        if (view.buffer.len != static_cast<Py_ssize_t>(info->size_bytes)) {
            throw_config_error(info->name + ".from_row needs one row, got an array of shape " +
                               shown(py::handle(row).attr("shape").ptr()) + "; use from_array");
        }
        return record_from_bytes(info->type, view.bytes());
    });
}

PyObject* from_array(PyObject* cls, PyObject* array) {
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        const RecordInfo* info = info_of_class(cls);
        if (info == nullptr) return nullptr;
        check_dtype(*info, array, "from_array");
        const py::object rows = py::module_::import("numpy").attr("ascontiguousarray")(py::handle(array));
        const View view(rows.ptr(), PyBUF_SIMPLE);
        if (!view.held) return nullptr;
        const Py_ssize_t count = view.buffer.len / static_cast<Py_ssize_t>(info->size_bytes);
        py::list records(static_cast<std::size_t>(count));
        for (Py_ssize_t i = 0; i < count; ++i) {
            PyObject* record =
                record_from_bytes(info->type, view.bytes() + i * static_cast<Py_ssize_t>(info->size_bytes));
            if (record == nullptr) return nullptr;
            PyList_SET_ITEM(records.ptr(), i, record);
        }
        return records.release().ptr();
    });
}

PyObject* as_array(PyObject* cls, PyObject* records) {
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        const RecordInfo* info = info_of_class(cls);
        if (info == nullptr) return nullptr;
        if (!py::hasattr(records, "__iter__")) {
            throw_config_error(info->name + ".as_array needs an iterable of records, got " + shown(records) +
                               " of type " + Py_TYPE(records)->tp_name);
        }
        const auto items = py::reinterpret_steal<py::object>(PySequence_Fast(records, ""));
        if (!items) return nullptr;
        const Py_ssize_t count = PySequence_Fast_GET_SIZE(items.ptr());
        const auto size = static_cast<Py_ssize_t>(info->size_bytes);
        const auto storage = py::reinterpret_steal<py::object>(PyByteArray_FromStringAndSize(nullptr, count * size));
        if (!storage) return nullptr;
        char* at = PyByteArray_AS_STRING(storage.ptr());
        for (Py_ssize_t i = 0; i < count; ++i, at += size) {
            PyObject* item = PySequence_Fast_GET_ITEM(items.ptr(), i);
            if (Py_TYPE(item) != info->type) {
                throw_config_error(info->name + ".as_array needs records of " + info->name + " only, got " +
                                   shown(item) + " of type " + Py_TYPE(item)->tp_name + " at position " +
                                   std::to_string(i));
            }
            std::memcpy(at, record_data(item), static_cast<std::size_t>(size));
        }
        return py::module_::import("numpy")
            .attr("frombuffer")(storage, py::arg("dtype") = py::handle(info->dtype))
            .release()
            .ptr();
    });
}

PyObject* to_row(PyObject* self, PyObject*) {
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        const RecordInfo& info = *class_of(self).info;
        py::object rows = py::module_::import("numpy").attr("frombuffer")(py::handle(self), py::handle(info.dtype));
        if (info.writable) {  // the row keeps the values of now
            rows = rows.attr("copy")();
            rows.attr("setflags")(py::arg("write") = false);
        }
        return py::object(rows[py::int_(0)]).release().ptr();
    });
}

PyObject* replace(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* kwnames) {
    const RecordClass& record_class = class_of(self);
    RecordInfo& info = *record_class.info;
    if (count != 0) {
        return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
            throw_config_error(info.name + ".replace takes fields by name only, got " + std::to_string(count) +
                               " values by position; write replace(" +
                               joined_names(info).substr(0, joined_names(info).find(',')) + "=...)");
        });
    }
    PyObject* record = allocate_record(info);
    if (record == nullptr) return nullptr;
    std::memcpy(payload(record), record_data(self), info.size_bytes);
    const Py_ssize_t named = kwnames == nullptr ? 0 : PyTuple_GET_SIZE(kwnames);
    for (Py_ssize_t i = 0; i < named; ++i) {
        PyObject* name = PyTuple_GET_ITEM(kwnames, i);
        const Py_ssize_t index = find_field(record_class, name);
        if (index < 0) set_unknown_field(info, name);
        if (index < 0 || !store_field(info, info.fields[static_cast<std::size_t>(index)], payload(record), args[i])) {
            Py_DECREF(record);
            return nullptr;
        }
    }
    return record;
}

#if PY_VERSION_HEX < 0x030C0000
// Later versions make it of the slot; with it a type checker knows that a record is bytes-like on every version.
PyObject* to_buffer(PyObject* self, PyObject*) {
    return PyMemoryView_FromObject(self);
}
#endif

PyObject* copied(PyObject* self, PyObject*) {
    RecordInfo& info = *class_of(self).info;
    if (!info.writable) return Py_NewRef(self);
    PyObject* copy = allocate_record(info);
    if (copy != nullptr) std::memcpy(payload(copy), record_data(self), info.size_bytes);
    return copy;
}

PyObject* reduce(PyObject* self, PyObject*) {
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        const RecordInfo& info = *class_of(self).info;
        const py::object restore = py::module_::import("fastmas._core.records").attr("_restore");
        const auto data = py::reinterpret_steal<py::object>(to_bytes(self, nullptr));
        if (!data) return nullptr;
        const auto arguments = py::make_tuple(py::type::of(py::handle(self)), info.fingerprint, data);
        return py::make_tuple(restore, arguments).release().ptr();
    });
}

}  // namespace

PyMethodDef record_methods[] = {
    {"__bytes__", to_bytes, METH_NOARGS, "The record's bytes."},
#if PY_VERSION_HEX < 0x030C0000
    {"__buffer__", to_buffer, METH_O, "A read-only view of the record's bytes."},
#endif
    {"__copy__", copied, METH_NOARGS, "The record itself when it is immutable, a new one when it is writable."},
    {"__deepcopy__", copied, METH_O, "The record itself when it is immutable, a new one when it is writable."},
    {"__reduce__", reduce, METH_NOARGS, "Class, fingerprint of its schema, bytes."},
    {"__replace__", as_method(replace), METH_FASTCALL | METH_KEYWORDS, "What copy.replace calls."},
    {"replace", as_method(replace), METH_FASTCALL | METH_KEYWORDS,
     "replace($self, /, **changes)\n--\n\nA record like this one with some fields changed."},
    {"to_row", to_row, METH_NOARGS,
     "to_row($self, /)\n--\n\nThe record as a read-only numpy row of its class's dtype."},
    {"from_bytes", from_bytes, METH_O | METH_CLASS,
     "from_bytes($type, data, /)\n--\n\nThe record whose bytes these are; refuses bytes that no record can have."},
    {"from_row", from_row, METH_O | METH_CLASS,
     "from_row($type, row, /)\n--\n\nThe record in a row of an array of the dtype."},
    {"from_array", from_array, METH_O | METH_CLASS,
     "from_array($type, rows, /)\n--\n\nA list of the records in an array of the dtype."},
    {"as_array", as_array, METH_O | METH_CLASS,
     "as_array($type, records, /)\n--\n\nA new array of the dtype from records of this class."},
    {nullptr, nullptr, 0, nullptr},
};

PyObject* record_repr(PyObject* self) {
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        const RecordInfo& info = *class_of(self).info;
        std::string text = info.name + "(";
        for (const RecordField& field : info.fields) {
            const auto value = py::reinterpret_steal<py::object>(load_field(field, record_data(self)));
            if (!value) return nullptr;
            if (text.back() != '(') text += ", ";
            text += py::str(py::handle(field.name)).cast<std::string>() + "=" + py::repr(value).cast<std::string>();
        }
        return py::str(text + ")").release().ptr();
    });
}

Py_hash_t record_hash(PyObject* self) {
    // The same in every process, unlike the hash of bytes: iteration over a set of records must not depend on the run.
    const RecordInfo& info = *class_of(self).info;
    std::uint64_t hash = info.fingerprint;
    for (std::uint32_t i = 0; i < info.size_bytes; i += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, record_data(self) + i, sizeof word);
        hash = (hash ^ word) * 0x9E3779B97F4A7C15ULL;
        hash ^= hash >> 32;
    }
    const auto result = static_cast<Py_hash_t>(hash);
    return result == -1 ? -2 : result;
}

Py_hash_t refuse_hash(PyObject* self) {
    PyErr_Format(PyExc_TypeError,
                 "unhashable type: '%s': its fields can be assigned; use bytes(record) as the key, or a Record that is "
                 "not writable",
                 class_of(self).info->name.c_str());
    return -1;
}

PyObject* record_compare(PyObject* left, PyObject* right, int operation) {
    if ((operation != Py_EQ && operation != Py_NE) || Py_TYPE(left) != Py_TYPE(right)) Py_RETURN_NOTIMPLEMENTED;
    const bool equal = std::memcmp(record_data(left), record_data(right), class_of(left).info->size_bytes) == 0;
    return Py_NewRef(equal == (operation == Py_EQ) ? Py_True : Py_False);
}

int record_getbuffer(PyObject* self, Py_buffer* view, int flags) {
    return PyBuffer_FillInfo(view, self, payload(self), class_of(self).info->size_bytes, 1, flags);
}

PyObject* restore_record(PyObject*, PyObject* const* args, Py_ssize_t count) {
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        if (count != 3)
            throw_config_error("_restore takes class, fingerprint and bytes, got " + std::to_string(count) + " values");
        const RecordInfo* info = info_of_class(args[0]);
        if (info == nullptr) return nullptr;
        if (py::handle(args[1]).cast<std::uint64_t>() != info->fingerprint) {
            throw_config_error(info->name + " was pickled with another layout than it has now (" + info->schema +
                               "); give a changed layout a new class name");
        }
        return from_bytes(args[0], args[2]);
    });
}

}  // namespace record_detail

void make_canonical(const RecordInfo& info, std::byte* rows, std::size_t count) {
    if (info.canonical.empty()) return;
    for (std::size_t row = 0; row < count; ++row, rows += info.size_bytes) record_detail::canonicalise(info, rows);
}

PyObject* record_from_bytes(PyTypeObject* type, const std::byte* bytes) {
    RecordInfo& info = *reinterpret_cast<RecordClass*>(type)->info;
    PyObject* record = record_detail::allocate_record(info);
    if (record != nullptr) record_detail::fill_record(info, record, bytes);
    return record;
}

}  // namespace fastmas
