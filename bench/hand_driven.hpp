// Raft and Paxos nodes of one thread, driven by hand: every Ready is done at once, one ready() a delivery, messages
// copied from node to node. No network, no disk, no state machine: the protocol alone.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "consensus/paxos/codec.hpp"
#include "consensus/paxos/node.hpp"
#include "consensus/raft/codec.hpp"
#include "consensus/raft/node.hpp"

namespace fastmas::bench {

using base::Payload;
using consensus::NodeId;
namespace raft = consensus::raft;
namespace paxos = consensus::paxos;

struct Raft {
    static constexpr const char* kName = "raft";
    using Node = raft::RaftNode;
    using Message = raft::Message;
    static Node make(NodeId id, const std::vector<NodeId>& nodes) {
        raft::RaftConfig config;
        config.id = id;
        config.voters = nodes;
        return Node(config);
    }
    static bool leads(const Node& node) { return node.role() == raft::Role::leader; }
};
struct Paxos {
    static constexpr const char* kName = "paxos";
    using Node = paxos::PaxosNode;
    using Message = paxos::Message;
    static Node make(NodeId id, const std::vector<NodeId>& nodes) {
        paxos::PaxosConfig config;
        config.id = id;
        config.nodes = nodes;
        return Node(config);
    }
    static bool leads(const Node& node) { return node.role() == paxos::Role::leader; }
};

// What a message does between two nodes besides being copied, in which a payload of more than 40 bytes is shared.
enum class Carries : std::uint8_t { shared, copies, encoded };

template <class P>
struct Group {
    std::vector<typename P::Node> nodes;
    std::vector<typename P::Message> wire;  // recycled: the first `count` are under way
    std::size_t count = 0;
    std::uint64_t messages = 0, bytes = 0;
    bool counts_bytes = false;
    Carries carries = Carries::shared;
    std::vector<std::byte> buffer;
    NodeId leader = consensus::kNoNode;

    explicit Group(std::size_t size, Carries carried = Carries::shared) : carries(carried) {
        std::vector<NodeId> ids;
        for (NodeId id = 1; id <= size; ++id) ids.push_back(id);
        for (const NodeId id : ids) nodes.push_back(P::make(id, ids));
        while (leader == consensus::kNoNode) {
            for (auto& node : nodes) {
                node.tick();
                pump(node);
                deliver();
            }
            for (auto& node : nodes)
                if (P::leads(node)) leader = node.id();
        }
    }
    void pump(typename P::Node& node) {
        while (node.has_ready()) {
            const auto& ready = node.ready();
            for (const auto& message : ready.messages) {
                if (count == wire.size()) wire.emplace_back();
                wire[count++] = message;
                if (counts_bytes) bytes += encoded_size(message);
            }
            node.advance();
            if (node.applied_index() > node.log().first_index() + 50'000) node.compact(node.applied_index(), Payload());
        }
    }
    void deliver() {
        for (std::size_t i = 0; i < count; ++i) {
            ++messages;
            auto& node = nodes[wire[i].to - 1];
            if (carries == Carries::encoded) {
                buffer.clear();
                encode(wire[i], buffer);
                decode(buffer, wire[i]);
            } else if (carries == Carries::copies) {
                for (auto& entry : wire[i].entries) entry.command = Payload(entry.command.bytes());
            }
            node.step(wire[i]);
            pump(node);
        }
        count = 0;
    }
    // Decided and known to be on all nodes when it returns.
    void propose(std::span<const std::byte> command, int batch) {
        auto& node = nodes[leader - 1];
        for (int i = 0; i < batch; ++i) (void)node.propose(Payload(command), {}, 0);
        pump(node);
        deliver();
    }
    bool all_committed() const {
        for (const auto& node : nodes)
            if (node.applied_index() != nodes[leader - 1].log().last_index()) return false;
        return true;
    }
};

}  // namespace fastmas::bench
