#include "audit/crc32c.hpp"

#include <array>
#include <cstring>

#include "base/cpu_features.hpp"

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace fastmas::audit {
namespace {

constexpr std::uint32_t kPolynomial = 0x82f63b78;

// kTables[k][b]: the checksum of byte b followed by k zero bytes, so that eight bytes take eight look-ups at once.
constexpr std::array<std::array<std::uint32_t, 256>, 8> make_tables() {
    std::array<std::array<std::uint32_t, 256>, 8> tables{};
    for (std::uint32_t b = 0; b < 256; ++b) {
        std::uint32_t crc = b;
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
        tables[0][b] = crc;
    }
    for (std::size_t k = 1; k < 8; ++k) {
        for (std::size_t b = 0; b < 256; ++b) {
            const std::uint32_t shorter = tables[k - 1][b];
            tables[k][b] = (shorter >> 8) ^ tables[0][shorter & 0xff];
        }
    }
    return tables;
}

constexpr auto kTables = make_tables();

std::uint32_t byte_at(std::span<const std::byte> data, std::size_t i) noexcept {
    return std::to_integer<std::uint32_t>(data[i]);
}

#if defined(__x86_64__)

__attribute__((target("sse4.2"))) std::uint32_t crc32c_sse42(std::span<const std::byte> data,
                                                             std::uint32_t previous) noexcept {
    std::uint64_t crc = ~previous;
    for (; data.size() >= 8; data = data.subspan(8)) {
        std::uint64_t word = 0;
        std::memcpy(&word, data.data(), 8);
        crc = _mm_crc32_u64(crc, word);
    }
    auto narrow = static_cast<std::uint32_t>(crc);
    for (const std::byte byte : data) narrow = _mm_crc32_u8(narrow, std::to_integer<std::uint8_t>(byte));
    return ~narrow;
}

#endif

Crc32c choose() noexcept {
    const Crc32c native = crc32c_native();
    return native ? native : crc32c_portable;
}

const Crc32c chosen = choose();

}  // namespace

std::uint32_t crc32c_portable(std::span<const std::byte> data, std::uint32_t previous) noexcept {
    std::uint32_t crc = ~previous;
    for (; data.size() >= 8; data = data.subspan(8)) {
        std::uint32_t next = 0;
        for (std::uint32_t i = 0; i < 4; ++i) next ^= kTables[7 - i][((crc >> (8 * i)) & 0xff) ^ byte_at(data, i)];
        for (std::size_t i = 4; i < 8; ++i) next ^= kTables[7 - i][byte_at(data, i)];
        crc = next;
    }
    for (const std::byte byte : data)
        crc = (crc >> 8) ^ kTables[0][(crc ^ std::to_integer<std::uint32_t>(byte)) & 0xff];
    return ~crc;
}

Crc32c crc32c_native() noexcept {
#if defined(__x86_64__)
    if (base::cpu_has_sse42()) return crc32c_sse42;
#endif
    return nullptr;
}

std::uint32_t crc32c(std::span<const std::byte> data, std::uint32_t previous) noexcept {
    return chosen(data, previous);
}

}  // namespace fastmas::audit
