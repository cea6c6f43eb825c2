#include "bindings.hpp"
#include "record_internal.hpp"

namespace fastmas::bindings {

void register_records(py::module_& parent) {
    py::module_ module = parent.def_submodule("records", "Records of fixed layout; see fastmas.records.");
    record_detail::register_types(module);
}

}  // namespace fastmas::bindings
