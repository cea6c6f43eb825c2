#include "consensus/simulation/bft/model.hpp"

#include <algorithm>
#include <numeric>

#include "base/errors.hpp"
#include "consensus/simulation/hash_set.hpp"

namespace fastmas::consensus::bft {
namespace {

// A hash of a sequence of words.
class Hash {
  public:
    Hash& add(std::uint64_t word) noexcept {
        state_ = mix64(state_ ^ word) + 0x9e3779b97f4a7c15ULL;
        return *this;
    }
    template <class T>
    Hash& add_signed(T value) noexcept {
        return add(static_cast<std::uint64_t>(static_cast<std::int64_t>(value)));
    }
    std::uint64_t value() const noexcept { return mix64(state_); }

  private:
    std::uint64_t state_ = 0;
};

Digest value_of(char letter) {
    Digest value{};
    if (letter != '-') value[0] = static_cast<std::byte>(letter);
    return value;
}

char letter_of(const Digest& value) {
    return value == kNil ? '-' : static_cast<char>(value[0]);
}

// The thresholds of the paper once more, for validators of power 1: what is checked must not decide what is right.
constexpr bool is_two_thirds(Power power, std::size_t nodes) noexcept {
    return power >= 2 * ((nodes - 1) / 3) + 1;
}
constexpr bool is_one_correct(Power power, std::size_t nodes) noexcept {
    return power >= (nodes - 1) / 3 + 1;
}

constexpr std::uint8_t bit_of(Step step) noexcept {
    return static_cast<std::uint8_t>(1U << static_cast<unsigned>(step));
}

// Counted once more, from the votes themselves.
Power weigh(const Tendermint& machine, VoteType type, Round round, const Digest& value, std::size_t places) {
    const VoteSet* votes = machine.votes(type, round);
    Power power = 0;
    for (std::size_t place = 0; votes != nullptr && place < places; ++place) power += votes->has(place, value);
    return power;
}

[[noreturn]] void fail(const char* rule, const BftModel::Participant& at, Round round) {
    throw base::InvariantError(std::string(rule) + ": broken by validator " + std::to_string(at.place + 1) +
                               " in round " + std::to_string(round));
}

}  // namespace

// What of a machine decides what it will do.
struct ModelDigest {
    static std::uint64_t of(const Tendermint& machine, const Renaming& renaming) {
        Hash hash;
        hash.add_signed(machine.round_).add(static_cast<std::uint64_t>(machine.step_)).add(machine.decided_);
        if (machine.decided_) return hash.value();  // it is done: the next height's machine is another
        const Locks& locks = machine.locks_;
        hash.add_signed(locks.locked_round).add(static_cast<std::uint64_t>(letter_of(locks.locked_value)));
        hash.add_signed(locks.valid_round).add(static_cast<std::uint64_t>(letter_of(locks.valid_value)));
        for (const auto& [round, at] : machine.rounds_) {
            hash.add_signed(round).add(at.any_prevotes_seen).add(at.polka_seen).add(at.any_precommits_seen);
            for (const ProposalFact& fact : at.proposals)  // their order decides which is looked at first
                hash.add(static_cast<std::uint64_t>(letter_of(fact.value))).add_signed(fact.pol_round);
            for (const VoteSet* votes : {&at.prevotes, &at.precommits}) {
                std::uint64_t sum = 0;  // in any order
                std::vector<Vote> held;
                for (std::size_t place = 0; place < machine.set_->size(); ++place) {
                    held.clear();
                    votes->votes_of(place, held);
                    for (std::size_t i = 0; i < held.size(); ++i)
                        sum += Hash()
                                   .add(renaming[place])
                                   .add(i == 0)
                                   .add(static_cast<std::uint64_t>(letter_of(held[i].value)))
                                   .value();
                }
                hash.add(sum);
            }
        }
        return hash.value();
    }
};

BftModel::BftModel(const World& world) : world_(world) {
    std::vector<Validator> validators(world.nodes);
    for (std::size_t place = 0; place < world.nodes; ++place) validators[place].id = static_cast<NodeId>(place + 1);
    set_ = std::make_shared<const ValidatorSet>(std::move(validators));
}

Tendermint BftModel::machine(std::size_t place) const {
    return Tendermint(set_, Rotation::Priorities(world_.nodes, 0), place);
}

std::uint8_t BftModel::next_correct(std::size_t place) const noexcept {
    do place = (place + 1) % world_.nodes;
    while (place == world_.liar);
    return static_cast<std::uint8_t>(place);
}

void BftModel::begin(Participant& at, Output& out) const {
    at.machine.start();
    go_on(at, out);
}

std::vector<Renaming> BftModel::symmetry() const {
    Renaming renaming{};
    std::iota(renaming.begin(), renaming.end(), std::uint8_t{0});
    std::vector<std::uint8_t> alike;
    for (std::size_t place = static_cast<std::size_t>(world_.last_round) + 1; place < world_.nodes; ++place)
        if (place != world_.liar) alike.push_back(static_cast<std::uint8_t>(place));
    std::vector<Renaming> all;
    std::vector<std::uint8_t> order = alike;
    do {
        for (std::size_t i = 0; i < alike.size(); ++i) renaming[alike[i]] = order[i];
        all.push_back(renaming);
    } while (std::next_permutation(order.begin(), order.end()));
    return all;
}

bool BftModel::can_time_out(const Participant& at) const noexcept {
    const Step step = at.machine.step();
    return !at.machine.is_decided() && step != Step::precommit && (at.timers & bit_of(step)) != 0;
}

bool BftModel::can_heartbeat(const Participant& at) const noexcept {
    return at.begun && !at.machine.is_decided() && at.machine.round() < world_.last_round &&
           (at.timers & bit_of(Step::precommit)) != 0;
}

void BftModel::time_out(Participant& at, Output& out) const {
    const Step step = at.machine.step();
    at.timers &= static_cast<std::uint8_t>(~bit_of(step));
    at.machine.timeout(step, at.machine.round());
    go_on(at, out);
}

void BftModel::heartbeat(Participant& at, Output& out) const {
    at.timers &= static_cast<std::uint8_t>(~bit_of(Step::precommit));
    at.machine.timeout(Step::precommit, at.machine.round());
    go_on(at, out);
}

void BftModel::propose(Participant& at, std::uint32_t, Output& out) const {
    at.begun = true;
    if (at.place == world_.liar)
        say_all(out);
    else
        begin(at, out);
}

// What was under way before, then: a value of every round, both votes for each of them and for nil, and proposals in
// its turn with every validRound.
void BftModel::say_all(Output& out) const {
    for (std::uint8_t to = 0; world_.begin_in == 2 && to < world_.nodes; ++to) {
        if (to == world_.liar) continue;
        const std::uint8_t late = next_correct(next_correct(to));
        out.sent.push_back({Kind::prevote, late, to, 0, kNoRound, 'A'});
    }
    Message lie;
    lie.from = static_cast<std::uint8_t>(world_.liar);
    const auto last = static_cast<char>('A' + world_.last_round);
    for (lie.to = 0; lie.to < world_.nodes; ++lie.to) {
        if (lie.to == world_.liar) continue;
        for (lie.round = world_.first_round; lie.round <= world_.last_round; ++lie.round) {
            lie.pol_round = kNoRound;
            for (const Kind kind : {Kind::prevote, Kind::precommit}) {
                if (!world_.lies_votes) break;
                lie.kind = kind;
                for (lie.value = 'A'; lie.value <= last; ++lie.value) out.sent.push_back(lie);
                lie.value = '-';
                out.sent.push_back(lie);
            }
            if (static_cast<std::size_t>(lie.round) % world_.nodes != world_.liar) continue;
            lie.kind = Kind::proposal;
            for (lie.value = 'A'; lie.value <= last; ++lie.value)
                for (lie.pol_round = kNoRound; lie.pol_round < lie.round; ++lie.pol_round) out.sent.push_back(lie);
        }
    }
}

// As BftNode::resume(): what is durable is the round, the step, the locks, its own votes, its proposal of the round and
// the proof of the valid value. What it had been told by others it may be told again.
void BftModel::crash(Participant& at, Output& out) const {
    if (at.place == world_.liar || !at.begun || at.machine.is_decided()) return;
    const Tendermint before = at.machine;
    const Locks& locks = before.locks();
    Message again;
    again.to = at.place;
    std::vector<ProposalFact> own;
    std::vector<std::pair<std::size_t, Vote>> votes;
    for (Round round = 0; round <= before.highest_round(); ++round) {
        again.round = round;
        const std::size_t proposer = static_cast<std::size_t>(round) % world_.nodes;
        if (const auto* facts = before.proposals(round)) {
            for (const ProposalFact& fact : *facts) {
                again.kind = Kind::proposal;
                again.from = static_cast<std::uint8_t>(proposer);
                again.value = letter_of(fact.value);
                again.pol_round = fact.pol_round;
                if (proposer == at.place && round == before.round())
                    own.push_back(fact);
                else
                    out.sent.push_back(again);
            }
        }
        again.pol_round = kNoRound;
        for (const VoteType type : {VoteType::prevote, VoteType::precommit}) {
            const VoteSet* set = before.votes(type, round);
            std::vector<Vote> held;
            for (std::size_t place = 0; set != nullptr && place < world_.nodes; ++place) {
                held.clear();
                set->votes_of(place, held);
                for (const Vote& vote : held) {
                    const bool is_proof =
                        type == VoteType::prevote && round == locks.valid_round && vote.value == locks.valid_value;
                    if (place == at.place || is_proof) {
                        votes.emplace_back(place, vote);
                        continue;
                    }
                    again.kind = type == VoteType::prevote ? Kind::prevote : Kind::precommit;
                    again.from = static_cast<std::uint8_t>(place);
                    again.value = letter_of(vote.value);
                    out.sent.push_back(again);
                }
            }
        }
    }
    at.machine = machine(at.place);
    at.timers = 0;
    at.lies_left = world_.lies;
    at.machine.resume(before.round(), before.step(), locks, !own.empty());
    for (const ProposalFact& fact : own) at.machine.add_proposal(fact);
    for (const auto& [place, vote] : votes) at.machine.add_vote(place, vote);
    go_on(at, out);
}

void BftModel::deliver(Participant& at, const Message& message, Output& out) const {
    if (at.place == world_.liar) return;
    if (message.from == world_.liar) {
        if (at.lies_left == 0) return;
        const std::uint64_t before = ModelDigest::of(at.machine, Renaming{});
        take(at, message);
        // what it does not even keep was no lie
        if (ModelDigest::of(at.machine, Renaming{}) != before) --at.lies_left;
    } else {
        take(at, message);
    }
    const Round round = at.machine.round();
    go_on(at, out);
    if (at.machine.round() != round && !at.machine.is_decided()) check_skip(at);
}

void BftModel::take(Participant& at, const Message& message) const {
    const Digest value = value_of(message.value);
    if (message.kind == Kind::proposal) {
        if (at.machine.admits_proposal(message.round, value))
            at.machine.add_proposal({message.round, message.pol_round, value, true, true});
        return;
    }
    if (!at.machine.admits(message.from, message.round)) return;
    Vote vote;
    vote.type = message.kind == Kind::prevote ? VoteType::prevote : VoteType::precommit;
    vote.height = 1;
    vote.round = message.round;
    vote.value = value;
    vote.validator = message.from + NodeId{1};
    at.machine.add_vote(message.from, vote);
}

void BftModel::go_on(Participant& at, Output& out) const {
    for (;;) {
        const Round round = at.machine.round();
        at.machine.run();
        const std::vector<Action> actions = at.machine.actions();
        at.machine.clear_actions();
        if (actions.empty()) return;
        if (at.machine.round() != round) at.timers = 0;
        for (const Action& action : actions) act(at, action, out);
    }
}

void BftModel::act(Participant& at, const Action& action, Output& out) const {
    switch (action.kind) {
        case Action::Kind::propose: {
            if (action.round != at.machine.round()) return;
            const auto* known = at.machine.proposals(action.round);
            if (known != nullptr && !known->empty())
                fail("a correct node signs at most one proposal a round", at, action.round);
            // getValue() of a round is its own letter
            const char letter = action.value == kNil ? static_cast<char>('A' + action.round) : letter_of(action.value);
            at.machine.add_proposal({action.round, action.valid_round, value_of(letter), true, true});
            return broadcast(at, {Kind::proposal, 0, 0, action.round, action.valid_round, letter}, out);
        }
        case Action::Kind::vote: {
            check_vote(at, action);
            const Message message{action.type == VoteType::prevote ? Kind::prevote : Kind::precommit,
                                  at.place,
                                  at.place,
                                  action.round,
                                  kNoRound,
                                  letter_of(action.value)};
            const VoteSet* known = at.machine.votes(action.type, action.round);
            if (known != nullptr && known->first(at.place) != nullptr)
                fail("a correct node signs at most one prevote and one precommit a round", at, action.round);
            take(at, message);
            return broadcast(at, message, out);
        }
        case Action::Kind::schedule:
            if (action.round == at.machine.round()) at.timers |= bit_of(action.step);
            return;
        case Action::Kind::decide:
            if (!is_two_thirds(weigh(at.machine, VoteType::precommit, action.round, action.value, world_.nodes),
                               world_.nodes))
                fail("a decision has precommits of more than two thirds (line 49)", at, action.round);
            out.facts.push_back({"agreement: no two correct nodes decide on different values", 1,
                                 static_cast<std::uint64_t>(letter_of(action.value)), false});
            return;
    }
}

void BftModel::check_vote(const Participant& at, const Action& action) const {
    if (action.value == kNil) return;
    const auto has_polka = [&](Round round) {
        return is_two_thirds(weigh(at.machine, VoteType::prevote, round, action.value, world_.nodes), world_.nodes);
    };
    const Locks& locks = at.machine.locks();
    if (action.type == VoteType::precommit) {
        if (!has_polka(action.round)) fail("a precommit follows a quorum of prevotes (line 36)", at, action.round);
        if (locks.locked_round < action.round) fail("a precommit locks (line 39)", at, action.round);
        return;
    }
    // a lock of this very round comes after its prevote
    if (locks.locked_round == kNoRound || locks.locked_round >= action.round || locks.locked_value == action.value)
        return;
    for (Round round = locks.locked_round; round < action.round; ++round)
        if (has_polka(round)) return;
    fail("a locked node prevotes another value only on proof of a later round (lines 23, 29)", at, action.round);
}

void BftModel::check_skip(const Participant& at) const {
    const Round round = at.machine.round();
    std::vector<bool> spoke(world_.nodes, false);
    for (const VoteType type : {VoteType::prevote, VoteType::precommit})
        for (std::size_t place = 0; place < world_.nodes; ++place)
            if (const VoteSet* votes = at.machine.votes(type, round); votes != nullptr && place != at.place)
                spoke[place] = spoke[place] || votes->first(place) != nullptr;
    if (const auto* facts = at.machine.proposals(round); facts != nullptr && !facts->empty())
        spoke[static_cast<std::size_t>(round) % world_.nodes] = true;
    if (!is_one_correct(static_cast<Power>(std::count(spoke.begin(), spoke.end(), true)), world_.nodes))
        fail("f validators alone begin no round (line 55)", at, round);
}

void BftModel::broadcast(const Participant& at, Message message, Output& out) const {
    message.from = at.place;
    for (message.to = 0; message.to < world_.nodes; ++message.to)
        if (message.to != at.place && message.to != world_.liar) out.sent.push_back(message);
}

std::uint64_t BftModel::digest(const Participant& at, const Renaming& renaming) const {
    Hash hash;
    hash.add(renaming[at.place]).add(at.begun).add(ModelDigest::of(at.machine, renaming));
    if (!at.machine.is_decided()) hash.add(at.timers).add(at.lies_left);
    return hash.value();
}

std::uint64_t BftModel::digest(const Message& message, const Renaming& renaming) const {
    Hash hash;
    hash.add(static_cast<std::uint64_t>(message.kind)).add(renaming[message.from]).add(renaming[message.to]);
    hash.add_signed(message.round).add_signed(message.pol_round).add(static_cast<std::uint64_t>(message.value));
    return hash.value();
}

bool BftModel::is_dead(const Participant& at, const Message& message) const noexcept {
    if (at.place == world_.liar || at.machine.is_decided()) return true;
    if (message.from == world_.liar && at.lies_left == 0) return true;
    const Digest value = value_of(message.value);
    if (message.kind == Kind::proposal) {
        const auto* facts = at.machine.proposals(message.round);
        return facts != nullptr &&
               std::any_of(facts->begin(), facts->end(), [&](const ProposalFact& fact) { return fact.value == value; });
    }
    const VoteSet* votes =
        at.machine.votes(message.kind == Kind::prevote ? VoteType::prevote : VoteType::precommit, message.round);
    return votes != nullptr && votes->has(message.from, value);
}

void BftModel::check(const std::vector<const Participant*>& all) const {
    for (const Participant* at : all) {
        const Tendermint& machine = at->machine;
        if (at->place == world_.liar || machine.is_decided()) continue;
        const Locks& locks = machine.locks();
        if (locks.valid_round < locks.locked_round)
            fail("what is locked was valid then (lines 38 to 43)", *at, machine.round());
        for (const Participant* other : all) {
            if (other->place == world_.liar || other->machine.is_decided()) continue;
            const Locks& others = other->machine.locks();
            if (locks.locked_round != kNoRound && locks.locked_round == others.locked_round &&
                locks.locked_value != others.locked_value)
                fail("a round locks one value", *at, locks.locked_round);
        }
    }
}

std::string BftModel::describe(const Message& message) const {
    static const char* const names[] = {"proposal", "prevote", "precommit"};
    std::string text = std::string(names[static_cast<std::size_t>(message.kind)]) + " " + message.value + " of round " +
                       std::to_string(message.round) + " from " + std::to_string(message.from + 1) + " to " +
                       std::to_string(message.to + 1);
    if (message.pol_round != kNoRound) text += ", valid in round " + std::to_string(message.pol_round);
    if (message.from == world_.liar) text += " (a lie)";
    return text;
}

}  // namespace fastmas::consensus::bft
