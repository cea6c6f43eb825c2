// Delivery to joins: one call for all that an instant of a feed has led to.
#include <algorithm>

#include "kernel.hpp"
#include "python_errors.hpp"

namespace fastmas::bindings {

void Kernel::schedule_joins(JoinTracker::Origin& origin) {
    ready_joins_.clear();
    joins_->schedule_ready(origin, ready_joins_);
    for (const std::uint32_t join : ready_joins_) {
        // An event of its own, so that a join acts in its rank's turn like everybody else.
        market::Event event;
        event.time_ns = now_ns_;
        event.subject = &origin;
        event.target = static_cast<std::uint16_t>(join_nodes_[join]);
        event.kind = kJoin;
        queue_.push(event, nodes_[join_nodes_[join]].rank + 1);
    }
}

bool Kernel::deliver_join(Node& node, JoinTracker::Origin& origin) {
    joins_->take(origin, node.destination.join, joined_);
    if (joined_.empty()) return true;  // something of the origin was posted in between; it will be scheduled again
    std::sort(joined_.begin(), joined_.end(), [this](const void* a, const void* b) {
        const auto &left = *static_cast<const Message*>(a), &right = *static_cast<const Message*>(b);
        if (left.source != right.source) return nodes_[left.source].name_place < nodes_[right.source].name_place;
        return left.id < right.id;
    });
    begin_handling(*static_cast<Message*>(joined_.front()), 0);
    inputs_.clear();
    for (const void* message : joined_) {
        inputs_.push_back(static_cast<const Message*>(message)->id);
        node.received += static_cast<const Message*>(message)->count;
    }
    PyObject* list = join_list(joined_);
    const bool done = list != nullptr && call(node, list);
    Py_XDECREF(list);
    for (void* message : joined_) {
        joins_->handled(origin, node.destination);
        release(*static_cast<Message*>(message));
    }
    joined_.clear();
    schedule_joins(origin);
    joins_->close_if_done(&origin);
    origin_ = nullptr;
    return done;
}

PyObject* Kernel::join_list(std::vector<void*>& messages) {
    PyObject* list = PyList_New(static_cast<Py_ssize_t>(messages.size()));
    for (std::size_t i = 0; list != nullptr && i < messages.size(); ++i) {
        auto& message = *static_cast<Message*>(messages[i]);
        PyObject* item = message.rows != nullptr ? array_of(message) : message.object;
        if (item == nullptr)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, static_cast<Py_ssize_t>(i), Py_NewRef(item));
    }
    return list;
}

}  // namespace fastmas::bindings
