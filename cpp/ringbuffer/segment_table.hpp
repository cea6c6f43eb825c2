// What this process has mapped: one descriptor and one mapping for each file, however many Segments use it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "ringbuffer/region.hpp"
#include "ringbuffer/segment.hpp"
#include "ringbuffer/segment_file.hpp"

namespace fastmas::ringbuffer {

// A file that this process has mapped. Record locks vanish when ANY descriptor of their file is closed, so there is one
// descriptor, closed with its last user.
struct Attachment {
    FileId id{};
    std::string name;
    std::string path;
    RegionSpec spec;
    std::uint32_t generation = 0;  // of the process that attached it
    int users = 0;                 // Segments that are not closed; guarded by SegmentTable::mutex
    bool took_part = false;        // made it or took a role; likewise
    Mapping map;
    std::mutex closing;  // held while `file` is closed, and by those who use it without the table's mutex
    Descriptor file;
    // By place: the Segment of this process that holds the role; F_GETLK does not tell of the own process.
    std::array<std::atomic<const void*>, kRoles> holders{};

    RegionHeader& header() const noexcept { return *reinterpret_cast<RegionHeader*>(map.data()); }
    RoleEntry& entry(Role role) const noexcept { return header().roles[static_cast<std::size_t>(role.place)]; }
    // Nobody holds it, and its last holder did not give it back.
    bool is_dead(Role role) const noexcept;
    // This process is done with the file: the name goes if nobody else is there. Who only looked leaves what a dead
    // holder may come back to. Gives up the process's presence, closes nothing.
    void depart() noexcept;
};

// Process-wide; never destroyed. Whoever opens, closes or looks for a file of a ring holds `mutex`.
class SegmentTable {
  public:
    static SegmentTable& instance();

    std::mutex mutex;

    // Counts the forks between the process that loaded the library and this one.
    std::uint32_t generation() const noexcept;
    std::shared_ptr<Attachment> find(FileId id) const;
    void add(std::shared_ptr<Attachment> attachment);
    // A Segment of it closed: with the last one, the name goes if nobody else is there, then the descriptor.
    void drop(Attachment& attachment) noexcept;

    // Opens a file that find() does not know. Empty when there is none, or when the name has just come to mean a file
    // that is known: look again.
    Descriptor open(const std::string& path, std::string_view name, bool writable);

  private:
    SegmentTable();
    static void before_fork() noexcept;
    static void after_fork_in_parent() noexcept;
    static void after_fork_in_child() noexcept;
    static void at_exit() noexcept;

    std::atomic<std::uint32_t> generation_{0};
    std::vector<std::shared_ptr<Attachment>> all_;
    std::vector<Descriptor> strays_;  // second descriptors of known files: closing one would give up their roles
};

struct Segment::Impl {
    std::shared_ptr<Attachment> at;
    std::atomic<bool> closed{false};
};

// For the other files of the segment: constructs Segments.
struct SegmentAccess {
    static std::shared_ptr<Segment> make(std::shared_ptr<Attachment> at);  // counts as a user; under the table's mutex
};

}  // namespace fastmas::ringbuffer
