// How an object attaches to a ring of records in shared memory, of any kind that has producers on one side and
// consumers on the other: an `End` with kKind and take_over(side).
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "call_arguments.hpp"
#include "python_errors.hpp"
#include "ring_arguments.hpp"
#include "ring_dtype_text.hpp"

namespace fastmas::bindings {

template <class End>
PyObject* attach_to_side(PyObject* type, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    static const char* const names[] = {"name", "role", "dtype", "wait"};
    static const Parameters parameters{"attach", names, 4, 1, 1};
    PyObject* given[4];
    std::string name;
    Side side = Side::consumer;
    WaitStrategy strategy = WaitStrategy::adaptive;
    if (!match_arguments(parameters, args, nargs, kwnames, given) || !read_name(given[0], &name) ||
        !read_side(given[1], &side) || !read_wait(given[3], &strategy))
        return nullptr;
    try {
        RingFormat format;
        auto memory = RingMemory::attach(name, End::kKind);
        if (!format_from_text(memory->spec(), "ring '" + name + "'", given[2], &format)) return nullptr;
        auto end = std::make_unique<End>(std::move(format), std::move(memory), strategy);
        end->take_over(side);
        return new_ring_object(reinterpret_cast<PyTypeObject*>(type), std::move(end));
    } catch (...) {
        return raise_current_exception();
    }
}

}  // namespace fastmas::bindings
