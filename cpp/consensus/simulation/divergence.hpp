// Compares what the replicas made of each command; the majority's result is the cluster's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "consensus/types.hpp"

namespace fastmas::consensus {

// Not thread-safe. One word is kept for each decided command; votes only until a majority agrees.
class DivergenceMonitor {
  public:
    struct Verdict {
        bool decided_now = false;      // a majority agrees since this vote, and this vote is among it
        bool agrees = true;            // false: this node's result differs from the majority's
        std::vector<NodeId> diverged;  // earlier votes that turn out to differ
        bool impossible = false;       // the votes still out cannot make a majority any more
    };

    explicit DivergenceMonitor(std::size_t nodes) : nodes_(nodes) {}

    // `node` applied command `index` (1-based) with this fingerprint. A node that replays after a restart votes again.
    Verdict vote(NodeId node, std::uint64_t index, std::uint64_t fingerprint);
    // `node` has the state of somebody who applied command `index`, as a copy: it votes as they all did. As long as
    // those differ, nobody knows whose state it is, and it has no vote.
    Verdict copied(NodeId node, std::uint64_t index);

  private:
    struct Vote {
        NodeId node;
        std::uint64_t fingerprint;
    };
    struct Open {
        std::uint64_t index = 0;
        std::vector<Vote> votes;
    };
    Open& open(std::uint64_t index);

    std::size_t nodes_;
    std::vector<std::uint64_t> fingerprints_;  // of the decided commands
    std::vector<bool> decided_;
    std::vector<Open> open_;  // the first open_count_ are in use, the rest keep their capacity
    std::size_t open_count_ = 0;
};

}  // namespace fastmas::consensus
