// Multi-Paxos clusters under faults, many seeds; simulation/scenario.hpp says what is done to them.
//
//   paxos_simulation_test                     500 seeds of 20 simulated seconds: what CI runs
//   paxos_simulation_test --seeds 10000 --first 0 [--seconds 60]
#include "consensus/simulation/paxos/protocol.hpp"
#include "simulation_main.hpp"

int main(int argc, char** argv) {
    return fastmas::testing::run_seeds<fastmas::consensus::paxos::PaxosProtocol>("paxos_simulation_test", argc, argv);
}
