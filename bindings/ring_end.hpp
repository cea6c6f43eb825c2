// What an object of Python holds of a ring: its memory, its role, how it waits, and whether it may still be used.
#pragma once

#include <Python.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "ring_format.hpp"
#include "ring_lock.hpp"
#include "ring_memory.hpp"
#include "ring_wait.hpp"

namespace fastmas::bindings {

class RingEnd;
using ringbuffer::Role;
using ringbuffer::Side;

// How every ring's object begins. A hot call reads the gate of its side and nothing else to know that the object is
// open, in the process that opened it, of the right role and not lent: whatever forbids the call has closed the gate.
struct RingObject {
    PyObject_HEAD std::atomic<RingEnd*> pushing;
    std::atomic<RingEnd*> popping;
    RingEnd* end;  // owned; set before Python can see the object
};

inline RingObject* as_ring(PyObject* self) {
    return reinterpret_cast<RingObject*>(self);
}

// The end behind a gate, nullptr when it is closed: then regain_push() or regain_pop() says why, or opens it. `End` is
// what the object's type makes.
template <class End>
End* pushing(PyObject* self) {
    // [R1 relaxed] closed under the interpreter's lock, or by a thread that the caller has to order himself against;
    // the memory behind it stays until the object goes
    return static_cast<End*>(as_ring(self)->pushing.load(std::memory_order_relaxed));
}
template <class End>
End* popping(PyObject* self) {
    // [R1 relaxed] for the reason in pushing()
    return static_cast<End*>(as_ring(self)->popping.load(std::memory_order_relaxed));
}

// Made with the interpreter's lock held, and used with it, but for what waits. Derived classes add the views of the
// ring's body and whatever one side remembers.
class RingEnd {
  public:
    // `host`: the end whose memory it is, which leaves the segment when it closes; this one gives up its role, and
    // lives under that one's lock.
    RingEnd(RingFormat&& held, std::shared_ptr<RingMemory> owned, WaitStrategy strategy, RingEnd* host = nullptr);
    RingEnd(const RingEnd&) = delete;
    RingEnd& operator=(const RingEnd&) = delete;
    virtual ~RingEnd();

    // ---- hot

    RingFormat format;
    ringbuffer::RegionHeader* const header;
    const Waiting waiting;

    void notify_readable() const noexcept { notify_at(header->readable, header->consumers_sleep); }
    void notify_writable() const noexcept { notify_at(header->writable, header->producers_sleep); }
    void notify_producers() const noexcept { notify_writable(); }
    // The same, and then `result`: what a hot call ends with, so that it needs no frame of its own.
    PyObject* notify_readable(PyObject* result) const noexcept {
        if (nobody_waits_at(header->readable, header->consumers_sleep)) [[likely]]
            return result;
        return wake_readers(result);
    }
    PyObject* notify_writable(PyObject* result) const noexcept {
        if (nobody_waits_at(header->writable, header->producers_sleep)) [[likely]]
            return result;
        return wake_writers(result);
    }
    PyObject* notify_producers(PyObject* result) const noexcept { return notify_writable(result); }

    // Of a ring that drops what does not fit; also read by the other side.
    void count_dropped(std::int64_t records) const noexcept {
        header->dropped.fetch_add(records, std::memory_order_relaxed);  // [R2 relaxed] a count to show
    }

    // ---- life

    // In a segment: takes the role for this object; throws as Segment::take. What is known of who had it before.
    ringbuffer::RoleState take(Role role, std::string_view holder_name = {});
    // The same for any free place of that side, or the one that last had this name.
    ringbuffer::RoleState take_any(Side side, std::string_view holder_name = {});
    // Opens the gates of the roles held (both in process) and lets the object own this end.
    void bind(RingObject* object) noexcept;
    // Closes the gates, gives the role back, and has every waiter look again. The memory stays until the object goes:
    // calls that were interrupted by this one may still touch it.
    void close() noexcept;
    bool open() const noexcept { return state() == State::open; }
    bool closed() const noexcept { return state() == State::closed; }  // otherwise it is open, or inherited by a fork

    // For what has to be done as a whole where there is no interpreter's lock.
    LifeLock& life() const noexcept { return host_ != nullptr ? host_->life_ : life_; }

    // While a loan is out, a side does nothing else.
    void lend(Side side) noexcept;
    void take_back(Side side) noexcept;
    // Whether a with block has slots of that side: until it ends they are its own.
    bool lends_to_a_block(Side side) const noexcept {
        return open() && lent_[static_cast<int>(side)] && roots_[static_cast<int>(side)] == nullptr;
    }
    // The loan is over, but arrays live on that reach its slots, all by way of `root` (stolen): the side stays lent
    // until they are gone, which regain() notices.
    void keep_lent(Side side, PyObject* root) noexcept;

