#include "bindings.hpp"

namespace fastmas::bindings {

void register_consensus(py::module_&) {}

}  // namespace fastmas::bindings
