// Reads a class body: annotations, written out or as strings, and defaults become fields; what cannot be is refused
// here.
#include <algorithm>
#include <set>

#include "record_internal.hpp"

namespace fastmas::record_detail {
namespace {

// Names that mean something to Record itself, or to the interpreter, and could not be both.
const std::set<std::string>& reserved_names() {
    static const std::set<std::string> names{"as_array",   "dtype",       "fields",  "from_array", "from_bytes",
                                             "from_row",   "fingerprint", "mro",     "replace",    "schema",
                                             "size_bytes", "to_row",      "writable"};
    return names;
}

const char* const kKindsText =
    "i8, i16, i32, i64, u8, u16, u32, u64, f32, f64, bool_, Annotated[bytes, Length(n)] or "
    "Annotated[tuple[f64, ...], Length(n)]";

py::dict scope_of(py::handle cls) {
    // The class statement runs in its module or in a function of it. A class made in another way (types.new_class,
    // pickled by value) is looked up by the name of its module.
    PyObject* globals = PyEval_GetGlobals();
    const py::object module_name = cls.attr("__module__");
    if (globals != nullptr) {
        auto frame_globals = py::reinterpret_borrow<py::dict>(globals);
        if (frame_globals.contains("__name__") && py::object(frame_globals["__name__"]).equal(module_name))
            return frame_globals;
    }
    const py::dict modules = py::module_::import("sys").attr("modules");
    if (modules.contains(module_name)) return py::dict(modules[module_name].attr("__dict__"));
    return globals != nullptr ? py::reinterpret_borrow<py::dict>(globals) : py::dict();
}

py::object evaluated(const RecordInfo& info, py::handle cls, const std::string& name, py::handle text) {
    py::dict scope;
    scope.attr("update")(scope_of(cls));
    if (PyObject* locals = PyEval_GetLocals(); locals != nullptr) scope.attr("update")(py::handle(locals));
    scope.attr("setdefault")("__builtins__", py::module_::import("builtins"));
    const auto source = text.cast<std::string>();
    PyObject* value = PyRun_String(source.c_str(), Py_eval_input, scope.ptr(), scope.ptr());
    if (value == nullptr) {
        throw_config_error("annotation of " + info.name + "." + name + " cannot be evaluated: '" + source +
                           "'; name a type that can be seen where the class is defined, such as " + kKindsText);
    }
    return py::reinterpret_steal<py::object>(value);
}

py::object attribute(py::handle object, const char* name) {
    return py::getattr(object, name, py::none());
}

bool is_class_var(py::handle annotation) {
    const py::object class_var = py::module_::import("typing").attr("ClassVar");
    return annotation.is(class_var) || attribute(annotation, "__origin__").is(class_var);
}

// What an annotation of typing.Annotated carries: i64 is Annotated[int, "i64"], and Length is an int.
struct Marks {
    bool has_kind = false;
    FieldKind kind = FieldKind::i64;
    std::uint32_t length = 0;  // 0: none
};

Marks marks_of(py::handle annotation) {
    Marks marks;
    const py::object metadata = attribute(annotation, "__metadata__");
    if (!py::isinstance<py::tuple>(metadata)) return marks;
    for (const py::handle item : metadata) {
        if (py::isinstance<py::str>(item) && !marks.has_kind) {
            marks.has_kind = kind_of_name(item.cast<std::string>(), marks.kind);
        } else if (PyLong_Check(item.ptr()) && !PyBool_Check(item.ptr()) && marks.length == 0) {
            const long items = PyLong_AsLong(item.ptr());
            if (items == -1) PyErr_Clear();
            if (items > 0 && items <= static_cast<long>(kMaxRecordBytes))
                marks.length = static_cast<std::uint32_t>(items);
        }
    }
    return marks;
}

bool read_type(py::handle annotation, RecordField& field) {
    const Marks marks = marks_of(annotation);
    if (marks.length == 0) {
        field.kind = marks.kind;
        return marks.has_kind;
    }
    field.length = marks.length;
    const py::object origin = attribute(annotation, "__origin__");
    if (origin.is(py::type::of(py::bytes()))) {
        field.kind = FieldKind::bytes;
        return true;
    }
    if (!attribute(origin, "__origin__").is(py::type::of(py::tuple()))) return false;
    const auto arguments = py::tuple(origin.attr("__args__"));
    if (arguments.size() != 2 || !py::object(arguments[1]).is(py::ellipsis())) return false;
    const Marks item = marks_of(arguments[0]);
    field.kind = item.kind;
    field.is_array = true;
    return item.has_kind && item.length == 0;
}

void check_name(const RecordInfo& info, const std::string& name) {
    const bool is_dunder = name.size() > 4 && name.starts_with("__") && name.ends_with("__");
    if (is_dunder || reserved_names().contains(name)) {
        throw_config_error(info.name + " cannot have a field named '" + name +
                           "': Record uses that name itself; choose another");
    }
}

}  // namespace

void declare_fields(RecordInfo& info, py::handle cls) {
    for (const char* name : {"__init__", "__new__", "__del__"}) {
        if (cls.attr("__dict__").contains(name)) {
            throw_config_error(info.name + " must not define " + name +
                               ": a record is made of its fields alone; write a classmethod that returns a record");
        }
    }
    PyObject* found = PyObject_GetAttrString(cls.ptr(), "__annotations__");
    if (found == nullptr) {  // evaluated here on Python 3.14
        if (!PyErr_ExceptionMatches(PyExc_NameError)) throw py::error_already_set();
        throw_config_error("annotations of " + info.name +
                           " cannot be evaluated; name types that can be seen where the class is defined, such as " +
                           kKindsText);
    }
    const auto annotations = py::reinterpret_steal<py::dict>(found);
    bool default_seen = false;
    std::string previous;
    for (const auto& [key, written] : annotations) {
        const auto name = key.cast<std::string>();
        py::object annotation = py::reinterpret_borrow<py::object>(written);
        if (py::isinstance<py::str>(annotation)) annotation = evaluated(info, cls, name, annotation);
        if (is_class_var(annotation)) continue;
        check_name(info, name);
        RecordField field;
        if (!read_type(annotation, field)) {
            throw_config_error(info.name + "." + name + " must be declared with a type of fixed size, got " +
                               shown(written.ptr()) + "; use " + kKindsText);
        }
        field.has_default = cls.attr("__dict__").contains(key);
        if (default_seen && !field.has_default) {
            throw_config_error(info.name + "." + name + " must have a default because '" + previous +
                               "' before it has one; give it one or move it up");
        }
        if (field.has_default) previous = name;
        default_seen = field.has_default;
        if (info.fields.size() == kMaxFields) {
            throw_config_error(info.name + " must have at most " + std::to_string(kMaxFields) +
                               " fields; put values of one kind into an array: Annotated[tuple[f64, ...], Length(n)]");
        }
        field.name = py::reinterpret_borrow<py::object>(key).release().ptr();
        PyUnicode_InternInPlace(&field.name);
        info.fields.push_back(field);
    }
    if (info.fields.empty()) {
        throw_config_error(info.name + " must declare at least one field, such as 'ts_ns: i64'");
    }
}

}  // namespace fastmas::record_detail
