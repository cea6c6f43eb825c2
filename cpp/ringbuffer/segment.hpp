// A ring's region in named POSIX shared memory, and the locks that tell the living from the dead.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "ringbuffer/region.hpp"

namespace fastmas::ringbuffer {

// A name is taken, a role is held, there is no such ring, or what is there is something else. The text says the rule,
// both sides of a mismatch and the cure.
struct SegmentError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// What create() lays down and attach() finds.
struct RegionSpec {
    RingKind kind{};
    SlotLayout slots = SlotLayout::contiguous;
    Overflow overflow = Overflow::refuse;
    RingShape shape{};
    std::int64_t max_lag_records = 0;
    std::string dtype;  // text; compared byte for byte

    std::size_t region_bytes() const;  // header, the kind's control block, slots
};

struct SegmentInfo {
    std::string name;
    std::string state;  // "in use", "stale", "unfinished", "foreign"
    RegionSpec spec;
    struct Holder {
        Role role;
        RoleState state;
        std::int32_t pid;
        std::string name;
    };
    std::vector<Holder> holders;
    std::int64_t bytes = 0;
};

// Guarantees: a role has one holder at a time, among all processes; the kernel gives it back when the holder's process
// ends, however it ends, and not before: a stopped process holds it, a forked child does not. The last holder to leave
// removes the name. Two processes that create, attach, close or clean at once do so one after the other.
// Who may call what: everything but region() any thread. After a fork() the child's copies are unusable:
// usable() is false there and nothing the child does, closing included, touches the parent's roles.
class Segment {
  public:
    // A live segment of that name is refused; a stale one (nobody holds a role) is replaced, under its lock.
    // The region is zeroed, touched, and holds a complete header when this returns; `format` writes the kind's control
    // block before the magic word makes the region attachable.
    static std::shared_ptr<Segment> create(std::string_view name, const RegionSpec& spec,
                                           const std::function<void(std::byte* body)>& format);
    // Touches every page. `expected_kind` is checked here; dtype by the caller, who gets spec().
    static std::shared_ptr<Segment> attach(std::string_view name, RingKind expected_kind);
    // Removes the name; whoever has it mapped goes on. False when there was none.
    static bool unlink(std::string_view name);
    static std::vector<SegmentInfo> list();
    // Removes what nobody holds; the names removed.
    static std::vector<std::string> clean();

    Segment(const Segment&) = delete;
    Segment& operator=(const Segment&) = delete;
    ~Segment();  // leaves every role it took

    const std::string& name() const noexcept;
    const RegionSpec& spec() const noexcept;
    RegionHeader& header() const noexcept;
    std::byte* body() const noexcept;  // the kind's control block, then the slots
    bool usable() const noexcept;

    // Takes a role, refusing with SegmentError (naming the holder's pid) when it is held. The result says how the last
    // holder went: absent, left or dead. Tells nobody by itself: wake what should look.
    RoleState take(Role role, std::string_view holder_name = {});
    // Any free place of that side, or for a named holder the place that last had this name.
    Role take_any(Side side, std::string_view holder_name, RoleState* before);
    void leave(Role role) noexcept;
    // One system call (about half a microsecond).
    RoleState state_of(Role role) const noexcept;

  private:
    struct Impl;
    explicit Segment(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace fastmas::ringbuffer
