#include "ring_format.hpp"

#include <pybind11/numpy.h>

#include <utility>

#include "call_arguments.hpp"
#include "python_errors.hpp"

namespace fastmas::bindings {
namespace {

namespace py = pybind11;
using py::detail::array_proxy;
using py::detail::npy_api;

bool is_array(PyObject* object) {
    return npy_api::get().PyArray_Check_(object);
}

// A scalar of a plain dtype: as a buffer it would pass for bytes of any meaning.
bool is_numpy_scalar(PyObject* object) {
    // numpy.void -> numpy.flexible -> numpy.generic
    return PyObject_TypeCheck(object, npy_api::get().PyVoidArrType_Type_->tp_base->tp_base) != 0;
}

bool is_contiguous(PyObject* array) {
    return py::detail::check_flags(array, npy_api::NPY_ARRAY_C_CONTIGUOUS_);
}

// Equal in names, types, offsets and size: the bytes mean the same. False without an exception when not.
bool same_dtype(PyObject* a, PyObject* b) {
    if (a == b) return true;
    const int equal = PyObject_RichCompareBool(a, b, Py_EQ);
    if (equal < 0) PyErr_Clear();
    return equal == 1;
}

bool refuse_dtype(const RingFormat& format, PyObject* dtype) {
    PyObject* held = format.description();
    if (held == nullptr) return false;
    raise("ConfigError", "dtype mismatch: the ring holds %S, got %S; convert it with astype(), or make a ring for it",
          held, dtype);
    Py_DECREF(held);
    return false;
}

bool check_dtype(const RingFormat& format, PyObject* dtype) {
    return same_dtype(format.dtype, dtype) || refuse_dtype(format, dtype);
}

// Any contiguous buffer, as plain bytes. False, with an exception only when the object is not to blame.
bool get_bytes(PyObject* object, Py_buffer* view) {
    if (PyObject_GetBuffer(object, view, PyBUF_SIMPLE) == 0) return true;
    view->obj = nullptr;
    clear_refusal();
    return false;
}

}  // namespace

Numpy numpy;

void prepare_formats() {
    static_assert(offsetof(Numpy::Row, bytes) == offsetof(py::detail::PyVoidScalarObject_Proxy, obval));
    static_assert(offsetof(Numpy::Row, dtype) == offsetof(py::detail::PyVoidScalarObject_Proxy, descr));
    numpy.void_type = npy_api::get().PyVoidArrType_Type_;
    constexpr std::size_t kPyArrayScalar = 60;  // in the table of numpy's C API, in numpy 1 and 2
    const py::object table = py::detail::import_numpy_core_submodule("multiarray").attr("_ARRAY_API");
    numpy.make_scalar = reinterpret_cast<decltype(numpy.make_scalar)>(
        static_cast<void**>(PyCapsule_GetPointer(table.ptr(), nullptr))[kPyArrayScalar]);
}

RingFormat::RingFormat(RingFormat&& other) noexcept
    : record_type(std::exchange(other.record_type, nullptr)),
      info(other.info),
      dtype(std::exchange(other.dtype, nullptr)),
      slot_bytes(other.slot_bytes) {}

RingFormat::~RingFormat() {
    Py_XDECREF(record_type);
    Py_XDECREF(dtype);
}

bool RingFormat::read(PyObject* layout) {
    if (PyType_Check(layout)) {
        auto* type = reinterpret_cast<PyTypeObject*>(layout);
        if (record_info(type) != nullptr) {
            Py_INCREF(layout);
            record_type = type;
            info = reinterpret_cast<RecordClass*>(type)->info;
            dtype = Py_NewRef(info->dtype);
            slot_bytes = info->size_bytes;
            return true;
        }
        if (PyType_IsSubtype(type, record_base_type)) {
            raise("ConfigError", "Record itself has no fields; make the ring for a subclass of it");
            return false;
        }
    }
    // numpy reads None as float64, which nobody means here.
    PyObject* descr = nullptr;
    if (layout == Py_None || npy_api::get().PyArray_DescrConverter_(layout, &descr) == 0 || descr == nullptr) {
        if (!clear_refusal()) return false;
        raise("ConfigError", "dtype must be a numpy dtype or a Record class, got %R", layout);
        return false;
    }
    dtype = descr;
    const auto view = py::reinterpret_borrow<py::dtype>(descr);
    try {
        if (view.attr("hasobject").cast<bool>()) {
            raise("ConfigError",
                  "dtype must not hold Python objects, which cannot live in a ring, got %S; use fixed-size fields",
                  descr);
            return false;
        }
        if (!view.attr("subdtype").is_none()) {
            raise("ConfigError", "dtype must not be an array, got %S; make it the field of a structured dtype", descr);
            return false;
        }
    } catch (...) {
        raise_current_exception();
        return false;
    }
    slot_bytes = view.itemsize();
    return true;
}

PyObject* RingFormat::description() const {
    if (record_type != nullptr) return PyUnicode_FromString(info->name.c_str());
    return PyObject_Str(dtype);
}

PyObject* RingFormat::new_array(std::int64_t records) const {
    const auto& api = npy_api::get();
    const Py_intptr_t shape = records;
    Py_INCREF(dtype);  // the call takes it
    return api.PyArray_NewFromDescr_(api.PyArray_Type_, dtype, 1, &shape, nullptr, nullptr, 0, nullptr);
}

bool RecordBytes::read_other(const RingFormat& format, PyObject* object) {
    const auto& api = npy_api::get();
    if (is_record(object)) {
        const RecordInfo* info = record_info(Py_TYPE(object));
        if (format.record_type == nullptr && same_dtype(format.dtype, info->dtype)) {
            data_ = record_data(object);
            return true;
        }
        PyObject* held = format.description();
        if (held == nullptr) return false;
        raise("ConfigError", "dtype mismatch: the ring holds %S, got a %s; make a ring for it", held,
              info->name.c_str());
        Py_DECREF(held);
        return false;
    }
    if (PyObject_TypeCheck(object, api.PyVoidArrType_Type_)) {
        const auto* row = reinterpret_cast<const py::detail::PyVoidScalarObject_Proxy*>(object);
        if (!check_dtype(format, reinterpret_cast<PyObject*>(row->descr))) return false;
        data_ = reinterpret_cast<const std::byte*>(row->obval);
        return true;
    }
    if (is_array(object)) {
        if (!check_dtype(format, array_proxy(object)->descr)) return false;
        if (array_proxy(object)->nd != 0) {
            raise("ConfigError", "one record is wanted, got an array; use push_many() or publish_many()");
            return false;
        }
        data_ = reinterpret_cast<const std::byte*>(array_proxy(object)->data);
        return true;
    }
    if (is_numpy_scalar(object)) {
        PyObject* dtype = PyObject_GetAttrString(object, "dtype");
        if (dtype == nullptr) return false;
        const bool fits = check_dtype(format, dtype);
        Py_DECREF(dtype);
        if (!fits) return false;
    }
    if (!get_bytes(object, &view_)) {
        if (PyErr_Occurred() != nullptr) return false;
        PyObject* held = format.description();
        if (held == nullptr) return false;
        raise("ConfigError", "a record of this ring must be a %S or %lld bytes, got %R", held,
              static_cast<long long>(format.slot_bytes), object);
        Py_DECREF(held);
        return false;
    }
    if (view_.len != format.slot_bytes) {
        raise("ConfigError", "a record of this ring must have %lld bytes, got %zd",
              static_cast<long long>(format.slot_bytes), view_.len);
        return false;
    }
    data_ = static_cast<const std::byte*>(view_.buf);
    return true;
}

bool BatchBytes::read(const RingFormat& format, PyObject* records) {
    const auto& api = npy_api::get();
    if (is_array(records)) {
        if (!check_dtype(format, array_proxy(records)->descr)) return false;
        if (array_proxy(records)->nd != 1) {
            raise("ConfigError", "records must be a one-dimensional array, got %d dimensions; ravel() it",
                  array_proxy(records)->nd);
            return false;
        }
        array_ = is_contiguous(records) ? Py_NewRef(records) : api.PyArray_NewCopy_(records, 0);
        if (array_ == nullptr) return false;
        data_ = reinterpret_cast<const std::byte*>(array_proxy(array_)->data);
        count_ = array_proxy(array_)->dimensions[0];
        return true;
    }
    if (!get_bytes(records, &view_)) {
        if (PyErr_Occurred() != nullptr) return false;
        PyObject* held = format.description();
        if (held == nullptr) return false;
        raise("ConfigError", "records must be an array of %S or bytes, got %s; use numpy.array(records, ring.dtype)",
              held, Py_TYPE(records)->tp_name);
        Py_DECREF(held);
        return false;
    }
    if (view_.len % format.slot_bytes != 0) {
        raise("ConfigError", "records must have a multiple of %lld bytes, got %zd",
              static_cast<long long>(format.slot_bytes), view_.len);
        return false;
    }
    data_ = static_cast<const std::byte*>(view_.buf);
    count_ = view_.len / format.slot_bytes;
    return true;
}

bool BatchTarget::read(const RingFormat& format, PyObject* max_records, PyObject* out, std::int64_t most) {
    max_ = most;
    if (max_records != nullptr && max_records != Py_None) {
        if (!to_i64(max_records, "max_records", &max_)) return false;
        if (max_ < 1) {
            raise("ConfigError", "max_records must be >= 1, got %lld", static_cast<long long>(max_));
            return false;
        }
    }
    if (out == nullptr || out == Py_None) return true;
    if (!is_array(out)) {
        raise("ConfigError", "out must be a numpy array, got %s", Py_TYPE(out)->tp_name);
        return false;
    }
    if (!check_dtype(format, array_proxy(out)->descr)) return false;
    if (array_proxy(out)->nd != 1 || !is_contiguous(out) ||
        !py::detail::check_flags(out, npy_api::NPY_ARRAY_WRITEABLE_)) {
        raise("ConfigError", "out must be one-dimensional, contiguous and writeable; use numpy.empty(n, ring.dtype)");
        return false;
    }
    const std::int64_t length = array_proxy(out)->dimensions[0];
    if (length == 0) {
        raise("ConfigError", "out must have room for a record, got length 0");
        return false;
    }
    if (max_records == nullptr || max_records == Py_None || max_ > length) max_ = length;
    out_ = Py_NewRef(out);
    return true;
}

std::byte* BatchTarget::reserve(const RingFormat& format, std::int64_t records, bool exact) {
    Py_CLEAR(part_);
    // Never the array of an earlier try: by now there may be more records than it was made for.
    if (out_ == nullptr) Py_XSETREF(made_, format.new_array(records));
    PyObject* const array = out_ != nullptr ? out_ : made_;
    if (array == nullptr) return nullptr;
    // Had before anything is taken: a view that is not to be had afterwards would cost the caller the count.
    if (out_ != nullptr && array_proxy(out_)->nd == 1 && (!exact || records < array_proxy(out_)->dimensions[0])) {
        part_ = PySequence_GetSlice(out_, 0, records);
        if (part_ == nullptr) return nullptr;
    }
    // Looked at last: making a view can run Python code, which can do anything to either.
    if (array_proxy(array)->nd != 1 || array_proxy(array)->dimensions[0] < records) {
        raise("ConfigError", "out was made smaller while the call was waiting; leave it alone until the call returns");
        return nullptr;
    }
    if (part_ != nullptr &&
        !(is_array(part_) && array_proxy(part_)->nd == 1 && array_proxy(part_)->dimensions[0] == records &&
          array_proxy(part_)->data == array_proxy(out_)->data)) {
        raise("ConfigError", "a slice of out must be a view of it, which that of a %s is not; use a plain numpy array",
              Py_TYPE(out_)->tp_name);
        return nullptr;
    }
    return reinterpret_cast<std::byte*>(array_proxy(array)->data);
}

PyObject* BatchTarget::result(const RingFormat& format, std::int64_t taken) {
    PyObject* const array = out_ != nullptr ? out_ : made_;
    if (array == nullptr) return format.new_array(0);
    if (taken == array_proxy(array)->dimensions[0]) return Py_NewRef(array);
    if (part_ != nullptr) {
        array_proxy(part_)->dimensions[0] = taken;
        return std::exchange(part_, nullptr);
    }
    PyObject* first = PySequence_GetSlice(array, 0, taken);
    if (first != nullptr || out_ != nullptr || taken == 0) return first;
    PyErr_Clear();  // nobody else knows the array
    array_proxy(array)->dimensions[0] = taken;
    return Py_NewRef(array);
}

}  // namespace fastmas::bindings
