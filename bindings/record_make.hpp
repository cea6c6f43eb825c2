// Making a record out of bytes, inlined into what is counted in nanoseconds: a ring's pop, a record's construction.
#pragma once

#include <cstddef>
#include <cstring>

#include "record_object.hpp"

namespace fastmas::record_detail {

inline std::byte* payload(PyObject* record) {
    return reinterpret_cast<std::byte*>(record) + sizeof(PyObject);
}

// Where no dead instance is left to be used again.
PyObject* allocate_from_heap(RecordInfo& info);

// A dead instance, alive again; only when there is one (free_head).
inline PyObject* revive_record(RecordInfo& info) {
    PyObject* record = info.free_head;
    std::memcpy(&info.free_head, payload(record), sizeof info.free_head);
    ++info.free_room;
#ifdef Py_REF_DEBUG
    return PyObject_Init(record, info.type);
#else
    // Its type pointer is still there; only the counts were given back.
    Py_SET_REFCNT(record, 1);
    Py_INCREF(info.type);
    return record;
#endif
}

// A record whose bytes are not set: a new reference, nullptr with MemoryError set. Runs no Python code: records are no
// business of the collector, and nothing of theirs is released here.
inline PyObject* allocate_record(RecordInfo& info) {
    if (info.free_head == nullptr) [[unlikely]]
        return allocate_from_heap(info);
    return revive_record(info);
}

// Zeroes padding and makes boolean bytes 0 or 1, where a class has any.
inline void canonicalise(const RecordInfo& info, std::byte* record) {
    for (const CanonicalWord& rule : info.canonical) {
        std::uint64_t word;
        std::memcpy(&word, record + rule.offset, sizeof word);
        word = rule.of(word);
        std::memcpy(record + rule.offset, &word, sizeof word);
    }
}

// Longer ones are as well copied by a call.
inline constexpr std::uint32_t kInlineBytes = 256;

// Fills a record of at most kInlineBytes. By pieces of sixteen bytes: one that was pushed a moment ago by the same core
// is still in its store buffer, in pieces of that size, and a wider load would have to wait until it has left.
inline void fill_short_record(const RecordInfo& info, PyObject* record, const std::byte* bytes) {
    std::byte* to = payload(record);
    const std::size_t size = info.size_bytes;  // a multiple of 8
    std::size_t done = 0;
    for (; done + 32 <= size; done += 32) {
        std::memcpy(to + done, bytes + done, 16);
        std::memcpy(to + done + 16, bytes + done + 16, 16);
    }
    if ((size & 16U) != 0) {
        std::memcpy(to + done, bytes + done, 16);
        done += 16;
    }
    if ((size & 8U) != 0) std::memcpy(to + done, bytes + done, 8);
    canonicalise(info, to);
}

inline void fill_record(const RecordInfo& info, PyObject* record, const std::byte* bytes) {
    if (info.size_bytes <= kInlineBytes) [[likely]] {
        fill_short_record(info, record, bytes);
    } else {
        std::memcpy(payload(record), bytes, info.size_bytes);
        canonicalise(info, payload(record));
    }
}

}  // namespace fastmas::record_detail
