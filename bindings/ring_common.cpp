#include "ring_common.hpp"

#include <cstring>

#include "python_errors.hpp"
#include "ring_arguments.hpp"

namespace fastmas::bindings {
namespace {

const RingEnd& end_of(PyObject* self) {
    return *as_ring(self)->end;
}

const char* short_name(const char* qualified) {
    return std::strrchr(qualified, '.') + 1;
}

}  // namespace

PyTypeObject* add_ring_type(PyObject* module, const RingType& type) {
    PyType_Slot slots[] = {
        {Py_tp_doc, const_cast<char*>(type.doc)},
        {Py_tp_dealloc, as_slot(type.dealloc)},
        {Py_tp_traverse, as_slot(type.traverse)},
        {Py_tp_repr, as_slot(type.repr)},
        {Py_tp_methods, type.methods},
        {Py_tp_getset, type.properties},
        {type.construct == nullptr ? 0 : Py_tp_new, as_slot(type.construct)},
        {0, nullptr},
    };
    const unsigned long none_from_python = type.construct == nullptr ? Py_TPFLAGS_DISALLOW_INSTANTIATION : 0;
    PyType_Spec spec = {
        type.name, static_cast<int>(type.bytes), 0,
        static_cast<unsigned>(Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE | none_from_python),
        slots};
    PyObject* made = PyType_FromSpec(&spec);
    if (made == nullptr || PyModule_AddObjectRef(module, short_name(type.name), made) < 0) Py_CLEAR(made);
    return reinterpret_cast<PyTypeObject*>(made);
}

PyObject* ring_close(PyObject* self, PyObject*) {
    RingEnd& end = *as_ring(self)->end;
    // Another process could take the role, and fill or read the slots that a block here still reaches.
    for (const Side side : {Side::producer, Side::consumer})
        if (end.lends_to_a_block(side)) return end.refuse(side);
    end.close();
    Py_RETURN_NONE;
}

PyObject* ring_enter(PyObject* self, PyObject*) {
    return Py_NewRef(self);
}

PyObject* ring_exit(PyObject* self, PyObject* const*, Py_ssize_t) {
    return ring_close(self, nullptr);
}

PyObject* ring_unlink(PyObject*, PyObject* name) {
    std::string text;
    if (!read_name(name, &text)) return nullptr;
    try {
        return PyBool_FromLong(ringbuffer::Segment::unlink(text));
    } catch (...) {
        return raise_current_exception();
    }
}

PyObject* ring_get_name(PyObject* self, void*) {
    const RingEnd& end = end_of(self);
    if (!end.shared()) Py_RETURN_NONE;
    return PyUnicode_FromString(end.memory()->segment()->name().c_str());
}

PyObject* ring_get_role(PyObject* self, void*) {
    const RingEnd& end = end_of(self);
    if (!end.shared()) return PyUnicode_FromString("both");
    return PyUnicode_FromString(end.role() ? name_of(end.role()->side()) : "observer");
}

PyObject* ring_get_closed(PyObject* self, void*) {
    return PyBool_FromLong(!end_of(self).open());
}
PyObject* ring_get_capacity(PyObject* self, void*) {
    return PyLong_FromLongLong(end_of(self).memory()->spec().shape.capacity);
}
PyObject* ring_get_dtype(PyObject* self, void*) {
    return Py_NewRef(end_of(self).format.dtype);
}
PyObject* ring_get_record_type(PyObject* self, void*) {
    auto* type = reinterpret_cast<PyObject*>(end_of(self).format.record_type);
    return Py_NewRef(type != nullptr ? type : Py_None);
}
PyObject* ring_get_layout(PyObject* self, void*) {
    return PyUnicode_FromString(name_of(end_of(self).memory()->spec().slots));
}
PyObject* ring_get_wait(PyObject* self, void*) {
    return PyUnicode_FromString(name_of(end_of(self).waiting.strategy));
}
PyObject* ring_get_overflow(PyObject* self, void*) {
    return PyUnicode_FromString(name_of(end_of(self).memory()->spec().overflow));
}
PyObject* ring_get_dropped(PyObject* self, void*) {
    // [R2 relaxed] a count to show
    return PyLong_FromLongLong(end_of(self).header->dropped.load(std::memory_order_relaxed));
}

PyObject* ring_get_peer_state(PyObject* self, void*) {
    return PyUnicode_FromString(name_of(end_of(self).peer_state()));
}
PyObject* ring_get_peer_alive(PyObject* self, void*) {
    return PyBool_FromLong(end_of(self).peer_state() == ringbuffer::RoleState::alive);
}

PyObject* ring_repr(PyObject* self) {
    const RingEnd& end = end_of(self);
    const char* const type_name = short_name(Py_TYPE(self)->tp_name);
    PyObject* held = end.format.description();
    if (held == nullptr) return nullptr;
    const auto capacity = static_cast<long long>(end.memory()->spec().shape.capacity);
    PyObject* text = nullptr;
    if (end.shared())
        text = PyUnicode_FromFormat("<%s '%s' of %U, capacity %lld, %s>", type_name,
                                    end.memory()->segment()->name().c_str(), held, capacity,
                                    !end.open()  ? "closed"
                                    : end.role() ? name_of(end.role()->side())
                                                 : "observer");
    else
        text = PyUnicode_FromFormat("%s(%U, capacity=%lld)", type_name, held, capacity);
    Py_DECREF(held);
    return text;
}

}  // namespace fastmas::bindings
