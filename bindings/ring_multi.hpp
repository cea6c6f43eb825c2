// What an MpscRing or MpmcRing of Python holds: the ring, the id of this end, and how the dead of the other ends are
// found and recovered.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "ring_end.hpp"
#include "ringbuffer/mpmc_ring.hpp"
#include "ringbuffer/mpsc_ring.hpp"

namespace fastmas::bindings {

// Of rings with many holders on a side: what is known of all of them.
class ManyEnd : public RingEnd {
  public:
    using RingEnd::RingEnd;

    // alive if anybody is; else dead if anybody died, else left if anybody left, else absent.
    ringbuffer::RoleState state_of_side(Side side) const noexcept;
    // How many places of that side were last held by a process that died.
    std::int64_t dead_on(Side side) const noexcept;
    // One of them; only when nobody of that side is alive.
    std::optional<Role> dead_with_none_left(Side side) const noexcept;
    Side other_side() const noexcept { return holds(Side::producer) ? Side::consumer : Side::producer; }
};

template <class Ring>
class MultiEnd final : public ManyEnd {
  public:
    static constexpr bool kOneConsumer = std::is_same_v<Ring, ringbuffer::MpscRing<>>;
    static constexpr ringbuffer::RingKind kKind =
        kOneConsumer ? ringbuffer::RingKind::mpsc : ringbuffer::RingKind::mpmc;
    static constexpr const char* kName = kOneConsumer ? "MpscRing" : "MpmcRing";

    MultiEnd(RingFormat&& held, std::shared_ptr<RingMemory> owned, WaitStrategy strategy)
        : ManyEnd(std::move(held), std::move(owned), strategy),
          ring(memory()->body(), memory()->spec().shape),
          drops(memory()->spec().overflow == ringbuffer::Overflow::drop_newest) {
        if constexpr (kOneConsumer) {
            if (!waiting.peer_needs_no_lock()) ring.never_rest();
        }
    }

    // In a segment: takes a place of that side. Whatever its last holder, if it was killed, has left is recovered.
    void take_over(Side side) {
        if (kOneConsumer && side == Side::consumer)
            take(Role::consumer(0));
        else
            take_any(side);
        id = role()->index();
        if (side == Side::producer)
            ring.recover_producer(id);
        else
            ring.recover_consumer(id);
        notify_readable();
        notify_writable();
    }

    // If whoever a refused push or pop waits for is dead: does it for him, and says so. It is not repeated for others
    // who died: they are found when they are waited for.
    bool recovered(std::optional<Role> delaying) {
        if (!shared() || !delaying || state_of(*delaying) != ringbuffer::RoleState::dead) return false;
        const bool done = memory()->segment()->with_dead(*delaying, [&] {
            if (delaying->side() == Side::producer)
                ring.recover_producer(delaying->index());
            else
                ring.recover_consumer(delaying->index());
        });
        if (!done) return false;
        notify_readable();
        notify_writable();
        return true;
    }

    Ring ring;
    std::int32_t id = 0;  // in process all threads are one participant: none of them can die alone
    const bool drops;     // what does not fit is dropped and counted
};

// Whom a push or a pop waits for, as wait_for() wants it.
template <class Ring>
struct Others {
    MultiEnd<Ring>& end;
    Side side;
    Role died{0};

    bool lost() {
        if (!end.shared()) return false;
        if (end.recovered(side == Side::producer ? end.ring.delays_pop() : end.ring.delays_push())) return false;
        const auto dead = end.dead_with_none_left(side);
        if (dead) died = *dead;
        return dead.has_value();
    }
    void raise() const { end.raise_dead(died); }
};

// How a ring comes to be: the constructor and the class methods.
template <class Ring>
PyObject* multi_construct(PyTypeObject* type, PyObject* args, PyObject* kwargs);
template <class Ring>
PyObject* multi_create(PyObject* type, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames);
template <class Ring>
PyObject* multi_attach(PyObject* type, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames);

}  // namespace fastmas::bindings
