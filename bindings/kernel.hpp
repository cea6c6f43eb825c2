// The discrete-event kernel: nodes, who listens to whom, feeds, and the queue that decides what is called when.
//
// One thread, under the GIL throughout: the time is spent in Python handlers. Functions that return bool or PyObject*
// say "failed" by false or nullptr with a Python exception set; C++ exceptions (no memory, a broken sink) pass through
// and are translated where Python called in (kernel_object.cpp). Split by job:
//   kernel_graph.cpp     add_node, subscribe, add_feed, and the tables made of them before the first run
//   kernel_dispatch.cpp  run: the next event, and the call of its handler
//   kernel_join.cpp      delivery to joins
//   kernel_emit.cpp      what a handler returned: checked, numbered, audited, scheduled; post
//   kernel_object.cpp    the Python type
#pragma once

#include <Python.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/log_histogram.hpp"
#include "base/record_sink.hpp"
#include "base/tick_clock.hpp"
#include "context_object.hpp"
#include "market/event_queue.hpp"
#include "market/join_tracker.hpp"
#include "market/latency.hpp"

namespace fastmas::bindings {

using market::JoinTracker;

enum class Mode : std::uint8_t { each, slice, join };
enum EventKind : std::uint8_t { kDeliver, kWakeup, kJoin, kFeed };

// Something that was emitted, alive until everybody has got it. From a pool; `references` counts events and buffers.
struct Message {
    PyObject* object = nullptr;    // the message, or the array of a batch; nullptr for rows of a feed not asked for yet
    PyObject* base = nullptr;      // rows of a feed: the feed's array
    PyTypeObject* type = nullptr;  // the message's type; of a batch the Record class of its rows; owned
    const std::byte* rows = nullptr;        // a batch's first row; nullptr when it is no batch
    JoinTracker::Origin* origin = nullptr;  // when there are joins
    std::uint64_t origin_id = 0;
    std::uint64_t id = 0;
    std::uint32_t count = 1;
    std::uint32_t row_bytes = 0;
    std::uint32_t source = 0;
    std::uint32_t references = 0;
    bool is_wakeup = false;
    Message* next_free = nullptr;
};

// A message that was checked and has not been emitted. The reference is owned.
struct Draft {
    PyObject* object = nullptr;
    PyObject* base = nullptr;
    PyTypeObject* type = nullptr;  // borrowed: the object, or the feed, keeps it
    const std::byte* rows = nullptr;
    std::uint32_t count = 1;
    std::uint32_t row_bytes = 0;
    bool is_wakeup = false;
};

struct Subscription {
    std::uint32_t target = 0;
    std::vector<PyTypeObject*> types;  // owned; empty: all pass
};

struct Node {
    std::string name;
    PyObject* handler = nullptr;  // owned; nullptr for a node that only feeds and posts go out of
    PyObject* on_wakeup = nullptr;
    PyObject* context = nullptr;
    Mode mode = Mode::each;
    std::uint32_t rank = 0;
    bool emits_anything = true;
    std::vector<PyTypeObject*> emits;  // owned
    std::vector<Subscription> subscribers;
    market::LatencySampler latency;
    market::Destination destination;  // set when the graph is frozen
    std::uint32_t name_place = 0;     // its place among the names in order

    base::LogHistogram ticks;
    std::uint64_t received = 0;  // messages, each row of a batch counting
    std::uint64_t emitted = 0;
};

struct Feed {
    std::uint32_t node = 0;
    PyObject* array = nullptr;  // owned, C-contiguous
    PyTypeObject* type = nullptr;
    const std::byte* rows = nullptr;
    std::uint32_t row_bytes = 0;
    std::uint32_t ts_offset = 0;
    std::size_t count = 0;
    std::size_t cursor = 0;

    std::int64_t ts_at(std::size_t row) const noexcept;
};

class Kernel {
  public:
    explicit Kernel(std::uint64_t seed) : seed_(seed) {}
    ~Kernel() { clear(); }
    Kernel(const Kernel&) = delete;
    Kernel& operator=(const Kernel&) = delete;

    // Graph. Each refuses once the graph is frozen, by the first run.
    bool set_audit(PyObject* audit);
    bool add_node(Node node, const market::LatencyModel& latency, std::uint32_t* index);
    bool subscribe(PyObject* target, PyObject* source, std::vector<PyTypeObject*> types);
    bool add_feed(PyObject* node, PyObject* array, PyObject* record_type);
    bool node_index(PyObject* object, const char* what, std::uint32_t* index) const;

    // Running. run() returns how many handler calls it made, nothing when an exception is set.
    std::optional<std::uint64_t> run(std::int64_t until_ns);
    // As if `node` had emitted it at `at_ns`: the id, nothing when an exception is set. origin 0: an origin of its own.
    std::optional<std::uint64_t> post(std::uint32_t node, PyObject* message, std::optional<std::int64_t> at_ns,
                                      std::span<const std::uint64_t> causes, std::uint64_t origin);

