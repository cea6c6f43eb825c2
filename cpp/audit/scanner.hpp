// Takes a file apart into header, records, footers and trailer, and says where it stops making sense.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "audit/byte_source.hpp"
#include "audit/format.hpp"

namespace fastmas::audit {

// What is wrong with a file, and where; becomes fastmas.AuditError. `record` is a sequence number.
struct Damage : std::runtime_error {
    Damage(const std::string& text, std::uint64_t at, std::optional<std::uint64_t> in_block = {},
           std::optional<std::uint64_t> of_record = {})
        : std::runtime_error(text), offset(at), block(in_block), record(of_record) {}

    std::uint64_t offset;
    std::optional<std::uint64_t> block;
    std::optional<std::uint64_t> record;
};

struct Header {
    std::string json;
    std::uint64_t bytes = 0;
    Digest hash{};  // the head of no blocks
};

Header read_header(ByteSource& source);  // throws Damage

enum class ItemKind : std::uint8_t { record, footer, trailer, end, damage };

struct Item {
    ItemKind kind = ItemKind::end;
    std::uint64_t offset = 0;
    RecordView record;  // valid until the next call
    Footer footer;
    Trailer trailer;
    std::string damage;  // what stands here instead
};

// Reads forward, item by item. Every record it gives has a right checksum, causes and ids that fit;
// it promises nothing about their order or hashes. Memory: 1 MiB or the longest record.
class Scanner {
  public:
    Scanner(ByteSource& source, std::uint64_t offset) : source_(source), offset_(offset) {}

    const Item& next();  // after end or damage, the same again

  private:
    std::span<const std::byte> window(std::size_t bytes);
    void give_damage(std::string text);

    ByteSource& source_;
    std::uint64_t offset_;
    std::vector<std::byte> buffer_;
    std::uint64_t buffer_offset_ = 0;
    std::size_t buffer_used_ = 0;
    Item item_;
};

// Whether a footer or trailer with a right checksum starts at or after `offset`: if so, what does not make sense there
// is damage in the middle of a file; if not, it may be the torn end of one.
bool has_seal_after(ByteSource& source, std::uint64_t offset);

}  // namespace fastmas::audit
