#include <pybind11/stl.h>

#include "consensus/raft/codec.hpp"
#include "consensus/raft/node.hpp"
#include "consensus_objects.hpp"

namespace fastmas::bindings {
namespace {

using namespace consensus;
using namespace consensus::raft;

// What Python keeps of a Ready: copies, valid after advance().
struct ReadyCopy {
    std::optional<Snapshot> snapshot;
    std::vector<Entry> entries;
    std::optional<std::pair<Term, NodeId>> hard_state;
    bool must_sync = false;
    std::uint64_t write = 0;
    std::vector<std::pair<NodeId, py::bytes>> messages;
    std::vector<Entry> committed;
};

ReadyCopy copy_ready(RaftNode& node) {
    const Ready& ready = node.ready();
    ReadyCopy copy;
    if (ready.snapshot != nullptr) copy.snapshot = *ready.snapshot;
    copy.entries.assign(ready.entries.begin(), ready.entries.end());
    if (ready.hard_state != nullptr) copy.hard_state = {ready.hard_state->term, ready.hard_state->vote};
    copy.must_sync = ready.must_sync;
    copy.write = ready.write;
    std::vector<std::byte> bytes;
    for (const Message& message : ready.messages) {
        bytes.clear();
        encode(message, bytes);
        copy.messages.emplace_back(message.to, py::bytes(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    }
    copy.committed.assign(ready.committed.begin(), ready.committed.end());
    return copy;
}

// False for bytes that are no message; the node drops and counts what it may not act on.
bool step_bytes(RaftNode& node, const py::bytes& data) {
    Message message;
    const std::string_view view = data;
    if (decode(std::as_bytes(std::span(view.data(), view.size())), message) != nullptr) return false;
    const auto dropped = node.counters().dropped;
    node.step(message);
    return node.counters().dropped == dropped;
}

std::tuple<std::string, Term, Index> propose(RaftNode& node, const py::bytes& command, std::int64_t now_ns,
                                             std::uint64_t client, std::uint64_t sequence) {
    static const char* const names[] = {"appended", "not_leader", "too_large", "full", "busy"};
    const Proposal proposal = node.propose(Payload(std::string_view(command)), {client, sequence, 0}, now_ns);
    return {names[static_cast<std::size_t>(proposal.status)], proposal.term, proposal.index};
}

std::unique_ptr<RaftNode> make_node(NodeId id, std::vector<NodeId> voters, std::uint64_t seed,
                                    std::uint32_t election_ticks, std::uint32_t heartbeat_ticks, bool pre_vote,
                                    bool check_quorum, bool async_storage, std::pair<Term, NodeId> hard_state,
                                    std::vector<Entry> entries, std::optional<Snapshot> snapshot) {
    RaftConfig config;
    config.id = id;
    config.voters = std::move(voters);
    config.seed = seed;
    config.election_ticks = election_ticks;
    config.heartbeat_ticks = heartbeat_ticks;
    config.pre_vote = pre_vote;
    config.check_quorum = check_quorum;
    config.async_storage = async_storage;
    return std::make_unique<RaftNode>(
        std::move(config),
        PersistentState{{hard_state.first, hard_state.second}, snapshot.value_or(Snapshot{}), std::move(entries)});
}

Entry make_log_entry(Term term, Index index, std::int64_t time_ns, bool is_command, const py::bytes& command,
                     std::uint64_t client, std::uint64_t sequence) {
    return {term,
            index,
            time_ns,
            {client, sequence, 0},
            is_command ? EntryKind::command : EntryKind::noop,
            Payload(std::string_view(command))};
}

}  // namespace

void register_raft_node(py::module_& area) {
    py::class_<Entry>(area, "LogEntry", "An entry as the log holds it: with its term and its place.")
        .def(py::init(&make_log_entry), py::arg("term"), py::arg("index"), py::arg("time_ns"), py::arg("is_command"),
             py::arg("command"), py::arg("client") = 0, py::arg("sequence") = 0)
        .def_readonly("term", &Entry::term)
        .def_readonly("index", &Entry::index)
        .def_readonly("time_ns", &Entry::time_ns)
        .def_property_readonly("is_command", [](const Entry& e) { return e.kind == EntryKind::command; })
        .def_property_readonly("command", [](const Entry& e) { return to_bytes(e.command); })
        .def_property_readonly("client", [](const Entry& e) { return e.session.client; })
        .def_property_readonly("sequence", [](const Entry& e) { return e.session.sequence; })
        .def(
            "__eq__", [](const Entry& a, const Entry& b) { return a == b; }, py::is_operator())
        .def("__hash__", [](const Entry& e) { return e.index * 1'000'003 + e.term; });
    py::class_<Snapshot>(area, "Snapshot", "The state machine as of an index.")
        .def(py::init([](Index index, Term term, std::int64_t time_ns, std::vector<NodeId> voters,
                         const py::bytes& state) {
                 return Snapshot{index, term, time_ns, Membership(std::move(voters)), Payload(std::string_view(state))};
             }),
             py::arg("index"), py::arg("term"), py::arg("time_ns"), py::arg("voters"), py::arg("state"))
        .def_readonly("index", &Snapshot::index)
        .def_readonly("term", &Snapshot::term)
        .def_readonly("time_ns", &Snapshot::time_ns)
        .def_property_readonly("voters", [](const Snapshot& s) { return s.membership.voters; })
        .def_property_readonly("state", [](const Snapshot& s) { return to_bytes(s.state); });
    py::class_<ReadyCopy>(area, "Ready", "What a node wants done, in the order of its fields; then advance().")
        .def_readonly("snapshot", &ReadyCopy::snapshot)
        .def_readonly("entries", &ReadyCopy::entries)
        .def_readonly("hard_state", &ReadyCopy::hard_state)
        .def_readonly("must_sync", &ReadyCopy::must_sync)
        .def_readonly("write", &ReadyCopy::write)
        .def_readonly("messages", &ReadyCopy::messages)
        .def_readonly("committed", &ReadyCopy::committed);
    py::class_<RaftNode>(area, "RaftNode",
                         "One Raft participant without I/O; the caller owns time, network, disk and state machine.")
        .def(py::init(&make_node), py::arg("node"), py::arg("voters"), py::kw_only(), py::arg("seed") = 0,
             py::arg("election_ticks") = 10, py::arg("heartbeat_ticks") = 2, py::arg("pre_vote") = true,
             py::arg("check_quorum") = true, py::arg("async_storage") = false,
             py::arg("hard_state") = std::pair<Term, NodeId>(0, 0), py::arg("entries") = std::vector<Entry>(),
             py::arg("snapshot") = py::none())
        .def("tick", py::overload_cast<>(&RaftNode::tick))
        .def("step", &step_bytes, py::arg("message"))
        .def("propose", &propose, py::arg("command"), py::arg("now_ns") = 0, py::arg("client") = 0,
             py::arg("sequence") = 0)
        .def("has_ready", &RaftNode::has_ready)
        .def("ready", &copy_ready)
        .def("advance", &RaftNode::advance)
        .def("stored", &RaftNode::stored, py::arg("write"))
        .def(
            "compact",
            [](RaftNode& n, Index index, const py::bytes& state) {
                n.compact(index, Payload(std::string_view(state)));
            },
            py::arg("index"), py::arg("state"))
        .def_property_readonly("node", &RaftNode::id)
        .def_property_readonly("role", [](const RaftNode& n) { return to_string(n.role()); })
        .def_property_readonly("term", &RaftNode::term)
        .def_property_readonly(
            "leader",
            [](const RaftNode& n) { return n.leader() == kNoNode ? std::nullopt : std::optional(n.leader()); })
        .def_property_readonly("commit_index", &RaftNode::commit_index)
        .def_property_readonly("last_index", [](const RaftNode& n) { return n.log().last_index(); })
        .def_property_readonly("dropped", [](const RaftNode& n) { return n.counters().dropped; });
}

}  // namespace fastmas::bindings
