#include "context_object.hpp"

#include <pybind11/pybind11.h>

#include "call_arguments.hpp"

namespace fastmas::bindings {

PyTypeObject* context_type = nullptr;

namespace {

// Takes whatever it is given: a derived class has an __init__ of its own, and what that does not take, init() refuses.
PyObject* make(PyTypeObject* type, PyObject*, PyObject*) {
    PyObject* self = type->tp_alloc(type, 0);
    if (self != nullptr) reinterpret_cast<ContextObject*>(self)->now_ns = 0;
    return self;
}

int init(PyObject* self, PyObject* args, PyObject* kwargs) {
    static const char* const names[] = {"now_ns"};
    static const Parameters parameters{"Context", names, 1, 0, 1};
    PyObject* given[1];
    if (!match_arguments(parameters, args, kwargs, given)) return -1;
    if (given[0] == nullptr) return 0;
    return to_i64(given[0], "now_ns", &reinterpret_cast<ContextObject*>(self)->now_ns) ? 0 : -1;
}

void dealloc(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

PyObject* get_now_ns(PyObject* self, void*) {
    return PyLong_FromLongLong(reinterpret_cast<ContextObject*>(self)->now_ns);
}

PyGetSetDef getters[] = {{"now_ns", get_now_ns, nullptr,
                          "Time of the message being handled, in ns since 1970 UTC; never the wall clock.", nullptr},
                         {}};

PyType_Slot slots[] = {{Py_tp_doc, const_cast<char*>("Context(now_ns=0)\n--\n\nWhat a handler is told of the time it "
                                                     "acts at; the kernel sets now_ns before each call.")},
                       {Py_tp_new, as_slot(make)},
                       {Py_tp_init, as_slot(init)},
                       {Py_tp_dealloc, as_slot(dealloc)},
                       {Py_tp_getset, getters},
                       {0, nullptr}};

PyType_Spec spec{"fastmas._core.kernel.Context", sizeof(ContextObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
                 slots};

}  // namespace

void register_context(PyObject* module) {
    PyObject* type = PyType_FromSpec(&spec);
    if (type == nullptr) throw pybind11::error_already_set();
    context_type = reinterpret_cast<PyTypeObject*>(type);
    if (PyModule_AddType(module, context_type) < 0) throw pybind11::error_already_set();
}

}  // namespace fastmas::bindings
