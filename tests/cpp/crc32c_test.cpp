#include "audit/crc32c.hpp"

#include <string_view>
#include <vector>

#include "base/prng.hpp"
#include "check.hpp"

using namespace fastmas::audit;

namespace {

std::vector<std::byte> filled(std::size_t size, auto function) {
    std::vector<std::byte> data(size);
    for (std::size_t i = 0; i < size; ++i) data[i] = static_cast<std::byte>(function(i));
    return data;
}

// Bit by bit, straight from the definition.
std::uint32_t slow(std::span<const std::byte> data, std::uint32_t previous) {
    std::uint32_t crc = ~previous;
    for (const std::byte byte : data) {
        crc ^= std::to_integer<std::uint32_t>(byte);
        for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82f63b78U : crc >> 1;
    }
    return ~crc;
}

}  // namespace

// The check value of the CRC catalogue and the four buffers of RFC 3720 (iSCSI), appendix B.4.
TEST(crc32c_gives_the_published_values) {
    constexpr std::string_view digits = "123456789";
    CHECK_EQUAL(crc32c(std::as_bytes(std::span(digits.data(), digits.size()))), 0xe3069283U);
    CHECK_EQUAL(crc32c(filled(32, [](std::size_t) { return 0; })), 0x8a9136aaU);
    CHECK_EQUAL(crc32c(filled(32, [](std::size_t) { return 0xff; })), 0x62a8ab43U);
    CHECK_EQUAL(crc32c(filled(32, [](std::size_t i) { return i; })), 0x46dd794eU);
    CHECK_EQUAL(crc32c(filled(32, [](std::size_t i) { return 31 - i; })), 0x113fdb5cU);
    CHECK_EQUAL(crc32c({}), 0U);
}

TEST(all_ways_agree_at_every_length_and_offset) {
    fastmas::base::Prng prng(3);
    const auto data = filled(200, [&](std::size_t) { return prng.next(); });
    const Crc32c native = crc32c_native();
    for (std::size_t offset = 0; offset < 8; ++offset) {
        for (std::size_t size = 0; size + offset <= data.size(); ++size) {
            const auto part = std::span(data).subspan(offset, size);
            const auto previous = static_cast<std::uint32_t>(prng.next());
            CHECK_EQUAL(crc32c_portable(part, previous), slow(part, previous));
            if (native) CHECK_EQUAL(native(part, previous), slow(part, previous));
            CHECK_EQUAL(crc32c(part, previous), slow(part, previous));
        }
    }
}

TEST(a_checksum_goes_on_where_another_ended) {
    const auto data = filled(100, [](std::size_t i) { return i * i; });
    for (std::size_t cut = 0; cut <= data.size(); ++cut)
        CHECK_EQUAL(crc32c(std::span(data).subspan(cut), crc32c(std::span(data).first(cut))), crc32c(data));
}

TEST_MAIN
