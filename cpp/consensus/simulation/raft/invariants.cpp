#include "consensus/simulation/raft/invariants.hpp"

#include <algorithm>

#include "base/errors.hpp"
#include "consensus/quorum.hpp"
#include "consensus/simulation/observer.hpp"

namespace fastmas::consensus::raft {
namespace {

bool same(const auto& a, const auto& b) {
    return a.term == b.term && a.chain == b.chain;
}
std::string at(Index index) {
    return "index " + std::to_string(index);
}

}  // namespace

void InvariantChecker::fail(const RaftNode& node, const char* invariant, const std::string& detail) {
    throw base::InvariantError(std::string(invariant) + ": broken by node " + std::to_string(node.id()) + " in term " +
                               std::to_string(node.term()) + ", " + detail);
}

InvariantChecker::Link InvariantChecker::extend(const Link& previous, const Entry& entry) {
    const std::uint64_t head[] = {previous.chain,
                                  entry.term,
                                  entry.index,
                                  static_cast<std::uint64_t>(entry.time_ns),
                                  entry.session.client,
                                  entry.session.sequence,
                                  static_cast<std::uint64_t>(entry.kind)};
    return {entry.term, hash_bytes(entry.command.bytes(), hash_bytes(std::as_bytes(std::span(head)), 1)),
            entry.time_ns};
}

InvariantChecker::Link InvariantChecker::link_of(const RaftNode& node, const Link& previous, const Entry& entry) const {
    if (!node.is_witness() || entry.kind != EntryKind::command) return extend(previous, entry);
    // a witness has no commands: its entry is the one that some log has under that index and term
    if (entry.index <= first_.size() && first_[entry.index - 1].term == entry.term) return first_[entry.index - 1];
    const auto found = others_.find({entry.index, entry.term});
    if (found == others_.end() || !entry.command.empty())
        fail(node, "a witness holds what a leader made, without its commands", at(entry.index));
    return found->second;
}

void InvariantChecker::check_matching(const RaftNode& node, Index index, const Link& link) {
    const char* const invariant =
        "log matching: two logs that hold an entry of the same index and term are the same up to it";
    if (index > first_.size()) {
        first_.resize(index);
        first_[index - 1] = link;
        return;
    }
    Link& first = first_[index - 1];
    if (first.term == 0) first = link;  // skipped by a snapshot until now
    const Link& known = first.term == link.term ? first : others_.try_emplace({index, link.term}, link).first->second;
    if (!same(known, link)) fail(node, invariant, at(index));
}

void InvariantChecker::on_ready(const RaftNode& node, const Ready& ready, std::int64_t clock_ns) {
    for (const ReadState& read : ready.reads) {
        if (clock_ns >= read.valid_until_ns) continue;  // its lease has ended: nobody answers it
        reads_ += read.is_confirmed;
        if (read.is_confirmed && read.index < must_cover(read.context))
            fail(node, "a read sees all that was committed when it was asked for",
                 at(read.index) + " of " + std::to_string(must_cover(read.context)));
    }
}

void InvariantChecker::on_persist(const RaftNode& node, const Ready& ready) {
    Seen& seen = seen_[node.id()];
    claimed_ = std::max(claimed_, node.commit_index());
    std::vector<Link>& log = seen.log;
    if (ready.snapshot != nullptr) {
        const Snapshot& snapshot = *ready.snapshot;
        if (snapshot.index > committed_.size() || committed_[snapshot.index - 1].term != snapshot.term)
            fail(node, "snapshots stand for committed entries only", at(snapshot.index));
        if (log.size() < snapshot.index || !same(log[snapshot.index - 1], committed_[snapshot.index - 1]))
            log.assign(committed_.begin(), committed_.begin() + static_cast<std::ptrdiff_t>(snapshot.index));
    }
    for (const Entry& entry : ready.entries) {
        if (entry.index > log.size() + 1) fail(node, "a log has no gaps", at(entry.index));
        if (entry.index <= log.size()) {
            if (seen.led && seen.hard.term == node.term())
                fail(node, "leader append-only: a leader never overwrites or deletes entries of its log",
                     at(entry.index));
            if (entry.index <= seen.commit) fail(node, "a committed entry is never deleted", at(entry.index));
            if (log[entry.index - 1].term == entry.term)
                fail(node, "an append that matches deletes nothing", at(entry.index));
            log.resize(entry.index - 1);
        }
        const Link previous = log.empty() ? Link{} : log.back();
        if (entry.term < previous.term) fail(node, "terms never fall along a log", at(entry.index));
        if (!log.empty() && entry.time_ns < previous.time_ns)
            fail(node, "time never falls along a log", at(entry.index));
        log.push_back(link_of(node, previous, entry));
        check_matching(node, entry.index, log.back());
    }
}

void InvariantChecker::on_send(const RaftNode& node, const Message& message, const SimDisk& disk) {
    ++checks_;
    forced_votes_ += message.force;
    parts_ += message.type == MessageType::snapshot && message.snapshot->offset != 0;
    const HardState& stored = disk.hard_state();
    const char* const invariant = "nothing leaves before what it says is durable";
    const bool asks_about_next =
        message.type == MessageType::pre_vote || (message.type == MessageType::pre_vote_reply && !message.reject);
    if (!asks_about_next && message.term > stored.term)
        fail(node, invariant, std::string("the term of a ") + to_string(message.type));
    if (message.type == MessageType::vote && message.term == stored.term && stored.vote != node.id())
        fail(node, invariant, "its vote for itself");
    if (message.type == MessageType::vote_reply && !message.reject &&
        (stored.term != message.term || stored.vote != message.to))
        fail(node, invariant, "its vote for node " + std::to_string(message.to));
    if (message.type == MessageType::vote) stood_[{message.term, node.id()}] = {message.log_term, message.index};
    // (what a damaged disk held was durable when it was acknowledged)
    if (message.type == MessageType::append_reply && !message.reject &&
        message.index > std::max(disk.log().last_index(), disk.lost().index))
        fail(node, invariant, "the entry it acknowledges at " + at(message.index));
}

void InvariantChecker::on_apply(const RaftNode& node, const Entry& entry, const Applied& applied) {
    Seen& seen = seen_[node.id()];
    if (entry.index != seen.applied + 1 || entry.index > node.commit_index())
        fail(node, "committed entries are applied in order, each once", at(entry.index));
    seen.applied = entry.index;
    const Link previous = entry.index == 1 ? Link{} : seen.log[entry.index - 2];
    if (entry.index > seen.log.size() || !same(extend(previous, entry), seen.log[entry.index - 1]))
        fail(node, "what is applied is what was stored", at(entry.index));
    if (entry.index <= committed_.size() && !same(seen.log[entry.index - 1], committed_[entry.index - 1]))
        fail(node, "state machine safety: no two nodes apply different entries at the same index", at(entry.index));
    const std::string broken = history_.on_apply(node.id(), entry.index, entry.time_ns, entry.session, applied);
    if (!broken.empty()) fail(node, AppliedHistory::kInvariant, broken);
}

void InvariantChecker::on_restore(const RaftNode& node, const Snapshot& snapshot, std::uint64_t commands) {
    Seen& seen = seen_[node.id()];
    if (snapshot.index < seen.applied)
        fail(node, "a snapshot never moves a state machine backwards", at(snapshot.index));
    seen.applied = snapshot.index;
    history_.on_restore(node.id(), commands);
}

void InvariantChecker::on_restart(const RaftNode& node) {
    Seen& seen = seen_[node.id()];
    // a crash after storing and before the step ended leaves more on disk than was seen, never less
    const HardState& durable = seen.durable;
    if (node.term() < durable.term ||
        (node.term() == durable.term && durable.vote != kNoNode && node.vote() != durable.vote))
        fail(node, "a restarted node remembers its term and its vote", "term " + std::to_string(durable.term));
    // writes that were in flight are lost
    seen.log.assign(committed_.begin(), committed_.begin() + static_cast<std::ptrdiff_t>(node.log().snapshot_index()));
    for (const Entry& entry : node.log().slice(node.log().first_index(), node.log().last_index()))
        seen.log.push_back(link_of(node, seen.log.empty() ? Link{} : seen.log.back(), entry));
    seen.hard = {node.term(), node.vote()};
    seen.led = false;
    seen.membership = node.membership().id;
    seen.commit = node.commit_index();
    seen.applied = 0;
    history_.on_restore(node.id(), 0);
}

void InvariantChecker::on_damage(const RaftNode& node, Index first) {
    std::vector<Link>& log = seen_[node.id()].log;
    log.resize(std::min<std::size_t>(log.size(), first - 1));
}

// Of two logs, that of the candidate; of the voter's, all that it ever acknowledged, be it damaged since.
void InvariantChecker::check_vote(const RaftNode& node, const Seen& seen, const SimDisk& disk) {
    if (node.vote() == kNoNode || (node.term() == seen.hard.term && node.vote() == seen.hard.vote)) return;
    const LogEnd end{node.log().last_term(), node.log().last_index()};
    if (node.vote() == node.id()) {
        if (end < disk.lost()) fail(node, "a node whose disk lost entries does not stand", at(disk.lost().index));
        return;
    }
    const auto stood = stood_.find({node.term(), node.vote()});
    if (stood == stood_.end() || stood->second < std::max(end, disk.lost()))
        fail(node, "a vote goes to a log that is at least as up to date as all that the voter ever acknowledged",
             "for node " + std::to_string(node.vote()));
}

void InvariantChecker::check_election(const RaftNode& node, const Seen& seen) {
    if (seen.led && seen.hard.term == node.term()) return;
    const auto [found, is_new] = leaders_.try_emplace(node.term(), node.id());
    if (!is_new && found->second != node.id())
        fail(node, "election safety: at most one leader is elected in a term",
             "node " + std::to_string(found->second) + " was elected, too");
    // an index committed in a later term than this leader's need not be in its log: it only does not know yet that it
    // is over
    const auto end = std::lower_bound(commit_terms_.begin(), commit_terms_.end(), node.term());
    const auto must_hold = static_cast<Index>(end - commit_terms_.begin());
    if (must_hold != 0 && (seen.log.size() < must_hold || !same(seen.log[must_hold - 1], committed_[must_hold - 1])))
        fail(node, "leader completeness: an entry committed in a term is in the logs of the leaders of all later terms",
             at(must_hold));
}

// With as many writes in flight as may be, the log is ahead of what was handed out, and may hold other entries there.
Index InvariantChecker::known_commit(const RaftNode& node) {
    const bool full = node.writes_in_flight() == node.config().max_writes_in_flight;
    return full ? std::min(node.commit_index(), node.written_index()) : node.commit_index();
}

void InvariantChecker::check_commit(const RaftNode& node, const Seen& seen, const std::vector<const SimDisk*>& disks) {
    const Index commit = known_commit(node);
    if (commit > seen.log.size()) fail(node, "what is committed is stored", at(commit));
    if (node.role() == Role::leader && node.log().term(node.commit_index()) != node.term())
        fail(node, "a leader commits by counting replicas of entries of its own term only (paper 5.4.2)", at(commit));
    for (Index index = seen.commit + 1; index <= commit; ++index) {
        const Link& link = seen.log[index - 1];
        if (index <= committed_.size()) {
            if (!same(link, committed_[index - 1]))
                fail(node, "state machine safety: no two nodes commit different entries at the same index", at(index));
            continue;
        }
        const auto holds = [&](NodeId id) {
            const SimDisk& disk = *disks[id - 1];
            // a disk that lost it does not forget that it had it: it counts in elections as if it still had
            const LogEnd& lost = disk.lost();
            return disk.log().snapshot_index() >= index || disk.log().term(index) == link.term ||
                   (lost.index >= index && lost.term >= link.term);
        };
        // a follower may tell of it before the leader's step ends, and not know yet which configuration that leader has
        bool is_on_quorum = node.membership().is_quorum(holds);
        for (std::size_t i = 0; i < memberships_.size() && !is_on_quorum && node.role() != Role::leader; ++i)
            is_on_quorum = memberships_[i].is_quorum(holds);
        if (!is_on_quorum)
            fail(node, "what is committed is on a majority of disks, of both halves while joint", at(index));
        committed_.push_back(link);
        commit_terms_.push_back(node.term());
    }
}

void InvariantChecker::check_memberships(const RaftNode& node) {
    const std::vector<Membership>& all = node.memberships();
    for (std::size_t i = 1; i < all.size(); ++i) {
        const Membership &before = all[i - 1], &after = all[i];
        if (after.is_joint() ? after.outgoing != before.voters || before.is_joint() : after.voters != before.voters)
            fail(node, "voters change through a joint configuration only", at(after.id));
        if (node.log().at(after.id).kind != EntryKind::membership)
            fail(node, "a configuration in force is that of the latest such entry in the log", at(after.id));
    }
    claimed_ = std::max(claimed_, node.commit_index());
    // a new leader may hold C_old,new and C_new and not know yet that the first is committed
    if (node.role() == Role::leader && all.size() > 1 && all[all.size() - 2].id > claimed_)
        fail(node, "one membership change at a time", at(all.back().id));
    if (node.role() == Role::leader && node.is_witness()) fail(node, "a witness never leads", "");
    if (node.role() == Role::leader && node.lost().index != 0)
        fail(node, "a node whose disk lost entries leads only once it has caught up", at(node.lost().index));
    const Membership& now = node.membership();
    Seen& seen = seen_[node.id()];
    if (now.id < seen.membership) ++changes_.rolled_back;
    if (now.id > seen.membership && all.size() > 1) {
        const Membership& before = all[all.size() - 2];
        // a joint state that its maker did not live to leave
        if (before.is_joint() && node.role() == Role::leader && node.log().term(now.id) != node.log().term(before.id))
            ++changes_.left_by_another;
        for (const NodeId id : now.voters)
            if (Membership::has(before.learners, id) && now.is_joint()) ++changes_.promoted;
    }
    seen.membership = now.id;
    if (std::find(memberships_.begin(), memberships_.end(), now) != memberships_.end()) return;
    memberships_.push_back(now);
    changes_.joint += now.is_joint();
}

void InvariantChecker::after_step(const RaftNode& node, const std::vector<const SimDisk*>& disks) {
    ++checks_;
    Seen& seen = seen_[node.id()];
    if (node.term() < seen.hard.term) fail(node, "a term never falls", "from " + std::to_string(seen.hard.term));
    if (node.term() == seen.hard.term && seen.hard.vote != kNoNode && node.vote() != seen.hard.vote)
        fail(node, "a node votes once a term",
             "for " + std::to_string(seen.hard.vote) + ", then " + std::to_string(node.vote()));
    if (node.commit_index() < seen.commit)
        fail(node, "a commit index never falls", "from " + std::to_string(seen.commit));
    if (node.applied_index() > node.commit_index())
        fail(node, "nothing is applied before it is committed", at(node.applied_index()));
    const bool full = node.writes_in_flight() == node.config().max_writes_in_flight;  // the rest waits in the log
    if (node.log().last_index() != seen.log.size() && !full)
        fail(node, "what is in the log is stored", at(node.log().last_index()));
    const bool leads = node.role() == Role::leader;
    check_memberships(node);
    seen.durable = disks[node.id() - 1]->hard_state();
    check_vote(node, seen, *disks[node.id() - 1]);
    if (leads) check_election(node, seen);
    if (node.commit_index() > seen.commit) check_commit(node, seen, disks);
    if (leads) {
        for (const Progress& peer : node.progress()) {
            // a follower that went on to a later term, or whose disk is damaged, may since have lost what it
            // acknowledged (the power may go once a later term's entries are stored and before that term is)
            const SimDisk& disk = *disks[peer.id - 1];
            if (disk.lost().index != 0) continue;
            const Term term = std::max(disk.hard_state().term, disk.log().last_term());
            if (peer.match == 0 || term > node.term() || disk.log().snapshot_index() >= peer.match) continue;
            const auto own = node.log().term(peer.match);
            if (own && disk.log().term(peer.match) != own)
                fail(node, "a leader counts for a follower only what that follower's disk holds", at(peer.match));
        }
    }
    seen.hard = {node.term(), node.vote()};
    seen.led = leads;
    seen.commit = known_commit(node);
}

void InvariantChecker::check_log(const RaftNode& node, const SimDisk& disk) const {
    const Seen& seen = seen_[node.id()];
    for (const Log* log : {&node.log(), &disk.log()}) {
        if (log->last_index() != seen.log.size())
            fail(node, "log and disk hold what was stored", at(log->last_index()));
        for (Index index = log->first_index(); index <= log->last_index(); ++index) {
            const Link previous = index == 1 ? Link{} : seen.log[index - 2];
            if (!same(link_of(node, previous, log->at(index)), seen.log[index - 1]))
                fail(node, "log and disk hold what was stored", at(index));
        }
    }
}

}  // namespace fastmas::consensus::raft
