// fastmas._core.ring.list_segments and clean_segments: what fastmas.ring.list_rings() and clean_rings() stand on.
#include "ring_segments.hpp"

#include <string_view>

#include "bindings.hpp"
#include "python_errors.hpp"
#include "ring_arguments.hpp"
#include "ring_dtype_text.hpp"
#include "ringbuffer/segment.hpp"
#include "without_lock.hpp"

namespace fastmas::bindings {
namespace {

using ringbuffer::Segment;
using ringbuffer::SegmentInfo;

// Text from a file that may hold anything.
py::str text_of(std::string_view bytes) {
    PyObject* text = PyUnicode_DecodeUTF8(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), "replace");
    if (text == nullptr) throw py::error_already_set();
    return py::reinterpret_steal<py::str>(text);
}

// What `call` returns, without the interpreter's lock; what it throws becomes our exceptions.
template <class Call>
auto unlocked(Call call) {
    try {
        const WithoutLock unlocked;
        return call();
    } catch (...) {
        raise_current_exception();
    }
    throw py::error_already_set();
}

// (place, side, pid, state, name)
py::tuple holder_of(const SegmentInfo::Holder& holder) {
    return py::make_tuple(holder.role.index(), name_of(holder.role.side()), holder.pid, name_of(holder.state),
                          text_of(holder.name));
}

// (name, state, why, kind, layout, overflow, dtype, capacity, record_bytes, bytes, holders); of what is no ring the
// middle is None.
py::tuple row_of(const SegmentInfo& info) {
    py::list holders;
    for (const SegmentInfo::Holder& holder : info.holders) holders.append(holder_of(holder));
    const py::str name = text_of(info.name);
    const bool known = info.spec.kind != ringbuffer::RingKind{};
    if (!known)
        return py::make_tuple(name, info.state, text_of(info.why), py::none(), py::none(), py::none(), py::none(),
                              py::none(), py::none(), info.bytes, py::tuple(holders));
    return py::make_tuple(name, info.state, text_of(info.why), ringbuffer::kind_text(info.spec.kind),
                          name_of(info.spec.slots), name_of(info.spec.overflow),
                          text_of(readable_dtype(info.spec.dtype)), info.spec.shape.capacity,
                          info.spec.shape.slot_bytes, info.bytes, py::tuple(holders));
}

}  // namespace

void add_segment_functions(py::module_& module) {
    module.def("list_segments", [] {
        py::list rows;
        for (const SegmentInfo& info : unlocked(Segment::list)) rows.append(row_of(info));
        return rows;
    });
    module.def("clean_segments", [] {
        py::list names;
        for (const std::string& name : unlocked(Segment::clean)) names.append(text_of(name));
        return names;
    });
}

}  // namespace fastmas::bindings
