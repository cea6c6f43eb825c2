#include "market/latency.hpp"

#include <array>
#include <bit>
#include <cmath>
#include <string>

#include "base/errors.hpp"

namespace fastmas::market {
namespace fixed {

std::uint64_t multiply_high(std::uint64_t a, std::uint64_t b) noexcept {
    const std::uint64_t a_low = a & 0xffffffffU, a_high = a >> 32, b_low = b & 0xffffffffU, b_high = b >> 32;
    const std::uint64_t middle = a_high * b_low + (a_low * b_low >> 32);
    const std::uint64_t other = a_low * b_high + (middle & 0xffffffffU);
    return a_high * b_high + (middle >> 32) + (other >> 32);
}

std::int64_t log2_q32(std::uint64_t x) noexcept {
    const int whole = 63 - std::countl_zero(x);
    // The mantissa in [1, 2) as Q63. Squaring doubles the logarithm: when the square reaches 2, the next bit is one.
    std::uint64_t mantissa = x << (63 - whole);
    std::uint64_t fraction = 0;
    for (int bit = 0; bit < kFractionBits; ++bit) {
        const std::uint64_t square = multiply_high(mantissa, mantissa);  // Q62
        fraction <<= 1;
        if (square >> 63 != 0) {
            fraction |= 1;
            mantissa = square;
        } else {
            mantissa = square << 1;
        }
    }
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(whole) << kFractionBits | fraction);
}

namespace {

// 2^(2^-k) for k = 1.. as Q63, by integer square roots: the same bits everywhere, and no table to mistype.
std::array<std::uint64_t, kFractionBits> make_roots() {
    std::array<std::uint64_t, kFractionBits> roots{};
    // The square root of r (Q63) is the greatest y with y * y <= r: bit by bit from the top.
    std::uint64_t power = ~std::uint64_t{0};  // 2 - 2^-63, as near to 2 as Q63 gets
    for (auto& root : roots) {
        std::uint64_t y = std::uint64_t{1} << 63;
        for (int bit = 62; bit >= 0; --bit) {
            const std::uint64_t trial = y | std::uint64_t{1} << bit;
            if (multiply_high(trial, trial) <= power >> 1) y = trial;
        }
        root = power = y;
    }
    return roots;
}

}  // namespace

std::int64_t scaled_exp2(std::int64_t scale, std::int64_t q32) noexcept {
    static const auto roots = make_roots();
    if (scale <= 0) return 0;
    const std::int64_t whole = q32 >> kFractionBits;
    const auto fraction = static_cast<std::uint32_t>(q32);
    std::uint64_t power = std::uint64_t{1} << 63;  // Q63
    for (int bit = 0; bit < kFractionBits; ++bit)
        if (fraction >> (kFractionBits - 1 - bit) & 1)
            power = multiply_high(power, roots[static_cast<std::size_t>(bit)]) << 1;
    // scale * power / 2^63 * 2^whole, rounded down; the product's upper half is Q62 of it.
    const int headroom = std::countl_zero(static_cast<std::uint64_t>(scale)) - 1;
    const std::uint64_t product = multiply_high(static_cast<std::uint64_t>(scale) << headroom, power);
    const std::int64_t shift = headroom - 1 - whole;
    if (shift >= 64) return 0;
    if (shift >= 0) return static_cast<std::int64_t>(product >> shift);
    if (-shift >= std::countl_zero(product)) return INT64_MAX;
    return static_cast<std::int64_t>(product << -shift);
}

}  // namespace fixed

namespace {

constexpr double kLn2 = 0x1.62e42fefa39efp-1;
constexpr double kLog2E = 0x1.71547652b82fep0;

std::int64_t clamp(std::int64_t ns) noexcept {
    return ns < 0 ? 0 : ns > LatencySampler::kMaxLatency ? LatencySampler::kMaxLatency : ns;
}

void check(bool right, const char* rule, std::int64_t value) {
    if (!right) throw base::ConfigError(std::string(rule) + ", got " + std::to_string(value));
}

// -ln(u) for u uniform in (0, 1], in Q32.
std::int64_t minus_log(base::Prng& prng) noexcept {
    const std::uint64_t x = (prng.next() >> 11) + 1;  // 1 .. 2^53
    const std::int64_t bits = (std::int64_t{53} << fixed::kFractionBits) - fixed::log2_q32(x);
    // bits < 2^38, ln 2 as Q63: the upper half of the product is Q31.
    constexpr std::uint64_t kLn2Q63 = 0x58b90bfbe8e7bcd5ULL;
    return static_cast<std::int64_t>(fixed::multiply_high(static_cast<std::uint64_t>(bits) << 1, kLn2Q63));
}

// A standard normal variate by Marsaglia's polar method. Every floating-point step is one correctly rounded operation,
// and none is a product followed by a sum, which a compiler might fuse.
double normal(base::Prng& prng) noexcept {
    for (;;) {
        const std::int64_t u = prng.between(-0x40000000, 0x40000000), v = prng.between(-0x40000000, 0x40000000);
        const auto square = static_cast<std::uint64_t>(u * u + v * v);  // Q60
        if (square == 0 || square >= std::uint64_t{1} << 60) continue;
        const std::int64_t bits = (std::int64_t{60} << fixed::kFractionBits) - fixed::log2_q32(square);  // -log2, > 0
        const double twice_minus_log = static_cast<double>(bits) * (2.0 * kLn2 * 0x1p-32);
        return static_cast<double>(u) * 0x1p-30 * std::sqrt(twice_minus_log / (static_cast<double>(square) * 0x1p-60));
    }
}

}  // namespace

