// Who holds which role of a shared ring: one lock of the kernel's for each place, and what its last holder wrote down.
#include <unistd.h>

#include <cstring>
#include <string>

#include "base/errors.hpp"
#include "ringbuffer/file_lock.hpp"
#include "ringbuffer/kill_point.hpp"
#include "ringbuffer/segment.hpp"
#include "ringbuffer/segment_file.hpp"
#include "ringbuffer/segment_table.hpp"

namespace fastmas::ringbuffer {
namespace {

enum Held : std::uint32_t { never = 0, taken = 1, given_back = 2 };

// What an entry says of a place that nobody holds.
RoleState state_when_free(std::uint32_t held) {
    if (held == Held::taken) return RoleState::dead;
    return held == Held::given_back ? RoleState::left : RoleState::absent;
}

std::uint32_t held_in(const RoleEntry& entry) {
    // [L1 acquire] pairs with [L1 release] in write_holder() and leave_locked(): who sees that a holder left also sees
    // all that it did; of one that died, the kernel's lock orders it.
    return entry.held.load(std::memory_order_acquire);
}

void check_holder_name(std::string_view name) {
    if (name.size() < RoleEntry::kNameBytes && name.find('\0') == std::string_view::npos) return;
    throw base::ConfigError("the name of a subscriber must have at most " + std::to_string(RoleEntry::kNameBytes - 1) +
                            " bytes and no zero, got " + std::to_string(name.size()) + " bytes; take a shorter one");
}

// The name's first byte is written last and cleared first: a process that is killed here leaves no half of a name.
void write_name(RoleEntry& entry, std::string_view name) {
    auto* const text = static_cast<volatile char*>(entry.name);
    text[0] = '\0';
    for (std::size_t i = RoleEntry::kNameBytes - 1; i > 0; --i) {
        text[i] = i < name.size() ? name[i] : '\0';
        FASTMAS_KILL_POINT("take: part of a name");
    }
    text[0] = name.empty() ? '\0' : name[0];
}

std::uint64_t incarnation_of(const RoleEntry& entry) {
    return entry.incarnation.load(std::memory_order_relaxed);  // [L3 relaxed] ordered by [L1 acquire] before it
}

void write_holder(RoleEntry& entry, std::string_view name) {
    FASTMAS_KILL_POINT("take: locked");
    // [L2 relaxed] the holder's alone to write; to show
    entry.pid.store(static_cast<std::int32_t>(getpid()), std::memory_order_relaxed);
    write_name(entry, name);
    // [L3 relaxed] the holder's alone to write; ordered by [L1 release] below
    entry.incarnation.store(incarnation_of(entry) + 1, std::memory_order_relaxed);
    FASTMAS_KILL_POINT("take: written down");
    // [L1 release] pairs with [L1 acquire] in held_in()
    entry.held.store(Held::taken, std::memory_order_release);
    FASTMAS_KILL_POINT("take: taken");
}

std::string_view name_in(const RoleEntry& entry) {
    return {entry.name, strnlen(entry.name, RoleEntry::kNameBytes)};
}

[[noreturn]] void refuse_role(const Attachment& at, Role role, pid_t pid) {
    const std::string_view holder = name_in(at.entry(role));
    throw SegmentBusy(role_text(role) + (holder.empty() ? "" : " '" + std::string(holder) + "'") + " of ring '" +
                      at.name + "' is held" + by_process(pid) +
                      "; a role has one holder: close it there, or wait until that process ends");
}

// Held while a place is looked for and taken, so that two processes do not give one name two places.
class RoleTableLock {
  public:
    explicit RoleTableLock(const Attachment& at) : fd_(at.file.get()) {
        lock_soon(fd_, LockByte::kRoleTable, LockType::exclusive, at.name);
    }
    RoleTableLock(const RoleTableLock&) = delete;
    RoleTableLock& operator=(const RoleTableLock&) = delete;
    ~RoleTableLock() { unlock(fd_, LockByte::kRoleTable); }

