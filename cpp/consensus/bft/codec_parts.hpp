// The nouns of this protocol as bytes, for messages (codec.cpp) and for the disk (storage_codec.cpp): one layout each.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "consensus/bft/storage.hpp"
#include "consensus/bytes.hpp"

namespace fastmas::consensus::bft {

// Layout, little-endian:
// signed:   u32 validator, signature
// vote:     u8 type, u64 height, i32 round, 32 value, u32 validator, signature
// proposal: i32 round, i32 pol_round, u32 proposer, signature, u32 pol, each signed, block
// block:    u64 height, u64 first_index, i64 time_ns, u32 proposer, 32 parent, 32 validators, 32 next_validators,
//           u32 count, commands
// command:  u8 kind (+ 128: its session expires), session, i64 time_ns, u32 size, bytes
// decided:  i32 round, u32 votes, each signed, block
// snapshot: chain, u32 size, state, u32 proof, checkpoint votes
// chain:    u64 height, 32 last_id, u64 index, i64 time_ns, u32 validators, each (u32 id, u64 power, 32 key,
//           i64 priority), u32 clients, each (u64 client, u64 sequence, i64 expires_ns)
// checkpoint vote: u64 height, 32 digest, u32 validator, signature
inline constexpr std::size_t kSignedBytes = 4 + 64;
inline constexpr std::size_t kVoteBytes = 1 + 8 + 4 + 32 + 4 + 64;
inline constexpr std::size_t kCommandBytes = 1 + 24 + 8 + 4;  // at least
inline constexpr std::size_t kBlockBytes = 8 + 8 + 8 + 4 + 96 + 4;
inline constexpr std::size_t kCheckpointBytes = 8 + 32 + 4 + 64;
inline constexpr std::size_t kValidatorBytes = 4 + 8 + 32 + 8;
inline constexpr std::size_t kClientBytes = 24;
inline constexpr std::size_t kChainBytes = 8 + 32 + 8 + 8 + 4 + 4;

template <std::size_t N>
bool get(Reader& reader, std::array<std::byte, N>& bytes) noexcept {
    if (reader.left() < N) return false;
    std::memcpy(bytes.data(), reader.rest().data(), N);
    reader = Reader(reader.rest().subspan(N));
    return true;
}

// A count of things of at least `each` bytes, no more than `most` and than there can be in what is left.
inline bool get_count(Reader& reader, std::uint32_t& count, std::size_t each, std::size_t most) noexcept {
    return reader.get(count) && count <= most && count <= reader.left() / each;
}

// Each get says whether the bytes were well formed, or what is wrong with them; never throws but std::bad_alloc.
void put(Writer& writer, const Command& command);
bool get(Reader& reader, Command& command);
bool get(Reader& reader, std::vector<Command>& commands);
void put(Writer& writer, const Block& block);
bool get(Reader& reader, Block& block);  // computes its digest
bool get(Reader& reader, BlockPtr& made);
void put(Writer& writer, const Vote& vote);
bool get(Reader& reader, Vote& vote) noexcept;
void put(Writer& writer, const CheckpointVote& vote);
bool get(Reader& reader, std::vector<CheckpointVote>& votes);
const char* get_proposal(Reader& reader, Proposal& proposal);
void put_proposal(Writer& writer, const Proposal& proposal);
bool get_signed(Reader& reader, Certificate& certificate);
void put_signed(Writer& writer, const Certificate& certificate);
const char* get_decided(Reader& reader, Decided& decided);
void put(Writer& writer, const Decided& decided);
const char* get_snapshot(Reader& reader, std::shared_ptr<const Snapshot>& made);
void put_snapshot(const Snapshot& snapshot, std::vector<std::byte>& out);

}  // namespace fastmas::consensus::bft
