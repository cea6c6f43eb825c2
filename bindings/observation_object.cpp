// Observation: one instrument (or the universe) at one instant, and named values.
#include <pybind11/numpy.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "message_methods.hpp"

namespace fastmas::bindings {

namespace py = pybind11;

PyTypeObject* observation_type = nullptr;

namespace {

constexpr std::size_t kMaxNameBytes = 255;
enum Kind : std::uint8_t { kFloat = 0, kFloatArray = 1, kIntArray = 2 };

using py::detail::array_proxy;
using py::detail::npy_api;

// numpy's descriptors of float64 and int64, kept for ever.
PyObject* descriptor(Kind kind) {
    static PyObject* const floats = npy_api::get().PyArray_DescrFromType_(npy_api::NPY_FLOAT64_);
    static PyObject* const ints = npy_api::get().PyArray_DescrFromType_(npy_api::NPY_INT64_);
    return kind == kIntArray ? ints : floats;
}

PyObject* new_array(Kind kind, Py_ssize_t count, const void* data) {
    const Py_intptr_t dimension = count;
    PyObject* array = npy_api::get().PyArray_NewFromDescr_(npy_api::get().PyArray_Type_, Py_NewRef(descriptor(kind)), 1,
                                                           &dimension, nullptr, nullptr, 0, nullptr);
    if (array == nullptr) return nullptr;
    if (count != 0) std::memcpy(array_proxy(array)->data, data, static_cast<std::size_t>(count) * 8);
    array_proxy(array)->flags &= ~npy_api::NPY_ARRAY_WRITEABLE_;
    return array;
}

Kind kind_of(PyObject* value) {
    if (PyFloat_CheckExact(value)) return kFloat;
    return npy_api::get().PyArray_EquivTypes_(array_proxy(value)->descr, descriptor(kIntArray)) ? kIntArray
                                                                                                : kFloatArray;
}

// What an observation keeps of a value: an exact float, or a read-only copy of the array. A new reference.
PyObject* kept_value(PyObject* name, PyObject* value) {
    if (PyFloat_CheckExact(value)) return Py_NewRef(value);
    const npy_api& numpy = npy_api::get();
    if (numpy.PyArray_Check_(value)) {
        const auto* array = array_proxy(value);
        const bool ints = numpy.PyArray_EquivTypes_(array->descr, descriptor(kIntArray));
        if (array->nd != 1 || !(ints || numpy.PyArray_EquivTypes_(array->descr, descriptor(kFloatArray)))) {
            PyObject* dtype = PyObject_GetAttrString(value, "dtype");
            if (dtype != nullptr)
                raise("ConfigError",
                      "an array in an observation must be one-dimensional, of float64 or int64; %R has %d dimensions "
                      "of %S; "
                      "use .ravel() and .astype(np.float64)",
                      name, array->nd, dtype);
            Py_XDECREF(dtype);
            return nullptr;
        }
        const bool plain =
            (array->flags & npy_api::NPY_ARRAY_C_CONTIGUOUS_) && (array->flags & npy_api::NPY_ARRAY_ALIGNED_);
        if (plain) return new_array(ints ? kIntArray : kFloatArray, array->dimensions[0], array->data);
        PyObject* copy = numpy.PyArray_NewCopy_(value, 0);
        if (copy == nullptr) return nullptr;
        PyObject* kept = new_array(ints ? kIntArray : kFloatArray, array->dimensions[0], array_proxy(copy)->data);
        Py_DECREF(copy);
        return kept;
    }
    // Python and numpy numbers; a str has no nb_float, so nothing is parsed. A complex has one that raises.
    const PyNumberMethods* number = Py_TYPE(value)->tp_as_number;
    if (number != nullptr && (number->nb_float != nullptr || number->nb_index != nullptr) && !PyComplex_Check(value)) {
        const double converted = PyFloat_AsDouble(value);
        if (converted != -1.0 || !PyErr_Occurred()) return PyFloat_FromDouble(converted);
        PyErr_Clear();
    }
    return raise("ConfigError", "a value in an observation must be a float or a one-dimensional array, got %R for %R",
                 value, name);
}

bool check_name(PyObject* name) {
    Py_ssize_t size = 0;
    const char* text = PyUnicode_Check(name) ? PyUnicode_AsUTF8AndSize(name, &size) : nullptr;
    if (text != nullptr && size > 0 && static_cast<std::size_t>(size) <= kMaxNameBytes) return true;
    PyErr_Clear();
    raise("ConfigError", "a name in an observation must be a str of 1 to %zu bytes of UTF-8, got %R", kMaxNameBytes,
          name);
    return false;
}

// A dict of our own with checked names and kept values. A new reference.
PyObject* kept_values(PyObject* values) {
    PyObject* dict = nullptr;
    if (PyDict_CheckExact(values)) {
        dict = Py_NewRef(values);
    } else if (PyMapping_Check(values) && PyObject_HasAttrString(values, "keys")) {
        dict = PyDict_New();
        if (dict != nullptr && PyDict_Update(dict, values) < 0) Py_CLEAR(dict);
    } else {
        raise("ConfigError", "the values of an observation must be a mapping of names to numbers or arrays, got %R",
              values);
    }
    if (dict == nullptr) return nullptr;
    // Iterating may run Python (a __float__), which could change the caller's dict: a plain copy is iterated instead.
    PyObject* kept = PyDict_Copy(dict);
    Py_DECREF(dict);
    if (kept == nullptr) return nullptr;
    PyObject *name = nullptr, *value = nullptr;
    for (Py_ssize_t position = 0; PyDict_Next(kept, &position, &name, &value);) {
        PyObject* replacement = check_name(name) ? kept_value(name, value) : nullptr;
        // Replacing the value of a present key does not move anything, so that the iteration stays valid.
        if (replacement == nullptr || (replacement != value && PyDict_SetItem(kept, name, replacement) < 0)) {
            Py_XDECREF(replacement);
            Py_DECREF(kept);
            return nullptr;
        }
        Py_DECREF(replacement);
    }
    return kept;
}

// Takes over the reference to `values`.
PyObject* make_observation(std::uint32_t instrument, std::int64_t ts_ns, PyObject* values) {
    auto* self = PyObject_New(ObservationObject, observation_type);
    if (self == nullptr) {
        Py_DECREF(values);
        return nullptr;
    }
    self->instrument = instrument;
    self->ts_ns = ts_ns;
    self->values = values;
    return reinterpret_cast<PyObject*>(self);
}

PyObject* construct(PyObject*, PyObject* const* args, std::size_t nargsf, PyObject* kwnames) {
    static const char* const names[] = {"instrument", "ts_ns", "values"};
    static const Parameters parameters{"Observation", names, 3, 3, 3};
    PyObject* given[3];
    std::uint32_t instrument = 0;
    std::int64_t ts_ns = 0;
    if (!match_arguments(parameters, args, PyVectorcall_NARGS(nargsf), kwnames, given)) return nullptr;
    if (!to_u32(given[0], "instrument", &instrument) || !to_i64(given[1], "ts_ns", &ts_ns)) return nullptr;
    try {
        PyObject* values = kept_values(given[2]);
        return values == nullptr ? nullptr : make_observation(instrument, ts_ns, values);
    } catch (...) {
        return raise_current_exception();
    }
}

void dealloc(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    Py_DECREF(reinterpret_cast<ObservationObject*>(self)->values);
    type->tp_free(self);
    Py_DECREF(type);
}

const ObservationObject* as_observation(PyObject* self) {
    return reinterpret_cast<const ObservationObject*>(self);
}

PyObject* get_instrument(PyObject* self, void*) {
    return PyLong_FromUnsignedLong(as_observation(self)->instrument);
}
PyObject* get_ts_ns(PyObject* self, void*) {
    return PyLong_FromLongLong(as_observation(self)->ts_ns);
}
PyObject* get_values(PyObject* self, void*) {
    return PyDictProxy_New(as_observation(self)->values);
}

PyObject* subscript(PyObject* self, PyObject* name) {
    PyObject* values = as_observation(self)->values;
    PyObject* value = PyDict_GetItemWithError(values, name);
    if (value != nullptr) return Py_NewRef(value);
    if (PyErr_Occurred()) return nullptr;
    PyObject* names = PyDict_Keys(values);
    if (names == nullptr) return nullptr;
    PyErr_Format(PyExc_KeyError, "no %R in this observation; it has %R", name, names);
    Py_DECREF(names);
    return nullptr;
}

int contains(PyObject* self, PyObject* name) {
    return PyDict_Contains(as_observation(self)->values, name);
}

PyObject* repr(PyObject* self) {
    const auto* observation = as_observation(self);
    return PyUnicode_FromFormat("Observation(instrument=%u, ts_ns=%lld, values=%R)", observation->instrument,
                                static_cast<long long>(observation->ts_ns), observation->values);
}

PyGetSetDef getters[] = {
    {"instrument", get_instrument, nullptr, "The instrument's id; `UNIVERSE` when it is about all of them.", nullptr},
    {"ts_ns", get_ts_ns, nullptr, "When it was observed, in ns since 1970 UTC.", nullptr},
    {"values", get_values, nullptr, "The named values, read-only.", nullptr},
    {}};

PyMethodDef methods[] = {
    {"to_bytes", message_to_bytes, METH_NOARGS, "to_bytes($self, /)\n--\n\nThe canonical encoding."},
    {"from_bytes", message_from_bytes<decode_observation>, METH_O | METH_STATIC,
     "from_bytes(data, /)\n--\n\nDecode what `to_bytes` gave; anything else raises ConfigError."},
    {"__reduce__", message_reduce, METH_NOARGS, nullptr},
    {}};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("Observation(instrument, ts_ns, values)\n--\n\n"
                                  "What a perception agent saw of one instrument at one instant.\n\n"
                                  "Parameters\n----------\n"
                                  "instrument : int\n"
                                  "ts_ns : int\n"
                                  "values : mapping of name to float or array\n    Copied, read-only.\n\n"
                                  "Examples\n--------\n"
                                  ">>> from fastmas.messages import Observation\n"
                                  ">>> seen = Observation(7, 1_000, {\"mid\": 101.5})\n"
                                  ">>> seen[\"mid\"], \"spread\" in seen\n"
                                  "(101.5, False)")},
    {Py_tp_new, as_slot(construct_from_tuple)},
    {Py_tp_dealloc, as_slot(dealloc)},
    {Py_tp_repr, as_slot(repr)},
    {Py_tp_hash, as_slot(message_hash)},
    {Py_tp_richcompare, as_slot(message_compare)},
    {Py_tp_getset, getters},
    {Py_tp_methods, methods},
    {Py_mp_subscript, as_slot(subscript)},
    {Py_sq_contains, as_slot(contains)},
    {0, nullptr}};

