// The files behind shared rings: their names, how one comes to be complete before it has a name, how it is mapped and
// how its name goes. No process-wide state here; segment_table.hpp has that.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ringbuffer/region.hpp"

namespace fastmas::ringbuffer {

// The bytes of a segment's file that are locked. They lie within the header, which is no matter: locks are advice.
struct LockByte {
    static constexpr std::int64_t kName = 0;         // exclusive: the name is being removed
    static constexpr std::int64_t kFirstRole = 1;    // exclusive: the holder of role `place`, at kFirstRole + place
    static constexpr std::int64_t kPresent = 129;    // shared: this process has it mapped; exclusive: nobody shall
    static constexpr std::int64_t kRoleTable = 130;  // exclusive: roles are being given out
    static constexpr std::int64_t role(Role role) { return kFirstRole + role.place; }
};
static_assert(LockByte::kFirstRole + kRoles <= LockByte::kPresent);

inline constexpr std::string_view kFilePrefix = "fastmas.";
inline constexpr std::string_view kDraftPrefix = "fastmas+draft.";  // no ring's file: '+' is in no name
inline constexpr std::size_t kMaxNameBytes = 200;

// Throws base::ConfigError unless it is "/" and then 1 to 199 of [A-Za-z0-9._-].
void check_name(std::string_view name);
// /dev/shm, or what the environment's FASTMAS_RING_DIR says (the same in all processes that share rings).
std::string ring_directory();
std::string path_of(std::string_view name);

struct FileId {
    dev_t device;
    ino_t inode;
    friend bool operator==(const FileId&, const FileId&) noexcept = default;
};
FileId id_of(const struct stat& status);
// Of what has this path now; nothing when there is none. Does not open it and does not follow symbolic links.
std::optional<FileId> id_at(const std::string& path);

// Neither this process's user's nor root's: its owner may change or shorten it under whoever has it mapped.
bool is_strangers(const struct stat& status) noexcept;
[[noreturn]] void refuse_strangers(const struct stat& status, const std::string& path, std::string_view name);

// An open descriptor. Whether closing it gives locks back is for its owner to think of.
class Descriptor {
  public:
    Descriptor() = default;
    explicit Descriptor(int fd) noexcept : fd_(fd) {}
    Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
    Descriptor& operator=(Descriptor&& other) noexcept;
    ~Descriptor() { close(); }
    int get() const noexcept { return fd_; }
    explicit operator bool() const noexcept { return fd_ >= 0; }
    int release() noexcept {
        const int fd = fd_;
        fd_ = -1;
        return fd;
    }
    void close() noexcept;

  private:
    int fd_ = -1;
};

// The file at `path` when it is a regular one; empty when there is none. Throws std::system_error when it may not be
// opened, SegmentError when it is no regular file.
Descriptor open_ring_file(const std::string& path, std::string_view name, bool writable);
// At most sizeof(RegionHeader) bytes from the start.
std::vector<std::byte> read_head(int fd);

// The whole file in memory, shared.
class Mapping {
  public:
    Mapping() = default;
    Mapping(int fd, std::size_t bytes);
    Mapping(Mapping&& other) noexcept;
    Mapping& operator=(Mapping&& other) noexcept;
    ~Mapping();
    // Gives the file that size and all its blocks, so that a full file system is an error here and not a SIGBUS later.
    static Mapping of_new_file(int fd, std::size_t bytes);
    // Every page is there when this returns, in huge pages where the system gives them.
    void prefault() const;
    std::byte* data() const noexcept { return data_; }
    std::size_t bytes() const noexcept { return bytes_; }

  private:
    std::byte* data_ = nullptr;
    std::size_t bytes_ = 0;
};

// A file that has no name yet, so that nobody meets a ring that is half made, and a creator that is killed leaves
// nothing. Where the system has no such files it has a name that no ring can have, which clean() knows.
class Draft {
  public:
    explicit Draft(const std::string& directory);
    Draft(const Draft&) = delete;
    Draft& operator=(const Draft&) = delete;
    ~Draft();
    int fd() const noexcept { return file_.get(); }
    // Gives it its name; false when that is taken.
    bool publish(const std::string& path);
    Descriptor take() noexcept { return std::move(file_); }

  private:
    Descriptor file_;
    std::string name_;  // empty while it has none
};

// Removes the name if nobody has the file mapped and the name still means this file; true when it did. Gives up the
// caller's own presence; the caller must have no other descriptor of it. Throws SegmentBusy when the process that is
// just removing it is stopped.
bool remove_if_unused(int fd, const std::string& path, std::string_view name);
// Removes the name, whoever has the file mapped; false when it means another file by now. Throws std::system_error when
// it may not.
bool remove_name(int fd, const std::string& path, std::string_view name);

}  // namespace fastmas::ringbuffer
