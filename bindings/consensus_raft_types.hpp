// What Python keeps of a Raft node's Ready, and the registration of its parts.
#pragma once

#include <optional>
#include <vector>

#include "bindings.hpp"
#include "consensus/raft/node.hpp"

namespace fastmas::bindings {

// Copies, valid after advance().
struct ReadyCopy {
    std::optional<consensus::raft::Snapshot> snapshot;
    std::vector<consensus::raft::Entry> entries;
    std::optional<consensus::raft::HardState> hard_state;
    bool must_sync = false;
    std::uint64_t write = 0;
    std::vector<std::pair<consensus::NodeId, py::bytes>> messages;
    std::vector<consensus::raft::Entry> committed;
    std::vector<consensus::raft::ReadState> reads;
};

ReadyCopy copy_ready(consensus::raft::RaftNode& node);

void register_raft_types(py::module_& area);

}  // namespace fastmas::bindings
