// RaftNode: a disk that damaged what it had stored (Alagappan and others, "Protocol-Aware Recovery for Consensus-Based
// Storage", 2018).
//
// Cutting the log there, as after a crash, is not safe: what is gone may be committed, with this node one of the
// majority that has it. A candidate without it could then win with this node's vote, and replace it. Nor is it
// necessary: the others have it. So the node keeps two things apart:
//
//   What it said. `HardState::lost` is where its log ended. It votes as if it still had that log (§5.4.1): for nobody
//   whose log is less up to date. So in elections it is the node that it was, and leader completeness holds by the
//   paper's own argument, whatever it acknowledged before and whenever that is counted. It is stored before anything
//   else happens to the node, above all before an entry can replace what is left on the disk.
//   What it has. Its log ends before the first damaged entry; what it acknowledges from now on is in that log. It does
//   not stand: as a leader it would delete on others what it lacks. To a leader that goes on behind its end it says so
//   (`Message::lost`), else the leader would take the refusal for a late one and never send the entries again.
//
// It is itself again once its log is at least as up to date as `lost`: with an entry of a later term, all that was
// committed before that term is in front of it; within the same term, the same leader's log reaches as far as its own
// did. Either way it is the log that it would have without the damage.
//
// Safe with any number of damaged nodes. Live as long as a majority of the voters is undamaged (of both halves, while
// the membership is joint), where every committed command is on one of those that is no witness: they elect the most
// up-to-date among themselves. A damaged node votes with them if its vote is needed, for whoever has all that it had.
// With more damaged nodes than that it may still go on, if one that is undamaged has all that the voters it needs had.
// But where a majority is damaged, each at another place, nobody may stand although every entry is somewhere: that
// stays until somebody brings a disk back. Where every node that has an entry has lost it, nobody is elected: nothing
// is made up. What lies behind the damaged entries is fetched again with them.
#include <algorithm>

#include "base/errors.hpp"
#include "consensus/raft/node.hpp"

namespace fastmas::consensus::raft {

void RaftNode::remember_lost(LogEnd lost) {
    if (lost.index > kMaxTerm || lost.term >= kMaxTerm || (lost.term != 0 && lost.index == 0))
        throw base::ConfigError("the end of a damaged log is the term and index of its last entry, got term " +
                                std::to_string(lost.term) + " and index " + std::to_string(lost.index) +
                                "; give term 0 when it is not known");
    // no entry is of a later term than the node was in
    if (lost.index != 0 && lost.term == 0) lost.term = hard_.term;
    if (lost > hard_.lost) {
        hard_.lost = lost;
        hard_changed_ = true;
        is_loss_stored_ = log_end() >= lost;
    }
    catch_up();
}

void RaftNode::catch_up() noexcept {
    if (hard_.lost.index == 0 || log_end() < hard_.lost) return;
    // stored together with the entries, or after them
    hard_.lost = {};
    hard_changed_ = true;
}

void RaftNode::forget_acknowledged(Progress& peer, const Message& reply) noexcept {
    // A late copy makes this leader send what the follower has by now: it is acknowledged again.
    peer.match = std::min(peer.match, reply.hint_index - 1);
}

void RaftNode::damaged(Index first) {
    enter();
    if (!is_loss_stored_)
        throw base::ConfigError("node " + std::to_string(config_.id) +
                                " has not stored yet what its disk lost; do what ready() asks for before damaged()");
    if (first <= log_.snapshot_index() || first > log_.last_index())
        throw base::ConfigError("damaged() takes an index of the log, " + std::to_string(log_.first_index()) + " to " +
                                std::to_string(log_.last_index()) + ", got " + std::to_string(first) +
                                "; a damaged snapshot is stored again from snapshot()");
    written_ = std::min(written_, first - 1);
    log_.mark_unstable(first);
    // what is on its way there is replaced by what comes now, and its acknowledgement says nothing about that
    writes_.truncated_from(first);
}

}  // namespace fastmas::consensus::raft
