// What a record is, as text: how the header of a shared ring tells those who attach what its bytes mean.
#pragma once

#include <Python.h>

#include <string>

#include "ring_format.hpp"
#include "ringbuffer/region.hpp"

namespace fastmas::bindings {

// JSON of the dtype's fields, types, offsets and size, and of the Record class's name when there is one. False with an
// exception set.
bool dtype_to_text(const RingFormat& format, std::string* text);

// The format of the ring `called` whose header says `spec`: of `wanted` when that is given (nullptr and None are not),
// which must then mean the same bytes; else of the Record class of that name and layout in this process, or of the
// plain dtype when there is none, or more than one. Its records have the size that `spec` says. False with ConfigError
// set, naming both sides of a mismatch.
bool format_from_text(const ringbuffer::RegionSpec& spec, const std::string& called, PyObject* wanted,
                      RingFormat* format);

// For people: the Record class's name, else the dtype as numpy writes it, else the text itself. Throws nothing of its
// own: the text may be anything.
std::string readable_dtype(const std::string& text);

}  // namespace fastmas::bindings
