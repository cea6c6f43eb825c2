// What a ring holds, and how records get from Python objects into its slots and back.
//
// A ring is made for a Record class or for a numpy dtype. Records of the class, rows and arrays of the dtype, and plain
// bytes of the right length go in; what comes out owns its bytes: nothing ever refers to a slot, which the next lap
// overwrites.
#pragma once

#include <Python.h>

#include <cstddef>
#include <cstdint>

#include "record_object.hpp"

namespace fastmas::bindings {

// What hot calls need of numpy; set once, when the module is made.
struct Numpy {
    PyTypeObject* void_type = nullptr;  // of a row
    // From bytes to a scalar that owns them, a structured one too: one call, where an array and an index into it cost
    // five times as much.
    PyObject* (*make_scalar)(void* bytes, PyObject* dtype, PyObject* base) = nullptr;

    // What a row begins with, in numpy 1 and 2.
    struct Row {
        PyObject_VAR_HEAD char* bytes;
        PyObject* dtype;
    };
};
extern Numpy numpy;
// Throws as pybind11 does.
void prepare_formats();

struct RingFormat {
    PyTypeObject* record_type = nullptr;  // owned; nullptr for a ring of a plain dtype
    RecordInfo* info = nullptr;           // of record_type
    PyObject* dtype = nullptr;            // owned
    std::int64_t slot_bytes = 0;

    RingFormat() = default;
    RingFormat(RingFormat&& other) noexcept;
    RingFormat& operator=(RingFormat&&) = delete;
    ~RingFormat();

    // From what the caller gave as dtype; false with ConfigError set.
    bool read(PyObject* layout);

    // What errors and repr call it: the Record class's name, or the dtype. A new reference.
    PyObject* description() const;

    // An owning object made of a slot's bytes: a Record, a numpy row or a numpy scalar. A new reference.
    PyObject* to_python(const std::byte* slot) const {
        return record_type != nullptr ? record_from_bytes(record_type, slot)
                                      : numpy.make_scalar(const_cast<std::byte*>(slot), dtype, nullptr);
    }

    // A new array of the ring's dtype, its contents not set.
    PyObject* new_array(std::int64_t records) const;
};

// The bytes of one record that a caller handed in; keeps its buffer while it lives.
class RecordBytes {
  public:
    RecordBytes() { view_.obj = nullptr; }
    RecordBytes(const RecordBytes&) = delete;
    RecordBytes& operator=(const RecordBytes&) = delete;
    ~RecordBytes() {
        if (view_.obj != nullptr) PyBuffer_Release(&view_);
    }

    // False with ConfigError set when `object` is no record of this format.
    bool read(const RingFormat& format, PyObject* object) {
        if (Py_TYPE(object) == format.record_type) [[likely]] {
            data_ = record_data(object);
            return true;
        }
        if (PyBytes_CheckExact(object) && PyBytes_GET_SIZE(object) == format.slot_bytes) {
            data_ = reinterpret_cast<const std::byte*>(PyBytes_AS_STRING(object));
            return true;
        }
        if (Py_TYPE(object) == numpy.void_type) {
            const auto* row = reinterpret_cast<const Numpy::Row*>(object);
            if (row->dtype == format.dtype) {
                data_ = reinterpret_cast<const std::byte*>(row->bytes);
                return true;
            }
        }
        return read_other(format, object);
    }
    const std::byte* data() const { return data_; }

  private:
    bool read_other(const RingFormat& format, PyObject* object);

    const std::byte* data_ = nullptr;
    Py_buffer view_;  // in use when it has an owner; its 80 bytes are not worth zeroing for every record
};

// The bytes of many records, one after the other; keeps their owner while it lives. An array that is not contiguous is
// copied first.
class BatchBytes {
  public:
    BatchBytes() = default;
    BatchBytes(const BatchBytes&) = delete;
    BatchBytes& operator=(const BatchBytes&) = delete;
    ~BatchBytes() {
        if (view_.obj != nullptr) PyBuffer_Release(&view_);
        Py_XDECREF(array_);
    }

    bool read(const RingFormat& format, PyObject* records);
    const std::byte* data() const { return data_; }
    std::int64_t count() const { return count_; }

  private:
    const std::byte* data_ = nullptr;
    std::int64_t count_ = 0;
    PyObject* array_ = nullptr;
    Py_buffer view_{};
};

// Where a batch is popped to: an array of the caller's, or a new one.
class BatchTarget {
  public:
    BatchTarget() = default;
    BatchTarget(const BatchTarget&) = delete;
    BatchTarget& operator=(const BatchTarget&) = delete;
    ~BatchTarget() {
        Py_XDECREF(part_);
        Py_XDECREF(made_);
        Py_XDECREF(out_);
    }

    // `max_records` and `out` as the caller gave them, nullptr or None when not; `most` when neither is given.
    bool read(const RingFormat& format, PyObject* max_records, PyObject* out, std::int64_t most);
    std::int64_t max() const { return max_; }

    // Where `records` (<= max()) can be written; nullptr with an exception set when memory runs out. May be called
    // again when fewer were there than it looked like. `exact`: all of them will be written.
    std::byte* reserve(const RingFormat& format, std::int64_t records, bool exact);

    // The array of the first `taken` records: a new reference. Cannot fail once records were taken.
    PyObject* result(const RingFormat& format, std::int64_t taken);

  private:
    PyObject* out_ = nullptr;   // the caller's array
    PyObject* made_ = nullptr;  // where there is none: of exactly as many records as were there at the last try
    PyObject* part_ = nullptr;  // a view of `out_`, where not all of it will be written
    std::int64_t max_ = 0;
};

}  // namespace fastmas::bindings
