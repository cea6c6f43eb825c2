// Every state of a small Raft cluster, by the real code: all orders of delivery, all losses and delays, crashes,
// elections.
//
//   raft_exhaustive_test                     small worlds: what CI runs
//   raft_exhaustive_test --long              the worlds of docs/raft.md, millions of states
//   raft_exhaustive_test --nodes 3 --timeouts 3 --heartbeats 1 --proposals 1 --crashes 1 --duplicates 0 [--max-states
//   N]
//
// Prints the bounds and how many states there were; fails with the shortest path to a broken rule.
#include "consensus/simulation/raft/model.hpp"
#include "explore_cluster.hpp"

using namespace fastmas::consensus;

int main(int argc, char** argv) {
    // timeouts, heartbeats, proposals, crashes, duplicates, per link
    const std::vector<fastmas::testing::World> small = {
        {3, {4, 0, 0, 0, 0, 1}}, {3, {2, 1, 1, 1, 0, 1}}, {3, {2, 0, 2, 0, 1, 1}}, {2, {3, 2, 2, 1, 1, 1}}};
    const std::vector<fastmas::testing::World> large = {{3, {2, 1, 1, 0, 0, 2}}, {3, {3, 0, 1, 1, 0, 1}},
                                                        {3, {4, 0, 1, 0, 0, 1}}, {3, {2, 1, 0, 0, 0, 0}},
                                                        {2, {4, 2, 2, 1, 1, 1}}, {5, {2, 0, 0, 0, 0, 1}}};
    return fastmas::testing::explore_cluster<raft::RaftModel>("raft_exhaustive_test", small, large, argc, argv);
}
