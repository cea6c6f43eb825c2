#include "consensus/bft/codec.hpp"

#include <algorithm>

#include "consensus/bft/codec_parts.hpp"
#include "consensus/session.hpp"

namespace fastmas::consensus::bft {
namespace {

// Layout (the nouns: codec_parts.hpp): u32 length of all, u8 version, u8 type, u16 zero, u32 from, u32 to, then by type
//   proposal:   proposal
//   votes:      u32 count, votes
//   status:     u64 height, i32 round, u64 checkpoint, u32 rounds, each: i32 round, u64 prevotes, u64 precommits,
//               u32 flags (bit 0: prevote quorum, bit 1: precommit quorum), 2 x u64 proposals
//   decided:    u32 count, decided
//   snapshot:   snapshot
//   commands:   u32 count, commands
//   checkpoint: u32 count, checkpoint votes
constexpr std::size_t kHeaderBytes = 16;
constexpr std::size_t kRowBytes = 4 + 8 + 8 + 4 + 16;

const char* get_status(Reader& reader, Status& status) {
    std::uint32_t rounds = 0;
    if (!reader.get(status.height) || !reader.get(status.round) || !reader.get(status.checkpoint) ||
        !get_count(reader, rounds, kRowBytes, kMaxStatusRounds))
        return "status cut short";
    status.rounds.resize(rounds);
    for (RoundStatus& row : status.rounds) {
        std::uint32_t flags = 0;
        if (!reader.get(row.round) || !reader.get(row.prevotes) || !reader.get(row.precommits) || !reader.get(flags) ||
            !reader.get(row.proposals[0]) || !reader.get(row.proposals[1]))
            return "status cut short";
        if (flags > 3) return "unknown flags";
        row.has_prevote_quorum = (flags & 1U) != 0;
        row.has_precommit_quorum = (flags & 2U) != 0;
    }
    return nullptr;
}

void put_status(Writer& writer, const Status& status) {
    writer.put(status.height);
    writer.put(status.round);
    writer.put(status.checkpoint);
    writer.put(static_cast<std::uint32_t>(status.rounds.size()));
    for (const RoundStatus& row : status.rounds) {
        writer.put(row.round);
        writer.put(row.prevotes);
        writer.put(row.precommits);
        writer.put((row.has_prevote_quorum ? 1U : 0U) | (row.has_precommit_quorum ? 2U : 0U));
        writer.put(row.proposals[0]);
        writer.put(row.proposals[1]);
    }
}

std::size_t size_of(const std::vector<Command>& commands) noexcept {
    std::size_t size = 4;
    for (const Command& command : commands)
        size += kCommandBytes - 24 + encoded_size(command.session) + command.bytes.size();
    return size;
}

const char* get_body(Reader& reader, Message& message) {
    std::uint32_t count = 0;
    switch (message.type) {
        case MessageType::proposal:
            return get_proposal(reader, message.proposal);
        case MessageType::votes:
            if (!get_count(reader, count, kVoteBytes, kMaxVotesAMessage)) return "votes cut short";
            message.votes.resize(count);
            for (Vote& vote : message.votes)
                if (!get(reader, vote)) return "malformed vote";
            return nullptr;
        case MessageType::status:
            return get_status(reader, message.status);
        case MessageType::decided:
            if (!get_count(reader, count, 8 + kBlockBytes, UINT32_MAX)) return "blocks cut short";
            message.decided.resize(count);
            for (Decided& decided : message.decided)
                if (const char* problem = get_decided(reader, decided)) return problem;
            return nullptr;
        case MessageType::snapshot:
            return get_snapshot(reader, message.snapshot);
        case MessageType::commands:
            return get(reader, message.commands) ? nullptr : "malformed command";
        case MessageType::checkpoint:
            return get(reader, message.checkpoints) ? nullptr : "checkpoint cut short";
    }
    return "unknown type";
}

}  // namespace

const char* to_string(MessageType type) noexcept {
    switch (type) {
        case MessageType::proposal:
            return "proposal";
        case MessageType::votes:
            return "votes";
        case MessageType::status:
            return "status";
        case MessageType::decided:
            return "decided";
        case MessageType::snapshot:
            return "snapshot";
        case MessageType::commands:
            return "commands";
        case MessageType::checkpoint:
            return "checkpoint";
    }
    return "unknown";
}

std::size_t encoded_size(const Block& block) noexcept {
    return kBlockBytes - 4 + size_of(block.commands);
}

std::size_t encoded_size(const Message& message) noexcept {
    std::size_t size = kHeaderBytes;
    switch (message.type) {
        case MessageType::proposal:
            return size + 12 + 64 + 4 + kSignedBytes * message.proposal.pol.size() +
                   encoded_size(*message.proposal.block);
        case MessageType::votes:
            return size + 4 + kVoteBytes * message.votes.size();
        case MessageType::status:
            return size + 24 + kRowBytes * message.status.rounds.size();
        case MessageType::decided:
            size += 4;
            for (const Decided& decided : message.decided)
                size += 8 + kSignedBytes * decided.certificate.votes.size() + encoded_size(*decided.block);
            return size;
        case MessageType::snapshot:
            return size + kChainBytes + kValidatorBytes * message.snapshot->chain.validators->size() +
                   kClientBytes * message.snapshot->chain.clients.all().size() + 4 + message.snapshot->state.size() +
                   4 + kCheckpointBytes * message.snapshot->proof.size();
        case MessageType::commands:
            return size + size_of(message.commands);
        case MessageType::checkpoint:
            return size + 4 + kCheckpointBytes * message.checkpoints.size();
    }
    return size;
}

void encode(const Message& message, std::vector<std::byte>& out) {
    const std::size_t size = encoded_size(message);
    out.reserve(out.size() + size);
    Writer writer(out);
    writer.put(static_cast<std::uint32_t>(size));
    writer.put(kMessageVersion);
    writer.put(static_cast<std::uint8_t>(message.type));
    writer.put(std::uint16_t{0});
    writer.put(message.from);
    writer.put(message.to);
    switch (message.type) {
        case MessageType::proposal:
            put_proposal(writer, message.proposal);
            break;
        case MessageType::votes:
            writer.put(static_cast<std::uint32_t>(message.votes.size()));
            for (const Vote& vote : message.votes) put(writer, vote);
            break;
        case MessageType::status:
            put_status(writer, message.status);
            break;
        case MessageType::decided:
            writer.put(static_cast<std::uint32_t>(message.decided.size()));
            for (const Decided& decided : message.decided) put(writer, decided);
            break;
        case MessageType::snapshot:
            put_snapshot(*message.snapshot, out);
            break;
        case MessageType::commands:
            writer.put(static_cast<std::uint32_t>(message.commands.size()));
            for (const Command& command : message.commands) put(writer, command);
            break;
        case MessageType::checkpoint:
            writer.put(static_cast<std::uint32_t>(message.checkpoints.size()));
            for (const CheckpointVote& vote : message.checkpoints) put(writer, vote);
            break;
    }
}

const char* decode(std::span<const std::byte> bytes, Message& message) {
    Reader reader(bytes);
    std::uint32_t length = 0;
    std::uint8_t version = 0, type = 0;
    std::uint16_t zero = 0;
    message.clear();
    if (!reader.get(length) || !reader.get(version) || !reader.get(type) || !reader.get(zero) ||
        !reader.get(message.from) || !reader.get(message.to))
        return "header cut short";
    if (length != bytes.size()) return "length does not match";
    if (version != kMessageVersion) return "unknown version";
    if (type < static_cast<std::uint8_t>(MessageType::proposal) ||
        type > static_cast<std::uint8_t>(MessageType::checkpoint))
        return "unknown type";
    if (zero != 0) return "unknown flags";
    message.type = static_cast<MessageType>(type);
    if (const char* problem = get_body(reader, message)) return problem;
    return reader.left() == 0 ? nullptr : "bytes after the end";
}

}  // namespace fastmas::consensus::bft
