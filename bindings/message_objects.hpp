// Observation, Intent and Committed: immutable messages that carry mappings, as final extension types (_core.kernel).
//
// Each has one canonical encoding, which is what is hashed, compared, pickled, logged and audited: little-endian
// fields, names and instruments in ascending order, nothing left over. Decoding is bounds-checked: whatever bytes come
// in, a value or a ConfigError comes out.
#pragma once

#include <Python.h>

#include <cstdint>
#include <span>
#include <string>

#include "base/byte_codec.hpp"

namespace fastmas::bindings {

struct ObservationObject {
    PyObject_HEAD std::uint32_t instrument;
    std::int64_t ts_ns;
    PyObject* values;  // dict of str to float or read-only 1-d ndarray, never handed out unwrapped
};

struct Target {
    std::uint32_t instrument;
    std::int64_t lots;
};

struct IntentObject {
    PyObject_VAR_HEAD  // Py_SIZE targets, in ascending order of instrument, each once
        std::int64_t ts_ns;
    std::int64_t valid_until_ns;
    PyObject* mapping;  // what .targets returns, made when first asked for
    Target targets[1];
};

struct CommittedObject {
    PyObject_HEAD std::uint64_t index;
    std::int64_t time_ns;
    IntentObject* intent;
};

// The types, valid once register_message_objects has run; they cannot be subclassed, so identity tells them.
extern PyTypeObject* observation_type;
extern PyTypeObject* intent_type;
extern PyTypeObject* committed_type;

// Appends the canonical encoding. False with an exception set when memory runs out.
bool encode_observation(const ObservationObject* self, std::string& out);
void encode_intent(const IntentObject* self, std::string& out);
void encode_committed(const CommittedObject* self, std::string& out);

// True when `object` is one of the three and was appended to `out`; false with or without an exception set otherwise.
bool encode_message(PyObject* object, std::string& out);

// A new reference, or nullptr with ConfigError set.
PyObject* decode_observation(std::span<const std::byte> bytes);
PyObject* decode_intent(std::span<const std::byte> bytes);
PyObject* decode_committed(std::span<const std::byte> bytes);

// Made from integers that were checked before: targets ascending by instrument. A new reference.
PyObject* make_intent(std::int64_t ts_ns, std::int64_t valid_until_ns, std::span<const Target> targets);
PyObject* make_committed(std::uint64_t index, std::int64_t time_ns, PyObject* intent);

// Add the types to `module`; throw pybind11::error_already_set.
void register_observation(PyObject* module);
void register_intent(PyObject* module);
void register_message_objects(PyObject* module);

}  // namespace fastmas::bindings
