// What the consensus area hands to Python at C speed: the entry a state machine is given, and Python objects as state
// machines.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "bindings.hpp"
#include "consensus/applier.hpp"

namespace fastmas::bindings {

// For a class whose objects hold Python objects, named by each_held(visit): the garbage collector finds cycles through
// them, and ends them by putting None in their place.
template <class T>
py::custom_type_setup collected() {
    return py::custom_type_setup([](PyHeapTypeObject* heap) {
        PyTypeObject* type = &heap->ht_type;
        type->tp_flags |= Py_TPFLAGS_HAVE_GC;
        type->tp_traverse = [](PyObject* self, visitproc visit, void* arg) -> int {
            Py_VISIT(Py_TYPE(self));
            if (!py::detail::is_holder_constructed(self)) return 0;
            return py::cast<T&>(py::handle(self)).each_held([&](py::object& held) -> int {
                Py_VISIT(held.ptr());
                return 0;
            });
        };
        type->tp_clear = [](PyObject* self) -> int {
            if (!py::detail::is_holder_constructed(self)) return 0;
            return py::cast<T&>(py::handle(self)).each_held([](py::object& held) {
                const py::object last = std::exchange(held, py::none());
                return 0;
            });
        };
    });
}

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
    template <class Visit>
    int each_held(Visit visit) {
        int result = 0;
        for (py::object* held : {&machine_, &apply_, &digest_, &snapshot_, &restore_})
            if (result == 0 && *held) result = visit(*held);
        return result;
    }

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
void register_paxos_node(py::module_& area);
void register_agree(py::module_& area);
void register_bft(py::module_& area);

py::bytes to_bytes(const consensus::Payload& payload);

}  // namespace fastmas::bindings
