// What is signed, and by what: the injected interface, and the bytes that go through it.
#pragma once

#include <memory>
#include <span>

#include "consensus/bft/types.hpp"

namespace fastmas::consensus::bft {

// Holds one validator's secret. Deterministic: the same bytes give the same signature.
class Signer {
  public:
    virtual ~Signer() = default;
    virtual Signature sign(std::span<const std::byte> bytes) = 0;
    virtual PublicKey public_key() const = 0;
};

// Needs public keys only. A pure function of its arguments.
class Verifier {
  public:
    struct Item {
        PublicKey key;
        std::array<std::byte, 128> bytes;
        Signature signature;
    };
    virtual ~Verifier() = default;
    virtual bool verify(const PublicKey& key, std::span<const std::byte> bytes, const Signature& signature) = 0;
    // Whether all are good; a library that checks many at once, or in parallel, overrides it.
    virtual bool verify_all(std::span<const Item> items) {
        for (const Item& item : items)
            if (!verify(item.key, item.bytes, item.signature)) return false;
        return true;
    }
};

// The canonical bytes of a statement: one layout of fixed width for all kinds, so that none can be read as another.
//   8 "fmasbft1", 32 genesis digest, u8 kind, 7 zero, u64 height, i32 round, i32 pol_round, 32 value, 32 extra
// kind: 1 prevote, 2 precommit, 3 proposal, 4 checkpoint. The genesis digest covers the chain's name, its limits and
// its first validators: a signature of one chain means nothing on another.
using SignBytes = std::array<std::byte, 128>;
SignBytes sign_bytes(const Digest& genesis, const Vote& vote) noexcept;
SignBytes sign_bytes(const Digest& genesis, const Proposal& proposal) noexcept;
SignBytes checkpoint_bytes(const Digest& genesis, Height height, const Digest& state) noexcept;

}  // namespace fastmas::consensus::bft
