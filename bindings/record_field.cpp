// One field of a record to and from a Python object: the two switches that every construction and read goes through.
#include <cmath>
#include <limits>
#include <type_traits>

#include "record_quick.hpp"

namespace fastmas::record_detail {
namespace {

enum class Stored { ok, out_of_range, wrong_type, raised };

template <class T>
Stored store_long(std::byte* at, PyObject* value) {
    long long wide = 0;
    if (!compact_value(value, wide)) {
        if constexpr (std::is_same_v<T, std::uint64_t>) {
            const unsigned long long unsigned_wide = PyLong_AsUnsignedLongLong(value);
            if (unsigned_wide == static_cast<unsigned long long>(-1) && PyErr_Occurred()) {
                PyErr_Clear();  // an OverflowError: the value is an int
                return Stored::out_of_range;
            }
            write_as(at, static_cast<T>(unsigned_wide));
            return Stored::ok;
        } else {
            int overflow = 0;
            wide = PyLong_AsLongLongAndOverflow(value, &overflow);
            if (overflow != 0) return Stored::out_of_range;
        }
    }
    if constexpr (std::is_same_v<T, std::uint64_t>) {
        if (wide < 0) return Stored::out_of_range;
    } else if constexpr (!std::is_same_v<T, std::int64_t>) {
        if (wide < static_cast<long long>(std::numeric_limits<T>::min()) ||
            wide > static_cast<long long>(std::numeric_limits<T>::max())) {
            return Stored::out_of_range;
        }
    }
    write_as(at, static_cast<T>(wide));
    return Stored::ok;
}

// A TypeError of a conversion means that the value is of the wrong type; anything else is the value's own trouble.
Stored conversion_failed() {
    if (PyErr_ExceptionMatches(PyExc_OverflowError)) {
        PyErr_Clear();
        return Stored::out_of_range;
    }
    if (!PyErr_ExceptionMatches(PyExc_TypeError)) return Stored::raised;
    PyErr_Clear();
    return Stored::wrong_type;
}

template <class T>
Stored store_integer(std::byte* at, PyObject* value) {
    if (PyLong_Check(value)) [[likely]]
        return store_long<T>(at, value);
    PyObject* index = PyNumber_Index(value);  // numpy's integers
    if (index == nullptr) return conversion_failed();
    const Stored stored = store_long<T>(at, index);
    Py_DECREF(index);
    return stored;
}

template <class T>
Stored store_float(std::byte* at, PyObject* value) {
    double wide = 0;
    if (PyFloat_Check(value)) [[likely]] {
        wide = PyFloat_AS_DOUBLE(value);
    } else {
        wide = PyFloat_AsDouble(value);
        if (wide == -1.0 && PyErr_Occurred()) return conversion_failed();
    }
    const T narrow = static_cast<T>(wide);
    if constexpr (std::is_same_v<T, float>) {
        if (std::isinf(narrow) && !std::isinf(wide)) return Stored::out_of_range;
    }
    write_as(at, narrow);
    return Stored::ok;
}

Stored store_boolean(std::byte* at, PyObject* value) {
    if (value != Py_True && value != Py_False) {
        // numpy's own bool is neither an int nor a bool
        const auto numpy_bool = py::module_::import("numpy").attr("bool_");
        if (!py::isinstance(value, numpy_bool)) return Stored::wrong_type;
    }
    const int truth = PyObject_IsTrue(value);
    if (truth < 0) return Stored::raised;
    write_as(at, static_cast<std::uint8_t>(truth));
    return Stored::ok;
}

inline Stored store_scalar(FieldKind kind, std::byte* at, PyObject* value) {
    switch (kind) {
        case FieldKind::i64:
            return store_integer<std::int64_t>(at, value);
        case FieldKind::u64:
            return store_integer<std::uint64_t>(at, value);
        case FieldKind::f64:
            return store_float<double>(at, value);
        case FieldKind::u32:
            return store_integer<std::uint32_t>(at, value);
        case FieldKind::i32:
            return store_integer<std::int32_t>(at, value);
        case FieldKind::f32:
            return store_float<float>(at, value);
        case FieldKind::u16:
            return store_integer<std::uint16_t>(at, value);
        case FieldKind::i16:
            return store_integer<std::int16_t>(at, value);
        case FieldKind::u8:
            return store_integer<std::uint8_t>(at, value);
        case FieldKind::i8:
            return store_integer<std::int8_t>(at, value);
        case FieldKind::boolean:
            return guarded(Stored::raised, [&] { return store_boolean(at, value); });
        case FieldKind::bytes:
            break;
    }
    return Stored::wrong_type;
}

const char* range_of(FieldKind kind) {
    switch (kind) {
        case FieldKind::i8:
            return "-128 to 127";
        case FieldKind::i16:
            return "-32768 to 32767";
        case FieldKind::i32:
            return "-2147483648 to 2147483647";
        case FieldKind::i64:
            return "-9223372036854775808 to 9223372036854775807";
        case FieldKind::u8:
            return "0 to 255";
        case FieldKind::u16:
            return "0 to 65535";
        case FieldKind::u32:
            return "0 to 4294967295";
        case FieldKind::u64:
            return "0 to 18446744073709551615";
        case FieldKind::f32:
            return "-3.4028235e38 to 3.4028235e38";
        case FieldKind::f64:
            return "-1.7976931348623157e308 to 1.7976931348623157e308";
        default:
            return "";
    }
}

std::string described(const RecordInfo& info, const RecordField& field) {
    return info.name + "." + py::str(py::handle(field.name)).cast<std::string>();
}

// Says what was wrong with a value; out of line, so that the good path stays small.
[[gnu::cold, gnu::noinline]] void set_scalar_error(const RecordInfo& info, const RecordField& field, PyObject* value,
                                                   Stored stored) {
    if (stored == Stored::raised) return;
    guarded(0, [&] {
        const bool is_float = field.kind == FieldKind::f32 || field.kind == FieldKind::f64;
        const std::string kind = kind_row(field.kind).name;
        std::string text = described(info, field);
        if (stored == Stored::out_of_range) {
            text += " must be from " + std::string(range_of(field.kind)) + " (" + kind + "), got " + shown(value);
            text += is_float ? "; scale the value or declare the field as f64"
                             : "; scale the value or declare the field with a wider type";
        } else {
            text += field.kind == FieldKind::boolean ? " must be a bool"
                    : is_float                       ? " must be a number"
                                                     : " must be an integer";
            text += " (" + kind + "), got " + shown(value) + " of type " + Py_TYPE(value)->tp_name;
            text += field.kind == FieldKind::boolean ? "; pass True or False, as bool(value) gives"
                    : is_float                       ? "; convert it with float()"
                                                     : "; round it and convert it with int()";
        }
        set_config_error(text);
        return 0;
    });
}

bool store_bytes(const RecordInfo& info, const RecordField& field, std::byte* at, PyObject* value) {
    if (PyBytes_Check(value) && PyBytes_GET_SIZE(value) == static_cast<Py_ssize_t>(field.length)) {
        std::memcpy(at, PyBytes_AS_STRING(value), field.length);
        return true;
    }
    return guarded(false, [&] {
        const std::string length = std::to_string(field.length);
        set_config_error(described(info, field) + " must be exactly " + length + " bytes, got " + shown(value) +
                         (PyBytes_Check(value)
                              ? " of " + std::to_string(PyBytes_GET_SIZE(value)) + "; pad it with value.ljust(" +
                                    length + ", b'\\0')"
                              : " of type " + std::string(Py_TYPE(value)->tp_name) + "; encode it first"));
        return false;
    });
}

bool store_array(const RecordInfo& info, const RecordField& field, std::byte* at, PyObject* value) {
    // Text is a sequence too, but never what an array of numbers was meant to be.
    PyObject* items = PyUnicode_Check(value) || PyBytes_Check(value) ? nullptr : PySequence_Fast(value, "");
    if (items == nullptr || PySequence_Fast_GET_SIZE(items) != static_cast<Py_ssize_t>(field.length)) {
        if (items == nullptr && PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_TypeError)) return false;
        PyErr_Clear();
        guarded(0, [&] {
            const std::string got = items == nullptr ? shown(value) + " of type " + Py_TYPE(value)->tp_name
                                                     : std::to_string(PySequence_Fast_GET_SIZE(items)) + " values";
            set_config_error(described(info, field) + " must be a sequence of exactly " + std::to_string(field.length) +
                             " " + kind_row(field.kind).name + " values, got " + got +
                             "; its length is part of the layout");
            return 0;
        });
        Py_XDECREF(items);
        return false;
    }
    for (std::uint32_t i = 0; i < field.length; ++i) {
        // A list can be changed by an item's __index__: look at its length anew, and hold what is converted.
        if (static_cast<Py_ssize_t>(i) >= PySequence_Fast_GET_SIZE(items)) {
            PyErr_SetString(PyExc_RuntimeError, "sequence changed size while a record was built from it");
            Py_DECREF(items);
            return false;
        }
        PyObject* item = Py_NewRef(PySequence_Fast_GET_ITEM(items, static_cast<Py_ssize_t>(i)));
        const Stored stored = store_scalar(field.kind, at + i * field.item_bytes, item);
        if (stored != Stored::ok) set_scalar_error(info, field, item, stored);
        Py_DECREF(item);
        if (stored != Stored::ok) {
            Py_DECREF(items);
            return false;
        }
    }
    Py_DECREF(items);
    return true;
}

}  // namespace

