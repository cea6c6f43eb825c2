// SimCluster: nodes, time, delivery, the caller's duties, crashes. Proposals are in simulator_propose.cpp.
#include "consensus/simulator.hpp"

#include <algorithm>
#include <numeric>

#include "base/errors.hpp"
#include "consensus/quorum.hpp"

namespace fastmas::consensus {

SimCluster::SimCluster(SimOptions options, MachineFactory factory)
    : options_(options),
      factory_(std::move(factory)),
      voters_(options.nodes),
      network_(options.nodes, options.network, options.seed),
      divergence_(options.nodes),
      checker_(options.nodes),
      random_(base::derive_seed(options.seed, "faults")) {
    std::iota(voters_.begin(), voters_.end(), NodeId{1});
    // The first election happens before start_ns, so that it delays nothing that is measured from there.
    now_ns_ = options_.start_ns - options_.timeout_ns;
    members_.reserve(voters_.size());
    for (const NodeId node : voters_) {
        members_.emplace_back(voters_);
        boot(node, false);
    }
    for (const Member& at : members_) disks_.push_back(&at.disk);
    settle(options_.timeout_ns);
    if (now_ns_ < options_.start_ns) jump_to(options_.start_ns);
}

SimCluster::Member& SimCluster::member(NodeId node) {
    return const_cast<Member&>(std::as_const(*this).member(node));
}

const SimCluster::Member& SimCluster::member(NodeId node) const {
    if (node == kNoNode || node > members_.size())
        throw base::ConfigError("nodes are numbered 1 to " + std::to_string(members_.size()) + ", got " +
                                std::to_string(node) + "; see cluster.nodes");
    return members_[node - 1];
}

void SimCluster::boot(NodeId node, bool is_restart) {
    Member& at = member(node);
    RaftConfig config;
    config.id = node;
    config.voters = voters_;
    // a restarted node draws other time-outs than it did before, else two could collide for ever
    config.seed = options_.seed + counters_.restarts * 0x9e3779b97f4a7c15ULL;
    config.election_ticks = options_.election_ticks;
    config.heartbeat_ticks = options_.heartbeat_ticks;
    config.pre_vote = options_.pre_vote;
    config.check_quorum = options_.check_quorum;
    config.max_append_entries = options_.max_append_entries;
    at.raft = std::make_unique<RaftNode>(std::move(config), at.disk.load());
    at.applier = std::make_unique<Applier>(factory_(node));
    // nodes do not tick in step: their machines were not switched on together
    at.next_tick_ns = now_ns_ + random_.between(1, options_.tick_ns);
    if (is_restart && options_.check_invariants) checker_.on_restart(*at.raft);
    const Snapshot& snapshot = at.disk.snapshot();
    at.snapshot_at = snapshot.index;
    if (snapshot.index != 0) {
        at.applier->restore(snapshot);
        if (options_.check_invariants) checker_.on_restore(*at.raft, snapshot, at.applier->commands());
    }
}

void SimCluster::stop(NodeId node) {
    Member& at = member(node);
    if (at.raft) counters_.elections += at.raft->counters().elections;
    at.raft.reset();
}

void SimCluster::crash(NodeId node) {
    Member& at = member(node);
    if (!at.raft) throw base::ConfigError("node " + std::to_string(node) + " is down already; restart it first");
    ++counters_.crashes;
    stop(node);
    at.applier.reset();
}

void SimCluster::restart(NodeId node) {
    Member& at = member(node);
    if (!at.poisoned.empty()) throw base::InvariantError(at.poisoned);
    if (at.raft) throw base::ConfigError("node " + std::to_string(node) + " is running; crash it first");
    ++counters_.restarts;
    boot(node, true);
}

void SimCluster::poison(NodeId node, const std::string& reason) {
    Member& at = member(node);
    if (!at.poisoned.empty()) return;
    at.poisoned = "replica " + std::to_string(node) + " " + reason;
    stop(node);  // its state machine stays, to be looked at
}

void SimCluster::cut(NodeId from, NodeId to, bool is_cut) {
    (void)member(from), (void)member(to);
    network_.cut(from, to, is_cut);
}

void SimCluster::heal() {
    network_.heal();
}

std::uint64_t SimCluster::elections() const noexcept {
    std::uint64_t count = counters_.elections;
    for (const Member& at : members_)
        if (at.raft) count += at.raft->counters().elections;
    return count;
}

NodeId SimCluster::leader() const noexcept {
    NodeId best = kNoNode;
    Term term = 0;
    for (const Member& at : members_)
        if (at.raft && at.raft->role() == Role::leader && at.raft->term() > term) {
            best = at.raft->id();
            term = at.raft->term();
        }
    return best;
}

Term SimCluster::term() const noexcept {
    Term term = 0;
    for (const Member& at : members_) term = std::max(term, at.disk.hard_state().term);
    return term;
}

bool SimCluster::is_quiet() const noexcept {
    return network_.empty() && logs_are_equal();
}

bool SimCluster::logs_are_equal() const noexcept {
    const NodeId id = leader();
    if (id == kNoNode) return false;
    const RaftNode& leads = *members_[id - 1].raft;
    for (const Member& at : members_) {
        if (!at.raft) continue;
        const NodeId other = at.raft->id();
        if (network_.is_cut(id, other) || network_.is_cut(other, id)) continue;
        if (at.raft->leader() != id || at.raft->term() != leads.term() ||
            at.raft->log().last_index() != leads.log().last_index() ||
            at.raft->commit_index() != leads.log().last_index() || at.raft->applied_index() != leads.log().last_index())
            return false;
    }
    return true;
}

std::size_t SimCluster::reachable_quorum() const noexcept {
    std::size_t best = 0;
    for (const Member& at : members_) {
        if (!at.raft) continue;
        std::size_t count = 0;
        for (const Member& other : members_)
            if (other.raft && (&other == &at || (!network_.is_cut(at.raft->id(), other.raft->id()) &&
                                                 !network_.is_cut(other.raft->id(), at.raft->id()))))
                ++count;
        best = std::max(best, count);
    }
    return best;
}

StateMachine* SimCluster::machine(NodeId node) {
    Member& at = member(node);
    return at.applier ? &at.applier->machine() : nullptr;
}

std::uint64_t SimCluster::applied(NodeId node) const {
    const Member& at = member(node);
    return at.applier ? at.applier->commands() : 0;
}

std::int64_t SimCluster::next_tick_ns() const noexcept {
    std::int64_t next = INT64_MAX;
    for (const Member& at : members_)
        if (at.raft) next = std::min(next, at.next_tick_ns);
    return next;
}

void SimCluster::jump_to(std::int64_t at_ns) noexcept {
    // the consensus clock stands still over the jump: nothing happened in it that anybody waited for
    for (Member& at : members_) at.next_tick_ns += at_ns - now_ns_;
    now_ns_ = at_ns;
}

void SimCluster::run_one() {
    guarded([&] {
        const std::int64_t tick_ns = next_tick_ns();
        if (!network_.empty() && network_.next_ns() <= tick_ns)
            deliver();
        else if (tick_ns != INT64_MAX)
            tick_next();
        else
            now_ns_ += options_.tick_ns;  // every node is down: time passes all the same
    });
}

void SimCluster::run_for(std::int64_t duration_ns) {
    const std::int64_t end_ns = now_ns_ + duration_ns;
    while (std::min(next_tick_ns(), network_.empty() ? INT64_MAX : network_.next_ns()) <= end_ns) run_one();
    now_ns_ = std::max(now_ns_, end_ns);
}

bool SimCluster::settle(std::int64_t limit_ns) {
    const std::int64_t end_ns = now_ns_ + limit_ns;
    while (!is_quiet()) {
        if (now_ns_ > end_ns) return false;
        if (network_.empty() || !logs_are_equal()) {
            run_one();
            continue;
        }
        // Only heartbeats and their like are left. They are delivered with the consensus clock standing still already:
        // where delays are longer than the time between heartbeats, some would be in flight for ever.
        const std::int64_t before_ns = now_ns_;
        guarded([&] { deliver(); });
        for (Member& at : members_) at.next_tick_ns += now_ns_ - before_ns;
    }
    return true;
}

void SimCluster::deliver() {
    now_ns_ = std::max(now_ns_, network_.next_ns());
    const Message* message = network_.receive();
    if (message == nullptr) return;
    Member& at = members_[message->to - 1];
    if (!at.raft) return;
    const NodeId node = message->to;
    at.raft->step(*message);
    if (deliveries_to_crash_ > 0 && --deliveries_to_crash_ == 0 && leader() != kNoNode) {
        // between a step and the duties it asks for: nothing of what the leader just learnt gets out
        deliveries_to_crash_ = -1;
        crash(leader());
        if (!at.raft) return;
    }
    process(node);
}

void SimCluster::tick_next() {
    const std::int64_t tick_ns = next_tick_ns();
    now_ns_ = std::max(now_ns_, tick_ns);
    for (Member& at : members_) {
        if (!at.raft || at.next_tick_ns != tick_ns) continue;
        at.next_tick_ns += options_.tick_ns;
        ++counters_.ticks;
        at.raft->tick();
        process(at.raft->id());
        return;
    }
}

bool SimCluster::crash_here(NodeId node) {
    if (options_.crash_point_ppm == 0 || !random_.chance_ppm(options_.crash_point_ppm)) return false;
    crash(node);
    return true;
}

void SimCluster::process(NodeId node) {
    Member& at = members_[node - 1];
    while (at.raft && at.raft->has_ready())
        if (!process_ready(at, node)) return;
    if (!at.raft) return;
    if (options_.check_invariants) checker_.after_step(*at.raft, disks_);
    if (pending_ != nullptr) note_commit();
    if (options_.snapshot_every != 0) maybe_compact(at);
}

bool SimCluster::process_ready(Member& at, NodeId node) {
    // the duties of ready.hpp, in their order; a crash may come between any two
    const Ready& ready = at.raft->ready();
    if (crash_here(node)) return false;
    if (ready.must_sync) {
        if (!ready.entries.empty() && ready.entries.front().index <= at.disk.log().last_index())
            ++counters_.truncations;
        at.disk.persist(ready);
        if (options_.check_invariants) checker_.on_persist(*at.raft, ready);
        if (crash_here(node)) return false;
    }
    for (const Message& message : ready.messages) {
        if (options_.check_invariants) checker_.on_send(*at.raft, message, at.disk);
        if (options_.trace)
            trace_.push_back({now_ns_, message.type, message.reject, message.from, message.to, message.term,
                              message.index, static_cast<std::uint32_t>(message.entries.size())});
        network_.send(message, now_ns_);
        if (crash_here(node)) return false;
    }
    apply(at, node, ready);
    if (!at.raft) return false;
    at.raft->advance();
    return true;
}

void SimCluster::apply(Member& at, NodeId node, const Ready& ready) {
    if (ready.snapshot != nullptr) {
        ++counters_.snapshots_installed;
        at.applier = std::make_unique<Applier>(factory_(node));
        at.applier->restore(*ready.snapshot);
        at.snapshot_at = ready.snapshot->index;
        if (options_.check_invariants) checker_.on_restore(*at.raft, *ready.snapshot, at.applier->commands());
    }
    for (const Entry& entry : ready.committed) {
        const Applied applied = at.applier->apply(entry);
        if (options_.check_invariants) checker_.on_apply(*at.raft, entry, applied);
        if (applied.kind == Applied::Kind::duplicate && entry.index > highest_seen_) ++counters_.duplicates;
        highest_seen_ = std::max(highest_seen_, entry.index);
        if (applied.kind != Applied::Kind::effect) continue;
        if (applied.result.status == ResultStatus::broken)
            on_broken(node, applied.index, applied.result.reply);
        else
            on_effect(node, entry, applied);
        if (!at.raft) return;  // poisoned: it stops here
    }
}

void SimCluster::maybe_compact(Member& at) {
    const Index applied = at.raft->applied_index();
    if (applied < at.snapshot_at + options_.snapshot_every || !at.applier->machine().can_snapshot()) return;
    const Entry& last = at.raft->log().at(applied);
    const Snapshot snapshot{applied, last.term, last.time_ns, voters_, at.applier->snapshot()};
    at.disk.compact(snapshot);
    at.raft->compact(applied, snapshot.state);
    at.snapshot_at = applied;
    ++counters_.snapshots_taken;
}

void SimCluster::check_logs() const {
    for (const Member& at : members_)
        if (at.raft) checker_.check_log(*at.raft, at.disk);
}

}  // namespace fastmas::consensus
