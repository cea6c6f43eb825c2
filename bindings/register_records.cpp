#include "bindings.hpp"
#include "record_internal.hpp"

namespace fastmas::bindings {
namespace {

using record_detail::Length;
using record_detail::ScalarType;

ScalarType scalar_type(const std::string& name) {
    ScalarType scalar{};
    if (!record_detail::kind_of_name(name, scalar.kind)) {
        record_detail::throw_config_error("no scalar type is named '" + name +
                                          "'; use i8, i16, i32, i64, u8, u16, u32, u64, f32, f64 or bool_");
    }
    return scalar;
}

Length length(std::int64_t items) {
    if (items < 1 || items > record_detail::kMaxRecordBytes) {
        record_detail::throw_config_error("Length must be from 1 to " + std::to_string(record_detail::kMaxRecordBytes) +
                                          ", got " + std::to_string(items));
    }
    return {static_cast<std::uint32_t>(items)};
}

PyMethodDef restore_method = {
    "_restore", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(record_detail::restore_record)),
    METH_FASTCALL, "What pickle calls."};

}  // namespace

void register_records(py::module_& parent) {
    py::module_ module = parent.def_submodule("records", "Records of fixed layout; see fastmas.records.");
    // A plain metaclass, which stubs can express; pybind11's own only adds assignment to static properties.
    const auto plain = py::metaclass(reinterpret_cast<PyObject*>(&PyType_Type));
    py::class_<ScalarType>(module, "ScalarType", "Marks an annotation as a number of this width.", plain)
        .def(py::init(&scalar_type), py::arg("name"), py::pos_only())
        .def_property_readonly("name", [](const ScalarType& self) { return record_detail::kind_row(self.kind).name; })
        .def("__repr__", [](const ScalarType& self) {
            return "ScalarType('" + std::string(record_detail::kind_row(self.kind).name) + "')";
        });
    py::class_<Length>(module, "Length", "Marks bytes or a tuple as being of this length.", plain)
        .def(py::init(&length), py::arg("items"), py::pos_only())
        .def_readonly("items", &Length::items)
        .def("__repr__", [](const Length& self) { return "Length(" + std::to_string(self.items) + ")"; });
    record_detail::register_types(module);
    module.attr("_restore") = py::reinterpret_steal<py::object>(
        PyCFunction_NewEx(&restore_method, nullptr, py::str("fastmas._core.records").ptr()));
}

}  // namespace fastmas::bindings
