// SHA-256 (FIPS 180-4), with the processor's SHA instructions where it has them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace fastmas::base {

using Digest = std::array<std::byte, 32>;

// Hashes what is handed over piece by piece. One digest an object; not thread-safe; no allocation.
class Sha256 {
  public:
    Sha256() noexcept;

    Sha256& update(std::span<const std::byte> data) noexcept;

    // The digest of everything handed over; the object is spent afterwards.
    Digest finish() noexcept;

  private:
    std::array<std::uint32_t, 8> state_;
    std::array<std::byte, 64> pending_;
    std::uint64_t total_bytes_ = 0;
};

Digest sha256(std::span<const std::byte> data) noexcept;

// The two compression functions, apart, so that a test can hold them against one another.
using Sha256Compress = void (*)(std::array<std::uint32_t, 8>& state, const std::byte* blocks,
                                std::size_t count) noexcept;

void sha256_compress_portable(std::array<std::uint32_t, 8>& state, const std::byte* blocks, std::size_t count) noexcept;
Sha256Compress sha256_compress_native() noexcept;  // nullptr where the processor has no SHA instructions

}  // namespace fastmas::base
