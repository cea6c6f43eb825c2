// What the nodes of all protocols have in common as Python has them.
#pragma once

#include <pybind11/stl.h>

#include <array>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/errors.hpp"
#include "bindings.hpp"
#include "consensus/session.hpp"
#include "consensus_objects.hpp"

namespace fastmas::bindings {

inline const char* name_of(consensus::ProposeStatus status) {
    static constexpr std::array kNames{"appended", "not_leader", "too_large", "full", "busy", "refused"};
    return kNames[static_cast<std::size_t>(status)];
}

// Of the protocol's own ReadStatus: they have the same names.
template <class ReadStatus>
const char* name_of_read(ReadStatus status) {
    static constexpr std::array kNames{"registered", "not_leader", "full"};
    return kNames[static_cast<std::size_t>(status)];
}

inline const char* name_of(consensus::EntryKind kind) {
    static constexpr std::array kNames{"noop", "command", "membership"};
    return kNames[static_cast<std::size_t>(kind)];
}

inline consensus::EntryKind kind_named(const std::string& name) {
    using consensus::EntryKind;
    for (const EntryKind kind : {EntryKind::noop, EntryKind::command, EntryKind::membership})
        if (name == name_of(kind)) return kind;
    throw base::ConfigError("kind must be 'noop', 'command' or 'membership', got '" + name + "'; use 'command'");
}

inline consensus::Session to_session(std::uint64_t client, std::uint64_t sequence, std::uint64_t acknowledged,
                                     std::optional<std::int64_t> expires_ns) {
    return {client, sequence, acknowledged, expires_ns.value_or(INT64_MAX)};
}

// Command and session of an entry of a protocol's log, which names them alike.
template <class Entry>
void define_entry(py::class_<Entry>& type) {
    using consensus::EntryKind;
    type.def_readonly("index", &Entry::index)
        .def_readonly("time_ns", &Entry::time_ns)
        .def_property_readonly("kind", [](const Entry& e) { return name_of(e.kind); })
        .def_property_readonly("is_command", [](const Entry& e) { return e.kind == EntryKind::command; })
        .def_property_readonly("command", [](const Entry& e) { return to_bytes(e.command); })
        .def_property_readonly("client", [](const Entry& e) { return e.session.client; })
        .def_property_readonly("sequence", [](const Entry& e) { return e.session.sequence; })
        .def_property_readonly("acknowledged", [](const Entry& e) { return e.session.acknowledged; })
        .def_property_readonly(
            "expires_ns",
            [](const Entry& e) { return expires(e.session) ? std::optional(e.session.expires_ns) : std::nullopt; })
        .def(
            "__eq__", [](const Entry& a, const Entry& b) { return a == b; }, py::is_operator());
}

// What a Ready of any protocol says, as copies that stay valid after advance(); its writes are the protocol's own.
template <class Ready, class Copy>
void copy_what_all_have(const Ready& ready, Copy& copy) {
    if (ready.snapshot != nullptr) copy.snapshot = *ready.snapshot;
    if (ready.hard_state != nullptr) copy.hard_state = *ready.hard_state;
    copy.must_sync = ready.must_sync;
    copy.write = ready.write;
    std::vector<std::byte> bytes;
    for (const auto& message : ready.messages) {
        bytes.clear();
        encode(message, bytes);
        copy.messages.emplace_back(message.to, py::bytes(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    }
    copy.committed.assign(ready.committed.begin(), ready.committed.end());
}

// False for bytes that are no message; the node drops and counts what it may not act on.
template <class Message, class Node>
bool step_bytes(Node& node, const py::bytes& data) {
    Message message;
    const std::string_view view = data;
    if (decode(std::as_bytes(std::span(view.data(), view.size())), message) != nullptr) return false;
    const auto dropped = node.counters().dropped;
    node.step(message);
    return node.counters().dropped == dropped;
}

template <class Node>
std::optional<consensus::NodeId> leader_of(const Node& node) {
    return node.leader() == consensus::kNoNode ? std::nullopt : std::optional(node.leader());
}

}  // namespace fastmas::bindings
