// The functions of fastmas._core.ring that look at all shared rings.
#pragma once

#include <pybind11/pybind11.h>

namespace fastmas::bindings {

void add_segment_functions(pybind11::module_& module);

}  // namespace fastmas::bindings
