#include "ringbuffer/slots.hpp"

#include <bit>
#include <cstring>
#include <new>
#include <string>

#include "base/errors.hpp"

namespace fastmas::ringbuffer {

RingShape RingShape::checked(std::int64_t capacity, std::int64_t slot_bytes) {
    const auto unsigned_capacity = static_cast<std::uint64_t>(capacity);
    if (slot_bytes < 1 || slot_bytes > static_cast<std::int64_t>(kMaxSlotBytes))
        throw base::ConfigError("a record must have 1 to " + std::to_string(kMaxSlotBytes) + " bytes, got " +
                                std::to_string(slot_bytes) + "; send what is larger in parts");
    if (capacity < 2 || !std::has_single_bit(unsigned_capacity)) {
        // Beyond 2^62 there is no power of two left to suggest, so the largest one that a ring may have is named below.
        const std::uint64_t cure =
            capacity < 2 ? 2 : std::bit_ceil(std::min(unsigned_capacity, std::uint64_t{1} << 34U));
        throw base::ConfigError("capacity must be a power of two >= 2, got " + std::to_string(capacity) + "; try " +
                                std::to_string(cure));
    }
    if (unsigned_capacity > kMaxRingBytes / static_cast<std::uint64_t>(slot_bytes))
        throw base::ConfigError("a ring must not be larger than " + std::to_string(kMaxRingBytes) + " bytes, got " +
                                std::to_string(capacity) + " records of " + std::to_string(slot_bytes) +
                                " bytes; try capacity " +
                                std::to_string(std::bit_floor(kMaxRingBytes / static_cast<std::uint64_t>(slot_bytes))));
    return {capacity, static_cast<std::size_t>(slot_bytes)};
}

Block::Block(std::size_t bytes) : data_(static_cast<std::byte*>(::operator new (bytes, std::align_val_t{kLineBytes}))) {
    std::memset(data_.get(), 0, bytes);
}

void Block::Free::operator()(std::byte* pointer) const noexcept {
    ::operator delete (pointer, std::align_val_t{kLineBytes});
}

}  // namespace fastmas::ringbuffer
