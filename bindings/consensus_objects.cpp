#include "consensus_objects.hpp"

#include <structmember.h>

#include <cstddef>

#include "base/errors.hpp"

namespace fastmas::bindings {
namespace {

struct EntryObject {
    PyObject_HEAD long long index;
    long long time_ns;
    PyObject* command;
};

EntryObject* as_entry(PyObject* self) {
    return reinterpret_cast<EntryObject*>(self);
}

void entry_dealloc(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    Py_XDECREF(as_entry(self)->command);
    type->tp_free(self);
    Py_DECREF(type);
}

PyObject* entry_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
    static const char* names[] = {"index", "time_ns", "command", nullptr};
    long long index = 0, time_ns = 0;
    PyObject* command = nullptr;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "LLS:Entry", const_cast<char**>(names), &index, &time_ns, &command))
        return nullptr;
    PyObject* self = type->tp_alloc(type, 0);
    if (self == nullptr) return nullptr;
    as_entry(self)->index = index;
    as_entry(self)->time_ns = time_ns;
    as_entry(self)->command = Py_NewRef(command);
    return self;
}

PyObject* entry_repr(PyObject* self) {
    const EntryObject* entry = as_entry(self);
    return PyUnicode_FromFormat("Entry(index=%lld, time_ns=%lld, command=%R)", entry->index, entry->time_ns,
                                entry->command);
}

PyObject* entry_reduce(PyObject* self, PyObject*) {
    const EntryObject* entry = as_entry(self);
    return Py_BuildValue("O(LLO)", Py_TYPE(self), entry->index, entry->time_ns, entry->command);
}

PyObject* entry_compare(PyObject* a, PyObject* b, int operation) {
    if ((operation != Py_EQ && operation != Py_NE) || !Py_IS_TYPE(b, Py_TYPE(a))) Py_RETURN_NOTIMPLEMENTED;
    const EntryObject *x = as_entry(a), *y = as_entry(b);
    int equal = x->index == y->index && x->time_ns == y->time_ns;
    if (equal) equal = PyObject_RichCompareBool(x->command, y->command, Py_EQ);
    if (equal < 0) return nullptr;
    return PyBool_FromLong(operation == Py_EQ ? equal : !equal);
}

Py_hash_t entry_hash(PyObject* self) {
    const EntryObject* entry = as_entry(self);
    const Py_hash_t command = PyObject_Hash(entry->command);
    if (command == -1) return -1;
    const Py_hash_t hash =
        command ^ static_cast<Py_hash_t>(entry->index * 1'000'003) ^ static_cast<Py_hash_t>(entry->time_ns);
    return hash == -1 ? -2 : hash;
}

PyMemberDef entry_members[] = {
    {"index", T_LONGLONG, offsetof(EntryObject, index), READONLY,
     "Commands applied so far, this one included; counts from 1."},
    {"time_ns", T_LONGLONG, offsetof(EntryObject, time_ns), READONLY,
     "The log's time at this command; never decreases."},
    {"command", T_OBJECT_EX, offsetof(EntryObject, command), READONLY, "The bytes that were proposed."},
    {nullptr, 0, 0, 0, nullptr},
};
PyMethodDef entry_methods[] = {
    {"__reduce__", entry_reduce, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};
const char* const entry_doc =
    "Entry(index, time_ns, command)\n--\n\nA committed command, as a state machine's apply gets it; immutable.";
PyType_Slot entry_slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(entry_dealloc)},
    {Py_tp_new, reinterpret_cast<void*>(entry_new)},
    {Py_tp_repr, reinterpret_cast<void*>(entry_repr)},
    {Py_tp_richcompare, reinterpret_cast<void*>(entry_compare)},
    {Py_tp_hash, reinterpret_cast<void*>(entry_hash)},
    {Py_tp_members, entry_members},
    {Py_tp_methods, entry_methods},
    {Py_tp_doc, const_cast<char*>(entry_doc)},
    {0, nullptr},
};
PyType_Spec entry_spec = {"fastmas._core.consensus.Entry", sizeof(EntryObject), 0,
                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, entry_slots};

py::object optional_method(const py::object& object, const char* name) {
    py::object method = py::getattr(object, name, py::none());
    return PyCallable_Check(method.ptr()) != 0 ? method : py::object();
}

// `bytes` is known to be a bytes object
std::span<const std::byte> as_span(const py::object& bytes) {
    return std::as_bytes(
        std::span(PyBytes_AS_STRING(bytes.ptr()), static_cast<std::size_t>(PyBytes_GET_SIZE(bytes.ptr()))));
}

std::string type_name(const py::object& object) {
    return py::str(py::type::of(object).attr("__name__"));
}

py::object errors() {
    return py::module_::import("fastmas.errors");
}

