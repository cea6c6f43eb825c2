#include "ring_memory.hpp"

#include <new>
#include <utility>

#include "without_lock.hpp"

namespace fastmas::bindings {

using ringbuffer::RegionHeader;
using ringbuffer::RegionSpec;
using ringbuffer::Segment;

// What only attach() needs (magic word, sizes, the dtype's text) stays empty in process.
RingMemory::RingMemory(const RegionSpec& spec, std::size_t body_bytes)
    : spec_(spec),
      block_(std::in_place, sizeof(RegionHeader) + body_bytes),
      header_(new (block_->data()) RegionHeader),
      body_(block_->data() + sizeof(RegionHeader)) {}

RingMemory::RingMemory(std::shared_ptr<Segment> segment)
    : segment_(std::move(segment)), header_(&segment_->header()), body_(segment_->body()) {}

std::shared_ptr<RingMemory> RingMemory::in_process(const RegionSpec& spec, std::size_t body_bytes,
                                                   const Format& format) {
    std::shared_ptr<RingMemory> memory(new RingMemory(spec, body_bytes));
    format(memory->body_);
    return memory;
}

std::shared_ptr<RingMemory> RingMemory::create(std::string_view name, const RegionSpec& spec, const Format& format) {
    const WithoutLock unlocked;  // touching the pages of a large ring takes a while
    return std::shared_ptr<RingMemory>(new RingMemory(Segment::create(name, spec, format)));
}

std::shared_ptr<RingMemory> RingMemory::attach(std::string_view name, ringbuffer::RingKind kind) {
    const WithoutLock unlocked;  // as above
    return std::shared_ptr<RingMemory>(new RingMemory(Segment::attach(name, kind)));
}

}  // namespace fastmas::bindings
