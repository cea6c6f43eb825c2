// A seeded random stream that is the same on every compiler and machine (std distributions are not).
#pragma once

#include <cstdint>
#include <string_view>

namespace fastmas::base {

// splitmix64 (Steele, Lea, Flood 2014): 64 bits of state, period 2^64, equidistributed. Not for cryptography.
// Not thread-safe; copying it copies the stream. O(1) a call, no allocation.
class Prng {
  public:
    explicit Prng(std::uint64_t seed) noexcept : state_(seed) {}

    std::uint64_t next() noexcept;

    // Uniform in [0, bound); bound 0 gives 0. Lemire's multiply-shift on 64 bits: bias below bound / 2^64.
    std::uint64_t below(std::uint64_t bound) noexcept;

    // Uniform in [low, high], both included.
    std::int64_t between(std::int64_t low, std::int64_t high) noexcept;

    // True with the given probability, in parts per million (an integer, so that streams agree everywhere).
    bool chance_ppm(std::uint32_t parts_per_million) noexcept;

    // Uniform in [0, 1) with 53 random bits.
    double uniform() noexcept;

    std::uint64_t state() const noexcept { return state_; }

  private:
    std::uint64_t state_;
};

// The seed of a named stream: depends on (seed, name) only, never on creation order (FNV-1a, then splitmix64's
// finaliser).
std::uint64_t derive_seed(std::uint64_t seed, std::string_view name) noexcept;

}  // namespace fastmas::base
