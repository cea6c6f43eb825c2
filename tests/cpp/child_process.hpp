// Processes of a test: a body in a forked child, pipes to take turns, and what became of it.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <set>

#include "check.hpp"

namespace fastmas::testing {

// The children of this process that nobody has waited for. A test that fails leaves its own, perhaps stopped ones: they
// are killed at exit.
inline std::set<pid_t>& children() {
    static std::set<pid_t>& all = *[] {
        static const pid_t parent = getpid();
        std::atexit([] {
            if (getpid() != parent) return;  // a child that exits is not its siblings' keeper
            for (const pid_t child : children()) kill(child, SIGKILL);
        });
        return new std::set<pid_t>;
    }();
    return all;
}

// Waits for a child to end; 128 + signal when it was killed.
inline int exit_code_of(pid_t child) {
    int status = 0;
    while (waitpid(child, &status, 0) < 0) CHECK(errno == EINTR);
    children().erase(child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// What the body returns becomes the exit code; a failed check is printed and becomes 1. No destructors and no exit
// handlers run, as if it crashed right after the body, unless the body calls exit().
inline pid_t spawn(const std::function<int()>& body) {
    std::cout.flush();
    auto& all = children();
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child != 0) {
        all.insert(child);
        return child;
    }
    all.clear();
    int code = 1;
    try {
        code = body();
    } catch (const Failure& failure) {
        std::cerr << "in a child: " << failure.text << std::endl;
    } catch (const std::exception& error) {
        std::cerr << "in a child: unexpected exception: " << error.what() << std::endl;
    }
    _exit(code);
}

inline void kill_and_wait(pid_t child) {
    CHECK_EQUAL(kill(child, SIGKILL), 0);
    CHECK_EQUAL(exit_code_of(child), 128 + SIGKILL);
}

// One process says `now()`, another waits for it. Who waits never speaks, so that it fails instead of waiting for a
// process that has ended.
class Turn {
  public:
    Turn() { CHECK_EQUAL(pipe(ends_), 0); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() {
        close(ends_[0]);
        become_listener();
    }
    void now() const { CHECK_EQUAL(write(ends_[1], "x", 1), 1); }
    void await() {
        become_listener();
        char byte = 0;
        ssize_t got = 0;
        while ((got = read(ends_[0], &byte, 1)) < 0) CHECK(errno == EINTR);
        CHECK_EQUAL(got, 1);
    }
    // Until everybody who could speak has ended.
    void await_end() {
        become_listener();
        char byte = 0;
        while (read(ends_[0], &byte, 1) != 0) CHECK(errno == EINTR);
    }
    void become_listener() {
        if (ends_[1] >= 0) close(ends_[1]);
        ends_[1] = -1;
    }
    int reading_end() const { return ends_[0]; }

  private:
    int ends_[2] = {-1, -1};
};

// A child that has stopped itself.
inline void wait_until_stopped(pid_t child) {
    int status = 0;
    CHECK_EQUAL(waitpid(child, &status, WUNTRACED), child);
    CHECK(WIFSTOPPED(status));
}

// Sanitizers make everything slower and find the same on fewer rounds.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
inline constexpr int kRoundsDivisor = 10;
#else
inline constexpr int kRoundsDivisor = 1;
#endif

}  // namespace fastmas::testing
