// Where a test may end the process, to see that the survivors go on. The marks are there in the build that
// FASTMAS_KILL_POINTS asks for (the library `fastmas_kill_points` of CMakeLists.txt); elsewhere they are nothing.
#pragma once

#if defined(FASTMAS_KILL_POINTS)

namespace fastmas::ringbuffer {

// Called at every mark with what the process is about to do; set by the test, once, before anything else.
inline void (*kill_point_hook)(const char* step) = nullptr;

// Set by a test to see what a system without nameless files and without MADV_POPULATE_WRITE does.
inline bool plain_system = false;

}  // namespace fastmas::ringbuffer

#define FASTMAS_KILL_POINT(step)                                                                             \
    do {                                                                                                     \
        if (::fastmas::ringbuffer::kill_point_hook != nullptr) ::fastmas::ringbuffer::kill_point_hook(step); \
    } while (false)

#else

namespace fastmas::ringbuffer {
inline constexpr bool plain_system = false;
}

#define FASTMAS_KILL_POINT(step) \
    do {                         \
    } while (false)

#endif
