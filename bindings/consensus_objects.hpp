// What the consensus area hands to Python at C speed: the entry a state machine is given, and Python objects as state
// machines.
#pragma once

#include <memory>
#include <string>

#include "bindings.hpp"
#include "consensus/applier.hpp"

namespace fastmas::bindings {

// Entry(index, time_ns, command): immutable; built for every apply, hence not through pybind11.
PyTypeObject* entry_type();
py::object make_entry(const consensus::Command& command);

// A Python object with apply(entry), and perhaps snapshot(), restore(bytes) and digest(), as a state machine. An
// Exception from apply becomes a committed rejection; InvariantError and MemoryError break this replica; anything that
// is no Exception (an interrupt) is passed on. Throws ConfigError for an object without apply.
class PythonMachine : public consensus::StateMachine {
  public:
    PythonMachine(py::object machine, consensus::NodeId node);
    consensus::Result apply(const consensus::Command& command) override;
    std::uint64_t digest() override { return digest_value_; }
    bool can_snapshot() const override { return static_cast<bool>(snapshot_) && static_cast<bool>(restore_); }
    consensus::Payload snapshot() override;
    void restore(std::span<const std::byte> state) override;
    const py::object& object() const noexcept { return machine_; }

  private:
    consensus::Result with_digest(consensus::Result result);

    std::uint64_t digest_value_ = 0;
    py::object machine_, apply_, digest_, snapshot_, restore_;
};

// A rejection as bytes (module, class and text of its exception) and back; an exception of another kind than
// FastmasError comes back as FastmasError that names it.
consensus::Payload encode_rejection(const py::error_already_set& error);
py::object decode_rejection(const consensus::Payload& payload);

void register_raft_node(py::module_& area);
void register_agree(py::module_& area);
void register_bft(py::module_& area);

py::bytes to_bytes(const consensus::Payload& payload);

}  // namespace fastmas::bindings
