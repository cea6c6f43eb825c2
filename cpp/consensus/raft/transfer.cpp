// RaftNode: handing the leadership over (thesis §3.10).
#include "base/errors.hpp"
#include "consensus/raft/node.hpp"

namespace fastmas::consensus::raft {

ProposeStatus RaftNode::transfer_leadership(NodeId target) {
    enter();
    if (role_ != Role::leader) return ProposeStatus::not_leader;
    Progress* peer = find(target);
    if (peer == nullptr || !peer->incoming || peer->witness)
        throw base::ConfigError("leadership goes to another voter that is no witness, got node " +
                                std::to_string(target) + "; see membership()");
    if (transferee_ != kNoNode || change_is_open()) return ProposeStatus::busy;
    transferee_ = target;
    transfer_elapsed_ = 0;
    handed_over_ = false;
    if (!hand_over(*peer)) send_where_needed(*peer);
    return ProposeStatus::appended;
}

bool RaftNode::hand_over(const Progress& peer) {
    // thesis §3.10: the target's log is brought up to date first, else it could not win
    if (peer.match != log_.last_index()) return false;
    send(MessageType::timeout_now, peer.id, hard_.term);
    // Whoever gets it stands at once, and its voters do not wait: however late it arrives, no lease holds in this term.
    lease_is_void_ = handed_over_ = true;
    return true;
}

void RaftNode::tick_transfer() {
    // thesis §3.10: if it does not complete within about an election time-out, the leader takes commands again
    if (transferee_ != kNoNode && ++transfer_elapsed_ >= config_.election_ticks) transferee_ = kNoNode;
}

void RaftNode::handle_timeout_now(const Message& message) {
    if (role_ != Role::follower || (leader_ != kNoNode && leader_ != message.from) || !may_lead() || storage_hangs())
        return;
    // no pre-vote: the leader itself asks for it
    campaign(false, true);
}

}  // namespace fastmas::consensus::raft
