#include "audit/scanner.hpp"

#include <algorithm>

namespace fastmas::audit {
namespace {

constexpr std::size_t kWindowBytes = std::size_t{1} << 20;

}  // namespace

Header read_header(ByteSource& source) {
    std::vector<std::byte> bytes(std::min<std::uint64_t>(source.size(), kHeaderFixedBytes + kMaxHeaderJson));
    bytes.resize(source.read(0, bytes));
    if (bytes.size() < kMagic.size() || std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0)
        throw Damage("not an audit file, or its header is damaged: it does not begin with FMAUDIT1", 0);
    if (bytes.size() < kHeaderFixedBytes) throw Damage("the header is cut short", bytes.size());
    const auto length = load<std::uint32_t>(bytes.data() + 12);
    if (length > bytes.size() - kHeaderFixedBytes)
        throw Damage("the header is damaged or cut short: it claims " + std::to_string(length) + " bytes of JSON", 12);
    bytes.resize(kHeaderFixedBytes + length);
    const std::span<const std::byte> all(bytes);
    if (load<std::uint32_t>(bytes.data() + 16 + length) != crc32c(all.first(16 + length)))
        throw Damage("the header is damaged: its checksum is wrong", 0);
    const auto version = load<std::uint32_t>(bytes.data() + 8);
    if (version != kVersion)
        throw Damage("this is audit format version " + std::to_string(version) + "; only version 1 can be read", 8);
    Header header;
    header.json.assign(reinterpret_cast<const char*>(bytes.data() + 16), length);
    header.bytes = bytes.size();
    header.hash = sha256(all);
    return header;
}

std::span<const std::byte> Scanner::window(std::size_t bytes) {
    const std::uint64_t end = buffer_offset_ + buffer_used_;
    if (offset_ < buffer_offset_ || offset_ + bytes > end) {
        const std::uint64_t rest = source_.size() - std::min(offset_, source_.size());
        const std::size_t wanted =
            static_cast<std::size_t>(std::min<std::uint64_t>(rest, std::max(bytes, kWindowBytes)));
        if (buffer_.size() < wanted) buffer_.resize(wanted);
        buffer_used_ = source_.read(offset_, std::span(buffer_).first(wanted));
        buffer_offset_ = offset_;
    }
    const auto from = static_cast<std::size_t>(offset_ - buffer_offset_);
    return std::span<const std::byte>(buffer_).subspan(from, std::min(bytes, buffer_used_ - from));
}

void Scanner::give_damage(std::string text) {
    item_.kind = ItemKind::damage;
    item_.damage = std::move(text);
}

const Item& Scanner::next() {
    item_.offset = offset_;
    std::span<const std::byte> bytes = window(4);
    if (bytes.empty()) {
        item_.kind = ItemKind::end;
        return item_;
    }
    if (bytes.size() < 4) {
        give_damage("the file ends inside a record");
        return item_;
    }
    const auto length = load<std::uint32_t>(bytes.data());
    if (length == kFooterTag || length == kTrailerTag) {
        const bool is_footer = length == kFooterTag;
        const std::size_t size = is_footer ? kFooterBytes : kTrailerBytes;
        const char* name = is_footer ? "footer" : "trailer";
        bytes = window(size);
        if (bytes.size() < size) {
            give_damage(std::string("the file ends inside a ") + name);
            return item_;
        }
        if (is_footer) {
            const auto footer = read_footer(bytes.first<kFooterBytes>());
            if (footer) item_.footer = *footer;
            item_.kind = footer ? ItemKind::footer : ItemKind::damage;
        } else {
            const auto trailer = read_trailer(bytes.first<kTrailerBytes>());
            if (trailer) item_.trailer = *trailer;
            item_.kind = trailer ? ItemKind::trailer : ItemKind::damage;
        }
        if (item_.kind == ItemKind::damage) {
            give_damage(std::string("the ") + name + "'s checksum is wrong");
            return item_;
        }
        offset_ += size;
        return item_;
    }
    if (length < kRecordHeaderBytes || length > kMaxRecordBytes) {
        give_damage("neither a record nor a footer begins here");
        return item_;
    }
    bytes = window(length);
    if (bytes.size() < length) {
        give_damage("the file ends inside a record");
        return item_;
    }
    const RecordView record{bytes};
    if (record.checksum() != checksum_around(bytes)) {
        give_damage("the record's checksum is wrong");
    } else if (!record.causes_fit() || !record.ids_fit()) {
        give_damage("the record contradicts itself, though its checksum is right");
    } else {
        item_.kind = ItemKind::record;
        item_.record = record;
        offset_ += length;
    }
    return item_;
}

bool has_seal_after(ByteSource& source, std::uint64_t offset) {
    if (offset >= source.size()) return false;
    std::vector<std::byte> buffer(std::min<std::uint64_t>(source.size() - offset, kWindowBytes));
    while (offset < source.size()) {
        const std::size_t used = source.read(offset, buffer);
        const std::span<const std::byte> bytes(buffer.data(), used);
        for (std::size_t i = 0; i + kTrailerBytes <= used; ++i) {
            if (bytes[i] != std::byte{'F'} || bytes[i + 1] != std::byte{'M'}) continue;
            if (read_trailer(bytes.subspan(i).first<kTrailerBytes>())) return true;
            if (i + kFooterBytes <= used && read_footer(bytes.subspan(i).first<kFooterBytes>())) return true;
        }
        if (used <= kFooterBytes) return false;
        offset += used - kFooterBytes + 1;  // a seal across the edge is seen whole in the next window
        if (used < buffer.size()) return false;
    }
    return false;
}

}  // namespace fastmas::audit
