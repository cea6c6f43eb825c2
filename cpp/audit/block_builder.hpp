// Turns records into sealed blocks: bytes, checksums, Merkle root and chained head. Knows no files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "audit/format.hpp"
#include "audit/merkle.hpp"

namespace fastmas::audit {

// The bytes that open a file. Throws ConfigError when the JSON is longer than kMaxHeaderJson.
std::vector<std::byte> make_header(std::string_view json);

// One block under construction, and the chain of those before it. Its memory is one block: at most kMaxBlockRecords
// records, and at most kSealAtBytes plus one record. Not thread-safe. append() is O(bytes), about two hashes a record.
class BlockBuilder {
  public:
    explicit BlockBuilder(std::span<const std::byte> header);  // the head of no blocks is the header's SHA-256

    // Call when !full(). Throws ConfigError, and changes nothing, when the record breaks a rule: count 0, a cause that
    // is not an earlier id, ids that leave 64 bits, more than kMaxRecordBytes.
    void append(std::uint64_t id, std::int64_t ts_ns, std::uint32_t type, std::uint32_t count,
                std::span<const std::uint64_t> causes, std::span<const std::byte> payload);

    bool full() const noexcept { return tree_.size() == kMaxBlockRecords || used_ >= kSealAtBytes; }
    bool empty() const noexcept { return tree_.size() == 0; }

    // Closes the block and moves the head; call when !empty(). The bytes are valid until the next append.
    std::span<const std::byte> seal();

    const Digest& head() const noexcept { return head_; }  // of the sealed blocks
    std::uint64_t blocks() const noexcept { return blocks_; }
    std::uint64_t records() const noexcept { return sequence_; }  // sealed or not

  private:
    void reserve(std::size_t bytes);

    std::vector<std::byte> buffer_;
    std::size_t used_ = 0;
    MerkleTree tree_;
    Digest head_;
    std::uint64_t blocks_ = 0;
    std::uint64_t sequence_ = 0;
};

}  // namespace fastmas::audit
