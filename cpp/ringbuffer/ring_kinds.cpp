// Which rings there are in regions, and how large each is. A new ring adds its line here, and nothing else of the
// region, the segment or the lists has to know it.
#include <string>

#include "base/errors.hpp"
#include "ringbuffer/byte_ring.hpp"
#include "ringbuffer/mpmc_ring.hpp"
#include "ringbuffer/mpsc_ring.hpp"
#include "ringbuffer/overwriting_ring.hpp"
#include "ringbuffer/region.hpp"
#include "ringbuffer/sequenced_spsc_ring.hpp"
#include "ringbuffer/spsc_ring.hpp"

namespace fastmas::ringbuffer {

std::size_t body_bytes(RingKind kind, SlotLayout slots, RingShape shape) {
    const bool contiguous = slots == SlotLayout::contiguous;
    if (kind == RingKind::spsc)
        return contiguous ? SpscRing<>::body_bytes(shape) : SequencedSpscRing<>::body_bytes(shape);
    // The rings of all overflow policies in the room of those that pad their slots to words.
    if (kind == RingKind::broadcast && contiguous) return OverwritingRing<>::body_bytes(shape);
    if (kind == RingKind::bytes && contiguous) return ByteRing<>::body_bytes(ByteRing<>::shape(shape.capacity));
    if (kind == RingKind::mpsc && !contiguous) return MpscRing<>::body_bytes(shape);
    if (kind == RingKind::mpmc && !contiguous) return MpmcRing<>::body_bytes(shape);
    throw base::ConfigError("a shared " + std::string(kind_text(kind)) + " ring cannot have " +
                            (contiguous ? "contiguous" : "sequenced") + " slots; take the other layout");
}

}  // namespace fastmas::ringbuffer
