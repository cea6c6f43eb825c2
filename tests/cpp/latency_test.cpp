#include "market/latency.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/errors.hpp"
#include "check.hpp"

using fastmas::base::ConfigError;
using fastmas::market::LatencyModel;
using fastmas::market::LatencySampler;
namespace fixed = fastmas::market::fixed;

namespace {

std::vector<std::int64_t> draw(const LatencyModel& model, int count, std::uint64_t seed = 1, const char* name = "a") {
    LatencySampler sampler(model, seed, name);
    std::vector<std::int64_t> out;
    for (int i = 0; i < count; ++i) out.push_back(sampler.next());
    return out;
}

double mean(const std::vector<std::int64_t>& values) {
    double sum = 0;
    for (const auto value : values) sum += static_cast<double>(value);
    return sum / static_cast<double>(values.size());
}

}  // namespace

TEST(fixed_logarithm_agrees_with_the_library) {
    for (std::uint64_t x : {1ULL, 2ULL, 3ULL, 10ULL, 12345ULL, (1ULL << 53) - 1, 1ULL << 53, ~0ULL}) {
        const double expected = std::log2(static_cast<double>(x));
        CHECK(std::abs(static_cast<double>(fixed::log2_q32(x)) * 0x1p-32 - expected) < 2e-9);
    }
    CHECK_EQUAL(fixed::log2_q32(1), 0);
    CHECK_EQUAL(fixed::log2_q32(1ULL << 40), std::int64_t{40} << 32);
}

TEST(fixed_exponential_agrees_with_the_library) {
    for (double exponent : {-20.0, -3.25, -0.5, 0.0, 0.3, 1.0, 7.77, 19.5}) {
        const auto q32 = static_cast<std::int64_t>(std::floor(exponent * 0x1p32));
        const double expected = 1e12 * std::exp2(exponent);
        const auto got = static_cast<double>(fixed::scaled_exp2(1'000'000'000'000, q32));
        CHECK(std::abs(got - expected) <= 1.0 + expected * 4e-9);
    }
    CHECK_EQUAL(fixed::scaled_exp2(5, 0), 5);
    CHECK_EQUAL(fixed::scaled_exp2(5, std::int64_t{3} << 32), 40);
    CHECK_EQUAL(fixed::scaled_exp2(0, 0), 0);
    CHECK_EQUAL(fixed::scaled_exp2(5, std::int64_t{-90} * (std::int64_t{1} << 32)), 0);
    CHECK_EQUAL(fixed::scaled_exp2(5, std::int64_t{90} << 32), std::numeric_limits<std::int64_t>::max());
    CHECK_EQUAL(fixed::scaled_exp2(std::numeric_limits<std::int64_t>::max(), std::int64_t{1} << 32),
                std::numeric_limits<std::int64_t>::max());
}

TEST(a_uniform_latency_reaches_both_ends_and_no_further) {
    const auto values = draw(LatencyModel::uniform(3, 7), 2000);
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    CHECK_EQUAL(*low, 3);
    CHECK_EQUAL(*high, 7);
    CHECK(std::abs(mean(values) - 5.0) < 0.15);
}

TEST(an_exponential_latency_has_its_mean_and_its_tail) {
    const auto values = draw(LatencyModel::exponential(1'000'000, 500), 40'000);
    CHECK(std::abs(mean(values) - 1'000'500) < 20'000);
    const auto above = std::count_if(values.begin(), values.end(), [](auto value) { return value > 500 + 3'000'000; });
    CHECK(std::abs(static_cast<double>(above) / 40'000 - std::exp(-3.0)) < 0.005);
    CHECK(*std::min_element(values.begin(), values.end()) >= 500);
}

TEST(a_lognormal_latency_has_its_median_and_its_spread) {
    auto values = draw(LatencyModel::lognormal(1'000'000, 0.5, 100), 40'000);
    std::sort(values.begin(), values.end());
    CHECK(std::abs(static_cast<double>(values[20'000]) - 1'000'100) < 15'000);
    // one standard deviation up: the 84.13th percentile is median * exp(sigma)
    CHECK(std::abs(static_cast<double>(values[33'654]) - (1e6 * std::exp(0.5) + 100)) < 30'000);
    CHECK(std::abs(static_cast<double>(values[6'346]) - (1e6 * std::exp(-0.5) + 100)) < 15'000);
}

// The samples themselves, as computed with 50 decimal digits and rounded down: a compiler or a machine that gives
// others breaks every recorded run.
TEST(samples_are_pinned) {
    const auto exponential = draw(LatencyModel::exponential(1'000'000, 0), 3, 7, "maker");
    const auto lognormal = draw(LatencyModel::lognormal(1'000'000, 1.0, 0), 3, 7, "maker");
    CHECK_EQUAL(exponential[0], 596474);
    CHECK_EQUAL(exponential[1], 582603);
    CHECK_EQUAL(exponential[2], 347689);
    CHECK_EQUAL(lognormal[0], 5996049);
    CHECK_EQUAL(lognormal[1], 6526776);
    CHECK_EQUAL(lognormal[2], 1933332);
}

TEST(a_stream_depends_on_seed_and_name) {
    const auto model = LatencyModel::uniform(0, 1'000'000'000);
    CHECK(draw(model, 5, 1, "a") == draw(model, 5, 1, "a"));
    CHECK(draw(model, 5, 1, "a") != draw(model, 5, 2, "a"));
    CHECK(draw(model, 5, 1, "a") != draw(model, 5, 1, "b"));
}

TEST(extremes_stay_in_range) {
    for (const auto& model :
         {LatencyModel::exponential(std::int64_t{1} << 50, std::int64_t{1} << 50),
          LatencyModel::lognormal(std::int64_t{1} << 50, 10.0, 0), LatencyModel::lognormal(1, 10.0, 0)}) {
        for (const auto value : draw(model, 5000)) CHECK(value >= 0 && value <= LatencySampler::kMaxLatency);
    }
    CHECK_EQUAL(draw(LatencyModel::constant(0), 1)[0], 0);
    CHECK_EQUAL(draw(LatencyModel::constant(LatencySampler::kMaxLatency), 1)[0], LatencySampler::kMaxLatency);
}

TEST(models_refuse_what_makes_no_sense) {
    CHECK_THROWS(LatencyModel::constant(-1), ConfigError, "a latency must be from 0 to 2**60 ns, got -1");
    CHECK_THROWS(LatencyModel::uniform(-1, 5), ConfigError, "low_ns must be at least 0, got -1");
    CHECK_THROWS(LatencyModel::uniform(6, 5), ConfigError,
                 "high_ns must be at least low_ns, got low_ns=6 and high_ns=5");
    CHECK_THROWS(LatencyModel::uniform(0, (std::int64_t{1} << 60) + 1), ConfigError,
                 "high_ns must be at most 2**60, got");
    CHECK_THROWS(LatencyModel::exponential(0, 0), ConfigError, "mean_ns must be from 1 to 2**50, got 0");
    CHECK_THROWS(LatencyModel::exponential(1, -1), ConfigError, "minimum_ns must be from 0 to 2**50, got -1");
    CHECK_THROWS(LatencyModel::lognormal(0, 1, 0), ConfigError, "median_ns must be from 1 to 2**50, got 0");
    CHECK_THROWS(LatencyModel::lognormal(1, 0.0, 0), ConfigError, "sigma must be above 0 and at most 10, got 0.0");
    CHECK_THROWS(LatencyModel::lognormal(1, std::nan(""), 0), ConfigError, "sigma must be above 0 and at most 10, got");
}

TEST_MAIN
