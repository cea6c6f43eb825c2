// The same seeds as the simulation tests, with the invariants off: what clients see must be enough to find a wrong
// answer, as it is in a live system that nobody watches from inside.
//
//   simulation_history_test                     CI
//   simulation_history_test --seeds 10000 --first 0 [--seconds 60]
#include "consensus/simulation/bft/protocol.hpp"
#include "consensus/simulation/paxos/protocol.hpp"
#include "consensus/simulation/raft/protocol.hpp"
#include "simulation_main.hpp"

namespace {

template <class P>
bool holds(int argc, char** argv, std::uint64_t share) {
    using namespace fastmas;
    const std::uint64_t seeds = testing::option(argc, argv, "--seeds", testing::kIsSlow ? 30 : 300) / share,
                        first = testing::option(argc, argv, "--first", 0);
    const auto seconds = static_cast<std::int64_t>(testing::option(argc, argv, "--seconds", 60));
    std::uint64_t requests = 0, reads = 0;
    for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
        consensus::Plan plan = consensus::Scenario<P>::draw(seed, seconds);
        plan.options.check_invariants = false;
        consensus::Scenario<P> scenario(std::move(plan));
        try {
            scenario.run();
        } catch (const std::exception& error) {
            std::cerr << "simulation_history_test --first " << seed << " --seeds " << share << ": " << P::kName << "\n";
            testing::tell_failure(scenario, error);
            return false;
        }
        requests += scenario.history().answered();
        reads += scenario.history().reads_answered();
    }
    std::cout << P::kName << ": " << seeds << " seeds from " << first << ", " << requests << " requests and " << reads
              << " reads answered as by one machine\n";
    return true;
}

}  // namespace

int main(int argc, char** argv) {
    using namespace fastmas::consensus;
    const bool all = holds<raft::RaftProtocol>(argc, argv, 1) && holds<paxos::PaxosProtocol>(argc, argv, 3) &&
                     holds<bft::LyingBftProtocol>(argc, argv, 15);
    return all ? 0 : 1;
}
