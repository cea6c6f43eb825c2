// What Python keeps of a Paxos node's Ready, and the registration of its parts.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "bindings.hpp"
#include "consensus/paxos/node.hpp"
#include "consensus/raft/ready.hpp"

namespace fastmas::bindings {

// Copies, valid after advance().
struct PaxosReadyCopy {
    std::optional<consensus::paxos::Snapshot> snapshot;
    std::vector<consensus::paxos::Entry> entries;
    std::optional<consensus::paxos::HardState> hard_state;
    bool must_sync = false;
    std::uint64_t write = 0;
    std::vector<std::pair<consensus::NodeId, py::bytes>> messages;
    std::vector<consensus::paxos::Entry> committed;
    std::vector<consensus::raft::ReadState> reads;  // Python has one type for both: without a lease here
};

PaxosReadyCopy copy_ready(consensus::paxos::PaxosNode& node);

// Ballots and quorums are pairs of Python.
using BallotPair = std::pair<std::uint64_t, consensus::NodeId>;
using QuorumPair = std::pair<std::size_t, std::size_t>;
inline BallotPair to_pair(const consensus::paxos::Ballot& ballot) {
    return {ballot.number, ballot.node};
}

void register_paxos_types(py::module_& area);

}  // namespace fastmas::bindings
