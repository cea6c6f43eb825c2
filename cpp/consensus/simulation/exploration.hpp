// What an exhaustive search is told and what it finds; explorer.hpp is the search.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace fastmas::consensus {

// node i + 1 is called renamed[i] + 1; renamings of the nodes under which the protocol behaves alike are its symmetry.
using Renaming = std::array<std::uint8_t, 7>;

// Something that has become true for good. Two facts of one rule and key with different values break the rule.
struct Fact {
    const char* rule = "";
    std::uint64_t key = 0;
    std::uint64_t value = 0;
    bool value_is_node = false;

    friend bool operator==(const Fact&, const Fact&) = default;
};

// What a step gave.
template <class Message>
struct StepOutput {
    std::vector<Message> sent;
    std::vector<Fact> facts;
    void clear() noexcept {
        sent.clear();
        facts.clear();
    }
};

// How often each kind of event may happen along one path; 15 at most each.
struct Bounds {
    std::uint8_t timeouts = 0;
    std::uint8_t heartbeats = 0;
    std::uint8_t proposals = 0;
    std::uint8_t crashes = 0;     // and restarts from what the disk holds
    std::uint8_t duplicates = 0;  // deliveries of a message that stays in flight
    std::uint8_t per_link = 0;  // messages in flight from one node to another, one more loses any of them; 0 = no bound
    std::uint64_t max_states = UINT64_MAX;
};

struct Exploration {
    std::uint64_t states = 0;       // distinct, up to symmetry
    std::uint64_t transitions = 0;  // between states of the cluster
    std::uint64_t steps = 0;        // distinct steps that the real code ran
    std::uint64_t node_states = 0;
    std::uint64_t messages = 0;
    std::size_t depth = 0;
    bool is_complete = false;       // no state within the bounds is left to look at
    std::string violation;          // empty when no rule was broken
    std::vector<std::string> path;  // from the start to the violation
};

}  // namespace fastmas::consensus
