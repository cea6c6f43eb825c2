// RaftNode: membership (paper §6, thesis §4). A node always uses the latest configuration in its log, committed or not.
#include "base/errors.hpp"
#include "consensus/raft/node.hpp"

namespace fastmas::consensus::raft {

void RaftNode::load_memberships() {
    // what was appended last is in force, whether it was committed before the restart or not
    memberships_.push_back(snapshot_.index == 0 ? initial_membership(config_) : snapshot_.membership);
    if (const std::string problem = problem_of(membership()); !problem.empty())
        throw base::ConfigError("the stored snapshot's membership cannot be: " + problem +
                                "; restore the store from a healthy copy");
    for (const Entry& entry : log_.slice(log_.first_index(), log_.last_index()))
        if (entry.kind == EntryKind::membership) {
            Membership next;
            if (!decode(entry.command.bytes(), next))
                throw base::ConfigError("the stored membership at index " + std::to_string(entry.index) +
                                        " cannot be read; restore the store from a healthy copy");
            next.id = entry.index;
            memberships_.push_back(std::move(next));
        }
    reconfigure();
}

void RaftNode::adopt(const Entry& entry) {
    Membership next;
    if (!decode(entry.command.bytes(), next))
        poison("the membership at index " + std::to_string(entry.index) + " cannot be read");
    next.id = entry.index;
    memberships_.push_back(std::move(next));
    reconfigure();
}

void RaftNode::roll_back_memberships(Index index) {
    const std::size_t before = memberships_.size();
    while (memberships_.size() > 1 && membership().id >= index) memberships_.pop_back();
    if (memberships_.size() != before) reconfigure();
}

void RaftNode::restore_membership(const Snapshot& snapshot) {
    std::erase_if(memberships_,
                  [&](const Membership& each) { return each.id <= snapshot.index || each.id > log_.last_index(); });
    memberships_.insert(memberships_.begin(), snapshot.membership);
    reconfigure();
}

void RaftNode::reconfigure() {
    const Membership& now = membership();
    if (now.contains(config_.id) && now.is_witness(config_.id) != config_.witness)
        poison(config_.witness
                   ? "it was built as a witness and is a full voter of the membership at index " +
                         std::to_string(now.id)
                   : "it was not built as a witness and is one in the membership at index " + std::to_string(now.id));
    std::vector<Progress> before = std::exchange(peers_, {});
    for (const NodeId id : now.all()) {
        if (id == config_.id) continue;
        // who is new gets a probe at the end of the log, and an election time-out to be heard of
        Progress peer{.id = id, .next = log_.last_index() + 1, .active = true};
        for (Progress& known : before)
            if (known.id == id) peer = std::move(known);
        peer.incoming = Membership::has(now.voters, id);
        peer.outgoing = Membership::has(now.outgoing, id);
        peer.witness = now.is_witness(id);
        peers_.push_back(std::move(peer));
    }
    in_incoming_ = Membership::has(now.voters, config_.id);
    in_outgoing_ = Membership::has(now.outgoing, config_.id);
    matched_.reserve(kMaxNodes);
    granted_.reserve(kMaxNodes);
    refused_.reserve(kMaxNodes);
    // those who have acknowledged a round may be enough now, and whoever is left may have done so already
    if (role_ == Role::leader) confirm_reads();
}

bool RaftNode::change_is_open() const noexcept {
    // one at a time, and a new leader begins one only once it has committed an entry of its own term: before that, an
    // earlier leader's change may be committed or not (the bug of single-server changes, 2015)
    return membership().is_joint() || commit_ < membership().id || log_.term(commit_) != hard_.term;
}

Proposal RaftNode::change_membership(Membership target, std::int64_t now_ns) {
    enter();
    if (role_ != Role::leader) return {ProposeStatus::not_leader, hard_.term, 0};
    if (change_is_open() || transferee_ != kNoNode) return {ProposeStatus::busy, hard_.term, 0};
    if (!is_timely(now_ns)) return {ProposeStatus::refused, hard_.term, 0};
    append_own(EntryKind::membership, encode(begin_change(membership(), std::move(target))), {}, now_ns);
    return {ProposeStatus::appended, hard_.term, log_.last_index()};
}

void RaftNode::after_commit() {
    if (commit_ < membership().id) return;
    if (membership().is_joint()) {
        // §6: once C_old,new is committed, whoever leads makes C_new: the cluster never stays between the two
        append_own(EntryKind::membership, encode(leave_joint(membership())), {}, log_.last_time_ns());
        return;
    }
    // §6: a leader that is not in C_new leads without counting itself until C_new is committed
    if (!in_incoming_) become_follower(hard_.term, kNoNode);
}

}  // namespace fastmas::consensus::raft
