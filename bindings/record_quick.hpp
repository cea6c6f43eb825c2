// What is inlined into the hot path: reading a scalar, and the common case of storing one, an int or a float of the
// exact type that fits. Whatever is not common is left to store_field, which also says what is wrong.
#pragma once

#include <type_traits>

#include "record_internal.hpp"

namespace fastmas::record_detail {

template <class T>
T read_as(const std::byte* at) {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

template <class T>
void write_as(std::byte* at, T value) {
    std::memcpy(at, &value, sizeof value);
}

// The value of an int of one digit (most are), without a call into the interpreter.
inline bool compact_value(PyObject* value, long long& result) {
    auto* integer = reinterpret_cast<PyLongObject*>(value);
#if PY_VERSION_HEX >= 0x030C0000
    if (!PyUnstable_Long_IsCompact(integer)) return false;
    result = PyUnstable_Long_CompactValue(integer);
#else
    const Py_ssize_t size = Py_SIZE(integer);
    if (size < -1 || size > 1) return false;
    result = static_cast<long long>(size) * static_cast<long long>(integer->ob_digit[0]);
#endif
    return true;
}

template <class T>
bool quick_integer(std::byte* at, PyObject* value) {
    long long wide = 0;
    if (!PyLong_CheckExact(value)) return false;
    if (!compact_value(value, wide)) {
        if constexpr (sizeof(T) < 8) return false;
        int overflow = 0;
        wide = PyLong_AsLongLongAndOverflow(value, &overflow);
        if (overflow != 0) return false;
    }
    // One digit fits 32 bits and two's complement fits 64: only the sign is left to look at.
    static_assert(sizeof(T) >= 4 && PyLong_SHIFT <= 30);
    if constexpr (std::is_unsigned_v<T>) {
        if (wide < 0) return false;
    }
    write_as(at, static_cast<T>(wide));
    return true;
}

inline PyObject* load_scalar(FieldKind kind, const std::byte* at) {
    switch (kind) {
        case FieldKind::i64:
            return PyLong_FromLongLong(read_as<std::int64_t>(at));
        case FieldKind::f64:
            return PyFloat_FromDouble(read_as<double>(at));
        case FieldKind::u32:
            return PyLong_FromLong(static_cast<long>(read_as<std::uint32_t>(at)));
        case FieldKind::i32:
            return PyLong_FromLong(read_as<std::int32_t>(at));
        case FieldKind::u64:
            return PyLong_FromUnsignedLongLong(read_as<std::uint64_t>(at));
        case FieldKind::f32:
            return PyFloat_FromDouble(static_cast<double>(read_as<float>(at)));
        case FieldKind::u16:
            return PyLong_FromLong(read_as<std::uint16_t>(at));
        case FieldKind::i16:
            return PyLong_FromLong(read_as<std::int16_t>(at));
        case FieldKind::u8:
            return PyLong_FromLong(read_as<std::uint8_t>(at));
        case FieldKind::i8:
            return PyLong_FromLong(read_as<std::int8_t>(at));
        case FieldKind::boolean:
            return Py_NewRef(read_as<std::uint8_t>(at) != 0 ? Py_True : Py_False);
        case FieldKind::bytes:
            break;
    }
    Py_UNREACHABLE();
}
static_assert(sizeof(long) == 8, "a u32 must fit a long");

// False, with no exception set, when the value needs store_field.
inline bool store_quickly(const RecordField& field, std::byte* record, PyObject* value) {
    if (field.is_array) return false;
    std::byte* at = record + field.offset;
    switch (field.kind) {
        case FieldKind::i64:
            return quick_integer<std::int64_t>(at, value);
        case FieldKind::f64:
            if (!PyFloat_CheckExact(value)) return false;
            write_as(at, PyFloat_AS_DOUBLE(value));
            return true;
        case FieldKind::u32:
            return quick_integer<std::uint32_t>(at, value);
        case FieldKind::i32:
            return quick_integer<std::int32_t>(at, value);
        case FieldKind::u64:
            return quick_integer<std::uint64_t>(at, value);
        default:
            return false;
    }
}

inline bool store(const RecordInfo& info, const RecordField& field, std::byte* record, PyObject* value) {
    if (store_quickly(field, record, value)) [[likely]]
        return true;
    return store_field(info, field, record, value);
}

}  // namespace fastmas::record_detail
