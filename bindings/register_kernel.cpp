#include "bindings.hpp"

namespace fastmas::bindings {

void register_kernel(py::module_&) {}

}  // namespace fastmas::bindings
