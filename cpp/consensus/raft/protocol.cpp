#include "consensus/raft/protocol.hpp"

namespace fastmas::consensus::raft {

std::unique_ptr<RaftNode> RaftProtocol::boot(const SimOptions& options, NodeId id, const std::vector<NodeId>& voters,
                                             std::uint64_t seed, const Disk& disk) {
    RaftConfig config;
    config.id = id;
    config.voters = voters;
    config.seed = seed;
    config.election_ticks = options.election_ticks;
    config.heartbeat_ticks = options.heartbeat_ticks;
    config.pre_vote = options.pre_vote;
    config.check_quorum = options.check_quorum;
    config.max_append_entries = options.max_append_entries;
    config.async_storage = options.disk_delay_ns != 0;
    return std::make_unique<RaftNode>(std::move(config), disk.load());
}

bool RaftProtocol::in_step(const Node& leads, const Node& other) noexcept {
    const Index last = leads.log().last_index();
    return other.leader() == leads.id() && other.term() == leads.term() && other.log().last_index() == last &&
           other.commit_index() == last && other.applied_index() == last;
}

Snapshot RaftProtocol::snapshot(const Node& node, Payload state) {
    const Entry& last = node.log().at(node.applied_index());
    return {last.index, last.term, last.time_ns, node.config().voters, std::move(state)};
}

TraceEvent RaftProtocol::trace(const Message& message, std::int64_t now_ns) noexcept {
    return {now_ns,         to_string(message.type),
            message.reject, message.from,
            message.to,     message.term,
            message.index,  static_cast<std::uint32_t>(message.entries.size())};
}

void RaftProtocol::draw_options(SimOptions& options, base::Prng& random) {
    options.pre_vote = !random.chance_ppm(300'000);
    options.check_quorum = !random.chance_ppm(200'000);
    options.max_append_entries = 1 + random.below(8);
    options.disk_delay_ns = random.chance_ppm(400'000) ? random.between(1, 60) * 500'000 : 0;
}

std::string RaftProtocol::describe(const Node& node) {
    return std::string(to_string(node.role())) + " of term " + std::to_string(node.term()) + ", leader " +
           std::to_string(node.leader()) + ", last " + std::to_string(node.log().last_index()) + " (term " +
           std::to_string(node.log().last_term()) + "), commit " + std::to_string(node.commit_index()) + ", applied " +
           std::to_string(node.applied_index());
}

void RaftProtocol::cover(const SimCluster<RaftProtocol>& sim, Coverage& coverage) {
    coverage.add("terms led", sim.invariants().terms_led());
    coverage.add("writes acknowledged later", sim.counters().late_writes);
    coverage.add("crashes that lost writes", sim.counters().lost_writes);
}

}  // namespace fastmas::consensus::raft
