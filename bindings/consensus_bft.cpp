// BFT as seen from outside the cluster: what a gateway or an auditor checks a commit certificate with.
#include <pybind11/stl.h>

#include "base/errors.hpp"
#include "consensus/bft/certificate.hpp"
#include "consensus/bft/chain.hpp"
#include "consensus/bft/codec.hpp"
#include "consensus_bft_parts.hpp"
#include "consensus_objects.hpp"

namespace fastmas::bindings {
namespace {

using namespace consensus::bft;
py::bytes statement(const py::bytes& genesis, int type, Height height, Round round, const py::bytes& value) {
    if (type != 1 && type != 2) throw base::ConfigError("a vote's type is 1 or 2, got " + std::to_string(type));
    Vote vote;
    vote.type = static_cast<VoteType>(type);
    vote.height = height;
    vote.round = round;
    vote.value = to_array<32>(value, "a block's digest");
    return to_python(sign_bytes(to_array<32>(genesis, "a genesis digest"), vote));
}

py::object read_block(const py::bytes& bytes) {
    Block block;
    if (const char* problem = decode_block(span_of(bytes), block)) return py::str(problem);
    py::list commands;
    for (const Command& command : block.commands)
        commands.append(py::make_tuple(static_cast<int>(command.kind), command.session.client, command.session.sequence,
                                       command.time_ns, to_bytes(command.bytes)));
    return py::make_tuple(block.height, block.first_index, block.time_ns, to_python(block.id),
                          to_python(block.validators), to_python(block.next_validators), commands);
}

py::object read_certificate(const py::bytes& bytes) {
    Certificate certificate;
    if (const char* problem = decode_certificate(span_of(bytes), certificate)) return py::str(problem);
    py::list signers;
    for (const Certificate::Signed& held : certificate.votes) signers.append(held.validator);
    return py::make_tuple(certificate.height, certificate.round, to_python(certificate.value), signers);
}

py::object check_certificate(const py::bytes& genesis, const std::vector<PythonValidator>& validators,
                             const py::bytes& bytes, py::object verify) {
    Certificate certificate;
    if (const char* problem = decode_certificate(span_of(bytes), certificate)) return py::str(problem);
    PythonVerifier verifier(std::move(verify), std::make_shared<std::string>());
    const char* problem =
        verify_certificate(to_array<32>(genesis, "a genesis digest"), to_set(validators), certificate, verifier);
    return problem == nullptr ? py::object(py::none()) : py::object(py::str(problem));
}

py::bytes make_certificate(Height height, Round round, const py::bytes& value,
                           const std::vector<std::pair<consensus::NodeId, py::bytes>>& votes) {
    Certificate certificate{height, round, to_array<32>(value, "a block's digest"), {}};
    for (const auto& [validator, signature] : votes)
        certificate.votes.push_back({validator, to_array<64>(signature, "a signature")});
    std::vector<std::byte> out;
    encode_certificate(certificate, out);
    return to_python(out);
}

}  // namespace

void register_bft(py::module_& area) {
    register_bft_types(area);
    register_bft_node(area);
    area.def(
        "bft_genesis",
        [](const std::string& chain, const std::vector<PythonValidator>& validators, std::uint32_t max_block_commands,
           std::uint32_t max_block_bytes, std::uint32_t max_command_bytes) {
            const ChainLimits limits{max_block_commands, max_block_bytes, max_command_bytes};
            return to_python(genesis_digest(chain, limits, to_set(validators)));
        },
        py::arg("chain"), py::arg("validators"), py::arg("max_block_commands") = ChainLimits().max_block_commands,
        py::arg("max_block_bytes") = ChainLimits().max_block_bytes,
        py::arg("max_command_bytes") = ChainLimits().max_command_bytes);
    area.def(
        "bft_validators",
        [](const std::vector<PythonValidator>& validators) { return to_python(to_set(validators).digest()); },
        py::arg("validators"));
    area.def("bft_statement", &statement, py::arg("genesis"), py::arg("type"), py::arg("height"), py::arg("round"),
             py::arg("value"));
    area.def("bft_read_block", &read_block, py::arg("block"));
    area.def("bft_read_certificate", &read_certificate, py::arg("certificate"));
    area.def("bft_check_certificate", &check_certificate, py::arg("genesis"), py::arg("validators"),
             py::arg("certificate"), py::arg("verify"));
    area.def("bft_make_certificate", &make_certificate, py::arg("height"), py::arg("round"), py::arg("value"),
             py::arg("votes"));
}

}  // namespace fastmas::bindings
