#include "ringbuffer/segment_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <system_error>
#include <utility>

#include "base/errors.hpp"
#include "ringbuffer/file_lock.hpp"
#include "ringbuffer/kill_point.hpp"

namespace fastmas::ringbuffer {
namespace {

[[noreturn]] void fail(int error, const std::string& what) {
    throw std::system_error(error, std::generic_category(), what);
}

bool is_name_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
}

constexpr mode_t kOwnerOnly = 0600;

}  // namespace

void check_name(std::string_view name) {
    const bool slash = !name.empty() && name.front() == '/';
    const std::string_view rest = slash ? name.substr(1) : name;
    const bool good = !rest.empty() && std::all_of(rest.begin(), rest.end(), is_name_byte);
    if (slash && good && name.size() <= kMaxNameBytes) return;
    std::string cure = "; try '/ring'";
    if (good && rest.size() < kMaxNameBytes) cure = "; try '/" + std::string(rest) + "'";
    throw base::ConfigError("the name of a shared ring must be '/' and then 1 to 199 of A-Z a-z 0-9 . _ -, got '" +
                            std::string(name) + "'" + cure);
}

std::string ring_directory() {
    const char* const chosen = std::getenv("FASTMAS_RING_DIR");
    if (chosen != nullptr && *chosen != '\0') return chosen;
#if defined(__linux__)
    return "/dev/shm";
#else
    return "/tmp";  // POSIX shared memory has no record locks here
#endif
}

std::string path_of(std::string_view name) {
    check_name(name);
    return ring_directory() + "/" + std::string(kFilePrefix) + std::string(name.substr(1));
}

FileId id_of(const struct stat& status) {
    return {status.st_dev, status.st_ino};
}

std::optional<FileId> id_at(const std::string& path) {
    struct stat status {};
    if (lstat(path.c_str(), &status) == 0) return id_of(status);
    if (errno == ENOENT) return std::nullopt;
    fail(errno, "cannot look at " + path);
}

bool is_strangers(const struct stat& status) noexcept {
    return status.st_uid != geteuid() && status.st_uid != 0;
}

void refuse_strangers(const struct stat& status, const std::string& path, std::string_view name) {
    throw SegmentError("ring '" + std::string(name) + "' belongs to user " + std::to_string(status.st_uid) +
                       ", this process to user " + std::to_string(geteuid()) + ": who owns " + path +
                       " can change it at any time; run both sides as one user, or take another name");
}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
    if (this != &other) {
        close();
        fd_ = other.release();
    }
    return *this;
}

void Descriptor::close() noexcept {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

Descriptor open_ring_file(const std::string& path, std::string_view name, bool writable) {
    const int mode = writable ? O_RDWR : O_RDONLY;
    // O_NONBLOCK: a pipe that somebody put there must not hold us up.
    Descriptor file(open(path.c_str(), mode | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (!file && errno == ENOENT) return file;
    struct stat status {};
    const bool known = file && fstat(file.get(), &status) == 0;
    if ((known && !S_ISREG(status.st_mode)) || (!file && (errno == ELOOP || errno == EISDIR || errno == ENXIO)))
        throw SegmentError("ring '" + std::string(name) + "' is no ring: " + path +
                           " is not a regular file; take another name");
    if (!known) fail(errno, "cannot open " + path);
    return file;
}

std::vector<std::byte> read_head(int fd) {
    std::vector<std::byte> head(sizeof(RegionHeader));
    std::size_t have = 0;
    while (have < head.size()) {
        const ssize_t got = pread(fd, head.data() + have, head.size() - have, static_cast<off_t>(have));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) fail(errno, "cannot read the header of a shared ring");
        if (got == 0) break;
        have += static_cast<std::size_t>(got);
    }
    head.resize(have);
    return head;
}

Draft::Draft(const std::string& directory) {
#if defined(O_TMPFILE)
    // It gets its name through /proc, so without one it needs a name from the start.
    if (!plain_system && access("/proc/self/fd", F_OK) == 0)
        file_ = Descriptor(open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, kOwnerOnly));
#endif
    FASTMAS_KILL_POINT("create: drafted");
    if (!file_) {
        static std::atomic<unsigned> drafts{0};
        // [F1 relaxed] a number that nobody else in this process has
        const unsigned number = drafts.fetch_add(1, std::memory_order_relaxed);
        name_ = directory + "/" + std::string(kDraftPrefix) + std::to_string(getpid()) + "." + std::to_string(number);
        ::unlink(name_.c_str());  // of a process of the same number that is no more
        file_ = Descriptor(open(name_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, kOwnerOnly));
        if (!file_) {
            name_.clear();
            fail(errno, "cannot make shared memory in " + directory);
        }
    }
    FASTMAS_KILL_POINT("create: not yet present");
    if (!try_lock(file_.get(), LockByte::kPresent, LockType::shared)) fail(EBUSY, "cannot lock " + name_);
}

Draft::~Draft() {
    if (!name_.empty()) ::unlink(name_.c_str());
}

bool Draft::publish(const std::string& path) {
    FASTMAS_KILL_POINT("create: complete");
    const std::string by_number = "/proc/self/fd/" + std::to_string(file_.get());
    const std::string& from = name_.empty() ? by_number : name_;
    if (linkat(AT_FDCWD, from.c_str(), AT_FDCWD, path.c_str(), name_.empty() ? AT_SYMLINK_FOLLOW : 0) != 0) {
        if (errno == EEXIST) return false;
        fail(errno, "cannot name shared memory " + path);
    }
    FASTMAS_KILL_POINT("create: named");
    if (!name_.empty()) ::unlink(name_.c_str());
    name_.clear();
    return true;
}

bool remove_if_unused(int fd, const std::string& path, std::string_view name) {
    // First we are not there ourselves: of several that leave at once, each finds the others gone or is found gone by
    // them, so the last one removes the name.
    unlock(fd, LockByte::kPresent);
    FASTMAS_KILL_POINT("close: not present");
    if (!try_lock(fd, LockByte::kPresent, LockType::exclusive)) return false;
    FASTMAS_KILL_POINT("close: nobody present");
    const bool removed = remove_name(fd, path, name);
    unlock(fd, LockByte::kPresent);
    return removed;
}

bool remove_name(int fd, const std::string& path, std::string_view name) {
    // The name is compared and removed under the lock of the file that it meant: who would remove it in between, to
    // make room for another file of that name, needs the same lock.
    lock_soon(fd, LockByte::kName, LockType::exclusive, std::string(name));
    FASTMAS_KILL_POINT("remove: locked");
    struct stat status {};
    const bool same = fstat(fd, &status) == 0 && id_at(path) == id_of(status);
    const int error = same && ::unlink(path.c_str()) != 0 ? errno : 0;
    FASTMAS_KILL_POINT("remove: removed");
    unlock(fd, LockByte::kName);
    if (error != 0 && error != ENOENT) fail(error, "cannot remove " + path);
    return same && error == 0;
}

}  // namespace fastmas::ringbuffer
