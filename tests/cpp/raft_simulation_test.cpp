// Raft clusters under faults, many seeds; simulation/scenario.hpp says what is done to them.
//
//   raft_simulation_test                     300 seeds of 60 simulated seconds: what CI runs
//   raft_simulation_test --seeds 10000 --first 0 [--seconds 60]
#include "consensus/simulation/raft/protocol.hpp"
#include "simulation_main.hpp"

int main(int argc, char** argv) {
    return fastmas::testing::run_seeds<fastmas::consensus::raft::RaftProtocol>("raft_simulation_test", argc, argv);
}
