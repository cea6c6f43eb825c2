#include "bindings.hpp"
#include "ring_objects.hpp"

namespace fastmas::bindings {

void register_ring(py::module_& module) {
    py::module_ ring = module.def_submodule("ring", "Rings between agents; see fastmas.ring.");
    if (!add_spsc_ring(ring.ptr()) || !add_broadcast_ring(ring.ptr()) || !add_subscriber(ring.ptr()))
        throw py::error_already_set();
}

}  // namespace fastmas::bindings
