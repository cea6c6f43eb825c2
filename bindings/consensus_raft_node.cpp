#include "consensus/raft/codec.hpp"
#include "consensus_node_parts.hpp"
#include "consensus_raft_docs.hpp"
#include "consensus_raft_types.hpp"

namespace fastmas::bindings {
namespace {

using namespace consensus;
using namespace consensus::raft;

std::tuple<std::string, Term, Index> as_tuple(const Proposal& proposal) {
    return {name_of(proposal.status), proposal.term, proposal.index};
}

void tick(RaftNode& node, std::optional<std::int64_t> now_ns) {
    now_ns ? node.tick(*now_ns) : node.tick();
}

std::tuple<std::string, Term, Index> propose(RaftNode& node, const py::bytes& command, std::int64_t now_ns,
                                             std::uint64_t client, std::uint64_t sequence, std::uint64_t acknowledged,
                                             std::optional<std::int64_t> expires_ns) {
    const Session session = to_session(client, sequence, acknowledged, expires_ns);
    return as_tuple(node.propose(Payload(std::string_view(command)), session, now_ns));
}

std::unique_ptr<RaftNode> make_node(NodeId id, std::vector<NodeId> voters, std::vector<NodeId> learners,
                                    std::vector<NodeId> witnesses, bool joining, bool witness, std::uint64_t seed,
                                    std::uint32_t election_ticks, std::uint32_t heartbeat_ticks, bool pre_vote,
                                    bool check_quorum, bool async_storage, std::uint32_t priority,
                                    std::int64_t lease_ns, std::int64_t max_clock_ahead_ns,
                                    std::size_t max_inflight_entries, std::size_t max_inflight_bytes,
                                    std::size_t max_uncommitted_entries, std::size_t max_uncommitted_bytes,
                                    std::size_t max_command_bytes, std::size_t max_snapshot_part_bytes,
                                    std::size_t max_snapshot_bytes, HardState hard_state, std::vector<Entry> entries,
                                    std::optional<Snapshot> snapshot, std::pair<Term, Index> lost) {
    RaftConfig config;
    config.id = id;
    config.voters = std::move(voters);
    config.learners = std::move(learners);
    config.witnesses = std::move(witnesses);
    config.joining = joining;
    config.witness = witness;
    config.seed = seed;
    config.election_ticks = election_ticks;
    config.heartbeat_ticks = heartbeat_ticks;
    config.pre_vote = pre_vote;
    config.check_quorum = check_quorum;
    config.async_storage = async_storage;
    config.priority = priority;
    config.lease_ns = lease_ns;
    config.max_clock_ahead_ns = max_clock_ahead_ns;
    config.max_inflight_entries = max_inflight_entries;
    config.max_inflight_bytes = max_inflight_bytes;
    config.max_uncommitted_entries = max_uncommitted_entries;
    config.max_uncommitted_bytes = max_uncommitted_bytes;
    config.max_snapshot_part_bytes = max_snapshot_part_bytes;
    config.max_snapshot_bytes = max_snapshot_bytes;
    config.max_command_bytes = max_command_bytes;
    return std::make_unique<RaftNode>(
        std::move(config),
        PersistentState{hard_state, snapshot.value_or(Snapshot{}), std::move(entries), {lost.first, lost.second}});
}

}  // namespace

void register_raft_node(py::module_& area) {
    register_raft_types(area);
    const RaftConfig usual;
    py::class_<RaftNode>(area, "RaftNode", docs::kRaftNode)
        .def(py::init(&make_node), py::arg("node"), py::arg("voters"), py::kw_only(),
             py::arg("learners") = std::vector<NodeId>(), py::arg("witnesses") = std::vector<NodeId>(),
             py::arg("joining") = false, py::arg("witness") = false, py::arg("seed") = 0,
             py::arg("election_ticks") = usual.election_ticks, py::arg("heartbeat_ticks") = usual.heartbeat_ticks,
             py::arg("pre_vote") = true, py::arg("check_quorum") = true, py::arg("async_storage") = false,
             py::arg("priority") = 0, py::arg("lease_ns") = 0, py::arg("max_clock_ahead_ns") = usual.max_clock_ahead_ns,
             py::arg("max_inflight_entries") = usual.max_inflight_entries,
             py::arg("max_inflight_bytes") = usual.max_inflight_bytes,
             py::arg("max_uncommitted_entries") = usual.max_uncommitted_entries,
             py::arg("max_uncommitted_bytes") = usual.max_uncommitted_bytes,
             py::arg("max_command_bytes") = usual.max_command_bytes,
             py::arg("max_snapshot_part_bytes") = usual.max_snapshot_part_bytes,
             py::arg("max_snapshot_bytes") = usual.max_snapshot_bytes, py::arg("hard_state") = HardState(),
             py::arg("entries") = std::vector<Entry>(), py::arg("snapshot") = py::none(),
             py::arg("lost") = std::pair<Term, Index>(0, 0))
        .def("tick", &tick, py::arg("now_ns") = py::none(), docs::kTick)
        .def("set_clock", &RaftNode::set_clock, py::arg("now_ns"), docs::kSetClock)
        .def("step", &step_bytes<Message, RaftNode>, py::arg("message"), docs::kStep)
        .def("propose", &propose, py::arg("command"), py::arg("now_ns") = 0, py::arg("client") = 0,
             py::arg("sequence") = 0, py::arg("acknowledged") = 0, py::arg("expires_ns") = py::none(), docs::kPropose)
        .def(
            "change_membership",
            [](RaftNode& n, const Membership& target, std::int64_t now_ns) {
                return as_tuple(n.change_membership(target, now_ns));
            },
            py::arg("target"), py::arg("now_ns") = 0, docs::kChangeMembership)
        .def(
            "read", [](RaftNode& n, std::uint64_t context) { return name_of_read(n.read(context)); },
            py::arg("context"), docs::kRead)
        .def(
            "lease_read",
            [](RaftNode& n, std::uint64_t context, std::int64_t now_ns) {
                return name_of_read(n.lease_read(context, now_ns));
            },
            py::arg("context"), py::arg("now_ns"), docs::kLeaseRead)
        .def(
            "transfer_leadership", [](RaftNode& n, NodeId target) { return name_of(n.transfer_leadership(target)); },
            py::arg("target"), docs::kTransfer)
        .def("has_ready", &RaftNode::has_ready, "Whether there is something to do.")
        .def("ready", &copy_ready, "What is to be done now: a `Ready`, complete until `advance`.")
        .def("advance", &RaftNode::advance, "All that the last `ready()` asked for is done.")
        .def("stored", &RaftNode::stored, py::arg("write"), docs::kStored)
        .def("damaged", &RaftNode::damaged, py::arg("first"), docs::kDamaged)
        .def(
            "compact",
            [](RaftNode& n, Index index, const py::bytes& state) {
                n.compact(index, Payload(std::string_view(state)));
            },
            py::arg("index"), py::arg("state"), docs::kCompact)
        .def_property_readonly("node", &RaftNode::id)
        .def_property_readonly("role", [](const RaftNode& n) { return to_string(n.role()); })
        .def_property_readonly("term", &RaftNode::term)
        .def_property_readonly("leader", &leader_of<RaftNode>)
        .def_property_readonly(
            "transferee",
            [](const RaftNode& n) { return n.transferee() == kNoNode ? std::nullopt : std::optional(n.transferee()); })
        .def_property_readonly("membership", &RaftNode::membership, "The `Membership` in force, committed or not.")
        .def_property_readonly("commit_index", &RaftNode::commit_index)
        .def_property_readonly("last_index", [](const RaftNode& n) { return n.log().last_index(); })
        .def_property_readonly("dropped", [](const RaftNode& n) { return n.counters().dropped; });
}

}  // namespace fastmas::bindings
