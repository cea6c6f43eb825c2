// What module.cpp needs of the areas: one register function each, one register_<area>.cpp each.
#pragma once

#include <pybind11/pybind11.h>

namespace fastmas::bindings {

namespace py = pybind11;

void register_records(py::module_& module);     // fastmas._core.records
void register_ring(py::module_& module);        // fastmas._core.ring
void register_consensus(py::module_& module);   // fastmas._core.consensus
void register_simulation(py::module_& module);  // fastmas._core.simulation
void register_audit(py::module_& module);       // fastmas._core.audit
void register_kernel(py::module_& module);      // fastmas._core.kernel
void register_floors(py::module_& module);      // fastmas._core.floors

// C++ exceptions of cpp/base/errors.hpp become those of fastmas.errors.
void register_errors();

}  // namespace fastmas::bindings
