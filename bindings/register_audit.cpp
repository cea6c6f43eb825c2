#include "bindings.hpp"

namespace fastmas::bindings {

void register_audit(py::module_&) {}

}  // namespace fastmas::bindings
