#include "ring_arguments.hpp"

#include <array>
#include <string_view>

#include "call_arguments.hpp"
#include "python_errors.hpp"
#include "ring_dtype_text.hpp"

namespace fastmas::bindings {
namespace {

using ringbuffer::Overflow;
using ringbuffer::RingShape;
using ringbuffer::RoleState;
using ringbuffer::SlotLayout;

template <class Value>
struct Choice {
    const char* name;
    Value value;
};

constexpr std::array<Choice<SlotLayout>, 2> kLayouts{
    {{"contiguous", SlotLayout::contiguous}, {"sequenced", SlotLayout::sequenced}}};
constexpr std::array<Choice<WaitStrategy>, 4> kWaits{{{"adaptive", WaitStrategy::adaptive},
                                                      {"spin", WaitStrategy::spin},
                                                      {"yield", WaitStrategy::yield},
                                                      {"block", WaitStrategy::block}}};
constexpr std::array<Choice<Overflow>, 4> kOverflows{{{"refuse", Overflow::refuse},
                                                      {"drop_newest", Overflow::drop_newest},
                                                      {"overwrite_oldest", Overflow::overwrite_oldest},
                                                      {"evict", Overflow::evict}}};
constexpr std::array<Choice<Side>, 2> kSides{{{"producer", Side::producer}, {"consumer", Side::consumer}}};
constexpr std::array<Choice<RoleState>, 4> kStates{
    {{"absent", RoleState::absent}, {"alive", RoleState::alive}, {"left", RoleState::left}, {"dead", RoleState::dead}}};

// The first `count` of the choices; one of them, or an error that lists them.
template <class Value, std::size_t kCount>
bool choose(const char* what, PyObject* given, const std::array<Choice<Value>, kCount>& choices, std::size_t count,
            Value* out) {
    if (given == nullptr) return true;
    std::string all;
    for (std::size_t i = 0; i < count; ++i) {
        if (PyUnicode_Check(given) && PyUnicode_CompareWithASCIIString(given, choices[i].name) == 0) {
            *out = choices[i].value;
            return true;
        }
        all += (i == 0 ? "'" : i + 1 == count ? " or '" : ", '") + std::string(choices[i].name) + "'";
    }
    raise("ConfigError", "%s must be %s, got %R", what, all.c_str(), given);
    return false;
}

template <class Value, std::size_t kCount>
const char* name_in(const std::array<Choice<Value>, kCount>& choices, Value value) {
    for (const auto& choice : choices)
        if (choice.value == value) return choice.name;
    return "unknown";
}

}  // namespace

bool read_layout(PyObject* given, SlotLayout* out) {
    return choose("layout", given, kLayouts, kLayouts.size(), out);
}
bool read_wait(PyObject* given, WaitStrategy* out) {
    return choose("wait", given, kWaits, kWaits.size(), out);
}
bool read_overflow(PyObject* given, Overflow* out) {
    return choose("overflow", given, kOverflows, 2, out);
}
bool read_any_overflow(PyObject* given, Overflow* out) {
    return choose("overflow", given, kOverflows, kOverflows.size(), out);
}
bool read_side(PyObject* given, Side* out) {
    return choose("role", given, kSides, kSides.size(), out);
}

bool read_name(PyObject* given, std::string* out) {
    if (PyUnicode_Check(given)) {
        Py_ssize_t length = 0;
        if (const char* text = PyUnicode_AsUTF8AndSize(given, &length)) {
            out->assign(text, static_cast<std::size_t>(length));
            return true;
        }
        PyErr_Clear();  // a lone surrogate: no name either
    }
    raise("ConfigError", "the name of a shared ring must be a string as '/prices', got %R", given);
    return false;
}

const char* name_of(SlotLayout layout) {
    return name_in(kLayouts, layout);
}
const char* name_of(WaitStrategy strategy) {
    return name_in(kWaits, strategy);
}
const char* name_of(Overflow overflow) {
    return name_in(kOverflows, overflow);
}
const char* name_of(Side side) {
    return name_in(kSides, side);
}
const char* name_of(RoleState state) {
    return name_in(kStates, state);
}

bool read_shape(PyObject* dtype, PyObject* capacity, RingFormat* format, ringbuffer::RegionSpec* spec) {
    std::int64_t records = 0;
    if (!format->read(dtype) || !to_i64(capacity, "capacity", &records)) return false;
    spec->shape = RingShape::checked(records, format->slot_bytes);
    return true;
}

}  // namespace fastmas::bindings
