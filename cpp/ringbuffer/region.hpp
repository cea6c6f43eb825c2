// The memory of a ring, the same in a process and between processes: a header that says what it is, a word for each
// side to sleep on, a table of who holds which role, the control block of the ring's kind, the slots. No pointers.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "ringbuffer/sequence.hpp"
#include "ringbuffer/slots.hpp"
#include "ringbuffer/wake_point.hpp"

namespace fastmas::ringbuffer {

enum class RingKind : std::uint32_t { spsc = 1, mpsc = 2, mpmc = 3, broadcast = 4, bytes = 5 };

// How records lie in their slots. `contiguous`: one after the other, so that a batch is at most two copies.
// `sequenced`: a line-aligned slot each, with a word of its own that says what state it is in, so that a single message
// crosses with the lines it stands on and nothing else.
enum class SlotLayout : std::uint32_t { contiguous = 1, sequenced = 2 };

// What a producer does when there is no room.
enum class Overflow : std::uint32_t {
    refuse = 1,            // back-pressure: the producer is told, nothing is dropped
    drop_newest = 2,       // the record that does not fit is dropped and counted
    overwrite_oldest = 3,  // broadcast only: a reader that was too slow learns exactly how many it lost
    evict = 4,             // broadcast only: a subscriber that lags beyond a bound is put out
};

// Who a participant is. Producers come first, so a role is also a place in the table.
inline constexpr std::int32_t kMaxProducers = 64;
inline constexpr std::int32_t kMaxConsumers = 64;  // of a broadcast ring: subscribers
inline constexpr std::int32_t kRoles = kMaxProducers + kMaxConsumers;
enum class Side : std::uint32_t { producer = 0, consumer = 1 };
struct Role {
    std::int32_t place;  // 0 .. kRoles - 1

    static constexpr Role producer(std::int32_t index) noexcept { return {index}; }
    static constexpr Role consumer(std::int32_t index) noexcept { return {kMaxProducers + index}; }
    constexpr Side side() const noexcept { return place < kMaxProducers ? Side::producer : Side::consumer; }
    constexpr std::int32_t index() const noexcept { return side() == Side::producer ? place : place - kMaxProducers; }
    friend constexpr bool operator==(Role, Role) noexcept = default;
};

// What is known of who held a role.
//   absent: nobody yet    alive: somebody does    left: the last holder closed    dead: the last holder's process ended
// without closing
enum class RoleState : std::uint32_t { absent = 0, alive = 1, left = 2, dead = 3 };

struct RoleEntry {
    static constexpr std::size_t kNameBytes = 48;
    std::atomic<std::uint32_t> held{0};         // 0 never, 1 taken, 2 given back by its holder
    std::atomic<std::int32_t> pid{0};           // of the last holder
    std::atomic<std::uint64_t> incarnation{0};  // how often the role was taken
    char name[kNameBytes]{};                    // of a subscriber; zero-terminated
};
static_assert(sizeof(RoleEntry) == 64);

struct RegionHeader {
    static constexpr std::uint64_t kMagic = 0x31474E4952534D46;  // "FMSRING1", little-endian
    static constexpr std::uint32_t kVersion = 1;
    static constexpr std::size_t kDtypeBytes = 3072;

    std::uint64_t magic = 0;  // written last: a region without it is still being made, or was never finished
    std::uint32_t version = 0;
    std::uint32_t header_bytes = 0;
    std::uint64_t layout_hash = 0;  // of everything that two builds must agree on to share memory; layout_hash() below
    RingKind kind{};
    SlotLayout slots{};
    Overflow overflow{};
    std::uint32_t dtype_bytes = 0;
    std::int64_t capacity = 0;
    std::int64_t record_bytes = 0;
    std::int64_t region_bytes = 0;     // header, control, slots
    std::int64_t max_lag_records = 0;  // of Overflow::evict; else 0
    char dtype[kDtypeBytes]{};         // what a record is, as text that the caller wrote and compares

    // Records that producers dropped under Overflow::drop_newest. On a line of its own: who attaches reads the others.
    alignas(kLineBytes) std::atomic<std::int64_t> dropped{0};

    // Consumers sleep at `readable`, producers at `writable`. The words beside them say whether any end was ever taken
    // by somebody who may sleep there: while all only spin or yield, nobody need be notified.
    alignas(kLineBytes) WakePoint<HardwareMemory> readable;
    std::atomic<std::uint32_t> consumers_sleep{0};
    alignas(kLineBytes) WakePoint<HardwareMemory> writable;
    std::atomic<std::uint32_t> producers_sleep{0};
    alignas(kLineBytes) std::array<RoleEntry, kRoles> roles{};
};
static_assert(sizeof(RegionHeader) % kLineBytes == 0, "the control block that follows is aligned");

// A shared ring cannot be had as asked. The text says the rule, both sides of a mismatch and the cure.
struct SegmentError : std::runtime_error {
    using std::runtime_error::runtime_error;
};
struct SegmentBusy : SegmentError {  // the name or the role is taken; names the pid
    using SegmentError::SegmentError;
};
struct SegmentGone : SegmentError {  // there is no ring of that name
    using SegmentError::SegmentError;
};

// What a region is: what create() lays down and attach() finds.
struct RegionSpec {
    RingKind kind{};
    SlotLayout slots = SlotLayout::contiguous;
    Overflow overflow = Overflow::refuse;
    RingShape shape{};
    std::int64_t max_lag_records = 0;
    std::string dtype;  // text; compared byte for byte

    // Throws base::ConfigError when no ring can be like that.
    void check() const;
    std::size_t body_bytes() const;    // the kind's control block, slots
    std::size_t region_bytes() const;  // header and body
    // Throws SegmentError naming both when the ring's records are of another dtype.
    void require_dtype(std::string_view wanted, std::string_view name) const;
};

// What stands behind the header; throws base::ConfigError when this kind has no such layout. One line for each ring.
std::size_t body_bytes(RingKind kind, SlotLayout slots, RingShape shape);

// Changes with everything that two builds must agree on to share memory: offsets, sizes and numbers.
std::uint64_t layout_hash();

// Lays down a header in zeroed memory, all but the magic word; then the kind's control block is laid down behind it;
// then finish_header() makes it a region.
RegionHeader& write_header(std::byte* region, const RegionSpec& spec);
void finish_header(RegionHeader& header) noexcept;

// What the first bytes of a file say that it is. `foreign` is not ours to touch.
enum class RegionState { complete, unfinished, foreign };
RegionState state_of_region(std::span<const std::byte> head) noexcept;

// The spec that a header claims, with every number checked before it is used: the bytes may be anything. `head` is the
// first min(sizeof(RegionHeader), file_bytes) bytes of a file; it is read once and never again. Throws SegmentError
// that names both sides of the first thing that does not fit.
RegionSpec read_header(std::span<const std::byte> head, std::uint64_t file_bytes, std::string_view name,
                       std::optional<RingKind> expected = std::nullopt);

std::string_view kind_text(RingKind kind) noexcept;  // "spsc", ...
std::string role_text(Role role);                    // "producer 0", ...

}  // namespace fastmas::ringbuffer
