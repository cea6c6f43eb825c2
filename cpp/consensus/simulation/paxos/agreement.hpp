// One synod among agents from start to end, in virtual time: what fm.agree runs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "consensus/paxos/synod_node.hpp"
#include "consensus/simulation/network.hpp"

namespace fastmas::consensus::paxos {

struct AgreementOptions {
    std::uint64_t seed = 0;
    NetworkOptions network;
    Quorums quorums;
    std::size_t crashes = 0;  // proposers that die in the middle of asking for acceptances; they come back later
    std::int64_t tick_ns = 1'000'000;
    std::int64_t timeout_ns = 60'000'000'000;
    bool trace = true;
};

struct AgreementStep {
    std::int64_t time_ns;
    SynodType type;
    NodeId from, to;
    Ballot ballot;
};

struct Agreement {
    bool decided = false;       // all nodes know the decision; false after timeout_ns
    std::string text;           // why not
    Payload value;              // one of those proposed
    NodeId proposer = kNoNode;  // whose it was
    Ballot ballot;              // the one it was first chosen in
    std::uint64_t rounds = 0;   // ballots begun, by all
    std::uint64_t crashes = 0;
    NetworkCounters network;
    std::vector<AgreementStep> trace;
    std::int64_t time_ns = 0;  // when the last node knew
};

// Node i + 1 proposes values[i]. Every node ends with the same value, bit for bit, or the call throws
// base::InvariantError. Same options and values, same history. Throws base::ConfigError for options that cannot work.
Agreement agree(const AgreementOptions& options, const std::vector<Payload>& values);

}  // namespace fastmas::consensus::paxos
