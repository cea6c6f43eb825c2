// Running: the next event, and the call of its handler.
#include <pybind11/numpy.h>

#include <cstring>

#include "kernel.hpp"
#include "message_objects.hpp"
#include "python_errors.hpp"
#include "record_object.hpp"

namespace fastmas::bindings {

namespace py = pybind11;
using market::Event;
using py::detail::array_proxy;
using py::detail::npy_api;

namespace {

// Ctrl-C is looked for every so many events; between them a handler's own Python code looks for it too.
constexpr std::uint64_t kEventsPerSignalCheck = 64;

constexpr const char* kFeedCapsule = "fastmas.feed";

void release_feed(PyObject* capsule) {
    Py_XDECREF(static_cast<PyObject*>(PyCapsule_GetPointer(capsule, kFeedCapsule)));
}

struct Running {
    explicit Running(bool& flag) : flag_(flag) { flag_ = true; }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
    ~Running() { flag_ = false; }
    bool& flag_;
};

}  // namespace

std::optional<std::uint64_t> Kernel::run(std::int64_t until_ns) {
    if (running_) {
        raise("ConfigError", "run was called by a handler of the same kernel; use post, or return the messages");
        return std::nullopt;
    }
    if (!frozen_ && !freeze()) return std::nullopt;
    const Running running(running_);
    calls_ = 0;
    // Signals are checked before an event is taken: an interrupted run goes on where it was, with nothing lost.
    for (std::uint64_t events = 0; !queue_.empty() && queue_.top().time_ns <= until_ns; ++events) {
        if (events % kEventsPerSignalCheck == 0 && PyErr_CheckSignals() < 0) return std::nullopt;
        // The queue has asked the cache for the next message; while it pops, ask for what the message holds.
        const Event& next = queue_.top();
        if (next.kind == kDeliver) __builtin_prefetch(static_cast<const Message*>(next.subject)->object);
        const Event event = queue_.pop();
        now_ns_ = event.time_ns;
        started_ = true;
        if (!dispatch(event)) {
            end_handling();
            return std::nullopt;
        }
    }
    end_handling();
    return calls_;
}

bool Kernel::dispatch(const Event& event) {
    switch (event.kind) {
        case kFeed:
            return step_feed(event.detail);
        case kJoin:
            return deliver_join(nodes_[event.target], *static_cast<JoinTracker::Origin*>(event.subject));
        case kWakeup:
            return wake(nodes_[event.target], *static_cast<Message*>(event.subject));
        default:
            return deliver(event);
    }
}

bool Kernel::deliver(Event event) {
    Message& message = *static_cast<Message*>(event.subject);
    Node& node = nodes_[event.target];
    if (node.mode == Mode::join) {
        joins_->arrived(*message.origin, node.destination.join, &message);  // the buffer takes over the reference
        schedule_joins(*message.origin);
        return true;
    }
    bool done = true;
    if (message.rows == nullptr || node.mode == Mode::slice) {
        done = deliver_whole(node, message);
    } else {
        done = deliver_rows(node, message, event);
        if (event.detail < message.count) {
            queue_.put_back(event);  // with the row that comes next
            end_handling();
            return done;
        }
    }
    settle(message.origin, node.destination);
    release(message);
    return done;
}

bool Kernel::deliver_whole(Node& node, Message& message) {
    begin_handling(message, message.id);
    node.received += message.count;
    if (node.mode == Mode::each) return call(node, message.object);
    if (message.rows != nullptr) {
        PyObject* array = array_of(message);
        return array != nullptr && call(node, array);
    }
    if (!is_record(message.object)) return call(node, message.object);
    PyObject* array = one_row_array(message);
    const bool done = array != nullptr && call(node, array);
    Py_XDECREF(array);
    return done;
}

// Rows are handled as if each were an event of its own: when one causes something that comes before the next, that goes
// first.
bool Kernel::deliver_rows(Node& node, Message& message, Event& event) {
    for (bool first = true; event.detail < message.count; first = false) {
        if (!first && !queue_.empty() && before(queue_.top(), event)) return true;
        if (!first && event.detail % kEventsPerSignalCheck == 0 && PyErr_CheckSignals() < 0) return false;
        const std::uint32_t row = event.detail++;
        PyObject* record = record_from_bytes(message.type, message.rows + std::size_t{row} * message.row_bytes);
        if (record == nullptr) return false;
        begin_handling(message, message.id + row);
        ++node.received;
        const bool done = call(node, record);
        Py_DECREF(record);
        if (!done) return false;
    }
    return true;
}

bool Kernel::wake(Node& node, Message& message) {
    begin_handling(message, message.id);
    ++node.received;
    PyObject* args[2] = {nullptr, node.context};
    const bool done = call_with(node, node.on_wakeup, args + 1, 1);
    settle(message.origin, node.destination);
    release(message);
    return done;
}

bool Kernel::step_feed(std::uint32_t index) {
    Feed& feed = feeds_[index];
    const std::size_t first = feed.cursor;
    std::size_t end = first + 1;
    while (end < feed.count && feed.ts_at(end) == now_ns_) ++end;
    feed.cursor = end;
    if (end < feed.count) {
        if (feed.ts_at(end) < now_ns_) {
            raise("ConfigError", "the array of a feed was changed while it ran: row %zu has ts_ns=%lld at now_ns=%lld",
                  end, static_cast<long long>(feed.ts_at(end)), static_cast<long long>(now_ns_));
            return false;
        }
        push_feed_step(index);
    }
    emission_ns_.reset();
    std::int64_t time_ns = 0;
    if (!emission_time(nodes_[feed.node], &time_ns)) return false;
    Draft draft;
    draft.base = Py_NewRef(feed.array);
    draft.type = feed.type;
    draft.rows = feed.rows + first * feed.row_bytes;
    draft.count = static_cast<std::uint32_t>(end - first);
    draft.row_bytes = feed.row_bytes;
    return emit(feed.node, draft, time_ns, time_ns, 0, {}).has_value();
}

bool Kernel::call(Node& node, PyObject* message) {
    PyObject* args[3] = {nullptr, message, node.context};
    return call_with(node, node.handler, args + 1, 2);
}

bool Kernel::call_with(Node& node, PyObject* function, PyObject** args, std::size_t count) {
    ++calls_;
    reinterpret_cast<ContextObject*>(node.context)->now_ns = now_ns_;
    const std::uint64_t start = clock_.now();
    PyObject* result = PyObject_Vectorcall(function, args, count | PY_VECTORCALL_ARGUMENTS_OFFSET, nullptr);
    if (result != nullptr && PyGen_CheckExact(result)) {
        // A generator has done nothing yet: what it does belongs to the handler and to its time.
        PyObject* list = PySequence_List(result);
        Py_DECREF(result);
        result = list;
    }
    node.ticks.add(clock_.now() - start);
    last_ids_.clear();  // only now: the handler may have asked for those of the call before
    if (result == nullptr) return fail_call(node);
    if (result == Py_None) {
        Py_DECREF(result);
        return true;
    }
    const bool done = handle_result(node, result);
    Py_DECREF(result);
    return done;
}

bool Kernel::fail_call(const Node& node) const {
    // KeyboardInterrupt, SystemExit and running out of memory are nobody's fault: they pass as they are.
    if (!PyErr_ExceptionMatches(PyExc_Exception) || PyErr_ExceptionMatches(PyExc_MemoryError)) return false;
    raise_from("AgentError", "agent '%s' failed at now_ns=%lld: ", node.name.c_str(), static_cast<long long>(now_ns_));
    return false;
}

void Kernel::begin_handling(const Message& message, std::uint64_t id) {
    inputs_.assign(1, id);
    origin_id_ = message.origin_id;
    origin_ = message.origin;
    emission_ns_.reset();
}

void Kernel::end_handling() noexcept {
    inputs_.clear();
    origin_id_ = 0;
    origin_ = nullptr;
}

void Kernel::settle(JoinTracker::Origin* origin, market::Destination to) {
    if (origin == nullptr) return;
    joins_->handled(*origin, to);
    schedule_joins(*origin);
    joins_->close_if_done(origin);
    origin_ = nullptr;  // it may be gone
}

PyObject* Kernel::array_of(Message& message) {
    if (message.object != nullptr) return message.object;
    // A read-only view of the feed's rows, made when somebody first wants it as an array, shared by all who do.
    const npy_api& numpy = npy_api::get();
    const Py_intptr_t dimension = message.count;
    PyObject* descriptor = array_proxy(message.base)->descr;
    PyObject* array =
        numpy.PyArray_NewFromDescr_(numpy.PyArray_Type_, Py_NewRef(descriptor), 1, &dimension, nullptr,
                                    const_cast<std::byte*>(message.rows), npy_api::NPY_ARRAY_C_CONTIGUOUS_, nullptr);
    if (array == nullptr) return nullptr;
    // The view keeps the feed alive through a capsule and not as its base: an agent that could reach the feed's own
    // array through `batch.base` could read the future. numpy never makes a view on a capsule writable either.
    PyObject* owner = PyCapsule_New(message.base, kFeedCapsule, release_feed);
    if (owner == nullptr) {
        Py_DECREF(array);
        return nullptr;
    }
    Py_INCREF(message.base);
    if (numpy.PyArray_SetBaseObject_(array, owner) < 0) {  // steals the reference, even when it fails
        Py_DECREF(array);
        return nullptr;
    }
    return message.object = array;
}

PyObject* Kernel::one_row_array(const Message& message) {
    const RecordInfo* info = record_info(message.type);
    const npy_api& numpy = npy_api::get();
    const Py_intptr_t dimension = 1;
    PyObject* array = numpy.PyArray_NewFromDescr_(numpy.PyArray_Type_, Py_NewRef(info->dtype), 1, &dimension, nullptr,
                                                  nullptr, 0, nullptr);
    if (array == nullptr) return nullptr;
    std::memcpy(array_proxy(array)->data, record_data(message.object), info->size_bytes);
    array_proxy(array)->flags &= ~npy_api::NPY_ARRAY_WRITEABLE_;
    return array;
}

}  // namespace fastmas::bindings
