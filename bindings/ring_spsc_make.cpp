// How a fastmas.ring.SpscRing comes to be: in process, as the creator of a segment, or attached to one.
#include "call_arguments.hpp"
#include "python_errors.hpp"
#include "ring_arguments.hpp"
#include "ring_attach.hpp"
#include "ring_dtype_text.hpp"
#include "ring_spsc.hpp"

namespace fastmas::bindings {
namespace {

using ringbuffer::RegionSpec;

std::shared_ptr<RingMemory> memory_of(const std::string* name, const RegionSpec& spec) {
    if (spec.slots == ringbuffer::SlotLayout::sequenced) return make_memory<SpscEnd::Sequenced>(name, spec);
    return make_memory<SpscEnd::Contiguous>(name, spec);
}

// The options that a ring is made with; false with an exception set.
struct Options {
    RingFormat format;
    RegionSpec spec;
    WaitStrategy wait = WaitStrategy::adaptive;

    bool read(PyObject* dtype, PyObject* capacity, PyObject* layout, PyObject* strategy, PyObject* overflow) {
        spec.kind = SpscEnd::kKind;
        return read_shape(dtype, capacity, &format, &spec) && read_layout(layout, &spec.slots) &&
               read_wait(strategy, &wait) && read_overflow(overflow, &spec.overflow);
    }
};

}  // namespace

PyObject* spsc_construct(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
    static const char* const names[] = {"dtype", "capacity", "layout", "wait", "overflow"};
    static const Parameters parameters{"SpscRing", names, 5, 2, 2};
    PyObject* given[5];
    if (!match_arguments(parameters, args, kwargs, given)) return nullptr;
    try {
        Options options;
        if (!options.read(given[0], given[1], given[2], given[3], given[4])) return nullptr;
        auto memory = memory_of(nullptr, options.spec);
        return new_ring_object(type,
                               std::make_unique<SpscEnd>(std::move(options.format), std::move(memory), options.wait));
    } catch (...) {
        return raise_current_exception();
    }
}

PyObject* spsc_create(PyObject* type, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    static const char* const names[] = {"name", "dtype", "capacity", "role", "layout", "wait", "overflow"};
    static const Parameters parameters{"create", names, 7, 3, 3};
    PyObject* given[7];
    std::string name;
    Side side = Side::producer;
    if (!match_arguments(parameters, args, nargs, kwnames, given)) return nullptr;
    try {
        Options options;
        if (!read_name(given[0], &name) || !options.read(given[1], given[2], given[4], given[5], given[6]) ||
            !read_side(given[3], &side) || !dtype_to_text(options.format, &options.spec.dtype))
            return nullptr;
        auto end = std::make_unique<SpscEnd>(std::move(options.format), memory_of(&name, options.spec), options.wait);
        end->take_over(side);
        return new_ring_object(reinterpret_cast<PyTypeObject*>(type), std::move(end));
    } catch (...) {
        return raise_current_exception();
    }
}

PyObject* spsc_attach(PyObject* type, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    return attach_to_side<SpscEnd>(type, args, nargs, kwnames);
}

}  // namespace fastmas::bindings
