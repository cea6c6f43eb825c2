// What a node wants done, and in which order.
#pragma once

#include <span>

#include "consensus/bft/message.hpp"

namespace fastmas::consensus::bft {

// The caller's duties, in this order:
//   1. `snapshot` (when there is one) replaces the stored snapshot and every stored block up to its height;
//   2. `decided` blocks are stored with their certificates, after those that are there;
//   3. `hard_state` (when there is one) is stored, in one piece with 2: never the one without the other;
//   4. when `must_sync`, 1-3 are made durable before anything of 5 leaves: a vote that was sent and forgotten could be
//      contradicted after a restart (PITFALLS 35);
//   5. `messages` are sent, in any order, each at most once or more than once or not at all;
//   6. the state machine is replaced by `snapshot`, then gets each entry of `committed`, in order, exactly once;
//   7. BftNode::advance(). Until then the node takes no other call, and the spans stay valid.
// `committed` never goes past a checkpoint height: after that Ready compact() may be called, or not.
//
// With BftConfig::async_storage the writes overlap the rest. Duties 1 to 3 are then handed to a storage that works
// through them in order, each all or nothing, as the write numbered `write`; 4 is gone: `messages` are those that wait
// for no write (commands, statuses, checkpoints), the node keeps proposals, votes and blocks back until all that they
// rest on is durable here, and `committed` holds only blocks that are. Once write w and all before it are durable, the
// caller says stored(w); it may leave numbers out. advance() says that all is taken over. After a crash, the storage
// holds a prefix of the writes: what the lost ones said has left the node by no way.
struct Ready {
    std::uint64_t write = 0;  // async_storage: the number of this write, 0 when nothing is to be stored
    const Snapshot* snapshot = nullptr;
    std::span<const Decided> decided;
    const HardState* hard_state = nullptr;
    bool must_sync = false;
    std::span<const Message> messages;
    std::span<const Entry> committed;
};

}  // namespace fastmas::consensus::bft
