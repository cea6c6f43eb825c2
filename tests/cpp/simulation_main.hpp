// The main function of a protocol's simulation test: parses --seeds, --first and --seconds, runs the scenario of each
// seed and prints what happened. The first line of a failure is the command that repeats it.
#pragma once

#include <algorithm>
#include <cstring>
#include <iostream>
#include <string>

#include "consensus/simulation/scenario.hpp"

namespace fastmas::testing {

// Sanitizers are after the code, not after rare histories.
#ifdef __SANITIZE_ADDRESS__
inline constexpr bool kIsSlow = true;
#else
inline constexpr bool kIsSlow = false;
#endif

inline std::uint64_t option(int argc, char** argv, const char* name, std::uint64_t otherwise) {
    for (int i = 1; i + 1 < argc; ++i)
        if (std::strcmp(argv[i], name) == 0) return std::stoull(argv[i + 1]);
    return otherwise;
}

// In a minute of storms and calm a cluster commits more than that, whatever the storms: else its nodes lost the time.
constexpr std::uint64_t kLeastCommits = 200;

// Where it was, why, and the shortest script found that fails alike.
template <class P>
void tell_failure(const consensus::Scenario<P>& scenario, const std::exception& error) {
    std::cerr << scenario.phase() << " phase: " << error.what() << "\n" << scenario.state();
    const consensus::Plan shorter = consensus::shrink<P>(scenario.plan(), error.what());
    std::cerr << "the same failure with " << shorter.actions.size() << " of " << scenario.plan().actions.size()
              << " actions, for `fastmas simulate --script FILE`:\n"
              << consensus::to_text(shorter, P::kName);
}

template <class P>
int run_seeds(const char* program, int argc, char** argv) {
    const std::uint64_t seeds = option(argc, argv, "--seeds", kIsSlow ? 60 : 300),
                        first = option(argc, argv, "--first", 0);
    const std::uint64_t seconds = option(argc, argv, "--seconds", kIsSlow ? 20 : 60);
    consensus::Coverage coverage;
    std::uint64_t least = UINT64_MAX, fewest = UINT64_MAX, fewest_seed = 0;
    for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
        consensus::Scenario<P> scenario(seed, static_cast<std::int64_t>(seconds));
        try {
            scenario.run();
            scenario.add_to(coverage);
        } catch (const std::exception& error) {
            std::cerr << program << " --first " << seed << " --seeds 1 --seconds " << seconds << "\n";
            tell_failure(scenario, error);
            return 1;
        }
        if (seconds >= 60 && scenario.commits() < kLeastCommits) {
            std::cerr << program << " --first " << seed << " --seeds 1 --seconds " << seconds << "\n"
                      << "only " << scenario.commits() << " commands took effect, " << kLeastCommits << " must\n"
                      << scenario.state();
            return 1;
        }
        least = std::min(least, scenario.history().answered());
        if (scenario.commits() >= fewest) continue;
        fewest = scenario.commits();
        fewest_seed = seed;
    }
    std::cout << seeds << " seeds from " << first << ", " << coverage.simulated_seconds << " simulated seconds\n";
    std::cout << "  commands that took effect in the seed with the fewest: " << fewest << " (seed " << fewest_seed
              << "); requests answered, at the least: " << least << "\n";
    bool all_happened = true;
    for (const auto& [name, count] : coverage.rows()) {
        std::cout << "  " << name << ": " << count << "\n";
        // a run in which something never happened has not tested it
        if (count == 0 && seeds >= 100) all_happened = false;
    }
    if (!all_happened) std::cerr << "something above never happened\n";
    return all_happened ? 0 : 1;
}

}  // namespace fastmas::testing
