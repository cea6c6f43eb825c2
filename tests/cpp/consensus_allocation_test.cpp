// An entry that is agreed on allocates nothing once a node has met as many: buffers, slots and messages are used again.
// A block of BFT, which is kept with its certificate, allocates what is kept and little more, whatever is in it.
#include <cstdlib>
#include <new>

#include "../../bench/hand_driven.hpp"
#include "check.hpp"
#include "consensus/bft/node.hpp"
#include "consensus/simulation/bft/sim_signer.hpp"

using namespace fastmas::bench;
namespace bft = fastmas::consensus::bft;

namespace {
std::uint64_t allocations = 0;
}

// not inlined: a compiler that sees malloc() here and delete there takes them for a mismatch
[[gnu::noinline]] void* operator new(std::size_t size) {
    ++allocations;
    if (void* const memory = std::malloc(size)) return memory;
    throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
    std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}

namespace {

template <class P>
std::uint64_t allocations_of(std::size_t nodes, int batch, Carries carries) {
    Group<P> group(nodes, carries);
    const std::vector<std::byte> command(16);
    const int entries = 20'000, warm = 120'000;  // two compactions, which leave room behind
    for (int i = 0; i < warm / batch; ++i) group.propose(command, batch);
    const std::uint64_t before = allocations;
    for (int i = 0; i < entries / batch; ++i) group.propose(command, batch);
    CHECK(group.all_committed());
    return allocations - before;
}

struct BftGroup {
    std::vector<bft::BftNode> nodes;
    std::vector<bft::Message> wire;  // recycled: the first `count` are under way
    std::size_t count = 0;
    bft::Message taken;
    std::uint64_t sequence = 0;

    explicit BftGroup(std::size_t size) {
        const bft::SimKeys keys(size, 1);
        bft::BftConfig config;
        config.checkpoint_every = 1'000'000;
        for (NodeId id = 1; id <= size; ++id) config.validators.push_back({id, 1, keys.signers[id - 1]->public_key()});
        for (config.id = 1; config.id <= size; ++config.id)
            nodes.emplace_back(config, keys.signers[config.id - 1], keys.verifier);
    }
    void pump(bft::BftNode& node) {
        while (node.has_ready()) {
            for (const bft::Message& sent : node.ready().messages) {
                if (count == wire.size()) wire.emplace_back();
                wire[count++] = sent;
            }
            node.advance();
        }
    }
    void propose(const Payload& command, int batch) {
        for (int i = 0; i < batch; ++i, ++sequence) (void)nodes[0].propose(command, {1, sequence + 1, sequence}, 0);
        pump(nodes[0]);
        for (std::size_t i = 0; i < count; ++i) {
            taken = wire[i];  // pump() may move the wire
            nodes[taken.to - 1].step(taken);
            pump(nodes[taken.to - 1]);
        }
        count = 0;
    }
};

}  // namespace

TEST(raft_allocates_nothing_an_entry) {
    for (const std::size_t nodes : {std::size_t{3}, std::size_t{5}})
        for (const int batch : {1, 64}) CHECK_EQUAL(allocations_of<Raft>(nodes, batch, Carries::copies), 0U);
    CHECK_EQUAL(allocations_of<Raft>(3, 1, Carries::encoded), 0U);
}

TEST(paxos_allocates_nothing_an_entry) {
    for (const std::size_t nodes : {std::size_t{3}, std::size_t{5}})
        for (const int batch : {1, 64}) CHECK_EQUAL(allocations_of<Paxos>(nodes, batch, Carries::copies), 0U);
    CHECK_EQUAL(allocations_of<Paxos>(3, 1, Carries::encoded), 0U);
}

TEST(bft_allocates_what_it_keeps_of_a_block) {
    const Payload command{std::vector<std::byte>(16)};
    for (const std::size_t nodes : {std::size_t{4}, std::size_t{7}})
        for (const int batch : {1, 64}) {
            BftGroup group(nodes);
            const std::uint64_t blocks = 1'000;
            for (std::uint64_t i = 0; i < blocks; ++i) group.propose(command, batch);
            const std::uint64_t before = allocations;
            for (std::uint64_t i = 0; i < blocks; ++i) group.propose(command, batch);
            const std::uint64_t made = allocations - before;
            for (const bft::BftNode& node : group.nodes) CHECK_EQUAL(node.applied_index(), group.sequence);
            // the block, its commands and whose they are; each node's certificate, and a fifth of a piece of its log
            const std::uint64_t kept = blocks * 3 + nodes * (blocks + blocks / 5);
            CHECK(made >= kept - nodes);
            CHECK(made <= kept + nodes * 4);
        }
}

TEST(what_it_counts_with_sees_an_allocation) {
    const std::uint64_t before = allocations;
    CHECK(Payload(std::vector<std::byte>(256)).size() == 256);
    CHECK(allocations > before);
}

TEST_MAIN
