#include "consensus/simulation/paxos/protocol.hpp"

namespace fastmas::consensus::paxos {

std::unique_ptr<PaxosNode> PaxosProtocol::boot(const SimOptions& options, NodeId id, const std::vector<NodeId>& nodes,
                                               std::uint64_t seed, const Disk& disk) {
    PaxosConfig config;
    config.id = id;
    config.nodes = nodes;
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
    return {last.index, last.time_ns, node.config().nodes, std::move(state), node.promised()};
}

TraceEvent PaxosProtocol::trace(const Message& message, std::int64_t now_ns) noexcept {
    return {now_ns,     to_string(message.type), message.flag,  message.from,
            message.to, epoch(message.ballot),   message.index, static_cast<std::uint32_t>(message.entries.size())};
}

void PaxosProtocol::draw_options(SimOptions& options, base::Prng& random) {
    options.pre_vote = !random.chance_ppm(300'000);
    options.check_quorum = !random.chance_ppm(200'000);
    options.max_append_entries = 1 + random.below(8);
    if (random.chance_ppm(300'000)) options.accept_quorum = 1 + random.below(options.nodes);
    options.disk_delay_ns = random.chance_ppm(400'000) ? random.between(1, 60) * 500'000 : 0;
}

void PaxosProtocol::disturb(SimCluster<PaxosProtocol>& sim, base::Prng&) {
    // reads, at every node that thinks it leads; the context says what each must cover
    for (NodeId id = 1; id <= sim.size(); ++id)
        if (sim.is_up(id) && leads(*sim.node(id)))
            sim.act(id, [&](Node& node) { (void)node.read(sim.invariants().committed()); });
}

std::string PaxosProtocol::describe(const Node& node) {
    return std::string(to_string(node.role())) + " with promise " + to_string(node.promised()) + ", ballot " +
           to_string(node.ballot()) + ", leader " + std::to_string(node.leader()) + ", last " +
           std::to_string(node.log().last_index()) + ", commit " + std::to_string(node.commit_index()) + ", applied " +
           std::to_string(node.applied_index());
}

void PaxosProtocol::cover(const SimCluster<PaxosProtocol>& sim, Coverage& coverage) {
    std::uint64_t adopted = 0, gaps = 0, rewinds = 0;
    for (NodeId id = 1; id <= sim.size(); ++id)
        if (const Node* node = sim.node(id)) {
            adopted += node->counters().adopted;
            gaps += node->counters().gaps;
            rewinds += node->counters().rewinds;
        }
    coverage.add("ballots led", sim.invariants().ballots_led());
    coverage.add("open slots adopted", adopted);
    coverage.add("chosen slots proposed again in higher ballots", sim.invariants().kept());
    coverage.add("gaps filled with no-ops", gaps);
    coverage.add("lost slots sent again", rewinds);
    coverage.add("reads confirmed", sim.invariants().reads());
    coverage.add("writes acknowledged later", sim.counters().late_writes);
    coverage.add("crashes that lost writes", sim.counters().lost_writes);
}

}  // namespace fastmas::consensus::paxos
