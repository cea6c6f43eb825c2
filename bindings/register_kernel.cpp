#include "bindings.hpp"
#include "message_objects.hpp"

namespace fastmas::bindings {

void register_kernel(py::module_& module) {
    py::module_ kernel =
        module.def_submodule("kernel", "The discrete-event kernel and the messages that carry mappings.");
    register_message_objects(kernel.ptr());
}

}  // namespace fastmas::bindings
