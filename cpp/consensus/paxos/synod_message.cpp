#include "consensus/paxos/synod_message.hpp"

#include "consensus/bytes.hpp"

namespace fastmas::consensus::paxos {
namespace {

// Layout: u32 length of all, u8 version, u8 type, u16 zero, u32 from, u32 to, u64 number and u32 node of the ballot,
// then by type
//   prepare, accepted:  nothing
//   promise:            the other ballot, and when there is one u32 size and the value
//   refuse:             the other ballot
//   accept, decided:    u32 size and the value
constexpr std::size_t kHeaderBytes = 28;
constexpr std::size_t kBallotBytes = 12;
constexpr std::uint8_t kVersion = 1;

bool has_other(SynodType type) noexcept {
    return type == SynodType::promise || type == SynodType::refuse;
}
bool has_value(const SynodMessage& message) noexcept {
    return message.type == SynodType::accept || message.type == SynodType::decided ||
           (message.type == SynodType::promise && message.other);
}
bool get(Reader& reader, Ballot& ballot) noexcept {
    return reader.get(ballot.number) && reader.get(ballot.node) && (ballot.number == 0) == (ballot.node == kNoNode);
}

}  // namespace

const char* to_string(SynodType type) noexcept {
    switch (type) {
        case SynodType::prepare:
            return "prepare";
        case SynodType::promise:
            return "promise";
        case SynodType::accept:
            return "accept";
        case SynodType::accepted:
            return "accepted";
        case SynodType::refuse:
            return "refuse";
        case SynodType::decided:
            return "decided";
    }
    return "unknown";
}

std::size_t encoded_size(const SynodMessage& message) noexcept {
    return kHeaderBytes + (has_other(message.type) ? kBallotBytes : 0) +
           (has_value(message) ? 4 + message.value.size() : 0);
}

void encode(const SynodMessage& message, std::vector<std::byte>& out) {
    const std::size_t size = encoded_size(message);
    out.reserve(out.size() + size);
    Writer writer(out);
    writer.put(static_cast<std::uint32_t>(size));
    writer.put(kVersion);
    writer.put(static_cast<std::uint8_t>(message.type));
    writer.put(std::uint16_t{0});
    writer.put(message.from);
    writer.put(message.to);
    writer.put(message.ballot.number);
    writer.put(message.ballot.node);
    if (has_other(message.type)) {
        writer.put(message.other.number);
        writer.put(message.other.node);
    }
    if (!has_value(message)) return;
    writer.put(static_cast<std::uint32_t>(message.value.size()));
    writer.put(message.value.bytes());
}

const char* decode(std::span<const std::byte> bytes, SynodMessage& message) {
    Reader reader(bytes);
    std::uint32_t length = 0, size = 0;
    std::uint8_t version = 0, type = 0;
    std::uint16_t zero = 0;
    if (!reader.get(length) || !reader.get(version) || !reader.get(type) || !reader.get(zero) ||
        !reader.get(message.from) || !reader.get(message.to) || !get(reader, message.ballot))
        return "header cut short";
    if (length != bytes.size()) return "length does not match";
    if (version != kVersion) return "unknown version";
    if (type < static_cast<std::uint8_t>(SynodType::prepare) || type > static_cast<std::uint8_t>(SynodType::decided))
        return "unknown type";
    if (zero != 0) return "unknown flags";
    message.type = static_cast<SynodType>(type);
    message.other = {};
    message.value = Payload();
    if (has_other(message.type) && !get(reader, message.other)) return "ballot cut short";
    if (has_value(message) && (!reader.get(size) || !reader.get(message.value, size))) return "value cut short";
    return reader.left() == 0 ? nullptr : "bytes after the end";
}

}  // namespace fastmas::consensus::paxos
