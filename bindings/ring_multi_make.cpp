// How a fastmas.ring.MpscRing or MpmcRing comes to be: in process, as the creator of a segment, or attached to one; and
// what is known of the holders of a side.
#include "call_arguments.hpp"
#include "python_errors.hpp"
#include "ring_arguments.hpp"
#include "ring_attach.hpp"
#include "ring_dtype_text.hpp"
#include "ring_multi.hpp"

namespace fastmas::bindings {
namespace {

using ringbuffer::MpmcRing;
using ringbuffer::MpscRing;
using ringbuffer::RegionSpec;
using ringbuffer::RoleState;
using ringbuffer::SlotLayout;

// The options that a ring is made with; false with an exception set.
struct Options {
    RingFormat format;
    RegionSpec spec;
    WaitStrategy wait = WaitStrategy::adaptive;

    bool read(ringbuffer::RingKind kind, PyObject* dtype, PyObject* capacity, PyObject* strategy, PyObject* overflow) {
        spec.kind = kind;
        spec.slots = SlotLayout::sequenced;
        return read_shape(dtype, capacity, &format, &spec) && read_wait(strategy, &wait) &&
               read_overflow(overflow, &spec.overflow);
    }
};

// Calls `look` with each place of that side that somebody ever held, and its state, until it says true.
template <class Look>
void each_place(const RingEnd& end, Side side, Look&& look) {
    const Role first = side == Side::producer ? Role::producer(0) : Role::consumer(0);
    const std::int32_t past =
        first.place + (side == Side::producer ? ringbuffer::kMaxProducers : ringbuffer::kMaxConsumers);
    for (Role role = first; role.place < past; ++role.place) {
        const auto& entry = end.header->roles[static_cast<std::size_t>(role.place)];
        // [R4 relaxed] saves the system call of state_of() where nobody ever was; who comes now is seen the next time
        if (entry.held.load(std::memory_order_relaxed) == 0) continue;
        if (look(role, end.state_of(role))) return;
    }
}

}  // namespace

RoleState ManyEnd::state_of_side(Side side) const noexcept {
    if (!shared()) return RoleState::alive;
    auto most = RoleState::absent;
    each_place(*this, side, [&](Role, RoleState state) {
        if (state == RoleState::alive || state == RoleState::dead || most == RoleState::absent) most = state;
        return state == RoleState::alive;
    });
    return most;
}

std::int64_t ManyEnd::dead_on(Side side) const noexcept {
    std::int64_t dead = 0;
    if (!shared()) return dead;
    each_place(*this, side, [&](Role, RoleState state) {
        dead += state == RoleState::dead ? 1 : 0;
        return false;
    });
    return dead;
}

std::optional<Role> ManyEnd::dead_with_none_left(Side side) const noexcept {
    std::optional<Role> dead;
    each_place(*this, side, [&](Role role, RoleState state) {
        if (state == RoleState::dead) dead = role;
        if (state == RoleState::alive) dead.reset();
        return state == RoleState::alive;
    });
    return dead;
}

template <class Ring>
PyObject* multi_construct(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
    static const char* const names[] = {"dtype", "capacity", "wait", "overflow"};
    static const Parameters parameters{MultiEnd<Ring>::kName, names, 4, 2, 2};
    PyObject* given[4];
    if (!match_arguments(parameters, args, kwargs, given)) return nullptr;
    try {
        Options options;
        if (!options.read(MultiEnd<Ring>::kKind, given[0], given[1], given[2], given[3])) return nullptr;
        auto memory = make_memory<Ring>(nullptr, options.spec);
        return new_ring_object(
            type, std::make_unique<MultiEnd<Ring>>(std::move(options.format), std::move(memory), options.wait));
    } catch (...) {
        return raise_current_exception();
    }
}

template <class Ring>
PyObject* multi_create(PyObject* type, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    static const char* const names[] = {"name", "dtype", "capacity", "role", "wait", "overflow"};
    static const Parameters parameters{"create", names, 6, 3, 3};
    PyObject* given[6];
    std::string name;
    Side side = Side::producer;
    if (!match_arguments(parameters, args, nargs, kwnames, given)) return nullptr;
    try {
        Options options;
        if (!read_name(given[0], &name) ||
            !options.read(MultiEnd<Ring>::kKind, given[1], given[2], given[4], given[5]) ||
            !read_side(given[3], &side) || !dtype_to_text(options.format, &options.spec.dtype))
            return nullptr;
        auto end = std::make_unique<MultiEnd<Ring>>(std::move(options.format), make_memory<Ring>(&name, options.spec),
                                                    options.wait);
        end->take_over(side);
        return new_ring_object(reinterpret_cast<PyTypeObject*>(type), std::move(end));
    } catch (...) {
        return raise_current_exception();
    }
}

template <class Ring>
PyObject* multi_attach(PyObject* type, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    return attach_to_side<MultiEnd<Ring>>(type, args, nargs, kwnames);
}

template PyObject* multi_construct<MpscRing<>>(PyTypeObject*, PyObject*, PyObject*);
template PyObject* multi_construct<MpmcRing<>>(PyTypeObject*, PyObject*, PyObject*);
template PyObject* multi_create<MpscRing<>>(PyObject*, PyObject* const*, Py_ssize_t, PyObject*);
template PyObject* multi_create<MpmcRing<>>(PyObject*, PyObject* const*, Py_ssize_t, PyObject*);
template PyObject* multi_attach<MpscRing<>>(PyObject*, PyObject* const*, Py_ssize_t, PyObject*);
template PyObject* multi_attach<MpmcRing<>>(PyObject*, PyObject* const*, Py_ssize_t, PyObject*);

}  // namespace fastmas::bindings
