// Where the region of a ring lies: on the heap of this process, or in a named segment that others attach to.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "ringbuffer/region.hpp"
#include "ringbuffer/segment.hpp"
#include "ringbuffer/slots.hpp"

namespace fastmas::bindings {

// Owned by all that may still touch it: the ring's object, and the arrays of a loan.
class RingMemory {
  public:
    // Writes the control block of a ring's kind into its zeroed body.
    using Format = std::function<void(std::byte* body)>;

    static std::shared_ptr<RingMemory> in_process(const ringbuffer::RegionSpec& spec, std::size_t body_bytes,
                                                  const Format& format);
    // These throw as Segment's do.
    static std::shared_ptr<RingMemory> create(std::string_view name, const ringbuffer::RegionSpec& spec,
                                              const Format& format);
    static std::shared_ptr<RingMemory> attach(std::string_view name, ringbuffer::RingKind kind);

    ringbuffer::RegionHeader& header() const noexcept { return *header_; }
    std::byte* body() const noexcept { return body_; }
    const ringbuffer::RegionSpec& spec() const noexcept { return segment_ ? segment_->spec() : spec_; }
    // nullptr in process: everything that concerns names, roles and deaths.
    ringbuffer::Segment* segment() const noexcept { return segment_.get(); }

  private:
    explicit RingMemory(std::shared_ptr<ringbuffer::Segment> segment);
    RingMemory(const ringbuffer::RegionSpec& spec, std::size_t body_bytes);

    std::shared_ptr<ringbuffer::Segment> segment_;
    ringbuffer::RegionSpec spec_;
    std::optional<ringbuffer::Block> block_;  // in process
    ringbuffer::RegionHeader* header_;
    std::byte* body_;
};

}  // namespace fastmas::bindings
