#include <pybind11/stl.h>

#include "base/errors.hpp"
#include "bindings.hpp"
#include "consensus_cluster.hpp"
#include "consensus_objects.hpp"

namespace fastmas::bindings {
namespace {

using consensus::Burst;
using consensus::BurstStatus;
using consensus::NodeId;
using consensus::Payload;
using consensus::SimOptions;

[[noreturn]] void raise(const char* name, const std::string& text) {
    PyErr_SetString(py::module_::import("fastmas.errors").attr(name).ptr(), text.c_str());
    throw py::error_already_set();
}

// A simulated cluster that cannot be entered twice: a state machine that calls back into its own cluster would change
// it under its feet.
class ClusterCore {
  public:
    ClusterCore(const SimOptions& options, py::object factory, const std::string& protocol)
        : factory_(std::move(factory)), sim_(make_cluster(protocol, options, [this](NodeId node) {
              return std::make_unique<PythonMachine>(factory_(), node);
          })) {}

    template <class Body>
    auto enter(Body body) {
        if (busy_)
            throw base::ConfigError(
                "the cluster was called from inside one of its own state machines; a state machine only answers");
        busy_ = true;
        struct Leave {
            bool& flag;
            ~Leave() { flag = false; }
        } leave{busy_};
        return body(*sim_);
    }

    // Bytes of each reply, or the exception of a rejected one.
    py::list propose_many(const std::vector<py::bytes>& commands, std::optional<std::int64_t> at_ns) {
        std::vector<Payload> payloads;
        payloads.reserve(commands.size());
        for (const py::bytes& command : commands) payloads.emplace_back(std::string_view(command));
        const Burst burst = run(std::move(payloads), at_ns);
        py::list replies(burst.results.size());
        for (std::size_t i = 0; i < burst.results.size(); ++i) {
            const consensus::Result& result = *burst.results[i];
            replies[i] = result.status == consensus::ResultStatus::applied ? py::object(to_bytes(result.reply))
                                                                           : decode_rejection(result.reply);
        }
        return replies;
    }

    py::bytes propose(const py::bytes& command, std::optional<std::int64_t> at_ns) {
        std::vector<Payload> payloads;
        payloads.emplace_back(std::string_view(command));
        const Burst burst = run(std::move(payloads), at_ns);
        const consensus::Result& result = *burst.results[0];
        if (result.status == consensus::ResultStatus::applied) return to_bytes(result.reply);
        const py::object error = decode_rejection(result.reply);
        PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(error.ptr())), error.ptr());
        throw py::error_already_set();
    }

    py::object machine(NodeId node) {
        auto* machine = static_cast<PythonMachine*>(sim_->machine(node));
        if (machine == nullptr)
            throw base::ConfigError("node " + std::to_string(node) +
                                    " is down and has no state machine; restart it first");
        return machine->object();
    }

    // For the garbage collector: a factory is often a method of the very object that holds the cluster.
    template <class Visit>
    int each_held(Visit visit) {
        int result = visit(factory_);
        for (std::size_t node = 1; node <= sim_->size() && result == 0; ++node)
            if (auto* machine = static_cast<PythonMachine*>(sim_->machine(static_cast<NodeId>(node))))
                result = machine->each_held(visit);
        return result;
    }

    const AnyCluster& sim() const noexcept { return *sim_; }
    std::int64_t last_burst_ns() const noexcept { return last_burst_ns_; }

  private:
    Burst run(std::vector<Payload> commands, std::optional<std::int64_t> at_ns) {
        Burst burst = enter([&](AnyCluster& sim) { return sim.propose(std::move(commands), at_ns); });
        switch (burst.status) {
            case BurstStatus::committed:
                break;
            case BurstStatus::no_quorum:
                raise("NoQuorumError", burst.text);
            case BurstStatus::diverged:
                raise("ReplicaDivergedError", burst.text);
            case BurstStatus::too_large:
                throw base::ConfigError(burst.text);
        }
        last_burst_ns_ = burst.commit_ns;
        return burst;
    }

    py::object factory_;
    bool busy_ = false;
    std::int64_t last_burst_ns_ = 0;
    std::unique_ptr<AnyCluster> sim_;
};

py::dict stats(const ClusterCore& core) {
    const AnyCluster& sim = core.sim();
    const auto& network = sim.network();
    const auto& counters = sim.counters();
    py::dict out;
    out["messages"] = network.sent;
    out["bytes"] = network.bytes;
    out["delivered"] = network.delivered;
    out["lost"] = network.lost;
    out["duplicated"] = network.duplicated;
    out["cut"] = network.cut;
    out["proposals"] = counters.proposals;
    out["retries"] = counters.retries;
    out["duplicates"] = counters.duplicates;
    out["elections"] = sim.elections();
    out["ticks"] = counters.ticks;
    out["crashes"] = counters.crashes;
    out["restarts"] = counters.restarts;
    out["snapshots_taken"] = counters.snapshots_taken;
    out["snapshots_installed"] = counters.snapshots_installed;
    out["truncations"] = counters.truncations;
    out["checks"] = sim.checks();
    return out;
}

py::list trace(const ClusterCore& core) {
    py::list out;
    for (const consensus::TraceEvent& event : core.sim().trace())
        out.append(py::make_tuple(event.time_ns, event.type, event.from, event.to, event.epoch, event.index,
                                  event.entries, event.reject));
    return out;
}

