// The hot path of records: construction through vectorcall, field reads through a perfect hash of the names, release
// into a free list. record_meta.cpp installs it on each class.
#include "record_quick.hpp"

namespace fastmas {

namespace record_detail {

namespace {

inline const FieldEntry& entry_of(const RecordClass& record_class, PyObject* name) {
    return record_class
        .entries[(reinterpret_cast<std::uintptr_t>(name) * record_class.multiplier) >> record_class.shift];
}

}  // namespace

PyObject* allocate_from_heap(RecordInfo& info) {
    auto* record = static_cast<PyObject*>(PyObject_Malloc(sizeof(PyObject) + info.size_bytes));
    return record == nullptr ? PyErr_NoMemory() : PyObject_Init(record, info.type);
}

void record_dealloc(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    RecordInfo& info = *class_of(self).info;
    if (info.free_room != 0) [[likely]] {
        std::memcpy(payload(self), &info.free_head, sizeof info.free_head);
        info.free_head = self;
        --info.free_room;
        Py_DECREF(type);
        return;
    }
    PyObject_Free(self);
    Py_DECREF(type);
}

PyObject* record_getattro(PyObject* self, PyObject* name) {
    const RecordClass& record_class = class_of(self);
    const FieldEntry& entry = entry_of(record_class, name);
    if (entry.name == name) [[likely]] {
        if (entry.is_scalar) [[likely]]
            return load_scalar(entry.kind, payload(self) + entry.offset);
        return load_field(record_class.info->fields[entry.index], payload(self));
    }
    return PyObject_GenericGetAttr(self, name);
}

namespace {

[[gnu::cold, gnu::noinline]] int refuse_assignment(const RecordClass& record_class, PyObject* name) {
    return guarded(-1, [&] {
        const auto text = py::str(name).cast<std::string>();
        const std::string& type_name = record_class.info->name;
        const std::string what = find_field(record_class, name) >= 0
                                     ? "records are immutable: make a new one with replace(" + text +
                                           "=...), or declare class " + type_name + "(Record, writable=True)"
                                     : type_name + " has no field '" + text + "', and records are immutable";
        PyErr_SetString(PyExc_AttributeError, what.c_str());
        return -1;
    });
}

// A name that is no field: a property of the class that can be set, or a mistake.
[[gnu::cold, gnu::noinline]] int set_other(PyObject* self, PyObject* name, PyObject* value) {
    if (PyObject_GenericSetAttr(self, name, value) == 0) return 0;
    return guarded(-1, [&] {
        const auto cls = py::handle(reinterpret_cast<PyObject*>(Py_TYPE(self)));
        py::error_already_set error;
        if (!error.matches(PyExc_AttributeError) || py::hasattr(cls, py::handle(name))) throw error;
        const RecordInfo& info = *class_of(self).info;
        const std::string what = info.name + " has no field '" + py::str(name).cast<std::string>() +
                                 "'; its fields are " + joined_names(info);
        PyErr_SetString(PyExc_AttributeError, what.c_str());
        return -1;
    });
}

}  // namespace

int record_setattro(PyObject* self, PyObject* name, PyObject* value) {
    const RecordClass& record_class = class_of(self);
    const RecordInfo& info = *record_class.info;
    if (!info.writable) [[unlikely]]
        return refuse_assignment(record_class, name);
    const FieldEntry& entry = entry_of(record_class, name);
    const Py_ssize_t index = entry.name == name ? entry.index : find_field(record_class, name);
    return index < 0 ? set_other(self, name, value)
                     : write_field(self, info.fields[static_cast<std::size_t>(index)], value);
}

int write_field(PyObject* self, const RecordField& field, PyObject* value) {
    RecordInfo& info = *class_of(self).info;
    if (value == nullptr) {
        PyErr_Format(PyExc_AttributeError, "%s.%U cannot be deleted: a record has all its fields; assign another value",
                     info.name.c_str(), field.name);
        return -1;
    }
    if (!field.is_array) return store(info, field, payload(self), value) ? 0 : -1;
    // Items are converted one by one, and one of them may not fit: into a record beside this one, then all at once.
    PyObject* beside = allocate_record(info);
    if (beside == nullptr) return -1;
    const bool stored = store_field(info, field, payload(beside), value);
    if (stored) std::memcpy(payload(self) + field.offset, payload(beside) + field.offset, field.size_bytes());
    Py_DECREF(beside);
    return stored ? 0 : -1;
}

namespace {

[[gnu::cold, gnu::noinline]] PyObject* not_constructible(PyObject* cls) {
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        const bool is_record_class =
            Py_TYPE(cls) == record_meta_type && cls != reinterpret_cast<PyObject*>(record_base_type);
        if (!is_record_class) {
            throw_config_error(
                "Record cannot be built itself: declare a class of it with fields, such as "
                "class Tick(Record): ts_ns: i64");
        }
        throw_config_error(py::handle(cls).attr("__name__").cast<std::string>() +
                           " cannot be built while its class statement still runs");
    });
}

[[gnu::cold, gnu::noinline]] void too_many(const RecordInfo& info, Py_ssize_t given) {
    guarded(0, [&] {
        set_config_error(info.name + " takes at most " + std::to_string(info.fields.size()) + " values (" +
                         joined_names(info) + "), got " + std::to_string(given));
        return 0;
    });
}

[[gnu::cold, gnu::noinline]] void missing(const RecordInfo& info, std::uint64_t given) {
    guarded(0, [&] {
        std::string names;
        for (std::size_t i = 0; i < info.fields.size(); ++i) {
            const std::uint64_t bit = std::uint64_t{1} << i;
            if ((info.required & bit) == 0 || (given & bit) != 0) continue;
            if (!names.empty()) names += ", ";
            names += py::str(py::handle(info.fields[i].name)).cast<std::string>();
        }
        set_config_error(info.name + " needs values for all fields without a default, missing: " + names);
        return 0;
    });
}

[[gnu::cold, gnu::noinline]] void given_twice(const RecordInfo& info, std::size_t index) {
    guarded(0, [&] {
        const auto name = py::str(py::handle(info.fields[index].name)).cast<std::string>();
        set_config_error(info.name + " got two values for field '" + name +
                         "', one by position and one by name; drop one");
        return 0;
    });
}

bool fill(const RecordClass& record_class, PyObject* record, PyObject* const* args, Py_ssize_t count,
          PyObject* kwnames) {
    const RecordInfo& info = *record_class.info;
    std::byte* bytes = payload(record);
    std::memcpy(bytes, info.blank.data(), info.size_bytes);
    if (count > static_cast<Py_ssize_t>(info.fields.size())) [[unlikely]] {
        too_many(info, count);
        return false;
    }
    const RecordField* fields = info.fields.data();
    for (Py_ssize_t i = 0; i < count; ++i) {
        if (!store(info, fields[i], bytes, args[i])) [[unlikely]]
            return false;
    }
    std::uint64_t given = count == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
    const Py_ssize_t named = kwnames == nullptr ? 0 : PyTuple_GET_SIZE(kwnames);
    for (Py_ssize_t i = 0; i < named; ++i) {
        PyObject* name = PyTuple_GET_ITEM(kwnames, i);
        const FieldEntry& entry = entry_of(record_class, name);
        const Py_ssize_t index = entry.name == name ? entry.index : find_field(record_class, name);
        if (index < 0) [[unlikely]] {
            set_unknown_field(info, name);
            return false;
        }
        const std::uint64_t bit = std::uint64_t{1} << index;
        if ((given & bit) != 0) [[unlikely]] {
            given_twice(info, static_cast<std::size_t>(index));
            return false;
        }
        given |= bit;
        if (!store(info, fields[index], bytes, args[count + i])) [[unlikely]]
            return false;
    }
    if ((info.required & ~given) != 0) [[unlikely]] {
        missing(info, given);
        return false;
    }
    return true;
}

}  // namespace

