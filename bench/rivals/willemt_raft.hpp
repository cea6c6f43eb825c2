// A rival of bench_consensus: willemt/raft, a Raft in C, driven as our nodes are. Its sources are not here: configure
// with -DFASTMAS_WILLEMT_RAFT=<a checkout of it>.
#pragma once

#include <cstddef>

namespace fastmas::bench {

// Nanoseconds an entry: three nodes in one thread, every payload copied by each of them, commit known on all three
// before the next burst. Below 0: they did not agree.
double willemt_raft_ns(std::size_t payload_bytes, int batch, int entries);

}  // namespace fastmas::bench
