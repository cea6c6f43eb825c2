// What nodes say to one another.
#pragma once

#include <cstdint>
#include <span>
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
    snapshot = 7,        // InstallSnapshot, one part at a time (paper §7, figure 13)
    timeout_now = 8,     // stand for election at once: the leader hands over (thesis §3.10)
    snapshot_reply = 9,  // how much of it has come
};

// A part of a snapshot: `state` holds its bytes from `offset` on. The rest says which whole it belongs to, so that a
// transfer that broke off goes on where it was, also from another leader that has the same.
struct SnapshotPart : Snapshot {
    std::uint64_t offset = 0;
    std::uint64_t size = 0;      // of the whole state
    std::uint64_t checksum = 0;  // of the whole state

    SnapshotPart() = default;
    SnapshotPart(Snapshot whole);  // the only part of it

    bool is_of_same(const SnapshotPart& other) const noexcept {
        return index == other.index && term == other.term && size == other.size && checksum == other.checksum &&
               time_ns == other.time_ns && membership == other.membership;
    }
    friend bool operator==(const SnapshotPart&, const SnapshotPart&) = default;
};

std::uint64_t checksum_of(std::span<const std::byte> state) noexcept;

// One struct for all types, so that a slot can be reused whatever it carries; a field that its type does not use is
// zero.
struct Message {
    MessageType type = MessageType::append;
    bool reject = false;  // replies
    bool force = false;   // vote: on the leader's own request, so that whoever hears that leader answers, too
    bool lost = false;    // refusing append_reply: what it acknowledged from hint_index on, its disk has damaged
    NodeId from = kNoNode;
    NodeId to = kNoNode;
    Term term = 0;      // the sender's; of pre_vote and a granting pre_vote_reply: the term the candidate would start
    Index index = 0;    // vote: last log index; append: index before the entries; append_reply: last index known to
                        // match, or the one refused; snapshot_reply: that of the snapshot
    Term log_term = 0;  // the term of the entry at `index` (vote, append)
    Index commit = 0;   // append: the leader's commit index
    // refusing append_reply: first index of hint_term, or one past the last entry (paper §5.3, end); snapshot_reply:
    // how many bytes have come, so where the next part begins
    Index hint_index = 0;
    Term hint_term = 0;          // refusing append_reply: the conflicting entry's term, 0 when the log is too short
    std::uint64_t round = 0;     // append: the leader's latest round of reads; append_reply: that of the append
    std::vector<Entry> entries;  // append
    base::Boxed<SnapshotPart> snapshot;  // snapshot

    friend bool operator==(const Message&, const Message&) = default;
};

const char* to_string(MessageType type) noexcept;

}  // namespace fastmas::consensus::raft
