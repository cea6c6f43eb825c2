// How much faster than real time does a simulated cluster of five live through its faults?
//
// Seeds of `fastmas simulate` that drew five nodes, 60 simulated seconds each: ticks of 10 ms, 20 and more requests a
// second, no quiet time, every invariant after every step, one core. Real time is the floor that a live cluster has.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

#include "consensus/simulation/bft/protocol.hpp"
#include "consensus/simulation/paxos/protocol.hpp"
#include "consensus/simulation/raft/protocol.hpp"

using namespace fastmas::consensus;

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::int64_t kSeconds = 60;
constexpr std::size_t kSeeds = 24, kNodes = 5;

template <class P>
void measure() {
    std::vector<double> times_real;
    std::uint64_t fewest = UINT64_MAX, steps = 0;
    double wall_s = 0;
    for (std::uint64_t seed = 0; times_real.size() < kSeeds; ++seed) {
        Plan plan = Scenario<P>::draw(seed, kSeconds);
        if (plan.options.nodes != kNodes) continue;
        Scenario<P> scenario(std::move(plan));
        const auto start = Clock::now();
        scenario.run();
        const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
        times_real.push_back(kSeconds / seconds);
        wall_s += seconds;
        fewest = std::min(fewest, scenario.history().answered());
        steps += scenario.sim().invariants().checks();
    }
    std::sort(times_real.begin(), times_real.end());
    const double median = times_real[times_real.size() / 2];
    std::printf(
        "{\"group\": \"simulator, %zu nodes under faults\", \"name\": \"%s\", \"item\": \"simulated second\", "
        "\"ns_per_item\": %.0f, \"times_real_time\": %.0f, \"slowest_seed\": %.0f, \"fewest_answers\": %llu, "
        "\"ns_per_check\": %.0f}\n",
        kNodes, P::kName, 1e9 / median, median, times_real.front(), static_cast<unsigned long long>(fewest),
        wall_s * 1e9 / static_cast<double>(steps));
}

}  // namespace

int main() {
    measure<raft::RaftProtocol>();
    measure<paxos::PaxosProtocol>();
    measure<bft::BftProtocol>();
    measure<bft::LyingBftProtocol>();
    return 0;
}
