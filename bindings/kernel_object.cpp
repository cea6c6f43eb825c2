// The Python type Kernel: reads arguments, calls the kernel, gives back results.
#include "kernel_object.hpp"

#include <pybind11/pybind11.h>

#include <memory>

#include "call_arguments.hpp"
#include "kernel.hpp"
#include "python_errors.hpp"

namespace fastmas::bindings {

namespace py = pybind11;

namespace {

struct KernelObject {
    PyObject_HEAD Kernel* kernel;
};

PyTypeObject* kernel_type = nullptr;

Kernel& kernel_of(PyObject* self) {
    return *reinterpret_cast<KernelObject*>(self)->kernel;
}

PyObject* make(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
    static const char* const names[] = {"audit", "seed"};
    static const Parameters parameters{"Kernel", names, 2, 0, 1};
    PyObject* given[2];
    std::uint64_t seed = 0;
    if (!match_arguments(parameters, args, kwargs, given)) return nullptr;
    if (given[1] != nullptr && !to_u64(given[1], "seed", &seed)) return nullptr;
    try {
        auto kernel = std::make_unique<Kernel>(seed);
        if (given[0] != nullptr && given[0] != Py_None && !kernel->set_audit(given[0])) return nullptr;
        PyObject* self = type->tp_alloc(type, 0);
        if (self != nullptr) reinterpret_cast<KernelObject*>(self)->kernel = kernel.release();
        return self;
    } catch (...) {
        return raise_current_exception();
    }
}

int traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    const Kernel* kernel = reinterpret_cast<KernelObject*>(self)->kernel;
    return kernel == nullptr ? 0 : kernel->traverse(visit, arg);
}

int clear(PyObject* self) {
    if (Kernel* kernel = reinterpret_cast<KernelObject*>(self)->kernel) kernel->clear();
    return 0;
}

void dealloc(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    delete reinterpret_cast<KernelObject*>(self)->kernel;
    type->tp_free(self);
    Py_DECREF(type);
}

// A tuple of classes; nothing given or None leaves `types` empty.
bool read_types(PyObject* object, const char* what, std::vector<PyTypeObject*>* types) {
    if (object == nullptr || object == Py_None) return true;
    bool right = PyTuple_Check(object) && PyTuple_GET_SIZE(object) > 0;
    for (Py_ssize_t i = 0; right && i < PyTuple_GET_SIZE(object); ++i) {
        right = PyType_Check(PyTuple_GET_ITEM(object, i));
        types->push_back(reinterpret_cast<PyTypeObject*>(PyTuple_GET_ITEM(object, i)));
    }
    if (!right)
        raise("ConfigError", "%s must be a tuple of one or more message types, or None for all, got %R", what, object);
    return right;
}

bool read_callable(PyObject* object, const char* what, PyObject** out) {
    if (object == nullptr || object == Py_None) return true;
    *out = object;
    if (PyCallable_Check(object)) return true;
    raise("ConfigError", "%s must be callable or None, got %R", what, object);
    return false;
}

bool read_mode(PyObject* object, Mode* mode) {
    if (object == nullptr) return true;
    static constexpr const char* kNames[] = {"each", "slice", "join"};
    for (int i = 0; i < 3; ++i) {
        *mode = static_cast<Mode>(i);
        if (PyUnicode_Check(object) && PyUnicode_CompareWithASCIIString(object, kNames[i]) == 0) return true;
    }
    raise("ConfigError", "mode must be 'each', 'slice' or 'join', got %R", object);
    return false;
}

bool read_latency(PyObject* object, market::LatencyModel* latency) {
    if (object == nullptr) return true;
    if (py::isinstance<market::LatencyModel>(py::handle(object))) {
        *latency = py::handle(object).cast<market::LatencyModel>();
        return true;
    }
    std::int64_t ns = 0;
    if (PyIndex_Check(object)) {
        if (!to_i64(object, "latency", &ns)) return false;
        *latency = market::LatencyModel::constant(ns);
        return true;
    }
    raise("ConfigError", "latency must be an integer of ns or a LatencyModel, got %R", object);
    return false;
}

bool read_name(PyObject* object, std::string* name) {
    Py_ssize_t size = 0;
    const char* text = PyUnicode_Check(object) ? PyUnicode_AsUTF8AndSize(object, &size) : nullptr;
    if (text != nullptr && size > 0) {
        name->assign(text, static_cast<std::size_t>(size));
        return true;
    }
    PyErr_Clear();
    raise("ConfigError", "a node's name must be a str that is not empty, got %R", object);
    return false;
}

bool read_rank(PyObject* object, std::uint32_t* rank) {
    if (!to_u32(object, "rank", rank)) return false;
    if (*rank < market::EventQueue::kMaxRank) return true;  // one less: rank 0 of the queue belongs to the feeds
    raise("ConfigError", "rank must be an integer from 0 to 65534, got %u", *rank);
    return false;
}

PyObject* add_node(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    enum { kName, kHandler, kRank, kMode, kContext, kLatency, kOnWakeup, kEmits, kCount };
    static const char* const names[] = {"name", "handler", "rank", "mode", "context", "latency", "on_wakeup", "emits"};
    static const Parameters parameters{"add_node", names, kCount, 3, 2};
    PyObject* given[kCount];
    if (!match_arguments(parameters, args, nargs, kwnames, given)) return nullptr;
    try {
        Node node;
        market::LatencyModel latency;
        if (!read_name(given[kName], &node.name) || !read_rank(given[kRank], &node.rank) ||
            !read_mode(given[kMode], &node.mode) || !read_latency(given[kLatency], &latency) ||
            !read_callable(given[kHandler], "handler", &node.handler) ||
            !read_callable(given[kOnWakeup], "on_wakeup", &node.on_wakeup) ||
            !read_types(given[kEmits], "emits", &node.emits))
            return nullptr;
        node.emits_anything = node.emits.empty();
        PyObject* context = given[kContext];
        if (context == Py_None) context = nullptr;
        if (context != nullptr && !is_context(context))
            return raise("ConfigError", "context must be a Context or None, got %R", context);
        node.context =
            context != nullptr ? Py_NewRef(context) : PyObject_CallNoArgs(reinterpret_cast<PyObject*>(context_type));
        if (node.context == nullptr) return nullptr;
        PyObject* const made = node.context;
        const Node owned = node;  // the pointers, for the references that the kernel has taken over if it took the node
        std::uint32_t index = 0;
        if (!kernel_of(self).add_node(std::move(node), latency, &index)) {
            Py_DECREF(made);
            return nullptr;
        }
        Py_XINCREF(owned.handler);
        Py_XINCREF(owned.on_wakeup);
        for (PyTypeObject* type : owned.emits) Py_INCREF(type);
        return PyLong_FromUnsignedLong(index);
    } catch (...) {
        return raise_current_exception();
    }
}

PyObject* subscribe(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    static const char* const names[] = {"target", "source", "types"};
    static const Parameters parameters{"subscribe", names, 3, 2, 3};
    PyObject* given[3];
    if (!match_arguments(parameters, args, nargs, kwnames, given)) return nullptr;
    try {
        std::vector<PyTypeObject*> types;
        if (!read_types(given[2], "types", &types)) return nullptr;
        if (!kernel_of(self).subscribe(given[0], given[1], std::move(types))) return nullptr;
        Py_RETURN_NONE;
    } catch (...) {
        return raise_current_exception();
    }
}

PyObject* add_feed(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    static const char* const names[] = {"node", "rows", "record_type"};
    static const Parameters parameters{"add_feed", names, 3, 3, 3};
    PyObject* given[3];
    if (!match_arguments(parameters, args, nargs, kwnames, given)) return nullptr;
    try {
        if (!kernel_of(self).add_feed(given[0], given[1], given[2])) return nullptr;
        Py_RETURN_NONE;
    } catch (...) {
        return raise_current_exception();
    }
}

bool read_causes(PyObject* object, std::vector<std::uint64_t>* causes) {
    if (object == nullptr) return true;
    PyObject* items = PySequence_Fast(object, "causes must be an iterable of message ids");
    if (items == nullptr) return false;
    bool right = true;
    for (Py_ssize_t i = 0; right && i < PySequence_Fast_GET_SIZE(items); ++i)
        right = to_u64(PySequence_Fast_GET_ITEM(items, i), "a cause", &causes->emplace_back());
    Py_DECREF(items);
    return right;
}

PyObject* post(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    static const char* const names[] = {"node", "message", "at_ns", "causes", "origin"};
    static const Parameters parameters{"post", names, 5, 2, 2};
    PyObject* given[5];
    if (!match_arguments(parameters, args, nargs, kwnames, given)) return nullptr;
    try {
        Kernel& kernel = kernel_of(self);
        std::uint32_t node = 0;
        std::uint64_t origin = 0;
        std::optional<std::int64_t> at_ns;
        std::vector<std::uint64_t> causes;
        if (!kernel.node_index(given[0], "node", &node) || !read_causes(given[3], &causes)) return nullptr;
        if (given[2] != nullptr && given[2] != Py_None && !to_i64(given[2], "at_ns", &at_ns.emplace())) return nullptr;
        if (given[4] != nullptr && given[4] != Py_None && !to_u64(given[4], "origin", &origin)) return nullptr;
        const auto id = kernel.post(node, given[1], at_ns, causes, origin);
        return id ? PyLong_FromUnsignedLongLong(*id) : nullptr;
    } catch (...) {
        return raise_current_exception();
    }
}

PyObject* run(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    static const char* const names[] = {"until_ns"};
    static const Parameters parameters{"run", names, 1, 0, 1};
    PyObject* given[1];
    std::int64_t until_ns = INT64_MAX;
    if (!match_arguments(parameters, args, nargs, kwnames, given)) return nullptr;
    if (given[0] != nullptr && given[0] != Py_None && !to_i64(given[0], "until_ns", &until_ns)) return nullptr;
    try {
        const auto calls = kernel_of(self).run(until_ns);
        return calls ? PyLong_FromUnsignedLongLong(*calls) : nullptr;
    } catch (...) {
        return raise_current_exception();
    }
}

PyObject* stats(PyObject* self, PyObject*) {
    try {
        const Kernel& kernel = kernel_of(self);
        const double ns_per_tick = kernel.ns_per_tick();
        py::dict all;
        for (const Node& node : kernel.nodes()) {
            const auto ns = [&](std::uint64_t ticks) { return static_cast<double>(ticks) * ns_per_tick; };
            py::dict one;
            one["calls"] = node.ticks.count();
            one["received"] = node.received;
            one["emitted"] = node.emitted;
            one["total_ns"] = ns(node.ticks.total());
            one["p50_ns"] = ns(node.ticks.quantile(0.50));
            one["p99_ns"] = ns(node.ticks.quantile(0.99));
            one["p999_ns"] = ns(node.ticks.quantile(0.999));
            one["max_ns"] = ns(node.ticks.max());
            all[py::str(node.name)] = one;
        }
        return all.release().ptr();
    } catch (...) {
        return raise_current_exception();
    }
}

PyObject* tuple_of(std::span<const std::uint64_t> ids) {
    PyObject* tuple = PyTuple_New(static_cast<Py_ssize_t>(ids.size()));
    for (std::size_t i = 0; tuple != nullptr && i < ids.size(); ++i) {
        PyObject* id = PyLong_FromUnsignedLongLong(ids[i]);
        if (id == nullptr)
            Py_CLEAR(tuple);
        else
            PyTuple_SET_ITEM(tuple, static_cast<Py_ssize_t>(i), id);
    }
    return tuple;
}

PyObject* get_now_ns(PyObject* self, void*) {
    return PyLong_FromLongLong(kernel_of(self).now_ns());
}
PyObject* get_inputs(PyObject* self, void*) {
    return tuple_of(kernel_of(self).inputs());
}
PyObject* get_last_ids(PyObject* self, void*) {
    return tuple_of(kernel_of(self).last_ids());
}
PyObject* get_pending(PyObject* self, void*) {
    return PyLong_FromSize_t(kernel_of(self).pending());
}
PyObject* get_origin(PyObject* self, void*) {
    const std::uint64_t origin = kernel_of(self).origin_id();
    if (origin == 0) Py_RETURN_NONE;
    return PyLong_FromUnsignedLongLong(origin);
}

PyGetSetDef getters[] = {
    {"now_ns", get_now_ns, nullptr, "Virtual time: that of the last event handled, 0 before the first.", nullptr},
    {"inputs", get_inputs, nullptr, "Ids of the messages the running handler was called with; empty outside a call.",
     nullptr},
    {"origin", get_origin, nullptr,
     "Id of the feed's slice (or post, or wakeup) that led to the running call; None outside.", nullptr},
    {"last_ids", get_last_ids, nullptr,
     "Ids of what the handler call before this moment returned, a batch by its first row.", nullptr},
    {"pending", get_pending, nullptr, "How many events wait in the queue.", nullptr},
    {}};

PyMethodDef methods[] = {
    {"add_node", as_method(add_node), METH_FASTCALL | METH_KEYWORDS,
     "add_node($self, /, name, handler, *, rank, mode='each', context=None, latency=0, on_wakeup=None, "
     "emits=None)\n--\n\n"
     "Add somebody who is called with messages and returns messages; gives the number by which the others know it."},
    {"subscribe", as_method(subscribe), METH_FASTCALL | METH_KEYWORDS,
     "subscribe($self, /, target, source, types=None)\n--\n\nDeliver to node `target` what node `source` emits."},
    {"add_feed", as_method(add_feed), METH_FASTCALL | METH_KEYWORDS,
     "add_feed($self, /, node, rows, record_type)\n--\n\n"
     "Let `node` emit the rows of an array sorted by ts_ns; rows of one ts_ns make one batch."},
    {"post", as_method(post), METH_FASTCALL | METH_KEYWORDS,
     "post($self, /, node, message, *, at_ns=None, causes=(), origin=None)\n--\n\n"
     "Send a message as if `node` had emitted it, to leave at `at_ns`; gives its id."},
    {"run", as_method(run), METH_FASTCALL | METH_KEYWORDS,
     "run($self, /, until_ns=None)\n--\n\nHandle all events up to and including `until_ns`; gives the number of "
     "handler calls."},
    {"stats", stats, METH_NOARGS,
     "stats($self, /)\n--\n\nPer node: calls, messages received and emitted, and wall time in its handler."},
    {}};

PyType_Slot slots[] = {
    {Py_tp_doc,
     const_cast<char*>("Kernel(audit=None, *, seed=0)\n--\n\nA deterministic discrete-event kernel: calls nodes in "
                       "the order of (time, rank, sequence).")},
    {Py_tp_new, as_slot(make)},
    {Py_tp_dealloc, as_slot(dealloc)},
    {Py_tp_traverse, as_slot(traverse)},
    {Py_tp_clear, as_slot(clear)},
    {Py_tp_getset, getters},
    {Py_tp_methods, methods},
    {0, nullptr}};

PyType_Spec spec{"fastmas._core.kernel.Kernel", sizeof(KernelObject), 0,
                 Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE, slots};

}  // namespace

void register_kernel_object(PyObject* module) {
    PyObject* type = PyType_FromSpec(&spec);
    if (type == nullptr) throw py::error_already_set();
    kernel_type = reinterpret_cast<PyTypeObject*>(type);
    if (PyModule_AddType(module, kernel_type) < 0) throw py::error_already_set();
}

}  // namespace fastmas::bindings