py::dict poisoned(const ClusterCore& core) {
    py::dict out;
    for (NodeId node = 1; node <= core.sim().size(); ++node)
        if (!core.sim().poisoned(node).empty()) out[py::int_(node)] = core.sim().poisoned(node);
    return out;
}

void register_cluster(py::module_& area) {
    py::class_<SimOptions>(area, "SimOptions", "How a simulated cluster is built; Cluster fills it in.")
        .def(py::init<>())
        .def_readwrite("nodes", &SimOptions::nodes)
        .def_readwrite("seed", &SimOptions::seed)
        .def_readwrite("tick_ns", &SimOptions::tick_ns)
        .def_readwrite("election_ticks", &SimOptions::election_ticks)
        .def_readwrite("heartbeat_ticks", &SimOptions::heartbeat_ticks)
        .def_readwrite("start_ns", &SimOptions::start_ns)
        .def_readwrite("timeout_ns", &SimOptions::timeout_ns)
        .def_readwrite("snapshot_every", &SimOptions::snapshot_every)
        .def_readwrite("max_append_entries", &SimOptions::max_append_entries)
        .def_readwrite("check_invariants", &SimOptions::check_invariants)
        .def_readwrite("trace", &SimOptions::trace)
        .def_property(
            "loss_ppm", [](const SimOptions& o) { return o.network.loss_ppm; },
            [](SimOptions& o, std::uint32_t v) { o.network.loss_ppm = v; })
        .def_property(
            "duplicate_ppm", [](const SimOptions& o) { return o.network.duplicate_ppm; },
            [](SimOptions& o, std::uint32_t v) { o.network.duplicate_ppm = v; })
        .def_property(
            "reorder_ppm", [](const SimOptions& o) { return o.network.reorder_ppm; },
            [](SimOptions& o, std::uint32_t v) { o.network.reorder_ppm = v; })
        .def_property(
            "encode", [](const SimOptions& o) { return o.network.encode; },
            [](SimOptions& o, bool v) { o.network.encode = v; })
        .def_property(
            "delay_ns", [](const SimOptions& o) { return std::pair(o.network.delay_low_ns, o.network.delay_high_ns); },
            [](SimOptions& o, std::pair<std::int64_t, std::int64_t> v) {
                std::tie(o.network.delay_low_ns, o.network.delay_high_ns) = v;
            });

    py::class_<ClusterCore>(area, "ClusterCore", "The simulated cluster behind fastmas.consensus.Cluster.",
                            collected<ClusterCore>())
        .def(py::init<const SimOptions&, py::object, const std::string&>(), py::arg("options"), py::arg("factory"),
             py::arg("protocol") = "raft")
        .def("propose", &ClusterCore::propose, py::arg("command"), py::arg("at_ns") = py::none())
        .def("propose_many", &ClusterCore::propose_many, py::arg("commands"), py::arg("at_ns") = py::none())
        .def(
            "settle",
            [](ClusterCore& c, std::int64_t limit_ns) {
                return c.enter([&](AnyCluster& s) { return s.settle(limit_ns); });
            },
            py::arg("limit_ns"))
        .def(
            "run_for", [](ClusterCore& c, std::int64_t ns) { c.enter([&](AnyCluster& s) { s.run_for(ns); }); },
            py::arg("duration_ns"))
        .def(
            "crash", [](ClusterCore& c, NodeId node) { c.enter([&](AnyCluster& s) { s.crash(node); }); },
            py::arg("node"))
        .def(
            "restart", [](ClusterCore& c, NodeId node) { c.enter([&](AnyCluster& s) { s.restart(node); }); },
            py::arg("node"))
        .def(
            "cut",
            [](ClusterCore& c, NodeId from, NodeId to) { c.enter([&](AnyCluster& s) { s.cut(from, to, true); }); },
            py::arg("source"), py::arg("target"))
        .def("heal", [](ClusterCore& c) { c.enter([&](AnyCluster& s) { s.heal(); }); })
        .def("crash_leader_during_next",
             [](ClusterCore& c) { c.enter([&](AnyCluster& s) { s.crash_leader_during_next(); }); })
        .def("machine", &ClusterCore::machine, py::arg("node"))
        .def(
            "applied", [](const ClusterCore& c, NodeId node) { return c.sim().applied(node); }, py::arg("node"))
        .def(
            "is_up", [](const ClusterCore& c, NodeId node) { return c.sim().is_up(node); }, py::arg("node"))
        .def_property_readonly("leader", [](const ClusterCore& c) { return c.sim().leader(); })
        .def_property_readonly("epoch", [](const ClusterCore& c) { return c.sim().epoch(); })
        .def_property_readonly("now_ns", [](const ClusterCore& c) { return c.sim().now_ns(); })
        .def_property_readonly("last_burst_ns", &ClusterCore::last_burst_ns)
        .def_property_readonly("is_quiet", [](const ClusterCore& c) { return c.sim().is_quiet(); })
        .def_property_readonly("rejections", [](const ClusterCore& c) { return c.sim().counters().rejections; })
        .def_property_readonly("poisoned", &poisoned)
        .def_property_readonly("stats", &stats)
        .def_property_readonly("trace", &trace);
}

}  // namespace

void register_consensus(py::module_& module) {
    auto area = module.def_submodule("consensus", "Raft and the simulated cluster.");
    area.attr("Entry") = py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(entry_type()));
    register_cluster(area);
    register_raft_node(area);
    register_agree(area);
    register_bft(area);
    auto paxos = module.def_submodule("paxos", "Multi-Paxos nodes.");
    register_paxos_node(paxos);
}

}  // namespace fastmas::bindings
