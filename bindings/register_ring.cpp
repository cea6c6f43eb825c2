#include "bindings.hpp"

namespace fastmas::bindings {

void register_ring(py::module_&) {}

}  // namespace fastmas::bindings
