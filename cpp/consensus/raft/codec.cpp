#include "consensus/raft/codec.hpp"

#include "consensus/bytes.hpp"
#include "consensus/session.hpp"

namespace fastmas::consensus::raft {
namespace {

// Layout: u32 length of all, u8 version, u8 type, u8 flags (bit 0: reject, 1: force, 2: lost), u8 zero, u32 from, u32
// to, u64 term, then by type
//   pre_vote, vote:              u64 index, u64 log_term
//   pre_vote_reply, vote_reply:  nothing
//   timeout_now:                 nothing
//   append:                      u64 index, u64 log_term, u64 commit, u64 round, u32 count, entries
//   append_reply:                u64 index, u64 round, and when it refuses u64 hint_index, u64 hint_term
//   snapshot:                    u64 index, u64 term, i64 time_ns, u64 offset, u64 size of all parts, u64 checksum, u64
//                                id of the membership, u32 size and the membership (membership.hpp), u32 size, bytes
//   snapshot_reply:              u64 index, u64 bytes that have come
// entry: u64 term, i64 time_ns, u32 kind, u32 size, of a command the session (kind + 256: one that expires), and the
// bytes. Its index is implied by its place.
constexpr std::size_t kHeaderBytes = 24;
constexpr std::size_t kEntryBytes = 24;
constexpr std::uint32_t kExpires = 256;

const char* decode_entries(Reader& reader, Message& message) {
    std::uint32_t count = 0;
    if (!reader.get(message.index) || !reader.get(message.log_term) || !reader.get(message.commit) ||
        !reader.get(message.round) || !reader.get(count))
        return "append cut short";
    if (count > reader.left() / kEntryBytes) return "more entries promised than bytes are left";
    message.entries.resize(count);
    Index index = message.index;
    for (Entry& entry : message.entries) {
        std::uint32_t kind = 0, size = 0;
        if (!reader.get(entry.term) || !reader.get(entry.time_ns) || !reader.get(kind) || !reader.get(size))
            return "entry cut short";
        const bool expires = kind == (static_cast<std::uint32_t>(EntryKind::command) | kExpires);
        if (expires) kind -= kExpires;
        if (kind > static_cast<std::uint32_t>(EntryKind::membership)) return "unknown kind of entry";
        entry.kind = static_cast<EntryKind>(kind);
        entry.index = ++index;
        entry.session = {};
        if (entry.kind == EntryKind::noop) {
            if (size != 0) return "a no-op carries bytes";
            entry.command = Payload();
            continue;
        }
        if (entry.kind == EntryKind::command && !get(reader, entry.session, expires)) return "session cut short";
        if (!reader.get(entry.command, size)) return "command cut short";
    }
    return nullptr;
}

const char* decode_snapshot(Reader& reader, SnapshotPart& snapshot) {
    std::uint32_t lists = 0, size = 0;
    if (!reader.get(snapshot.index) || !reader.get(snapshot.term) || !reader.get(snapshot.time_ns) ||
        !reader.get(snapshot.offset) || !reader.get(snapshot.size) || !reader.get(snapshot.checksum) ||
        !reader.get(snapshot.membership.id) || !reader.get(lists) || lists > reader.left())
        return "snapshot cut short";
    if (!decode(reader.rest().first(lists), snapshot.membership)) return "no membership";
    Payload skipped;
    (void)reader.get(skipped, lists);
    if (!reader.get(size) || !reader.get(snapshot.state, size)) return "snapshot cut short";
    return nullptr;
}

}  // namespace

const char* to_string(MessageType type) noexcept {
    switch (type) {
        case MessageType::pre_vote:
            return "pre_vote";
        case MessageType::pre_vote_reply:
            return "pre_vote_reply";
        case MessageType::vote:
            return "vote";
        case MessageType::vote_reply:
            return "vote_reply";
        case MessageType::append:
            return "append";
        case MessageType::append_reply:
            return "append_reply";
        case MessageType::snapshot:
            return "snapshot";
        case MessageType::timeout_now:
            return "timeout_now";
        case MessageType::snapshot_reply:
            return "snapshot_reply";
    }
    return "unknown";
}

std::size_t encoded_size(const Message& message) noexcept {
    switch (message.type) {
        case MessageType::pre_vote:
        case MessageType::vote:
        case MessageType::snapshot_reply:
            return kHeaderBytes + 16;
        case MessageType::pre_vote_reply:
        case MessageType::vote_reply:
        case MessageType::timeout_now:
            return kHeaderBytes;
        case MessageType::append: {
            std::size_t size = kHeaderBytes + 36;
            for (const Entry& entry : message.entries)
                size += kEntryBytes + (entry.kind == EntryKind::command ? encoded_size(entry.session) : 0) +
                        entry.command.size();
            return size;
        }
        case MessageType::append_reply:
            return kHeaderBytes + (message.reject ? 32 : 16);
        case MessageType::snapshot:
            return kHeaderBytes + 64 + encode(message.snapshot->membership).size() + message.snapshot->state.size();
    }
    return 0;
}

void encode(const Message& message, std::vector<std::byte>& out) {
    const std::size_t size = encoded_size(message);
    out.reserve(out.size() + size);
    Writer writer(out);
    Payload membership;
    writer.put(static_cast<std::uint32_t>(size));
    writer.put(kMessageVersion);
    writer.put(static_cast<std::uint8_t>(message.type));
    writer.put(static_cast<std::uint8_t>((message.reject ? 1 : 0) | (message.force ? 2 : 0) | (message.lost ? 4 : 0)));
    writer.put(std::uint8_t{0});
    writer.put(message.from);
    writer.put(message.to);
    writer.put(message.term);
    switch (message.type) {
        case MessageType::pre_vote:
        case MessageType::vote:
            writer.put(message.index);
            writer.put(message.log_term);
            break;
        case MessageType::pre_vote_reply:
        case MessageType::vote_reply:
        case MessageType::timeout_now:
            break;
        case MessageType::append:
            writer.put(message.index);
            writer.put(message.log_term);
            writer.put(message.commit);
            writer.put(message.round);
            writer.put(static_cast<std::uint32_t>(message.entries.size()));
            for (const Entry& entry : message.entries) {
                writer.put(entry.term);
                writer.put(entry.time_ns);
                const bool is_command = entry.kind == EntryKind::command;
                writer.put(static_cast<std::uint32_t>(entry.kind) |
                           (is_command && expires(entry.session) ? kExpires : 0));
                writer.put(static_cast<std::uint32_t>(entry.command.size()));
                if (is_command) put(writer, entry.session);
                writer.put(entry.command.bytes());
            }
            break;
        case MessageType::append_reply:
            writer.put(message.index);
            writer.put(message.round);
            if (message.reject) {
                writer.put(message.hint_index);
                writer.put(message.hint_term);
            }
            break;
        case MessageType::snapshot:
            writer.put(message.snapshot->index);
            writer.put(message.snapshot->term);
            writer.put(message.snapshot->time_ns);
            writer.put(message.snapshot->offset);
            writer.put(message.snapshot->size);
            writer.put(message.snapshot->checksum);
            writer.put(message.snapshot->membership.id);
            membership = encode(message.snapshot->membership);
            writer.put(static_cast<std::uint32_t>(membership.size()));
            writer.put(membership.bytes());
            writer.put(static_cast<std::uint32_t>(message.snapshot->state.size()));
            writer.put(message.snapshot->state.bytes());
            break;
        case MessageType::snapshot_reply:
            writer.put(message.index);
            writer.put(message.hint_index);
            break;
    }
}

const char* decode(std::span<const std::byte> bytes, Message& message) {
    Reader reader(bytes);
    std::uint32_t length = 0;
    std::uint8_t version = 0, type = 0, flags = 0, zero = 0;
    if (!reader.get(length) || !reader.get(version) || !reader.get(type) || !reader.get(flags) || !reader.get(zero) ||
        !reader.get(message.from) || !reader.get(message.to) || !reader.get(message.term))
        return "header cut short";
    if (length != bytes.size()) return "length does not match";
    if (version != kMessageVersion) return "unknown version";
    if (type < static_cast<std::uint8_t>(MessageType::pre_vote) ||
        type > static_cast<std::uint8_t>(MessageType::snapshot_reply))
        return "unknown type";
    if (flags > 7 || zero != 0) return "unknown flags";
    message.type = static_cast<MessageType>(type);
    message.reject = (flags & 1U) != 0;
    message.force = (flags & 2U) != 0;
    message.lost = (flags & 4U) != 0;
    message.round = 0;
    message.index = message.commit = message.hint_index = 0;
    message.log_term = message.hint_term = 0;
    message.entries.clear();
    message.snapshot.reset();
    const char* problem = nullptr;
    bool is_reply = false;
    switch (message.type) {
        case MessageType::pre_vote:
        case MessageType::vote:
            if (!reader.get(message.index) || !reader.get(message.log_term)) problem = "vote cut short";
            break;
        case MessageType::pre_vote_reply:
        case MessageType::vote_reply:
            is_reply = true;
            break;
        case MessageType::append:
            problem = decode_entries(reader, message);
            break;
        case MessageType::append_reply:
            is_reply = true;
            if (!reader.get(message.index) || !reader.get(message.round))
                problem = "reply cut short";
            else if (message.reject && (!reader.get(message.hint_index) || !reader.get(message.hint_term)))
                problem = "hint cut short";
            break;
        case MessageType::snapshot:
            problem = decode_snapshot(reader, *message.snapshot);
            break;
        case MessageType::snapshot_reply:
            if (!reader.get(message.index) || !reader.get(message.hint_index)) problem = "reply cut short";
            break;
        case MessageType::timeout_now:
            break;
    }
    if (problem != nullptr) return problem;
    if (message.reject && !is_reply) return "only a reply can refuse";
    if (message.force && message.type != MessageType::vote) return "only a vote request can be forced";
    if (message.lost && (message.type != MessageType::append_reply || !message.reject))
        return "only a refused append tells of a loss";
    if (reader.left() != 0) return "bytes after the end";
    return nullptr;
}

}  // namespace fastmas::consensus::raft
