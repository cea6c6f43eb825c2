// What a RaftNode of Python stores, sends and hands out, as Python has it.
#include "consensus_raft_types.hpp"

#include "consensus/raft/codec.hpp"
#include "consensus_node_parts.hpp"
#include "consensus_raft_docs.hpp"

namespace fastmas::bindings {
namespace {

using namespace consensus;
using namespace consensus::raft;

Entry make_log_entry(Term term, Index index, std::int64_t time_ns, const std::string& kind, const py::bytes& command,
                     std::uint64_t client, std::uint64_t sequence, std::uint64_t acknowledged,
                     std::optional<std::int64_t> expires_ns) {
    return {term,
            index,
            time_ns,
            to_session(client, sequence, acknowledged, expires_ns),
            kind_named(kind),
            Payload(std::string_view(command))};
}

Membership make_membership(std::vector<NodeId> voters, std::vector<NodeId> learners, std::vector<NodeId> witnesses,
                           std::vector<NodeId> outgoing, Index id) {
    Membership made(std::move(voters));
    made.id = id;
    for (auto [to, from] :
         {std::pair{&made.learners, &learners}, {&made.witnesses, &witnesses}, {&made.outgoing, &outgoing}}) {
        std::sort(from->begin(), from->end());
        *to = std::move(*from);
    }
    if (const std::string problem = problem_of(made); !problem.empty()) throw base::ConfigError(problem);
    return made;
}

Snapshot make_snapshot(Index index, Term term, std::int64_t time_ns, const py::object& membership,
                       const py::bytes& state) {
    Membership members = py::isinstance<Membership>(membership)
                             ? membership.cast<Membership>()
                             : make_membership(membership.cast<std::vector<NodeId>>(), {}, {}, {}, 0);
    return {index, term, time_ns, std::move(members), Payload(std::string_view(state))};
}

std::string text_of(const std::vector<NodeId>& nodes) {
    return py::repr(py::cast(nodes)).cast<std::string>();
}

std::string show(const Membership& membership) {
    std::string text = "Membership(" + text_of(membership.voters);
    for (const auto& [name, nodes] : {std::pair{"learners", &membership.learners},
                                      {"witnesses", &membership.witnesses},
                                      {"outgoing", &membership.outgoing}})
        if (!nodes->empty()) text += ", " + std::string(name) + "=" + text_of(*nodes);
    return text + ", id=" + std::to_string(membership.id) + ")";
}

std::string show(const HardState& state) {
    return "HardState(term=" + std::to_string(state.term) + ", vote=" + std::to_string(state.vote) + ", lost=(" +
           std::to_string(state.lost.term) + ", " + std::to_string(state.lost.index) + "))";
}

std::string show(const Entry& entry) {
    return "LogEntry(term=" + std::to_string(entry.term) + ", index=" + std::to_string(entry.index) +
           ", time_ns=" + std::to_string(entry.time_ns) + ", kind='" + name_of(entry.kind) +
           "', command=" + py::repr(to_bytes(entry.command)).cast<std::string>() + ")";
}

}  // namespace

ReadyCopy copy_ready(RaftNode& node) {
    const Ready& ready = node.ready();
    ReadyCopy copy;
    copy_what_all_have(ready, copy);
    copy.entries.assign(ready.entries.begin(), ready.entries.end());
    copy.reads.assign(ready.reads.begin(), ready.reads.end());
    return copy;
}

void register_raft_types(py::module_& area) {
    py::class_<Entry> entry(area, "LogEntry", docs::kLogEntry);
    define_entry(entry);
    entry
        .def(py::init(&make_log_entry), py::arg("term"), py::arg("index"), py::arg("time_ns"),
             py::arg("kind") = "command", py::arg("command") = py::bytes(), py::arg("client") = 0,
             py::arg("sequence") = 0, py::arg("acknowledged") = 0, py::arg("expires_ns") = py::none())
        .def_readonly("term", &Entry::term)
        .def("__hash__", [](const Entry& e) { return e.index * 1'000'003 + e.term; })
        .def("__repr__", [](const Entry& e) { return show(e); });
    py::class_<HardState>(area, "HardState", docs::kHardState)
        .def(py::init([](Term term, NodeId vote, std::pair<Term, Index> lost) {
                 return HardState{term, vote, {lost.first, lost.second}};
             }),
             py::arg("term") = 0, py::arg("vote") = 0, py::arg("lost") = std::pair<Term, Index>(0, 0))
        .def_readonly("term", &HardState::term)
        .def_readonly("vote", &HardState::vote)
        .def_property_readonly("lost", [](const HardState& h) { return std::pair(h.lost.term, h.lost.index); })
        .def(
            "__eq__", [](const HardState& a, const HardState& b) { return a == b; }, py::is_operator())
        .def("__hash__", [](const HardState& h) { return h.term * 1'000'003 + h.vote; })
        .def("__repr__", [](const HardState& h) { return show(h); });
    py::class_<Membership>(area, "Membership", docs::kMembership)
        .def(py::init(&make_membership), py::arg("voters"), py::arg("learners") = std::vector<NodeId>(),
             py::arg("witnesses") = std::vector<NodeId>(), py::arg("outgoing") = std::vector<NodeId>(),
             py::arg("id") = 0)
        .def_readonly("id", &Membership::id)
        .def_readonly("voters", &Membership::voters)
        .def_readonly("outgoing", &Membership::outgoing)
        .def_readonly("learners", &Membership::learners)
        .def_readonly("witnesses", &Membership::witnesses)
        .def_property_readonly("is_joint", &Membership::is_joint)
        .def(
            "__eq__", [](const Membership& a, const Membership& b) { return a == b; }, py::is_operator())
        .def("__hash__", [](const Membership& m) { return m.id * 1'000'003 + m.voters.size(); })
        .def("__repr__", [](const Membership& m) { return show(m); });
    py::class_<Snapshot>(area, "Snapshot", docs::kSnapshot)
        .def(py::init(&make_snapshot), py::arg("index"), py::arg("term"), py::arg("time_ns"), py::arg("membership"),
             py::arg("state"))
        .def_readonly("index", &Snapshot::index)
        .def_readonly("term", &Snapshot::term)
        .def_readonly("time_ns", &Snapshot::time_ns)
        .def_readonly("membership", &Snapshot::membership)
        .def_property_readonly("state", [](const Snapshot& s) { return to_bytes(s.state); });
    py::class_<ReadState>(area, "ReadState", docs::kReadState)
        .def_readonly("context", &ReadState::context)
        .def_readonly("index", &ReadState::index)
        .def_readonly("is_confirmed", &ReadState::is_confirmed)
        .def_property_readonly("valid_until_ns", [](const ReadState& r) {
            return r.valid_until_ns == INT64_MAX ? std::nullopt : std::optional(r.valid_until_ns);
        });
    py::class_<ReadyCopy>(area, "Ready", docs::kReady)
        .def_readonly("snapshot", &ReadyCopy::snapshot)
        .def_readonly("entries", &ReadyCopy::entries)
        .def_readonly("hard_state", &ReadyCopy::hard_state)
        .def_readonly("must_sync", &ReadyCopy::must_sync)
        .def_readonly("write", &ReadyCopy::write)
        .def_readonly("messages", &ReadyCopy::messages)
        .def_readonly("committed", &ReadyCopy::committed)
        .def_readonly("reads", &ReadyCopy::reads);
}

}  // namespace fastmas::bindings
