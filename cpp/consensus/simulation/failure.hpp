// What a simulation demanded and did not get.
#pragma once

#include <stdexcept>
#include <string>

namespace fastmas::consensus {

// A broken invariant is a base::InvariantError instead.
struct ScenarioFailure : std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline void require(bool condition, const std::string& text) {
    if (!condition) throw ScenarioFailure(text);
}
// What holds a million times over makes no string of it.
inline void require(bool condition, const char* text) {
    if (!condition) throw ScenarioFailure(text);
}

}  // namespace fastmas::consensus
