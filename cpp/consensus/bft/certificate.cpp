#include "consensus/bft/certificate.hpp"

#include "consensus/session.hpp"

namespace fastmas::consensus::bft {

const char* verify_certificate(const Digest& genesis, const ValidatorSet& set, const Certificate& certificate,
                               Verifier& verifier) {
    if (certificate.value == kNil) return "nil cannot be decided";
    if (certificate.height == 0 || certificate.round < 0) return "no such height or round";
    if (certificate.votes.size() > set.size()) return "more votes than validators";
    Vote vote;
    vote.type = VoteType::precommit;
    vote.height = certificate.height;
    vote.round = certificate.round;
    vote.value = certificate.value;
    const SignBytes bytes = sign_bytes(genesis, vote);
    std::array<Verifier::Item, kMaxNodes> items;  // the first `count` are
    std::size_t count = 0;
    Power power = 0;
    NodeId last = kNoNode;
    for (const Certificate::Signed& held : certificate.votes) {
        if (held.validator <= last) return "validators come in order, each once";
        last = held.validator;
        const std::size_t place = set.place_of(held.validator);
        if (place == ValidatorSet::kNowhere) return "a stranger signed";
        power += set.powers()[place];
        items[count++] = {set.at(place).key, bytes, held.signature};
    }
    if (!is_quorum(power, set.total())) return "not more than two thirds of the voting power";
    return verifier.verify_all(std::span(items.data(), count)) ? nullptr : "a signature is not the validator's";
}

const char* verify_evidence(const Digest& genesis, const ValidatorSet& set, const Evidence& evidence,
                            Verifier& verifier) {
    const std::size_t place = set.place_of(evidence.culprit());
    if (place == ValidatorSet::kNowhere) return "the culprit is a stranger";
    const PublicKey& key = set.at(place).key;
    const auto check = [&](const auto& first, const auto& second) -> const char* {
        if (first.height != second.height || first.round != second.round) return "not of one height and round";
        if (first.value == second.value) return "the same value twice";
        if (!verifier.verify(key, sign_bytes(genesis, first), first.signature) ||
            !verifier.verify(key, sign_bytes(genesis, second), second.signature))
            return "a signature is not the culprit's";
        return nullptr;
    };
    if (evidence.kind == Evidence::Kind::proposal) {
        if (evidence.first_proposal.proposer != evidence.second_proposal.proposer) return "not of one validator";
        return check(evidence.first_proposal, evidence.second_proposal);
    }
    if (evidence.first_vote.validator != evidence.second_vote.validator) return "not of one validator";
    if (evidence.first_vote.type != evidence.second_vote.type) return "not of one type";
    return check(evidence.first_vote, evidence.second_vote);
}

namespace {

// As a Writer, into a digest.
class Hashed {
  public:
    template <class T>
    requires std::is_integral_v<T>
    void put(T value) { hash_.update(std::as_bytes(std::span(&value, 1))); }
    void put(std::span<const std::byte> bytes) { hash_.update(bytes); }
    Digest finish() noexcept { return hash_.finish(); }

  private:
    base::Sha256 hash_;
};

}  // namespace

Digest block_digest(const Block& block) {
    Hashed commands;
    for (const Command& command : block.commands) {
        // as in a message: what tells a session that expires from one that does not is covered, too
        commands.put(
            static_cast<std::uint8_t>(static_cast<std::uint8_t>(command.kind) | (expires(command.session) ? 128 : 0)));
        commands.put(command.session.client);
        commands.put(command.session.sequence);
        commands.put(command.session.acknowledged);
        if (expires(command.session)) commands.put(command.session.expires_ns);
        commands.put(command.time_ns);
        commands.put(static_cast<std::uint32_t>(command.bytes.size()));
        commands.put(command.bytes.bytes());
    }
    Hashed head;
    head.put(std::as_bytes(std::span("fastmas/bft/block/1")));
    head.put(block.height);
    head.put(block.first_index);
    head.put(block.time_ns);
    head.put(block.proposer);
    head.put(block.parent);
    head.put(block.validators);
    head.put(block.next_validators);
    head.put(static_cast<std::uint32_t>(block.commands.size()));
    head.put(commands.finish());
    return head.finish();
}

}  // namespace fastmas::consensus::bft