consensus::Result broken(const std::string& text) {
    return {consensus::ResultStatus::broken, consensus::Payload(std::string_view(text))};
}
consensus::Result broken(const py::error_already_set& error) {
    return broken(std::string(py::str(error.type().attr("__name__"))) + ": " + std::string(py::str(error.value())));
}

}  // namespace

PyTypeObject* entry_type() {
    // one for the process; the module keeps a reference, so it outlives every entry
    static PyTypeObject* type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&entry_spec));
    if (type == nullptr) throw py::error_already_set();
    return type;
}

py::bytes to_bytes(const consensus::Payload& payload) {
    return py::bytes(payload.text().data(), payload.size());
}

py::object make_entry(const consensus::Command& command) {
    PyTypeObject* type = entry_type();
    PyObject* bytes = PyBytes_FromStringAndSize(reinterpret_cast<const char*>(command.bytes.data()),
                                                static_cast<Py_ssize_t>(command.bytes.size()));
    PyObject* self = bytes == nullptr ? nullptr : type->tp_alloc(type, 0);
    if (self == nullptr) {
        Py_XDECREF(bytes);
        throw py::error_already_set();
    }
    as_entry(self)->index = static_cast<long long>(command.index);
    as_entry(self)->time_ns = command.time_ns;
    as_entry(self)->command = bytes;
    return py::reinterpret_steal<py::object>(self);
}

PythonMachine::PythonMachine(py::object machine, consensus::NodeId node) : machine_(std::move(machine)) {
    apply_ = optional_method(machine_, "apply");
    if (!apply_)
        throw base::ConfigError("a state machine needs apply(entry), got " + type_name(machine_) + " for node " +
                                std::to_string(node) + "; add def apply(self, entry) -> bytes");
    digest_ = optional_method(machine_, "digest");
    snapshot_ = optional_method(machine_, "snapshot");
    restore_ = optional_method(machine_, "restore");
}

consensus::Result PythonMachine::apply(const consensus::Command& command) {
    const py::object entry = make_entry(command);
    PyObject* const answer = PyObject_CallOneArg(apply_.ptr(), entry.ptr());
    if (answer == nullptr) {
        const py::error_already_set error;
        if (!error.matches(PyExc_Exception)) throw error;
        if (error.matches(errors().attr("InvariantError")) || error.matches(PyExc_MemoryError)) return broken(error);
        return with_digest({consensus::ResultStatus::rejected, encode_rejection(error)});
    }
    const auto reply = py::reinterpret_steal<py::object>(answer);
    if (reply.is_none()) return with_digest({});
    if (PyBytes_Check(reply.ptr()) == 0)
        return broken("apply must return bytes or None, got " + type_name(reply) + "; encode the reply");
    return with_digest({consensus::ResultStatus::applied, consensus::Payload(as_span(reply))});
}

consensus::Result PythonMachine::with_digest(consensus::Result result) {
    if (!digest_) return result;
    PyObject* const answer = PyObject_CallNoArgs(digest_.ptr());
    if (answer == nullptr) {
        const py::error_already_set error;
        if (!error.matches(PyExc_Exception)) throw error;
        return broken(error);
    }
    const auto value = py::reinterpret_steal<py::object>(answer);
    if (PyBytes_Check(value.ptr()) == 0)
        return broken("digest must return bytes, got " + type_name(value) + "; return a hash of the state");
    digest_value_ = consensus::hash_bytes(as_span(value), 2);
    return result;
}

consensus::Payload PythonMachine::snapshot() {
    const py::object value = snapshot_();
    if (PyBytes_Check(value.ptr()) == 0)
        throw base::ConfigError("snapshot must return bytes, got " + type_name(value) + "; encode the state");
    return consensus::Payload(as_span(value));
}

void PythonMachine::restore(std::span<const std::byte> state) {
    restore_(py::bytes(reinterpret_cast<const char*>(state.data()), state.size()));
}

consensus::Payload encode_rejection(const py::error_already_set& error) {
    const py::object type = error.type();
    const std::string name = py::str(type.attr("__name__"));
    const std::string text = py::str(error.value());
    // the name has no zero byte in it, so that the first one ends it
    return consensus::Payload(std::string_view(name + '\0' + text));
}

py::object decode_rejection(const consensus::Payload& payload) {
    const std::string_view bytes = payload.text();
    const std::size_t end = bytes.find('\0');
    const std::string name(bytes.substr(0, end));
    const std::string text(end == std::string_view::npos ? std::string_view() : bytes.substr(end + 1));
    const py::object known = py::getattr(errors(), name.c_str(), py::none());
    const py::object base = errors().attr("FastmasError");
    if (PyType_Check(known.ptr()) != 0 && PyObject_IsSubclass(known.ptr(), base.ptr()) == 1) return known(text);
    return base("the command was rejected by every replica: " + name + ": " + text);
}

}  // namespace fastmas::bindings
