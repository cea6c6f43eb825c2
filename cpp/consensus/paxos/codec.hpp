// Messages as bytes: little-endian, length-checked, canonical (one message, one encoding).
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "consensus/paxos/message.hpp"

namespace fastmas::consensus::paxos {

inline constexpr std::uint8_t kMessageVersion = 1;

// How many bytes encode() gives. O(entries).
std::size_t encoded_size(const Message& message) noexcept;

// Appends the message to `out`. Fields that the type does not use are not sent.
void encode(const Message& message, std::vector<std::byte>& out);

// Fills `message` from exactly these bytes; keeps the capacity it has. On hostile bytes it returns what is wrong with
// them and leaves `message` in a valid but unspecified state; nullptr when they are well formed. Never reads out of
// bounds, never allocates more than the bytes could hold, never throws but std::bad_alloc.
const char* decode(std::span<const std::byte> bytes, Message& message);

}  // namespace fastmas::consensus::paxos
