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

SimSigner::SimSigner(const Secret& secret) : secret_(secret), key_(base::sha256(std::as_bytes(std::span(secret)))) {}

Signature SimSigner::sign(std::span<const std::byte> bytes) {
    const auto tag = siphash128(secret_, bytes);
    Signature signature{};
    std::memcpy(signature.data(), tag.data(), sizeof tag);
    return signature;
}

void SimVerifier::add(const SimSigner::Secret& secret) {
    secrets_[SimSigner(secret).public_key()] = secret;
}

bool SimVerifier::verify(const PublicKey& key, std::span<const std::byte> bytes, const Signature& signature) {
    const auto found = secrets_.find(key);
    if (found == secrets_.end()) return false;
    const auto tag = siphash128(found->second, bytes);
    Signature expected{};
    std::memcpy(expected.data(), tag.data(), sizeof tag);
    return expected == signature;
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
