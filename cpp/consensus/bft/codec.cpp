#include "consensus/bft/codec.hpp"

#include <algorithm>
#include <cstring>

#include "consensus/bft/certificate.hpp"
#include "consensus/bytes.hpp"
#include "consensus/session.hpp"

namespace fastmas::consensus::bft {
namespace {

// Layout: u32 length of all, u8 version, u8 type, u16 zero, u32 from, u32 to, then by type
//   proposal:   i32 round, i32 pol_round, u32 proposer, signature, u32 pol, each (u32 validator, signature), block
//   votes:      u32 count, each: u8 type, u64 height, i32 round, 32 value, u32 validator, signature
//   status:     u64 height, i32 round, u64 checkpoint, u32 rounds, each: i32 round, u64 prevotes, u64 precommits,
//               u32 flags (bit 0: prevote quorum, bit 1: precommit quorum), 2 x u64 proposals
//   decided:    u32 count, each: i32 round, u32 votes, each (u32 validator, signature), block
//   snapshot:   chain, u32 size, state, u32 proof, checkpoint votes
//   commands:   u32 count, commands
//   checkpoint: u32 count, each: u64 height, 32 digest, u32 validator, signature
// block:   u64 height, u64 first_index, i64 time_ns, u32 proposer, 32 parent, 32 validators, 32 next_validators,
//          u32 count, commands
// command: u8 kind (+ 128: its session expires), session, i64 time_ns, u32 size, bytes
// chain:   u64 height, 32 last_id, u64 index, i64 time_ns, u32 validators, each (u32 id, u64 power, 32 key,
//          i64 priority), u32 clients, each (u64 client, u64 sequence, i64 expires_ns)
constexpr std::size_t kHeaderBytes = 16;
constexpr std::size_t kSignedBytes = 4 + 64;
constexpr std::size_t kVoteBytes = 1 + 8 + 4 + 32 + 4 + 64;
constexpr std::size_t kRowBytes = 4 + 8 + 8 + 4 + 16;
constexpr std::size_t kCommandBytes = 1 + 24 + 8 + 4;  // at least
constexpr std::uint8_t kExpires = 128;
constexpr std::size_t kBlockBytes = 8 + 8 + 8 + 4 + 96 + 4;
constexpr std::size_t kCheckpointBytes = 8 + 32 + 4 + 64;
constexpr std::size_t kValidatorBytes = 4 + 8 + 32 + 8;
constexpr std::size_t kClientBytes = 24;
constexpr std::size_t kChainBytes = 8 + 32 + 8 + 8 + 4 + 4;

template <std::size_t N>
bool get(Reader& reader, std::array<std::byte, N>& bytes) noexcept {
    if (reader.left() < N) return false;
    std::memcpy(bytes.data(), reader.rest().data(), N);
    reader = Reader(reader.rest().subspan(N));
    return true;
}

// A count of things of at least `each` bytes, no more than `most` and than there can be in what is left.
bool get_count(Reader& reader, std::uint32_t& count, std::size_t each, std::size_t most) noexcept {
    return reader.get(count) && count <= most && count <= reader.left() / each;
}

void put(Writer& writer, const Command& command) {
    writer.put(
        static_cast<std::uint8_t>(static_cast<std::uint8_t>(command.kind) | (expires(command.session) ? kExpires : 0)));
    put(writer, command.session);
    writer.put(command.time_ns);
    writer.put(static_cast<std::uint32_t>(command.bytes.size()));
    writer.put(command.bytes.bytes());
}

bool get(Reader& reader, Command& command) {
    std::uint8_t kind = 0;
    std::uint32_t size = 0;
    if (!reader.get(kind)) return false;
    const bool expires = (kind & kExpires) != 0;
    kind &= static_cast<std::uint8_t>(~kExpires);
    if (kind < 1 || kind > 2) return false;
    command.kind = static_cast<CommandKind>(kind);
    return get(reader, command.session, expires) && reader.get(command.time_ns) && reader.get(size) &&
           reader.get(command.bytes, size);
}

bool get(Reader& reader, std::vector<Command>& commands) {
    std::uint32_t count = 0;
    if (!get_count(reader, count, kCommandBytes, UINT32_MAX)) return false;
    commands.resize(count);
    return std::all_of(commands.begin(), commands.end(), [&](Command& command) { return get(reader, command); });
}

void put(Writer& writer, const Block& block) {
    writer.put(block.height);
    writer.put(block.first_index);
    writer.put(block.time_ns);
    writer.put(block.proposer);
    writer.put(block.parent);
    writer.put(block.validators);
    writer.put(block.next_validators);
    writer.put(static_cast<std::uint32_t>(block.commands.size()));
    for (const Command& command : block.commands) put(writer, command);
}

bool get(Reader& reader, Block& block) {
    if (!reader.get(block.height) || !reader.get(block.first_index) || !reader.get(block.time_ns) ||
        !reader.get(block.proposer) || !get(reader, block.parent) || !get(reader, block.validators) ||
        !get(reader, block.next_validators) || !get(reader, block.commands))
        return false;
    block.id = block_digest(block);
    return true;
}

bool get(Reader& reader, BlockPtr& made) {
    auto block = std::make_shared<Block>();
    if (!get(reader, *block)) return false;
    made = std::move(block);
    return true;
}

void put(Writer& writer, const Vote& vote) {
    writer.put(static_cast<std::uint8_t>(vote.type));
    writer.put(vote.height);
    writer.put(vote.round);
    writer.put(vote.value);
    writer.put(vote.validator);
    writer.put(vote.signature);
}

bool get(Reader& reader, Vote& vote) noexcept {
    std::uint8_t type = 0;
    if (!reader.get(type) || type < 1 || type > 2) return false;
    vote.type = static_cast<VoteType>(type);
    return reader.get(vote.height) && reader.get(vote.round) && get(reader, vote.value) && reader.get(vote.validator) &&
           get(reader, vote.signature);
}

void put(Writer& writer, const CheckpointVote& vote) {
    writer.put(vote.height);
    writer.put(vote.digest);
    writer.put(vote.validator);
    writer.put(vote.signature);
}

bool get(Reader& reader, std::vector<CheckpointVote>& votes) {
    std::uint32_t count = 0;
    if (!get_count(reader, count, kCheckpointBytes, 4 * kMaxNodes)) return false;
    votes.resize(count);
    return std::all_of(votes.begin(), votes.end(), [&](CheckpointVote& vote) {
        return reader.get(vote.height) && get(reader, vote.digest) && reader.get(vote.validator) &&
               get(reader, vote.signature);
    });
}

const char* get_proposal(Reader& reader, Proposal& proposal) {
    std::uint32_t count = 0;
    if (!reader.get(proposal.round) || !reader.get(proposal.pol_round) || !reader.get(proposal.proposer) ||
        !get(reader, proposal.signature) || !get_count(reader, count, kSignedBytes, kMaxNodes))
        return "proposal cut short";
    proposal.pol.resize(count);
    for (Vote& vote : proposal.pol)
        if (!reader.get(vote.validator) || !get(reader, vote.signature)) return "proof cut short";
    if (!get(reader, proposal.block)) return "malformed block";
    proposal.height = proposal.block->height;
    proposal.value = proposal.block->id;
    for (Vote& vote : proposal.pol) {
        vote.type = VoteType::prevote;
        vote.height = proposal.height;
        vote.round = proposal.pol_round;
        vote.value = proposal.value;
    }
    return nullptr;
}

void put_proposal(Writer& writer, const Proposal& proposal) {
    writer.put(proposal.round);
    writer.put(proposal.pol_round);
    writer.put(proposal.proposer);
    writer.put(proposal.signature);
    writer.put(static_cast<std::uint32_t>(proposal.pol.size()));
    for (const Vote& vote : proposal.pol) {
        writer.put(vote.validator);
        writer.put(vote.signature);
    }
    put(writer, *proposal.block);
}

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

bool get_signed(Reader& reader, Certificate& certificate) {
    std::uint32_t count = 0;
    if (!reader.get(certificate.round) || !get_count(reader, count, kSignedBytes, kMaxNodes)) return false;
    certificate.votes.resize(count);
    return std::all_of(certificate.votes.begin(), certificate.votes.end(), [&](Certificate::Signed& held) {
        return reader.get(held.validator) && get(reader, held.signature);
    });
}

void put_signed(Writer& writer, const Certificate& certificate) {
    writer.put(certificate.round);
    writer.put(static_cast<std::uint32_t>(certificate.votes.size()));
    for (const Certificate::Signed& held : certificate.votes) {
        writer.put(held.validator);
        writer.put(held.signature);
    }
}

const char* get_chain(Reader& reader, ChainState& chain) {
    std::uint32_t count = 0;
    if (!reader.get(chain.height) || !get(reader, chain.last_id) || !reader.get(chain.index) ||
        !reader.get(chain.time_ns) || !get_count(reader, count, kValidatorBytes, kMaxNodes))
        return "chain cut short";
    std::vector<Validator> validators(count);
    chain.priorities.resize(count);
    // what ValidatorSet would refuse is refused here: it throws
    NodeId last = kNoNode;
    Power total = 0;
    for (std::size_t i = 0; i < count; ++i) {
        Validator& validator = validators[i];
        if (!reader.get(validator.id) || !reader.get(validator.power) || !get(reader, validator.key) ||
            !reader.get(chain.priorities[i]))
            return "validators cut short";
        if (validator.id <= last || validator.power == 0 || validator.power > kMaxTotalPower - total)
            return "no such validators";
        const auto bound = static_cast<std::int64_t>(kMaxTotalPower);
        if (chain.priorities[i] > 2 * bound || chain.priorities[i] < -2 * bound) return "no such priority";
        last = validator.id;
        total += validator.power;
    }
    if (count == 0) return "no validators";
    chain.validators = std::make_shared<const ValidatorSet>(std::move(validators));
    if (!get_count(reader, count, kClientBytes, ClientMarks::kMaxClients)) return "clients cut short";
    chain.clients = ClientMarks();
    std::uint64_t last_client = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
        std::uint64_t client = 0;
        ClientMarks::Mark mark;
        if (!reader.get(client) || !reader.get(mark.sequence) || !reader.get(mark.expires_ns))
            return "clients cut short";
        if (client <= last_client) return "clients out of order";
        if (mark.expires_ns < chain.time_ns) return "a client whose time is over";
        last_client = client;
        chain.clients.insert(client, mark);
    }
    chain.clients.advance_to(chain.time_ns);
    return nullptr;
}

const char* get_snapshot(Reader& reader, std::shared_ptr<const Snapshot>& made) {
    auto snapshot = std::make_shared<Snapshot>();
    if (const char* problem = get_chain(reader, snapshot->chain)) return problem;
    snapshot->index = snapshot->chain.index;
    std::uint32_t size = 0;
    if (!reader.get(size) || !reader.get(snapshot->state, size)) return "state cut short";
    if (!get(reader, snapshot->proof)) return "proof cut short";
    made = std::move(snapshot);
    return nullptr;
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
            for (Decided& decided : message.decided) {
                if (!get_signed(reader, decided.certificate)) return "certificate cut short";
                if (!get(reader, decided.block)) return "malformed block";
                decided.certificate.height = decided.block->height;
                decided.certificate.value = decided.block->id;
            }
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
            for (const Decided& decided : message.decided) {
                put_signed(writer, decided.certificate);
                put(writer, *decided.block);
            }
            break;
        case MessageType::snapshot:
            encode_chain(message.snapshot->chain, out);
            writer.put(static_cast<std::uint32_t>(message.snapshot->state.size()));
            writer.put(message.snapshot->state.bytes());
            writer.put(static_cast<std::uint32_t>(message.snapshot->proof.size()));
            for (const CheckpointVote& vote : message.snapshot->proof) put(writer, vote);
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
    message.proposal = Proposal();
    message.votes.clear();
    message.status = Status();
    message.decided.clear();
    message.snapshot.reset();
    message.commands.clear();
    message.checkpoints.clear();
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

void encode_chain(const ChainState& chain, std::vector<std::byte>& out) {
    Writer writer(out);
    writer.put(chain.height);
    writer.put(chain.last_id);
    writer.put(chain.index);
    writer.put(chain.time_ns);
    writer.put(static_cast<std::uint32_t>(chain.validators->size()));
    for (std::size_t place = 0; place < chain.validators->size(); ++place) {
        const Validator& validator = chain.validators->at(place);
        writer.put(validator.id);
        writer.put(validator.power);
        writer.put(validator.key);
        writer.put(chain.priorities[place]);
    }
    writer.put(static_cast<std::uint32_t>(chain.clients.all().size()));
    for (const auto& [client, mark] : chain.clients.all()) {
        writer.put(client);
        writer.put(mark.sequence);
        writer.put(mark.expires_ns);
    }
}

Digest snapshot_digest(const ChainState& chain, const Payload& state) {
    std::vector<std::byte> bytes;
    Writer writer(bytes);
    writer.put(std::as_bytes(std::span("fastmas/bft/state/1")));
    encode_chain(chain, bytes);
    writer.put(base::sha256(state.bytes()));
    return base::sha256(bytes);
}

void encode_block(const Block& block, std::vector<std::byte>& out) {
    Writer writer(out);
    put(writer, block);
}

const char* decode_block(std::span<const std::byte> bytes, Block& block) {
    Reader reader(bytes);
    if (!get(reader, block)) return "malformed block";
    return reader.left() == 0 ? nullptr : "bytes after the end";
}

void encode_certificate(const Certificate& certificate, std::vector<std::byte>& out) {
    Writer writer(out);
    writer.put(certificate.height);
    writer.put(certificate.value);
    put_signed(writer, certificate);
}

const char* decode_certificate(std::span<const std::byte> bytes, Certificate& certificate) {
    Reader reader(bytes);
    if (!reader.get(certificate.height) || !get(reader, certificate.value) || !get_signed(reader, certificate))
        return "certificate cut short";
    return reader.left() == 0 ? nullptr : "bytes after the end";
}

}  // namespace fastmas::consensus::bft
