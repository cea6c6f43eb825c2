// RecordMeta, the metaclass of records.
//
// A class statement makes an ordinary heap type: collected by the cycle collector, freed by subtype_dealloc, built by
// type.__call__. RecordMeta lets `type` do that with __slots__ = () and then, before the first instance can exist, sets
// the size of the instances and replaces what is slow: no GC header, own release with a free list, vectorcall, and
// attribute reads through a perfect hash of the field names. A record kept as an attribute of its own class therefore
// keeps that class alive for good: the collector does not see the way from the record to its class.
#include "record_internal.hpp"

namespace fastmas {

PyTypeObject* record_meta_type = nullptr;
PyTypeObject* record_base_type = nullptr;

namespace record_detail {
namespace {

PyObject* get_field(PyObject* self, void* closure) {
    // The descriptor has checked that self is an instance of the class that owns the field.
    return load_field(*static_cast<const RecordField*>(closure), payload(self));
}

int set_field(PyObject* self, PyObject* value, void* closure) {
    return write_field(self, *static_cast<const RecordField*>(closure), value);
}

void add_descriptors(RecordInfo& info) {
    auto* type = reinterpret_cast<PyObject*>(info.type);
    info.descriptors.resize(info.fields.size());
    info.descriptions.resize(info.fields.size());
    py::tuple names(info.fields.size());
    for (std::size_t i = 0; i < info.fields.size(); ++i) {
        RecordField& field = info.fields[i];
        info.descriptions[i] = std::string(kind_row(field.kind).name) + " at byte " + std::to_string(field.offset);
        info.descriptors[i] = {PyUnicode_AsUTF8(field.name), get_field, info.writable ? set_field : nullptr,
                               info.descriptions[i].c_str(), &field};
        const auto descriptor = py::reinterpret_steal<py::object>(PyDescr_NewGetSet(info.type, &info.descriptors[i]));
        if (!descriptor || PyType_Type.tp_setattro(type, field.name, descriptor.ptr()) < 0)
            throw py::error_already_set();
        names[i] = py::handle(field.name);
    }
    if (PyType_Type.tp_setattro(type, py::str("__match_args__").ptr(), names.ptr()) < 0) throw py::error_already_set();
}

void store_defaults(RecordInfo& info, py::handle cls) {
    for (const RecordField& field : info.fields) {
        if (!field.has_default) continue;
        const py::object value = cls.attr("__dict__")[py::handle(field.name)];
        if (!store_field(info, field, info.blank.data(), value.ptr())) {
            py::error_already_set error;
            if (!error.matches(PyExc_ValueError)) throw error;
            const auto text = py::str(error.value()).cast<std::string>();
            throw_config_error("default of " + text);
        }
    }
}

// From here on instances of the type are records; nothing may fail.
void take_over(RecordInfo& info, RecordClass& record_class) {
    PyTypeObject* type = info.type;
    type->tp_basicsize = static_cast<Py_ssize_t>(sizeof(PyObject) + info.size_bytes);
    type->tp_flags &= ~(Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE);
    type->tp_traverse = nullptr;
    type->tp_clear = nullptr;
    type->tp_dealloc = record_dealloc;
    type->tp_free = PyObject_Free;
    type->tp_new = record_new;
    type->tp_vectorcall = record_vectorcall;
    if (info.writable && type->tp_hash == PyObject_HashNotImplemented) type->tp_hash = refuse_hash;  // says why
    record_class.info = &info;
    PyType_Modified(type);
}

void check_bases(const std::string& name, const py::tuple& bases) {
    for (const py::handle base : bases) {
        if (record_info(reinterpret_cast<PyTypeObject*>(base.ptr())) != nullptr) {
            throw_config_error(name + " cannot inherit from " + base.attr("__name__").cast<std::string>() +
                               ": a record's layout is its identity; declare a new Record with all fields");
        }
    }
    if (bases.size() != 1) {
        throw_config_error(name + " must have Record as its only base, got " + std::to_string(bases.size()) +
                           " bases; put shared behaviour into functions");
    }
}

// What the class statement says after its base. PEP 681 knows `frozen`, and with it type checkers know which classes
// can be assigned to: frozen=False is writable=True in their words.
bool read_writable(const std::string& name, PyObject* kwargs) {
    if (kwargs == nullptr || PyDict_GET_SIZE(kwargs) == 0) return false;
    const auto keywords = py::reinterpret_borrow<py::dict>(kwargs);
    py::object said;
    for (const auto& [key, value] : keywords) {
        const auto word = key.cast<std::string>();
        if ((word != "writable" && word != "frozen") || !PyBool_Check(value.ptr())) {
            throw_config_error(name + " takes the class keyword writable=True (or frozen=False, which type checkers " +
                               "know) and no other, got " + shown(kwargs));
        }
        const bool writable = (word == "writable") == value.is(py::bool_(true));
        if (said && !said.is(py::bool_(writable))) {
            throw_config_error(name + " must be writable or frozen, got " + shown(kwargs) + "; drop one");
        }
        said = py::bool_(writable);
    }
    return said.is(py::bool_(true));
}

PyObject* meta_new(PyTypeObject* metatype, PyObject* args, PyObject* kwargs) {
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        PyObject *name = nullptr, *bases = nullptr, *body = nullptr;
        if (!PyArg_ParseTuple(args, "UO!O!:RecordMeta", &name, &PyTuple_Type, &bases, &PyDict_Type, &body))
            return nullptr;
        const auto text = py::handle(name).cast<std::string>();
        const bool is_base = record_base_type == nullptr;  // Record itself is made once, when the module is loaded
        if (!is_base) check_bases(text, py::reinterpret_borrow<py::tuple>(bases));
        const bool writable = read_writable(text, kwargs);
        auto space = py::reinterpret_steal<py::dict>(PyDict_Copy(body));
        if (space.contains("__slots__") && py::len(space["__slots__"]) != 0) {
            throw_config_error(text + " must not define __slots__: its fields are its only storage");
        }
        space["__slots__"] = py::tuple();
        // What can change has no hash that would stay: None is what the abstract class Hashable looks for.
        if (writable && !space.contains("__hash__")) space["__hash__"] = py::none();
        const auto inner = py::make_tuple(py::handle(name), py::handle(bases), space);
        auto cls = py::reinterpret_steal<py::object>(PyType_Type.tp_new(metatype, inner.ptr(), nullptr));
        if (!cls || is_base) return cls.release().ptr();
        auto info = std::make_unique<RecordInfo>();
        info->type = reinterpret_cast<PyTypeObject*>(cls.ptr());
        info->name = text;
        info->writable = writable;
        declare_fields(*info, cls);
        lay_out(*info);
        store_defaults(*info, cls);
        auto& record_class = *reinterpret_cast<RecordClass*>(cls.ptr());
        index_names(*info, record_class);
        add_descriptors(*info);
        RecordInfo& owned = *info.release();  // meta_dealloc frees it from here on
        take_over(owned, record_class);
        register_dtype(owned);
        return cls.release().ptr();
    });
}

void meta_dealloc(PyObject* self) {
    RecordInfo* info = reinterpret_cast<RecordClass*>(self)->info;
    PyTypeObject* metatype = Py_TYPE(self);
    PyType_Type.tp_dealloc(self);
    // After the type: its dictionary held the descriptors that point into the info.
    delete info;
    Py_DECREF(metatype);
}

template <class Value>
PyObject* class_attribute(PyObject* cls, const char* name, Value&& value) {
    const RecordInfo* info = record_info(reinterpret_cast<PyTypeObject*>(cls));
    if (info != nullptr) return value(*info);
    return PyErr_Format(PyExc_AttributeError, "Record has no %s: only classes of it with fields have one", name);
}

PyObject* meta_dtype(PyObject* cls, void*) {
    return class_attribute(cls, "dtype", [](const RecordInfo& info) { return Py_NewRef(info.dtype); });
}

PyObject* meta_schema(PyObject* cls, void*) {
    return class_attribute(cls, "schema", [](const RecordInfo& info) {
        return PyUnicode_FromStringAndSize(info.schema.data(), static_cast<Py_ssize_t>(info.schema.size()));
    });
}

PyObject* meta_size_bytes(PyObject* cls, void*) {
    return class_attribute(cls, "size_bytes", [](const RecordInfo& info) { return PyLong_FromLong(info.size_bytes); });
}

PyObject* meta_writable(PyObject* cls, void*) {
    return class_attribute(cls, "writable",
                           [](const RecordInfo& info) { return Py_NewRef(info.writable ? Py_True : Py_False); });
}

PyObject* meta_fingerprint(PyObject* cls, void*) {
    return class_attribute(cls, "fingerprint",
                           [](const RecordInfo& info) { return PyLong_FromUnsignedLongLong(info.fingerprint); });
}

PyObject* meta_fields(PyObject* cls, void*) {
    return class_attribute(cls, "fields",
                           [cls](const RecordInfo&) { return PyObject_GetAttrString(cls, "__match_args__"); });
}

// What inspect.signature and help() show.
PyObject* meta_signature(PyObject* cls, void*) {
    return class_attribute(cls, "__signature__", [cls](const RecordInfo& info) {
        return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
            const py::module_ inspect = py::module_::import("inspect");
            const py::object parameter = inspect.attr("Parameter");
            const py::object annotations = py::handle(cls).attr("__annotations__");
            py::list parameters;
            for (const RecordField& field : info.fields) {
                const auto name = py::reinterpret_borrow<py::object>(field.name);
                py::dict details;
                details["annotation"] = annotations[name];
                if (field.has_default) {
                    details["default"] = py::reinterpret_steal<py::object>(load_field(field, info.blank.data()));
                }
                parameters.append(parameter(name, parameter.attr("POSITIONAL_OR_KEYWORD"), **details));
            }
            return py::object(inspect.attr("Signature")(parameters)).release().ptr();
        });
    });
}

