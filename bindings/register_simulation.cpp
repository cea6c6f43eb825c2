#include <pybind11/stl.h>

#include "bindings.hpp"
#include "consensus/simulation/simulate.hpp"

namespace fastmas::bindings {
namespace {

using consensus::SeedOutcome;

py::dict as_dict(const SeedOutcome& outcome) {
    py::list rows, history;
    for (const auto& [name, count] : outcome.coverage.rows()) rows.append(py::make_tuple(name, count));
    for (const auto& seen : outcome.history)
        history.append(py::make_tuple(seen.session.client, seen.session.sequence, seen.is_read, seen.call_ns,
                                      seen.return_ns, seen.answer.count));
    py::dict out;
    out["is_well"] = outcome.is_well;
    out["phase"] = outcome.phase;
    out["failure"] = outcome.failure;
    out["state"] = outcome.state;
    out["script"] = outcome.script;
    out["coverage"] = rows;
    out["simulated_s"] = outcome.coverage.simulated_seconds;
    out["commits"] = outcome.commits;
    out["answered"] = outcome.answered;
    out["history"] = history;
    return out;
}

// The cluster is the call's own and its state machines are C++: nothing of Python is touched until it is over.
template <class Body>
auto without_lock(Body body) {
    const py::gil_scoped_release released;
    return body();
}

}  // namespace

void register_simulation(py::module_& module) {
    auto area = module.def_submodule("simulation", "Clusters under faults, a seed or a script at a time.");
    area.def("simulated_protocols", &consensus::simulated_protocols);
    area.def(
        "simulate_seed",
        [](const std::string& protocol, std::uint64_t seed, std::int64_t seconds) {
            return as_dict(without_lock([&] { return consensus::simulate_seed(protocol, seed, seconds); }));
        },
        py::arg("protocol"), py::arg("seed"), py::arg("seconds"));
    area.def(
        "simulate_script",
        [](const std::string& protocol, const std::string& script) {
            return as_dict(without_lock([&] { return consensus::simulate_script(protocol, script); }));
        },
        py::arg("protocol"), py::arg("script"));
    area.def(
        "trace_of_seed",
        [](const std::string& protocol, std::uint64_t seed, std::int64_t seconds) {
            return without_lock([&] { return consensus::trace_of_seed(protocol, seed, seconds); });
        },
        py::arg("protocol"), py::arg("seed"), py::arg("seconds"));
    area.def("script_of_seed", &consensus::script_of_seed, py::arg("protocol"), py::arg("seed"), py::arg("seconds"));
}

}  // namespace fastmas::bindings
