#include "audit/merkle.hpp"

#include <bit>

namespace fastmas::audit {

Digest leaf_hash(std::span<const std::byte> entry) noexcept {
    constexpr std::array<std::byte, 1> prefix = {std::byte{0x00}};
    return Sha256().update(prefix).update(entry).finish();
}

Digest node_hash(const Digest& left, const Digest& right) noexcept {
    constexpr std::array<std::byte, 1> prefix = {std::byte{0x01}};
    return Sha256().update(prefix).update(left).update(right).finish();
}

void MerkleTree::add(const Digest& leaf) noexcept {
    // Like adding one to a binary number: two subtrees of one size become one of twice that size, and carry.
    Digest carry = leaf;
    std::size_t level = 0;
    for (; (size_ >> level & 1) != 0; ++level) carry = node_hash(subtrees_[level], carry);
    subtrees_[level] = carry;
    ++size_;
}

Digest MerkleTree::root() const noexcept {
    if (size_ == 0) return sha256({});
    auto level = static_cast<std::size_t>(std::countr_zero(size_));
    Digest root = subtrees_[level];
    while (++level < 64 && size_ >> level != 0) {
        if ((size_ >> level & 1) != 0) root = node_hash(subtrees_[level], root);
    }
    return root;
}

Digest merkle_root(std::span<const Digest> leaves) noexcept {
    MerkleTree tree;
    for (const Digest& leaf : leaves) tree.add(leaf);
    return tree.root();
}

std::vector<Digest> inclusion_path(std::span<const Digest> leaves, std::size_t index) {
    // From the root down, the sibling of the half that holds the leaf; the caller wants it from the leaf up.
    std::vector<Digest> path;
    while (leaves.size() > 1) {
        const std::size_t split = std::bit_ceil(leaves.size()) / 2;  // the largest power of two below the size
        if (index < split) {
            path.push_back(merkle_root(leaves.subspan(split)));
            leaves = leaves.first(split);
        } else {
            path.push_back(merkle_root(leaves.first(split)));
            leaves = leaves.subspan(split);
            index -= split;
        }
    }
    return {path.rbegin(), path.rend()};
}

std::optional<Digest> root_from_path(const Digest& leaf, std::uint64_t index, std::uint64_t size,
                                     std::span<const Digest> path) noexcept {
    if (index >= size) return {};
    std::uint64_t place = index;
    std::uint64_t last = size - 1;
    Digest root = leaf;
    for (const Digest& sibling : path) {
        if (last == 0) return {};
        if ((place & 1) != 0 || place == last) {
            root = node_hash(sibling, root);
            while ((place & 1) == 0 && place != 0) {  // levels on which this subtree had no sibling
                place >>= 1;
                last >>= 1;
            }
        } else {
            root = node_hash(root, sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    if (last != 0) return {};
    return root;
}

}  // namespace fastmas::audit
