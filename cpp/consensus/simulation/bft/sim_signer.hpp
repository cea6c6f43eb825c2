// Signatures for simulation: fast, and forged by nobody in it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "consensus/bft/signing.hpp"

namespace fastmas::consensus::bft {

// A keyed 128-bit SipHash-2-4 (Aumasson, Bernstein 2012) under the validator's own secret.
// Threat model: it is a message authentication code, so whoever can check could also make one. In a simulation only the
// SimVerifier knows the secrets, answers yes or no, and signs nothing; a simulated liar has its own SimSigner and those
// of its accomplices, and can at best guess 128 bits of any other's. Not for a network: there use Ed25519.
class SimSigner final : public Signer {
  public:
    using Secret = std::array<std::uint64_t, 2>;
    explicit SimSigner(const Secret& secret);
    Signature sign(std::span<const std::byte> bytes) override;
    PublicKey public_key() const override { return key_; }

  private:
    Secret secret_;
    PublicKey key_;
};

class SimVerifier final : public Verifier {
  public:
    void add(const SimSigner::Secret& secret);
    bool verify(const PublicKey& key, std::span<const std::byte> bytes, const Signature& signature) override;

  private:
    std::map<PublicKey, SimSigner::Secret> secrets_;
};

// Keys of the nodes 1 .. n, derived from a seed.
struct SimKeys {
    SimKeys(std::size_t nodes, std::uint64_t seed);
    std::vector<std::shared_ptr<Signer>> signers;  // of node i + 1
    std::shared_ptr<SimVerifier> verifier;
};

std::array<std::uint64_t, 2> siphash128(const SimSigner::Secret& key, std::span<const std::byte> bytes) noexcept;

}  // namespace fastmas::consensus::bft
