// Voting power and its two thresholds: pure integer arithmetic, tested exhaustively for small totals.
#pragma once

#include <cstdint>

namespace fastmas::consensus::bft {

using Power = std::uint64_t;

// Three times a power must not wrap.
inline constexpr Power kMaxTotalPower = Power{1} << 60;

// The paper's 2f + 1 of n = 3f + 1, by weight: more than two thirds. Two such sets share more than one third.
constexpr bool is_quorum(Power power, Power total) noexcept {
    return 3 * power > 2 * total;
}

// The paper's f + 1, by weight: more than one third, so a correct validator is among them while the others hold less
// than one third.
constexpr bool has_correct(Power power, Power total) noexcept {
    return 3 * power > total;
}

// What may lie without breaking agreement: the greatest power below one third of the total.
constexpr Power max_faulty(Power total) noexcept {
    return total == 0 ? 0 : (total - 1) / 3;
}

}  // namespace fastmas::consensus::bft
