// Runs a scenario on the model of memory of weak_memory.hpp: once for each execution there is, or for random ones.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/prng.hpp"
#include "weak_memory.hpp"

namespace fastmas::testing {

// A sanitizer makes each execution many times slower and sees nothing in them that the plain build does not: there only
// what few preemptions reach is tried.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
inline constexpr int kMostPreemptions = 1;
#else
inline constexpr int kMostPreemptions = -1;
#endif

struct Exploration {
    std::uint64_t executions = 0;
    bool complete = false;  // every execution within the bounds was tried
    std::string failure;    // of the first execution that failed; its choices are in the text
};

inline std::string describe(const std::vector<Choice>& choices) {
    std::string text;
    for (const Choice& choice : choices) text += std::to_string(choice.taken) + " ";
    return text;
}

// Runs `scenario(execution)` once for each execution there is: depth first, repeating a prefix of choices and taking
// the next option of the last one that has any left. `preemptions` bounds how often a thread is interrupted (-1: no
// bound).
inline Exploration explore(const std::function<void(Execution&)>& scenario, int preemptions = -1,
                           std::uint64_t limit = 3'000'000) {
    if (kMostPreemptions >= 0 && (preemptions < 0 || preemptions > kMostPreemptions)) preemptions = kMostPreemptions;
    Exploration result;
    std::vector<Choice> prefix;
    while (result.executions < limit) {
        Execution execution(prefix, preemptions, nullptr);
        try {
            scenario(execution);
        } catch (const Failure& failure) {
            execution.fail(failure.text);
        }
        ++result.executions;
        if (!execution.failure().empty()) {
            result.failure = execution.failure() + " (choices " + describe(execution.choices()) + ")";
            return result;
        }
        prefix = execution.choices();
        while (!prefix.empty() && prefix.back().taken + 1 == prefix.back().options) prefix.pop_back();
        if (prefix.empty()) {
            result.complete = true;
            return result;
        }
        ++prefix.back().taken;
    }
    return result;
}

// The same with random choices, for scenarios too large to exhaust; the seed is in the text of a failure.
inline Exploration explore_random(const std::function<void(Execution&)>& scenario, std::uint64_t seed,
                                  std::uint64_t executions) {
    Exploration result;
    const std::vector<Choice> none;
    for (std::uint64_t i = 0; i < executions; ++i) {
        base::Prng random(base::derive_seed(seed, std::to_string(i)));
        Execution execution(none, -1, &random);
        try {
            scenario(execution);
        } catch (const Failure& failure) {
            execution.fail(failure.text);
        }
        ++result.executions;
        if (!execution.failure().empty()) {
            result.failure =
                execution.failure() + " (seed " + std::to_string(seed) + ", execution " + std::to_string(i) + ")";
            return result;
        }
    }
    result.complete = true;
    return result;
}

}  // namespace fastmas::testing
