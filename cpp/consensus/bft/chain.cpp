#include "consensus/bft/chain.hpp"

#include <algorithm>
#include <array>

#include "base/errors.hpp"
#include "consensus/bytes.hpp"

namespace fastmas::consensus::bft {

Digest genesis_digest(const std::string& chain, const ChainLimits& limits, const ValidatorSet& first) {
    std::vector<std::byte> bytes;
    Writer writer(bytes);
    writer.put(std::as_bytes(std::span("fastmas/bft/genesis/1")));
    writer.put(static_cast<std::uint32_t>(chain.size()));
    writer.put(std::as_bytes(std::span(chain)));
    writer.put(limits.max_block_commands);
    writer.put(limits.max_block_bytes);
    writer.put(limits.max_command_bytes);
    writer.put(first.digest());
    return base::sha256(bytes);
}

Payload encode_change(const Validator& change) {
    std::vector<std::byte> bytes;
    Writer writer(bytes);
    writer.put(change.id);
    writer.put(change.power);
    writer.put(change.key);
    return Payload(bytes);
}

bool decode_change(const Payload& bytes, Validator& change) noexcept {
    Reader reader(bytes.bytes());
    if (!reader.get(change.id) || !reader.get(change.power) || reader.left() != change.key.size()) return false;
    std::copy(reader.rest().begin(), reader.rest().end(), change.key.begin());
    return change.id != kNoNode && change.power <= kMaxTotalPower;
}

std::uint64_t ClientMarks::last(std::uint64_t client) const noexcept {
    const auto found = marks_.find(client);
    return found == marks_.end() ? 0 : found->second.sequence;
}

void ClientMarks::set(const Session& session) {
    Mark& mark = marks_[session.client];
    mark.sequence = session.sequence;
    mark.expires_ns = std::max(mark.expires_ns, session.expires_ns);
    soonest_ns_ = std::min(soonest_ns_, mark.expires_ns);
}

void ClientMarks::advance_to(std::int64_t time_ns) {
    time_ns_ = time_ns;
    if (time_ns <= soonest_ns_) return;
    soonest_ns_ = INT64_MAX;
    std::erase_if(marks_, [&](const auto& entry) {
        if (entry.second.expires_ns < time_ns) return true;
        soonest_ns_ = std::min(soonest_ns_, entry.second.expires_ns);
        return false;
    });
}

ChainState ChainState::genesis(const Digest& digest, ValidatorSet first) {
    ChainState state;
    state.last_id = digest;
    state.priorities.assign(first.size(), 0);
    state.validators = std::make_shared<const ValidatorSet>(std::move(first));
    return state;
}

ValidatorSet ChainState::next_validators(const std::vector<Command>& commands) const {
    std::vector<Validator> changed = validators->all();
    for (const Command& command : commands) {
        Validator change;
        if (command.kind != CommandKind::validator || !decode_change(command.bytes, change)) continue;
        std::erase_if(changed, [&](const Validator& known) { return known.id == change.id; });
        if (change.power != 0) changed.push_back(change);
    }
    return ValidatorSet(std::move(changed));
}

namespace {

// The last sequence of each client of a block, that of the block so far included: of the few there mostly are, without
// an allocation.
class LastSequences {
  public:
    std::uint64_t* find(std::uint64_t client) noexcept {
        for (std::size_t at = more_.size(); at-- != 0;)
            if (more_[at].client == client) return &more_[at].sequence;
        for (std::size_t at = count_; at-- != 0;)
            if (few_[at].client == client) return &few_[at].sequence;
        return nullptr;
    }
    std::uint64_t* add(std::uint64_t client, std::uint64_t sequence) {
        One& one = count_ < few_.size() ? few_[count_++] : more_.emplace_back();
        one = {client, sequence};
        return &one.sequence;
    }

  private:
    struct One {
        std::uint64_t client;
        std::uint64_t sequence;
    };
    std::array<One, 16> few_;  // the first `count_` are
    std::size_t count_ = 0;
    std::vector<One> more_;
};

}  // namespace

const char* ChainState::check(const Block& block, const ChainLimits& limits, const CommandRule* rule) const {
    if (block.height != height + 1) return "not the next height";
    if (block.parent != last_id) return "its parent is not the last block";
    if (block.first_index != index + 1) return "its commands do not follow the last one";
    if (validators->place_of(block.proposer) == ValidatorSet::kNowhere) return "made by a stranger";
    if (block.commands.size() > limits.max_block_commands) return "too many commands";
    std::size_t bytes = 0;
    std::int64_t latest_ns = time_ns;
    bool changes = false;
    LastSequences seen;
    std::size_t new_clients = 0;
    for (const Command& command : block.commands) {
        if (command.bytes.size() > limits.max_command_bytes) return "a command is too large";
        latest_ns = std::max(latest_ns, command.time_ns);
        bytes += command.bytes.size();
        if (bytes > limits.max_block_bytes) return "too many bytes";
        const std::uint64_t client = command.session.client;
        if (client == 0) return "a command without a session";
        std::uint64_t* last = seen.find(client);
        if (last == nullptr && !clients.has(client) && ++new_clients > clients.room()) return "too many clients";
        if (!clients.admits(command.session)) return "a request whose time is over";
        if (last == nullptr) last = seen.add(client, clients.last(client));
        if (!ClientMarks::follows(*last, command.session)) return "a request out of turn";
        *last = command.session.sequence;
        if (command.kind == CommandKind::validator) {
            Validator change;
            if (rule == nullptr) return "nobody may change the validators";
            if (!decode_change(command.bytes, change)) return "a malformed change of validators";
            changes = true;
        }
        if (rule != nullptr && !rule->allows(command)) return "a command that the rule refuses";
    }
    // a function of what is in the block: a proposer has no say in it
    if (block.time_ns != latest_ns) return "its time is not its latest command's";
    const Digest digest = validators->digest();
    if (block.validators != digest) return "names another validator set";
    if (!changes) return block.next_validators == digest ? nullptr : "names another next validator set";
    try {
        if (block.next_validators != next_validators(block.commands).digest())
            return "names another next validator set";
    } catch (const base::ConfigError&) {
        return "changes the validators to what cannot be";
    }
    return nullptr;
}

void ChainState::apply(const Block& block) {
    height = block.height;
    last_id = block.id;
    time_ns = block.time_ns;
    bool changes = false;
    for (const Command& command : block.commands) {
        clients.set(command.session);
        ++index;
        changes = changes || command.kind == CommandKind::validator;
    }
    clients.advance_to(time_ns);
    Rotation::turn(*validators, priorities);  // one turn a height, however many rounds it took
    if (!changes) return;
    auto next = std::make_shared<const ValidatorSet>(next_validators(block.commands));
    priorities = Rotation::carry_over(*validators, priorities, *next);
    validators = std::move(next);
}

bool operator==(const ChainState& a, const ChainState& b) {
    return a.height == b.height && a.last_id == b.last_id && a.index == b.index && a.time_ns == b.time_ns &&
           !a.validators == !b.validators && (!a.validators || *a.validators == *b.validators) &&
           a.priorities == b.priorities && a.clients == b.clients;
}

}  // namespace fastmas::consensus::bft