    // ---- what it is

    const std::shared_ptr<RingMemory>& memory() const noexcept { return memory_; }
    // An object that keeps the memory, for arrays that may outlive this end; borrowed. nullptr with an exception set
    // when there is no memory for it.
    PyObject* keeper();
    bool shared() const noexcept { return waiting.shared; }
    const std::optional<Role>& role() const noexcept { return role_; }
    bool holds(Side side) const noexcept;
    // "ring '/name'", or "the ring" in process.
    std::string called() const;

    // ---- the other side

    // What is known of who holds that role; alive in process. One system call in a segment.
    ringbuffer::RoleState state_of(Role role) const noexcept;
    // Sets PeerDeadError, which names that role and its last holder.
    void raise_dead(Role role) const;
    // Whether a call failed for a death only after a part of its batch was in: then how much that was counts more, and
    // the next call raises. Clears the error.
    static bool only_dead_after(std::int64_t pushed);
    // Any other error that ended a batch, an interrupt above all, says how much of it was in.
    static void note_pushed(std::int64_t pushed, std::int64_t of) noexcept;
    // After a try_ call that found nothing to do: whether to look after the peer now.
    bool look_is_due() noexcept { return waiting.shared && pace_.due(); }
    // The state of whoever is at the other end, of several taken together.
    virtual ringbuffer::RoleState peer_state() const noexcept;
    // Ends that are put out of their ring say so, and set the error.
    static constexpr bool put_out() noexcept { return false; }
    static constexpr void raise_put_out() noexcept {}
    // Sets DeadlineError; always nullptr.
    PyObject* raise_full(PyObject* timeout_s) const;

    // For a call that met a closed gate: opens it when what was lent is back. Otherwise false with the error set that
    // says why it is closed.
    bool regain(Side side);
    // Sets that error; always nullptr.
    virtual PyObject* refuse(Side side) const;

  protected:
    // While it closes, before its role is given back: what has to be undone in the ring. Destructors of classes that
    // have something to undo call close().
    virtual void leaving() noexcept {}

  private:
    enum class State : std::uint8_t { open, closed, forked };
    friend struct SharedEnds;
    // [R1 relaxed] as of the gates, which say the same to who uses the ring; written under life()
    State state() const noexcept { return state_.load(std::memory_order_relaxed); }

    bool nobody_waits_at(const WakePoint& point, const std::atomic<std::uint32_t>& sleepers) const noexcept {
        // [R3 relaxed] set when an end is taken; who has just done that does not sleep long the first time
        // (ring_wait.hpp)
        if (waiting.shared) return sleepers.load(std::memory_order_relaxed) == 0;
        return nobody_waits_in_process(point);
    }
    void notify_at(WakePoint& point, const std::atomic<std::uint32_t>& sleepers) const noexcept {
        if (!nobody_waits_at(point, sleepers)) notify(point, waiting.shared);
    }
    PyObject* wake_readers(PyObject* result) const noexcept;
    PyObject* wake_writers(PyObject* result) const noexcept;
    void announce(Role role) noexcept;
    void set_gates() noexcept;
    void leave() noexcept;

    std::shared_ptr<RingMemory> memory_;
    std::optional<Role> role_;
    RingObject* object_ = nullptr;
    std::atomic<State> state_{State::open};
    RingEnd* const host_;
    mutable LifeLock life_;
    bool lent_[2] = {false, false};
    PyObject* keeper_ = nullptr;               // owned, once asked for
    PyObject* roots_[2] = {nullptr, nullptr};  // owned: of loans that outlived their block
    PollPace pace_;
};

// The only holder of a role, as wait_for() wants a peer.
struct OnePeer {
    const RingEnd& end;
    Role role;
    bool lost() const { return end.state_of(role) == ringbuffer::RoleState::dead; }
    void raise() const { end.raise_dead(role); }
};

// The end behind a gate that was found closed, when it could be opened; nullptr with the error set. Slow.
inline RingEnd* regain_push(PyObject* self) {
    return as_ring(self)->end->regain(Side::producer) ? as_ring(self)->end : nullptr;
}
inline RingEnd* regain_pop(PyObject* self) {
    return as_ring(self)->end->regain(Side::consumer) ? as_ring(self)->end : nullptr;
}

// A new object of `type`, which begins with RingObject, that owns `end`. nullptr with an exception set when memory runs
// out.
PyObject* new_ring_object(PyTypeObject* type, std::unique_ptr<RingEnd> end);
void dealloc_ring_object(PyObject* self);
int traverse_ring_object(PyObject* self, visitproc visit, void* arg);

}  // namespace fastmas::bindings
