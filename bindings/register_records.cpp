#include "bindings.hpp"

namespace fastmas::bindings {

void register_records(py::module_&) {}

}  // namespace fastmas::bindings
