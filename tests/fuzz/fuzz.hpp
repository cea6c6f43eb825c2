// What the fuzz targets share.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <vector>

// Ends the process, which is how a fuzzer learns of it.
#define FUZZ_CHECK(condition)                                                            \
    do {                                                                                 \
        if (!(condition)) {                                                              \
            std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            std::abort();                                                                \
        }                                                                                \
    } while (false)

namespace fastmas::fuzz {

inline std::span<const std::byte> as_bytes(const std::uint8_t* data, std::size_t size) {
    return std::as_bytes(std::span(data, size));
}

// Parts of the input, each after a byte that says how long it is: 0 to 254, or 255 for all that is left.
class Parts {
  public:
    explicit Parts(std::span<const std::byte> bytes) : bytes_(bytes) {}
    bool empty() const noexcept { return bytes_.empty(); }
    std::uint8_t byte() {
        if (bytes_.empty()) return 0;
        const auto value = static_cast<std::uint8_t>(bytes_.front());
        bytes_ = bytes_.subspan(1);
        return value;
    }
    std::span<const std::byte> part() {
        const std::uint8_t length = byte();
        const auto part = bytes_.first(length == 255 ? bytes_.size() : std::min<std::size_t>(length, bytes_.size()));
        bytes_ = bytes_.subspan(part.size());
        return part;
    }

  private:
    std::span<const std::byte> bytes_;
};

}  // namespace fastmas::fuzz
