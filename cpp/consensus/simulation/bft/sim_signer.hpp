// Signatures for simulation: fast, and forged by nobody in it.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "consensus/bft/signing.hpp"

namespace fastmas::consensus::bft {

// A keyed 128-bit SipHash-2-4 (Aumasson, Bernstein 2012) under the validator's own secret; what is as long as a
// statement is folded first, by NH under words of that secret (Black et al., UMAC, 1999: two statements fold to the
// same for one secret in 2^64), which takes a third of the time.
// Threat model: it is a message authentication code, so whoever can check could also make one. In a simulation only the
// SimVerifier knows the secrets, answers yes or no, and signs nothing; a simulated liar has its own SimSigner and those
// of its accomplices, and can at best guess 64 bits of any other's. Not for a network: there use Ed25519.
class SimSigner final : public Signer {
  public:
    using Secret = std::array<std::uint64_t, 2>;
    explicit SimSigner(const Secret& secret);
    Signature sign(std::span<const std::byte> bytes) override;
    PublicKey public_key() const override { return key_; }
    bool is(const PublicKey& key) const noexcept { return std::memcmp(key.data(), key_.data(), key.size()) == 0; }
    bool signed_it(std::span<const std::byte> bytes, const Signature& signature) const noexcept;

  private:
    static constexpr std::size_t kWords = std::tuple_size_v<SignBytes> / sizeof(std::uint64_t);
    std::array<std::uint64_t, 2> tag(std::span<const std::byte> bytes) const noexcept;

    Secret secret_;
    Secret folded_;  // for what is folded, so that a tag of the one kind says nothing about the other
    std::array<std::uint64_t, kWords> blinds_;
    PublicKey key_;
};

class SimVerifier final : public Verifier {
  public:
    void add(const SimSigner::Secret& secret);
    bool verify(const PublicKey& key, std::span<const std::byte> bytes, const Signature& signature) override;

  private:
    std::vector<SimSigner> signers_;
};

// Keys of the nodes 1 .. n, derived from a seed.
struct SimKeys {
    SimKeys(std::size_t nodes, std::uint64_t seed);
    std::vector<std::shared_ptr<Signer>> signers;  // of node i + 1
    std::shared_ptr<SimVerifier> verifier;
};

std::array<std::uint64_t, 2> siphash128(const SimSigner::Secret& key, std::span<const std::byte> bytes) noexcept;

}  // namespace fastmas::consensus::bft
