#include "base/sha256.hpp"

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/prng.hpp"
#include "check.hpp"

using namespace fastmas::base;

namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

std::string hex(const Digest& digest) {
    std::string text;
    for (const std::byte byte : digest) {
        constexpr const char* digits = "0123456789abcdef";
        text += digits[std::to_integer<unsigned>(byte) >> 4];
        text += digits[std::to_integer<unsigned>(byte) & 15];
    }
    return text;
}

}  // namespace

// NIST's example values for SHA-256 (FIPS 180-4, "Examples with Intermediate Values") and the empty message.
TEST(sha256_gives_the_values_of_the_standard) {
    CHECK_EQUAL(hex(sha256({})), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK_EQUAL(hex(sha256(bytes_of("abc"))), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK_EQUAL(hex(sha256(bytes_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))),
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    CHECK_EQUAL(hex(sha256(bytes_of("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
                                    "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu"))),
                "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
    CHECK_EQUAL(hex(sha256(bytes_of(std::string(1'000'000, 'a')))),
                "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

// NIST's additional vectors: lengths around the padding's edges, all bytes zero.
TEST(sha256_pads_right_at_the_edges) {
    CHECK_EQUAL(hex(sha256(bytes_of(std::string(55, '\0')))),
                "02779466cdec163811d078815c633f21901413081449002f24aa3e80f0b88ef7");
    CHECK_EQUAL(hex(sha256(bytes_of(std::string(56, '\0')))),
                "d4817aa5497628e7c77e6b606107042bbba3130888c5f47a375e6179be789fbb");
    CHECK_EQUAL(hex(sha256(bytes_of(std::string(57, '\0')))),
                "65a16cb7861335d5ace3c60718b5052e44660726da4cd13bb745381b235a1785");
    CHECK_EQUAL(hex(sha256(bytes_of(std::string(64, '\0')))),
                "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b");
    CHECK_EQUAL(hex(sha256(bytes_of(std::string(1000, '\0')))),
                "541b3e9daa09b20bf85fa273e5cbd3e80185aa4ec298e765db87742b70138a53");
}

TEST(pieces_hash_like_the_whole) {
    fastmas::base::Prng prng(11);
    std::vector<std::byte> data(700);
    for (auto& byte : data) byte = static_cast<std::byte>(prng.next());
    const Digest whole = sha256(data);
    for (int round = 0; round < 200; ++round) {
        Sha256 hash;
        std::span<const std::byte> rest(data);
        while (!rest.empty()) {
            const std::size_t taken = prng.below(rest.size() + 1);  // zero included
            hash.update(rest.first(taken));
            rest = rest.subspan(taken);
        }
        CHECK(hash.finish() == whole);
    }
}

TEST(the_processors_instructions_agree_with_the_portable_code) {
    const Sha256Compress native = sha256_compress_native();
    if (!native) {
        std::cout << "no SHA instructions here: the portable code is all there is\n";
        return;
    }
    fastmas::base::Prng prng(5);
    std::vector<std::byte> data(64 * 9 + 3);
    for (int round = 0; round < 500; ++round) {
        for (auto& byte : data) byte = static_cast<std::byte>(prng.next());
        std::array<std::uint32_t, 8> a{}, b{};
        for (auto& word : a) word = static_cast<std::uint32_t>(prng.next());
        b = a;
        const std::size_t count = prng.below(10);
        const std::size_t misaligned = prng.below(4);
        sha256_compress_portable(a, data.data() + misaligned, count);
        native(b, data.data() + misaligned, count);
        CHECK(a == b);
    }
}

TEST_MAIN
