// Messages as bytes: little-endian, length-checked, canonical (one message, one encoding).
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "consensus/bft/message.hpp"

namespace fastmas::consensus::bft {

inline constexpr std::uint8_t kMessageVersion = 1;

// How many bytes encode() gives.
std::size_t encoded_size(const Message& message) noexcept;
std::size_t encoded_size(const Block& block) noexcept;

// Appends the message to `out`. Fields that the type does not use are not sent, nor is what follows from others: the
// digest of a block, what the votes of a proof are for.
void encode(const Message& message, std::vector<std::byte>& out);

// Fills `message` from exactly these bytes. On hostile bytes it returns what is wrong with them and leaves `message` in
// a valid but unspecified state; nullptr when they are well formed. Never reads out of bounds, never allocates more
// than a small multiple of the bytes, never throws but std::bad_alloc. Computes the digest of each block.
const char* decode(std::span<const std::byte> bytes, Message& message);

// One block or one certificate by itself: what a gateway or an auditor is handed.
void encode_block(const Block& block, std::vector<std::byte>& out);
const char* decode_block(std::span<const std::byte> bytes, Block& block);
void encode_certificate(const Certificate& certificate, std::vector<std::byte>& out);
const char* decode_certificate(std::span<const std::byte> bytes, Certificate& certificate);

}  // namespace fastmas::consensus::bft
