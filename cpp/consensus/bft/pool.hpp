// Commands that wait to be proposed: bounded, each request once, a client's requests in their order.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "consensus/bft/chain.hpp"

namespace fastmas::consensus::bft {

// Not thread-safe. Adding and removing cost O(log n). Who sends commands for others (another node) has a share of the
// places, so that no liar takes them all; a node's own clients come before what others say in their name.
class CommandPool {
  public:
    struct Limits {
        std::size_t commands = 65'536;
        std::size_t bytes = 64U << 20;
        std::size_t others_share = 4;  // a peer has at most 1 / n of both
    };
    enum class Added : std::uint8_t { added, duplicate, full, expired };

    CommandPool(NodeId own, Limits limits) : own_(own), limits_(limits) {}

    Added add(const Command& command, NodeId from, const ClientMarks& marks);
    // Whether it holds that request, whoever said it.
    bool has(const Session& session) const noexcept;
    // What a block can hold now, oldest clients first, each client's run in order.
    std::vector<Command> take(const ChainLimits& limits, const ClientMarks& marks) const;
    // Whether take() would give anything. O(clients).
    bool has_eligible(const ClientMarks& marks) const noexcept;
    // Forgets a request that no block can hold.
    void reject(const Session& session);
    // Forgets what was decided.
    void remove_decided(const Block& block);
    void remove_decided(const ClientMarks& marks);
    // At most so many, to be sent to all once more: of the node's own clients, or all.
    void waiting(std::size_t most, bool only_own, std::vector<Command>& out) const;
    // Forgets what has waited for a request before it for this many calls, and what is over by the blocks' time.
    void expire(const ClientMarks& marks, std::uint32_t calls);
    std::size_t size() const noexcept { return size_; }

  private:
    struct Item {
        Command command;
        NodeId from = kNoNode;
        std::uint64_t arrival = 0;
        std::uint32_t age = 0;
    };
    using Requests = std::map<std::uint64_t, Item>;  // by sequence
    struct Usage {
        std::size_t commands = 0;
        std::size_t bytes = 0;
    };
    using Clients = std::map<std::uint64_t, Requests>;
    // Nodes of a map that are free, so that a pool that breathes allocates nothing. A copy begins without any.
    template <class Node>
    struct Spare {
        Spare() = default;
        Spare(const Spare&) noexcept {}
        Spare& operator=(const Spare&) noexcept { return *this; }
        Spare(Spare&&) noexcept = default;
        Spare& operator=(Spare&&) noexcept = default;
        ~Spare() = default;
        std::vector<Node> nodes;
    };
    static Requests::const_iterator next_of(std::uint64_t client, const Requests& requests,
                                            const ClientMarks& marks) noexcept;
    void drop(Requests& requests, Requests::iterator at);
    Requests& requests_of(std::uint64_t client);
    Clients::iterator forget_empty(Clients::iterator client);

    NodeId own_;
    Limits limits_;
    Clients clients_;
    Spare<Requests::node_type> spare_items_;  // never more than there were at once
    Spare<Clients::node_type> spare_clients_;
    std::map<NodeId, Usage> usage_;
    std::size_t size_ = 0;
    std::size_t bytes_ = 0;
    std::uint64_t arrivals_ = 0;
};

}  // namespace fastmas::consensus::bft
