// How many entries a second do three Raft nodes in one thread agree on, and what does one entry cost?
//
// The nodes are driven by hand (hand_driven.hpp), what messages carry is copied from node to node, commit is known on
// all three before the next proposal. In the same run, the floor: the memory a message of that size moves
// (copying it), and encoding plus decoding it; and where its sources are at hand, willemt/raft (rivals/). Median of
// interleaved repetitions.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

#include "hand_driven.hpp"

#ifdef FASTMAS_WILLEMT_RAFT
#include "rivals/willemt_raft.hpp"
#endif

using namespace fastmas::bench;
using fastmas::consensus::EntryKind;
using fastmas::consensus::Index;

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Row {
    const char* name;
    std::vector<double> per_entry_ns;
    double messages_per_burst = 0;
    double median() {
        std::sort(per_entry_ns.begin(), per_entry_ns.end());
        return per_entry_ns[per_entry_ns.size() / 2];
    }
};

constexpr int kEntries = 60'000;

double measure(std::size_t size, int batch, bool encoded, Row& row) {
    Group<Raft> trio(3, encoded ? Carries::encoded : Carries::copies);
    const std::vector<std::byte> content(size);
    const int bursts = kEntries / batch;
    for (int i = 0; i < bursts / 5; ++i) trio.propose(content, batch);
    const std::uint64_t before = trio.messages;
    const auto start = Clock::now();
    for (int i = 0; i < bursts; ++i) trio.propose(content, batch);
    const double ns = seconds_since(start) * 1e9 / (bursts * batch);
    if (!trio.all_committed()) std::fprintf(stderr, "not all committed: the figure means nothing\n");
    row.messages_per_burst = static_cast<double>(trio.messages - before) / bursts;
    row.per_entry_ns.push_back(ns);
    return ns;
}

// What moving one append of one entry costs by itself.
void floors(std::size_t size, Row& copy, Row& codec) {
    const std::vector<std::byte> content(size);
    raft::Message message, other;
    message.entries.push_back({1, 1, 0, {1, 1, 0}, EntryKind::command, Payload(std::span<const std::byte>(content))});
    other = message;
    const int times = 300'000;
    auto start = Clock::now();
    for (int i = 0; i < times; ++i) {
        message.index = static_cast<Index>(i);
        other = message;
        asm volatile("" : : "r"(&other) : "memory");
    }
    copy.per_entry_ns.push_back(seconds_since(start) * 1e9 / times);
    std::vector<std::byte> bytes;
    start = Clock::now();
    for (int i = 0; i < times; ++i) {
        message.index = static_cast<Index>(i);
        bytes.clear();
        encode(message, bytes);
        decode(bytes, other);
        asm volatile("" : : "r"(&other) : "memory");
    }
    codec.per_entry_ns.push_back(seconds_since(start) * 1e9 / times);
}

}  // namespace

int main() {
    Row rows[] = {{"16 B, one at a time", {}},
                  {"16 B, one at a time, encoded", {}},
                  {"16 B, bursts of 64", {}},
                  {"256 B, one at a time", {}},
                  {"256 B, bursts of 64", {}}};
#ifdef FASTMAS_WILLEMT_RAFT
    struct Rival {
        Row row;
        std::size_t size;
        int batch;
    } rivals[] = {{{"willemt/raft, 16 B, one at a time", {}}, 16, 1},
                  {{"willemt/raft, 16 B, bursts of 64", {}}, 16, 64},
                  {{"willemt/raft, 256 B, one at a time", {}}, 256, 1},
                  {{"willemt/raft, 256 B, bursts of 64", {}}, 256, 64}};
#endif
    Row copy{"floor: copy one append of 16 B", {}}, codec{"floor: encode and decode it", {}};
    for (int repetition = 0; repetition < 11; ++repetition) {
        measure(16, 1, false, rows[0]);
        measure(16, 1, true, rows[1]);
        measure(16, 64, false, rows[2]);
        measure(256, 1, false, rows[3]);
        measure(256, 64, false, rows[4]);
        floors(16, copy, codec);
#ifdef FASTMAS_WILLEMT_RAFT
        for (Rival& rival : rivals)
            rival.row.per_entry_ns.push_back(fastmas::bench::willemt_raft_ns(rival.size, rival.batch, kEntries));
#endif
    }
    const char* const line =
        "{\"group\": \"raft, three nodes, one thread\", \"name\": \"%s\", \"item\": \"entry\", \"ns_per_item\": %.1f, "
        "\"messages_per_burst\": %.1f, \"rival\": %s}\n";
    for (Row& row : rows) std::printf(line, row.name, row.median(), row.messages_per_burst, "false");
    for (Row* row : {&copy, &codec}) std::printf(line, row->name, row->median(), 0.0, "false");
#ifdef FASTMAS_WILLEMT_RAFT
    for (Rival& rival : rivals) std::printf(line, rival.row.name, rival.row.median(), 0.0, "true");
#endif
    return 0;
}
