// What a node wants done, and in which order.
#pragma once

#include <cstdint>
#include <span>

#include "consensus/raft/message.hpp"
#include "consensus/types.hpp"

namespace fastmas::consensus::raft {

// A read that may be answered, once the state machine has applied `index`, or that may not.
struct ReadState {
    std::uint64_t context = 0;  // the caller's own
    Index index = 0;
    bool is_confirmed = false;                // false: this node leads no more; ask the one that does
    std::int64_t valid_until_ns = INT64_MAX;  // of a lease: to be answered before, by the clock that tick() is given

    friend bool operator==(const ReadState&, const ReadState&) = default;
};

// The caller's duties, in this order:
//   1. `snapshot` (when there is one) replaces the stored snapshot and every stored entry it covers or contradicts
//   (with
//      asynchronous storage not one that a compaction has taken further meanwhile);
//   2. `entries` are stored; whatever the disk holds from entries.front().index on is replaced by them (with
//      asynchronous storage not by those that a compaction covers meanwhile: after damaged() they may have been
//      applied);
//   3. `hard_state` (when there is one) is stored;
//   4. when `must_sync`, 1-3 are made durable before anything of 5 leaves: a crash between them must look as if nothing
//      had been said (paper §5.1, figure 2: persistent state is updated before responding);
//   5. `messages` are sent, in any order, each at most once or more than once or not at all;
//   6. the state machine is replaced by `snapshot`, then gets each entry of `committed`, in order, exactly once;
//   7. RaftNode::advance(). Until then the node takes no other call, and the spans stay valid.
//
// With RaftConfig::async_storage the writes overlap the rest. Duties 1 to 3 are then handed to a storage that works
// through them in order, as the write numbered `write`; 4 is gone: `messages` are those that wait for no write (a
// leader's appends above all), the node keeps votes and acknowledgements back until what they promise is durable; and
// `committed` holds only what is durable here. Once write w and all before it are durable, the caller says stored(w);
// it may leave numbers out. advance() says that all is taken over. After a crash, the storage holds a prefix of the
// writes.
struct Ready {
    std::uint64_t write = 0;  // async_storage: the number of this write, 0 when nothing is to be stored
    const Snapshot* snapshot = nullptr;
    std::span<const Entry> entries;
    const HardState* hard_state = nullptr;
    bool must_sync = false;
    std::span<const Message> messages;
    std::span<const Entry> committed;
    std::span<const ReadState> reads;  // with 6: each is answered from the state machine once `index` is applied
};

}  // namespace fastmas::consensus::raft
