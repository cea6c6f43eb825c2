#include "consensus/paxos/codec.hpp"
#include "consensus_node_parts.hpp"
#include "consensus_paxos_docs.hpp"
#include "consensus_paxos_types.hpp"

namespace fastmas::bindings {
namespace {

using namespace consensus;
using namespace consensus::paxos;

using Proposed = std::tuple<std::string, BallotPair, Index>;

Proposed as_tuple(const paxos::Proposal& proposal) {
    return {name_of(proposal.status), to_pair(proposal.ballot), proposal.index};
}

Proposed propose(PaxosNode& node, const py::bytes& command, std::int64_t now_ns, std::uint64_t client,
                 std::uint64_t sequence, std::uint64_t acknowledged, std::optional<std::int64_t> expires_ns) {
    const Session session = to_session(client, sequence, acknowledged, expires_ns);
    return as_tuple(node.propose(Payload(std::string_view(command)), session, now_ns));
}

// What compact(index, state) keeps: the caller stores it first.
Snapshot checkpoint(const PaxosNode& node, Index index, const py::bytes& state) {
    if (index > node.applied_index() || index <= node.snapshot().index)
        throw base::ConfigError("checkpoint takes an applied index above the last snapshot's, got " +
                                std::to_string(index) + " with " + std::to_string(node.applied_index()) +
                                " applied and the snapshot at " + std::to_string(node.snapshot().index) +
                                "; snapshot what was applied");
    return {index, node.log().at(index).time_ns, node.memberships_at(index), Payload(std::string_view(state)),
            node.promised()};
}

std::unique_ptr<PaxosNode> make_node(NodeId id, std::vector<NodeId> nodes, bool joining, QuorumPair quorums,
                                     std::uint64_t seed, std::size_t window, std::uint32_t election_ticks,
                                     std::uint32_t heartbeat_ticks, bool ask_first, bool check_quorum,
                                     bool async_storage, std::size_t max_writes_in_flight,
                                     std::uint32_t hung_write_ticks, std::size_t max_pending_reads,
                                     std::size_t max_message_entries, std::size_t max_message_bytes,
                                     std::size_t max_inflight_entries, std::size_t max_open_slots,
                                     std::size_t max_command_bytes, HardState hard_state, std::vector<Entry> entries,
                                     std::optional<Snapshot> snapshot) {
    PaxosConfig config;
    config.id = id;
    config.nodes = std::move(nodes);
    config.joining = joining;
    config.quorums = {quorums.first, quorums.second};
    config.seed = seed;
    config.window = window;
    config.election_ticks = election_ticks;
    config.heartbeat_ticks = heartbeat_ticks;
    config.ask_first = ask_first;
    config.check_quorum = check_quorum;
    config.async_storage = async_storage;
    config.max_writes_in_flight = max_writes_in_flight;
    config.hung_write_ticks = hung_write_ticks;
    config.max_pending_reads = max_pending_reads;
    config.max_message_entries = max_message_entries;
    config.max_message_bytes = max_message_bytes;
    config.max_inflight_entries = max_inflight_entries;
    config.max_open_slots = max_open_slots;
    config.max_command_bytes = max_command_bytes;
    return std::make_unique<PaxosNode>(
        std::move(config),
        paxos::PersistentState{hard_state, std::move(snapshot).value_or(Snapshot{}), std::move(entries)});
}

}  // namespace

void register_paxos_node(py::module_& area) {
    register_paxos_types(area);
    const PaxosConfig usual;
    py::class_<PaxosNode>(area, "PaxosNode", docs::kPaxosNode)
        .def(py::init(&make_node), py::arg("node"), py::arg("nodes"), py::kw_only(), py::arg("joining") = false,
             py::arg("quorums") = QuorumPair(0, 0), py::arg("seed") = 0, py::arg("window") = usual.window,
             py::arg("election_ticks") = usual.election_ticks, py::arg("heartbeat_ticks") = usual.heartbeat_ticks,
             py::arg("ask_first") = true, py::arg("check_quorum") = true, py::arg("async_storage") = false,
             py::arg("max_writes_in_flight") = usual.max_writes_in_flight,
             py::arg("hung_write_ticks") = usual.hung_write_ticks,
             py::arg("max_pending_reads") = usual.max_pending_reads,
             py::arg("max_message_entries") = usual.max_message_entries,
             py::arg("max_message_bytes") = usual.max_message_bytes,
             py::arg("max_inflight_entries") = usual.max_inflight_entries,
             py::arg("max_open_slots") = usual.max_open_slots, py::arg("max_command_bytes") = usual.max_command_bytes,
             py::arg("hard_state") = HardState(), py::arg("entries") = std::vector<Entry>(),
             py::arg("snapshot") = py::none())
        .def(
            "tick", [](PaxosNode& n, std::optional<std::int64_t>) { n.tick(); }, py::arg("now_ns") = py::none(),
            docs::kPaxosTick)
        .def("step", &step_bytes<paxos::Message, PaxosNode>, py::arg("message"), docs::kPaxosStep)
        .def("propose", &propose, py::arg("command"), py::arg("now_ns") = 0, py::arg("client") = 0,
             py::arg("sequence") = 0, py::arg("acknowledged") = 0, py::arg("expires_ns") = py::none(),
             docs::kPaxosPropose)
        .def(
            "change_membership",
            [](PaxosNode& n, const Membership& target, std::int64_t now_ns) {
                return as_tuple(n.change_membership(target, now_ns));
            },
            py::arg("target"), py::arg("now_ns") = 0, docs::kPaxosChangeMembership)
        .def(
            "read", [](PaxosNode& n, std::uint64_t context) { return name_of_read(n.read(context)); },
            py::arg("context"), docs::kPaxosRead)
        .def("has_ready", &PaxosNode::has_ready, "Whether there is something to do.")
        .def(
            "ready", [](PaxosNode& n) { return copy_ready(n); },
            "What is to be done now: a `PaxosReady`, complete until `advance`.")
        .def("advance", &PaxosNode::advance, "All that the last `ready()` asked for is done.")
        .def("stored", &PaxosNode::stored, py::arg("write"), docs::kPaxosStored)
        .def("checkpoint", &checkpoint, py::arg("index"), py::arg("state"), docs::kPaxosCheckpoint)
        .def(
            "compact",
            [](PaxosNode& n, Index index, const py::bytes& state) {
                n.compact(index, Payload(std::string_view(state)));
            },
            py::arg("index"), py::arg("state"), docs::kPaxosCompact)
        .def_property_readonly("node", &PaxosNode::id)
        .def_property_readonly("role", [](const PaxosNode& n) { return to_string(n.role()); })
        .def_property_readonly("ballot", [](const PaxosNode& n) { return to_pair(n.ballot()); })
        .def_property_readonly("promised", [](const PaxosNode& n) { return to_pair(n.promised()); })
        .def_property_readonly("leader", &leader_of<PaxosNode>)
        .def_property_readonly("membership", &PaxosNode::membership,
                               "The `PaxosMembership` that governs the slot after `commit_index`.")
        .def_property_readonly("change_is_open", &PaxosNode::change_is_open,
                               "Of a leader: whether `change_membership` would say 'busy'.")
        .def_property_readonly("commit_index", &PaxosNode::commit_index)
        .def_property_readonly("applied_index", &PaxosNode::applied_index)
        .def_property_readonly("last_index", [](const PaxosNode& n) { return n.log().last_index(); })
        .def_property_readonly("dropped", [](const PaxosNode& n) { return n.counters().dropped; });
}

}  // namespace fastmas::bindings
