#include <pybind11/stl.h>

#include "base/errors.hpp"
#include "consensus/simulation/paxos/agreement.hpp"
#include "consensus_objects.hpp"

namespace fastmas::bindings {
namespace {

using namespace consensus;

// (value, proposer from 0, ballot, messages, rounds, crashes, trace), or the text of why there is none.
py::object agree(const std::vector<py::bytes>& values, std::uint64_t seed, std::uint32_t loss_ppm,
                 std::uint32_t duplicate_ppm, std::uint32_t reorder_ppm, std::size_t crashes) {
    paxos::AgreementOptions options;
    options.seed = seed;
    options.network.loss_ppm = loss_ppm;
    options.network.duplicate_ppm = duplicate_ppm;
    options.network.reorder_ppm = reorder_ppm;
    options.crashes = crashes;
    std::vector<Payload> payloads;
    payloads.reserve(values.size());
    for (const py::bytes& value : values) payloads.emplace_back(std::string_view(value));
    const paxos::Agreement agreement = paxos::agree(options, payloads);
    if (!agreement.decided) return py::str(agreement.text);
    py::list trace;
    for (const paxos::AgreementStep& step : agreement.trace)
        trace.append(py::make_tuple(to_string(step.type), step.from - 1, step.to - 1, step.ballot.number,
                                    step.ballot.node - 1, step.time_ns));
    return py::make_tuple(to_bytes(agreement.value), agreement.proposer - 1,
                          std::pair(agreement.ballot.number, agreement.ballot.node - 1), agreement.network.sent,
                          agreement.rounds, agreement.crashes, trace);
}

}  // namespace

void register_agree(py::module_& area) {
    area.def("agree", &agree, py::arg("values"), py::arg("seed"), py::arg("loss_ppm") = 0, py::arg("duplicate_ppm") = 0,
             py::arg("reorder_ppm") = 0, py::arg("crashes") = 0,
             "One synod over these values; fastmas.consensus.agree is made of it.");
}

}  // namespace fastmas::bindings