PyType_Spec spec{"fastmas._core.kernel.Observation", sizeof(ObservationObject), 0,
                 Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, slots};

PyObject* refuse(const char* why) {
    return raise("ConfigError", "not the bytes of an Observation: %s", why);
}

// One name and its value into `values`. Names ascend, so that there is one encoding only.
bool decode_value(base::ByteReader& reader, std::string_view& previous, PyObject* values) {
    const auto size = reader.get<std::uint16_t>();
    const auto kind = reader.get<std::uint16_t>();
    const auto count = reader.get<std::uint32_t>();
    const auto bytes = reader.get_bytes(size);
    const auto data = reader.get_bytes(std::size_t{count} * 8);
    if (!reader.ok()) return refuse("they end too early"), false;
    const std::string_view name{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    if (name.empty() || name.size() > kMaxNameBytes || name <= previous)
        return refuse("names must have 1 to 255 bytes and ascend"), false;
    if (kind > kIntArray || (kind == kFloat && count != 1)) return refuse("unknown kind of value"), false;
    previous = name;
    double number = 0;
    if (kind == kFloat) std::memcpy(&number, data.data(), sizeof number);
    PyObject* key = PyUnicode_DecodeUTF8(name.data(), static_cast<Py_ssize_t>(name.size()), nullptr);
    if (key == nullptr) {
        PyErr_Clear();
        return refuse("a name is not UTF-8"), false;
    }
    PyObject* value =
        kind == kFloat ? PyFloat_FromDouble(number) : new_array(static_cast<Kind>(kind), count, data.data());
    const bool done = value != nullptr && PyDict_SetItem(values, key, value) == 0;
    Py_XDECREF(value);
    Py_DECREF(key);
    return done;
}

}  // namespace

