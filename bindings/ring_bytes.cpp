// fastmas.ring.ByteRing.
#include <algorithm>

#include "call_arguments.hpp"
#include "python_errors.hpp"
#include "ring_arguments.hpp"
#include "ring_byte_docs.hpp"
#include "ring_common.hpp"
#include "ring_end.hpp"
#include "ring_objects.hpp"
#include "ring_shared_docs.hpp"
#include "ringbuffer/byte_ring.hpp"

namespace fastmas::bindings {
namespace {

using ringbuffer::RegionSpec;
using ringbuffer::RingKind;
using ringbuffer::RingShape;
using Ring = ringbuffer::ByteRing<>;

class ByteEnd final : public RingEnd {
  public:
    static constexpr Role kProducer = Role::producer(0);
    static constexpr Role kConsumer = Role::consumer(0);

    ByteEnd(std::shared_ptr<RingMemory> owned, WaitStrategy strategy)
        : RingEnd(RingFormat(), std::move(owned), strategy),
          ring(memory()->body(), memory()->spec().shape),
          drops(memory()->spec().overflow == ringbuffer::Overflow::drop_newest) {
        if (!waiting.peer_needs_no_lock()) ring.never_rest();
    }

    // Takes the role: frames go on where the last holder left or lost it.
    void take_over(Role role) {
        take(role);
        role == kProducer ? ring.resume_producer() : ring.resume_consumer();
        notify_readable();
        notify_writable();
    }

    Ring ring;
    const bool drops;  // what does not fit is dropped and counted
};

ByteEnd& end_of(PyObject* self) {
    return *static_cast<ByteEnd*>(as_ring(self)->end);
}

// What holds a caller's buffer while a call uses it.
class Buffer {
  public:
    Buffer() { view_.obj = nullptr; }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() {
        if (view_.obj != nullptr) PyBuffer_Release(&view_);
    }
    // False with ConfigError set when `object` has no bytes in one piece, or none that may be written.
    bool read(PyObject* object, int flags, const char* rule) {
        if (PyObject_GetBuffer(object, &view_, flags) == 0) return true;
        view_.obj = nullptr;
        if (clear_refusal()) raise("ConfigError", "%s, got %R", rule, reinterpret_cast<PyObject*>(Py_TYPE(object)));
        return false;
    }
    std::byte* data() const { return static_cast<std::byte*>(view_.buf); }
    std::size_t bytes() const { return static_cast<std::size_t>(view_.len); }

