// Immutable bytes, cheap to copy, inline when short.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <span>
#include <string_view>
#include <utility>

namespace fastmas::base {

// An immutable string of bytes. Up to kInlineBytes live in the object itself (no allocation); longer ones share one
// block between all copies. Copies may be used by different threads; one object may not. Copying is O(1) and never
// throws.
class Payload {
  public:
    static constexpr std::size_t kInlineBytes = 40;
    static constexpr std::size_t kMaxBytes = 0xffffffffU;

    Payload() noexcept : storage_{}, size_(0) {}

    // Copies the bytes, of which there are at most kMaxBytes.
    explicit Payload(std::span<const std::byte> bytes) : storage_{}, size_(static_cast<std::uint32_t>(bytes.size())) {
        if (is_inline()) {
            if (size_ != 0) std::memcpy(storage_.inline_bytes, bytes.data(), size_);
        } else {
            storage_.block = new (::operator new(sizeof(Block) + size_)) Block;
            std::memcpy(storage_.block->bytes(), bytes.data(), size_);
        }
    }
    explicit Payload(std::string_view text) : Payload(std::as_bytes(std::span(text.data(), text.size()))) {}

    Payload(const Payload& other) noexcept : storage_(other.storage_), size_(other.size_) { retain(); }
    Payload(Payload&& other) noexcept : storage_(other.storage_), size_(std::exchange(other.size_, 0U)) {}
    Payload& operator=(const Payload& other) noexcept {
        if (this != &other) {
            release();
            storage_ = other.storage_;
            size_ = other.size_;
            retain();
        }
        return *this;
    }
    Payload& operator=(Payload&& other) noexcept {
        if (this != &other) {
            release();
            storage_ = other.storage_;
            size_ = std::exchange(other.size_, 0U);
        }
        return *this;
    }
    ~Payload() { release(); }

    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    const std::byte* data() const noexcept { return is_inline() ? storage_.inline_bytes : storage_.block->bytes(); }
    std::span<const std::byte> bytes() const noexcept { return {data(), size_}; }
    std::string_view text() const noexcept { return {reinterpret_cast<const char*>(data()), size_}; }

    friend bool operator==(const Payload& a, const Payload& b) noexcept {
        return a.size_ == b.size_ && (a.size_ == 0 || std::memcmp(a.data(), b.data(), a.size_) == 0);
    }

  private:
    struct Block {
        std::atomic<std::uint32_t> references{1};
        std::byte* bytes() noexcept { return reinterpret_cast<std::byte*>(this + 1); }
    };
    union Storage {
        std::byte inline_bytes[kInlineBytes];
        Block* block;
    };

    bool is_inline() const noexcept { return size_ <= kInlineBytes; }
    void retain() noexcept {
        // [P2 relaxed] whoever copies already holds a reference, so the block cannot go away meanwhile
        if (!is_inline()) storage_.block->references.fetch_add(1, std::memory_order_relaxed);
    }
    void release() noexcept {
        // [P1 acq_rel] pairs with itself: the last owner sees every other owner's reads finished before it frees the
        // block
        if (!is_inline() && storage_.block->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
            storage_.block->~Block();
            ::operator delete(storage_.block);
        }
        size_ = 0;
    }

    Storage storage_;
    std::uint32_t size_;
};

}  // namespace fastmas::base