  private:
    int fd_;
};

bool held_here(const Attachment& at, Role role) {
    // [L4 acquire] pairs with [L4 release] in set_holder(): who sees that it was left here also sees held given back.
    return at.holders[static_cast<std::size_t>(role.place)].load(std::memory_order_acquire) != nullptr;
}

void set_holder(Attachment& at, Role role, const void* segment) {
    // [L4 release] pairs with [L4 acquire] in held_here()
    at.holders[static_cast<std::size_t>(role.place)].store(segment, std::memory_order_release);
}

}  // namespace

bool Attachment::is_dead(Role role) const noexcept {
    return held_in(entry(role)) == Held::taken && !held_here(*this, role) &&
           !holder_of(file.get(), LockByte::role(role), LockType::exclusive).held;
}

void Segment::require_usable() const {
    if (usable()) return;
    // [F3 relaxed] usable() has acquired it
    if (impl_->closed.load(std::memory_order_relaxed))
        throw SegmentError("ring '" + name() + "' is closed; attach to it again");
    throw SegmentError("ring '" + name() +
                       "' was attached before a fork and belongs to the parent; attach to it "
                       "again in this process");
}

RoleState Segment::take_locked(Role role, std::string_view holder_name) {
    Attachment& at = *impl_->at;
    if (held_here(at, role)) refuse_role(at, role, getpid());
    if (!try_lock(at.file.get(), LockByte::role(role), LockType::exclusive))
        refuse_role(at, role, holder_of(at.file.get(), LockByte::role(role), LockType::exclusive).pid);
    RoleEntry& entry = at.entry(role);
    const RoleState before = state_when_free(held_in(entry));
    at.took_part = true;
    set_holder(at, role, this);  // before it is written down: state_of() must not take our own role for a dead one's
    write_holder(entry, holder_name);
    return before;
}

RoleState Segment::take(Role role, std::string_view holder_name) {
    if (role.place < 0 || role.place >= kRoles)
        throw base::ConfigError("a role's place must be 0 to " + std::to_string(kRoles - 1) + ", got " +
                                std::to_string(role.place));
    check_holder_name(holder_name);
    const std::lock_guard lock(SegmentTable::instance().mutex);
    require_usable();
    const RoleTableLock table(*impl_->at);
    return take_locked(role, holder_name);
}

Role Segment::take_any(Side side, std::string_view holder_name, RoleState* before) {
    check_holder_name(holder_name);
    const std::lock_guard lock(SegmentTable::instance().mutex);
    require_usable();
    Attachment& at = *impl_->at;
    const RoleTableLock table(at);
    const std::int32_t first = side == Side::producer ? 0 : kMaxProducers;
    const std::int32_t past = side == Side::producer ? kMaxProducers : kRoles;
    const auto take_it = [&](Role role) {
        const RoleState was = take_locked(role, holder_name);
        if (before != nullptr) *before = was;
        return role;
    };
    if (!holder_name.empty())
        for (std::int32_t place = first; place < past; ++place)
            if (held_in(at.entry({place})) != Held::never && name_in(at.entry({place})) == holder_name)
                return take_it({place});
    // A dead holder with a name may come back to its place.
    for (const Held wanted : {Held::never, Held::given_back, Held::taken})
        for (std::int32_t place = first; place < past; ++place) {
            const Role role{place};
            if (held_in(at.entry(role)) != wanted || held_here(at, role)) continue;
            if (wanted == Held::taken && !name_in(at.entry(role)).empty()) continue;
            if (!holder_of(at.file.get(), LockByte::role(role), LockType::exclusive).held) return take_it(role);
        }
    throw SegmentBusy("all " + std::to_string(past - first) + " places for " +
                      (side == Side::producer ? "producers" : "consumers") + " of ring '" + at.name +
                      "' are taken; close one first");
}

void Segment::leave_locked(Role role) noexcept {
    Attachment& at = *impl_->at;
    const auto place = static_cast<std::size_t>(role.place);
    // [L4 relaxed] the table's mutex orders all writes
    if (at.holders[place].load(std::memory_order_relaxed) != this) return;
    FASTMAS_KILL_POINT("leave: about to");
    // [L1 release] pairs with [L1 acquire] in held_in()
    at.entry(role).held.store(Held::given_back, std::memory_order_release);
    FASTMAS_KILL_POINT("leave: written down");
    unlock(at.file.get(), LockByte::role(role));
    set_holder(at, role, nullptr);
    FASTMAS_KILL_POINT("leave: left");
}

void Segment::leave(Role role) noexcept {
    if (role.place < 0 || role.place >= kRoles) return;
    const std::lock_guard lock(SegmentTable::instance().mutex);
    if (usable()) leave_locked(role);
}

// Calls `change` while nobody holds the place and nobody can take it; false when somebody does.
bool Segment::while_free(Role role, const std::function<void()>& change) noexcept {
    if (role.place < 0 || role.place >= kRoles) return false;
    const std::lock_guard lock(SegmentTable::instance().mutex);
    Attachment& at = *impl_->at;
    if (!usable() || held_here(at, role)) return false;
    try {
        const RoleTableLock table(at);
        if (!try_lock(at.file.get(), LockByte::role(role), LockType::exclusive)) return false;
    } catch (const std::exception&) {
        return false;  // somebody who is stopped is just taking a role
    }
    change();
    unlock(at.file.get(), LockByte::role(role));
    return true;
}

bool Segment::forget(Role role) noexcept {
    return while_free(role, [&] {
        RoleEntry& entry = impl_->at->entry(role);
        write_name(entry, "");
        // [L1 release] pairs with [L1 acquire] in held_in()
        entry.held.store(Held::never, std::memory_order_release);
    });
}

bool Segment::with_dead(Role role, const std::function<void()>& recover) noexcept {
    bool died = false;
    const bool was_free = while_free(role, [&] {
        died = held_in(impl_->at->entry(role)) == Held::taken;
        if (died) recover();
    });
    return was_free && died;
}

RoleState Segment::state_of(Role role) const noexcept {
    const Attachment& at = *impl_->at;
    if (!usable() || role.place < 0 || role.place >= kRoles) return RoleState::absent;
    const RoleEntry& entry = at.entry(role);
    // A process may take the place, leave it or die between one look and the next: what the entry says counts only if
    // it said so before and after the kernel said that nobody holds it.
    while (true) {
        const std::uint32_t held = held_in(entry);
        const std::uint64_t incarnation = incarnation_of(entry);
        FASTMAS_KILL_POINT("state: looked");
        if (held_here(at, role)) return RoleState::alive;
        {
            const std::lock_guard closing(impl_->at->closing);
            if (!at.file) return RoleState::absent;  // closed by another thread meanwhile
            if (holder_of(at.file.get(), LockByte::role(role), LockType::exclusive).held) return RoleState::alive;
        }
        if (held_in(entry) == held && incarnation_of(entry) == incarnation) return state_when_free(held);
    }
}

std::int32_t Segment::pid_of(Role role) const noexcept {
    if (role.place < 0 || role.place >= kRoles) return 0;
    return impl_->at->entry(role).pid.load(std::memory_order_relaxed);  // [L2 relaxed] to show, not to decide
}

}  // namespace fastmas::ringbuffer
