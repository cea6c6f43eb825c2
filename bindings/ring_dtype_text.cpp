#include "ring_dtype_text.hpp"

#include <pybind11/numpy.h>

#include "python_errors.hpp"

namespace fastmas::bindings {
namespace {

namespace py = pybind11;

// "<i8", or [item, shape], or a dict of names, formats, offsets and itemsize.
py::object described(const py::dtype& dtype) {
    if (!dtype.attr("subdtype").is_none()) {
        const auto items = dtype.attr("subdtype").cast<py::tuple>();
        return py::list(py::make_tuple(described(items[0].cast<py::dtype>()), py::list(items[1])));
    }
    if (dtype.attr("names").is_none()) return dtype.attr("str");
    py::list formats, offsets;
    for (const py::handle name : dtype.attr("names")) {
        const auto field = dtype.attr("fields")[name].cast<py::tuple>();
        formats.append(described(field[0].cast<py::dtype>()));
        offsets.append(field[1]);
    }
    py::dict whole;
    whole["names"] = py::list(dtype.attr("names"));
    whole["formats"] = formats;
    whole["offsets"] = offsets;
    whole["itemsize"] = dtype.itemsize();
    return whole;
}

py::dtype rebuilt(const py::handle& description) {
    const auto numpy_dtype = py::module_::import("numpy").attr("dtype");
    if (py::isinstance<py::str>(description)) return numpy_dtype(description);
    if (py::isinstance<py::list>(description))
        return numpy_dtype(py::make_tuple(rebuilt(description[py::int_(0)]), py::tuple(description[py::int_(1)])));
    py::list formats;
    for (const py::handle format : description["formats"]) formats.append(rebuilt(format));
    py::dict whole = description.attr("copy")();
    whole["formats"] = formats;
    return numpy_dtype(whole);
}

std::string record_name(const RingFormat& format) {
    return format.record_type != nullptr ? record_info(format.record_type)->name : std::string();
}

// A name and what lies under it: two classes of one name may differ in layout. Both sides of a mismatch are written by
// way of the header's text, which leaves out what does not matter.
std::string shown(const std::string& name, const py::dtype& dtype) {
    const auto layout = py::str(rebuilt(described(dtype))).cast<std::string>();
    return name.empty() ? layout : name + " " + layout;
}

}  // namespace

bool dtype_to_text(const RingFormat& format, std::string* text) {
    try {
        const auto dtype = py::reinterpret_borrow<py::dtype>(format.dtype);
        py::dict whole;
        whole["dtype"] = described(dtype);
        if (format.record_type != nullptr) whole["record"] = record_name(format);
        const auto dumps = py::module_::import("json").attr("dumps");
        *text = dumps(whole, py::arg("sort_keys") = true, py::arg("separators") = py::make_tuple(",", ":"))
                    .cast<std::string>();
    } catch (...) {
        raise_current_exception();
        return false;
    }
    constexpr auto kMost = ringbuffer::RegionHeader::kDtypeBytes - 1;
    if (text->size() <= kMost) return true;
    raise("ConfigError",
          "the description of a shared ring's dtype must have at most %zu characters, got %zu; use "
          "fewer or shorter field names",
          kMost, text->size());
    return false;
}

bool format_from_text(const ringbuffer::RegionSpec& spec, const std::string& called, PyObject* wanted,
                      RingFormat* format) {
    try {
        const py::object whole = py::module_::import("json").attr("loads")(py::str(spec.dtype));
        const py::dtype held = rebuilt(whole["dtype"]);
        if (static_cast<std::size_t>(held.itemsize()) != spec.shape.slot_bytes) {
            raise("ConfigError",
                  "%s is damaged: its records have %zu bytes, its dtype %S has %zd; remove it (SpscRing.unlink, "
                  "`fastmas rings clean`) and create it anew",
                  called.c_str(), spec.shape.slot_bytes, held.ptr(), static_cast<Py_ssize_t>(held.itemsize()));
            return false;
        }
        const auto name = whole.contains("record") ? whole["record"].cast<std::string>() : std::string();
        if (wanted == nullptr || wanted == Py_None) {
            PyTypeObject* known = name.empty() ? nullptr : record_type_of_dtype(held.ptr(), name);
            return format->read(known != nullptr ? reinterpret_cast<PyObject*>(known) : held.ptr());
        }
        if (!format->read(wanted)) return false;
        const std::string given = record_name(*format);
        // By way of the text, which leaves out what does not matter (titles).
        const py::dtype same = rebuilt(described(py::reinterpret_borrow<py::dtype>(format->dtype)));
        if (held.equal(same) && (name.empty() || given.empty() || name == given)) return true;
        raise("ConfigError", "dtype mismatch: %s holds %s, got %s; attach with that dtype, or with none",
              called.c_str(), shown(name, held).c_str(),
              shown(given, py::reinterpret_borrow<py::dtype>(format->dtype)).c_str());
    } catch (...) {
        raise_current_exception();
        if (PyErr_ExceptionMatches(PyExc_Exception) == 0 || PyErr_ExceptionMatches(PyExc_MemoryError) != 0)
            return false;
        raise_from("ConfigError", "%s has a dtype that cannot be read: ", called.c_str());
    }
    return false;
}

std::string readable_dtype(const std::string& text) {
    try {
        const py::object whole = py::module_::import("json").attr("loads")(py::bytes(text));
        if (whole.contains("record")) return whole["record"].cast<std::string>();
        return py::str(rebuilt(whole["dtype"])).cast<std::string>();
    } catch (const std::exception&) {
        return text;
    }
}

}  // namespace fastmas::bindings
