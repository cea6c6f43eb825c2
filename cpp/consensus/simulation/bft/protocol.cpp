#include "consensus/simulation/bft/protocol.hpp"

#include <algorithm>
#include <numeric>

#include "consensus/simulation/bft/sim_signer.hpp"

namespace fastmas::consensus::bft {
namespace {

// A draw of its own: what else a seed means does not depend on it.
void draw_disk(SimOptions& options) {
    base::Prng random(base::derive_seed(options.seed, "bft/disk"));
    options.disk_delay_ns = random.chance_ppm(400'000) ? random.between(1, 60) * 500'000 : 0;
}

constexpr std::int64_t kMaxClockAheadNs = 300'000'000;  // less than what clocks are off by in a storm
constexpr std::uint64_t kOperator = 20;                 // the client that asks for changes of validators
constexpr Power kMostGained = 2;                        // by a correct validator

}  // namespace

BftConfig BftProtocol::config(const SimOptions& options, NodeId id, const std::vector<Power>& powers,
                              const SimKeys& keys) {
    BftConfig config;
    config.id = id;
    for (std::size_t i = 0; i < options.nodes; ++i) {
        config.peers.push_back(static_cast<NodeId>(i + 1));
        if (powers[i] == 0) continue;
        Validator validator;
        validator.id = static_cast<NodeId>(i + 1);
        validator.power = powers[i];
        validator.key = keys.signers[i]->public_key();
        config.validators.push_back(validator);
    }
    config.async_storage = options.disk_delay_ns != 0;
    config.propose_ticks = options.election_ticks;
    config.prevote_ticks = config.precommit_ticks = std::max(1U, options.election_ticks / 2);
    config.status_ticks = std::max(1U, 2 * options.heartbeat_ticks);
    config.limits.max_block_commands = static_cast<std::uint32_t>(options.max_append_entries);
    // a state is compacted at each checkpoint: on all nodes at the same heights, so that they vouch for the same
    if (options.snapshot_every != 0) config.checkpoint_every = static_cast<std::uint32_t>(options.snapshot_every);
    return config;
}

std::unique_ptr<SimNode> BftProtocol::boot(const SimOptions& options, NodeId id, const std::vector<NodeId>&,
                                           std::uint64_t, const Disk& disk) {
    const SimKeys keys(options.nodes, options.seed);
    return std::make_unique<SimNode>(config(options, id, std::vector<Power>(options.nodes, 1), keys),
                                     keys.signers[id - 1], keys.verifier, disk.load(), nullptr);
}

bool BftProtocol::in_step(const Node& leads, const Node& other) noexcept {
    if (other.lies() && other.liar()->holds_proposal(leads.real().height())) return false;
    return other.real().height() == leads.real().height() && other.real().has_nothing_to_do() &&
           leads.real().has_nothing_to_do();
}

TraceEvent BftProtocol::trace(const Message& message, std::int64_t now_ns) noexcept {
    TraceEvent event{now_ns, to_string(message.type), false, message.from, message.to, 0, 0, 0};
    switch (message.type) {
        case MessageType::proposal:
            event.epoch = message.proposal.height;
            event.index = static_cast<Index>(message.proposal.round);
            event.entries = static_cast<std::uint32_t>(message.proposal.block->commands.size());
            break;
        case MessageType::votes:
            event.type = message.votes.front().type == VoteType::prevote ? "prevote" : "precommit";
            event.reject = message.votes.front().value == kNil;
            event.epoch = message.votes.front().height;
            event.index = static_cast<Index>(message.votes.front().round);
            event.entries = static_cast<std::uint32_t>(message.votes.size());
            break;
        case MessageType::status:
            event.epoch = message.status.height;
            break;
        case MessageType::decided:
            if (!message.decided.empty()) event.epoch = message.decided.front().block->height;
            event.entries = static_cast<std::uint32_t>(message.decided.size());
            break;
        case MessageType::snapshot:
            event.epoch = message.snapshot->chain.height;
            event.index = message.snapshot->index;
            break;
        case MessageType::commands:
            event.entries = static_cast<std::uint32_t>(message.commands.size());
            break;
        case MessageType::checkpoint:
            event.epoch = message.checkpoints.front().height;
            break;
    }
    return event;
}

void BftProtocol::draw_options(SimOptions& options, base::Prng& random) {
    const std::size_t sizes[] = {4, 4, 7, 1, 5, 3};
    options.nodes = sizes[random.below(6)];
    options.max_append_entries = 1 + random.below(8);
    draw_disk(options);
}

std::string BftProtocol::describe(const Node& node) {
    const BftNode& real = node.real();
    const Locks& locks = real.machine().locks();
    return std::string(node.lies() ? "a liar" : "correct") + ", height " + std::to_string(real.height()) + ", round " +
           std::to_string(real.round()) + ", step " + to_string(real.step_now()) + ", locked in " +
           std::to_string(locks.locked_round) + ", valid in " + std::to_string(locks.valid_round) + ", applied " +
           std::to_string(real.applied_index()) + ", " + std::to_string(real.pool().size()) + " commands wait, " +
           std::to_string(real.evidence().size()) + " pieces of evidence";
}

namespace {

template <class P>
void cover_all(const SimCluster<P>& sim, Coverage& coverage) {
    std::uint64_t locks = 0, caught_up = 0, nil = 0, proven = 0;
    for (NodeId id = 1; id <= sim.size(); ++id) {
        const SimNode* node = sim.node(id);
        if (node == nullptr) continue;
        const BftNode::Counters& counters = node->real().counters();
        locks += counters.locks;
        caught_up += counters.caught_up;
        nil += counters.nil_precommits;
        proven += node->real().proven() != nullptr;
    }
    coverage.add("heights decided", sim.invariants().decided());
    coverage.add("decided after the first round", sim.invariants().late_decisions());
    coverage.add("values locked", locks);
    coverage.add("prevotes against a lock, on proof", sim.invariants().unlocks());
    coverage.add("precommits for nil", nil);
    coverage.add("blocks from certificates", caught_up);
    coverage.add("states vouched for", proven);
}

}  // namespace

void BftProtocol::cover(const SimCluster<BftProtocol>& sim, Coverage& coverage) {
    cover_all(sim, coverage);
}

BoundedChanges::BoundedChanges(std::vector<Power> powers, std::vector<bool> liars, const SimKeys& keys)
    : powers_(std::move(powers)), liars_(std::move(liars)) {
    for (const auto& signer : keys.signers) keys_.push_back(signer->public_key());
}

bool BoundedChanges::allows(const Command& command) const {
    Validator change;
    if (command.kind != CommandKind::validator) return true;
    if (!decode_change(command.bytes, change) || change.id > powers_.size()) return false;
    const Power first = powers_[change.id - 1];
    return change.key == keys_[change.id - 1] &&
           (liars_[change.id] ? change.power <= first : change.power >= first && change.power <= first + kMostGained);
}

Validator BoundedChanges::draw(base::Prng& random) const {
    Validator change;
    change.id = static_cast<NodeId>(1 + random.below(powers_.size()));
    const Power first = powers_[change.id - 1];
    if (liars_[change.id])
        change.power = random.chance_ppm(200'000) ? random.below(first + 1) : first;  // a liar that is out does no harm
    else
        change.power = first + random.below(kMostGained + 1);
    change.key = keys_[change.id - 1];
    return change;
}

std::vector<Power> LyingBftProtocol::powers(const SimOptions& options) {
    base::Prng random(base::derive_seed(options.seed, "bft/powers"));
    std::vector<Power> powers(options.nodes, 1);
    if (random.chance_ppm(400'000))
        for (Power& power : powers) power = 1 + random.below(4);
    std::fill(powers.end() - static_cast<std::ptrdiff_t>(options.spare), powers.end(), Power{0});
    return powers;
}

std::vector<bool> LyingBftProtocol::liars(const SimOptions& options) {
    const std::vector<Power> weights = powers(options);
    base::Prng random(base::derive_seed(options.seed, "bft/liars"));
    std::vector<NodeId> order(options.nodes);
    std::iota(order.begin(), order.end(), NodeId{1});
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
    Power left = max_faulty(std::accumulate(weights.begin(), weights.end(), Power{0}));
    std::vector<bool> lies(options.nodes + 1, false);
    for (const NodeId id : order) {
        if (weights[id - 1] > left || weights[id - 1] == 0) continue;
        left -= weights[id - 1];
        lies[id] = true;
    }
    return lies;
}

std::unique_ptr<SimNode> LyingBftProtocol::boot(const SimOptions& options, NodeId id, const std::vector<NodeId>&,
                                                std::uint64_t seed, const Disk& disk) {
    const SimKeys keys(options.nodes, options.seed);
    const std::vector<Power> weights = powers(options);
    const std::vector<bool> lies = liars(options);
    // some clusters gossip so seldom that a lock stays alone for rounds: there it pays to scheme
    const bool is_slow = options.seed % 3 == 0;
    std::unique_ptr<Liar> liar;
    if (lies[id])
        liar = std::make_unique<Liar>(id, base::derive_seed(seed, "bft/liar/" + std::to_string(id)),
                                      keys.signers[id - 1], is_slow ? 90 : 30);
    BftConfig made = config(options, id, weights, keys);
    made.rule = std::make_shared<const BoundedChanges>(weights, lies, keys);
    made.max_clock_ahead_ns = kMaxClockAheadNs;
    if (is_slow) made.status_ticks *= 8;
    return std::make_unique<SimNode>(std::move(made), keys.signers[id - 1], keys.verifier, disk.load(),
                                     std::move(liar));
}

void LyingBftProtocol::draw_options(SimOptions& options, base::Prng& random) {
    const std::size_t sizes[] = {4, 4, 4, 7, 7, 5, 6, 10};
    options.nodes = sizes[random.below(8)];
    options.max_append_entries = 4 + random.below(8);
    options.spare = options.nodes > 4 ? random.below(3) : 0;
    draw_disk(options);
}

// A change of the validators, asked for at any node; two nodes may ask for different ones in the same breath.
void LyingBftProtocol::disturb(SimCluster<LyingBftProtocol>& sim, base::Prng& random) {
    const auto at = static_cast<NodeId>(1 + random.below(sim.size()));
    if (!sim.is_up(at) || sim.is_paused(at)) return;
    const BftNode& node = sim.node(at)->real();
    const auto& rule = static_cast<const BoundedChanges&>(*node.config().rule);
    const Validator change = rule.draw(random);
    const std::uint64_t last = node.chain().clients.last(kOperator);
    sim.act(at, [&](Node& real) {
        (void)real.propose_change(change, {kOperator, last + 1, last}, std::max(real.clock_ns(), std::int64_t{0}));
    });
}

void LyingBftProtocol::cover(const SimCluster<LyingBftProtocol>& sim, Coverage& coverage) {
    cover_all(sim, coverage);
    Liar::Counters sum;
    std::uint64_t evidence = 0, forged = 0, invalid = 0, untimely = 0;
    for (NodeId id = 1; id <= sim.size(); ++id) {
        const SimNode* node = sim.node(id);
        if (node == nullptr) continue;
        if (const Liar* liar = node->liar()) {
            const Liar::Counters& counters = liar->counters();
            sum.votes_equivocated += counters.votes_equivocated;
            sum.proposals_equivocated += counters.proposals_equivocated;
            sum.withheld += counters.withheld;
            sum.forged += counters.forged;
            sum.replayed += counters.replayed;
            sum.delayed += counters.delayed;
            sum.heights_invented += counters.heights_invented;
            sum.votes_for_all += counters.votes_for_all;
            sum.times_invented += counters.times_invented;
            sum.favoured += counters.favoured;
            continue;
        }
        evidence += node->real().evidence().size();
        invalid += node->real().counters().invalid_proposals;
        untimely += node->real().counters().untimely;
        for (NodeId other = 1; other <= sim.size(); ++other) {
            forged += node->real().peer(other).forged;
        }
    }
    coverage.add("lies: votes for two values", sum.votes_equivocated);
    coverage.add("lies: two proposals", sum.proposals_equivocated);
    coverage.add("lies: withheld", sum.withheld);
    coverage.add("lies: forged", sum.forged);
    coverage.add("lies: replayed", sum.replayed);
    coverage.add("lies: delayed", sum.delayed);
    coverage.add("lies: heights invented", sum.heights_invented);
    coverage.add("lies: votes for every value", sum.votes_for_all);
    coverage.add("lies: times invented", sum.times_invented);
    coverage.add("lies: votes for one node alone", sum.favoured);
    coverage.add("evidence of equivocation", evidence);
    coverage.add("forgeries seen through", forged);
    coverage.add("invalid proposals", invalid);
    coverage.add("times too far ahead", untimely);
    coverage.add("changes of validators", sim.invariants().changes());
}

}  // namespace fastmas::consensus::bft
