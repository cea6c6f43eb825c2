// What the machine itself takes: a cache line that two processes hand to and fro. The benches state their results as
// ratios to it, so it has to be measured beside them, by whoever runs them and without a compiler.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <span>
#include <thread>

#include "bindings.hpp"

namespace fastmas::bindings {
namespace {

using Clock = std::chrono::steady_clock;
using Word = std::atomic_ref<std::int64_t>;
static_assert(Word::is_always_lock_free, "a lock of one process means nothing to the other");

// Both sides keep their core and the GIL; a signal ends the wait, so a dead peer holds nobody for good.
void await_value(const Word& word, std::int64_t wanted) {
    // [T1 acquire] pairs with [T1 release] in ask() and answer(): what the peer did before its turn is seen
    for (std::uint32_t turns = 1; word.load(std::memory_order_acquire) != wanted; ++turns) {
        if (turns % 4096 == 0) std::this_thread::yield();  // the peer may be waiting for this very core
        if (turns % (1U << 20U) == 0 && PyErr_CheckSignals() != 0) throw py::error_already_set();
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
}

Word word_of(const py::buffer_info& line) {
    const auto address = reinterpret_cast<std::uintptr_t>(line.ptr);
    if (line.itemsize * line.size < 8 || address % Word::required_alignment != 0)
        throw py::value_error("line must be 8 writable bytes, aligned to 8");
    return Word(*static_cast<std::int64_t*>(line.ptr));
}

// One round trip for each item of `out_ns`.
void ask(const py::buffer& line, const py::buffer& out_ns) {
    const py::buffer_info held = line.request(true), out = out_ns.request(true);
    if (out.itemsize != 8) throw py::value_error("out_ns must have items of 8 bytes");
    const Word word = word_of(held);
    // [T2 relaxed] nobody writes now: the peer waits for the first turn
    std::int64_t turn = word.load(std::memory_order_relaxed);
    for (std::int64_t& took : std::span(static_cast<std::int64_t*>(out.ptr), static_cast<std::size_t>(out.size))) {
        const auto start = Clock::now();
        word.store(turn + 1, std::memory_order_release);  // [T1 release] pairs with [T1 acquire] in await_value()
        await_value(word, turn += 2);
        took = std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count();
    }
}

// The other side of `trips` round trips; `turn` is how many there were before, twice.
void answer(const py::buffer& line, std::int64_t turn, std::int64_t trips) {
    const py::buffer_info held = line.request(true);
    const Word word = word_of(held);
    for (const std::int64_t last = turn + 2 * trips; turn < last;) {
        await_value(word, turn + 1);
        word.store(turn += 2, std::memory_order_release);  // [T1 release] pairs with [T1 acquire] in await_value()
    }
}

}  // namespace

void register_floors(py::module_& module) {
    py::module_ floors = module.def_submodule("floors", "What the machine takes at least; for the benches.");
    floors.def("ask", ask, py::arg("line"), py::arg("out_ns"), py::pos_only());
    floors.def("answer", answer, py::arg("line"), py::arg("turn"), py::arg("trips"), py::pos_only());
}

}  // namespace fastmas::bindings
