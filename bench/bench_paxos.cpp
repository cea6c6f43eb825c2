// What does an entry cost by Multi-Paxos, and by Raft in the same run: time, messages and bytes, for 3, 5 and 7 nodes?
//
// As in bench_consensus: nodes of one thread driven by hand, every Ready done at once, one ready() a delivery, messages
// copied from node to node, commit known on all nodes before the next proposal. No network, no disk, no state machine:
// the protocol alone. Bytes are those of the encoded messages. Allocations are counted in the steady state. Median of
// interleaved repetitions.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#include "consensus/paxos/codec.hpp"
#include "consensus/paxos/node.hpp"
#include "consensus/raft/codec.hpp"
#include "consensus/raft/node.hpp"

using namespace fastmas::consensus;
using fastmas::base::Payload;

namespace {
std::uint64_t allocations = 0;
}

void* operator new(std::size_t size) {
    ++allocations;
    if (void* const memory = std::malloc(size)) return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}

namespace {

using Clock = std::chrono::steady_clock;

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

template <class P>
struct Group {
    std::vector<typename P::Node> nodes;
    std::vector<typename P::Message> wire;  // recycled: the first `count` are under way
    std::size_t count = 0;
    std::uint64_t messages = 0, bytes = 0;
    bool counts_bytes = false;
    NodeId leader = kNoNode;

    explicit Group(std::size_t size) {
        std::vector<NodeId> ids;
        for (NodeId id = 1; id <= size; ++id) ids.push_back(id);
        for (const NodeId id : ids) nodes.push_back(P::make(id, ids));
        while (leader == kNoNode) {
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
            node.step(wire[i]);
            pump(node);
        }
        count = 0;
    }
    void propose(const Payload& command, int batch) {
        auto& node = nodes[leader - 1];
        for (int i = 0; i < batch; ++i) (void)node.propose(command, {}, 0);
        pump(node);
        deliver();
    }
    bool all_committed() const {
        for (const auto& node : nodes)
            if (node.applied_index() != nodes[leader - 1].log().last_index()) return false;
        return true;
    }
};

struct Row {
    std::vector<double> per_entry_ns;
    double messages_per_burst = 0, bytes_per_burst = 0, allocations_per_entry = 0;
};

template <class P>
void measure(std::size_t nodes, std::size_t size, int batch, Row& row) {
    Group<P> group(nodes);
    const std::vector<std::byte> content(size);
    const Payload command{std::span<const std::byte>(content)};
    const int bursts = 100'000 / batch, warm = 60'000 / batch;  // one compaction at least before it counts
    for (int i = 0; i < warm; ++i) group.propose(command, batch);
    const std::uint64_t messages = group.messages, allocated = allocations;
    const auto start = Clock::now();
    for (int i = 0; i < bursts; ++i) group.propose(command, batch);
    row.per_entry_ns.push_back(std::chrono::duration<double>(Clock::now() - start).count() * 1e9 / (bursts * batch));
    row.allocations_per_entry = static_cast<double>(allocations - allocated) / (bursts * batch);
    row.messages_per_burst = static_cast<double>(group.messages - messages) / bursts;
    group.counts_bytes = true;
    for (int i = 0; i < 100; ++i) group.propose(command, batch);
    row.bytes_per_burst = static_cast<double>(group.bytes) / 100;
    if (!group.all_committed()) std::fprintf(stderr, "not all committed: the figure means nothing\n");
}

}  // namespace

int main() {
    struct Case {
        std::size_t nodes, size;
        int batch;
    };
    const Case cases[] = {{3, 16, 1}, {3, 16, 64}, {3, 256, 1}, {3, 256, 64}, {5, 16, 1}, {7, 16, 1}};
    Row rows[std::size(cases)][2];
    for (int repetition = 0; repetition < 9; ++repetition)
        for (std::size_t i = 0; i < std::size(cases); ++i) {
            measure<Raft>(cases[i].nodes, cases[i].size, cases[i].batch, rows[i][0]);
            measure<Paxos>(cases[i].nodes, cases[i].size, cases[i].batch, rows[i][1]);
        }
    for (std::size_t i = 0; i < std::size(cases); ++i)
        for (std::size_t k = 0; k < 2; ++k) {
            Row& row = rows[i][k];
            std::sort(row.per_entry_ns.begin(), row.per_entry_ns.end());
            std::printf(
                "{\"group\": \"agreement in one thread\", \"name\": \"%s, %zu nodes, %zu B, bursts of %d\", "
                "\"item\": \"entry\", \"ns_per_item\": %.1f, \"messages_per_burst\": %.1f, "
                "\"bytes_per_burst\": %.0f, \"allocations_per_item\": %.4f}\n",
                k == 0 ? Raft::kName : Paxos::kName, cases[i].nodes, cases[i].size, cases[i].batch,
                row.per_entry_ns[row.per_entry_ns.size() / 2], row.messages_per_burst, row.bytes_per_burst,
                row.allocations_per_entry);
        }
    return 0;
}
