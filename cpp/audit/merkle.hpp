// Merkle trees as RFC 9162 (Certificate Transparency 2.0) §2.1 defines them, over SHA-256.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/sha256.hpp"

namespace fastmas::audit {

using base::Digest;
using base::sha256;
using base::Sha256;

Digest leaf_hash(std::span<const std::byte> entry) noexcept;         // SHA-256(0x00 ‖ entry)
Digest node_hash(const Digest& left, const Digest& right) noexcept;  // SHA-256(0x01 ‖ left ‖ right)

// The root of the leaves added so far, without keeping them: one digest a level. No allocation.
class MerkleTree {
  public:
    void add(const Digest& leaf) noexcept;
    Digest root() const noexcept;  // of no leaves: SHA-256 of nothing
    std::uint64_t size() const noexcept { return size_; }
    void clear() noexcept { size_ = 0; }

  private:
    // subtrees_[k] is the root of 2^k leaves if bit k of size_ is set; higher bits stand further left.
    std::array<Digest, 64> subtrees_;
    std::uint64_t size_ = 0;
};

Digest merkle_root(std::span<const Digest> leaves) noexcept;

// §2.1.3.1: the digests that, with leaf `index`, give the root; the lowest first.
std::vector<Digest> inclusion_path(std::span<const Digest> leaves, std::size_t index);

// §2.1.3.2: the root that a leaf and its path give; nothing when the path cannot belong to that place in such a tree.
std::optional<Digest> root_from_path(const Digest& leaf, std::uint64_t index, std::uint64_t size,
                                     std::span<const Digest> path) noexcept;

}  // namespace fastmas::audit
