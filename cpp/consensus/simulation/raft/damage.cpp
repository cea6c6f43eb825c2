// What a Raft cluster promises to live without: entries that some disks have damaged (consensus/raft/repair.cpp), and
// nodes with wild clocks.
//
// Nothing committed is lost whatever the disks do. That a leader is elected again is promised as long as a majority of
// the voters is undamaged, of both halves while the membership is joint, and that without the witnesses; or with them,
// as long as one that is none has all that they and the damaged ones had: a witness refuses whoever lacks an entry that
// it saw, and nobody may be left to have its command. It holds from the damage to its repair: so whom a change of
// members makes voters meanwhile is part of it.
//
// A node whose clock is far off is one to live without in the same way: a leader's entries from the future are refused
// (consensus/raft/clock.cpp), and a node that lags behind refuses everybody's. One at a time: of two that are ahead,
// each may follow the other in office as long as their clocks are, where the rest have to wait longer before they
// stand. And without the witnesses: they take what such a leader appends at its clock's right time, and then refuse
// whoever lacks it (seed 400303).
#include <algorithm>
#include <cstdlib>
#include <vector>

#include "consensus/simulation/raft/protocol.hpp"

namespace fastmas::consensus::raft {
namespace {

// What may be in force now or come to be, as any disk or any node that runs knows it, and all nodes: so it is to be in
// the end.
std::vector<Membership> memberships_known(const SimCluster<RaftProtocol>& sim) {
    std::vector<Membership> known;
    std::vector<NodeId> witnesses;  // whoever is built as one stays one
    Index committed = 0;
    bool is_one_up = false;
    for (NodeId id = 1; id <= sim.size(); ++id) {
        const SimDisk& disk = sim.disk(id);
        const Log& log = disk.log();
        known.push_back(disk.snapshot().membership);
        committed = std::max(committed, disk.snapshot().index);
        for (const Entry& entry : log.slice(log.first_index(), log.last_index())) {
            Membership each;
            if (entry.kind != EntryKind::membership || !decode(entry.command.bytes(), each)) continue;
            each.id = entry.index;
            known.push_back(std::move(each));
        }
        if (!sim.is_up(id)) continue;
        is_one_up = true;
        committed = std::max(committed, sim.node(id)->commit_index());
        known.insert(known.end(), sim.node(id)->memberships().begin(), sim.node(id)->memberships().end());
        witnesses = sim.node(id)->config().witnesses;
    }
    if (!is_one_up) return {};  // who is a witness is not known
    Index in_force = 0;
    for (const Membership& each : known)
        if (each.id <= committed) in_force = std::max(in_force, each.id);
    std::erase_if(known, [in_force](const Membership& each) { return each.id < in_force; });
    Membership all;
    for (NodeId id = 1; id <= sim.size(); ++id) all.voters.push_back(id);
    known.push_back(std::move(all));
    for (Membership& each : known) {
        each.witnesses = witnesses;
        std::erase_if(each.witnesses, [&](NodeId id) { return !each.is_voter(id); });
    }
    return known;
}

// (A node that cannot tell where its log ended takes itself for damaged for longer.)
bool is_undamaged(const SimCluster<RaftProtocol>& sim, NodeId id) {
    return sim.disk(id).lost().index == 0 && sim.disk(id).hard_state().lost.index == 0;
}

// Its clock is right, within what nodes accept, and so is the end of its log: others refuse what has it in front, and
// who has it refuses them.
bool is_timely(const SimCluster<RaftProtocol>& sim, NodeId id) {
    const std::int64_t bound_ns = RaftConfig().max_clock_ahead_ns;
    std::int64_t last_ns = sim.disk(id).log().last_time_ns();
    if (sim.is_up(id)) last_ns = std::max(last_ns, sim.node(id)->log().last_time_ns());
    return std::abs(sim.clock_offset_ns(id)) <= bound_ns && last_ns <= sim.now_ns() + bound_ns;
}

bool are_timely(const SimCluster<RaftProtocol>& sim, NodeId without) {
    for (NodeId id = 1; id <= sim.size(); ++id)
        if (id != without && !is_timely(sim, id)) return false;
    return true;
}

}  // namespace

bool RaftProtocol::lives(const SimCluster<RaftProtocol>& sim, const Membership& membership, NodeId without) {
    const auto is_well = [&](NodeId id) { return id != without && is_undamaged(sim, id) && is_timely(sim, id); };
    if (membership.is_quorum([&](NodeId id) { return is_well(id) && !membership.is_witness(id); })) return true;
    if (!membership.is_quorum(is_well) || !are_timely(sim, without)) return false;
    const auto end = [&](NodeId id) {
        const Log& log = sim.disk(id).log();
        return std::max(LogEnd{log.last_term(), log.last_index()}, sim.disk(id).lost());
    };
    LogEnd needed, best;
    for (const NodeId id : membership.all()) {
        if (!membership.is_voter(id)) continue;
        LogEnd& which = is_well(id) && !membership.is_witness(id) ? best : needed;
        which = std::max(which, end(id));
    }
    return best >= needed;
}

bool RaftProtocol::may_go_wild(const SimCluster<RaftProtocol>& sim, NodeId node) {
    const std::vector<Membership> known = memberships_known(sim);
    return !known.empty() && are_timely(sim, node) &&
           std::all_of(known.begin(), known.end(), [&](const Membership& each) {
               return each.is_quorum(
                   [&](NodeId id) { return id != node && is_undamaged(sim, id) && !each.is_witness(id); });
           });
}

bool RaftProtocol::goes_on_without(const SimCluster<RaftProtocol>& sim, NodeId node) {
    const std::vector<Membership> known = memberships_known(sim);
    if (known.empty()) return false;
    return std::all_of(known.begin(), known.end(), [&](const Membership& each) { return lives(sim, each, node); });
}

}  // namespace fastmas::consensus::raft
