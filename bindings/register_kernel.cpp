#include <pybind11/operators.h>
#include <pybind11/stl.h>

#include "bindings.hpp"
#include "context_object.hpp"
#include "kernel_object.hpp"
#include "market/latency.hpp"
#include "message_objects.hpp"

namespace fastmas::bindings {
namespace {

using market::LatencyModel;
using market::LatencySampler;

std::vector<std::int64_t> samples(const LatencyModel& model, std::size_t count, std::uint64_t seed,
                                  const std::string& name) {
    LatencySampler sampler(model, seed, name);
    std::vector<std::int64_t> out(count);
    for (auto& sample : out) sample = sampler.next();
    return out;
}

std::string repr(const LatencyModel& model) {
    const auto text = [](auto value) { return std::to_string(value); };
    switch (model.kind) {
        case LatencyModel::Kind::uniform:
            return "LatencyModel.uniform(" + text(model.low_ns) + ", " + text(model.high_ns) + ")";
        case LatencyModel::Kind::exponential:
            return "LatencyModel.exponential(" + text(model.scale_ns) + ", minimum_ns=" + text(model.low_ns) + ")";
        case LatencyModel::Kind::lognormal:
            return "LatencyModel.lognormal(" + text(model.scale_ns) + ", " +
                   py::repr(py::float_(model.sigma)).cast<std::string>() + ", minimum_ns=" + text(model.low_ns) + ")";
        case LatencyModel::Kind::constant:
            break;
    }
    return "LatencyModel.constant(" + text(model.low_ns) + ")";
}

void register_latency(py::module_& module) {
    py::class_<LatencyModel>(module, "LatencyModel", "How long a message takes; made by one of its static methods.")
        .def_static("constant", &LatencyModel::constant, py::arg("ns"), "Always the same.")
        .def_static("uniform", &LatencyModel::uniform, py::arg("low_ns"), py::arg("high_ns"), "Both ends included.")
        .def_static("exponential", &LatencyModel::exponential, py::arg("mean_ns"), py::kw_only(),
                    py::arg("minimum_ns") = 0, "`minimum_ns` is added to every sample.")
        .def_static("lognormal", &LatencyModel::lognormal, py::arg("median_ns"), py::arg("sigma"), py::kw_only(),
                    py::arg("minimum_ns") = 0, "`minimum_ns` is added to every sample.")
        .def("samples", &samples, py::arg("count"), py::kw_only(), py::arg("seed") = 0, py::arg("name") = "",
             "The first samples that a node of that name sees in a kernel of that seed.")
        .def(py::self == py::self)
        .def("__hash__", [](const LatencyModel& model) { return py::hash(py::str(repr(model))); })
        .def("__repr__", &repr);
}

}  // namespace

void register_kernel(py::module_& module) {
    py::module_ kernel =
        module.def_submodule("kernel", "The discrete-event kernel and the messages that carry mappings.");
    register_message_objects(kernel.ptr());
    register_context(kernel.ptr());
    register_latency(kernel);
    register_kernel_object(kernel.ptr());
}

}  // namespace fastmas::bindings
