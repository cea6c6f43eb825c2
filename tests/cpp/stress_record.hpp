// A record of which every field is a function of its producer and sequence, so that a torn, stale, lost or repeated one
// shows at once.
#pragma once

#include <cstddef>
#include <cstdint>

#include "check.hpp"

namespace fastmas::testing {

struct StressRecord {
    std::uint64_t producer;
    std::uint64_t sequence;
    std::uint64_t square;
    std::uint64_t mixed;
    std::uint32_t low;
    std::uint32_t check;

    static StressRecord of(std::uint64_t producer, std::uint64_t sequence) {
        StressRecord record{producer, sequence, sequence * sequence + producer, 0, 0, 0};
        record.mixed = (sequence ^ (producer << 48U)) * 0x9E3779B97F4A7C15ULL;
        record.low = static_cast<std::uint32_t>(record.mixed >> 32U);
        record.check = static_cast<std::uint32_t>(record.square) ^ record.low;
        return record;
    }
    bool operator==(const StressRecord&) const = default;
};

inline void check_record(const StressRecord& got, std::uint64_t producer, std::uint64_t sequence) {
    if (got == StressRecord::of(producer, sequence)) return;
    fail(__FILE__, __LINE__,
         "record " + std::to_string(sequence) + " of producer " + std::to_string(producer) + ": got sequence " +
             std::to_string(got.sequence) + " of " + std::to_string(got.producer) + ", fields torn or out of order");
}

inline const std::byte* bytes_of(const StressRecord* record) {
    return reinterpret_cast<const std::byte*>(record);
}
inline std::byte* bytes_of(StressRecord* record) {
    return reinterpret_cast<std::byte*>(record);
}

}  // namespace fastmas::testing
