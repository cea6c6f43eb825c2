// What a Raft cluster promises to live without: entries that some disks have damaged (consensus/raft/repair.cpp).
//
// Nothing committed is lost whatever the disks do. That a leader is elected again is promised as long as a majority of
// the voters is undamaged, of both halves while the membership is joint, and that without the witnesses; or with them,
// as long as one that is none has all that they and the damaged ones had: a witness refuses whoever lacks an entry that
// it saw, and nobody may be left to have its command. It holds from the damage to its repair: so whom a change of
// members makes voters meanwhile is part of it.
#include <algorithm>
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

}  // namespace

bool RaftProtocol::lives(const SimCluster<RaftProtocol>& sim, const Membership& membership, NodeId damaged) {
    // (a node that cannot tell where its log ended takes itself for damaged for longer)
    const auto is_well = [&](NodeId id) {
        return id != damaged && sim.disk(id).lost().index == 0 && sim.disk(id).hard_state().lost.index == 0;
    };
    if (membership.is_quorum([&](NodeId id) { return is_well(id) && !membership.is_witness(id); })) return true;
    if (!membership.is_quorum(is_well)) return false;
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

bool RaftProtocol::may_damage(const SimCluster<RaftProtocol>& sim, NodeId node) {
    const std::vector<Membership> known = memberships_known(sim);
    if (known.empty()) return false;
    return std::all_of(known.begin(), known.end(), [&](const Membership& each) { return lives(sim, each, node); });
}

}  // namespace fastmas::consensus::raft
