#include "consensus/simulation/paxos/protocol.hpp"

#include <algorithm>

namespace fastmas::consensus::paxos {

std::unique_ptr<PaxosNode> PaxosProtocol::boot(const SimOptions& options, NodeId id, const std::vector<NodeId>& nodes,
                                               std::uint64_t seed, const Disk& disk) {
    PaxosConfig config;
    config.id = id;
    config.nodes = nodes;
    config.joining = id > nodes.size();
    if (options.window != 0) config.window = options.window;
    config.seed = seed;
    config.quorums.accept = options.accept_quorum;
    if (options.accept_quorum != 0) config.quorums.prepare = nodes.size() + 1 - options.accept_quorum;
    config.election_ticks = options.election_ticks;
    config.heartbeat_ticks = options.heartbeat_ticks;
    config.ask_first = options.pre_vote;
    config.check_quorum = options.check_quorum;
    config.max_message_entries = options.max_append_entries;
    config.async_storage = options.disk_delay_ns != 0;
    return std::make_unique<PaxosNode>(std::move(config), disk.load());
}

bool PaxosProtocol::in_step(const Node& leads, const Node& other) noexcept {
    const auto& known = leads.memberships();
    if (std::none_of(known.begin(), known.end(), [&](const Membership& each) {
            return each.id >= leads.membership().id && each.contains(other.id());
        }))
        return true;  // it hears of nothing
    const Index last = leads.log().last_index();
    return other.leader() == leads.id() && other.promised() == leads.ballot() && other.commit_index() == last &&
           other.applied_index() == last;
}

bool PaxosProtocol::replaces(const Disk& disk, const Ready& ready) noexcept {
    for (const Entry& entry : ready.entries)
        if (entry.ballot && disk.log().holds(entry.index) && !same_value(disk.log().at(entry.index), entry))
            return true;
    return false;
}

Snapshot PaxosProtocol::snapshot(const Node& node, Payload state) {
    const Entry& last = node.log().at(node.applied_index());
    return {last.index, last.time_ns, node.memberships_at(last.index), std::move(state), node.promised()};
}

TraceEvent PaxosProtocol::trace(const Message& message, std::int64_t now_ns) noexcept {
    return {now_ns,     to_string(message.type), message.flag,  message.from,
            message.to, epoch(message.ballot),   message.index, static_cast<std::uint32_t>(message.entries.size())};
}

void PaxosProtocol::draw_options(SimOptions& options, base::Prng& random) {
    options.pre_vote = !random.chance_ppm(300'000);
    options.check_quorum = !random.chance_ppm(200'000);
    options.max_append_entries = 1 + random.below(8);
    if (options.nodes >= 3 && random.chance_ppm(350'000)) options.spare = random.below(options.nodes - 1);
    options.window = random.chance_ppm(300'000) ? 2 + random.below(6) : 8 + random.below(250);
    // a change of members fills its window: with links that take a message a round trip, in seconds rather than minutes
    options.window = std::min(options.window, 32 * options.max_append_entries);
    if (random.chance_ppm(300'000)) options.accept_quorum = 1 + random.below(options.nodes - options.spare);
    options.disk_delay_ns = random.chance_ppm(400'000) ? random.between(1, 60) * 500'000 : 0;
    // A window is chosen in a round trip, of delay_high on average, and a write. Plans ask for some 60 requests a
    // second; where fewer fit in, half a minute of storms leaves less than a seed must answer, whatever the nodes do.
    const auto takes_ns = static_cast<std::size_t>(options.network.delay_high_ns + options.disk_delay_ns);
    options.window = std::max(options.window, 2 + 60 * takes_ns / 1'000'000'000);
}

void PaxosProtocol::disturb(SimCluster<PaxosProtocol>& sim, base::Prng& random) {
    // reads, at every node that thinks it leads; the context says what each must cover
    for (NodeId id = 1; id <= sim.size(); ++id)
        if (sim.is_up(id) && leads(*sim.node(id)))
            sim.act(id, [&](Node& node) { (void)node.read(sim.invariants().committed()); });
    // every node that thinks it leads may be asked: two of them may change the same configuration
    for (NodeId id = 1; id <= sim.size(); ++id)
        if (sim.is_up(id) && leads(*sim.node(id)) && random.chance_ppm(400'000)) change(sim, id, random);
}

void PaxosProtocol::change(SimCluster<PaxosProtocol>& sim, NodeId leader, base::Prng& random) {
    const Membership& now = sim.node(leader)->membership();
    Membership target;
    // now and then all that can change places do
    const bool turns_over = random.chance_ppm(200'000);
    for (NodeId id = 1; id <= sim.size(); ++id) {
        const bool votes = now.is_voter(id), listens = now.contains(id) && !votes;
        if (votes && (turns_over || random.chance_ppm(150'000))) {
            if (random.chance_ppm(500'000)) target.learners.push_back(id);
        } else if (votes || (listens && (turns_over || random.chance_ppm(750'000)))) {
            target.voters.push_back(id);
        } else if (listens || random.chance_ppm(700'000)) {
            target.learners.push_back(id);
        }
    }
    if (target.voters.empty()) return;
    if (random.chance_ppm(300'000)) {
        target.quorums.accept = 1 + random.below(target.voters.size());
        target.quorums.prepare = target.voters.size() + 1 - target.quorums.accept;
    }
    sim.act(leader, [&](Node& node) { (void)node.change_membership(target, sim.now_ns()); });
}

// Whether a node accepted a change of members that this leader did not hear of: the next one would bring it about.
static bool holds_a_change(const SimCluster<PaxosProtocol>& sim, const PaxosNode& leader) {
    for (NodeId id = 1; id <= sim.size(); ++id) {
        const Log& log = sim.node(id)->log();
        for (const Entry& entry : log.slice(std::max(leader.commit_index() + 1, log.first_index()), log.last_index()))
            if (entry.ballot && entry.kind == EntryKind::membership) return true;
    }
    return false;
}

void PaxosProtocol::mended(SimCluster<PaxosProtocol>& sim, std::int64_t limit_ns) {
    Membership all;
    for (NodeId id = 1; id <= sim.size(); ++id) all.voters.push_back(id);
    all.quorums = with_majorities({}, sim.size());
    for (const std::int64_t end_ns = sim.now_ns() + limit_ns; sim.now_ns() < end_ns;) {
        const NodeId leader = sim.leader();
        if (leader != kNoNode && !sim.node(leader)->change_is_open()) {
            const Membership& now = sim.node(leader)->membership();
            if (now.decides_like(all) && !holds_a_change(sim, *sim.node(leader))) return;
            Membership target = all;
            // (that `all` again fills a window with no-ops, and what nobody heard of was accepted within one)
            if (now.all() != all.voters) {
                // who is new listens first
                target = now;
                for (const NodeId id : all.voters)
                    if (!now.contains(id)) target.learners.push_back(id);
            }
            sim.act(leader, [&](Node& node) { (void)node.change_membership(target, sim.now_ns()); });
        }
        sim.run_for(200'000'000);
    }
    throw ScenarioFailure("a healthy cluster takes all its nodes in");
}

std::string PaxosProtocol::describe(const Node& node) {
    return std::string(to_string(node.role())) + " with promise " + to_string(node.promised()) + ", ballot " +
           to_string(node.ballot()) + ", leader " + std::to_string(node.leader()) + ", last " +
           std::to_string(node.log().last_index()) + ", commit " + std::to_string(node.commit_index()) + ", applied " +
           std::to_string(node.applied_index()) + ", members as of slot " + std::to_string(node.membership().id);
}

void PaxosProtocol::cover(const SimCluster<PaxosProtocol>& sim, Coverage& coverage) {
    std::uint64_t adopted = 0, rewinds = 0, fillers = 0;
    for (NodeId id = 1; id <= sim.size(); ++id)
        if (const Node* node = sim.node(id)) {
            adopted += node->counters().adopted;
            rewinds += node->counters().rewinds;
            fillers += node->counters().fillers;
        }
    coverage.add("ballots led", sim.invariants().ballots_led());
    coverage.add("open slots adopted", adopted);
    coverage.add("chosen slots proposed again in higher ballots", sim.invariants().kept());
    coverage.add("gaps filled with no-ops", sim.invariants().gaps());
    coverage.add("lost slots sent again", rewinds);
    const InvariantChecker::Changes& changes = sim.invariants().changes();
    coverage.add("changes of members", changes.in_force);
    coverage.add("learners made voters", changes.promoted);
    coverage.add("changes that left no voter a voter", changes.disjoint);
    coverage.add("no-ops that brought a change into force", fillers);
    coverage.add("snapshots sent with a change to come", changes.pending_in_snapshot);
    coverage.add("reads confirmed", sim.invariants().reads());
    coverage.add("writes acknowledged later", sim.counters().late_writes);
    coverage.add("crashes that lost writes", sim.counters().lost_writes);
}

}  // namespace fastmas::consensus::paxos
