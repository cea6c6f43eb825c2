// Processes that are killed in the middle of what they do to a ring: forked children on memory shared with the test,
// killed with SIGKILL at a step drawn from the seed.
#pragma once

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <new>
#include <string>

#include "check.hpp"
#include "ringbuffer/sequence.hpp"

namespace fastmas::testing {

// What a child writes and the test reads; stays when it is killed.
struct KillReport {
    char step[64]{};      // where it was killed
    char failure[512]{};  // of its check
};
inline constexpr int kMostChildren = 2;  // at a time

// The hardware's memory, but the process ends at a kill point: the `left`-th from now on.
struct KillMemory : ringbuffer::HardwareMemory {
    inline static std::int64_t left = 0;          // 0: never
    inline static KillReport* reports = nullptr;  // kMostChildren of them
    inline static KillReport* report = nullptr;   // in a child: its own

    static void kill_point(const char* step) noexcept {
        if (left == 0 || --left != 0) return;
        std::strncpy(report->step, step, sizeof(report->step) - 1);
        kill(getpid(), SIGKILL);
        while (true) pause();
    }
};

// Zeroed memory that children of this process share.
class SharedMemory {
  public:
    explicit SharedMemory(std::size_t bytes)
        : bytes_(bytes), data_(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
        CHECK(data_ != MAP_FAILED);
    }
    SharedMemory(const SharedMemory&) = delete;
    SharedMemory& operator=(const SharedMemory&) = delete;
    ~SharedMemory() { munmap(data_, bytes_); }
    std::byte* data() const { return static_cast<std::byte*>(data_); }

  private:
    std::size_t bytes_;
    void* data_;
};

// A child process that runs `body` and is killed at its `steps`-th kill point, if it comes that far.
class Child {
  public:
    Child() = default;
    Child(std::int64_t steps, const std::function<void()>& body, int number = 0) : pid_(fork()), number_(number) {
        CHECK(pid_ >= 0);
        if (pid_ > 0) return;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        KillMemory::report = &KillMemory::reports[number];
        KillMemory::left = steps;
        try {
            body();
        } catch (const Failure& failure) {
            std::strncpy(KillMemory::report->failure, failure.text.c_str(), sizeof(KillReport::failure) - 1);
        } catch (const std::exception& error) {
            std::strncpy(KillMemory::report->failure, error.what(), sizeof(KillReport::failure) - 1);
        }
        _exit(KillMemory::report->failure[0] == 0 ? 0 : 1);
    }

    bool running() {
        if (pid_ <= 0) return false;
        int status = 0;
        if (waitpid(pid_, &status, WNOHANG) == 0) return true;
        pid_ = 0;
        killed_ = WIFSIGNALED(status);
        return false;
    }
    bool killed() const { return killed_; }
    const KillReport& report() const { return KillMemory::reports[number_]; }

  private:
    pid_t pid_ = 0;
    int number_ = 0;
    bool killed_ = false;
};

// How many rounds a test runs: a few seconds' worth, or what RING_KILL_ROUNDS says. Sanitizers fork slowly.
inline int kill_rounds(int usual) {
    if (const char* given = std::getenv("RING_KILL_ROUNDS"); given != nullptr) return std::atoi(given);
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
    return usual / 20;
#else
    return usual;
#endif
}

// At which steps children were killed, and how often.
class Deaths {
  public:
    Deaths() : memory_(kMostChildren * sizeof(KillReport)) {
        KillMemory::reports = new (memory_.data()) KillReport[kMostChildren];
    }
    void count(const Child& child) {
        CHECK_EQUAL(std::string(child.report().failure), std::string());
        if (!child.killed()) return;
        ++killed_;
        last_ = child.report().step;
        ++steps_[last_];
    }
    const std::string& last() const { return last_; }
    int killed() const { return killed_; }
    // Each of these steps has been the last of some process.
    void require(std::initializer_list<const char*> steps) const {
        if (killed_ < 900) return;  // a short run, or one under a sanitizer
        for (const char* step : steps)
            if (steps_.count(step) == 0) fail(__FILE__, __LINE__, std::string("nobody was killed at: ") + step);
    }
    std::string text() const {
        std::string all;
        for (const auto& [step, times] : steps_) all += (all.empty() ? "" : ", ") + step + " " + std::to_string(times);
        return std::to_string(killed_) + " killed at " + std::to_string(steps_.size()) + " steps: " + all;
    }

  private:
    SharedMemory memory_;
    std::map<std::string, int> steps_;
    std::string last_;
    int killed_ = 0;
};

}  // namespace fastmas::testing
