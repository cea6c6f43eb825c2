// RaftNode: entries from the future. The log's time never falls, so a single wild stamp would stay for good, and expire
// every session that ends. A majority's clocks therefore have a say in it, as in CometBFT (proposer-based timestamps):
// an entry that is too far ahead of a node's clock is not acknowledged by it. What is committed already is taken:
// others have vouched for it, and a node whose own clock is slow does not lack it.
#include "consensus/raft/node.hpp"

namespace fastmas::consensus::raft {

bool RaftNode::is_timely(std::int64_t time_ns) const noexcept {
    return !has_clock() || time_ns <= wall_ns_ ||
           static_cast<std::uint64_t>(time_ns) - static_cast<std::uint64_t>(wall_ns_) <=
               static_cast<std::uint64_t>(config_.max_clock_ahead_ns);
}

bool RaftNode::is_early() const noexcept {
    return early_term_ == hard_.term && !is_timely(early_ns_);
}

bool RaftNode::stood_early(NodeId candidate) const noexcept {
    // Its log ends with what this node would not take: it would lead and lose office again, before the others if its
    // priority has it stand first. A log that goes on in a later term is the one to be up to date with.
    return has_clock() && candidate == early_node_ && log_.last_term() <= early_term_ && !is_timely(early_ns_);
}

bool RaftNode::comes_early(const Message& message) noexcept {
    // Its heartbeats count for nothing either: they would keep it in office, and nothing would ever be committed.
    if (is_early()) return true;
    if (message.entries.empty() || message.entries.back().index <= message.commit ||
        is_timely(message.entries.back().time_ns))
        return false;
    early_term_ = hard_.term;
    early_node_ = message.from;
    early_ns_ = message.entries.back().time_ns;
    ++counters_.early_leaders;
    return true;
}

}  // namespace fastmas::consensus::raft
