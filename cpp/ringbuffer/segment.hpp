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

// A line of `fastmas rings ls`.
struct SegmentInfo {
    std::string name;
    std::string state;  // "in use", "stale" (nobody has it mapped), "unfinished", "foreign"
    std::string why;    // of "foreign": what is wrong with it
    RegionSpec spec;    // of "in use" and "stale"
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
// ends, however it ends, and not before: a stopped process holds it, a forked child does not. A name means a complete
// ring or nothing. The last process to close removes the name, at exit() at the latest, but one that never held a role
// leaves what a dead holder may come back to; one that is killed leaves it for the next create() or clean(). Processes
// that create, attach, close, clean or unlink at once do so as if one after the other.
// Who may call what: everything, any thread. After a fork() the child's copies are unusable: nothing the child does,
// closing included, touches the parent's roles; the child attaches anew.
// Use it for rings between processes of one user on one machine, which trust one another as far as memory goes: what a
// header says is checked, but who can write the file can also shorten it under a reader (SIGBUS); so a file that is
// neither this user's nor root's is refused. Do not open the file of a ring that the own process has mapped: closing it
// again gives all roles back, says POSIX. Progress: taking, leaving and asking are a few system calls. A process that
// is stopped in the middle of a removal (microseconds) delays the others by at most kLockPatience; then they get a
// SegmentBusy that names it.
class Segment {
  public:
    // A name that somebody has mapped is refused; one that nobody has is replaced. The region is zeroed, touched, and
    // complete before it has its name; `format` writes the kind's control block.
    static std::shared_ptr<Segment> create(std::string_view name, const RegionSpec& spec,
                                           const std::function<void(std::byte* body)>& format);
    // Touches every page. Also takes what the dead left. `check` sees the spec before anything is attached, and throws
    // when it does not like it (the dtype: RegionSpec::require_dtype).
    static std::shared_ptr<Segment> attach(std::string_view name, RingKind expected_kind,
                                           const std::function<void(const RegionSpec&)>& check = {});
    // Removes the name; whoever has it mapped goes on. False when there was none.
    static bool unlink(std::string_view name);
    static std::vector<SegmentInfo> list();
    // Removes what nobody has mapped; the names removed.
    static std::vector<std::string> clean();

    Segment(const Segment&) = delete;
    Segment& operator=(const Segment&) = delete;
    ~Segment();
    // Leaves every role it took and, as the last, removes the name. The memory stays mapped as long as the object
    // lives, so that a view of a slot stays readable.
    void close() noexcept;

    const std::string& name() const noexcept;
    const RegionSpec& spec() const noexcept;
    RegionHeader& header() const noexcept;
    std::byte* body() const noexcept;  // the kind's control block, then the slots
    bool usable() const noexcept;      // neither closed nor inherited through a fork()

    // Takes a role, refusing with SegmentBusy (naming the holder's pid) when it is held, also by this process. The
    // result says how the last holder went: absent, left or dead. Tells nobody by itself: wake what should look.
    RoleState take(Role role, std::string_view holder_name = {});
    // A free place of that side: one that was never held, else one that was left, else a dead one without a name. For
    // a named holder the place that last had this name, which is refused while it is held.
    Role take_any(Side side, std::string_view holder_name, RoleState* before);
    void leave(Role role) noexcept;
    // Makes a place whose holder died or left one that nobody ever had; false when somebody holds it.
    bool forget(Role role) noexcept;
    // Calls `recover` if the place's holder died, while nobody can take the place; says whether it did. The place stays
    // that of a dead holder.
    bool with_dead(Role role, const std::function<void()>& recover) noexcept;
    // One system call (about half a microsecond). In an unusable copy: absent.
    RoleState state_of(Role role) const noexcept;
    // Of the last holder; 0 when there was none.
    std::int32_t pid_of(Role role) const noexcept;

  private:
    struct Impl;
    friend struct SegmentAccess;
    explicit Segment(std::unique_ptr<Impl> impl);
    void require_usable() const;
    bool while_free(Role role, const std::function<void()>& change) noexcept;
    // The rest under the table's mutex.
    RoleState take_locked(Role role, std::string_view holder_name);
    void leave_locked(Role role) noexcept;
    std::unique_ptr<Impl> impl_;
};

}  // namespace fastmas::ringbuffer
