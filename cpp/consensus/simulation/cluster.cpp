// SimCluster: nodes, time, delivery, crashes. What a node asks of its caller is in duties.cpp, proposals in
// propose.cpp.
#include "consensus/simulation/cluster.hpp"

#include <algorithm>
#include <numeric>

#include "base/errors.hpp"
#include "consensus/quorum.hpp"
#include "consensus/simulation/bft/protocol.hpp"
#include "consensus/simulation/paxos/protocol.hpp"
#include "consensus/simulation/raft/protocol.hpp"

namespace fastmas::consensus {

template <class P>
SimCluster<P>::SimCluster(SimOptions options, MachineFactory factory, Watcher watcher)
    : options_(options),
      factory_(std::move(factory)),
      voters_(options.nodes - options.spare),
      network_(options.nodes, options.network, options.seed),
      divergence_(options.nodes),
      checker_(options.nodes),
      random_(base::derive_seed(options.seed, "faults")),
      watcher_(std::move(watcher)) {
    std::iota(voters_.begin(), voters_.end(), NodeId{1});
    // The first election happens before start_ns, so that it delays nothing that is measured from there.
    now_ns_ = options_.start_ns - options_.timeout_ns;
    members_.reserve(options_.nodes);
    for (NodeId node = 1; node <= options_.nodes; ++node) {
        members_.emplace_back(voters_);
        members_.back().tick_ns = options_.tick_ns;
        boot(node, false);
    }
    for (const Member& at : members_) disks_.push_back(&at.disk);
    settle(options_.timeout_ns);
    if (now_ns_ < options_.start_ns) jump_to(options_.start_ns);
}

template <class P>
typename SimCluster<P>::Member& SimCluster<P>::member(NodeId node) {
    return const_cast<Member&>(std::as_const(*this).member(node));
}

template <class P>
const typename SimCluster<P>::Member& SimCluster<P>::member(NodeId node) const {
    if (node == kNoNode || node > members_.size())
        throw base::ConfigError("nodes are numbered 1 to " + std::to_string(members_.size()) + ", got " +
                                std::to_string(node) + "; see cluster.nodes");
    return members_[node - 1];
}

template <class P>
void SimCluster<P>::boot(NodeId node, bool is_restart) {
    Member& at = member(node);
    if constexpr (kTears<Disk, Ready>) counters_.torn_records += at.disk.mend();
    // a restarted node draws other time-outs than it did before, else two could collide for ever
    at.node = P::boot(options_, node, voters_, options_.seed + counters_.restarts * 0x9e3779b97f4a7c15ULL, at.disk);
    tell_time(at);
    at.applier = std::make_unique<Applier>(factory_(node));
    // nodes do not tick in step: their machines were not switched on together
    at.next_tick_ns = now_ns_ + random_.between(1, options_.tick_ns);
    at.paused_until_ns = INT64_MIN;
    if (is_restart && options_.check_invariants) checker_.on_restart(*at.node);
    const auto& snapshot = at.disk.snapshot();
    at.snapshot_at = snapshot.index;
    if (snapshot.index != 0 && has_machine(*at.node)) {
        at.applier->restore(snapshot.index, snapshot.state);
        if (options_.check_invariants) checker_.on_restore(*at.node, snapshot, at.applier->commands());
        on_copy(node);
    }
    if (observer_ != nullptr) observer_->began(node);
    tell(Moment::started, *at.node);
}

template <class P>
void SimCluster<P>::stop(NodeId node) {
    Member& at = member(node);
    if (at.node) counters_.elections += at.node->counters().elections;
    at.node.reset();
    if constexpr (kStoresLater<Disk>) {
        if (!at.disk.idle()) ++counters_.lost_writes;
        at.disk.crash(random_);
    }
    at.disk_done_ns = INT64_MAX;
    at.sync_fails = false;
}

template <class P>
void SimCluster<P>::crash(NodeId node) {
    Member& at = member(node);
    if (!at.node) throw base::ConfigError("node " + std::to_string(node) + " is down already; restart it first");
    ++counters_.crashes;
    stop(node);
    at.applier.reset();
}

template <class P>
void SimCluster<P>::restart(NodeId node) {
    Member& at = member(node);
    if (!at.poisoned.empty()) throw base::InvariantError(at.poisoned);
    if (at.node) throw base::ConfigError("node " + std::to_string(node) + " is running; crash it first");
    ++counters_.restarts;
    boot(node, true);
}

template <class P>
void SimCluster<P>::poison(NodeId node, const std::string& reason) {
    Member& at = member(node);
    if (!at.poisoned.empty()) return;
    at.poisoned = "replica " + std::to_string(node) + " " + reason;
    stop(node);  // its state machine stays, to be looked at
}

template <class P>
void SimCluster<P>::cut(NodeId from, NodeId to, bool is_cut) {
    (void)member(from), (void)member(to);
    network_.cut(from, to, is_cut);
}

template <class P>
void SimCluster<P>::heal() {
    network_.heal();
}

template <class P>
void SimCluster<P>::clog(NodeId node, NodeId to, std::int64_t delay_ns) {
    (void)member(node), (void)member(to);
    network_.clog(node, to, now_ns_ + delay_ns);
}

template <class P>
void SimCluster<P>::pause(NodeId node, std::int64_t duration_ns) {
    Member& at = member(node);
    at.paused_until_ns = std::max(at.paused_until_ns, now_ns_ + duration_ns);
    at.next_tick_ns = std::max(at.next_tick_ns, at.paused_until_ns);
}

template <class P>
void SimCluster<P>::hang_disk(NodeId node, std::int64_t duration_ns) {
    if (!kStoresLater<Disk> || options_.disk_delay_ns == 0) return pause(node, duration_ns);
    Member& at = member(node);
    at.disk_hangs_until_ns = std::max(at.disk_hangs_until_ns, now_ns_ + duration_ns);
    if (at.disk_done_ns != INT64_MAX) at.disk_done_ns = std::max(at.disk_done_ns, at.disk_hangs_until_ns);
}

template <class P>
bool SimCluster<P>::damage(NodeId node, std::uint64_t thousandths, Damage how) {
    if constexpr (kDamages<Disk>) {
        Member& at = member(node);
        const auto& log = at.disk.log();
        if (log.last_index() < log.first_index() || !P::goes_on_without(*this, node)) return false;
        const bool runs = how == Damage::running;
        const Index held = log.last_index() - log.first_index() + 1;
        const Index first =
            how == Damage::wholly ? 1 : log.first_index() + std::min(held * thousandths / 1000, held - 1);
        // what is on its way to the disk may have changed there what the node holds in memory
        if (runs && (!at.node || first < at.node->log().first_index() || first > at.node->log().last_index()))
            return false;
        // one that found damage when it started stores that first (it may have been stopped in between)
        if (runs && at.node->lost().index != 0 && at.node->has_ready()) return false;
        if (!runs && at.node) crash(node);
        // what was on its way then is there or is not, and so may a snapshot be
        if (log.last_index() < std::max(first, log.first_index()) ||
            (how != Damage::wholly && first < log.first_index()))
            return false;
        ++(runs ? counters_.damaged_running : counters_.damaged_at_start);
        counters_.damaged_wholly += how == Damage::wholly;
        counters_.damaged_entries += log.last_index() - std::max(first, log.first_index()) + 1;
        at.disk.damage(first, how == Damage::wholly, how != Damage::end_unknown);
        if (!runs) return true;
        if (options_.check_invariants) checker_.on_damage(*at.node, first);
        guarded([&] {
            at.node->damaged(first);
            process(node);
        });
        return true;
    } else {
        (void)node, (void)thousandths, (void)how;
        return false;
    }
}

template <class P>
void SimCluster<P>::run_clock(Member& at, std::int64_t thousandths) noexcept {
    at.clock_base_ns = clock_of(at);
    at.clock_since_ns = now_ns_;
    at.thousandths = thousandths;
    at.tick_ns = options_.tick_ns * 1000 / thousandths;
}

template <class P>
void SimCluster<P>::set_clock(NodeId node, std::int64_t thousandths, std::int64_t offset_ns) {
    Member& at = member(node);
    run_clock(at, thousandths);
    at.clock_offset_ns = offset_ns;
}

template <class P>
void SimCluster<P>::mend_machines() noexcept {
    for (Member& at : members_) {
        run_clock(at, 1000);
        at.clock_offset_ns = 0;
        at.sync_fails = false;
        at.paused_until_ns = at.disk_hangs_until_ns = INT64_MIN;
        at.next_tick_ns = std::min(at.next_tick_ns, now_ns_ + options_.tick_ns);
    }
}

template <class P>
std::uint64_t SimCluster<P>::elections() const noexcept {
    std::uint64_t count = counters_.elections;
    for (const Member& at : members_)
        if (at.node) count += at.node->counters().elections;
    return count;
}

template <class P>
NodeId SimCluster<P>::leader() const noexcept {
    NodeId best = kNoNode;
    std::uint64_t epoch = 0;
    for (const Member& at : members_)
        if (at.node && P::leads(*at.node) && P::epoch(*at.node) > epoch) {
            best = at.node->id();
            epoch = P::epoch(*at.node);
        }
    return best;
}

template <class P>
std::uint64_t SimCluster<P>::epoch() const noexcept {
    std::uint64_t epoch = 0;
    for (const Member& at : members_) epoch = std::max(epoch, P::epoch(at.disk));
    return epoch;
}

template <class P>
bool SimCluster<P>::is_quiet() const noexcept {
    return network_.empty() && logs_are_equal();
}

template <class P>
bool SimCluster<P>::logs_are_equal() const noexcept {
    const NodeId id = leader();
    if (id == kNoNode) return false;
    const Node& leads = *members_[id - 1].node;
    for (const Member& at : members_) {
        if (!at.node) continue;
        const NodeId other = at.node->id();
        if (network_.is_cut(id, other) || network_.is_cut(other, id)) continue;
        if (!P::in_step(leads, *at.node)) return false;
    }
    return true;
}

template <class P>
std::size_t SimCluster<P>::reachable_quorum() const noexcept {
    std::size_t best = 0;
    for (const Member& at : members_) {
        if (!at.node) continue;
        std::size_t count = 0;
        for (const Member& other : members_)
            if (other.node && (&other == &at || (!network_.is_cut(at.node->id(), other.node->id()) &&
                                                 !network_.is_cut(other.node->id(), at.node->id()))))
                ++count;
        best = std::max(best, count);
    }
    return best;
}

template <class P>
StateMachine* SimCluster<P>::machine(NodeId node) {
    Member& at = member(node);
    return at.applier ? &at.applier->machine() : nullptr;
}

template <class P>
std::uint64_t SimCluster<P>::applied(NodeId node) const {
    const Member& at = member(node);
    return at.applier ? at.applier->commands() : 0;
}

template <class P>
std::int64_t SimCluster<P>::next_tick_ns() const noexcept {
    std::int64_t next = INT64_MAX;
    for (const Member& at : members_)
        if (at.node) next = std::min(next, at.next_tick_ns);
    return next;
}

template <class P>
void SimCluster<P>::jump_to(std::int64_t at_ns) noexcept {
    // the consensus clock stands still over the jump: nothing happened in it that anybody waited for
    for (Member& at : members_) at.next_tick_ns += at_ns - now_ns_;
    now_ns_ = at_ns;
}

template <class P>
std::int64_t SimCluster<P>::next_write_ns() const noexcept {
    std::int64_t next = INT64_MAX;
    if (options_.disk_delay_ns == 0) return next;
    for (const Member& at : members_) next = std::min(next, at.disk_done_ns);
    return next;
}

template <class P>
void SimCluster<P>::finish_write() {
    if constexpr (kStoresLater<Disk>) {
        const auto found = std::min_element(members_.begin(), members_.end(), [](const Member& a, const Member& b) {
            return a.disk_done_ns < b.disk_done_ns;
        });
        Member& at = *found;
        now_ns_ = std::max(now_ns_, at.disk_done_ns);
        if (at.sync_fails && at.node) {
            ++counters_.failed_syncs;
            crash(at.node->id());
            return;
        }
        const std::uint64_t write = at.disk.finish_one();
        at.disk_done_ns = at.disk.idle() ? INT64_MAX : draw_disk_done_ns(at);
        ++counters_.late_writes;
        // some acknowledgements stand for those before them, too
        if (!at.node || (!at.disk.idle() && random_.chance_ppm(200'000))) return;
        at.node->stored(write);
        process(at.node->id());
    }
}

template <class P>
void SimCluster<P>::run_one() {
    guarded([&] {
        const std::int64_t write_ns = next_write_ns();
        const std::int64_t tick_ns = next_tick_ns();
        if (write_ns != INT64_MAX && write_ns <= tick_ns && (network_.empty() || write_ns <= network_.next_ns())) {
            finish_write();
            return;
        }
        if (!network_.empty() && network_.next_ns() <= tick_ns)
            deliver();
        else if (tick_ns != INT64_MAX)
            tick_next();
        else
            now_ns_ += options_.tick_ns;  // every node is down: time passes all the same
    });
}

template <class P>
void SimCluster<P>::run_for(std::int64_t duration_ns) {
    const std::int64_t end_ns = now_ns_ + duration_ns;
    while (std::min({next_tick_ns(), next_write_ns(), network_.empty() ? INT64_MAX : network_.next_ns()}) <= end_ns)
        run_one();
    now_ns_ = std::max(now_ns_, end_ns);
}

template <class P>
bool SimCluster<P>::settle(std::int64_t limit_ns) {
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

template <class P>
void SimCluster<P>::deliver() {
    now_ns_ = std::max(now_ns_, network_.next_ns());
    if (const Member& to = members_[network_.next_to() - 1]; to.paused_until_ns > now_ns_) {
        network_.defer_next(to.paused_until_ns);
        return;
    }
    const Message* message = network_.receive();
    if (message == nullptr) return;
    Member& at = members_[message->to - 1];
    if (!at.node) return;
    const NodeId node = message->to;
    tell(Moment::receives, *at.node, message);
    tell_time(at);
    at.node->step(*message);
    if (deliveries_to_crash_ > 0 && --deliveries_to_crash_ == 0 && leader() != kNoNode) {
        // between a step and the duties it asks for: nothing of what the leader just learnt gets out
        deliveries_to_crash_ = -1;
        crash(leader());
        if (!at.node) return;
    }
    process(node);
}

template <class P>
void SimCluster<P>::tick_next() {
    const std::int64_t tick_ns = next_tick_ns();
    now_ns_ = std::max(now_ns_, tick_ns);
    for (Member& at : members_) {
        if (!at.node || at.next_tick_ns != tick_ns) continue;
        at.next_tick_ns += at.tick_ns;
        ++counters_.ticks;
        tell_time(at);
        if constexpr (requires { at.node->tick(now_ns_); })
            at.node->tick(clock_of(at));
        else
            at.node->tick();
        process(at.node->id());
        return;
    }
}

template <class P>
void SimCluster<P>::check_logs() const {
    if (!options_.check_invariants) return;
    for (const Member& at : members_)
        if (at.node) checker_.check_log(*at.node, at.disk);
}

template class SimCluster<bft::BftProtocol>;
template class SimCluster<bft::LyingBftProtocol>;
template class SimCluster<raft::RaftProtocol>;
template class SimCluster<paxos::PaxosProtocol>;

}  // namespace fastmas::consensus
