// Majorities: pure functions, tested exhaustively for small clusters.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include "consensus/types.hpp"

namespace fastmas::consensus {

// The least number of nodes such that any two such sets share a node.
constexpr std::size_t quorum_size(std::size_t nodes) noexcept {
    return nodes / 2 + 1;
}

enum class VoteResult { pending, won, lost };

// Won with a majority of yes; lost as soon as the undecided no longer suffice for one.
constexpr VoteResult tally(std::size_t yes, std::size_t no, std::size_t nodes) noexcept {
    if (yes >= quorum_size(nodes)) return VoteResult::won;
    if (nodes - no < quorum_size(nodes)) return VoteResult::lost;
    return VoteResult::pending;
}

// The highest index that a majority has reached. Reorders its argument. O(n log n).
inline Index quorum_index(std::span<Index> matched) noexcept {
    if (matched.empty()) return 0;
    std::sort(matched.begin(), matched.end());
    return matched[matched.size() - quorum_size(matched.size())];
}

}  // namespace fastmas::consensus
