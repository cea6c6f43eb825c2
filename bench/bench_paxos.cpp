// What does an entry cost by Multi-Paxos, and by Raft in the same run: time, messages and bytes, for 3, 5 and 7 nodes?
//
// As in bench_consensus: driven by hand (hand_driven.hpp), payloads copied by every node, commit known on all nodes
// before the next proposal. Bytes are those of the encoded messages. Allocations are counted in the steady state; a
// payload of 256 B is one at every node. Median of interleaved repetitions.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <vector>

#include "hand_driven.hpp"

using namespace fastmas::bench;

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

struct Row {
    std::vector<double> per_entry_ns;
    double messages_per_burst = 0, bytes_per_burst = 0, allocations_per_entry = 0;
};

template <class P>
void measure(std::size_t nodes, std::size_t size, int batch, Row& row) {
    Group<P> group(nodes, Carries::copies);
    const std::vector<std::byte> command(size);
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
