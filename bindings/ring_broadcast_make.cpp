// How a fastmas.ring.BroadcastRing comes to be: in process, as the creator of a segment, or attached to one.
#include "call_arguments.hpp"
#include "python_errors.hpp"
#include "ring_arguments.hpp"
#include "ring_broadcast.hpp"
#include "ring_dtype_text.hpp"

namespace fastmas::bindings {
namespace {

using ringbuffer::Overflow;
using ringbuffer::RegionSpec;
using ringbuffer::RingKind;

std::shared_ptr<RingMemory> memory_of(const std::string* name, const RegionSpec& spec) {
    if (spec.overflow == Overflow::evict) return make_memory<BroadcastEnd::Evicting>(name, spec);
    if (spec.overflow == Overflow::overwrite_oldest) return make_memory<BroadcastEnd::Overwriting>(name, spec);
    return make_memory<BroadcastEnd::Gated>(name, spec);
}

// The options that a ring is made with; false with an exception set.
struct Options {
    RingFormat format;
    RegionSpec spec;
    WaitStrategy wait = WaitStrategy::adaptive;

    bool read(PyObject* dtype, PyObject* capacity, PyObject* strategy, PyObject* overflow, PyObject* max_lag) {
        spec.kind = RingKind::broadcast;
        if (!read_shape(dtype, capacity, &format, &spec) || !read_wait(strategy, &wait) ||
            !read_any_overflow(overflow, &spec.overflow))
            return false;
        if (max_lag != nullptr && max_lag != Py_None) {
            if (!to_i64(max_lag, "max_lag_records", &spec.max_lag_records)) return false;
            if (spec.max_lag_records == 0) spec.max_lag_records = -1;  // 0 is for no bound, which was not asked for
        } else if (spec.overflow == Overflow::evict) {
            spec.max_lag_records = spec.shape.capacity;
        }
        return true;
    }
};

// Whether the role is to publish, or only to subscribe and look; false with ConfigError set.
bool read_publishes(PyObject* given, bool* publishes) {
    if (given == nullptr) return true;
    const bool text = PyUnicode_Check(given);
    *publishes = text && PyUnicode_CompareWithASCIIString(given, "producer") == 0;
    if (*publishes || (text && PyUnicode_CompareWithASCIIString(given, "observer") == 0)) return true;
    raise("ConfigError", "role must be 'producer' or 'observer', got %R; an observer subscribes", given);
    return false;
}

PyObject* new_ring(PyObject* type, std::unique_ptr<BroadcastEnd> end, bool publishes) {
    if (publishes) end->take_over();
    return new_ring_object(reinterpret_cast<PyTypeObject*>(type), std::move(end));
}

}  // namespace

PyObject* broadcast_construct(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
    static const char* const names[] = {"dtype", "capacity", "wait", "overflow", "max_lag_records"};
    static const Parameters parameters{"BroadcastRing", names, 5, 2, 2};
    PyObject* given[5];
    if (!match_arguments(parameters, args, kwargs, given)) return nullptr;
    try {
        Options options;
        if (!options.read(given[0], given[1], given[2], given[3], given[4])) return nullptr;
        auto memory = memory_of(nullptr, options.spec);
        return new_ring_object(
            type, std::make_unique<BroadcastEnd>(std::move(options.format), std::move(memory), options.wait));
    } catch (...) {
        return raise_current_exception();
    }
}

PyObject* broadcast_create(PyObject* type, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    static const char* const names[] = {"name", "dtype", "capacity", "role", "wait", "overflow", "max_lag_records"};
    static const Parameters parameters{"create", names, 7, 3, 3};
    PyObject* given[7];
    std::string name;
    bool publishes = true;
    if (!match_arguments(parameters, args, nargs, kwnames, given)) return nullptr;
    try {
        Options options;
        if (!read_name(given[0], &name) || !options.read(given[1], given[2], given[4], given[5], given[6]) ||
            !read_publishes(given[3], &publishes) || !dtype_to_text(options.format, &options.spec.dtype))
            return nullptr;
        auto memory = memory_of(&name, options.spec);
        return new_ring(type,
                        std::make_unique<BroadcastEnd>(std::move(options.format), std::move(memory), options.wait),
                        publishes);
    } catch (...) {
        return raise_current_exception();
    }
}

PyObject* broadcast_attach(PyObject* type, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    static const char* const names[] = {"name", "role", "dtype", "wait"};
    static const Parameters parameters{"attach", names, 4, 1, 1};
    PyObject* given[4];
    std::string name;
    bool publishes = false;
    WaitStrategy strategy = WaitStrategy::adaptive;
    if (!match_arguments(parameters, args, nargs, kwnames, given) || !read_name(given[0], &name) ||
        !read_publishes(given[1], &publishes) || !read_wait(given[3], &strategy))
        return nullptr;
    try {
        RingFormat format;
        auto memory = RingMemory::attach(name, RingKind::broadcast);
        if (!format_from_text(memory->spec(), "ring '" + name + "'", given[2], &format)) return nullptr;
        return new_ring(type, std::make_unique<BroadcastEnd>(std::move(format), std::move(memory), strategy),
                        publishes);
    } catch (...) {
        return raise_current_exception();
    }
}

}  // namespace fastmas::bindings