  private:
    Py_buffer view_;
};

bool read_frame(PyObject* object, Buffer* frame) {
    return frame->read(object, PyBUF_SIMPLE,
                       "a frame must be bytes in one piece: bytes, bytearray, a contiguous array");
}

// ---- how a ring comes to be

PyObject* repr(PyObject* self) {
    const RingEnd& end = *as_ring(self)->end;
    const auto capacity = static_cast<long long>(end.memory()->spec().shape.capacity);
    if (!end.shared()) return PyUnicode_FromFormat("ByteRing(capacity_bytes=%lld)", capacity);
    return PyUnicode_FromFormat("<ByteRing '%s' of %lld bytes, %s>", end.memory()->segment()->name().c_str(), capacity,
                                !end.open() ? "closed" : name_of(end.role()->side()));
}

// Makes the object in process, or as `side` of the segment `name`. May throw.
PyObject* make(PyTypeObject* type, const std::string* name, PyObject* capacity, PyObject* strategy, PyObject* overflow,
               Side side) {
    RegionSpec spec;
    spec.kind = RingKind::bytes;
    std::int64_t bytes = 0;
    WaitStrategy wait = WaitStrategy::adaptive;
    if (!to_i64(capacity, "capacity_bytes", &bytes) || !read_wait(strategy, &wait) ||
        !read_overflow(overflow, &spec.overflow))
        return nullptr;
    spec.shape = Ring::shape(bytes);
    auto end = std::make_unique<ByteEnd>(make_memory<Ring>(name, spec), wait);
    if (name != nullptr) end->take_over(side == Side::producer ? ByteEnd::kProducer : ByteEnd::kConsumer);
    return new_ring_object(type, std::move(end));
}

PyObject* construct(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
    static const char* const names[] = {"capacity_bytes", "wait", "overflow"};
    static const Parameters parameters{"ByteRing", names, 3, 1, 1};
    PyObject* given[3];
    if (!match_arguments(parameters, args, kwargs, given)) return nullptr;
    try {
        return make(type, nullptr, given[0], given[1], given[2], Side::producer);
    } catch (...) {
        return raise_current_exception();
    }
}

PyObject* create(PyObject* type, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    static const char* const names[] = {"name", "capacity_bytes", "role", "wait", "overflow"};
    static const Parameters parameters{"create", names, 5, 2, 2};
    PyObject* given[5];
    std::string name;
    Side side = Side::producer;
    if (!match_arguments(parameters, args, nargs, kwnames, given) || !read_name(given[0], &name) ||
        !read_side(given[2], &side))
        return nullptr;
    try {
        return make(reinterpret_cast<PyTypeObject*>(type), &name, given[1], given[3], given[4], side);
    } catch (...) {
        return raise_current_exception();
    }
}

PyObject* attach(PyObject* type, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    static const char* const names[] = {"name", "role", "wait"};
    static const Parameters parameters{"attach", names, 3, 1, 1};
    PyObject* given[3];
    std::string name;
    Side side = Side::consumer;
    WaitStrategy wait = WaitStrategy::adaptive;
    if (!match_arguments(parameters, args, nargs, kwnames, given) || !read_name(given[0], &name) ||
        !read_side(given[1], &side) || !read_wait(given[2], &wait))
        return nullptr;
    try {
        auto end = std::make_unique<ByteEnd>(RingMemory::attach(name, RingKind::bytes), wait);
        end->take_over(side == Side::producer ? ByteEnd::kProducer : ByteEnd::kConsumer);
        return new_ring_object(reinterpret_cast<PyTypeObject*>(type), std::move(end));
    } catch (...) {
        return raise_current_exception();
    }
}

// ---- producer

// One attempt; an error when the frame is too large for the ring.
Attempt push_frame(ByteEnd& end, const Buffer& frame) {
    try {
        if (!end.ring.try_push(frame.data(), frame.bytes())) return Attempt::again;
    } catch (...) {
        raise_current_exception();
        return Attempt::error;
    }
    end.notify_readable();
    return Attempt::done;
}

// A frame that found no room: again, unless nobody is left who could make some.
Attempt not_pushed(ByteEnd& end, const Buffer& frame) {
    const OnePeer consumer{end, ByteEnd::kConsumer};
    if (end.look_is_due() && consumer.lost()) {
        const Attempt last = push_frame(end, frame);  // the last thing it did may have been to make room
        if (last != Attempt::again) return last;
        consumer.raise();
        return Attempt::error;
    }
    if (end.drops) end.count_dropped(1);
    return Attempt::again;
}

PyObject* try_push(PyObject* self, PyObject* object) {
    if (pushing<ByteEnd>(self) == nullptr) [[unlikely]]
        return as_ring(self)->end->refuse(Side::producer);
    Buffer frame;
    if (!read_frame(object, &frame)) return nullptr;
    // Reading may have run Python code, which may have closed the ring.
    ByteEnd* const end = pushing<ByteEnd>(self);
    if (end == nullptr) [[unlikely]]
        return as_ring(self)->end->refuse(Side::producer);
    Attempt outcome = push_frame(*end, frame);
    if (outcome == Attempt::again) outcome = not_pushed(*end, frame);
    return outcome == Attempt::error ? nullptr : PyBool_FromLong(outcome == Attempt::done);
}

PyObject* push(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    static const char* const names[] = {"frame", "timeout_s"};
    static const Parameters parameters{"push", names, 2, 1, 2};
    ByteEnd& end = end_of(self);
    PyObject* given[2];
    Buffer frame;
    Patience patience;
    if (!match_arguments(parameters, args, nargs, kwnames, given) || !read_frame(given[0], &frame) ||
        !patience.read(given[1], true))
        return nullptr;
    Attempt outcome = wait_for(
        end.waiting, end.header->writable, end.drops ? Patience() : patience,
        [&] {
            if (pushing<ByteEnd>(self) != nullptr) return push_frame(end, frame);
            as_ring(self)->end->refuse(Side::producer);
            return Attempt::error;
        },
        [&] { return !end.ring.was_full_for(frame.bytes()); }, OnePeer{end, ByteEnd::kConsumer});
    if (outcome == Attempt::again && end.drops && (outcome = not_pushed(end, frame)) != Attempt::error) Py_RETURN_NONE;
    if (outcome == Attempt::error) return nullptr;
    if (outcome == Attempt::again)
        return raise("DeadlineError",
                     "the ring of %lld bytes had no room for a frame of %zu for %S s; pop from it or give a longer "
                     "timeout_s",
                     static_cast<long long>(end.ring.capacity()), frame.bytes(), given[1]);
    Py_RETURN_NONE;
}

// ---- consumer

// The oldest frame as new bytes, and off the ring once `keep(bytes)` has said that they are safe: then nothing can fail
// any more. Neither runs Python code, so nothing comes in between.
template <class Keep>
Attempt pop_frame(ByteEnd& end, PyObject** bytes, Keep&& keep) {
    try {
        const auto frame = end.ring.front();
        if (frame.data == nullptr) return Attempt::again;
        *bytes =
            PyBytes_FromStringAndSize(reinterpret_cast<const char*>(frame.data), static_cast<Py_ssize_t>(frame.bytes));
    } catch (...) {
        raise_current_exception();
        return Attempt::error;
    }
    if (*bytes == nullptr || !keep(*bytes)) return Attempt::error;
    end.ring.pop_front();
    end.notify_writable();
    return Attempt::done;
}
Attempt pop_frame(ByteEnd& end, PyObject** bytes) {
    return pop_frame(end, bytes, [](PyObject*) { return true; });
}

// One frame into a caller's buffer, which is held; an error when it is too small.
Attempt pop_into_buffer(ByteEnd& end, const Buffer& out, std::size_t* bytes) {
    try {
        switch (end.ring.try_pop(out.data(), out.bytes(), bytes)) {
            case Ring::Popped::nothing:
                return Attempt::again;
            case Ring::Popped::done:
                end.notify_writable();
                return Attempt::done;
            case Ring::Popped::too_long:
                break;
        }
    } catch (...) {
        raise_current_exception();
        return Attempt::error;
    }
    raise("ConfigError", "a buffer must hold the frame, which has %zu bytes, got one of %zu; the frame is still there",
          *bytes, out.bytes());
    return Attempt::error;
}

// A try_ call found nothing: `step` once more when the producer is dead, since that came after what it did.
template <class Step>
Attempt after_nothing(ByteEnd& end, Step&& step) {
    const OnePeer producer{end, ByteEnd::kProducer};
    if (!end.look_is_due() || !producer.lost()) return Attempt::again;
    const Attempt last = step();
    if (last != Attempt::again) return last;
    producer.raise();
    return Attempt::error;
}

template <class Step>
Attempt wait_for_frames(PyObject* self, ByteEnd& end, const Patience& patience, Step&& step) {
    return wait_for(
        end.waiting, end.header->readable, patience,
        [&] {
            if (popping<ByteEnd>(self) != nullptr) return step();
            as_ring(self)->end->refuse(Side::consumer);
            return Attempt::error;
        },
        [&] { return end.ring.was_readable(); }, OnePeer{end, ByteEnd::kProducer});
}

PyObject* no_frame(PyObject* timeout_s) {
    return raise("DeadlineError", "no frame came within %S s; push one or give a longer timeout_s", timeout_s);
}

PyObject* try_pop(PyObject* self, PyObject*) {
    ByteEnd* const end = popping<ByteEnd>(self);
    if (end == nullptr) [[unlikely]]
        return as_ring(self)->end->refuse(Side::consumer);
    PyObject* bytes = nullptr;
    const auto step = [&] { return pop_frame(*end, &bytes); };
    Attempt outcome = step();
    if (outcome == Attempt::again) outcome = after_nothing(*end, step);
    if (outcome == Attempt::again) Py_RETURN_NONE;
    return bytes;
}

PyObject* pop(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    static const char* const names[] = {"timeout_s"};
    static const Parameters parameters{"pop", names, 1, 0, 1};
    ByteEnd& end = end_of(self);
    PyObject* given[1];
    Patience patience;
    if (!match_arguments(parameters, args, nargs, kwnames, given) || !patience.read(given[0], true)) return nullptr;
    PyObject* bytes = nullptr;
    const Attempt outcome = wait_for_frames(self, end, patience, [&] { return pop_frame(end, &bytes); });
    return outcome == Attempt::again ? no_frame(given[0]) : bytes;
}

PyObject* pop_many(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    static const char* const names[] = {"max_frames", "timeout_s"};
    static const Parameters parameters{"pop_many", names, 2, 0, 1};
    ByteEnd& end = end_of(self);
    PyObject* given[2];
    std::int64_t most = end.ring.capacity();
    Patience patience;
    if (!match_arguments(parameters, args, nargs, kwnames, given) || !patience.read(given[1], false)) return nullptr;
    if (given[0] != nullptr && given[0] != Py_None) {
        if (!to_i64(given[0], "max_frames", &most)) return nullptr;
        if (most < 1) return raise("ConfigError", "max_frames must be >= 1, got %lld", static_cast<long long>(most));
    }
    PyObject* frames = PyList_New(0);
    if (frames == nullptr) return nullptr;
    // A frame is popped when it is in the list. An error behind the first one ends the batch: it comes again with the
    // next call, the frames would not. So does the lap: frames that something has damaged may lead round for ever.
    const auto first = end.ring.next_to_pop();
    const auto step = [&] {
        while (PyList_GET_SIZE(frames) < most && end.ring.next_to_pop() - first < end.ring.capacity()) {
            PyObject* bytes = nullptr;
            const Attempt one =
                pop_frame(end, &bytes, [&](PyObject* frame) { return PyList_Append(frames, frame) == 0; });
            Py_XDECREF(bytes);
            if (one != Attempt::done) {
                if (PyList_GET_SIZE(frames) == 0) return one;
                PyErr_Clear();
                return Attempt::done;
            }
        }
        return Attempt::done;
    };
    Attempt outcome = wait_for_frames(self, end, patience, step);
    if (outcome == Attempt::again) outcome = after_nothing(end, step);
    if (outcome == Attempt::error) Py_CLEAR(frames);
    return frames;
}

PyObject* pop_into(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    static const char* const names[] = {"buffer", "timeout_s"};
    static const Parameters parameters{"pop_into", names, 2, 1, 2};
    ByteEnd& end = end_of(self);
    PyObject* given[2];
    Buffer out;
    Patience patience;
    if (!match_arguments(parameters, args, nargs, kwnames, given) ||
        !out.read(given[0], PyBUF_WRITABLE, "a buffer must be writable bytes in one piece: a bytearray, an array") ||
        !patience.read(given[1], true))
        return nullptr;
    std::size_t bytes = 0;
    const auto step = [&] { return pop_into_buffer(end, out, &bytes); };
    Attempt outcome = wait_for_frames(self, end, patience, step);
    if (outcome == Attempt::again && patience.none()) outcome = after_nothing(end, step);
    if (outcome == Attempt::error) return nullptr;
    if (outcome == Attempt::done) return PyLong_FromSize_t(bytes);
    if (patience.none()) Py_RETURN_NONE;
    return no_frame(given[1]);
}

// ---- what the ring is, and was

PyMethodDef methods[] = {
    {"try_push", try_push, METH_O, docs::kByteTryPush},
    {"push", as_method(push), METH_FASTCALL | METH_KEYWORDS, docs::kBytePush},
    {"try_pop", try_pop, METH_NOARGS, docs::kByteTryPop},
    {"pop", as_method(pop), METH_FASTCALL | METH_KEYWORDS, docs::kBytePop},
    {"pop_many", as_method(pop_many), METH_FASTCALL | METH_KEYWORDS, docs::kBytePopMany},
    {"pop_into", as_method(pop_into), METH_FASTCALL | METH_KEYWORDS, docs::kBytePopInto},
    FASTMAS_SHARED_METHODS(create, docs::kByteCreate, attach, docs::kByteAttach),
    FASTMAS_RING_METHODS("ring", docs::kRingClose),
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef properties[] = {
    FASTMAS_END_PROPERTIES(kOnePeerDoc),
    {"overflow", ring_get_overflow, nullptr, "What a full ring does with the next frame.", nullptr},
    {"dropped", ring_get_dropped, nullptr, "How many frames were dropped because the ring was full.", nullptr},
    {"capacity_bytes", ring_get_capacity, nullptr, "How many bytes frames may take, each with eight more.", nullptr},
    {"max_frame_bytes", ring_get<ByteEnd, [](ByteEnd& end) { return end.ring.max_frame_bytes(); }>, nullptr,
     "The largest frame: about half of the ring.", nullptr},
    {"pushed", ring_get<ByteEnd, [](ByteEnd& end) { return end.ring.pushed(); }>, nullptr,
     "How many frames were ever pushed.", nullptr},
    {"popped", ring_get<ByteEnd, [](ByteEnd& end) { return end.ring.popped(); }>, nullptr,
     "How many frames were ever popped.", nullptr},
    {"was_bytes", ring_get<ByteEnd, [](ByteEnd& end) { return end.ring.was_bytes(); }>, nullptr,
     "How many bytes were in use a moment ago.", nullptr},
    {"was_empty", ring_get<ByteEnd, [](ByteEnd& end) { return end.ring.was_empty(); }>, nullptr,
     "Whether no frame was waiting a moment ago.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

}  // namespace

bool add_byte_ring(PyObject* module) {
    return add_ring_type(module, {"fastmas.ring.ByteRing", docs::kByteRing, methods, properties, construct, repr}) !=
           nullptr;
}

}  // namespace fastmas::bindings