bool encode_observation(const ObservationObject* self, std::string& out) {
    struct Entry {
        std::string_view name;
        PyObject* value;
    };
    std::vector<Entry> entries;
    entries.reserve(static_cast<std::size_t>(PyDict_GET_SIZE(self->values)));
    PyObject *key = nullptr, *value = nullptr;
    for (Py_ssize_t position = 0; PyDict_Next(self->values, &position, &key, &value);) {
        Py_ssize_t size = 0;
        const char* text = PyUnicode_AsUTF8AndSize(key, &size);
        if (text == nullptr) return false;
        entries.push_back({{text, static_cast<std::size_t>(size)}, value});
    }
    std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.name < b.name; });
    base::ByteWriter writer(out);
    writer.put(self->instrument);
    writer.put(static_cast<std::uint32_t>(entries.size()));
    writer.put(self->ts_ns);
    for (const Entry& entry : entries) {
        const Kind kind = kind_of(entry.value);
        const auto count = kind == kFloat ? 1 : array_proxy(entry.value)->dimensions[0];
        writer.put(static_cast<std::uint16_t>(entry.name.size()));
        writer.put(static_cast<std::uint16_t>(kind));
        writer.put(static_cast<std::uint32_t>(count));
        writer.put_bytes(entry.name.data(), entry.name.size());
        if (kind == kFloat)
            writer.put(PyFloat_AS_DOUBLE(entry.value));
        else
            writer.put_bytes(array_proxy(entry.value)->data, static_cast<std::size_t>(count) * 8);
    }
    return true;
}

PyObject* decode_observation(std::span<const std::byte> bytes) {
    base::ByteReader reader(bytes);
    const auto instrument = reader.get<std::uint32_t>();
    const auto count = reader.get<std::uint32_t>();
    const auto ts_ns = reader.get<std::int64_t>();
    PyObject* values = PyDict_New();
    if (values == nullptr) return nullptr;
    std::string_view previous;
    for (std::uint32_t i = 0; reader.ok() && i < count; ++i) {
        if (!decode_value(reader, previous, values)) {
            Py_DECREF(values);
            return nullptr;
        }
    }
    if (!reader.finished()) {
        Py_DECREF(values);
        return refuse(reader.ok() ? "there are bytes left over" : "they end too early");
    }
    return make_observation(instrument, ts_ns, values);
}

void register_observation(PyObject* module) {
    observation_type = add_message_type(module, &spec, construct);
}

}  // namespace fastmas::bindings
