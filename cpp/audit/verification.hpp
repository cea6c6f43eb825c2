// Walks an audit file from end to end: proves that nothing was altered, or says what was and where.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "audit/scanner.hpp"

namespace fastmas::audit {

// Where everything is: one entry a record (its place is its sequence), one a block. Built on the way when asked for.
struct Index {
    std::vector<std::uint64_t> offsets;
    std::vector<std::uint64_t> ids;
    std::vector<std::uint32_t> types;
    std::vector<std::uint32_t> counts;
    std::vector<Footer> footers;
};

struct WalkOptions {
    bool check_hashes = true;     // without: checksums, order and chain, but not each record against its block's root
    bool allow_unclosed = false;  // a file without trailer is walked up to its last sealed block
    std::optional<Digest> head;   // what the caller knows the last head to be
    Index* index = nullptr;
    std::function<void()> progress;  // called about once a MiB; what it throws ends the walk
};

struct Walk {
    Header header;
    bool closed = false;
    std::uint64_t blocks = 0;
    std::uint64_t records = 0;  // in sealed blocks
    Digest head{};
    std::uint64_t sealed_bytes = 0;  // header and sealed blocks
    std::uint64_t file_bytes = 0;
    std::string tail;  // what ended an unclosed file
};

// Throws Damage at the first thing that is wrong. In an unclosed file the index also holds the records after the last
// sealed block, as far as their checksums are right. O(file), memory 1 MiB plus the index.
Walk walk(ByteSource& source, const WalkOptions& options);

}  // namespace fastmas::audit
