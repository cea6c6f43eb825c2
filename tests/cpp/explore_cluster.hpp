// The command line of the exhaustive checks of the protocols.
#pragma once

#include <chrono>
#include <cstring>
#include <iostream>
#include <string>
#include <vector>

#include "consensus/simulation/explorer.hpp"

namespace fastmas::testing {

struct World {
    std::size_t nodes;
    consensus::Bounds bounds;
};

// Searches one world and prints what it found under `heading`, the line that runs it again; whether all of it is right.
template <class Model>
bool search(Model& model, std::size_t nodes, const consensus::Bounds& bounds, const std::string& heading,
            bool verbose) {
    using Clock = std::chrono::steady_clock;
    std::cout << heading << std::endl;
    const auto start = Clock::now();
    consensus::Explorer<Model> explorer(model, nodes, bounds);
    const consensus::Exploration found = explorer.run([&](const consensus::Exploration& so_far, std::size_t frontier) {
        if (verbose)
            std::cout << "  depth " << so_far.depth << ": " << so_far.states << " states, " << frontier << " to look at"
                      << std::endl;
    });
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    std::cout << "  " << found.states << " states, " << found.transitions << " transitions, depth " << found.depth
              << "; " << found.node_states << " node states, " << found.messages << " messages, " << found.steps
              << " steps of the real code; " << seconds << " s; "
              << (found.is_complete ? "nothing left to look at" : "not complete") << "\n";
    if (found.violation.empty()) return found.is_complete;
    std::cerr << heading << "\n" << found.violation << "\n";
    for (std::size_t i = 0; i < found.path.size(); ++i) std::cerr << "  " << i + 1 << ". " << found.path[i] << "\n";
    return false;
}

template <class Model>
bool explore_world(const char* program, const World& world, bool verbose) {
    const consensus::Bounds& bounds = world.bounds;
    const std::string options = " --nodes " + std::to_string(world.nodes) + " --timeouts " +
                                std::to_string(bounds.timeouts) + " --heartbeats " + std::to_string(bounds.heartbeats) +
                                " --proposals " + std::to_string(bounds.proposals) + " --crashes " +
                                std::to_string(bounds.crashes) + " --duplicates " + std::to_string(bounds.duplicates) +
                                " --per-link " + std::to_string(bounds.per_link);
    Model model(world.nodes);
    return search(model, world.nodes, bounds, program + options, verbose);
}

// Sanitizers are after the code, not after the states: with them the last of the small worlds, the least, is enough.
#ifdef __SANITIZE_ADDRESS__
inline constexpr bool kIsSlow = true;
#else
inline constexpr bool kIsSlow = false;
#endif

template <class Model>
int explore_cluster(const char* program, std::vector<World> small, std::vector<World> large, int argc, char** argv) {
    World asked{0, {}};
    bool is_long = false, verbose = false;
    for (int i = 1; i < argc; ++i) {
        const auto is = [&](const char* name) { return std::strcmp(argv[i], name) == 0; };
        const auto number = [&] { return i + 1 < argc ? std::stoull(argv[++i]) : 0; };
        const auto budget = [&] { return static_cast<std::uint8_t>(number()); };
        if (is("--long"))
            is_long = true;
        else if (is("--verbose"))
            verbose = true;
        else if (is("--nodes"))
            asked.nodes = number();
        else if (is("--timeouts"))
            asked.bounds.timeouts = budget();
        else if (is("--heartbeats"))
            asked.bounds.heartbeats = budget();
        else if (is("--proposals"))
            asked.bounds.proposals = budget();
        else if (is("--crashes"))
            asked.bounds.crashes = budget();
        else if (is("--duplicates"))
            asked.bounds.duplicates = budget();
        else if (is("--per-link"))
            asked.bounds.per_link = budget();
        else if (is("--max-states"))
            asked.bounds.max_states = number();
        else {
            std::cerr << program << ": unknown option " << argv[i] << "\n";
            return 2;
        }
    }
    std::vector<World> worlds = is_long ? std::move(large) : std::move(small);
    if (kIsSlow && !is_long) worlds = {worlds.back()};
    if (asked.nodes != 0) worlds = {asked};
    for (const World& world : worlds)
        if (!explore_world<Model>(program, world, verbose)) return 1;
    return 0;
}

}  // namespace fastmas::testing
