// What a node has stored, as bytes for a disk.
#pragma once

#include <span>
#include <vector>

#include "consensus/bft/storage.hpp"

namespace fastmas::consensus::bft {

// Each with a version, without a checksum: that belongs to the file, which alone knows what it has written. Appended to
// `out`. Decoding takes exactly these bytes and returns what is wrong with others, or nullptr; never throws but
// std::bad_alloc. The disk is trusted as far as this: BftNode's constructor checks the blocks, not what it signed
// itself.
void encode_hard_state(const HardState& hard, std::vector<std::byte>& out);
const char* decode_hard_state(std::span<const std::byte> bytes, HardState& hard);
void encode_decided(const Decided& decided, std::vector<std::byte>& out);
const char* decode_decided(std::span<const std::byte> bytes, Decided& decided);
void encode_snapshot(const Snapshot& snapshot, std::vector<std::byte>& out);
const char* decode_snapshot(std::span<const std::byte> bytes, Snapshot& snapshot);

}  // namespace fastmas::consensus::bft
