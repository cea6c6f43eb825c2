// What nodes say to one another.
#pragma once

#include <cstdint>
#include <vector>

#include "base/boxed.hpp"
#include "consensus/raft/types.hpp"

namespace fastmas::consensus::raft {

enum class MessageType : std::uint8_t {
    pre_vote = 1,  // would you vote for me in `term`? (thesis §9.6)
    pre_vote_reply = 2,
    vote = 3,  // RequestVote (paper §5.2)
    vote_reply = 4,
    append = 5,  // AppendEntries; without entries it is the heartbeat (paper §5.2, §5.3)
    append_reply = 6,
    snapshot = 7,     // InstallSnapshot in one piece (paper §7)
    timeout_now = 8,  // stand for election at once: the leader hands over (thesis §3.10)
};

// One struct for all types, so that a slot can be reused whatever it carries; a field that its type does not use is
// zero.
struct Message {
    MessageType type = MessageType::append;
    bool reject = false;  // replies
    bool force = false;   // vote: on the leader's own request, so that whoever hears that leader answers, too
    NodeId from = kNoNode;
    NodeId to = kNoNode;
    Term term = 0;      // the sender's; of pre_vote and a granting pre_vote_reply: the term the candidate would start
    Index index = 0;    // vote: last log index; append: index before the entries; append_reply: last index known to
                        // match, or the one refused
    Term log_term = 0;  // the term of the entry at `index` (vote, append)
    Index commit = 0;   // append: the leader's commit index
    Index hint_index =
        0;  // refusing append_reply: first index of hint_term, or one past the last entry (paper §5.3, end)
    Term hint_term = 0;              // refusing append_reply: the conflicting entry's term, 0 when the log is too short
    std::uint64_t round = 0;         // append: the leader's latest round of reads; append_reply: that of the append
    std::vector<Entry> entries;      // append
    base::Boxed<Snapshot> snapshot;  // snapshot

    friend bool operator==(const Message&, const Message&) = default;
};

const char* to_string(MessageType type) noexcept;

}  // namespace fastmas::consensus::raft
