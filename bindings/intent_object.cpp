// Intent: target holdings as one atomic basket. Committed: an intent with its place in the log.
#include <algorithm>
#include <vector>

#include "message_methods.hpp"

namespace fastmas::bindings {

PyTypeObject* intent_type = nullptr;
PyTypeObject* committed_type = nullptr;

namespace {

const IntentObject* as_intent(PyObject* self) {
    return reinterpret_cast<const IntentObject*>(self);
}
const CommittedObject* as_committed(PyObject* self) {
    return reinterpret_cast<const CommittedObject*>(self);
}

std::span<const Target> targets_of(const IntentObject* self) {
    return {self->targets, static_cast<std::size_t>(Py_SIZE(self))};
}

bool read_target(PyObject* instrument, PyObject* lots, std::vector<Target>& out) {
    Target target{};
    if (!to_u32(instrument, "an instrument in an intent", &target.instrument)) return false;
    if (!to_i64(lots, "the lots of a target", &target.lots)) return false;
    out.push_back(target);
    return true;
}

// Reads any mapping; numpy integers are fine, floats are refused: an intent is quantised before it is made.
bool read_targets(PyObject* mapping, std::vector<Target>& out) {
    if (!PyMapping_Check(mapping) || !PyObject_HasAttrString(mapping, "items")) {
        raise("ConfigError", "the targets of an intent must be a mapping of instruments to lots, got %R", mapping);
        return false;
    }
    PyObject* items = PyMapping_Items(mapping);  // a list of its own: nothing the reading runs can change it
    if (items == nullptr) return false;
    out.reserve(static_cast<std::size_t>(PyList_GET_SIZE(items)));
    bool done = true;
    for (Py_ssize_t i = 0; done && i < PyList_GET_SIZE(items); ++i) {
        PyObject* item = PyList_GET_ITEM(items, i);
        done = PyTuple_Check(item) && PyTuple_GET_SIZE(item) == 2 &&
               read_target(PyTuple_GET_ITEM(item, 0), PyTuple_GET_ITEM(item, 1), out);
    }
    Py_DECREF(items);
    if (!done) return false;
    std::sort(out.begin(), out.end(), [](const Target& a, const Target& b) { return a.instrument < b.instrument; });
    const auto twice = std::adjacent_find(
        out.begin(), out.end(), [](const Target& a, const Target& b) { return a.instrument == b.instrument; });
    if (twice == out.end()) return true;
    raise("ConfigError", "an intent must name each instrument once, got instrument %u twice", twice->instrument);
    return false;
}

PyObject* construct_intent(PyObject*, PyObject* const* args, std::size_t nargsf, PyObject* kwnames) {
    static const char* const names[] = {"ts_ns", "targets", "valid_until_ns"};
    static const Parameters parameters{"Intent", names, 3, 2, 3};
    PyObject* given[3];
    std::int64_t ts_ns = 0, valid_until_ns = 0;
    if (!match_arguments(parameters, args, PyVectorcall_NARGS(nargsf), kwnames, given)) return nullptr;
    if (!to_i64(given[0], "ts_ns", &ts_ns)) return nullptr;
    if (given[2] != nullptr && !to_i64(given[2], "valid_until_ns", &valid_until_ns)) return nullptr;
    try {
        std::vector<Target> targets;
        if (!read_targets(given[1], targets)) return nullptr;
        return make_intent(ts_ns, valid_until_ns, targets);
    } catch (...) {
        return raise_current_exception();
    }
}

void dealloc_intent(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    Py_XDECREF(reinterpret_cast<IntentObject*>(self)->mapping);
    type->tp_free(self);
    Py_DECREF(type);
}

PyObject* get_intent_ts_ns(PyObject* self, void*) {
    return PyLong_FromLongLong(as_intent(self)->ts_ns);
}
PyObject* get_valid_until_ns(PyObject* self, void*) {
    return PyLong_FromLongLong(as_intent(self)->valid_until_ns);
}

PyObject* get_targets(PyObject* self, void*) {
    auto* intent = reinterpret_cast<IntentObject*>(self);
    if (intent->mapping != nullptr) return Py_NewRef(intent->mapping);
    PyObject* dict = PyDict_New();
    if (dict == nullptr) return nullptr;
    for (const Target& target : targets_of(intent)) {
        PyObject* key = PyLong_FromUnsignedLong(target.instrument);
        PyObject* value = PyLong_FromLongLong(target.lots);
        const bool done = key != nullptr && value != nullptr && PyDict_SetItem(dict, key, value) == 0;
        Py_XDECREF(key);
        Py_XDECREF(value);
        if (!done) {
            Py_DECREF(dict);
            return nullptr;
        }
    }
    intent->mapping = PyDictProxy_New(dict);
    Py_DECREF(dict);
    return Py_XNewRef(intent->mapping);
}

PyObject* repr_intent(PyObject* self) {
    PyObject* targets = get_targets(self, nullptr);
    if (targets == nullptr) return nullptr;
    PyObject* dict = PyObject_CallMethod(targets, "copy", nullptr);
    Py_DECREF(targets);
    if (dict == nullptr) return nullptr;
    PyObject* text = PyUnicode_FromFormat("Intent(ts_ns=%lld, targets=%R, valid_until_ns=%lld)",
                                          static_cast<long long>(as_intent(self)->ts_ns), dict,
                                          static_cast<long long>(as_intent(self)->valid_until_ns));
    Py_DECREF(dict);
    return text;
}

PyObject* construct_committed(PyObject*, PyObject* const* args, std::size_t nargsf, PyObject* kwnames) {
    static const char* const names[] = {"index", "time_ns", "intent"};
    static const Parameters parameters{"Committed", names, 3, 3, 3};
    PyObject* given[3];
    std::uint64_t index = 0;
    std::int64_t time_ns = 0;
    if (!match_arguments(parameters, args, PyVectorcall_NARGS(nargsf), kwnames, given)) return nullptr;
    if (!to_u64(given[0], "index", &index) || !to_i64(given[1], "time_ns", &time_ns)) return nullptr;
    if (index == 0) return raise("ConfigError", "the index of a committed intent counts from 1, got 0");
    if (Py_TYPE(given[2]) != intent_type)
        return raise("ConfigError", "what is committed must be an Intent, got %R", given[2]);
    return make_committed(index, time_ns, given[2]);
}

void dealloc_committed(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    Py_DECREF(reinterpret_cast<CommittedObject*>(self)->intent);
    type->tp_free(self);
    Py_DECREF(type);
}

PyObject* get_index(PyObject* self, void*) {
    return PyLong_FromUnsignedLongLong(as_committed(self)->index);
}
PyObject* get_time_ns(PyObject* self, void*) {
    return PyLong_FromLongLong(as_committed(self)->time_ns);
}
PyObject* get_intent(PyObject* self, void*) {
    return Py_NewRef(reinterpret_cast<PyObject*>(as_committed(self)->intent));
}

PyObject* repr_committed(PyObject* self) {
    const auto* committed = as_committed(self);
    return PyUnicode_FromFormat(
        "Committed(index=%llu, time_ns=%lld, intent=%R)", static_cast<unsigned long long>(committed->index),
        static_cast<long long>(committed->time_ns), reinterpret_cast<PyObject*>(committed->intent));
}

PyGetSetDef intent_getters[] = {
    {"ts_ns", get_intent_ts_ns, nullptr, "When it was decided, in ns since 1970 UTC.", nullptr},
    {"targets", get_targets, nullptr, "Lots to hold of each instrument, ascending by instrument, read-only.", nullptr},
    {"valid_until_ns", get_valid_until_ns, nullptr, "Committed later than this it expires; 0 means it never does.",
     nullptr},
    {}};

PyMethodDef intent_methods[] = {
    {"to_bytes", message_to_bytes, METH_NOARGS, "to_bytes($self, /)\n--\n\nThe canonical encoding."},
    {"from_bytes", message_from_bytes<decode_intent>, METH_O | METH_STATIC,
     "from_bytes(data, /)\n--\n\nDecode what `to_bytes` gave; anything else raises ConfigError."},
    {"__reduce__", message_reduce, METH_NOARGS, nullptr},
    {}};

PyType_Slot intent_slots[] = {
    {Py_tp_doc,
     const_cast<char*>("Intent(ts_ns, targets, valid_until_ns=0)\n--\n\n"
                       "Target holdings in lots, one atomic basket; binds nobody until it is committed.\n\n"
                       "Parameters\n----------\n"
                       "ts_ns : int\n    When it was decided.\n"
                       "targets : mapping of instrument to lots\n    Kept sorted by instrument, read-only.\n"
                       "valid_until_ns : int, default 0\n    After this it commits as expired; 0 is never.\n\n"
                       "Examples\n--------\n"
                       ">>> from fastmas.messages import Intent\n"
                       ">>> intent = Intent(1_000, {9: -5, 7: 10})\n"
                       ">>> dict(intent.targets), Intent.from_bytes(intent.to_bytes()) == intent\n"
                       "({7: 10, 9: -5}, True)")},
    {Py_tp_new, as_slot(construct_from_tuple)},
    {Py_tp_dealloc, as_slot(dealloc_intent)},
    {Py_tp_repr, as_slot(repr_intent)},
    {Py_tp_hash, as_slot(message_hash)},
    {Py_tp_richcompare, as_slot(message_compare)},
    {Py_tp_getset, intent_getters},
    {Py_tp_methods, intent_methods},
    {0, nullptr}};

PyType_Spec intent_spec{"fastmas._core.kernel.Intent", offsetof(IntentObject, targets), sizeof(Target),
                        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, intent_slots};

PyGetSetDef committed_getters[] = {
    {"index", get_index, nullptr, "How many commands had been applied, this one included.", nullptr},
    {"time_ns", get_time_ns, nullptr, "The log's time, which never goes backwards.", nullptr},
    {"intent", get_intent, nullptr, "What was committed.", nullptr},
    {}};

PyMethodDef committed_methods[] = {
    {"to_bytes", message_to_bytes, METH_NOARGS, "to_bytes($self, /)\n--\n\nThe canonical encoding."},
    {"from_bytes", message_from_bytes<decode_committed>, METH_O | METH_STATIC,
     "from_bytes(data, /)\n--\n\nDecode what `to_bytes` gave; anything else raises ConfigError."},
    {"__reduce__", message_reduce, METH_NOARGS, nullptr},
    {}};

PyType_Slot committed_slots[] = {
    {Py_tp_doc, const_cast<char*>("Committed(index, time_ns, intent)\n--\n\n"
                                  "An intent at its place in the log, the same on every replica.\n\n"
                                  "Parameters\n----------\n"
                                  "index : int\n    How many commands were applied with this one.\n"
                                  "time_ns : int\n    The log's time, which never decreases.\n"
                                  "intent : Intent\n\n"
                                  "Examples\n--------\n"
                                  ">>> from fastmas.messages import Committed, Intent\n"
                                  ">>> Committed(3, 2_000, Intent(1_000, {7: 10})).intent.targets[7]\n"
                                  "10")},
    {Py_tp_new, as_slot(construct_from_tuple)},
    {Py_tp_dealloc, as_slot(dealloc_committed)},
    {Py_tp_repr, as_slot(repr_committed)},
    {Py_tp_hash, as_slot(message_hash)},
    {Py_tp_richcompare, as_slot(message_compare)},
    {Py_tp_getset, committed_getters},
    {Py_tp_methods, committed_methods},
    {0, nullptr}};

PyType_Spec committed_spec{"fastmas._core.kernel.Committed", sizeof(CommittedObject), 0,
                           Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, committed_slots};

// Reads an intent and leaves what follows it unread; nullptr with ConfigError set.
PyObject* read_intent(base::ByteReader& reader, const char* what) {
    const auto ts_ns = reader.get<std::int64_t>();
    const auto valid_until_ns = reader.get<std::int64_t>();
    const auto count = reader.get<std::uint32_t>();
    constexpr std::size_t kTargetBytes = sizeof(std::uint32_t) + sizeof(std::int64_t);
    if (!reader.ok() || reader.left() / kTargetBytes < count)
        return raise("ConfigError", "not the bytes of %s: they end too early", what);
    std::vector<Target> targets(count);
    for (std::size_t i = 0; i < targets.size(); ++i) {
        targets[i].instrument = reader.get<std::uint32_t>();
        targets[i].lots = reader.get<std::int64_t>();
        if (i > 0 && targets[i - 1].instrument >= targets[i].instrument)
            return raise("ConfigError", "not the bytes of %s: instruments must ascend", what);
    }
    return make_intent(ts_ns, valid_until_ns, targets);
}

PyObject* finish(base::ByteReader& reader, const char* what, PyObject* made) {
    if (made == nullptr || reader.finished()) return made;
    Py_DECREF(made);
    return raise("ConfigError", "not the bytes of %s: there are bytes left over", what);
}

}  // namespace

void encode_intent(const IntentObject* self, std::string& out) {
    base::ByteWriter writer(out);
    writer.put(self->ts_ns);
    writer.put(self->valid_until_ns);
    writer.put(static_cast<std::uint32_t>(Py_SIZE(self)));
    for (const Target& target : targets_of(self)) {
        writer.put(target.instrument);
        writer.put(target.lots);
    }
}

void encode_committed(const CommittedObject* self, std::string& out) {
    base::ByteWriter writer(out);
    writer.put(self->index);
    writer.put(self->time_ns);
    encode_intent(self->intent, out);
}

PyObject* decode_intent(std::span<const std::byte> bytes) {
    base::ByteReader reader(bytes);
    return finish(reader, "an Intent", read_intent(reader, "an Intent"));
}

PyObject* decode_committed(std::span<const std::byte> bytes) {
    base::ByteReader reader(bytes);
    const auto index = reader.get<std::uint64_t>();
    const auto time_ns = reader.get<std::int64_t>();
    if (reader.ok() && index == 0) return raise("ConfigError", "not the bytes of a Committed: its index counts from 1");
    PyObject* intent = finish(reader, "a Committed", read_intent(reader, "a Committed"));
    if (intent == nullptr) return nullptr;
    PyObject* made = make_committed(index, time_ns, intent);
    Py_DECREF(intent);
    return made;
}

PyObject* make_intent(std::int64_t ts_ns, std::int64_t valid_until_ns, std::span<const Target> targets) {
    auto* self = PyObject_NewVar(IntentObject, intent_type, static_cast<Py_ssize_t>(targets.size()));
    if (self == nullptr) return nullptr;
    self->ts_ns = ts_ns;
    self->valid_until_ns = valid_until_ns;
    self->mapping = nullptr;
    std::copy(targets.begin(), targets.end(), self->targets);
    return reinterpret_cast<PyObject*>(self);
}

PyObject* make_committed(std::uint64_t index, std::int64_t time_ns, PyObject* intent) {
    auto* self = PyObject_New(CommittedObject, committed_type);
    if (self == nullptr) return nullptr;
    self->index = index;
    self->time_ns = time_ns;
    self->intent = reinterpret_cast<IntentObject*>(Py_NewRef(intent));
    return reinterpret_cast<PyObject*>(self);
}

void register_intent(PyObject* module) {
    intent_type = add_message_type(module, &intent_spec, construct_intent);
    committed_type = add_message_type(module, &committed_spec, construct_committed);
}

}  // namespace fastmas::bindings
