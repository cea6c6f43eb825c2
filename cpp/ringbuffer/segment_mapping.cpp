// Mapping a shared ring so that its first lap meets no page fault, and a full file system no SIGBUS.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

#include "ringbuffer/kill_point.hpp"
#include "ringbuffer/segment_file.hpp"

namespace fastmas::ringbuffer {
namespace {

[[noreturn]] void fail(int error, std::size_t bytes, const char* what) {
    throw std::system_error(error, std::generic_category(),
                            std::string(what) + " " + std::to_string(bytes) +
                                " bytes of shared memory; take a smaller capacity, or make " + ring_directory() +
                                " larger");
}

// Whether the file system has so many bytes left, as far as it says: a ring that is far too large should not fill it up
// first, while others want some.
bool has_room(int fd, std::size_t bytes) {
    struct statvfs status {};
    if (fstatvfs(fd, &status) != 0 || status.f_blocks == 0) return true;
    return bytes / status.f_frsize <= status.f_bavail;
}

// Blocks for every byte of a file that is all holes: portably, by writing them.
void fill(int fd, std::size_t bytes) {
    const std::vector<char> zeros(std::min(bytes, std::size_t{1} << 20U));
    for (std::size_t done = 0; done < bytes;) {
        const ssize_t wrote = pwrite(fd, zeros.data(), std::min(zeros.size(), bytes - done), static_cast<off_t>(done));
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) fail(wrote < 0 ? errno : ENOSPC, bytes, "cannot get");
        done += static_cast<std::size_t>(wrote);
    }
}

void ask_for_huge_pages(std::byte* data, std::size_t bytes) {
#if defined(MADV_HUGEPAGE)
    constexpr std::size_t kHugePageBytes = std::size_t{2} << 20U;
    if (bytes >= kHugePageBytes) madvise(data, bytes, MADV_HUGEPAGE);  // a wish: small pages do as well
#else
    (void)data;
    (void)bytes;
#endif
}

// Maps every page now. True when they have their blocks, too.
bool populate(std::byte* data, std::size_t bytes) {
#if defined(__linux__)
    constexpr int kPopulateWrite = 23;  // MADV_POPULATE_WRITE of Linux 5.14; older headers do not have it
    if (plain_system) return false;
    if (madvise(data, bytes, kPopulateWrite) == 0) return true;
    if (errno == EFAULT || errno == ENOMEM || errno == ENOSPC) fail(ENOSPC, bytes, "cannot get");
#endif
    (void)data;
    (void)bytes;
    return false;
}

void touch(const std::byte* data, std::size_t bytes) {
    const auto page = static_cast<std::size_t>(std::max(sysconf(_SC_PAGESIZE), 4096L));
    for (std::size_t at = 0; at < bytes; at += page) (void)*const_cast<const volatile std::byte*>(data + at);
}

}  // namespace

Mapping::Mapping(int fd, std::size_t bytes) {
    void* const at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) fail(errno, bytes, "cannot map");
    data_ = static_cast<std::byte*>(at);
    bytes_ = bytes;
}

Mapping Mapping::of_new_file(int fd, std::size_t bytes) {
    if (ftruncate(fd, static_cast<off_t>(bytes)) != 0) fail(errno, bytes, "cannot get");
    if (!has_room(fd, bytes)) fail(ENOSPC, bytes, "cannot get");
    Mapping map(fd, bytes);
    ask_for_huge_pages(map.data_, bytes);
    if (!populate(map.data_, bytes)) {
        fill(fd, bytes);
        touch(map.data_, bytes);
    }
    return map;
}

void Mapping::prefault() const {
    ask_for_huge_pages(data_, bytes_);
    if (!populate(data_, bytes_)) touch(data_, bytes_);
}

Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
}

Mapping::~Mapping() {
    if (data_ != nullptr) munmap(data_, bytes_);
}

}  // namespace fastmas::ringbuffer
