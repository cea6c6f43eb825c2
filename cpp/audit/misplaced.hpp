// Tells apart what may be wrong when a record or block with a right checksum stands in the wrong place.
#pragma once

#include <cstdint>

#include "audit/scanner.hpp"

namespace fastmas::audit {

struct Place {
    std::uint64_t block = 0;         // the block that should stand here
    std::uint64_t block_offset = 0;  // where its first record should
    std::uint64_t sequence = 0;      // the record that should stand here
    std::uint64_t offset = 0;
    bool first_of_block = false;
};

// Missing, repeated or out of order, record or block: reads on to see what comes later. O(rest of the file).
Damage misplaced_record(ByteSource& source, const Place& place, std::uint64_t found_sequence);

}  // namespace fastmas::audit
