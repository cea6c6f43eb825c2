// SimCluster: what a node asks of its caller (the duties of ready.hpp), and what may happen between any two of them.
#include <algorithm>

#include "base/errors.hpp"
#include "consensus/simulation/bft/protocol.hpp"
#include "consensus/simulation/cluster.hpp"
#include "consensus/simulation/paxos/protocol.hpp"
#include "consensus/simulation/raft/protocol.hpp"

namespace fastmas::consensus {

template <class P>
bool SimCluster<P>::crash_here(NodeId node) {
    if (options_.crash_point_ppm == 0 || !random_.chance_ppm(options_.crash_point_ppm)) return false;
    crash(node);
    return true;
}

template <class P>
void SimCluster<P>::process(NodeId node) {
    Member& at = members_[node - 1];
    if (at.node) tell(Moment::changed, *at.node);
    while (at.node && at.node->has_ready())
        if (!process_ready(at, node)) return;
    if (!at.node) return;
    if (options_.check_invariants) checker_.after_step(*at.node, disks_);
    if (pending_ != nullptr) note_commit();
    if (options_.snapshot_every != 0) maybe_compact(at, node);
}

template <class P>
bool SimCluster<P>::process_ready(Member& at, NodeId node) {
    // the duties of ready.hpp, in their order; a crash may come between any two
    const Ready& ready = at.node->ready();
    if constexpr (requires { checker_.on_ready(*at.node, ready, clock_of(at)); }) {
        if (options_.check_invariants) checker_.on_ready(*at.node, ready, clock_of(at));
    } else if constexpr (requires { checker_.on_ready(*at.node, ready); }) {
        if (options_.check_invariants) checker_.on_ready(*at.node, ready);
    }
    if (crash_here(node)) return false;
    if (ready.must_sync) {
        if (P::replaces(at.disk, ready)) ++counters_.truncations;
        if (!store(at, node, ready)) return false;
        tell(Moment::stored, *at.node);
        if (options_.check_invariants) checker_.on_persist(*at.node, ready);
        if (crash_here(node)) return false;
    }
    for (const Message& message : ready.messages) {
        if (options_.check_invariants) checker_.on_send(*at.node, message, at.disk);
        if (options_.trace) trace_.push_back(P::trace(message, now_ns_));
        tell(Moment::sends, *at.node, &message);
        network_.send(message, now_ns_);
        if (crash_here(node)) return false;
    }
    apply(at, node, ready);
    if (!at.node) return false;
    at.node->advance();
    tell(Moment::changed, *at.node);
    return true;
}

// Whether the node lives to go on.
template <class P>
bool SimCluster<P>::store(Member& at, NodeId node, const Ready& ready) {
    if constexpr (kStoresLater<Disk>) {
        if (options_.disk_delay_ns != 0) {
            if (at.disk.idle()) at.disk_done_ns = draw_disk_done_ns(at);
            at.disk.stage(ready);
            return true;
        }
    }
    const bool is_torn = options_.crash_point_ppm != 0 && random_.chance_ppm(options_.crash_point_ppm);
    if (is_torn || at.sync_fails) {
        counters_.failed_syncs += at.sync_fails;
        if constexpr (kTears<Disk, Ready>) {
            ++counters_.torn_writes;
            const Tear tear = draw_tear(records_of(ready), random_);
            at.disk.tear(ready, tear);
            if (options_.check_invariants) checker_.on_persist(*at.node, first_records(ready, tear.records));
        }
        crash(node);
        return false;
    }
    at.disk.persist(ready);
    return true;
}

template <class P>
void SimCluster<P>::apply(Member& at, NodeId node, const Ready& ready) {
    if (ready.snapshot != nullptr) {
        ++counters_.snapshots_installed;
        at.snapshot_at = ready.snapshot->index;
        if (!has_machine(*at.node)) return;
        at.applier = std::make_unique<Applier>(factory_(node));
        at.applier->restore(ready.snapshot->index, ready.snapshot->state);
        at.snapshot_at = ready.snapshot->index;
        if (options_.check_invariants) checker_.on_restore(*at.node, *ready.snapshot, at.applier->commands());
        if (observer_ != nullptr) observer_->restored(server(at, node));
        on_copy(node);
    }
    for (const Entry& entry : ready.committed) {
        const Applied applied = at.applier->apply(entry);
        if (options_.check_invariants) checker_.on_apply(*at.node, entry, applied);
        if (applied.kind == Applied::Kind::duplicate && entry.index > highest_seen_) ++counters_.duplicates;
        if (applied.kind == Applied::Kind::expired && entry.index > highest_seen_) ++counters_.expired;
        highest_seen_ = std::max(highest_seen_, entry.index);
        if (applied.kind == Applied::Kind::duplicate && observer_ != nullptr)
            observer_->applied(server(at, node), entry.session, at.applier->sessions().reply(entry.session));
        if (applied.kind != Applied::Kind::effect) continue;
        if (applied.result.status == ResultStatus::broken)
            on_broken(node, applied.index, applied.result.reply);
        else
            on_effect(node, entry, applied);
        if (!at.node) return;  // poisoned: it stops here
        if (observer_ != nullptr) observer_->applied(server(at, node), entry.session, &applied.result);
    }
    if (observer_ == nullptr) return;
    if (ready.snapshot != nullptr || !ready.committed.empty()) observer_->advanced(server(at, node));
    if constexpr (requires { ready.reads; })
        for (const auto& read : ready.reads) {
            std::int64_t valid_until_ns = INT64_MAX;
            if constexpr (requires { read.valid_until_ns; }) valid_until_ns = read.valid_until_ns;
            observer_->read(server(at, node), read.context, read.index, read.is_confirmed, valid_until_ns);
        }
}

template <class P>
void SimCluster<P>::maybe_compact(Member& at, NodeId node) {
    const Index applied = at.node->applied_index();
    if (applied < at.snapshot_at + options_.snapshot_every || !at.applier->machine().can_snapshot()) return;
    // a snapshot from another node is in the node's log and not yet handed out, while the disk is slow
    if (at.applier->log_index() != applied) return;
    const auto snapshot = P::snapshot(*at.node, at.applier->snapshot());
    at.disk.compact(snapshot);
    // there are few of them: ten times the chance
    if (options_.crash_point_ppm != 0 && random_.chance_ppm(10 * options_.crash_point_ppm)) {
        ++counters_.crashes_in_compaction;
        crash(node);
        return;
    }
    at.node->compact(applied, snapshot.state);
    if constexpr (requires { P::forget(at.disk, *at.node); }) P::forget(at.disk, *at.node);
    at.snapshot_at = applied;
    ++counters_.snapshots_taken;
}

template class SimCluster<bft::BftProtocol>;
template class SimCluster<bft::LyingBftProtocol>;
template class SimCluster<raft::RaftProtocol>;
template class SimCluster<paxos::PaxosProtocol>;

}  // namespace fastmas::consensus
