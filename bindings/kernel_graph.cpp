// The graph: who there is, who listens to whom, what is fed in, and the tables made of it before the first run.
#include <pybind11/numpy.h>

#include <algorithm>
#include <cstring>

#include "call_arguments.hpp"
#include "kernel.hpp"
#include "message_objects.hpp"
#include "python_errors.hpp"
#include "record_object.hpp"

namespace fastmas::bindings {

namespace py = pybind11;
using py::detail::array_proxy;
using py::detail::npy_api;

std::int64_t Feed::ts_at(std::size_t row) const noexcept {
    std::int64_t ts = 0;
    std::memcpy(&ts, rows + row * row_bytes + ts_offset, sizeof ts);
    return ts;
}

bool Kernel::check_open(const char* what) const {
    if (!frozen_) return true;
    raise("ConfigError", "%s after the first run: build the whole graph, then run it", what);
    return false;
}

bool Kernel::set_audit(PyObject* audit) {
    capsule_ = PyObject_GetAttrString(audit, "_sink");
    if (capsule_ == nullptr || !PyCapsule_IsValid(capsule_, base::kRecordSinkCapsule)) {
        PyErr_Clear();
        raise("ConfigError", "audit must be an AuditWriter or None, got %R", audit);
        return false;
    }
    sink_ = static_cast<base::RecordSink*>(PyCapsule_GetPointer(capsule_, base::kRecordSinkCapsule));
    audit_ = Py_NewRef(audit);
    return sink_ != nullptr;
}

bool Kernel::node_index(PyObject* object, const char* what, std::uint32_t* index) const {
    if (!to_u32(object, what, index)) return false;
    if (*index < nodes_.size()) return true;
    raise("ConfigError", "%s must be what add_node returned, got %u; there are %zu nodes", what, *index, nodes_.size());
    return false;
}

bool Kernel::add_node(Node node, const market::LatencyModel& latency, std::uint32_t* index) {
    if (!check_open("a node was added")) return false;
    for (const Node& other : nodes_) {
        if (other.name != node.name) continue;
        raise("ConfigError", "node names must be unique, got '%s' twice", node.name.c_str());
        return false;
    }
    if (nodes_.size() >= 0xFFFF) {
        raise("ConfigError", "a kernel has at most 65535 nodes");
        return false;
    }
    node.latency = market::LatencySampler(latency, seed_, node.name);
    *index = static_cast<std::uint32_t>(nodes_.size());
    nodes_.push_back(std::move(node));
    return true;
}

bool Kernel::subscribe(PyObject* target, PyObject* source, std::vector<PyTypeObject*> types) {
    std::uint32_t to = 0, from = 0;
    if (!check_open("a subscription was added")) return false;
    if (!node_index(target, "target", &to) || !node_index(source, "source", &from)) return false;
    const Node &listener = nodes_[to], &speaker = nodes_[from];
    if (listener.handler == nullptr) {
        raise("ConfigError", "node '%s' has no handler and cannot subscribe; give add_node a handler",
              listener.name.c_str());
        return false;
    }
    if (listener.mode == Mode::join && speaker.rank >= listener.rank) {
        raise("ConfigError",
              "a join waits for lower ranks only: '%s' has rank %u and '%s', which it subscribes to, has %u; "
              "give '%s' a higher rank",
              listener.name.c_str(), listener.rank, speaker.name.c_str(), speaker.rank, listener.name.c_str());
        return false;
    }
    for (const Subscription& other : speaker.subscribers) {
        if (other.target != to) continue;
        raise("ConfigError", "'%s' already subscribes to '%s'; name all types in one call", listener.name.c_str(),
              speaker.name.c_str());
        return false;
    }
    for (PyTypeObject* type : types) Py_INCREF(type);
    nodes_[from].subscribers.push_back({to, std::move(types)});
    return true;
}

namespace {

bool check_rows(PyObject* array, PyObject* record_type, const RecordInfo** info) {
    *info = PyType_Check(record_type) ? record_info(reinterpret_cast<PyTypeObject*>(record_type)) : nullptr;
    if (*info == nullptr)
        return raise("ConfigError", "a feed's type must be a Record class, got %R", record_type), false;
    if ((*info)->writable)
        return raise(
                   "ConfigError",
                   "a feed's Record must not be writable, for its receivers share a message, and %s is; declare class "
                   "%s(Record) without writable=True",
                   (*info)->name.c_str(), (*info)->name.c_str()),
               false;
    if ((*info)->ts_offset < 0)
        return raise("ConfigError", "a feed's Record needs a field ts_ns of i64, and %R has none", record_type), false;
    const npy_api& numpy = npy_api::get();
    if (!numpy.PyArray_Check_(array) || array_proxy(array)->nd != 1 ||
        !numpy.PyArray_EquivTypes_(array_proxy(array)->descr, (*info)->dtype))
        return raise("ConfigError", "a feed must be a one-dimensional array of %s.dtype, got %R", (*info)->name.c_str(),
                     array),
               false;
    return true;
}

}  // namespace

bool Kernel::add_feed(PyObject* node, PyObject* array, PyObject* record_type) {
    Feed feed;
    const RecordInfo* info = nullptr;
    if (!check_open("a feed was added") || !node_index(node, "node", &feed.node)) return false;
    if (!check_rows(array, record_type, &info)) return false;
    // A view of the caller's rows, unless they are strided or numpy may have left dirt between their fields.
    const bool clean = info->padding.empty() && info->booleans.empty();
    const bool contiguous = (array_proxy(array)->flags & npy_api::NPY_ARRAY_C_CONTIGUOUS_) != 0;
    feed.array = clean && contiguous ? Py_NewRef(array) : npy_api::get().PyArray_NewCopy_(array, 0);
    if (feed.array == nullptr) return false;
    if (!clean) {
        auto* rows = reinterpret_cast<std::byte*>(array_proxy(feed.array)->data);
        make_canonical(*info, rows, static_cast<std::size_t>(array_proxy(feed.array)->dimensions[0]));
    }
    feed.type = reinterpret_cast<PyTypeObject*>(Py_NewRef(record_type));
    feed.rows = reinterpret_cast<const std::byte*>(array_proxy(feed.array)->data);
    feed.row_bytes = info->size_bytes;
    feed.ts_offset = static_cast<std::uint32_t>(info->ts_offset);
    feed.count = static_cast<std::size_t>(array_proxy(feed.array)->dimensions[0]);
    feeds_.push_back(feed);  // from here on clear() releases what it owns
    for (std::size_t row = 1; row < feed.count; ++row) {
        if (feed.ts_at(row - 1) <= feed.ts_at(row)) continue;
        raise("ConfigError",
              "a feed must be sorted by ts_ns: row %zu has %lld after %lld; sort it with "
              "array[np.argsort(array['ts_ns'], kind='stable')]",
              row, static_cast<long long>(feed.ts_at(row)), static_cast<long long>(feed.ts_at(row - 1)));
        Py_DECREF(feed.array);
        Py_DECREF(feed.type);
        feeds_.pop_back();
        return false;
    }
    return true;
}

bool Kernel::load_wakeup() {
    if (wakeup_type_ != nullptr) return true;
    PyObject* module = PyImport_ImportModule("fastmas.messages");
    if (module == nullptr) return false;
    PyObject* type = PyObject_GetAttrString(module, "Wakeup");
    Py_DECREF(module);
    if (type == nullptr) return false;
    const RecordInfo* info = record_info(reinterpret_cast<PyTypeObject*>(type));
    if (info == nullptr || info->fields.size() != 1 || info->fields[0].kind != FieldKind::i64) {
        Py_DECREF(type);
        raise("InvariantError", "fastmas.messages.Wakeup must be a Record of one i64, at_ns");
        return false;
    }
    wakeup_offset_ = info->fields[0].offset;
    wakeup_type_ = reinterpret_cast<PyTypeObject*>(type);
    return true;
}

bool Kernel::freeze() {
    if (!load_wakeup()) return false;
    std::vector<std::uint32_t> ranks;
    std::vector<std::string> names;
    for (const Node& node : nodes_) {
        ranks.push_back(node.rank);
        names.push_back(node.name);
    }
    std::sort(names.begin(), names.end());
    std::sort(ranks.begin(), ranks.end());
    ranks.erase(std::unique(ranks.begin(), ranks.end()), ranks.end());
    std::vector<std::uint32_t> join_levels;
    for (std::uint32_t i = 0; i < nodes_.size(); ++i) {
        Node& node = nodes_[i];
        node.destination.level =
            static_cast<std::uint32_t>(std::lower_bound(ranks.begin(), ranks.end(), node.rank) - ranks.begin());
        node.name_place =
            static_cast<std::uint32_t>(std::lower_bound(names.begin(), names.end(), node.name) - names.begin());
        if (node.mode != Mode::join) continue;
        node.destination.join = static_cast<std::uint32_t>(join_levels.size());
        join_levels.push_back(node.destination.level);
        join_nodes_.push_back(i);
    }
    if (!join_levels.empty()) joins_.emplace(static_cast<std::uint32_t>(ranks.size()), std::move(join_levels));
    frozen_ = true;
    for (std::uint32_t i = 0; i < feeds_.size(); ++i)
        if (feeds_[i].count != 0) push_feed_step(i);
    for (const auto& [message, time_ns] : early_) {
        route(*message, time_ns);
        release(*message);
    }
    early_.clear();
    return true;
}

void Kernel::push_feed_step(std::uint32_t index) {
    // Rank 0 is the feeds' alone (nodes are one above theirs): what is fed in at an instant comes before all that acts
    // in it.
    market::Event event;
    event.time_ns = feeds_[index].ts_at(feeds_[index].cursor);
    event.detail = index;
    event.kind = kFeed;
    queue_.push_with_sequence(event, 0, index);
}

int Kernel::traverse(visitproc visit, void* arg) const {
    // Messages are records, arrays of records, or values without references back: they close no cycle and are not
    // visited.
    for (const Node& node : nodes_) {
        Py_VISIT(node.handler);
        Py_VISIT(node.on_wakeup);
        Py_VISIT(node.context);
        for (PyTypeObject* type : node.emits) Py_VISIT(type);
        for (const Subscription& subscription : node.subscribers)
            for (PyTypeObject* type : subscription.types) Py_VISIT(type);
    }
    for (const Feed& feed : feeds_) Py_VISIT(feed.type);
    for (const auto& entry : audit_types_) Py_VISIT(entry.first);
    Py_VISIT(audit_);
    Py_VISIT(wakeup_type_);
    return 0;
}

void Kernel::clear() noexcept {
    // Everything is moved out before anything is released: a destructor may run Python that looks at this kernel.
    std::vector<PyObject*> owned{audit_, capsule_, reinterpret_cast<PyObject*>(wakeup_type_)};
    sink_ = nullptr;
    audit_ = capsule_ = nullptr;
    wakeup_type_ = nullptr;
    for (const Node& node : nodes_) {
        owned.insert(owned.end(), {node.handler, node.on_wakeup, node.context});
        for (PyTypeObject* type : node.emits) owned.push_back(reinterpret_cast<PyObject*>(type));
        for (const Subscription& subscription : node.subscribers)
            for (PyTypeObject* type : subscription.types) owned.push_back(reinterpret_cast<PyObject*>(type));
    }
    for (const Feed& feed : feeds_) owned.insert(owned.end(), {feed.array, reinterpret_cast<PyObject*>(feed.type)});
    for (const auto& entry : audit_types_) owned.push_back(reinterpret_cast<PyObject*>(entry.first));
    // Every message that is still alive sits in the pool with references above zero.
    for (Message& message : messages_) {
        if (message.references == 0) continue;
        owned.insert(owned.end(), {message.object, message.base, reinterpret_cast<PyObject*>(message.type)});
        message = {};
    }
    nodes_.clear();
    feeds_.clear();
    audit_types_.clear();
    early_.clear();
    queue_.clear();
    joins_.reset();
    join_nodes_.clear();
    frozen_ = true;  // nothing can be added to what is being torn down
    for (PyObject* object : owned) Py_XDECREF(object);
}

}  // namespace fastmas::bindings
