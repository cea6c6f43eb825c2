// Every state of one height of a small Tendermint cluster, by the real Algorithm 1: all orders, losses and delays, all
// time-outs, and a validator that says anything to anybody.
//
//   bft_exhaustive_test                     small worlds: what CI runs
//   bft_exhaustive_test --long              the worlds of docs/bft.md, millions of states
//   bft_exhaustive_test --liar 2 --lies 1 --last-round 1 --timeouts 1 --round-ends 1 --crashes 0
//
// Prints the bounds and how many states there were; fails with the shortest path to a broken rule.
#include <cstring>
#include <iostream>

#include "consensus/simulation/bft/model.hpp"
#include "explore_cluster.hpp"

using namespace fastmas::consensus;
using bft::BftModel;

namespace {

struct World {
    std::size_t nodes = 4;
    std::size_t liar = 0;  // its number; 0 = all are correct
    std::uint8_t lies = 0;
    std::uint8_t first_round = 0, last_round = 1;
    std::uint8_t timeouts = 0;
    std::uint8_t round_ends = 0;
    std::uint8_t crashes = 0;
    bool only_proposals = false;  // of the liar
    std::uint8_t begin_in = 0;    // a round; see BftModel::World
    std::uint64_t max_states = UINT64_MAX;
};

bool explore(const World& world, bool verbose) {
    const auto number = [](const char* name, std::uint64_t value) {
        return std::string(" --") + name + " " + std::to_string(value);
    };
    const std::string options = "bft_exhaustive_test" + number("nodes", world.nodes) + number("liar", world.liar) +
                                number("lies", world.lies) + number("first-round", world.first_round) +
                                number("last-round", world.last_round) + number("timeouts", world.timeouts) +
                                number("round-ends", world.round_ends) + number("crashes", world.crashes) +
                                number("only-proposals", world.only_proposals) + number("begin-in", world.begin_in);
    BftModel model({world.nodes, world.liar == 0 ? bft::ValidatorSet::kNowhere : world.liar - 1, world.lies,
                    static_cast<bft::Round>(world.first_round), static_cast<bft::Round>(world.last_round),
                    !world.only_proposals, static_cast<bft::Round>(world.begin_in)});
    Bounds bounds;
    bounds.timeouts = world.timeouts;
    bounds.heartbeats = world.round_ends;
    bounds.proposals = 2;
    bounds.crashes = world.crashes;
    bounds.max_states = world.max_states;
    return fastmas::testing::search(model, world.nodes, bounds, options, verbose);
}

// Sanitizers are after the code, not after the states: with them the first of the small worlds, the least, is enough.
#ifdef __SANITIZE_ADDRESS__
constexpr bool kIsSlow = true;
#else
constexpr bool kIsSlow = false;
#endif

}  // namespace

int main(int argc, char** argv) {
    // nodes, liar, lies, of the rounds from, to, time-outs, round ends, crashes, only proposals, begins in round
    std::vector<World> worlds = {{4, 1, 1, 0, 1, 0, 1, 0},           {4, 0, 0, 0, 0, 0, 0, 0},
                                 {4, 4, 1, 2, 3, 0, 0, 0, false, 3}, {4, 1, 1, 0, 1, 2, 1, 0},
                                 {4, 1, 1, 0, 1, 1, 1, 1},           {4, 3, 1, 1, 2, 0, 0, 0, false, 2}};
    const std::vector<World> large = {{4, 0, 0, 0, 1, 1, 1, 0},           {4, 0, 0, 0, 1, 0, 1, 1},
                                      {4, 1, 1, 0, 1, 2, 1, 1},           {4, 2, 1, 0, 1, 1, 1, 0},
                                      {4, 4, 1, 0, 1, 0, 1, 0},           {4, 4, 1, 0, 0, 1, 0, 1},
                                      {4, 2, 2, 0, 0, 1, 0, 0},           {4, 3, 1, 1, 3, 1, 1, 0, true, 2},
                                      {4, 4, 1, 2, 3, 1, 0, 0, false, 3}, {4, 4, 1, 2, 4, 1, 1, 0, true, 3}};
    World asked;
    bool is_long = false, verbose = false, is_asked = false;
    for (int i = 1; i < argc; ++i) {
        const auto is = [&](const char* name) { return std::strcmp(argv[i], name) == 0; };
        const auto number = [&] {
            is_asked = true;
            return i + 1 < argc ? std::stoull(argv[++i]) : 0;
        };
        const auto small = [&] { return static_cast<std::uint8_t>(number()); };
        if (is("--long"))
            is_long = true;
        else if (is("--verbose"))
            verbose = true;
        else if (is("--nodes"))
            asked.nodes = number();
        else if (is("--liar"))
            asked.liar = number();
        else if (is("--lies"))
            asked.lies = small();
        else if (is("--first-round"))
            asked.first_round = small();
        else if (is("--last-round"))
            asked.last_round = small();
        else if (is("--timeouts"))
            asked.timeouts = small();
        else if (is("--round-ends"))
            asked.round_ends = small();
        else if (is("--crashes"))
            asked.crashes = small();
        else if (is("--only-proposals"))
            asked.only_proposals = number() != 0;
        else if (is("--begin-in"))
            asked.begin_in = small();
        else if (is("--max-states"))
            asked.max_states = number();
        else {
            std::cerr << "bft_exhaustive_test: unknown option " << argv[i] << "\n";
            return 2;
        }
    }
    if (is_long) worlds = large;
    if (kIsSlow && !is_long) worlds = {worlds.front()};
    if (is_asked) worlds = {asked};
    for (const World& world : worlds)
        if (!explore(world, verbose)) return 1;
    return 0;
}
