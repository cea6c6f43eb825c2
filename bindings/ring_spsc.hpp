// What an SpscRing of Python holds: the ring in one of its two layouts, and the policy of its producer.
#pragma once

#include <algorithm>
#include <utility>

#include "ring_end.hpp"
#include "ringbuffer/sequenced_spsc_ring.hpp"
#include "ringbuffer/spsc_ring.hpp"

namespace fastmas::bindings {

class SpscEnd final : public RingEnd {
  public:
    using Contiguous = ringbuffer::SpscRing<>;
    using Sequenced = ringbuffer::SequencedSpscRing<>;
    static constexpr Role kProducer = Role::producer(0);
    static constexpr Role kConsumer = Role::consumer(0);

    SpscEnd(RingFormat&& held, std::shared_ptr<RingMemory> owned, WaitStrategy strategy)
        : RingEnd(std::move(held), std::move(owned), strategy),
          sequenced(memory()->spec().slots == ringbuffer::SlotLayout::sequenced),
          drops(memory()->spec().overflow == ringbuffer::Overflow::drop_newest),
          contiguous_(memory()->body(), memory()->spec().shape),
          sequenced_(memory()->body(), memory()->spec().shape) {
        if (waiting.peer_needs_no_lock()) return;
        contiguous_.never_rest();
        sequenced_.never_rest();
    }

    // Calls `f` with the ring in its layout: one branch that always goes the same way.
    template <class F>
    decltype(auto) with(F&& f) {
        return sequenced ? f(sequenced_) : f(contiguous_);
    }
    // Where `sequenced` is known.
    Contiguous& contiguous_ring() { return contiguous_; }
    Sequenced& sequenced_ring() { return sequenced_; }

    bool try_push(const std::byte* record) {
        return sequenced ? sequenced_.try_push(record) : contiguous_.try_push(record);
    }

    // How many records can be popped now, up to `most`.
    std::int64_t available(std::int64_t most) {
        return sequenced ? sequenced_.available(most) : std::min(most, contiguous_.available());
    }

    // Whether a pop, or a push, looks worth while, to a thread that waits for it without the interpreter's lock: these
    // change nothing that a call of another thread could meet, and leave the lines alone that the peer writes to more
    // often than it has to.
    bool seems_readable() {
        return sequenced ? sequenced_.was_readable() : contiguous_.pushed() != contiguous_.next_to_pop();
    }
    bool seems_writable() {
        return !with([](const auto& ring) { return ring.was_full(); });
    }

    // Takes the role: sequences go on where the last holder left or lost it.
    void take_over(Role role) {
        take(role);
        with([&](auto& ring) { role == kProducer ? ring.resume_producer() : ring.resume_consumer(); });
        notify_readable();
        notify_writable();
    }

    const bool sequenced;
    const bool drops;  // what does not fit is dropped and counted

  private:
    // Views of the same body, of which one means something.
    Contiguous contiguous_;
    Sequenced sequenced_;
};

// The loan of slots for the length of a with block: `ring.claim(n)`, `ring.peek(n)`.
PyObject* spsc_claim(PyObject* self, PyObject* records);
PyObject* spsc_peek(PyObject* self, PyObject* records);

// How a ring comes to be: the constructor and the class methods.
PyObject* spsc_construct(PyTypeObject* type, PyObject* args, PyObject* kwargs);
PyObject* spsc_create(PyObject* type, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames);
PyObject* spsc_attach(PyObject* type, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames);

}  // namespace fastmas::bindings