// __new__ for those who do not come by way of the class: Tilt.__new__(Tilt, 1), type.__call__, copyreg.
PyObject* record_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
    if (record_info(type) == nullptr) return not_constructible(reinterpret_cast<PyObject*>(type));
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        std::vector<PyObject*> values(PySequence_Fast_ITEMS(args),
                                      PySequence_Fast_ITEMS(args) + PyTuple_GET_SIZE(args));
        const std::size_t positional = values.size();
        py::object names;
        if (kwargs != nullptr && PyDict_GET_SIZE(kwargs) > 0) {
            names = py::reinterpret_steal<py::object>(PySequence_Tuple(kwargs));
            if (!names) throw py::error_already_set();
            for (const py::handle name : names) values.push_back(PyDict_GetItem(kwargs, name.ptr()));
        }
        return record_vectorcall(reinterpret_cast<PyObject*>(type), values.data(), positional, names.ptr());
    });
}

Py_ssize_t find_field(const RecordClass& record_class, PyObject* name) {
    const RecordInfo& info = *record_class.info;
    for (std::size_t i = 0; i < info.fields.size(); ++i) {
        if (info.fields[i].name == name) return static_cast<Py_ssize_t>(i);
    }
    if (!PyUnicode_Check(name)) return -1;
    for (std::size_t i = 0; i < info.fields.size(); ++i) {
        if (PyUnicode_Compare(info.fields[i].name, name) == 0) return static_cast<Py_ssize_t>(i);
    }
    return -1;
}

PyObject* record_vectorcall(PyObject* cls, PyObject* const* args, std::size_t nargsf, PyObject* kwnames) {
    auto& record_class = *reinterpret_cast<RecordClass*>(cls);
    PyObject* record = allocate_record(*record_class.info);
    if (record == nullptr) return nullptr;
    if (fill(record_class, record, args, PyVectorcall_NARGS(nargsf), kwnames)) [[likely]]
        return record;
    Py_DECREF(record);
    return nullptr;
}

std::string joined_names(const RecordInfo& info) {
    std::string names;
    for (const RecordField& field : info.fields) {
        if (!names.empty()) names += ", ";
        names += py::str(py::handle(field.name)).cast<std::string>();
    }
    return names;
}

void set_unknown_field(const RecordInfo& info, PyObject* name) {
    guarded(0, [&] {
        set_config_error(info.name + " has no field '" + py::str(name).cast<std::string>() + "'; its fields are " +
                         joined_names(info));
        return 0;
    });
}

}  // namespace record_detail
}  // namespace fastmas
