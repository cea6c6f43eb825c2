#include "ringbuffer/file_lock.hpp"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <thread>

#include "ringbuffer/segment.hpp"

namespace fastmas::ringbuffer {
namespace {

struct flock one_byte(short type, std::int64_t byte) {
    struct flock lock {};
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_start = static_cast<off_t>(byte);
    lock.l_len = 1;
    return lock;
}

short posix_type(LockType type) {
    return type == LockType::shared ? F_RDLCK : F_WRLCK;
}

}  // namespace

bool try_lock(int fd, std::int64_t byte, LockType type) {
    struct flock lock = one_byte(posix_type(type), byte);
    if (fcntl(fd, F_SETLK, &lock) == 0) return true;
    if (errno == EACCES || errno == EAGAIN) return false;
    throw std::system_error(errno, std::generic_category(), "the file system of shared rings gives no record locks");
}

void unlock(int fd, std::int64_t byte) noexcept {
    struct flock lock = one_byte(F_UNLCK, byte);
    fcntl(fd, F_SETLK, &lock);
}

LockHolder holder_of(int fd, std::int64_t byte, LockType type) noexcept {
    struct flock lock = one_byte(posix_type(type), byte);
    if (fcntl(fd, F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK) return {};
    return {true, lock.l_type == F_WRLCK, std::max<pid_t>(lock.l_pid, 0)};
}

void lock_soon(int fd, std::int64_t byte, LockType type, const std::string& ring, std::chrono::milliseconds patience) {
    constexpr int kYields = 50;
    constexpr std::chrono::microseconds kLongestNap{2000};
    std::chrono::microseconds nap{50};
    auto until = std::chrono::steady_clock::time_point::max();
    for (int tries = 0; !try_lock(fd, byte, type); ++tries) {
        if (tries < kYields) {
            sched_yield();
            continue;
        }
        const auto now = std::chrono::steady_clock::now();
        if (tries == kYields) until = now + patience;
        if (now >= until) {
            const LockHolder holder = holder_of(fd, byte, type);
            if (!holder.held) continue;  // it let go this moment
            throw SegmentBusy("ring '" + ring + "' has been in the middle of a change" + by_process(holder.pid) +
                              " for " + std::to_string(patience.count()) +
                              " ms, which takes microseconds: that process is stopped; let it go on (SIGCONT) or end "
                              "it");
        }
        std::this_thread::sleep_for(nap);
        nap = std::min(kLongestNap, nap * 2);
    }
}

std::string by_process(pid_t pid) {
    return pid > 0 ? " by process " + std::to_string(pid) : " by a process of another container";
}

}  // namespace fastmas::ringbuffer
