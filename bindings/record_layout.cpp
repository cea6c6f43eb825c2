// From declared fields to a layout: offsets as a C compiler gives them, schema text, numpy dtype, tables for the hot
// path.
#include <algorithm>
#include <bit>

#include "record_internal.hpp"

namespace fastmas {

static_assert(std::endian::native == std::endian::little, "records are stored as little-endian without conversion");

RecordInfo::~RecordInfo() {
    while (free_head != nullptr) {
        PyObject* dead = free_head;
        std::memcpy(&free_head, record_data(dead), sizeof free_head);
        PyObject_Free(dead);
    }
    for (const RecordField& field : fields) Py_XDECREF(field.name);
    Py_XDECREF(dtype);
}

namespace record_detail {
namespace {

constexpr std::array<KindRow, 12> kKinds{{
    {"i8", "|i1", 1},
    {"i16", "<i2", 2},
    {"i32", "<i4", 4},
    {"i64", "<i8", 8},
    {"u8", "|u1", 1},
    {"u16", "<u2", 2},
    {"u32", "<u4", 4},
    {"u64", "<u8", 8},
    {"f32", "<f4", 4},
    {"f64", "<f8", 8},
    {"bool_", "|b1", 1},
    {"bytes", "|S", 1},
}};

std::string utf8(PyObject* text) {
    return py::reinterpret_borrow<py::str>(text).cast<std::string>();
}

// numpy's text for the field's type: "<i8", "(4,)<f8" for an array, "|S16" for bytes.
std::string format_of(const RecordField& field) {
    const KindRow& row = kind_row(field.kind);
    if (field.kind == FieldKind::bytes) return row.numpy + std::to_string(field.length);
    if (field.is_array) return "(" + std::to_string(field.length) + ",)" + row.numpy;
    return row.numpy;
}

std::string quoted(const std::string& text) {
    return py::module_::import("json").attr("dumps")(text).cast<std::string>();
}

std::uint64_t fnv1a(const std::string& text) {
    std::uint64_t hash = 0xcbf29ce484222325ULL;
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    return hash;
}

py::object make_dtype(const RecordInfo& info) {
    py::list names, formats, offsets;
    for (const RecordField& field : info.fields) {
        names.append(py::handle(field.name));
        formats.append(format_of(field));
        offsets.append(field.offset);
    }
    py::dict spec;
    spec["names"] = names;
    spec["formats"] = formats;
    spec["offsets"] = offsets;
    spec["itemsize"] = info.size_bytes;
    return py::module_::import("numpy").attr("dtype")(spec, py::arg("align") = true);
}

std::string make_schema(const RecordInfo& info) {
    std::string text =
        "{\"name\":" + quoted(info.name) + ",\"size\":" + std::to_string(info.size_bytes) + ",\"fields\":[";
    for (const RecordField& field : info.fields) {
        if (text.back() != '[') text += ',';
        text += "[" + quoted(utf8(field.name)) + ",\"" + format_of(field) + "\"," + std::to_string(field.offset) + "]";
    }
    return text + "]}";
}

void list_canonical_words(RecordInfo& info) {
    std::vector<CanonicalWord> words(info.size_bytes / 8);
    const auto drop = [&](std::uint32_t at) -> CanonicalWord& {
        words[at / 8].kept &= ~(std::uint64_t{0xFF} << (at % 8 * 8));
        return words[at / 8];
    };
    for (const std::uint32_t at : info.padding) drop(at);
    for (const std::uint32_t at : info.booleans) drop(at).booleans |= std::uint64_t{1} << (at % 8 * 8);
    for (std::uint32_t i = 0; i < words.size(); ++i) {
        words[i].offset = i * 8;
        if (words[i].kept != ~std::uint64_t{0}) info.canonical.push_back(words[i]);
    }
}

}  // namespace

const KindRow& kind_row(FieldKind kind) {
    return kKinds[static_cast<std::size_t>(kind)];
}

bool kind_of_name(const std::string& name, FieldKind& kind) {
    for (std::size_t i = 0; i + 1 < kKinds.size(); ++i) {  // bytes is not a scalar
        if (name == kKinds[i].name) {
            kind = static_cast<FieldKind>(i);
            return true;
        }
    }
    return false;
}

void set_config_error(const std::string& text) {
    py::object type;
    {
        const py::error_scope pending;  // importing with an error set is not allowed
        type = py::module_::import("fastmas.errors").attr("ConfigError");
    }
    if (PyErr_Occurred()) {
        py::raise_from(type.ptr(), text.c_str());
    } else {
        PyErr_SetString(type.ptr(), text.c_str());
    }
}

void throw_config_error(const std::string& text) {
    set_config_error(text);
    throw py::error_already_set();
}

std::string shown(PyObject* value) {
    std::string text;
    try {
        text = py::repr(value).cast<std::string>();
    } catch (py::error_already_set& error) {
        // An int of thousands of digits, or an object whose __repr__ fails: the text must come out all the same.
        if (!error.matches(PyExc_Exception)) throw;
        return std::string(Py_TYPE(value)->tp_name) + " (no repr)";
    }
    constexpr std::size_t kLongest = 80;
    if (text.size() <= kLongest) return text;
    std::size_t end = kLongest;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U)
        --end;  // never within a UTF-8 character
    return text.substr(0, end) + "...";
}

void lay_out(RecordInfo& info) {
    std::uint64_t end = 0;
    std::vector<bool> used;
    for (std::size_t i = 0; i < info.fields.size(); ++i) {
        RecordField& field = info.fields[i];
        field.item_bytes = kind_row(field.kind).size;
        const std::uint64_t start = (end + field.item_bytes - 1) / field.item_bytes * field.item_bytes;
        end = start + static_cast<std::uint64_t>(field.item_bytes) * field.length;
        if (end > kMaxRecordBytes) {
            throw_config_error(info.name + " must have at most " + std::to_string(kMaxRecordBytes) +
                               " bytes, but its field '" + utf8(field.name) + "' ends at byte " + std::to_string(end) +
                               "; move large data out of the record");
        }
        field.offset = static_cast<std::uint32_t>(start);
        used.resize(end, false);
        std::fill(used.begin() + static_cast<std::ptrdiff_t>(start), used.end(), true);
        if (!field.has_default) info.required |= std::uint64_t{1} << i;
        if (field.kind == FieldKind::boolean) {
            for (std::uint32_t k = 0; k < field.length; ++k) info.booleans.push_back(field.offset + k);
        }
        const bool is_scalar = !field.is_array && field.kind != FieldKind::bytes;
        const std::string name = utf8(field.name);
        if (is_scalar && name == "ts_ns" && field.kind == FieldKind::i64) {
            info.ts_offset = static_cast<std::int32_t>(field.offset);
        }
        if (is_scalar && name == "instrument" && field.kind == FieldKind::u32) {
            info.instrument_offset = static_cast<std::int32_t>(field.offset);
        }
    }
    info.size_bytes = static_cast<std::uint32_t>((end + 7) / 8 * 8);
    used.resize(info.size_bytes, false);
    for (std::uint32_t i = 0; i < info.size_bytes; ++i) {
        if (!used[i]) info.padding.push_back(i);
    }
    list_canonical_words(info);
#ifndef Py_GIL_DISABLED
    if (info.size_bytes <= kFreeListBytes) info.free_room = kFreeListLength;
#endif
    info.blank.assign(info.size_bytes, std::byte{0});
    info.schema = make_schema(info);
    info.fingerprint = fnv1a(info.schema);
    info.dtype = make_dtype(info).release().ptr();
}

void index_names(RecordInfo& info, RecordClass& record_class) {
    // A perfect hash over the few addresses is found by trial; the table doubles until one is.
    const auto place = [&](std::uint64_t multiplier, std::uint32_t bits) {
        std::vector<FieldEntry> table(std::size_t{1} << bits);
        for (std::size_t i = 0; i < info.fields.size(); ++i) {
            const RecordField& field = info.fields[i];
            FieldEntry& entry = table[(reinterpret_cast<std::uintptr_t>(field.name) * multiplier) >> (64 - bits)];
            if (entry.name != nullptr) return false;
            entry = {field.name, field.offset, static_cast<std::uint16_t>(i), field.kind,
                     !field.is_array && field.kind != FieldKind::bytes};
        }
        info.entries = std::move(table);
        record_class.entries = info.entries.data();
        record_class.multiplier = multiplier;
        record_class.shift = 64 - bits;
        return true;
    };
    const auto smallest = static_cast<std::uint32_t>(std::bit_width(info.fields.size()));
    for (std::uint32_t bits = smallest;; ++bits) {
        std::uint64_t multiplier = 0x9E3779B97F4A7C15ULL;
        for (int trial = 0; trial < 64; ++trial) {
            if (place(multiplier, bits)) return;
            multiplier = (multiplier * 6364136223846793005ULL + 1442695040888963407ULL) | 1U;
        }
    }
}

}  // namespace record_detail
}  // namespace fastmas
