// The audit format, version 1, byte by byte (docs/audit-format.md says it in words). Everything is little-endian.
//
//   file    = header, block*, trailer        (no trailer: the writer did not finish)
//   block   = record{1..4096}, footer
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

#include "audit/crc32c.hpp"
#include "base/sha256.hpp"

namespace fastmas::audit {

using base::Digest;
using base::sha256;
using base::Sha256;

inline constexpr std::string_view kMagic = "FMAUDIT1";
inline constexpr std::uint32_t kVersion = 1;
inline constexpr std::size_t kMaxHeaderJson = std::size_t{1} << 20;
inline constexpr std::size_t kHeaderFixedBytes = 20;  // magic, version, JSON length before the JSON; checksum after it

inline constexpr std::size_t kRecordHeaderBytes = 44;
inline constexpr std::size_t kMaxRecordBytes = std::size_t{1} << 26;
inline constexpr std::uint32_t kMaxBlockRecords = 4096;
inline constexpr std::size_t kSealAtBytes = std::size_t{1} << 20;  // a block that has grown to this is sealed early

// Where a record's length would stand; no record is that long.
inline constexpr std::uint32_t kFooterTag = 0x4b424d46;   // "FMBK"
inline constexpr std::uint32_t kTrailerTag = 0x4e454d46;  // "FMEN"
static_assert(kFooterTag > kMaxRecordBytes && kTrailerTag > kMaxRecordBytes);
inline constexpr std::size_t kFooterBytes = 132;
inline constexpr std::size_t kTrailerBytes = 64;

template <class T>
concept Stored = std::integral<T> && !std::same_as<T, bool>;

template <Stored T>
void store(std::byte* at, T value) noexcept {
    auto bits = static_cast<std::make_unsigned_t<T>>(value);
    if constexpr (std::endian::native == std::endian::little) {
        std::memcpy(at, &bits, sizeof bits);
    } else {
        for (std::size_t i = 0; i < sizeof bits; ++i) at[i] = static_cast<std::byte>(bits >> (8 * i));
    }
}

template <Stored T>
T load(const std::byte* at) noexcept {
    std::make_unsigned_t<T> bits = 0;
    if constexpr (std::endian::native == std::endian::little) {
        std::memcpy(&bits, at, sizeof bits);
    } else {
        for (std::size_t i = 0; i < sizeof bits; ++i)
            bits |= static_cast<decltype(bits)>(std::to_integer<std::make_unsigned_t<T>>(at[i])) << (8 * i);
    }
    return static_cast<T>(bits);
}

// One record as it stands in the file; shows bytes that somebody else owns.
struct RecordView {
    std::span<const std::byte> bytes;  // all of it, at least kRecordHeaderBytes

    std::uint32_t length() const noexcept { return load<std::uint32_t>(bytes.data()); }
    std::uint32_t checksum() const noexcept { return load<std::uint32_t>(bytes.data() + 4); }
    std::uint64_t sequence() const noexcept { return load<std::uint64_t>(bytes.data() + 8); }
    std::uint64_t id() const noexcept { return load<std::uint64_t>(bytes.data() + 16); }
    std::int64_t ts_ns() const noexcept { return load<std::int64_t>(bytes.data() + 24); }
    std::uint32_t type() const noexcept { return load<std::uint32_t>(bytes.data() + 32); }
    std::uint32_t count() const noexcept { return load<std::uint32_t>(bytes.data() + 36); }
    std::uint32_t cause_count() const noexcept { return load<std::uint32_t>(bytes.data() + 40); }
    std::uint64_t cause(std::size_t i) const noexcept {
        return load<std::uint64_t>(bytes.data() + kRecordHeaderBytes + 8 * i);
    }

    // The causes end within the record. Asked before any cause is.
    bool causes_fit() const noexcept { return cause_count() <= (bytes.size() - kRecordHeaderBytes) / 8; }

    // It has a row, and its rows' ids are 64 bits wide.
    bool ids_fit() const noexcept { return count() > 0 && id() <= std::numeric_limits<std::uint64_t>::max() - count(); }
};

// The checksum covers the length as well, and everything after itself.
inline std::uint32_t checksum_around(std::span<const std::byte> bytes) noexcept {
    return crc32c(bytes.subspan(8), crc32c(bytes.first(4)));
}

// What closes a block.
struct Footer {
    std::uint64_t block = 0;
    std::uint64_t first_sequence = 0;
    std::uint64_t record_bytes = 0;
    std::uint32_t count = 0;
    Digest previous{};
    Digest root{};
    Digest head{};
};

// What closes a file.
struct Trailer {
    std::uint64_t blocks = 0;
    std::uint64_t records = 0;
    std::uint64_t file_bytes = 0;
    Digest head{};
};

void write_footer(const Footer& footer, std::span<std::byte, kFooterBytes> out) noexcept;
void write_trailer(const Trailer& trailer, std::span<std::byte, kTrailerBytes> out) noexcept;

// Nothing when tag or checksum is wrong.
std::optional<Footer> read_footer(std::span<const std::byte, kFooterBytes> bytes) noexcept;
std::optional<Trailer> read_trailer(std::span<const std::byte, kTrailerBytes> bytes) noexcept;

// SHA-256(previous head ‖ block number, u64 ‖ count, u32 ‖ root).
Digest chain_head(const Digest& previous, std::uint64_t block, std::uint32_t count, const Digest& root) noexcept;

}  // namespace fastmas::audit