    // What the running handler may ask.
    std::int64_t now_ns() const noexcept { return started_ ? now_ns_ : 0; }
    std::span<const std::uint64_t> inputs() const noexcept { return inputs_; }
    std::uint64_t origin_id() const noexcept { return origin_id_; }  // 0 when no handler runs
    std::span<const std::uint64_t> last_ids() const noexcept { return last_ids_; }
    const std::vector<Node>& nodes() const noexcept { return nodes_; }
    double ns_per_tick() const noexcept { return clock_.ns_per_tick(); }
    std::size_t pending() const noexcept { return queue_.size(); }

    // Garbage collection.
    int traverse(visitproc visit, void* arg) const;
    void clear() noexcept;

  private:
    // kernel_graph.cpp
    bool check_open(const char* what) const;
    bool load_wakeup();
    bool freeze();
    void push_feed_step(std::uint32_t index);

    // kernel_dispatch.cpp
    bool dispatch(const market::Event& event);
    bool deliver(market::Event event);
    bool deliver_whole(Node& node, Message& message);
    bool deliver_rows(Node& node, Message& message, market::Event& event);
    bool wake(Node& node, Message& message);
    bool step_feed(std::uint32_t index);
    bool call(Node& node, PyObject* message);
    bool call_with(Node& node, PyObject* function, PyObject** args, std::size_t count);
    bool fail_call(const Node& node) const;
    void begin_handling(const Message& message, std::uint64_t id);
    void end_handling() noexcept;
    void settle(JoinTracker::Origin* origin, market::Destination to);
    PyObject* array_of(Message& message);             // borrowed
    PyObject* one_row_array(const Message& message);  // new reference

    // kernel_join.cpp
    void schedule_joins(JoinTracker::Origin& origin);
    bool deliver_join(Node& node, JoinTracker::Origin& origin);
    PyObject* join_list(std::vector<void*>& messages);

    // kernel_emit.cpp. `exclusive`: nobody but the kernel holds what the draft is made of.
    bool handle_result(Node& node, PyObject* result);
    bool draft_of(const Node& node, PyObject* object, bool exclusive, Draft* draft, bool* recognised);
    bool draft_array(const Node& node, PyObject* array, bool exclusive, Draft* draft);
    bool draft_many(Node& node, PyObject* result);
    bool check_emits(const Node& node, PyObject* object, const Draft& draft) const;
    bool check_ids(std::span<const std::uint64_t> causes, std::uint64_t origin) const;
    bool check_post(const Draft& draft, std::optional<std::int64_t> at_ns) const;
    std::int64_t wakeup_time(PyObject* wakeup) const;
    bool refuse_result(const Node& node, PyObject* object) const;
    bool emission_time(Node& node, std::int64_t* time_ns);
    // Both take over the references of the draft. `origin` 0: an origin of its own.
    bool emit_draft(Node& node, const Draft& draft);
    std::optional<std::uint64_t> emit(std::uint32_t node, const Draft& draft, std::int64_t time_ns,
                                      std::int64_t audit_ns, std::uint64_t origin,
                                      std::span<const std::uint64_t> causes);
    bool audit(const Message& message, std::int64_t time_ns, std::span<const std::uint64_t> causes);
    bool audit_type(PyTypeObject* type, std::uint32_t* id);
    void route(Message& message, std::int64_t time_ns);
    void send(Message& message, std::int64_t time_ns, std::uint32_t target, EventKind kind);
    Message& new_message();
    void release(Message& message) noexcept;

    std::uint64_t seed_;
    std::vector<Node> nodes_;
    std::vector<Feed> feeds_;
    bool frozen_ = false;
    bool running_ = false;
    bool started_ = false;
    PyTypeObject* wakeup_type_ = nullptr;  // fastmas.messages.Wakeup, owned
    std::uint32_t wakeup_offset_ = 0;      // of its at_ns

    market::EventQueue queue_;
    std::optional<JoinTracker> joins_;  // when the graph has any
    std::vector<std::uint32_t> join_nodes_;
    std::vector<std::pair<Message*, std::int64_t>> early_;  // posted before the graph was frozen
    std::int64_t now_ns_ = INT64_MIN;
    std::uint64_t next_id_ = 1;
    std::uint64_t calls_ = 0;

    // Of the call that runs.
    std::vector<std::uint64_t> inputs_;
    std::vector<std::uint64_t> last_ids_;
    std::uint64_t origin_id_ = 0;
    JoinTracker::Origin* origin_ = nullptr;
    std::optional<std::int64_t> emission_ns_;  // drawn once a call, when something is emitted
    std::vector<Draft> drafts_;
    std::vector<void*> joined_;
    std::vector<std::uint32_t> ready_joins_;

    std::deque<Message> messages_;
    Message* free_messages_ = nullptr;

    PyObject* audit_ = nullptr;    // the AuditWriter, for type_id
    PyObject* capsule_ = nullptr;  // keeps the sink
    base::RecordSink* sink_ = nullptr;
    std::vector<std::pair<PyTypeObject*, std::uint32_t>> audit_types_;  // types owned
    std::string payload_;
    base::TickClock clock_;
};

}  // namespace fastmas::bindings
