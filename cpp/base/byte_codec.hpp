// Little-endian encoding of fixed-width fields, and the bounds-checked way back.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace fastmas::base {

static_assert(std::endian::native == std::endian::little,
              "fastmas stores records as the machine does: little-endian only");

// Appends to a string, which keeps its capacity from one message to the next: no allocation once it has grown.
class ByteWriter {
  public:
    explicit ByteWriter(std::string& out) noexcept : out_(out) {}

    template <class T>
    void put(T value) {
        static_assert(std::is_arithmetic_v<T> && !std::is_same_v<T, bool>);
        char bytes[sizeof(T)];
        std::memcpy(bytes, &value, sizeof(T));
        out_.append(bytes, sizeof(T));
    }
    void put_bytes(const void* data, std::size_t size) { out_.append(static_cast<const char*>(data), size); }

  private:
    std::string& out_;
};

// Reads what may be hostile: a read past the end gives zero and marks the reader as failed, and so does every read
// after it. The caller checks `ok()` where it would act on what it read, and `finished()` at the end.
class ByteReader {
  public:
    explicit ByteReader(std::span<const std::byte> bytes) noexcept : bytes_(bytes) {}

    template <class T>
    T get() noexcept {
        static_assert(std::is_arithmetic_v<T> && !std::is_same_v<T, bool>);
        T value{};
        if (const auto part = get_bytes(sizeof(T)); ok_) std::memcpy(&value, part.data(), sizeof(T));
        return value;
    }
    std::span<const std::byte> get_bytes(std::size_t size) noexcept {
        if (!ok_ || size > bytes_.size() - at_) {
            ok_ = false;
            return {};
        }
        at_ += size;
        return bytes_.subspan(at_ - size, size);
    }
    std::size_t left() const noexcept { return bytes_.size() - at_; }
    bool ok() const noexcept { return ok_; }
    bool finished() const noexcept { return ok_ && left() == 0; }

  private:
    std::span<const std::byte> bytes_;
    std::size_t at_ = 0;
    bool ok_ = true;
};

}  // namespace fastmas::base
