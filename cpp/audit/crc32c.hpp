// CRC-32C (Castagnoli; reflected polynomial 0x82f63b78), with the processor's instruction where it has one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace fastmas::audit {

// The checksum of what `previous` is the checksum of, followed by `data`: crc32c(b, crc32c(a)) == crc32c(ab).
// Finds accidents, not attackers. O(size), no allocation.
std::uint32_t crc32c(std::span<const std::byte> data, std::uint32_t previous = 0) noexcept;

// The two ways to compute it, apart, so that a test can hold them against one another.
using Crc32c = std::uint32_t (*)(std::span<const std::byte> data, std::uint32_t previous) noexcept;

std::uint32_t crc32c_portable(std::span<const std::byte> data, std::uint32_t previous) noexcept;
Crc32c crc32c_native() noexcept;  // nullptr where the processor has no such instruction

}  // namespace fastmas::audit
