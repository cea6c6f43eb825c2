#include "bindings.hpp"
#include "ring_end.hpp"
#include "ring_objects.hpp"
#include "ring_segments.hpp"

namespace fastmas::bindings {

void register_ring(py::module_& module) {
    py::module_ ring = module.def_submodule("ring", "Rings between agents; see fastmas.ring.");
    prepare_formats();
    if (!add_spsc_ring(ring.ptr()) || !add_byte_ring(ring.ptr()) || !add_multi_rings(ring.ptr()) ||
        !add_broadcast_ring(ring.ptr()) || !add_subscriber(ring.ptr()) || !add_loan(ring.ptr()))
        throw py::error_already_set();
    add_segment_functions(ring);
}

}  // namespace fastmas::bindings
