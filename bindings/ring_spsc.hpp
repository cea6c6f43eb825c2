// What an SpscRing of Python holds: the ring in one of its two layouts, and the policy of its producer.
#pragma once

#include <utility>

#include "ring_end.hpp"
#include "ringbuffer/spsc_ring.hpp"

namespace fastmas::bindings {

class SpscEnd final : public RingEnd {
  public:
    static constexpr Role kProducer = Role::producer(0);
    static constexpr Role kConsumer = Role::consumer(0);

    SpscEnd(RingFormat&& held, std::shared_ptr<RingMemory> owned, WaitStrategy strategy)
        : RingEnd(std::move(held), std::move(owned), strategy),
          ring(memory()->body(), memory()->spec().shape),
          drops(memory()->spec().overflow == ringbuffer::Overflow::drop_newest) {}

    // Of this ring: sequences go on where the last holder of the role left or lost it.
    void take_over(Role role) {
        take(role);
        if (role == kProducer)
            ring.resume_producer();
        else
            ring.resume_consumer();
        notify_readable();
        notify_writable();
    }

    // Calls with the ring in its layout.
    template <class F>
    decltype(auto) with(F&& f) {
        return std::forward<F>(f)(ring);
    }

    ringbuffer::SpscRing<> ring;
    const bool drops;  // what does not fit is dropped and counted
};

// The loan of slots for the length of a with block: `ring.claim(n)`, `ring.peek(n)`.
PyObject* spsc_claim(PyObject* self, PyObject* records);
PyObject* spsc_peek(PyObject* self, PyObject* records);

// How a ring comes to be: the constructor and the class methods.
PyObject* spsc_construct(PyTypeObject* type, PyObject* args, PyObject* kwargs);
PyObject* spsc_create(PyObject* type, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames);
PyObject* spsc_attach(PyObject* type, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames);

}  // namespace fastmas::bindings
