#include "message_objects.hpp"

#include <pybind11/pybind11.h>

#include "message_methods.hpp"

namespace fastmas::bindings {

bool encode_message(PyObject* object, std::string& out) {
    const PyTypeObject* type = Py_TYPE(object);
    if (type == observation_type) return encode_observation(reinterpret_cast<const ObservationObject*>(object), out);
    if (type == intent_type) {
        encode_intent(reinterpret_cast<const IntentObject*>(object), out);
        return true;
    }
    if (type != committed_type) return false;
    encode_committed(reinterpret_cast<const CommittedObject*>(object), out);
    return true;
}

PyObject* construct_from_tuple(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
    // Calling the type again would land here for ever if the vectorcall were missing; it is set right after creation.
    return PyVectorcall_Call(reinterpret_cast<PyObject*>(type), args, kwargs);
}

PyTypeObject* add_message_type(PyObject* module, PyType_Spec* spec, vectorcallfunc construct) {
    PyObject* type = PyType_FromSpec(spec);
    if (type == nullptr) throw pybind11::error_already_set();
    // There is no slot for it before CPython 3.14; heap types may set it directly.
    reinterpret_cast<PyTypeObject*>(type)->tp_vectorcall = construct;
    if (PyModule_AddType(module, reinterpret_cast<PyTypeObject*>(type)) < 0) {
        Py_DECREF(type);
        throw pybind11::error_already_set();
    }
    return reinterpret_cast<PyTypeObject*>(type);  // our reference is kept for ever
}

void register_message_objects(PyObject* module) {
    register_observation(module);
    register_intent(module);
}

}  // namespace fastmas::bindings
