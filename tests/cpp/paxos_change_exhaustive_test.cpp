// Every state of a small Multi-Paxos cluster that all nodes but one leave, by the real code: the change is proposed,
// lost, adopted, void, in force here and not yet there, in all orders of delivery, with crashes and ballots at every
// point.
//
//   paxos_change_exhaustive_test              small worlds: what CI runs
//   paxos_change_exhaustive_test --long       the worlds of docs/paxos.md
//
// Options as of paxos_exhaustive_test; the first proposal of a leader is the change.
#include "consensus/simulation/paxos/model.hpp"
#include "explore_cluster.hpp"

using namespace fastmas::consensus;

int main(int argc, char** argv) {
    // timeouts, heartbeats, proposals, crashes, duplicates, per link
    const std::vector<fastmas::testing::World> small = {{3, {2, 0, 1, 0, 0, 1}}, {2, {2, 1, 2, 1, 0, 1}}};
    const std::vector<fastmas::testing::World> large = {
        {3, {2, 1, 1, 0, 0, 1}}, {3, {1, 2, 2, 0, 0, 1}}, {3, {2, 0, 1, 1, 0, 1}}, {2, {3, 1, 3, 1, 1, 1}}};
    return fastmas::testing::explore_cluster<paxos::PaxosChangeModel>("paxos_change_exhaustive_test", small, large,
                                                                      argc, argv);
}
