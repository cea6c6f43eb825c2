// Which Record class a numpy dtype belongs to. Classes are held weakly: a class nobody uses can still go.
#include "record_internal.hpp"

namespace fastmas {
namespace record_detail {
namespace {

// dtype -> list of weak references to the classes with an equal one, oldest first. A list in it never changes: another
// takes its place, so that who looks one up needs no lock in any build.
PyObject* classes_by_dtype() {
    static PyObject* registry = PyDict_New();
    return registry;
}

// One class statement at a time adds itself; builds with the interpreter's lock have that for it.
class Declaring {
  public:
#ifdef Py_GIL_DISABLED
    Declaring() {
        PyMutex_Lock(&mutex());
    }
    ~Declaring() {
        PyMutex_Unlock(&mutex());
    }

  private:
    static PyMutex& mutex() {
        static PyMutex one{};
        return one;
    }
#else
    Declaring() {}
    ~Declaring() {}
#endif

  public:
    Declaring(const Declaring&) = delete;
    Declaring& operator=(const Declaring&) = delete;
};

// The list of candidates, null without an exception when there is none.
py::object candidates_of(PyObject* dtype) {
    PyObject* found = nullptr;
#if PY_VERSION_HEX >= 0x030D0000
    if (PyDict_GetItemRef(classes_by_dtype(), dtype, &found) < 0) PyErr_Clear();  // not hashable, hence no dtype
#else
    found = Py_XNewRef(PyDict_GetItemWithError(classes_by_dtype(), dtype));
    if (found == nullptr) PyErr_Clear();
#endif
    return py::reinterpret_steal<py::object>(found);
}

std::string full_name(py::handle cls) {
    return cls.attr("__module__").cast<std::string>() + "." + cls.attr("__qualname__").cast<std::string>();
}

}  // namespace

void register_dtype(const RecordInfo& info) {
    const Declaring alone;
    const py::handle cls(reinterpret_cast<PyObject*>(info.type));
    const auto registry = py::reinterpret_borrow<py::dict>(classes_by_dtype());
    const auto dtype = py::handle(info.dtype);
    py::list kept;
    if (registry.contains(dtype)) {
        for (const py::handle reference : registry[dtype]) {
            const py::object other = py::reinterpret_borrow<py::object>(reference)();
            // A cell that is run again, or a module that is reloaded, replaces the class it defined before.
            if (!other.is_none() && full_name(other) != full_name(cls)) kept.append(reference);
        }
    }
    kept.append(py::weakref(cls));
    registry[dtype] = kept;
}

}  // namespace record_detail

namespace {

// The one class with an equal dtype that `accept` takes and that still lives; the class of this very dtype before all.
template <class Accept>
PyTypeObject* find_class(PyObject* dtype, Accept&& accept) {
    namespace py = record_detail::py;
    using Found = PyTypeObject*;
    return record_detail::guarded<Found>(nullptr, [&]() -> Found {
        const py::object references = record_detail::candidates_of(dtype);
        if (!references) return nullptr;
        Found equal = nullptr;
        std::size_t count = 0;
        const auto candidates = py::list(references);
        for (const py::handle reference : candidates) {
            const py::object cls = py::reinterpret_borrow<py::object>(reference)();
            if (cls.is_none()) continue;
            auto* type = reinterpret_cast<PyTypeObject*>(cls.ptr());
            if (!accept(*record_info(type))) continue;
            if (record_info(type)->dtype == dtype) return type;
            equal = type;
            ++count;
        }
        return count == 1 ? equal : nullptr;
    });
}

}  // namespace

PyTypeObject* record_type_of_dtype(PyObject* dtype) {
    return find_class(dtype, [](const RecordInfo&) { return true; });
}

PyTypeObject* record_type_of_dtype(PyObject* dtype, const std::string& name) {
    return find_class(dtype, [&](const RecordInfo& info) { return info.name == name; });
}

}  // namespace fastmas
