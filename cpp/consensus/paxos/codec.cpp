#include "consensus/paxos/codec.hpp"

#include "consensus/bytes.hpp"
#include "consensus/session.hpp"

namespace fastmas::consensus::paxos {
namespace {

// Layout: u32 length of all, u8 version, u8 type, u8 flags (bit 0: the flag, bit 1: a round), u8 zero, u32
// from, u32 to, u64 number and u32 node of the ballot, u64 round (of accept, accepted and promise, when there is one),
// then by type
//   ask, prepare:   u64 index
//   answer, refuse: the other ballot
//   promise:        u64 index, u64 last, u64 commit, u32 count, of each entry u64 slot, its ballot and the entry
//   accept:         u64 index, u64 commit, u32 count, entries; their slots are implied by their places, their ballot is
//                   the message's
//   accepted:       u64 index, u64 last, u64 commit
//   snapshot:       u64 index, i64 time_ns, its ballot, u32 count, configurations, u32 size, bytes
// configuration: u64 id, u64 from, u32 and u32 for its quorums, then voters and learners: u32 nodes, u32 each
// entry: i64 time_ns, u32 kind, u32 size, and of a command the session (kind + 256: one that expires) and its bytes; of
// a change of members its bytes.
constexpr std::size_t kHeaderBytes = 28;
constexpr std::size_t kBallotBytes = 12;
constexpr std::size_t kEntryBytes = 16;
constexpr std::size_t kMembershipBytes = 32;
constexpr std::uint32_t kExpires = 256;

bool has_round(const Message& message) noexcept {
    return message.round != 0 && (message.type == MessageType::accept || message.type == MessageType::accepted ||
                                  message.type == MessageType::promise);
}

bool has_flag(MessageType type) noexcept {
    return type != MessageType::ask && type != MessageType::accept;
}

std::size_t size_of(const Entry& entry) noexcept {
    if (entry.kind == EntryKind::noop) return kEntryBytes;
    return kEntryBytes + entry.command.size() + (entry.kind == EntryKind::command ? encoded_size(entry.session) : 0);
}

std::size_t size_of(const Membership& membership) noexcept {
    return kMembershipBytes + 4 * (membership.voters.size() + membership.learners.size());
}

void put(Writer& writer, const Ballot& ballot) {
    writer.put(ballot.number);
    writer.put(ballot.node);
}

void put(Writer& writer, const Entry& entry) {
    writer.put(entry.time_ns);
    const bool is_command = entry.kind == EntryKind::command;
    writer.put(static_cast<std::uint32_t>(entry.kind) | (is_command && expires(entry.session) ? kExpires : 0));
    writer.put(static_cast<std::uint32_t>(entry.command.size()));
    if (is_command) put(writer, entry.session);
    if (entry.kind != EntryKind::noop) writer.put(entry.command.bytes());
}

void put(Writer& writer, const Membership& membership) {
    writer.put(membership.id);
    writer.put(membership.from);
    writer.put(static_cast<std::uint32_t>(membership.quorums.prepare));
    writer.put(static_cast<std::uint32_t>(membership.quorums.accept));
    for (const auto* list : {&membership.voters, &membership.learners}) {
        writer.put(static_cast<std::uint32_t>(list->size()));
        for (const NodeId id : *list) writer.put(id);
    }
}

bool get(Reader& reader, Ballot& ballot) noexcept {
    return reader.get(ballot.number) && reader.get(ballot.node) && (ballot.number == 0) == (ballot.node == kNoNode);
}

const char* get(Reader& reader, Entry& entry) {
    std::uint32_t kind = 0, size = 0;
    if (!reader.get(entry.time_ns) || !reader.get(kind) || !reader.get(size)) return "entry cut short";
    const bool expires = kind == (static_cast<std::uint32_t>(EntryKind::command) | kExpires);
    if (expires) kind -= kExpires;
    if (kind > static_cast<std::uint32_t>(EntryKind::membership)) return "unknown kind of entry";
    entry.kind = static_cast<EntryKind>(kind);
    entry.session = {};
    if (entry.kind == EntryKind::noop) {
        if (size != 0) return "a no-op carries bytes";
        entry.command = Payload();
        return nullptr;
    }
    if (entry.kind == EntryKind::command && !get(reader, entry.session, expires)) return "session cut short";
    return reader.get(entry.command, size) ? nullptr : "command cut short";
}

const char* get_entries(Reader& reader, Message& message) {
    const bool are_named = message.type == MessageType::promise;
    const std::size_t least = kEntryBytes + (are_named ? 8 + kBallotBytes : 0);
    std::uint32_t count = 0;
    if (!reader.get(count)) return "entries cut short";
    if (count > reader.left() / least) return "more entries promised than bytes are left";
    message.entries.resize(count);
    Index index = message.index;
    for (Entry& entry : message.entries) {
        entry.index = ++index;
        entry.ballot = message.ballot;
        if (are_named && (!reader.get(entry.index) || !get(reader, entry.ballot))) return "entry cut short";
        if (const char* problem = get(reader, entry)) return problem;
    }
    return nullptr;
}

const char* get(Reader& reader, Membership& membership) {
    std::uint32_t prepare = 0, accept = 0;
    if (!reader.get(membership.id) || !reader.get(membership.from) || !reader.get(prepare) || !reader.get(accept))
        return "configuration cut short";
    membership.quorums = {prepare, accept};
    for (auto* list : {&membership.voters, &membership.learners}) {
        std::uint32_t nodes = 0;
        if (!reader.get(nodes)) return "configuration cut short";
        if (nodes > kMaxNodes) return "too many nodes";
        list->resize(nodes);
        for (NodeId& node : *list)
            if (!reader.get(node)) return "nodes cut short";
    }
    return nullptr;
}

const char* get_snapshot(Reader& reader, Snapshot& snapshot) {
    std::uint32_t count = 0, size = 0;
    if (!reader.get(snapshot.index) || !reader.get(snapshot.time_ns) || !get(reader, snapshot.ballot) ||
        !reader.get(count))
        return "snapshot cut short";
    if (count > kMaxMemberships) return "too many configurations";
    snapshot.memberships.resize(count);
    for (Membership& membership : snapshot.memberships)
        if (const char* problem = get(reader, membership)) return problem;
    if (!reader.get(size) || !reader.get(snapshot.state, size)) return "snapshot cut short";
    return nullptr;
}

}  // namespace

const char* to_string(MessageType type) noexcept {
    switch (type) {
        case MessageType::ask:
            return "ask";
        case MessageType::answer:
            return "answer";
        case MessageType::prepare:
            return "prepare";
        case MessageType::promise:
            return "promise";
        case MessageType::accept:
            return "accept";
        case MessageType::accepted:
            return "accepted";
        case MessageType::refuse:
            return "refuse";
        case MessageType::snapshot:
            return "snapshot";
    }
    return "unknown";
}

std::size_t encoded_size(const Message& message) noexcept {
    switch (message.type) {
        case MessageType::ask:
        case MessageType::prepare:
            return kHeaderBytes + 8;
        case MessageType::answer:
        case MessageType::refuse:
            return kHeaderBytes + kBallotBytes;
        case MessageType::promise: {
            std::size_t size = kHeaderBytes + 28 + (has_round(message) ? 8 : 0);
            for (const Entry& entry : message.entries) size += 8 + kBallotBytes + size_of(entry);
            return size;
        }
        case MessageType::accept: {
            std::size_t size = kHeaderBytes + 20 + (has_round(message) ? 8 : 0);
            for (const Entry& entry : message.entries) size += size_of(entry);
            return size;
        }
        case MessageType::accepted:
            return kHeaderBytes + 24 + (has_round(message) ? 8 : 0);
        case MessageType::snapshot:
            break;
    }
    std::size_t size = kHeaderBytes + kBallotBytes + 24 + message.snapshot.state.size();
    for (const Membership& membership : message.snapshot.memberships) size += size_of(membership);
    return size;
}

void encode(const Message& message, std::vector<std::byte>& out) {
    const std::size_t size = encoded_size(message);
    out.reserve(out.size() + size);
    Writer writer(out);
    writer.put(static_cast<std::uint32_t>(size));
    writer.put(kMessageVersion);
    writer.put(static_cast<std::uint8_t>(message.type));
    writer.put(static_cast<std::uint8_t>((message.flag ? 1 : 0) | (has_round(message) ? 2 : 0)));
    writer.put(std::uint8_t{0});
    writer.put(message.from);
    writer.put(message.to);
    put(writer, message.ballot);
    if (has_round(message)) writer.put(message.round);
    switch (message.type) {
        case MessageType::ask:
        case MessageType::prepare:
            writer.put(message.index);
            break;
        case MessageType::answer:
        case MessageType::refuse:
            put(writer, message.other);
            break;
        case MessageType::promise:
            writer.put(message.index);
            writer.put(message.last);
            writer.put(message.commit);
            writer.put(static_cast<std::uint32_t>(message.entries.size()));
            for (const Entry& entry : message.entries) {
                writer.put(entry.index);
                put(writer, entry.ballot);
                put(writer, entry);
            }
            break;
        case MessageType::accept:
            writer.put(message.index);
            writer.put(message.commit);
            writer.put(static_cast<std::uint32_t>(message.entries.size()));
            for (const Entry& entry : message.entries) put(writer, entry);
            break;
        case MessageType::accepted:
            writer.put(message.index);
            writer.put(message.last);
            writer.put(message.commit);
            break;
        case MessageType::snapshot:
            writer.put(message.snapshot.index);
            writer.put(message.snapshot.time_ns);
            put(writer, message.snapshot.ballot);
            writer.put(static_cast<std::uint32_t>(message.snapshot.memberships.size()));
            for (const Membership& membership : message.snapshot.memberships) put(writer, membership);
            writer.put(static_cast<std::uint32_t>(message.snapshot.state.size()));
            writer.put(message.snapshot.state.bytes());
            break;
    }
}

const char* decode(std::span<const std::byte> bytes, Message& message) {
    Reader reader(bytes);
    std::uint32_t length = 0;
    std::uint8_t version = 0, type = 0, flags = 0, zero = 0;
    if (!reader.get(length) || !reader.get(version) || !reader.get(type) || !reader.get(flags) || !reader.get(zero) ||
        !reader.get(message.from) || !reader.get(message.to) || !get(reader, message.ballot))
        return "header cut short";
    if (length != bytes.size()) return "length does not match";
    if (version != kMessageVersion) return "unknown version";
    if (type < static_cast<std::uint8_t>(MessageType::ask) || type > static_cast<std::uint8_t>(MessageType::snapshot))
        return "unknown type";
    if (flags > 3 || zero != 0) return "unknown flags";
    message.type = static_cast<MessageType>(type);
    message.flag = (flags & 1U) != 0;
    if (message.flag && !has_flag(message.type)) return "unknown flags";
    message.round = 0;
    if ((flags & 2U) != 0 && (!reader.get(message.round) || !has_round(message))) return "unknown flags";
    message.other = {};
    message.index = message.last = message.commit = 0;
    message.entries.clear();
    message.snapshot = Snapshot();
    const char* problem = nullptr;
    switch (message.type) {
        case MessageType::ask:
        case MessageType::prepare:
            if (!reader.get(message.index)) problem = "index cut short";
            break;
        case MessageType::answer:
        case MessageType::refuse:
            if (!get(reader, message.other)) problem = "ballot cut short";
            break;
        case MessageType::promise:
            problem = !reader.get(message.index) || !reader.get(message.last) || !reader.get(message.commit)
                          ? "promise cut short"
                          : get_entries(reader, message);
            break;
        case MessageType::accept:
            problem = !reader.get(message.index) || !reader.get(message.commit) ? "accept cut short"
                                                                                : get_entries(reader, message);
            break;
        case MessageType::accepted:
            if (!reader.get(message.index) || !reader.get(message.last) || !reader.get(message.commit))
                problem = "reply cut short";
            break;
        case MessageType::snapshot:
            problem = get_snapshot(reader, message.snapshot);
            break;
    }
    if (problem != nullptr) return problem;
    return reader.left() == 0 ? nullptr : "bytes after the end";
}

}  // namespace fastmas::consensus::paxos