LatencyModel LatencyModel::constant(std::int64_t ns) {
    check(ns >= 0 && ns <= LatencySampler::kMaxLatency, "a latency must be from 0 to 2**60 ns", ns);
    LatencyModel model;
    model.low_ns = ns;
    return model;
}

LatencyModel LatencyModel::uniform(std::int64_t low_ns, std::int64_t high_ns) {
    check(low_ns >= 0, "low_ns must be at least 0", low_ns);
    check(high_ns <= LatencySampler::kMaxLatency, "high_ns must be at most 2**60", high_ns);
    if (high_ns < low_ns)
        throw base::ConfigError("high_ns must be at least low_ns, got low_ns=" + std::to_string(low_ns) +
                                " and high_ns=" + std::to_string(high_ns));
    LatencyModel model;
    model.kind = Kind::uniform;
    model.low_ns = low_ns;
    model.high_ns = high_ns;
    return model;
}

LatencyModel LatencyModel::exponential(std::int64_t mean_ns, std::int64_t minimum_ns) {
    check(mean_ns >= 1 && mean_ns <= std::int64_t{1} << 50, "mean_ns must be from 1 to 2**50", mean_ns);
    check(minimum_ns >= 0 && minimum_ns <= std::int64_t{1} << 50, "minimum_ns must be from 0 to 2**50", minimum_ns);
    LatencyModel model;
    model.kind = Kind::exponential;
    model.low_ns = minimum_ns;
    model.scale_ns = mean_ns;
    return model;
}

LatencyModel LatencyModel::lognormal(std::int64_t median_ns, double sigma, std::int64_t minimum_ns) {
    check(median_ns >= 1 && median_ns <= std::int64_t{1} << 50, "median_ns must be from 1 to 2**50", median_ns);
    check(minimum_ns >= 0 && minimum_ns <= std::int64_t{1} << 50, "minimum_ns must be from 0 to 2**50", minimum_ns);
    if (!(sigma > 0.0 && sigma <= 10.0))
        throw base::ConfigError("sigma must be above 0 and at most 10, got " + std::to_string(sigma));
    LatencyModel model;
    model.kind = Kind::lognormal;
    model.low_ns = minimum_ns;
    model.scale_ns = median_ns;
    model.sigma = sigma;
    return model;
}

LatencySampler::LatencySampler(const LatencyModel& model, std::uint64_t seed, std::string_view name)
    : model_(model), prng_(base::derive_seed(seed, "latency:" + std::string(name))) {}

std::int64_t LatencySampler::draw() noexcept {
    switch (model_.kind) {
        case LatencyModel::Kind::uniform:
            return prng_.between(model_.low_ns, model_.high_ns);
        case LatencyModel::Kind::exponential: {
            // mean * -ln(u): 50 bits times 38 bits (Q32), so shift first what the product cannot hold.
            const auto factor = static_cast<std::uint64_t>(minus_log(prng_)) << 20;  // Q52, below 2^58
            const auto mean = static_cast<std::uint64_t>(model_.scale_ns) << 12;     // below 2^63
            return clamp(model_.low_ns + static_cast<std::int64_t>(fixed::multiply_high(factor, mean)));
        }
        case LatencyModel::Kind::lognormal: {
            const double exponent = normal(prng_) * model_.sigma * kLog2E;  // |normal| < 9.2: no overflow below
            const auto q32 = static_cast<std::int64_t>(std::floor(exponent * 0x1p32));
            const std::int64_t sample = clamp(fixed::scaled_exp2(model_.scale_ns, q32));
            return clamp(model_.low_ns + sample);
        }
        case LatencyModel::Kind::constant:
            break;
    }
    return model_.low_ns;
}

}  // namespace fastmas::market
