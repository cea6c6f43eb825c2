// What a PaxosNode of Python stores, sends and hands out, as Python has it.
#include "consensus_paxos_types.hpp"

#include <algorithm>

#include "consensus/paxos/codec.hpp"
#include "consensus_node_parts.hpp"
#include "consensus_paxos_docs.hpp"

namespace fastmas::bindings {
namespace {

using namespace consensus;
using namespace consensus::paxos;

Ballot to_ballot(const BallotPair& ballot) {
    if ((ballot.first == 0) != (ballot.second == kNoNode))
        throw base::ConfigError("a ballot is (number, node), both from 1, or (0, 0) for none, got (" +
                                std::to_string(ballot.first) + ", " + std::to_string(ballot.second) +
                                "); pass it as a node showed it");
    return {ballot.first, ballot.second};
}

Entry make_log_entry(const BallotPair& ballot, Index index, std::int64_t time_ns, const std::string& kind,
                     const py::bytes& command, std::uint64_t client, std::uint64_t sequence, std::uint64_t acknowledged,
                     std::optional<std::int64_t> expires_ns) {
    return {to_ballot(ballot), index,
            time_ns,           to_session(client, sequence, acknowledged, expires_ns),
            kind_named(kind),  Payload(std::string_view(command))};
}

Membership make_membership(std::vector<NodeId> voters, std::vector<NodeId> learners, QuorumPair quorums, Index id,
                           Index governs_from) {
    for (auto* list : {&voters, &learners}) std::sort(list->begin(), list->end());
    Membership made{id, governs_from, std::move(voters), std::move(learners), {quorums.first, quorums.second}};
    made.quorums = with_majorities(made.quorums, made.voters.size());
    if (const std::string problem = problem_of(made); !problem.empty()) throw base::ConfigError(problem);
    return made;
}

Snapshot make_snapshot(Index index, const BallotPair& ballot, std::int64_t time_ns, std::vector<Membership> memberships,
                       const py::bytes& state) {
    return {index, time_ns, std::move(memberships), Payload(std::string_view(state)), to_ballot(ballot)};
}

std::string text_of(const std::vector<NodeId>& nodes) {
    return py::repr(py::cast(nodes)).cast<std::string>();
}

std::string text_of(const Ballot& ballot) {
    return "(" + std::to_string(ballot.number) + ", " + std::to_string(ballot.node) + ")";
}

std::string show(const Membership& membership) {
    return "PaxosMembership(" + text_of(membership.voters) +
           (membership.learners.empty() ? "" : ", learners=" + text_of(membership.learners)) + ", quorums=(" +
           std::to_string(membership.quorums.prepare) + ", " + std::to_string(membership.quorums.accept) +
           "), id=" + std::to_string(membership.id) + ", governs_from=" + std::to_string(membership.from) + ")";
}

std::string show(const HardState& state) {
    return "PaxosHardState(promised=" + text_of(state.promised) + ", commit=" + std::to_string(state.commit) + ")";
}

std::string show(const Entry& entry) {
    return "PaxosEntry(ballot=" + text_of(entry.ballot) + ", index=" + std::to_string(entry.index) +
           ", time_ns=" + std::to_string(entry.time_ns) + ", kind='" + name_of(entry.kind) +
           "', command=" + py::repr(to_bytes(entry.command)).cast<std::string>() + ")";
}

}  // namespace

PaxosReadyCopy copy_ready(PaxosNode& node) {
    const Ready& ready = node.ready();
    PaxosReadyCopy copy;
    copy_what_all_have(ready, copy);
    for (const Entry& entry : ready.entries)
        if (entry.ballot) copy.entries.push_back(entry);  // of holes nothing is stored
    for (const ReadState& read : ready.reads) copy.reads.push_back({read.context, read.index, read.is_confirmed});
    return copy;
}

void register_paxos_types(py::module_& area) {
    py::class_<Entry> entry(area, "PaxosEntry", docs::kPaxosEntry);
    define_entry(entry);
    entry
        .def(py::init(&make_log_entry), py::arg("ballot"), py::arg("index"), py::arg("time_ns"),
             py::arg("kind") = "command", py::arg("command") = py::bytes(), py::arg("client") = 0,
             py::arg("sequence") = 0, py::arg("acknowledged") = 0, py::arg("expires_ns") = py::none())
        .def_property_readonly("ballot", [](const Entry& e) { return to_pair(e.ballot); })
        .def("__hash__", [](const Entry& e) { return e.index * 1'000'003 + e.ballot.number; })
        .def("__repr__", [](const Entry& e) { return show(e); });
    py::class_<HardState>(area, "PaxosHardState", docs::kPaxosHardState)
        .def(py::init([](const BallotPair& promised, Index commit) {
                 return HardState{to_ballot(promised), commit};
             }),
             py::arg("promised") = BallotPair(0, 0), py::arg("commit") = 0)
        .def_property_readonly("promised", [](const HardState& h) { return to_pair(h.promised); })
        .def_readonly("commit", &HardState::commit)
        .def(
            "__eq__", [](const HardState& a, const HardState& b) { return a == b; }, py::is_operator())
        .def("__hash__", [](const HardState& h) { return h.promised.number * 1'000'003 + h.commit; })
        .def("__repr__", [](const HardState& h) { return show(h); });
    py::class_<Membership>(area, "PaxosMembership", docs::kPaxosMembership)
        .def(py::init(&make_membership), py::arg("voters"), py::arg("learners") = std::vector<NodeId>(),
             py::arg("quorums") = QuorumPair(0, 0), py::arg("id") = 0, py::arg("governs_from") = 1)
        .def_readonly("id", &Membership::id)
        .def_readonly("governs_from", &Membership::from)
        .def_readonly("voters", &Membership::voters)
        .def_readonly("learners", &Membership::learners)
        .def_property_readonly("quorums",
                               [](const Membership& m) { return QuorumPair(m.quorums.prepare, m.quorums.accept); })
        .def(
            "__eq__", [](const Membership& a, const Membership& b) { return a == b; }, py::is_operator())
        .def("__hash__", [](const Membership& m) { return m.id * 1'000'003 + m.voters.size(); })
        .def("__repr__", [](const Membership& m) { return show(m); });
    py::class_<Snapshot>(area, "PaxosSnapshot", docs::kPaxosSnapshot)
        .def(py::init(&make_snapshot), py::arg("index"), py::arg("ballot"), py::arg("time_ns"), py::arg("memberships"),
             py::arg("state"))
        .def_readonly("index", &Snapshot::index)
        .def_readonly("time_ns", &Snapshot::time_ns)
        .def_readonly("memberships", &Snapshot::memberships)
        .def_property_readonly("ballot", [](const Snapshot& s) { return to_pair(s.ballot); })
        .def_property_readonly("state", [](const Snapshot& s) { return to_bytes(s.state); });
    py::class_<PaxosReadyCopy>(area, "PaxosReady", docs::kPaxosReady)
        .def_readonly("snapshot", &PaxosReadyCopy::snapshot)
        .def_readonly("entries", &PaxosReadyCopy::entries)
        .def_readonly("hard_state", &PaxosReadyCopy::hard_state)
        .def_readonly("must_sync", &PaxosReadyCopy::must_sync)
        .def_readonly("write", &PaxosReadyCopy::write)
        .def_readonly("messages", &PaxosReadyCopy::messages)
        .def_readonly("committed", &PaxosReadyCopy::committed)
        .def_readonly("reads", &PaxosReadyCopy::reads);
}

}  // namespace fastmas::bindings
