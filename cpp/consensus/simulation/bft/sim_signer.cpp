#include "consensus/simulation/bft/sim_signer.hpp"

#include <bit>
#include <cstring>
#include <string>

#include "base/prng.hpp"

namespace fastmas::consensus::bft {

std::array<std::uint64_t, 2> siphash128(const SimSigner::Secret& key, std::span<const std::byte> bytes) noexcept {
    std::uint64_t v0 = key[0] ^ 0x736f6d6570736575ULL, v1 = key[1] ^ 0x646f72616e646f6dULL ^ 0xee,
                  v2 = key[0] ^ 0x6c7967656e657261ULL, v3 = key[1] ^ 0x7465646279746573ULL;
    const auto rounds = [&](int count) {
        for (; count > 0; --count) {
            v0 += v1, v1 = std::rotl(v1, 13) ^ v0, v0 = std::rotl(v0, 32);
            v2 += v3, v3 = std::rotl(v3, 16) ^ v2;
            v0 += v3, v3 = std::rotl(v3, 21) ^ v0;
            v2 += v1, v1 = std::rotl(v1, 17) ^ v2, v2 = std::rotl(v2, 32);
        }
    };
    const auto absorb = [&](std::uint64_t word) {
        v3 ^= word;
        rounds(2);
        v0 ^= word;
    };
    std::size_t at = 0;
    for (; at + 8 <= bytes.size(); at += 8) {
        std::uint64_t word;
        std::memcpy(&word, bytes.data() + at, 8);
        absorb(word);
    }
    std::uint64_t last = static_cast<std::uint64_t>(bytes.size()) << 56;
    if (at < bytes.size()) std::memcpy(&last, bytes.data() + at, bytes.size() - at);
    absorb(last);
    v2 ^= 0xee;
    rounds(4);
    const std::uint64_t low = v0 ^ v1 ^ v2 ^ v3;
    v1 ^= 0xdd;
    rounds(4);
    return {low, v0 ^ v1 ^ v2 ^ v3};
}

SimSigner::SimSigner(const Secret& secret)
    : secret_(secret), folded_{~secret[0], ~secret[1]}, key_(base::sha256(std::as_bytes(std::span(secret)))) {
    for (std::uint64_t at = 0; at < blinds_.size(); ++at)
        blinds_[at] = siphash128(folded_, std::as_bytes(std::span(&at, 1))).front();
}

std::array<std::uint64_t, 2> SimSigner::tag(std::span<const std::byte> bytes) const noexcept {
    std::array<std::uint64_t, kWords> words;
    if (bytes.size() != sizeof words) return siphash128(secret_, bytes);
    std::memcpy(words.data(), bytes.data(), sizeof words);
    __extension__ using Wide = unsigned __int128;
    Wide sum = 0;
    for (std::size_t at = 0; at < kWords; at += 2)
        sum += static_cast<Wide>(words[at] + blinds_[at]) * (words[at + 1] + blinds_[at + 1]);
    const std::array half = {static_cast<std::uint64_t>(sum), static_cast<std::uint64_t>(sum >> 64)};
    return siphash128(folded_, std::as_bytes(std::span(half)));
}

Signature SimSigner::sign(std::span<const std::byte> bytes) {
    const auto made = tag(bytes);
    Signature signature{};
    std::memcpy(signature.data(), made.data(), sizeof made);
    return signature;
}

bool SimSigner::signed_it(std::span<const std::byte> bytes, const Signature& signature) const noexcept {
    std::array<std::uint64_t, sizeof(Signature) / sizeof(std::uint64_t)> words;
    std::memcpy(words.data(), signature.data(), sizeof words);
    std::uint64_t rest = 0;
    for (std::size_t at = 2; at < words.size(); ++at) rest |= words[at];
    const auto made = tag(bytes);
    return words[0] == made[0] && words[1] == made[1] && rest == 0;
}

void SimVerifier::add(const SimSigner::Secret& secret) {
    signers_.emplace_back(secret);
}

bool SimVerifier::verify(const PublicKey& key, std::span<const std::byte> bytes, const Signature& signature) {
    for (const SimSigner& signer : signers_)
        if (signer.is(key)) return signer.signed_it(bytes, signature);
    return false;
}

SimKeys::SimKeys(std::size_t nodes, std::uint64_t seed) : verifier(std::make_shared<SimVerifier>()) {
    for (std::size_t node = 1; node <= nodes; ++node) {
        base::Prng random(base::derive_seed(seed, "bft/secret/" + std::to_string(node)));
        const SimSigner::Secret secret = {random.next(), random.next()};
        signers.push_back(std::make_shared<SimSigner>(secret));
        verifier->add(secret);
    }
}

}  // namespace fastmas::consensus::bft
