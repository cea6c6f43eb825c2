// What is stored, and what a gateway or an auditor is handed, as bytes.
#include "consensus/bft/storage_codec.hpp"

#include "consensus/bft/codec.hpp"
#include "consensus/bft/codec_parts.hpp"

namespace fastmas::consensus::bft {
namespace {

constexpr std::uint8_t kStoredVersion = 1;
// Of a hard state: which of its parts there are.
constexpr std::uint8_t kHasValidBlock = 1, kHasProposal = 2, kHasPrevote = 4, kHasPrecommit = 8;

bool is_sane(Round round) noexcept {
    return round >= kNoRound && round <= kMaxRound;
}

void put(Writer& writer, const std::vector<Vote>& votes) {
    writer.put(static_cast<std::uint32_t>(votes.size()));
    for (const Vote& vote : votes) put(writer, vote);
}

bool get(Reader& reader, std::vector<Vote>& votes) {
    std::uint32_t count = 0;
    if (!get_count(reader, count, kVoteBytes, UINT32_MAX)) return false;
    votes.resize(count);
    return std::all_of(votes.begin(), votes.end(), [&](Vote& vote) { return get(reader, vote); });
}

bool get_version(Reader& reader) noexcept {
    std::uint8_t version = 0;
    return reader.get(version) && version == kStoredVersion;
}

const char* at_end(const Reader& reader) noexcept {
    return reader.left() == 0 ? nullptr : "bytes after the end";
}

}  // namespace

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

// u8 version, u8 parts, u64 height, i32 round, u8 step, i32 locked_round, 32 locked_value, i32 valid_round,
// [block], u32 count, votes (valid_pol), [proposal], [vote], [vote], u32 count, votes (earlier)
void encode_hard_state(const HardState& hard, std::vector<std::byte>& out) {
    Writer writer(out);
    writer.put(kStoredVersion);
    writer.put(static_cast<std::uint8_t>(
        (hard.valid_block ? kHasValidBlock : 0) | (hard.proposal.block ? kHasProposal : 0) |
        (hard.prevote.height != 0 ? kHasPrevote : 0) | (hard.precommit.height != 0 ? kHasPrecommit : 0)));
    writer.put(hard.height);
    writer.put(hard.round);
    writer.put(static_cast<std::uint8_t>(hard.step));
    writer.put(hard.locked_round);
    writer.put(hard.locked_value);
    writer.put(hard.valid_round);
    if (hard.valid_block) put(writer, *hard.valid_block);
    put(writer, hard.valid_pol);
    if (hard.proposal.block) put_proposal(writer, hard.proposal);
    if (hard.prevote.height != 0) put(writer, hard.prevote);
    if (hard.precommit.height != 0) put(writer, hard.precommit);
    put(writer, hard.earlier);
}

const char* decode_hard_state(std::span<const std::byte> bytes, HardState& hard) {
    Reader reader(bytes);
    hard = HardState();
    std::uint8_t parts = 0, step = 0;
    if (!get_version(reader)) return "unknown version";
    if (!reader.get(parts) || !reader.get(hard.height) || !reader.get(hard.round) || !reader.get(step) ||
        !reader.get(hard.locked_round) || !get(reader, hard.locked_value) || !reader.get(hard.valid_round))
        return "hard state cut short";
    if (parts > 15 || step < 1 || step > 3 || hard.height == 0 || hard.height > kMaxHeight || !is_sane(hard.round) ||
        !is_sane(hard.locked_round) || !is_sane(hard.valid_round))
        return "no such hard state";
    if (((parts & kHasValidBlock) != 0) != (hard.valid_round != kNoRound)) return "a valid round goes with its block";
    hard.step = static_cast<Step>(step);
    if ((parts & kHasValidBlock) != 0 && !get(reader, hard.valid_block)) return "malformed block";
    if (!get(reader, hard.valid_pol)) return "proof cut short";
    if ((parts & kHasProposal) != 0)
        if (const char* problem = get_proposal(reader, hard.proposal)) return problem;
    if (((parts & kHasPrevote) != 0 && !get(reader, hard.prevote)) ||
        ((parts & kHasPrecommit) != 0 && !get(reader, hard.precommit)) || !get(reader, hard.earlier))
        return "malformed vote";
    const auto is_own = [&](const Vote& vote, VoteType type) {
        return vote.height == hard.height && vote.round == hard.round && vote.type == type;
    };
    if ((hard.valid_block && hard.valid_block->height != hard.height) ||
        (hard.proposal.block && (hard.proposal.height != hard.height || hard.proposal.round != hard.round)) ||
        ((parts & kHasPrevote) != 0 && !is_own(hard.prevote, VoteType::prevote)) ||
        ((parts & kHasPrecommit) != 0 && !is_own(hard.precommit, VoteType::precommit)))
        return "what was signed is not of its height and round";
    return at_end(reader);
}

void encode_decided(const Decided& decided, std::vector<std::byte>& out) {
    Writer writer(out);
    writer.put(kStoredVersion);
    put(writer, decided);
}

const char* decode_decided(std::span<const std::byte> bytes, Decided& decided) {
    Reader reader(bytes);
    if (!get_version(reader)) return "unknown version";
    if (const char* problem = get_decided(reader, decided)) return problem;
    return at_end(reader);
}

void encode_snapshot(const Snapshot& snapshot, std::vector<std::byte>& out) {
    Writer(out).put(kStoredVersion);
    put_snapshot(snapshot, out);
}

const char* decode_snapshot(std::span<const std::byte> bytes, Snapshot& snapshot) {
    Reader reader(bytes);
    std::shared_ptr<const Snapshot> made;
    if (!get_version(reader)) return "unknown version";
    if (const char* problem = get_snapshot(reader, made)) return problem;
    snapshot = *made;
    return at_end(reader);
}

}  // namespace fastmas::consensus::bft
