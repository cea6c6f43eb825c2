#include "audit/block_builder.hpp"

#include <algorithm>
#include <limits>
#include <string>

#include "base/errors.hpp"

namespace fastmas::audit {

std::vector<std::byte> make_header(std::string_view json) {
    if (json.size() > kMaxHeaderJson) {
        throw base::ConfigError("an audit header holds at most " + std::to_string(kMaxHeaderJson) +
                                " bytes of JSON, got " + std::to_string(json.size()) + "; put less into meta");
    }
    std::vector<std::byte> header(kHeaderFixedBytes + json.size());
    std::memcpy(header.data(), kMagic.data(), kMagic.size());
    store(header.data() + 8, kVersion);
    store(header.data() + 12, static_cast<std::uint32_t>(json.size()));
    if (!json.empty()) std::memcpy(header.data() + 16, json.data(), json.size());
    store(header.data() + 16 + json.size(), crc32c(std::span<const std::byte>(header).first(16 + json.size())));
    return header;
}

BlockBuilder::BlockBuilder(std::span<const std::byte> header) : head_(sha256(header)) {}

void BlockBuilder::reserve(std::size_t bytes) {
    if (used_ + bytes > buffer_.size()) buffer_.resize(std::max(used_ + bytes, 2 * buffer_.size()));
}

void BlockBuilder::append(std::uint64_t id, std::int64_t ts_ns, std::uint32_t type, std::uint32_t count,
                          std::span<const std::uint64_t> causes, std::span<const std::byte> payload) {
    if (count == 0)
        throw base::ConfigError("an audit record holds count >= 1 rows, got 0; do not append empty batches");
    if (id > std::numeric_limits<std::uint64_t>::max() - count) {
        throw base::ConfigError("ids are 64 bits wide, got id " + std::to_string(id) + " with count " +
                                std::to_string(count) + "; number messages from 1");
    }
    for (const std::uint64_t cause : causes) {
        // What comes earlier has the smaller id, so that causes can form no cycle.
        if (cause == 0 || (id != 0 && cause >= id)) {
            throw base::ConfigError("a cause is the id of an earlier message, got cause " + std::to_string(cause) +
                                    " of id " + std::to_string(id) + "; name only messages that were emitted before");
        }
    }
    if (causes.size() > kMaxRecordBytes / 8 || payload.size() > kMaxRecordBytes ||
        kRecordHeaderBytes + 8 * causes.size() + payload.size() > kMaxRecordBytes) {
        throw base::ConfigError("an audit record holds at most " + std::to_string(kMaxRecordBytes) + " bytes, got " +
                                std::to_string(payload.size()) + " of payload and " + std::to_string(causes.size()) +
                                " causes; split the batch");
    }
    const std::size_t length = kRecordHeaderBytes + 8 * causes.size() + payload.size();
    reserve(length + kFooterBytes);
    std::byte* at = buffer_.data() + used_;
    store(at, static_cast<std::uint32_t>(length));
    store(at + 8, sequence_);
    store(at + 16, id);
    store(at + 24, ts_ns);
    store(at + 32, type);
    store(at + 36, count);
    store(at + 40, static_cast<std::uint32_t>(causes.size()));
    std::byte* next = at + kRecordHeaderBytes;
    for (const std::uint64_t cause : causes) {
        store(next, cause);
        next += 8;
    }
    if (!payload.empty()) std::memcpy(next, payload.data(), payload.size());
    const std::span<const std::byte> record(at, length);
    store(at + 4, checksum_around(record));
    tree_.add(leaf_hash(record));
    used_ += length;
    ++sequence_;
}

std::span<const std::byte> BlockBuilder::seal() {
    Footer footer;
    footer.block = blocks_;
    footer.count = static_cast<std::uint32_t>(tree_.size());
    footer.first_sequence = sequence_ - footer.count;
    footer.record_bytes = used_;
    footer.previous = head_;
    footer.root = tree_.root();
    footer.head = chain_head(head_, blocks_, footer.count, footer.root);
    write_footer(footer, std::span<std::byte, kFooterBytes>(buffer_.data() + used_, kFooterBytes));
    const std::span<const std::byte> bytes(buffer_.data(), used_ + kFooterBytes);
    head_ = footer.head;
    ++blocks_;
    tree_.clear();
    used_ = 0;
    return bytes;
}

}  // namespace fastmas::audit
