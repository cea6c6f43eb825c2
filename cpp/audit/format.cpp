#include "audit/format.hpp"

namespace fastmas::audit {
namespace {

void store_digest(std::byte* at, const Digest& digest) noexcept {
    std::memcpy(at, digest.data(), digest.size());
}

Digest load_digest(const std::byte* at) noexcept {
    Digest digest;
    std::memcpy(digest.data(), at, digest.size());
    return digest;
}

}  // namespace

void write_footer(const Footer& footer, std::span<std::byte, kFooterBytes> out) noexcept {
    std::byte* at = out.data();
    store(at, kFooterTag);
    store(at + 8, footer.block);
    store(at + 16, footer.first_sequence);
    store(at + 24, footer.record_bytes);
    store(at + 32, footer.count);
    store_digest(at + 36, footer.previous);
    store_digest(at + 68, footer.root);
    store_digest(at + 100, footer.head);
    store(at + 4, checksum_around(out));
}

void write_trailer(const Trailer& trailer, std::span<std::byte, kTrailerBytes> out) noexcept {
    std::byte* at = out.data();
    store(at, kTrailerTag);
    store(at + 8, trailer.blocks);
    store(at + 16, trailer.records);
    store(at + 24, trailer.file_bytes);
    store_digest(at + 32, trailer.head);
    store(at + 4, checksum_around(out));
}

std::optional<Footer> read_footer(std::span<const std::byte, kFooterBytes> bytes) noexcept {
    const std::byte* at = bytes.data();
    if (load<std::uint32_t>(at) != kFooterTag || load<std::uint32_t>(at + 4) != checksum_around(bytes)) return {};
    Footer footer;
    footer.block = load<std::uint64_t>(at + 8);
    footer.first_sequence = load<std::uint64_t>(at + 16);
    footer.record_bytes = load<std::uint64_t>(at + 24);
    footer.count = load<std::uint32_t>(at + 32);
    footer.previous = load_digest(at + 36);
    footer.root = load_digest(at + 68);
    footer.head = load_digest(at + 100);
    return footer;
}

std::optional<Trailer> read_trailer(std::span<const std::byte, kTrailerBytes> bytes) noexcept {
    const std::byte* at = bytes.data();
    if (load<std::uint32_t>(at) != kTrailerTag || load<std::uint32_t>(at + 4) != checksum_around(bytes)) return {};
    Trailer trailer;
    trailer.blocks = load<std::uint64_t>(at + 8);
    trailer.records = load<std::uint64_t>(at + 16);
    trailer.file_bytes = load<std::uint64_t>(at + 24);
    trailer.head = load_digest(at + 32);
    return trailer;
}

Digest chain_head(const Digest& previous, std::uint64_t block, std::uint32_t count, const Digest& root) noexcept {
    std::array<std::byte, 76> bytes;
    store_digest(bytes.data(), previous);
    store(bytes.data() + 32, block);
    store(bytes.data() + 40, count);
    store_digest(bytes.data() + 44, root);
    return sha256(bytes);
}

}  // namespace fastmas::audit
