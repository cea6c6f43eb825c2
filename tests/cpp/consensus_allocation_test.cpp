// An entry that is agreed on allocates nothing once a node has met as many: buffers, slots and messages are used again.
#include <cstdlib>
#include <new>

#include "../../bench/hand_driven.hpp"
#include "check.hpp"

using namespace fastmas::bench;

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

TEST(what_it_counts_with_sees_an_allocation) {
    const std::uint64_t before = allocations;
    CHECK(Payload(std::vector<std::byte>(256)).size() == 256);
    CHECK(allocations > before);
}

TEST_MAIN