PyGetSetDef meta_getset[] = {
    {"__signature__", meta_signature, nullptr, "what inspect.signature shows", nullptr},
    {"dtype", meta_dtype, nullptr, "numpy dtype of the records: structured, aligned, padded to 8 bytes", nullptr},
    {"fields", meta_fields, nullptr, "names of the fields in order", nullptr},
    {"fingerprint", meta_fingerprint, nullptr, "64-bit hash of the schema, the same in every process", nullptr},
    {"schema", meta_schema, nullptr, "canonical JSON of name, size and fields (name, numpy type, offset)", nullptr},
    {"size_bytes", meta_size_bytes, nullptr, "bytes of a record, a multiple of 8", nullptr},
    {"writable", meta_writable, nullptr, "True when fields can be assigned, as declared; no part of the layout",
     nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyObject* find_type(PyObject*, PyObject* dtype) {
    PyTypeObject* type = record_type_of_dtype(dtype);
    return type == nullptr ? Py_NewRef(Py_None) : Py_NewRef(reinterpret_cast<PyObject*>(type));
}

template <class Function>
void* slot(Function* function) {
    return reinterpret_cast<void*>(function);
}

py::object make_meta() {
    static PyType_Slot slots[] = {
        {Py_tp_new, slot(meta_new)},
        {Py_tp_dealloc, slot(meta_dealloc)},
        {Py_tp_getset, meta_getset},
        {Py_tp_doc, const_cast<char*>("Metaclass of Record: turns annotations into a fixed layout.")},
        {0, nullptr},
    };
    // Immutable, so that classes inherit vectorcall from `type` on Python 3.11 too; final, so that the metaclass of a
    // record's class tells for sure what the record is.
    static PyType_Spec spec = {"fastmas._core.records.RecordMeta", sizeof(RecordClass), 0,
                               Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_HAVE_VECTORCALL, slots};
    PyObject* meta = PyType_FromSpecWithBases(&spec, reinterpret_cast<PyObject*>(&PyType_Type));
    if (meta == nullptr) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(meta);
}

}  // namespace

void register_types(py::module_& module) {
    // Slots given to a type after its creation would not reach its subclasses, so Record, which RecordMeta must make,
    // gets them from a base that is made from a spec.
    static PyType_Slot slots[] = {
        {Py_tp_new, slot(record_new)},
        {Py_tp_getattro, slot(record_getattro)},
        {Py_tp_setattro, slot(record_setattro)},
        {Py_tp_repr, slot(record_repr)},
        {Py_tp_hash, slot(record_hash)},
        {Py_tp_richcompare, slot(record_compare)},
        {Py_bf_getbuffer, slot(record_getbuffer)},
        {Py_tp_methods, record_methods},
        {Py_tp_doc, const_cast<char*>("What all records can do; subclass Record, not this.")},
        {0, nullptr},
    };
    static PyType_Spec spec = {"fastmas._core.records.RecordBase", sizeof(PyObject), 0,
                               Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_IMMUTABLETYPE, slots};
    const auto methods = py::reinterpret_steal<py::object>(PyType_FromSpec(&spec));
    if (!methods) throw py::error_already_set();
    const py::object meta = make_meta();
    record_meta_type = reinterpret_cast<PyTypeObject*>(py::object(meta).release().ptr());
    py::dict body;
    body["__module__"] = "fastmas.records";
    body["__doc__"] =
        "A message of fixed layout, declared by annotations.\n\n"
        "Records are immutable unless the class says writable=True. Two are equal when they are of one class and "
        "their\n"
        "bytes are equal: a NaN equals itself, 0.0 does not equal -0.0. The hash is the same in every process;\n"
        "writable records have none.\n\n"
        "Examples\n--------\n"
        ">>> from fastmas.records import Record, f64, i64\n"
        ">>> class Tilt(Record):\n"
        "...     ts_ns: i64\n"
        "...     weight: f64 = 1.0\n"
        ">>> Tilt(5), Tilt.from_bytes(bytes(Tilt(5))) == Tilt(5), Tilt.dtype.itemsize\n"
        "(Tilt(ts_ns=5, weight=1.0), True, 16)";
    const py::object base = meta("Record", py::make_tuple(methods), body);
    module.attr("RecordBase") = methods;
    module.attr("RecordMeta") = meta;
    module.attr("Record") = base;
    record_base_type = reinterpret_cast<PyTypeObject*>(py::object(base).release().ptr());
    static PyMethodDef functions[] = {
        {"_restore", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(restore_record)), METH_FASTCALL,
         "What pickle calls."},
        {"record_type_of_dtype", find_type, METH_O,
         "record_type_of_dtype(dtype, /)\n--\n\nThe Record class whose rows have this numpy dtype, None when there is "
         "none."},
        {nullptr, nullptr, 0, nullptr},
    };
    if (PyModule_AddFunctions(module.ptr(), functions) < 0) throw py::error_already_set();
}

}  // namespace record_detail
}  // namespace fastmas
