// What the constructors of every kind of ring understand.
#pragma once

#include <Python.h>

#include <memory>
#include <string>

#include "ring_end.hpp"
#include "ringbuffer/region.hpp"
#include "ringbuffer/segment.hpp"

namespace fastmas::bindings {

// Each reads what a caller gave, nullptr when not, which leaves `out` as it is. False with ConfigError set, saying what
// there is to choose from.
bool read_layout(PyObject* given, ringbuffer::SlotLayout* out);      // "contiguous", "sequenced"
bool read_wait(PyObject* given, WaitStrategy* out);                  // "adaptive", "spin", "yield", "block"
bool read_overflow(PyObject* given, ringbuffer::Overflow* out);      // "refuse", "drop_newest"
bool read_any_overflow(PyObject* given, ringbuffer::Overflow* out);  // also "overwrite_oldest", "evict"
bool read_side(PyObject* given, Side* out);                          // "producer", "consumer"
bool read_name(PyObject* given, std::string* out);                   // of a segment; Segment checks how it looks

const char* name_of(ringbuffer::SlotLayout layout);
const char* name_of(WaitStrategy strategy);
const char* name_of(ringbuffer::Overflow overflow);
const char* name_of(Side side);
const char* name_of(ringbuffer::RoleState state);

// dtype and capacity checked, and put into `spec` with the shape; false with ConfigError set. May throw ConfigError.
bool read_shape(PyObject* dtype, PyObject* capacity, RingFormat* format, ringbuffer::RegionSpec* spec);

// The memory of a ring of `spec`, formatted as a `Ring`: in process when `name` is nullptr. Throws as RegionSpec::check
// and Segment::create.
template <class Ring>
std::shared_ptr<RingMemory> make_memory(const std::string* name, const ringbuffer::RegionSpec& spec) {
    spec.check();
    const auto format = [&](std::byte* body) { Ring::format(body, spec.shape); };
    if (name == nullptr) return RingMemory::in_process(spec, Ring::body_bytes(spec.shape), format);
    return RingMemory::create(*name, spec, format);
}

}  // namespace fastmas::bindings
