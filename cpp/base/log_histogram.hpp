// A histogram of durations over the whole range of 64 bits, with a relative error of at most 1/32 and no configuration.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace fastmas::base {

// Log2-linear buckets: each power of two is cut into 32 equal parts. add() is a few nanoseconds and never allocates.
class LogHistogram {
  public:
    void add(std::uint64_t value) noexcept {
        ++counts_[bucket(value)];
        ++count_;
        total_ += value;
        if (value > max_) max_ = value;
    }
    std::uint64_t count() const noexcept { return count_; }
    std::uint64_t total() const noexcept { return total_; }
    std::uint64_t max() const noexcept { return max_; }

    // The least value such that at least `fraction` of what was added is not above it, rounded up within its bucket and
    // never above max(); 0 when nothing was added.
    std::uint64_t quantile(double fraction) const noexcept {
        const double wanted = fraction * static_cast<double>(count_);
        std::uint64_t below = 0;
        for (std::size_t i = 0; i < counts_.size(); ++i) {
            below += counts_[i];
            if (below != 0 && static_cast<double>(below) >= wanted) return last_of(i) < max_ ? last_of(i) : max_;
        }
        return max_;
    }

    static constexpr std::size_t kPartBits = 5;
    static constexpr std::size_t kParts = std::size_t{1} << kPartBits;

    // Values below 2 * kParts have a bucket each.
    static constexpr std::size_t bucket(std::uint64_t value) noexcept {
        if (value < kParts) return static_cast<std::size_t>(value);
        const auto exponent = static_cast<std::size_t>(63 - std::countl_zero(value));
        const auto part = static_cast<std::size_t>(value >> (exponent - kPartBits)) - kParts;
        return (exponent - kPartBits + 1) * kParts + part;
    }
    static constexpr std::uint64_t last_of(std::size_t index) noexcept {
        if (index < kParts) return index;
        const std::size_t shift = index / kParts - 1;
        return ((std::uint64_t{index % kParts} + kParts + 1) << shift) - 1;
    }

  private:
    std::array<std::uint64_t, (64 - kPartBits + 1) * kParts> counts_{};
    std::uint64_t count_ = 0;
    std::uint64_t total_ = 0;
    std::uint64_t max_ = 0;
};

}  // namespace fastmas::base
