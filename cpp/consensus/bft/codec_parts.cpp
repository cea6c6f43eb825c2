#include "consensus/bft/codec_parts.hpp"

#include "consensus/bft/certificate.hpp"
#include "consensus/session.hpp"

namespace fastmas::consensus::bft {
namespace {

constexpr std::uint8_t kExpires = 128;

}  // namespace

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

const char* get_decided(Reader& reader, Decided& decided) {
    if (!get_signed(reader, decided.certificate)) return "certificate cut short";
    if (!get(reader, decided.block)) return "malformed block";
    decided.certificate.height = decided.block->height;
    decided.certificate.value = decided.block->id;
    return nullptr;
}

void put(Writer& writer, const Decided& decided) {
    put_signed(writer, decided.certificate);
    put(writer, *decided.block);
}

namespace {

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
    if (count == 0 || same_key(validators) != nullptr) return "no such validators";
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

}  // namespace

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

void put_snapshot(const Snapshot& snapshot, std::vector<std::byte>& out) {
    encode_chain(snapshot.chain, out);
    Writer writer(out);
    writer.put(static_cast<std::uint32_t>(snapshot.state.size()));
    writer.put(snapshot.state.bytes());
    writer.put(static_cast<std::uint32_t>(snapshot.proof.size()));
    for (const CheckpointVote& vote : snapshot.proof) put(writer, vote);
}

}  // namespace fastmas::consensus::bft
