// What a BftNode of Python stores, sends and hands out, as Python has it.
#include <pybind11/stl.h>

#include <array>

#include "consensus/bft/codec.hpp"
#include "consensus/bft/storage_codec.hpp"
#include "consensus/session.hpp"
#include "consensus_bft_docs.hpp"
#include "consensus_bft_parts.hpp"
#include "consensus_objects.hpp"

namespace fastmas::bindings {
namespace {

using namespace consensus;
using namespace consensus::bft;
using BftCommand = consensus::bft::Command;

template <class T>
py::bytes as_bytes(const T& value, void (*encode)(const T&, std::vector<std::byte>&)) {
    std::vector<std::byte> bytes;
    encode(value, bytes);
    return to_python(bytes);
}

template <class T>
T from_bytes(const py::bytes& bytes, const char* what, const char* (*decode)(std::span<const std::byte>, T&)) {
    T value;
    if (const char* problem = decode(span_of(std::string_view(bytes)), value))
        throw base::ConfigError(std::string(what) + " must be bytes that were made of one, but " + problem +
                                "; restore the store from a healthy copy");
    return value;
}

template <class T>
std::optional<std::int64_t> expiry(const T& value) {
    return expires(value.session) ? std::optional(value.session.expires_ns) : std::nullopt;
}

// Who asked, of an entry or a command.
template <class T, class Class>
void define_session(Class& type) {
    type.def_property_readonly("client", [](const T& v) { return v.session.client; })
        .def_property_readonly("sequence", [](const T& v) { return v.session.sequence; })
        .def_property_readonly("acknowledged", [](const T& v) { return v.session.acknowledged; })
        .def_property_readonly("expires_ns", [](const T& v) { return expiry(v); })
        .def_readonly("time_ns", &T::time_ns);
}

std::string show(const Entry& entry) {
    return "BftEntry(height=" + std::to_string(entry.height) + ", index=" + std::to_string(entry.index) +
           ", time_ns=" + std::to_string(entry.time_ns) + ", kind='" +
           (entry.kind == EntryKind::command ? "command" : "noop") +
           "', command=" + py::repr(to_bytes(entry.command)).cast<std::string>() + ")";
}

}  // namespace

void register_bft_types(py::module_& area) {
    py::class_<BftCommand> command(area, "BftCommand", docs::kBftCommand);
    define_session<BftCommand>(command);
    command
        .def_property_readonly(
            "kind", [](const BftCommand& c) { return c.kind == CommandKind::command ? "command" : "validator"; })
        .def_property_readonly("command", [](const BftCommand& c) { return to_bytes(c.bytes); });
    py::class_<Entry> entry(area, "BftEntry", docs::kBftEntry);
    define_session<Entry>(entry);
    entry.def_readonly("height", &Entry::height)
        .def_readonly("index", &Entry::index)
        .def_property_readonly("kind", [](const Entry& e) { return e.kind == EntryKind::command ? "command" : "noop"; })
        .def_property_readonly("is_command", [](const Entry& e) { return e.kind == EntryKind::command; })
        .def_property_readonly("command", [](const Entry& e) { return to_bytes(e.command); })
        .def(
            "__eq__", [](const Entry& a, const Entry& b) { return a == b; }, py::is_operator())
        .def("__hash__", [](const Entry& e) { return e.index * 1'000'003 + e.height; })
        .def("__repr__", [](const Entry& e) { return show(e); });
    py::class_<Decided>(area, "Decided", docs::kDecided)
        .def_static(
            "from_bytes", [](const py::bytes& b) { return from_bytes(b, "a decided block", &decode_decided); },
            py::arg("data"), "The one that `bytes()` was made of.")
        .def("__bytes__", [](const Decided& d) { return as_bytes(d, &encode_decided); })
        .def_property_readonly("height", [](const Decided& d) { return d.block->height; })
        .def_property_readonly("round", [](const Decided& d) { return d.certificate.round; })
        .def_property_readonly("block", [](const Decided& d) { return as_bytes(*d.block, &encode_block); })
        .def_property_readonly("certificate",
                               [](const Decided& d) { return as_bytes(d.certificate, &encode_certificate); });
    py::class_<HardState>(area, "BftHardState", docs::kBftHardState)
        .def(py::init<>())
        .def_static(
            "from_bytes", [](const py::bytes& b) { return from_bytes(b, "a hard state", &decode_hard_state); },
            py::arg("data"), "The one that `bytes()` was made of.")
        .def("__bytes__", [](const HardState& h) { return as_bytes(h, &encode_hard_state); })
        .def_readonly("height", &HardState::height)
        .def_property_readonly(
            "round", [](const HardState& h) { return h.round == kNoRound ? std::nullopt : std::optional(h.round); })
        .def_property_readonly("step", [](const HardState& h) { return to_string(h.step); })
        .def(
            "__eq__", [](const HardState& a, const HardState& b) { return a == b; }, py::is_operator())
        .def("__hash__", [](const HardState& h) { return h.height; });
    py::class_<Snapshot>(area, "BftSnapshot", docs::kBftSnapshot)
        .def_static(
            "from_bytes", [](const py::bytes& b) { return from_bytes(b, "a snapshot", &decode_snapshot); },
            py::arg("data"), "The one that `bytes()` was made of.")
        .def("__bytes__", [](const Snapshot& s) { return as_bytes(s, &encode_snapshot); })
        .def_readonly("index", &Snapshot::index)
        .def_property_readonly("height", [](const Snapshot& s) { return s.chain.height; })
        .def_property_readonly("state", [](const Snapshot& s) { return to_bytes(s.state); });
    py::class_<EvidenceCopy>(area, "Evidence", docs::kEvidence)
        .def_property_readonly("kind", [](const EvidenceCopy& e) { return e.kind; })
        .def_readonly("culprit", &EvidenceCopy::culprit)
        .def_readonly("height", &EvidenceCopy::height)
        .def_readonly("round", &EvidenceCopy::round)
        .def_readonly("statements", &EvidenceCopy::statements);
    py::class_<BftReadyCopy>(area, "BftReady", docs::kBftReady)
        .def_readonly("snapshot", &BftReadyCopy::snapshot)
        .def_readonly("decided", &BftReadyCopy::decided)
        .def_readonly("hard_state", &BftReadyCopy::hard_state)
        .def_readonly("must_sync", &BftReadyCopy::must_sync)
        .def_readonly("write", &BftReadyCopy::write)
        .def_readonly("messages", &BftReadyCopy::messages)
        .def_readonly("committed", &BftReadyCopy::committed);
}

}  // namespace fastmas::bindings
