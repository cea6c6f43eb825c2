#include "base/prng.hpp"

namespace fastmas::base {
namespace {

std::uint64_t mix(std::uint64_t z) noexcept {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

}  // namespace

std::uint64_t Prng::next() noexcept {
    return mix(state_ += 0x9e3779b97f4a7c15ULL);
}

std::uint64_t Prng::below(std::uint64_t bound) noexcept {
    // 64 x 64 -> high 64 bits, in 32-bit halves: __int128 is an extension and -Wpedantic is on.
    const std::uint64_t x = next();
    const std::uint64_t x_low = x & 0xffffffffU, x_high = x >> 32;
    const std::uint64_t b_low = bound & 0xffffffffU, b_high = bound >> 32;
    const std::uint64_t low = x_low * b_low;
    const std::uint64_t middle = x_high * b_low + (low >> 32);
    const std::uint64_t other = x_low * b_high + (middle & 0xffffffffU);
    return x_high * b_high + (middle >> 32) + (other >> 32);
}

std::int64_t Prng::between(std::int64_t low, std::int64_t high) noexcept {
    const auto span = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low) + 1;
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(low) + (span == 0 ? next() : below(span)));
}

bool Prng::chance_ppm(std::uint32_t parts_per_million) noexcept {
    return below(1'000'000) < parts_per_million;
}

double Prng::uniform() noexcept {
    return static_cast<double>(next() >> 11) * 0x1.0p-53;
}

std::uint64_t derive_seed(std::uint64_t seed, std::string_view name) noexcept {
    std::uint64_t hash = 0xcbf29ce484222325ULL;
    for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    return mix(hash + mix(seed + 0x9e3779b97f4a7c15ULL));
}

}  // namespace fastmas::base
