// How long a message takes: models of latency whose samples are integers and the same on every machine.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/prng.hpp"

namespace fastmas::market {

// A model is a description; it holds no random state, so one may be shared by many agents.
struct LatencyModel {
    enum class Kind : std::uint8_t { constant, uniform, exponential, lognormal };

    Kind kind = Kind::constant;
    std::int64_t low_ns = 0;    // constant: the value; uniform: the least; otherwise what is added to every sample
    std::int64_t high_ns = 0;   // uniform: the greatest
    std::int64_t scale_ns = 0;  // exponential: the mean; lognormal: the median (both above low_ns)
    double sigma = 0.0;         // lognormal: standard deviation of the logarithm

    // Each checks its arguments and throws ConfigError.
    static LatencyModel constant(std::int64_t ns);
    static LatencyModel uniform(std::int64_t low_ns, std::int64_t high_ns);
    static LatencyModel exponential(std::int64_t mean_ns, std::int64_t minimum_ns);
    static LatencyModel lognormal(std::int64_t median_ns, double sigma, std::int64_t minimum_ns);

    friend bool operator==(const LatencyModel&, const LatencyModel&) = default;
};

// The stream of one sender's latencies: depends on the model, the seed and the name only, never on creation order.
// Logarithm and exponential are computed in integers, because those of the C library differ from machine to machine.
class LatencySampler {
  public:
    explicit LatencySampler(const LatencyModel& model = {}, std::uint64_t seed = 0, std::string_view name = "");

    // The next sample: >= 0 and at most kMaxLatency.
    std::int64_t next() noexcept { return model_.kind == LatencyModel::Kind::constant ? model_.low_ns : draw(); }

    static constexpr std::int64_t kMaxLatency = std::int64_t{1} << 60;  // 36 years

  private:
    std::int64_t draw() noexcept;

    LatencyModel model_;
    base::Prng prng_;
};

// Fixed-point helpers, Q32: value * 2^32. Exposed for their tests.
namespace fixed {
inline constexpr int kFractionBits = 32;
std::int64_t log2_q32(std::uint64_t x) noexcept;                          // x >= 1; error below 2^-31
std::int64_t scaled_exp2(std::int64_t scale, std::int64_t q32) noexcept;  // scale * 2^(q32 / 2^32), saturating, >= 0
std::uint64_t multiply_high(std::uint64_t a, std::uint64_t b) noexcept;   // upper 64 bits of the product
}  // namespace fixed

}  // namespace fastmas::market
