// One seed, or one script, of any protocol by its name: what `fastmas simulate` runs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "consensus/simulation/scenario.hpp"

namespace fastmas::consensus {

struct SeedOutcome {
    bool is_well = true;
    std::string phase;    // of a failure: start, safety or liveness
    std::string failure;  // what was broken or not given
    std::string state;    // where every node stood
    std::string script;   // of a failure: the shortest plan found that ends in it
    Coverage coverage;
    std::uint64_t commits = 0;  // commands that took effect
    std::uint64_t answered = 0;
    std::vector<ClientHistory::Seen> history;
};

std::vector<std::string> simulated_protocols();

// Throws base::ConfigError for a protocol that is not there, and for a script that cannot be read.
SeedOutcome simulate_seed(std::string_view protocol, std::uint64_t seed, std::int64_t seconds);
SeedOutcome simulate_script(std::string_view protocol, std::string_view script);
// What a seed would do, as a script.
std::string script_of_seed(std::string_view protocol, std::uint64_t seed, std::int64_t seconds);
// What the nodes of a seed did, an event a line: raft/trace.hpp. Raft only.
std::string trace_of_seed(std::string_view protocol, std::uint64_t seed, std::int64_t seconds);

}  // namespace fastmas::consensus
