// Where audited messages go: whoever emits one hands it over, and knows nothing of files, hashes or Python.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace fastmas::base {

// Name of the PyCapsule under which an object offers its sink to the kernel.
inline constexpr const char* kRecordSinkCapsule = "fastmas.RecordSink";

// An append-only receiver of records, called from one thread. What the spans show is valid during the call only.
// Throws InvariantError when it can take no more (its file failed, or it was closed): the caller stops.
struct RecordSink {
    RecordSink() = default;
    RecordSink(const RecordSink&) = delete;
    RecordSink& operator=(const RecordSink&) = delete;
    virtual ~RecordSink() = default;

    // A message of `count` rows has the ids id, id + 1, .. id + count - 1; `causes` are the ids it was made from.
    virtual void append(std::uint64_t id, std::int64_t ts_ns, std::uint32_t type, std::uint32_t count,
                        std::span<const std::uint64_t> causes, std::span<const std::byte> payload) = 0;
};

}  // namespace fastmas::base
