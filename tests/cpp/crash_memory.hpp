// What a process leaves behind that ends in the middle of a call: the hardware's memory, and at every kill point a copy
// of the ring as it stands there. A test takes each copy over as if its holder had died at that step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "ringbuffer/sequence.hpp"
#include "ringbuffer/slots.hpp"

namespace fastmas::testing {

struct Crash {
    std::string step;
    std::vector<std::byte> body;
};

struct CrashMemory : ringbuffer::HardwareMemory {
    // Between watch() and unwatch() every kill point is recorded.
    static void watch(const std::byte* body, std::size_t bytes) {
        crashes().clear();
        watched() = body;
        watched_bytes() = bytes;
    }
    static std::vector<Crash> unwatch() {
        watched() = nullptr;
        return std::move(crashes());
    }

    static void kill_point(const char* step) {
        if (watched() == nullptr) return;
        crashes().push_back({step, {watched(), watched() + watched_bytes()}});
    }

  private:
    static const std::byte*& watched() {
        static const std::byte* body = nullptr;
        return body;
    }
    static std::size_t& watched_bytes() {
        static std::size_t bytes = 0;
        return bytes;
    }
    static std::vector<Crash>& crashes() {
        static std::vector<Crash> all;
        return all;
    }
};

// A ring's body on memory of its own, as a segment would hold it; optionally what a crash left.
template <class Ring>
class Body {
  public:
    explicit Body(ringbuffer::RingShape shape) : shape_(shape), block_(Ring::body_bytes(shape)) {
        Ring::format(block_.data(), shape);
    }
    Body(ringbuffer::RingShape shape, const Crash& crash) : shape_(shape), block_(Ring::body_bytes(shape)) {
        std::memcpy(block_.data(), crash.body.data(), crash.body.size());
    }
    std::byte* data() const { return block_.data(); }
    std::size_t bytes() const { return Ring::body_bytes(shape_); }
    Ring view() const { return Ring(block_.data(), shape_); }

  private:
    ringbuffer::RingShape shape_;
    ringbuffer::Block block_;
};

}  // namespace fastmas::testing
