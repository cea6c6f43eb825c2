#include "bindings.hpp"

PYBIND11_MODULE(_core, module) {
    namespace bindings = fastmas::bindings;
    module.doc() = "The C++ core of fastmas; import the public names from fastmas instead.";
    bindings::register_errors();
    bindings::register_records(module);
    bindings::register_ring(module);
    bindings::register_consensus(module);
    bindings::register_simulation(module);
    bindings::register_audit(module);
    bindings::register_kernel(module);
    bindings::register_floors(module);
}
