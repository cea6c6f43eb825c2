// The C++ face of fm.Record: what rings, kernel and audit need to read and to make records without Python-level work.
//
// A Record class is a heap type of the metaclass RecordMeta; an instance is a PyObject header followed by the record's
// bytes, aligned as a C struct of the same fields and padded to 8 with zeros. Records are immutable, so their bytes may
// be read from any thread while a reference is held; those of a class declared writable are their owner's to change, so
// whoever keeps one copies its bytes. Every function here needs the GIL (or an attached thread state).
#pragma once

#include <Python.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace fastmas {

enum class FieldKind : std::uint8_t { i8, i16, i32, i64, u8, u16, u32, u64, f32, f64, boolean, bytes };

struct RecordField {
    PyObject* name = nullptr;  // interned; owned by the RecordInfo
    FieldKind kind = FieldKind::i64;
    std::uint32_t offset = 0;
    std::uint32_t item_bytes = 0;  // 1 for bytes
    std::uint32_t length = 1;      // items; above 1 or `is_array` a tuple of them, or the length of fixed bytes
    bool is_array = false;
    bool has_default = false;

    std::uint32_t size_bytes() const { return item_bytes * length; }
};

// One entry of the perfect hash from the address of an interned name to where the field is.
struct FieldEntry {
    PyObject* name = nullptr;
    std::uint32_t offset = 0;
    std::uint16_t index = 0;
    FieldKind kind = FieldKind::i64;
    bool is_scalar = false;
};

// A word of a record that not every value is canonical in.
struct CanonicalWord {
    std::uint32_t offset = 0;
    std::uint64_t kept = ~std::uint64_t{0};  // zeros where padding or a boolean is
    std::uint64_t booleans = 0;              // 1 in each byte that is one

    std::uint64_t of(std::uint64_t word) const {
        // The highest bit of each byte that is not zero, without a carry from byte to byte.
        constexpr std::uint64_t kLow = 0x7F7F7F7F7F7F7F7F;
        const std::uint64_t not_zero = ((word & kLow) + kLow) | word;
        return (word & kept) | ((not_zero >> 7U) & booleans);
    }
};

struct RecordInfo {
    PyTypeObject* type = nullptr;         // borrowed: the class owns this
    bool writable = false;                // fields can be assigned; no part of the layout
    std::string name;                     // the class's __name__
    std::uint32_t size_bytes = 0;         // a multiple of 8
    std::int32_t ts_offset = -1;          // of an i64 field named ts_ns, -1 when there is none
    std::int32_t instrument_offset = -1;  // of a u32 field named instrument, -1 when there is none
    std::string schema;                   // canonical JSON of name, size and fields; see docs of fastmas.records
    std::uint64_t fingerprint = 0;        // 64-bit FNV-1a of schema, the same in every process
    std::vector<RecordField> fields;
    PyObject* dtype = nullptr;  // numpy structured dtype, owned

    // What the constructor works with.
    std::vector<std::byte> blank;           // the defaults, zeros elsewhere
    std::uint64_t required = 0;             // bit i: field i has no default
    std::vector<std::uint32_t> padding;     // offsets of the padding bytes
    std::vector<std::uint32_t> booleans;    // offsets of the bytes that are 0 or 1
    std::vector<CanonicalWord> canonical;   // the words that have either
    std::vector<FieldEntry> entries;        // size 2^k, indexed by (address * multiplier) >> shift
    std::vector<PyGetSetDef> descriptors;   // what the field descriptors in the class point to
    std::vector<std::string> descriptions;  // their docstrings
    PyObject* free_head = nullptr;          // dead instances kept for the next construction, linked through their bytes
    std::uint32_t free_room = 0;            // how many more are kept

    RecordInfo() = default;
    RecordInfo(const RecordInfo&) = delete;
    RecordInfo& operator=(const RecordInfo&) = delete;
    ~RecordInfo();
};

// A Record class: a type object that knows its layout. `info` is null for Record itself and while a class is built.
struct RecordClass {
    PyHeapTypeObject heap;
    RecordInfo* info;
    const FieldEntry* entries;
    std::uint64_t multiplier;
    std::uint32_t shift;
};

extern PyTypeObject* record_meta_type;  // RecordMeta; final
extern PyTypeObject* record_base_type;  // Record

// The layout of a Record class, nullptr when `type` is none (Record itself is none: it has no fields).
inline const RecordInfo* record_info(PyTypeObject* type) {
    return Py_TYPE(type) == record_meta_type ? reinterpret_cast<RecordClass*>(type)->info : nullptr;
}

// True for an instance of a Record class.
inline bool is_record(PyObject* object) {
    return Py_TYPE(Py_TYPE(object)) == record_meta_type;
}

// The record's bytes, record_info(Py_TYPE(record))->size_bytes of them, valid while the object lives.
inline const std::byte* record_data(PyObject* record) {
    return reinterpret_cast<const std::byte*>(record) + sizeof(PyObject);
}

// A new record of `type` (which must be a Record class) with these bytes: a new reference, nullptr with an exception
// set when memory runs out. Padding is zeroed and boolean bytes become 0 or 1, so bytes of any origin give a canonical
// record.
PyObject* record_from_bytes(PyTypeObject* type, const std::byte* bytes);

// Makes rows that numpy wrote canonical in place: zeroes their padding and makes boolean bytes 0 or 1. numpy leaves
// padding as it finds it, so rows need this before their bytes are hashed, compared or written where they must replay.
void make_canonical(const RecordInfo& info, std::byte* rows, std::size_t count);

// The Record class whose rows have this numpy dtype: by identity of the dtype, else by its equality. Borrowed; nullptr
// without an exception when there is none, or when several classes of different names share an equal dtype.
PyTypeObject* record_type_of_dtype(PyObject* dtype);

// The Record class of this name with an equal dtype. Borrowed; nullptr without an exception when there is none, or when
// several modules have one.
PyTypeObject* record_type_of_dtype(PyObject* dtype, const std::string& name);

}  // namespace fastmas
