#include "consensus/simulation/raft/protocol.hpp"

#include <algorithm>

namespace fastmas::consensus::raft {

std::unique_ptr<RaftNode> RaftProtocol::boot(const SimOptions& options, NodeId id, const std::vector<NodeId>& voters,
                                             std::uint64_t seed, const Disk& disk) {
    RaftConfig config;
    config.id = id;
    config.voters = voters;
    const std::size_t full = voters.size() - std::min(options.witnesses, voters.size() - 1);
    config.witnesses.assign(voters.begin() + static_cast<std::ptrdiff_t>(full), voters.end());
    config.joining = id > voters.size();
    config.seed = seed;
    config.election_ticks = options.election_ticks;
    config.heartbeat_ticks = options.heartbeat_ticks;
    config.pre_vote = options.pre_vote;
    config.check_quorum = options.check_quorum;
    config.max_append_entries = options.max_append_entries;
    config.max_snapshot_part_bytes = options.max_snapshot_part_bytes;
    config.lease_ns = options.lease_ns;
    config.priority = (id - 1) % (options.priorities + 1);
    config.async_storage = options.disk_delay_ns != 0;
    return std::make_unique<RaftNode>(std::move(config), disk.load());
}

bool RaftProtocol::in_step(const Node& leads, const Node& other) noexcept {
    if (!leads.membership().contains(other.id())) return true;  // it hears of nothing
    const Index last = leads.log().last_index();
    return other.leader() == leads.id() && other.term() == leads.term() && other.log().last_index() == last &&
           other.commit_index() == last && other.applied_index() == last;
}

Snapshot RaftProtocol::snapshot(const Node& node, Payload state) {
    const Entry& last = node.log().at(node.applied_index());
    const Membership* membership = &node.memberships().front();
    for (const Membership& each : node.memberships())
        if (each.id <= last.index) membership = &each;
    return {last.index, last.term, last.time_ns, *membership, std::move(state)};
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
    if (options.nodes >= 3 && random.chance_ppm(500'000)) options.spare = random.below(options.nodes - 1);
    if (options.nodes - options.spare >= 3 && random.chance_ppm(200'000)) options.witnesses = 1;
    if (random.chance_ppm(700'000)) options.max_snapshot_part_bytes = std::size_t{64} << random.below(6);
    if (random.chance_ppm(300'000)) options.priorities = 1 + static_cast<std::uint32_t>(random.below(2));
    // What a follower promises lasts at least one tick less than an election time-out by its own clock; both clocks may
    // be off by the share that draw_plan() keeps to.
    if (options.check_quorum && random.chance_ppm(500'000)) {
        options.lease_ns = (options.election_ticks - 1) * options.tick_ns * 900 / 1'100 - 1'000;
        // where messages are quick, another leader may have answered soon after the lease
        if (random.chance_ppm(600'000)) options.network.delay_high_ns = random.between(1, 5) * 1'000'000;
    }
    options.disk_delay_ns = random.chance_ppm(400'000) ? random.between(1, 60) * 500'000 : 0;
}

void RaftProtocol::disturb(SimCluster<RaftProtocol>& sim, base::Prng& random) {
    const NodeId leader = sim.leader();
    if (leader == kNoNode) return;
    const Node& leads = *sim.node(leader);
    if (random.chance_ppm(300'000)) {
        const auto& peers = leads.progress();
        if (!peers.empty()) transfer(sim, leader, peers[random.below(peers.size())].id);
        return;
    }
    if (!random.chance_ppm(200'000)) return;
    // any set of voters, now and then none of the old ones; the others listen or are out. A witness stays one.
    Membership target;
    for (NodeId id = 1; id <= sim.size(); ++id) {
        const bool is_witness = leads.config().witnesses == std::vector<NodeId>{id};
        const std::uint64_t part = random.below(5);
        if (part < 3) target.voters.push_back(id);
        if (part < 3 && is_witness) target.witnesses.push_back(id);
        if (part == 3 && !is_witness) target.learners.push_back(id);
    }
    if (target.voters.size() <= target.witnesses.size() || !lives(sim, target, kNoNode)) return;
    sim.act(leader, [&](Node& node) { (void)node.change_membership(target, sim.now_ns()); });
}

void RaftProtocol::transfer(SimCluster<RaftProtocol>& sim, NodeId from, NodeId to) {
    const Node& node = *sim.node(from);
    if (!leads(node)) return;
    for (const Progress& peer : node.progress())
        if (peer.id == to && peer.incoming && !peer.witness) {
            sim.act(from, [to](Node& at) { (void)at.transfer_leadership(to); });
            return;
        }
}

void RaftProtocol::stop_outsiders(SimCluster<RaftProtocol>& sim) {
    // out is who is in no membership that is in force or may come to be
    Index in_force = 0;
    std::vector<Membership> known;
    for (NodeId id = 1; id <= sim.size(); ++id) {
        if (!sim.is_up(id)) continue;
        for (const Membership& each : sim.node(id)->memberships()) {
            known.push_back(each);
            if (each.id <= sim.node(id)->commit_index()) in_force = std::max(in_force, each.id);
        }
    }
    std::erase_if(known, [in_force](const Membership& each) { return each.id < in_force; });
    for (NodeId id = 1; id <= sim.size(); ++id)
        if (sim.is_up(id) &&
            std::none_of(known.begin(), known.end(), [id](const Membership& each) { return each.contains(id); }))
            sim.crash(id);
}

void RaftProtocol::mended(SimCluster<RaftProtocol>& sim, std::int64_t limit_ns) {
    Membership target;
    for (NodeId id = 1; id <= sim.size(); ++id) {
        target.voters.push_back(id);
        if (!has_machine(*sim.node(id))) target.witnesses.push_back(id);
    }
    for (const std::int64_t end_ns = sim.now_ns() + limit_ns; sim.now_ns() < end_ns;) {
        const NodeId leader = sim.leader();
        if (leader != kNoNode) {
            const Membership& now = sim.node(leader)->membership();
            if (!now.is_joint() && now.voters == target.voters && sim.node(leader)->commit_index() >= now.id) return;
            if (!now.is_joint() && now.voters != target.voters)
                sim.act(leader, [&](Node& node) { (void)node.change_membership(target, sim.now_ns()); });
        }
        sim.run_for(200'000'000);
    }
    throw ScenarioFailure("a healthy cluster takes all its nodes in");
}

std::string RaftProtocol::describe(const Node& node) {
    return std::string(to_string(node.role())) + " of term " + std::to_string(node.term()) + ", leader " +
           std::to_string(node.leader()) + ", last " + std::to_string(node.log().last_index()) + " (term " +
           std::to_string(node.log().last_term()) + "), commit " + std::to_string(node.commit_index()) + ", applied " +
           std::to_string(node.applied_index()) +
           (node.lost().index == 0 ? "" : ", lost its log up to " + std::to_string(node.lost().index));
}

void RaftProtocol::look(const SimCluster<RaftProtocol>& sim, Coverage& moments) {
    std::uint64_t learner = 0, witness = 0, priority = 0;
    if (const NodeId leader = sim.leader(); leader != kNoNode) {
        const Node& node = *sim.node(leader);
        const Membership& now = node.membership();
        std::size_t full = 0;
        for (const NodeId id : now.voters) full += sim.is_up(id) && has_machine(*sim.node(id));
        witness = !now.is_joint() && !now.witnesses.empty() && full < quorum_size(now.voters.size());
        for (const Progress& peer : node.progress())
            learner |= !peer.incoming && !peer.outgoing && peer.match != 0 && peer.match == node.log().last_index();
        priority = node.config().priority != 0;
    }
    moments.add("moments with a learner in step", learner);
    moments.add("moments with a majority by a witness only", witness);
    moments.add("moments led by one that others go before", priority);
}

void RaftProtocol::cover(const SimCluster<RaftProtocol>& sim, Coverage& coverage) {
    std::uint64_t early = 0;  // by those that did not stop since
    for (NodeId id = 1; id <= sim.size(); ++id)
        if (sim.is_up(id)) early += sim.node(id)->counters().early_leaders;
    coverage.add("leaders refused for their clock", early);
    coverage.add("terms led", sim.invariants().terms_led());
    coverage.add("reads confirmed", sim.invariants().reads());
    coverage.add("leaderships handed over", sim.invariants().forced_votes());
    coverage.add("snapshot parts beyond the first", sim.invariants().parts());
    coverage.add("configurations in force", sim.invariants().memberships());
    coverage.add("joint configurations", sim.invariants().changes().joint);
    coverage.add("joint states left by a later leader", sim.invariants().changes().left_by_another);
    coverage.add("learners promoted", sim.invariants().changes().promoted);
    coverage.add("configurations rolled back", sim.invariants().changes().rolled_back);
    coverage.add("writes acknowledged later", sim.counters().late_writes);
    coverage.add("crashes that lost writes", sim.counters().lost_writes);
}

}  // namespace fastmas::consensus::raft
