// What the replicas' state machines were given, watched from outside: the same for every protocol.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "consensus/applier.hpp"

namespace fastmas::consensus {

// The invariant: each request takes effect once, as the same command on every replica, and not after its time. O(1) an
// entry.
class AppliedHistory {
  public:
    static constexpr const char* kInvariant =
        "each request takes effect once, as the same command on every replica, and not after its time";

    explicit AppliedHistory(std::size_t nodes) : commands_of_(nodes + 1) {}

    // The node's state machine got the entry at `log_index`, of this time. What breaks the invariant, or nothing.
    [[nodiscard]] std::string on_apply(NodeId node, Index log_index, std::int64_t time_ns, const Session& session,
                                       const Applied& applied);
    // The node's state machine stands for this many commands now: 0 after a restart, or those of a snapshot.
    void on_restore(NodeId node, std::uint64_t commands) { commands_of_[node] = commands; }

    std::uint64_t commands() const noexcept { return requests_.size(); }

  private:
    struct Request {
        Session session;
        Index log_index = 0;
    };
    std::vector<std::uint64_t> commands_of_;                      // by node id
    std::vector<Request> requests_;                               // which request became command 1, 2, ...
    std::unordered_map<std::uint64_t, std::uint64_t> sequences_;  // by client, the last that took effect
};

}  // namespace fastmas::consensus
