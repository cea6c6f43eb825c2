// Who stands between the nodes of a simulated cluster and its clients: what a server would do with what its node tells.
#pragma once

#include <cstdint>

#include "consensus/applier.hpp"

namespace fastmas::consensus {

// The node that something happened at, its state machine, the time, and what the node's own clock says: it never falls,
// and may run slow or fast.
struct Server {
    NodeId node = kNoNode;
    Applier* applier = nullptr;
    std::int64_t now_ns = 0;
    std::int64_t clock_ns = 0;
};

// A simulated read's context: how much was committed when it was asked for, which its answer must cover, and a number
// that tells it from others at the same place.
inline constexpr std::uint64_t read_context(Index committed, std::uint32_t number) noexcept {
    return std::uint64_t{number} << 32 | committed;
}
inline constexpr Index must_cover(std::uint64_t context) noexcept {
    return context & 0xffff'ffffU;
}

// Calls come in the middle of a node's duties: no call into the cluster is allowed in them.
class SimObserver {
  public:
    virtual ~SimObserver() = default;
    // The node begins with empty hands: what it was asked before is forgotten.
    virtual void began(NodeId node) = 0;
    // The node's machine got this request of a session: it took effect now, or did so earlier and this was its result.
    // nullptr: a later one of its session has overtaken it, and whether it took effect nobody knows any more.
    virtual void applied(const Server& at, const Session& session, const Result* result) = 0;
    // The node's machine was replaced by a snapshot; results are in its session table.
    virtual void restored(const Server& at) = 0;
    // The node's machine stands at another place of the log, and all of the above was told.
    virtual void advanced(const Server& at) = 0;
    // A read was confirmed (to be answered once the machine has applied `index`, before `valid_until_ns` by the node's
    // clock), or was not.
    virtual void read(const Server& at, std::uint64_t context, Index index, bool is_confirmed,
                      std::int64_t valid_until_ns) = 0;
};

}  // namespace fastmas::consensus