PyObject* load_field(const RecordField& field, const std::byte* record) {
    const std::byte* at = record + field.offset;
    if (field.kind == FieldKind::bytes) {
        return PyBytes_FromStringAndSize(reinterpret_cast<const char*>(at), static_cast<Py_ssize_t>(field.length));
    }
    if (!field.is_array) return load_scalar(field.kind, at);
    PyObject* items = PyTuple_New(static_cast<Py_ssize_t>(field.length));
    if (items == nullptr) return nullptr;
    for (std::uint32_t i = 0; i < field.length; ++i) {
        PyObject* item = load_scalar(field.kind, at + i * field.item_bytes);
        if (item == nullptr) {
            Py_DECREF(items);
            return nullptr;
        }
        PyTuple_SET_ITEM(items, static_cast<Py_ssize_t>(i), item);
    }
    return items;
}

bool store_field(const RecordInfo& info, const RecordField& field, std::byte* record, PyObject* value) {
    std::byte* at = record + field.offset;
    if (field.kind == FieldKind::bytes) return store_bytes(info, field, at, value);
    if (field.is_array) return store_array(info, field, at, value);
    const Stored stored = store_scalar(field.kind, at, value);
    if (stored == Stored::ok) [[likely]]
        return true;
    set_scalar_error(info, field, value, stored);
    return false;
}

}  // namespace fastmas::record_detail
