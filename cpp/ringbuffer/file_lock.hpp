// Locks on single bytes of a file that the kernel gives back when the process ends, however it ends.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>

namespace fastmas::ringbuffer {

// POSIX record locks (F_SETLK): they belong to the process. So a forked child does not have them, two threads of one
// process do not exclude each other, and closing ANY descriptor of the file gives all of them back: whoever uses these
// keeps one descriptor a file (segment_table.hpp).
enum class LockType { shared, exclusive };

struct LockHolder {
    bool held = false;  // by another process
    bool exclusive = false;
    pid_t pid = 0;  // 0 where the kernel does not tell, as across containers
};

// False when another process holds a lock that excludes it. Replaces a lock that this process has on the byte.
// Throws std::system_error when the file system has no locks.
bool try_lock(int fd, std::int64_t byte, LockType type);
void unlock(int fd, std::int64_t byte) noexcept;
// Who keeps us from locking the byte.
LockHolder holder_of(int fd, std::int64_t byte, LockType type) noexcept;

// For locks that are only ever held for microseconds. Tries until `patience` is over, then throws SegmentBusy with the
// pid: then the holder is stopped (SIGSTOP, a debugger) in the middle; one that was killed holds nothing.
inline constexpr std::chrono::milliseconds kLockPatience{5000};
void lock_soon(int fd, std::int64_t byte, LockType type, const std::string& ring,
               std::chrono::milliseconds patience = kLockPatience);

// " by process 123", or what can be said without a pid
std::string by_process(pid_t pid);

}  // namespace fastmas::ringbuffer
