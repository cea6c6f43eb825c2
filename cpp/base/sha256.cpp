#include "base/sha256.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/cpu_features.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace fastmas::base {
namespace {

// FIPS 180-4 §4.2.2: the first 32 bits of the fractional parts of the cube roots of the first 64 primes.
alignas(16) constexpr std::array<std::uint32_t, 64> kRoundConstants = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

// FIPS 180-4 §5.3.3.
constexpr std::array<std::uint32_t, 8> kInitialState = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

std::uint32_t load_big_endian(const std::byte* at) noexcept {
    return std::to_integer<std::uint32_t>(at[0]) << 24 | std::to_integer<std::uint32_t>(at[1]) << 16 |
           std::to_integer<std::uint32_t>(at[2]) << 8 | std::to_integer<std::uint32_t>(at[3]);
}

void store_big_endian(std::byte* at, std::uint32_t value) noexcept {
    for (unsigned i = 0; i < 4; ++i) at[i] = static_cast<std::byte>(value >> (24 - 8 * i));
}

#if defined(__x86_64__)

__attribute__((target("sha,sse4.1,ssse3"))) void compress_sha_ni(std::array<std::uint32_t, 8>& state,
                                                                 const std::byte* blocks, std::size_t count) noexcept {
    const __m128i byte_order = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
    // The instructions want the state as ABEF and CDGH.
    __m128i abcd = _mm_loadu_si128(reinterpret_cast<const __m128i*>(state.data()));
    __m128i efgh = _mm_loadu_si128(reinterpret_cast<const __m128i*>(state.data() + 4));
    abcd = _mm_shuffle_epi32(abcd, 0xB1);
    efgh = _mm_shuffle_epi32(efgh, 0x1B);
    __m128i abef = _mm_alignr_epi8(abcd, efgh, 8);
    __m128i cdgh = _mm_blend_epi16(efgh, abcd, 0xF0);

    for (; count > 0; --count, blocks += 64) {
        const __m128i abef_before = abef;
        const __m128i cdgh_before = cdgh;
        __m128i words[4];
#pragma GCC unroll 16
        for (unsigned group = 0; group < 16; ++group) {
            __m128i& word = words[group % 4];  // holds the four words of four groups ago until it is renewed
            if (group < 4) {
                word = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(blocks + 16 * group)),
                                        byte_order);
            } else {
                const __m128i last = words[(group + 3) % 4];
                const __m128i middle = _mm_alignr_epi8(last, words[(group + 2) % 4], 4);
                word = _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(word, words[(group + 1) % 4]), middle),
                                            last);
            }
            const __m128i keyed = _mm_add_epi32(
                word, _mm_load_si128(reinterpret_cast<const __m128i*>(kRoundConstants.data() + 4 * group)));
            cdgh = _mm_sha256rnds2_epu32(cdgh, abef, keyed);
            abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(keyed, 0x0E));
        }
        abef = _mm_add_epi32(abef, abef_before);
        cdgh = _mm_add_epi32(cdgh, cdgh_before);
    }

    const __m128i feba = _mm_shuffle_epi32(abef, 0x1B);
    const __m128i dchg = _mm_shuffle_epi32(cdgh, 0xB1);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(state.data()), _mm_blend_epi16(feba, dchg, 0xF0));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(state.data() + 4), _mm_alignr_epi8(dchg, feba, 8));
}

#endif

Sha256Compress choose() noexcept {
    const Sha256Compress native = sha256_compress_native();
    return native ? native : sha256_compress_portable;
}

const Sha256Compress compress = choose();

}  // namespace

void sha256_compress_portable(std::array<std::uint32_t, 8>& state, const std::byte* blocks,
                              std::size_t count) noexcept {
    for (; count > 0; --count, blocks += 64) {
        std::array<std::uint32_t, 64> w;
        for (std::size_t t = 0; t < 16; ++t) w[t] = load_big_endian(blocks + 4 * t);
        for (std::size_t t = 16; t < 64; ++t) {
            const std::uint32_t s0 = std::rotr(w[t - 15], 7) ^ std::rotr(w[t - 15], 18) ^ (w[t - 15] >> 3);
            const std::uint32_t s1 = std::rotr(w[t - 2], 17) ^ std::rotr(w[t - 2], 19) ^ (w[t - 2] >> 10);
            w[t] = w[t - 16] + s0 + w[t - 7] + s1;
        }
        auto [a, b, c, d, e, f, g, h] = state;
        for (std::size_t t = 0; t < 64; ++t) {
            const std::uint32_t sum1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
            const std::uint32_t choice = (e & f) ^ (~e & g);
            const std::uint32_t t1 = h + sum1 + choice + kRoundConstants[t] + w[t];
            const std::uint32_t sum0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
            const std::uint32_t majority = (a & b) ^ (a & c) ^ (b & c);
            h = g;
            g = f;
            f = e;
            e = d + t1;
            d = c;
            c = b;
            b = a;
            a = t1 + sum0 + majority;
        }
        const std::array<std::uint32_t, 8> added = {a, b, c, d, e, f, g, h};
        for (std::size_t i = 0; i < 8; ++i) state[i] += added[i];
    }
}

Sha256Compress sha256_compress_native() noexcept {
#if defined(__x86_64__)
    if (cpu_has_sha_ni()) return compress_sha_ni;
#endif
    return nullptr;
}

Sha256::Sha256() noexcept : state_(kInitialState) {}

Sha256& Sha256::update(std::span<const std::byte> data) noexcept {
    const std::size_t pending = total_bytes_ % 64;
    total_bytes_ += data.size();
    if (pending > 0) {
        const std::size_t taken = std::min(64 - pending, data.size());
        if (taken > 0) std::memcpy(pending_.data() + pending, data.data(), taken);
        data = data.subspan(taken);
        if (pending + taken < 64) return *this;
        compress(state_, pending_.data(), 1);
    }
    const std::size_t blocks = data.size() / 64;
    compress(state_, data.data(), blocks);
    data = data.subspan(64 * blocks);
    if (!data.empty()) std::memcpy(pending_.data(), data.data(), data.size());
    return *this;
}

Digest Sha256::finish() noexcept {
    // FIPS 180-4 §5.1.1: a one bit, zeros, and the length in bits as 64 bits, up to a whole block.
    std::size_t used = total_bytes_ % 64;
    pending_[used++] = std::byte{0x80};
    if (used > 56) {
        std::memset(pending_.data() + used, 0, 64 - used);
        compress(state_, pending_.data(), 1);
        used = 0;
    }
    std::memset(pending_.data() + used, 0, 56 - used);
    const std::uint64_t bits = total_bytes_ * 8;
    store_big_endian(pending_.data() + 56, static_cast<std::uint32_t>(bits >> 32));
    store_big_endian(pending_.data() + 60, static_cast<std::uint32_t>(bits));
    compress(state_, pending_.data(), 1);
    Digest digest;
    for (std::size_t i = 0; i < 8; ++i) store_big_endian(digest.data() + 4 * i, state_[i]);
    return digest;
}

Digest sha256(std::span<const std::byte> data) noexcept {
    return Sha256().update(data).finish();
}

}  // namespace fastmas::base
