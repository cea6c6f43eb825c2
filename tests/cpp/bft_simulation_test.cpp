// BFT clusters under faults and liars, many seeds; simulation/scenario.hpp says what is done to them, bft/liar.hpp what
// liars do. As many lie as there may be without breaking agreement: f of 3f + 1, or as much power below a third.
//
//   bft_simulation_test                     300 seeds of 60 simulated seconds: what CI runs
//   bft_simulation_test --seeds 10000 --first 0 [--seconds 60]
#include "consensus/simulation/bft/protocol.hpp"
#include "simulation_main.hpp"

int main(int argc, char** argv) {
    return fastmas::testing::run_seeds<fastmas::consensus::bft::LyingBftProtocol>("bft_simulation_test", argc, argv);
}
