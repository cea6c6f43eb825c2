// What does agreement among liars cost: messages and bytes a commit, and how many entries a second in one thread?
//
// BFT nodes driven by hand with the simulation's signatures: every Ready is done at once, messages are copied from node
// to node, a block is decided on all nodes before the next burst. No network, no disk, no state machine: the protocol
// alone, with every proposal and vote signed once and checked by everybody. Median of interleaved repetitions.
// Allocations are counted: a block costs some, an entry in it must cost none.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#include "consensus/bft/codec.hpp"
#include "consensus/bft/node.hpp"
#include "consensus/simulation/bft/sim_signer.hpp"

using namespace fastmas::consensus;
using namespace fastmas::consensus::bft;
using fastmas::base::Payload;

namespace {
std::uint64_t allocations = 0;
}  // namespace

void* operator new(std::size_t size) {
    ++allocations;
    if (void* memory = std::malloc(size != 0 ? size : 1)) return memory;
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

struct Cluster {
    std::vector<std::unique_ptr<BftNode>> nodes;
    std::vector<Message> wire;  // recycled: the first `count` are under way
    std::size_t count = 0;
    Message taken;
    std::uint64_t messages = 0, bytes = 0, sequence = 0;

    explicit Cluster(std::size_t size) {
        const SimKeys keys(size, 1);
        for (NodeId id = 1; id <= size; ++id) {
            BftConfig config;
            config.id = id;
            config.checkpoint_every = 1'000;
            for (NodeId other = 1; other <= size; ++other)
                config.validators.push_back({other, 1, keys.signers[other - 1]->public_key()});
            nodes.push_back(std::make_unique<BftNode>(config, keys.signers[id - 1], keys.verifier));
        }
    }
    void pump(BftNode& node) {
        while (node.has_ready()) {
            const Ready& ready = node.ready();
            for (const Message& sent : ready.messages) {
                if (count == wire.size()) wire.emplace_back();
                wire[count++] = sent;
            }
            node.advance();
            if (node.checkpoint_due()) node.compact(node.applied_index(), Payload());
        }
    }
    void deliver() {
        for (std::size_t i = 0; i < count; ++i) {
            ++messages;
            bytes += encoded_size(wire[i]);
            BftNode& node = *nodes[wire[i].to - 1];
            taken = wire[i];  // pump() may move the wire
            node.step(taken);
            pump(node);
        }
        count = 0;
    }
    void propose(const Payload& command, int batch) {
        BftNode& node = *nodes[0];
        for (int i = 0; i < batch; ++i) {
            ++sequence;
            (void)node.propose(command, {1, sequence, sequence - 1}, 0);
        }
        pump(node);
        deliver();
    }
    bool all_decided() const {
        return std::all_of(nodes.begin(), nodes.end(),
                           [&](const auto& node) { return node->applied_index() == sequence; });
    }
};

struct Row {
    const char* name;
    std::size_t nodes;
    int batch;
    std::vector<double> per_entry_ns = {};
    double messages = 0, bytes = 0, allocated = 0;
    double median() {
        std::sort(per_entry_ns.begin(), per_entry_ns.end());
        return per_entry_ns[per_entry_ns.size() / 2];
    }
};

void measure(Row& row) {
    Cluster cluster(row.nodes);
    const std::vector<std::byte> content(16);
    const Payload command{std::span<const std::byte>(content)};
    const int bursts = row.batch == 1 ? 1'500 : 300;
    for (int i = 0; i < bursts / 5; ++i) cluster.propose(command, row.batch);
    const std::uint64_t messages = cluster.messages, bytes = cluster.bytes;
    const std::uint64_t allocated = allocations;
    const auto start = Clock::now();
    for (int i = 0; i < bursts; ++i) cluster.propose(command, row.batch);
    const double ns = std::chrono::duration<double>(Clock::now() - start).count() * 1e9;
    row.allocated = static_cast<double>(allocations - allocated) / bursts;
    if (!cluster.all_decided()) std::fprintf(stderr, "not all decided: the figure means nothing\n");
    row.per_entry_ns.push_back(ns / (static_cast<double>(bursts) * row.batch));
    row.messages = static_cast<double>(cluster.messages - messages) / bursts;
    row.bytes = static_cast<double>(cluster.bytes - bytes) / bursts;
}

}  // namespace

int main() {
    // 3, 5 and 7 beside Raft and Paxos, though three nodes bear no liar; 4 and 10 bear one and three
    Row rows[] = {{"3 nodes, 16 B, one at a time", 3, 1},   {"4 nodes, 16 B, one at a time", 4, 1},
                  {"5 nodes, 16 B, one at a time", 5, 1},   {"7 nodes, 16 B, one at a time", 7, 1},
                  {"10 nodes, 16 B, one at a time", 10, 1}, {"3 nodes, 16 B, bursts of 64", 3, 64},
                  {"4 nodes, 16 B, bursts of 64", 4, 64},   {"4 nodes, 16 B, bursts of 256", 4, 256},
                  {"5 nodes, 16 B, bursts of 64", 5, 64},   {"7 nodes, 16 B, bursts of 64", 7, 64},
                  {"10 nodes, 16 B, bursts of 64", 10, 64}};
    for (int repetition = 0; repetition < 11; ++repetition)
        for (Row& row : rows) measure(row);
    for (Row& row : rows)
        std::printf(
            "{\"group\": \"bft, one thread, simulated signatures\", \"name\": \"%s\", \"item\": \"entry\", "
            "\"ns_per_item\": %.1f, \"messages_per_commit\": %.1f, \"bytes_per_commit\": %.0f, "
            "\"allocations_per_block\": %.1f}\n",
            row.name, row.median(), row.messages, row.bytes, row.allocated);
    return 0;
}
