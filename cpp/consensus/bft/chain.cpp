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

bool ClientMarks::lasts(std::uint64_t client) const noexcept {
    const auto found = marks_.find(client);
    return found != marks_.end() && found->second.lasts();
}

bool ClientMarks::has_room(const Session& session) const noexcept {
    const auto found = marks_.find(session.client);
    const bool known = found != marks_.end();
    const Room left = room();
    if (!known && left.clients == 0) return false;
    return expires(session) || (known && found->second.lasts()) || left.lasting != 0;
}

void ClientMarks::set(const Session& session) {
    Mark& mark = marks_[session.client];
    lasting_ -= mark.lasts();
    mark.sequence = session.sequence;
    // of the client: unless it says that none of those before comes again
    mark.expires_ns = is_last(session) ? session.expires_ns : std::max(mark.expires_ns, session.expires_ns);
    lasting_ += mark.lasts();
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

// Where each client of a block stands, that of the block so far included: of the few there mostly are, without an
// allocation.
class Standings {
  public:
    struct One {
        std::uint64_t client;
        std::uint64_t last;
        bool lasts;
    };
    One* find(std::uint64_t client) noexcept {
        for (std::size_t at = more_.size(); at-- != 0;)
            if (more_[at].client == client) return &more_[at];
        for (std::size_t at = count_; at-- != 0;)
            if (few_[at].client == client) return &few_[at];
        return nullptr;
    }
    One* add(const One& one) { return &((count_ < few_.size() ? few_[count_++] : more_.emplace_back()) = one); }

  private:
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
    Standings standings;
    ClientMarks::Room room = clients.room();
    for (const Command& command : block.commands) {
        if (command.bytes.size() > limits.max_command_bytes) return "a command is too large";
        latest_ns = std::max(latest_ns, command.time_ns);
        bytes += command.bytes.size();
        if (bytes > limits.max_block_bytes) return "too many bytes";
        const std::uint64_t client = command.session.client;
        if (client == 0) return "a command without a session";
        Standings::One* standing = standings.find(client);
        if (standing == nullptr) {
            if (!clients.has(client) && room.clients-- == 0) return "too many clients";
            standing = standings.add({client, clients.last(client), clients.lasts(client)});
        }
        if (!clients.admits(command.session)) return "a request whose time is over";
        if (!ClientMarks::follows(standing->last, command.session)) return "a request out of turn";
        standing->last = command.session.sequence;
        if (!expires(command.session) && !standing->lasts) {
            if (room.lasting-- == 0) return "too many clients that never expire";
            standing->lasts = true;
        }
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
