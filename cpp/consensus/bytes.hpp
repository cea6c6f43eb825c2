// Reading and writing integers in byte strings, little-endian, bounds-checked.
#pragma once

#include <bit>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

#include "base/payload.hpp"

namespace fastmas::consensus {

using base::Payload;

static_assert(std::endian::native == std::endian::little, "integers are encoded as they lie in memory");

class Writer {
  public:
    explicit Writer(std::vector<std::byte>& out) : out_(out) {}
    template <class T>
    requires std::is_integral_v<T>
    void put(T value) {
        const auto at = out_.size();
        out_.resize(at + sizeof(T));
        std::memcpy(out_.data() + at, &value, sizeof(T));
    }
    void put(std::span<const std::byte> bytes) {
        if (bytes.empty()) return;
        const auto at = out_.size();
        out_.resize(at + bytes.size());
        std::memcpy(out_.data() + at, bytes.data(), bytes.size());
    }

  private:
    std::vector<std::byte>& out_;
};

// Every get() says whether enough bytes were left; after a false one the reader is of no more use.
class Reader {
  public:
    explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}
    template <class T>
    requires std::is_integral_v<T>
    bool get(T& value) noexcept {
        if (bytes_.size() < sizeof(T)) return false;
        std::memcpy(&value, bytes_.data(), sizeof(T));
        bytes_ = bytes_.subspan(sizeof(T));
        return true;
    }
    bool get(Payload& payload, std::size_t size) {
        if (bytes_.size() < size) return false;
        payload = Payload(bytes_.first(size));
        bytes_ = bytes_.subspan(size);
        return true;
    }
    std::size_t left() const noexcept { return bytes_.size(); }
    std::span<const std::byte> rest() const noexcept { return bytes_; }

  private:
    std::span<const std::byte> bytes_;
};

}  // namespace fastmas::consensus
