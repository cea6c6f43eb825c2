// Processes of a test: a body in a forked child, pipes to take turns, and what became of it.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <functional>
#include <iostream>

#include "check.hpp"

namespace fastmas::testing {

// Waits for a child to end; 128 + signal when it was killed.
inline int exit_code_of(pid_t child) {
    int status = 0;
    while (waitpid(child, &status, 0) < 0) CHECK(errno == EINTR);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// What the body returns becomes the exit code; a failed check is printed and becomes 1. No destructors and no exit
// handlers run, as if it crashed right after the body, unless the body calls exit().
inline pid_t spawn(const std::function<int()>& body) {
    std::cout.flush();
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child != 0) return child;
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

// One process says `now()`, another waits for it; also for the end of all processes that could say it.
class Turn {
  public:
    Turn() { CHECK_EQUAL(pipe(ends_), 0); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() {
        close(ends_[0]);
        close(ends_[1]);
    }
    void now() const { CHECK_EQUAL(write(ends_[1], "x", 1), 1); }
    void await() const {
        char byte = 0;
        ssize_t got = 0;
        while ((got = read(ends_[0], &byte, 1)) < 0) CHECK(errno == EINTR);
        CHECK_EQUAL(got, 1);
    }
    int reading_end() const { return ends_[0]; }
    int writing_end() const { return ends_[1]; }

  private:
    int ends_[2] = {-1, -1};
};

// Sanitizers make everything slower and find the same on fewer rounds.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
inline constexpr int kRoundsDivisor = 10;
#else
inline constexpr int kRoundsDivisor = 1;
#endif

}  // namespace fastmas::testing
