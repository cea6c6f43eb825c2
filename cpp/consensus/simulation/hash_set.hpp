// A set of 64-bit hashes that grows to hundreds of millions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace fastmas::consensus {

// A bijection whose output bits all depend on all input bits (splitmix64's finaliser).
inline std::uint64_t mix64(std::uint64_t x) noexcept {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

// Open addressing, at most 5/8 full: 13 to 26 bytes an element. The elements are hashes already: two different things
// with one hash are taken for one, with n of them at odds of n^2 / 2^65.
class HashSet {
  public:
    HashSet() : slots_(1U << 12) {}

    // Whether it was not in yet.
    bool insert(std::uint64_t hash) {
        if (hash == 0) hash = 1;  // 0 marks a free slot
        if ((size_ + 1) * 8 > slots_.size() * 5) grow();
        if (!put(hash)) return false;
        ++size_;
        return true;
    }
    std::size_t size() const noexcept { return size_; }

  private:
    bool put(std::uint64_t hash) noexcept {
        const std::size_t mask = slots_.size() - 1;
        for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
            if (slots_[at] == hash) return false;
            if (slots_[at] == 0) {
                slots_[at] = hash;
                return true;
            }
        }
    }
    void grow() {
        std::vector<std::uint64_t> old(slots_.size() * 2);
        old.swap(slots_);
        for (const std::uint64_t hash : old)
            if (hash != 0) put(hash);
    }

    std::vector<std::uint64_t> slots_;
    std::size_t size_ = 0;
};

}  // namespace fastmas::consensus
