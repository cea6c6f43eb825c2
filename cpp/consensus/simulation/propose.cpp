// SimCluster: proposals, the client that retries them, and what becomes of replicas that disagree.
#include <algorithm>

#include "base/errors.hpp"
#include "consensus/quorum.hpp"
#include "consensus/simulation/bft/protocol.hpp"
#include "consensus/simulation/cluster.hpp"
#include "consensus/simulation/paxos/protocol.hpp"
#include "consensus/simulation/raft/protocol.hpp"

namespace fastmas::consensus {
namespace {

constexpr std::uint64_t kClient = 1;

}  // namespace

template <class P>
typename P::Proposal SimCluster<P>::submit(NodeId node, Payload command, const Session& session) {
    Member& at = member(node);
    if (!at.node) return {};
    Proposal proposal;
    guarded([&] {
        tell_time(at);
        proposal = at.node->propose(std::move(command), session, now_ns_ + at.clock_offset_ns);
        process(node);
    });
    return proposal;
}

template <class P>
Burst SimCluster<P>::propose(std::vector<Payload> commands, std::optional<std::int64_t> at_ns) {
    if (!broken_.empty()) throw base::InvariantError(broken_);
    if (pending_ != nullptr)
        throw base::ConfigError("propose was called from inside apply; a state machine only answers");
    if (commands.size() > SessionTable::kMaxReplies)
        throw base::ConfigError("a burst has at most " + std::to_string(SessionTable::kMaxReplies) + " commands, got " +
                                std::to_string(commands.size()) + "; propose it in parts");
    Burst burst;
    if (commands.empty()) return burst;
    if (at_ns && *at_ns > now_ns_) {
        // what was under way gets the time it needs, then the clock jumps
        settle(std::min(*at_ns - now_ns_, options_.timeout_ns));
        if (*at_ns > now_ns_) jump_to(*at_ns);
    }
    Pending pending;
    pending.first_sequence = next_sequence_;
    pending.results.resize(commands.size());
    pending.indexes.resize(commands.size());
    next_sequence_ += commands.size();
    counters_.proposals += commands.size();
    pending_ = &pending;
    try {
        run_pending(commands, burst);
    } catch (...) {
        pending_ = nullptr;
        throw;
    }
    pending_ = nullptr;
    // whoever gave up on a reply will not ask for it again
    acknowledged_ = next_sequence_ - 1;
    burst.results = std::move(pending.results);
    burst.commit_ns = std::max<std::int64_t>(pending.commit_ns, 0);
    if (burst.status == BurstStatus::committed) settle(2 * options_.election_ticks * options_.tick_ns);
    return burst;
}

template <class P>
void SimCluster<P>::run_pending(const std::vector<Payload>& commands, Burst& burst) {
    const std::int64_t start_ns = now_ns_, deadline_ns = start_ns + options_.timeout_ns;
    if (crash_armed_) {
        // somewhere between taking the burst in and learning that a majority has it: one delivery to each follower, and
        // the replies that make the majority
        deliveries_to_crash_ =
            random_.between(0, static_cast<std::int64_t>(members_.size() - 1 + quorum_size(members_.size()) - 1));
        crash_armed_ = false;
    }
    while (pending_->decided < commands.size()) {
        if (!diverged_text_.empty() || healthy() < quorum_size(members_.size())) {
            burst.status = BurstStatus::diverged;
            burst.text = diverged_text_.empty() ? "too few healthy replicas are left for a majority: " + poisoned_text()
                                                : diverged_text_;
            broken_ = burst.text;
            break;
        }
        const NodeId leads = leader();
        if (leads != kNoNode && now_ns_ >= pending_->retry_ns &&
            (leads != pending_->leader || P::epoch(*members_[leads - 1].node) != pending_->epoch ||
             pending_->handed < commands.size())) {
            bool taken = true;
            guarded([&] { taken = hand_in(commands); });
            if (!taken) {
                burst.status = BurstStatus::too_large;
                burst.text =
                    "a command has at most " + std::to_string(P::max_command_bytes()) + " bytes; propose it in parts";
                break;
            }
            continue;
        }
        if (now_ns_ > deadline_ns) {
            burst.status = BurstStatus::no_quorum;
            burst.text = no_quorum_text(commands.size());
            break;
        }
        run_one();
    }
    if (pending_->commit_ns >= 0) pending_->commit_ns -= start_ns;
    deliveries_to_crash_ = -1;
}

template <class P>
bool SimCluster<P>::hand_in(const std::vector<Payload>& commands) {
    Pending& pending = *pending_;
    const NodeId leads = leader();
    Node& node = *members_[leads - 1].node;
    tell_time(members_[leads - 1]);
    if (leads != pending.leader || P::epoch(node) != pending.epoch) {
        if (pending.leader != kNoNode) counters_.retries += commands.size() - pending.decided;
        pending.leader = leads;
        pending.epoch = P::epoch(node);
        // from the first one without a result on, in order: those that are in its log already are told apart when
        // applied
        pending.handed = static_cast<std::size_t>(
            std::find(pending.results.begin(), pending.results.end(), std::nullopt) - pending.results.begin());
    }
    for (; pending.handed < commands.size(); ++pending.handed) {
        const Proposal proposal =
            node.propose(commands[pending.handed], {kClient, pending.first_sequence + pending.handed, acknowledged_},
                         now_ns_ + members_[leads - 1].clock_offset_ns);
        if (proposal.status == ProposeStatus::too_large) return false;
        if (proposal.status != ProposeStatus::appended) {
            // it has no room, or is about to hand over, or to leave: the rest is handed in later
            pending.retry_ns = now_ns_ + options_.tick_ns;
            break;
        }
        pending.last_index = proposal.index;
    }
    if (deliveries_to_crash_ == 0) {
        deliveries_to_crash_ = -1;
        crash(leads);
        return true;
    }
    process(leads);
    return true;
}

template <class P>
void SimCluster<P>::note_commit() {
    Pending& pending = *pending_;
    if (pending.commit_ns >= 0 || pending.leader == kNoNode || pending.handed < pending.results.size()) return;
    const Member& at = members_[pending.leader - 1];
    if (at.node && P::epoch(*at.node) == pending.epoch && at.node->commit_index() >= pending.last_index)
        pending.commit_ns = now_ns_;
}

template <class P>
void SimCluster<P>::on_effect(NodeId node, const Entry& entry, const Applied& applied) {
    const DivergenceMonitor::Verdict verdict = divergence_.vote(node, applied.index, applied.fingerprint);
    if (!verdict.agrees || !verdict.diverged.empty()) {
        const std::string where = "diverged at commit index " + std::to_string(applied.index) +
                                  ": its result or digest differs from the majority's";
        for (const NodeId other : verdict.diverged) poison(other, where);
        if (!verdict.agrees) poison(node, where);
    }
    if (verdict.impossible && diverged_text_.empty())
        diverged_text_ = "replicas diverged at commit index " + std::to_string(applied.index) +
                         " and no majority agrees; the state machine is not deterministic";
    const bool is_pending =
        pending_ != nullptr && entry.session.client == kClient && entry.session.sequence >= pending_->first_sequence;
    if (is_pending) pending_->indexes[entry.session.sequence - pending_->first_sequence] = applied.index;
    if (!verdict.decided_now) return;
    if (applied.result.status == ResultStatus::rejected) ++counters_.rejections;
    if (is_pending) decide(entry.session.sequence, applied.result);
}

// A snapshot made the replica what those are who applied what it covers.
template <class P>
void SimCluster<P>::on_copy(NodeId node) {
    if (pending_ == nullptr) return;
    const Applier& applier = *members_[node - 1].applier;
    for (std::size_t i = 0; i < pending_->indexes.size(); ++i) {
        const std::uint64_t index = pending_->indexes[i], sequence = pending_->first_sequence + i;
        if (index == 0 || index > applier.commands() || pending_->results[i]) continue;
        const Result* result = applier.sessions().reply({kClient, sequence, 0});
        if (result == nullptr || !divergence_.copied(node, index).decided_now) continue;
        if (result->status == ResultStatus::rejected) ++counters_.rejections;
        decide(sequence, *result);
    }
}

template <class P>
void SimCluster<P>::decide(std::uint64_t sequence, const Result& result) {
    auto& known = pending_->results[static_cast<std::size_t>(sequence - pending_->first_sequence)];
    if (!known) ++pending_->decided;
    known = result;
}

template <class P>
void SimCluster<P>::on_broken(NodeId node, std::uint64_t index, const Payload& reason) {
    poison(node, "stopped at commit index " + std::to_string(index) + ": " + std::string(reason.text()));
}

template <class P>
std::size_t SimCluster<P>::healthy() const noexcept {
    return static_cast<std::size_t>(
        std::count_if(members_.begin(), members_.end(), [](const Member& at) { return at.poisoned.empty(); }));
}

template <class P>
std::string SimCluster<P>::poisoned_text() const {
    std::string text;
    for (const Member& at : members_)
        if (!at.poisoned.empty()) text += (text.empty() ? "" : "; ") + at.poisoned;
    return text;
}

template <class P>
std::string SimCluster<P>::no_quorum_text(std::size_t commands) const {
    std::string text = "no quorum within " + std::to_string(options_.timeout_ns / 1'000'000) +
                       " ms of virtual time: at most " + std::to_string(reachable_quorum()) + " of " +
                       std::to_string(members_.size()) + " nodes can talk to one another, " +
                       std::to_string(quorum_size(members_.size())) + " are needed; " +
                       std::to_string(pending_->decided) + " of " + std::to_string(commands) +
                       " commands were applied, the others may still commit later; restart() or heal(), then look "
                       "before you propose again";
    return text;
}

template class SimCluster<bft::BftProtocol>;
template class SimCluster<bft::LyingBftProtocol>;
template class SimCluster<raft::RaftProtocol>;
template class SimCluster<paxos::PaxosProtocol>;

}  // namespace fastmas::consensus
