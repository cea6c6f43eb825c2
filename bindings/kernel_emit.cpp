// What a handler returned: checked as a whole, then numbered, audited and scheduled. A call that fails has emitted
// nothing.
#include <pybind11/numpy.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "kernel.hpp"
#include "message_objects.hpp"
#include "python_errors.hpp"
#include "record_object.hpp"

namespace fastmas::bindings {

namespace py = pybind11;
using py::detail::array_proxy;
using py::detail::npy_api;

namespace {

bool is_among(PyTypeObject* type, const std::vector<PyTypeObject*>& types) {
    for (PyTypeObject* one : types)
        if (one == type) return true;
    for (PyTypeObject* one : types)
        if (PyType_IsSubtype(type, one)) return true;
    return false;
}

std::string names_of(const std::vector<PyTypeObject*>& types) {
    std::string text;
    for (PyTypeObject* type : types) {
        const std::string name = type->tp_name;
        text += (text.empty() ? "" : ", ") + name.substr(name.rfind('.') + 1);
    }
    return text;
}

}  // namespace

bool Kernel::refuse_result(const Node& node, PyObject* object) const {
    const std::string allowed = node.emits_anything
                                    ? "a Record, an Observation, an Intent, a Committed, an array of a Record's dtype"
                                    : names_of(node.emits);
    PyObject* text = PyObject_Repr(object);
    if (text == nullptr) PyErr_Clear();
    PyObject* shown = text == nullptr ? nullptr : PyUnicode_Substring(text, 0, 200);
    raise("AgentError", "agent '%s' returned %V (%s) at now_ns=%lld; it may return None, %s%s, or an iterable of those",
          node.name.c_str(), shown, "?", Py_TYPE(object)->tp_name, static_cast<long long>(now_ns_), allowed.c_str(),
          node.on_wakeup != nullptr ? ", Wakeup" : "");
    Py_XDECREF(text);
    Py_XDECREF(shown);
    return false;
}

bool Kernel::handle_result(Node& node, PyObject* result) {
    Draft draft;
    bool recognised = true;
    // Handlers return new references: one reference means that the handler has kept none.
    if (!draft_of(node, result, Py_REFCNT(result) == 1, &draft, &recognised)) return false;
    if (!recognised) return draft_many(node, result);
    return draft.count == 0 || emit_draft(node, draft);
}

bool Kernel::draft_of(const Node& node, PyObject* object, bool exclusive, Draft* draft, bool* recognised) {
    PyTypeObject* type = Py_TYPE(object);
    *recognised = true;
    if (is_record(object)) {
        draft->is_wakeup = type == wakeup_type_;
    } else if (type != observation_type && type != intent_type && type != committed_type) {
        if (npy_api::get().PyArray_Check_(object)) return draft_array(node, object, exclusive, draft);
        *recognised = false;
        return true;
    }
    draft->type = type;
    if (!check_emits(node, object, *draft)) return false;
    draft->object = Py_NewRef(object);
    return true;
}

bool Kernel::draft_array(const Node& node, PyObject* object, bool exclusive, Draft* draft) {
    const npy_api& numpy = npy_api::get();
    const auto* array = array_proxy(object);
    draft->type = array->nd == 1 ? record_type_of_dtype(array->descr) : nullptr;
    if (draft->type == nullptr) {
        if (PyErr_Occurred()) return false;
        return refuse_result(node, object);
    }
    if (!check_emits(node, object, *draft)) return false;
    if (array->dimensions[0] > std::numeric_limits<std::uint32_t>::max()) return refuse_result(node, object);
    draft->count = static_cast<std::uint32_t>(array->dimensions[0]);
    if (draft->count == 0) return true;
    // The array becomes ours only if nobody else can write to it any more. Anything else is copied, for a handler may
    // well fill the same array again for its next batch.
    constexpr int kOwnData = 0x0004;
    const bool ours = exclusive && array->base == nullptr && (array->flags & kOwnData) != 0 &&
                      (array->flags & npy_api::NPY_ARRAY_C_CONTIGUOUS_) != 0 && Py_TYPE(object) == numpy.PyArray_Type_;
    draft->object = ours ? Py_NewRef(object) : numpy.PyArray_NewCopy_(object, 0);
    if (draft->object == nullptr) return false;
    auto* kept = array_proxy(draft->object);
    kept->flags &= ~npy_api::NPY_ARRAY_WRITEABLE_;
    // numpy leaves padding as it finds it, in copies too; what is audited must be the same in every run.
    make_canonical(*record_info(draft->type), reinterpret_cast<std::byte*>(kept->data), draft->count);
    draft->rows = reinterpret_cast<const std::byte*>(kept->data);
    draft->row_bytes = record_info(draft->type)->size_bytes;
    return true;
}

bool Kernel::check_emits(const Node& node, PyObject* object, const Draft& draft) const {
    if (const RecordInfo* info = record_info(draft.type); info != nullptr && info->writable) {
        raise("ConfigError",
              "agent '%s' returned %s, which is declared writable: its receivers share a message, so it must not "
              "change; declare class %s(Record) without writable=True",
              node.name.c_str(), info->name.c_str(), info->name.c_str());
        return false;
    }
    if (!draft.is_wakeup) return node.emits_anything || is_among(draft.type, node.emits) || refuse_result(node, object);
    if (node.on_wakeup == nullptr) {
        raise("AgentError", "agent '%s' returned a Wakeup and has no on_wakeup; define on_wakeup(ctx)",
              node.name.c_str());
        return false;
    }
    const std::int64_t at_ns = wakeup_time(object);
    if (at_ns >= now_ns_) return true;
    raise("ConfigError", "agent '%s' asked to be woken in the past: at_ns=%lld is before now_ns=%lld",
          node.name.c_str(), static_cast<long long>(at_ns), static_cast<long long>(now_ns_));
    return false;
}

std::int64_t Kernel::wakeup_time(PyObject* wakeup) const {
    std::int64_t at_ns = 0;
    std::memcpy(&at_ns, record_data(wakeup) + wakeup_offset_, sizeof at_ns);
    return at_ns;
}

bool Kernel::draft_many(Node& node, PyObject* result) {
    // What iterates into something that was never meant as messages is refused as a whole.
    if (PyUnicode_Check(result) || PyBytes_Check(result) || PyDict_Check(result) || Py_TYPE(result)->tp_iter == nullptr)
        return refuse_result(node, result);
    const bool exclusive = Py_REFCNT(result) == 1;
    PyObject* items = PySequence_Fast(result, "");
    if (items == nullptr) return fail_call(node);
    bool done = true;
    for (Py_ssize_t i = 0; done && i < PySequence_Fast_GET_SIZE(items); ++i) {
        PyObject* item = PySequence_Fast_GET_ITEM(items, i);
        if (item == Py_None) continue;
        Draft draft;
        bool recognised = true;
        done = draft_of(node, item, exclusive && Py_REFCNT(item) == 1, &draft, &recognised) &&
               (recognised || refuse_result(node, item));
        if (done && draft.count != 0) drafts_.push_back(draft);
    }
    Py_DECREF(items);
    for (std::size_t i = 0; done && i < drafts_.size(); ++i) {
        Draft draft = drafts_[i];
        drafts_[i].object = nullptr;  // emit_draft owns it from here on
        done = emit_draft(node, draft);
    }
    for (const Draft& draft : drafts_) Py_XDECREF(draft.object);
    drafts_.clear();
    return done;
}

bool Kernel::emission_time(Node& node, std::int64_t* time_ns) {
    // Drawn once a call: what one call made leaves together.
    if (!emission_ns_) {
        const std::int64_t latency_ns = node.latency.next();
        if (now_ns_ > std::numeric_limits<std::int64_t>::max() - latency_ns) {
            raise("ConfigError", "virtual time ends at 2**63 - 1 ns: agent '%s' cannot send at now_ns=%lld after %lld",
                  node.name.c_str(), static_cast<long long>(now_ns_), static_cast<long long>(latency_ns));
            return false;
        }
        emission_ns_ = now_ns_ + latency_ns;
    }
    *time_ns = *emission_ns_;
    return true;
}

bool Kernel::emit_draft(Node& node, const Draft& draft) {
    std::int64_t time_ns = 0, audit_ns = now_ns_;
    if (draft.is_wakeup) {
        time_ns = wakeup_time(draft.object);
    } else if (emission_time(node, &time_ns)) {
        audit_ns = time_ns;
    } else {
        Py_DECREF(draft.object);
        return false;
    }
    const auto index = static_cast<std::uint32_t>(&node - nodes_.data());
    const auto id = emit(index, draft, time_ns, audit_ns, draft.is_wakeup ? 0 : origin_id_, inputs_);
    if (id) last_ids_.push_back(*id);
    return id.has_value();
}

std::optional<std::uint64_t> Kernel::emit(std::uint32_t node, const Draft& draft, std::int64_t time_ns,
                                          std::int64_t audit_ns, std::uint64_t origin,
                                          std::span<const std::uint64_t> causes) {
    Message& message = new_message();
    message.object = draft.object;
    message.base = draft.base;
    message.type = reinterpret_cast<PyTypeObject*>(Py_NewRef(reinterpret_cast<PyObject*>(draft.type)));
    message.rows = draft.rows;
    message.count = draft.count;
    message.row_bytes = draft.row_bytes;
    message.is_wakeup = draft.is_wakeup;
    message.source = node;
    message.id = next_id_;
    message.origin_id = origin != 0 ? origin : next_id_;
    message.references = 1;  // ours, until it has been scheduled
    next_id_ += draft.count;
    nodes_[node].emitted += draft.count;
    const std::uint64_t id = message.id;
    if (sink_ != nullptr && !audit(message, audit_ns, causes)) {
        release(message);
        return std::nullopt;
    }
    if (!frozen_) {
        early_.emplace_back(&message, time_ns);  // keeps our reference: who subscribes is known at the first run
        return id;
    }
    route(message, time_ns);
    release(message);
    return id;
}

bool Kernel::audit_type(PyTypeObject* type, std::uint32_t* id) {
    for (const auto& [known, number] : audit_types_) {
        if (known != type) continue;
        *id = number;
        return true;
    }
    PyObject* number = PyObject_CallMethod(audit_, "type_id", "O", type);
    if (number == nullptr) return false;
    const unsigned long value = PyLong_AsUnsignedLong(number);
    Py_DECREF(number);
    if (PyErr_Occurred()) return false;
    *id = static_cast<std::uint32_t>(value);
    audit_types_.emplace_back(reinterpret_cast<PyTypeObject*>(Py_NewRef(reinterpret_cast<PyObject*>(type))), *id);
    return true;
}

bool Kernel::audit(const Message& message, std::int64_t time_ns, std::span<const std::uint64_t> causes) {
    std::uint32_t type = 0;
    if (!audit_type(message.type, &type)) return false;
    std::span<const std::byte> payload;
    if (message.rows != nullptr) {
        payload = {message.rows, std::size_t{message.count} * message.row_bytes};
    } else if (const RecordInfo* info = record_info(message.type)) {
        payload = {record_data(message.object), info->size_bytes};
    } else {
        payload_.clear();
        if (!encode_message(message.object, payload_)) return false;
        payload = std::as_bytes(std::span<const char>(payload_));
    }
    sink_->append(message.id, time_ns, type, message.count, causes, payload);
    return true;
}

void Kernel::route(Message& message, std::int64_t time_ns) {
    if (joins_) {
        const bool current = origin_ != nullptr && origin_->id == message.origin_id;
        message.origin = current ? origin_ : joins_->open(message.origin_id);
    }
    if (message.is_wakeup) {
        send(message, time_ns, message.source, kWakeup);
    } else {
        for (const Subscription& subscription : nodes_[message.source].subscribers)
            if (subscription.types.empty() || is_among(message.type, subscription.types))
                send(message, time_ns, subscription.target, kDeliver);
    }
    if (joins_) joins_->close_if_done(message.origin);
}

void Kernel::send(Message& message, std::int64_t time_ns, std::uint32_t target, EventKind kind) {
    market::Event event;
    event.time_ns = time_ns;
    event.subject = &message;
    event.target = static_cast<std::uint16_t>(target);
    event.kind = kind;
    queue_.push(event, nodes_[target].rank + 1);
    ++message.references;
    market::Destination destination = nodes_[target].destination;
    if (kind == kWakeup) destination.join = market::Destination::kNoJoin;  // a join's own alarm fills no buffer
    if (message.origin != nullptr) joins_->sent(*message.origin, destination);
}

bool Kernel::check_ids(std::span<const std::uint64_t> causes, std::uint64_t origin) const {
    for (const std::uint64_t cause : causes) {
        if (cause != 0 && cause < next_id_) continue;
        raise("ConfigError", "a cause must be the id of an earlier message, got %llu; the next id is %llu",
              static_cast<unsigned long long>(cause), static_cast<unsigned long long>(next_id_));
        return false;
    }
    if (origin < next_id_) return true;
    raise("ConfigError", "an origin must be the id of an earlier message, got %llu; the next id is %llu",
          static_cast<unsigned long long>(origin), static_cast<unsigned long long>(next_id_));
    return false;
}

bool Kernel::check_post(const Draft& draft, std::optional<std::int64_t> at_ns) const {
    if (draft.count == 0)
        raise("ConfigError", "a batch that is posted must have rows, got none");
    else if (draft.is_wakeup && at_ns)
        raise("ConfigError", "a Wakeup that is posted carries its own time; leave out at_ns");
    else if (!draft.is_wakeup && !at_ns && !started_)
        raise("ConfigError", "a message posted before the run needs a time; give at_ns");
    else if (at_ns && *at_ns < now_ns_)
        raise("ConfigError", "a message cannot be posted into the past: at_ns=%lld is before now_ns=%lld",
              static_cast<long long>(*at_ns), static_cast<long long>(now_ns_));
    else
        return true;
    return false;
}

std::optional<std::uint64_t> Kernel::post(std::uint32_t node, PyObject* object, std::optional<std::int64_t> at_ns,
                                          std::span<const std::uint64_t> causes, std::uint64_t origin) {
    if (!load_wakeup() || !check_ids(causes, origin)) return std::nullopt;
    const Node& sender = nodes_[node];
    Draft draft;
    bool recognised = true;
    if (!draft_of(sender, object, false, &draft, &recognised)) return std::nullopt;
    if (!recognised) {
        refuse_result(sender, object);
        return std::nullopt;
    }
    if (!check_post(draft, at_ns)) {
        Py_XDECREF(draft.object);
        return std::nullopt;
    }
    std::int64_t time_ns = at_ns.value_or(now_ns_), audit_ns = time_ns;
    if (draft.is_wakeup) {
        time_ns = wakeup_time(object);
        audit_ns = started_ ? now_ns_ : time_ns;
    }
    return emit(node, draft, time_ns, audit_ns, origin, causes);
}

Message& Kernel::new_message() {
    if (free_messages_ == nullptr) return messages_.emplace_back();
    Message& message = *free_messages_;
    free_messages_ = message.next_free;
    return message;
}

void Kernel::release(Message& message) noexcept {
    if (--message.references != 0) return;
    PyObject *object = message.object, *base = message.base, *type = reinterpret_cast<PyObject*>(message.type);
    message = {};
    message.next_free = free_messages_;
    free_messages_ = &message;
    Py_XDECREF(object);
    Py_XDECREF(base);
    Py_DECREF(type);
}

}  // namespace fastmas::bindings
