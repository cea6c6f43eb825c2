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
    static constexpr ringbuffer::RingKind kKind = ringbuffer::RingKind::spsc;
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

    // ---- as Producer and Consumer want it (ring_producer.hpp, ring_consumer.hpp)

    static constexpr const char* kPush = "push";
    static constexpr const char* kPushMany = "push_many";
    static constexpr const char* kPopMany = "pop_many";
    static constexpr bool kTakesFirst = false;
    static constexpr bool takes_all_there() noexcept { return true; }
    OnePeer producers() const { return {*this, kProducer}; }
    OnePeer consumers() const { return {*this, kConsumer}; }

    bool try_push(const std::byte* record) {
        return sequenced ? sequenced_.try_push(record) : contiguous_.try_push(record);
    }
    std::int64_t push_many(const std::byte* records, std::int64_t count) {
        return with([&](auto& ring) { return ring.push_many(records, count); });
    }

    template <class F>
    PyObject* with_back(F&& f) {
        return with(f);
    }
    template <class F>
    PyObject* with_front(F&& f) {
        return with(f);
    }

    const std::byte* front() { return sequenced ? sequenced_.front() : contiguous_.front(); }
    ringbuffer::Sequence next_to_pop() const {
        return sequenced ? sequenced_.next_to_pop() : contiguous_.next_to_pop();
    }
    void pop_front() { sequenced ? sequenced_.pop_front() : contiguous_.pop_front(); }
    std::int64_t pop_many(std::byte* out, std::int64_t max) {
        return with([&](auto& ring) { return ring.pop_many(out, max); });
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
    bool seems_writable() { return !was_full(); }

    std::int64_t pushed() {
        return with([](const auto& ring) { return ring.pushed(); });
    }
    std::int64_t popped() {
        return with([](const auto& ring) { return ring.popped(); });
    }
    std::int64_t was_size() {
        return with([](const auto& ring) { return ring.was_size(); });
    }
    bool was_empty() { return was_size() == 0; }
    bool was_full() { return was_size() == memory()->spec().shape.capacity; }

    // Takes the role: sequences go on where the last holder left or lost it.
    void take_over(Side side) {
        const bool produces = side == Side::producer;
        take(produces ? kProducer : kConsumer);
        with([&](auto& ring) { produces ? ring.resume_producer() : ring.resume_consumer(); });
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
