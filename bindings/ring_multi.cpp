// fastmas.ring.MpscRing and fastmas.ring.MpmcRing.
#include "ring_multi.hpp"

#include <algorithm>
#include <array>
#include <memory>

#include "call_arguments.hpp"
#include "python_errors.hpp"
#include "ring_arguments.hpp"
#include "ring_common.hpp"
#include "ring_docs.hpp"
#include "ring_multi_docs.hpp"
#include "ring_objects.hpp"
#include "ring_shared_docs.hpp"

namespace fastmas::bindings {
namespace {

using ringbuffer::MpmcRing;
using ringbuffer::MpscRing;
using ringbuffer::RoleState;

template <class Ring>
struct Multi {
    using End = MultiEnd<Ring>;

    static End& end_of(PyObject* self) { return *static_cast<End*>(as_ring(self)->end); }

    // ---- producer

    // A record that found no room: False, when somebody who could make room is there or may come.
    static PyObject* not_pushed(End& end, const std::byte* record) {
        if (end.look_is_due()) {
            Others<Ring> consumers{end, Side::consumer};
            const bool lost = consumers.lost();
            if (end.ring.try_push(end.id, record)) {  // room that a dead one had held, or was the last to make
                end.notify_readable();
                Py_RETURN_TRUE;
            }
            if (lost) {
                consumers.raise();
                return nullptr;
            }
        }
        if (end.drops) end.count_dropped(1);
        Py_RETURN_FALSE;
    }

    static PyObject* try_push(PyObject* self, PyObject* record) {
        End* const end = pushing<End>(self);
        if (end == nullptr) [[unlikely]]
            return end_of(self).refuse(Side::producer);
        RecordBytes bytes;
        if (!bytes.read(end->format, record)) return nullptr;
        // Reading may have run Python code, which may have closed the ring.
        if (pushing<End>(self) == nullptr) [[unlikely]]
            return end_of(self).refuse(Side::producer);
        if (!end->ring.try_push(end->id, bytes.data())) [[unlikely]]
            return not_pushed(*end, bytes.data());
        end->notify_readable();
        Py_RETURN_TRUE;
    }

    // Waits for room until `step`, called with the gate open, says done; a ring that drops does not wait.
    template <class Step>
    static Attempt wait_for_room(PyObject* self, End& end, const Patience& patience, Step&& step) {
        return wait_for(
            end.waiting, end.header->writable, end.drops ? Patience() : patience,
            [&] {
                if (pushing<End>(self) != nullptr) return step();
                end_of(self).refuse(Side::producer);
                return Attempt::error;
            },
            [&] { return end.ring.was_pushable(); }, Others<Ring>{end, Side::consumer});
    }

    static PyObject* push(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
        static const char* const names[] = {"record", "timeout_s"};
        static const Parameters parameters{"push", names, 2, 1, 2};
        End& end = end_of(self);
        PyObject* given[2];
        RecordBytes bytes;
        Patience patience;
        if (!match_arguments(parameters, args, nargs, kwnames, given) || !bytes.read(end.format, given[0]) ||
            !patience.read(given[1], true))
            return nullptr;
        const Attempt outcome = wait_for_room(self, end, patience, [&] {
            if (!end.ring.try_push(end.id, bytes.data())) return Attempt::again;
            end.notify_readable();
            return Attempt::done;
        });
        if (outcome == Attempt::error) return nullptr;
        if (outcome == Attempt::again) {
            if (!end.drops)
                return raise("DeadlineError",
                             "the ring of %lld records stayed full for %S s; pop from it or give a longer timeout_s",
                             static_cast<long long>(end.ring.capacity()), given[1]);
            PyObject* pushed = not_pushed(end, bytes.data());
            if (pushed == nullptr) return nullptr;
            Py_DECREF(pushed);
        }
        Py_RETURN_NONE;
    }

    static PyObject* push_many(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
        static const char* const names[] = {"records", "timeout_s"};
        static const Parameters parameters{"push_many", names, 2, 1, 2};
        End& end = end_of(self);
        PyObject* given[2];
        BatchBytes batch;
        Patience patience;
        if (!match_arguments(parameters, args, nargs, kwnames, given) || !batch.read(end.format, given[0]) ||
            !patience.read(given[1], false))
            return nullptr;
        std::int64_t pushed = 0;
        const auto step = [&] {
            const auto taken =
                end.ring.push_many(end.id, batch.data() + pushed * end.format.slot_bytes, batch.count() - pushed);
            pushed += taken;
            if (taken > 0) end.notify_readable();
            return pushed == batch.count() ? Attempt::done : Attempt::again;
        };
        const Attempt outcome = wait_for_room(self, end, patience, step);
        if (outcome == Attempt::error && !RingEnd::only_dead_after(pushed)) return nullptr;
        if (outcome == Attempt::again) {
            if (pushed == 0 && end.look_is_due()) {
                Others<Ring> consumers{end, Side::consumer};
                const bool lost = consumers.lost();
                step();
                if (lost && pushed == 0) {
                    consumers.raise();
                    return nullptr;
                }
            }
            if (end.drops) end.count_dropped(batch.count() - pushed);
        }
        return PyLong_FromLongLong(pushed);
    }

    // ---- consumer

    // One record off the ring, as a new reference. Making the object may run Python code (a collection, a finaliser)
    // that pops from the same ring, or closes it. Of the only consumer: then what was made is of no use.
    static Attempt pop_one(PyObject* self, End& end, PyObject** record) {
        if constexpr (End::kOneConsumer) {
            while (true) {
                const std::byte* slot = end.ring.front();
                if (slot == nullptr) return Attempt::again;
                const auto sequence = end.ring.next_to_pop();
                *record = end.format.to_python(slot);
                if (*record == nullptr) return Attempt::error;
                const bool open = popping<End>(self) != nullptr;
                if (open && end.ring.next_to_pop() == sequence) [[likely]] {
                    end.ring.pop_front();
                    end.notify_writable();
                    return Attempt::done;
                }
                Py_CLEAR(*record);
                if (!open) {
                    end_of(self).refuse(Side::consumer);
                    return Attempt::error;
                }
            }
        } else {
            // Of several consumers: a record is taken before it is looked at.
            alignas(16) std::array<std::byte, 512> small;
            std::unique_ptr<std::byte[]> large;
            std::byte* copy = small.data();
            if (end.ring.slot_bytes() > small.size()) {
                large.reset(new (std::nothrow) std::byte[end.ring.slot_bytes()]);
                copy = large.get();
                if (copy == nullptr) {
                    PyErr_NoMemory();
                    return Attempt::error;
                }
            }
            if (!end.ring.try_pop(end.id, copy)) return Attempt::again;
            end.notify_writable();
            *record = end.format.to_python(copy);
            return *record == nullptr ? Attempt::error : Attempt::done;
        }
    }

    // No record was there: None, when somebody who could push one is there or may come.
    static PyObject* not_popped(PyObject* self, End& end) {
        if (!end.look_is_due()) Py_RETURN_NONE;
        Others<Ring> producers{end, Side::producer};
        const bool lost = producers.lost();
        PyObject* record = nullptr;
        const Attempt last =
            pop_one(self, end, &record);  // what a dead one had stood in front of, or was the last to do
        if (last != Attempt::again) return record;
        if (!lost) Py_RETURN_NONE;
        producers.raise();
        return nullptr;
    }

    static PyObject* try_pop(PyObject* self, PyObject*) {
        End* const end = popping<End>(self);
        if (end == nullptr) [[unlikely]]
            return end_of(self).refuse(Side::consumer);
        PyObject* record = nullptr;
        const Attempt outcome = pop_one(self, *end, &record);
        return outcome == Attempt::again ? not_popped(self, *end) : record;
    }

    template <class Step>
    static Attempt wait_for_records(PyObject* self, End& end, const Patience& patience, Step&& step) {
        return wait_for(
            end.waiting, end.header->readable, patience,
            [&] {
                if (popping<End>(self) != nullptr) return step();
                end_of(self).refuse(Side::consumer);
                return Attempt::error;
            },
            [&] { return end.ring.was_poppable(); }, Others<Ring>{end, Side::producer});
    }

    static PyObject* pop(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
        static const char* const names[] = {"timeout_s"};
        static const Parameters parameters{"pop", names, 1, 0, 1};
        End& end = end_of(self);
        PyObject* given[1];
        Patience patience;
        if (!match_arguments(parameters, args, nargs, kwnames, given) || !patience.read(given[0], true)) return nullptr;
        PyObject* record = nullptr;
        const Attempt outcome = wait_for_records(self, end, patience, [&] { return pop_one(self, end, &record); });
        if (outcome == Attempt::again)
            return raise("DeadlineError", "no record came within %S s; push one or give a longer timeout_s", given[0]);
        return record;
    }

    static PyObject* pop_many(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
        static const char* const names[] = {"max_records", "out", "timeout_s"};
        static const Parameters parameters{"pop_many", names, 3, 0, 2};
        End& end = end_of(self);
        PyObject* given[3];
        BatchTarget target;
        Patience patience;
        if (!match_arguments(parameters, args, nargs, kwnames, given) ||
            !target.read(end.format, given[0], given[1], end.ring.capacity()) || !patience.read(given[2], false))
            return nullptr;
        std::int64_t taken = 0;
        const auto step = [&] {
            if (!end.ring.was_poppable()) return Attempt::again;
            const auto there = std::min(target.max(), std::max<std::int64_t>(1, end.ring.was_size()));
            std::byte* out = target.reserve(end.format, there);
            if (out == nullptr) return Attempt::error;
            // Memory for the array may have cost a collection, and that the ring.
            if (popping<End>(self) == nullptr) {
                end_of(self).refuse(Side::consumer);
                return Attempt::error;
            }
            taken = pop_into(end, out, there);
            if (taken == 0) return Attempt::again;  // others were faster
            end.notify_writable();
            return Attempt::done;
        };
        const Attempt outcome = wait_for_records(self, end, patience, step);
        if (outcome == Attempt::error) return nullptr;
        if (outcome == Attempt::again && end.look_is_due()) {
            Others<Ring> producers{end, Side::producer};
            const bool lost = producers.lost();
            const Attempt last = step();
            if (last == Attempt::error) return nullptr;
            if (last == Attempt::again && lost) {
                producers.raise();
                return nullptr;
            }
        }
        return target.result(end.format, taken);
    }

    static std::int64_t pop_into(End& end, std::byte* out, std::int64_t max) {
        if constexpr (End::kOneConsumer)
            return end.ring.pop_many(out, max);
        else
            return end.ring.pop_many(end.id, out, max);
    }

    // ---- what the ring is, and was

    static PyObject* repr(PyObject* self) { return ring_repr(End::kName, self); }
    template <auto kCount>
    static PyObject* get_count(PyObject* self, void*) {
        return PyLong_FromLongLong((end_of(self).ring.*kCount)());
    }
    static PyObject* get_was_empty(PyObject* self, void*) { return PyBool_FromLong(end_of(self).ring.was_empty()); }
    static PyObject* get_was_full(PyObject* self, void*) { return PyBool_FromLong(end_of(self).ring.was_full()); }
    static PyObject* get_peer_state(PyObject* self, void*) {
        return PyUnicode_FromString(name_of(end_of(self).state_of_side(end_of(self).other_side())));
    }
    static PyObject* get_peer_alive(PyObject* self, void*) {
        return PyBool_FromLong(end_of(self).state_of_side(end_of(self).other_side()) == RoleState::alive);
    }
    static PyObject* get_dead_peers(PyObject* self, void*) {
        return PyLong_FromLongLong(end_of(self).dead_on(end_of(self).other_side()));
    }

    // ---- the type

    static bool add(PyObject* module, const char* qualified_name, const char* doc, const char* create_doc,
                    const char* attach_doc) {
        static PyMethodDef methods[] = {
            {"try_push", try_push, METH_O, docs::kTryPush},
            {"push", as_method(push), METH_FASTCALL | METH_KEYWORDS, docs::kPush},
            {"push_many", as_method(push_many), METH_FASTCALL | METH_KEYWORDS, docs::kPushManyOfMany},
            {"try_pop", try_pop, METH_NOARGS, docs::kTryPop},
            {"pop", as_method(pop), METH_FASTCALL | METH_KEYWORDS, docs::kPop},
            {"pop_many", as_method(pop_many), METH_FASTCALL | METH_KEYWORDS, docs::kPopMany},
            {"create", as_method(multi_create<Ring>), METH_FASTCALL | METH_KEYWORDS | METH_CLASS, create_doc},
            {"attach", as_method(multi_attach<Ring>), METH_FASTCALL | METH_KEYWORDS | METH_CLASS, attach_doc},
            FASTMAS_RING_METHODS,
            {nullptr, nullptr, 0, nullptr},
        };
        static PyGetSetDef properties[] = {
            FASTMAS_RING_PROPERTIES,
            {"pushed", get_count<&Ring::pushed>, nullptr,
             "How many records were pushed; one that is being pushed counts. Always popped + lost + was_size.",
             nullptr},
            {"popped", get_count<&Ring::popped>, nullptr, "How many records were popped.", nullptr},
            {"skipped", get_count<&Ring::skipped>, nullptr,
             "How many records were passed over because their producer was killed before they were whole.", nullptr},
            {"lost", get_count<&Ring::lost>, nullptr,
             "How many records consumers had taken that were killed before their call returned.", nullptr},
            {"was_size", get_count<&Ring::was_size>, nullptr, "How many records were waiting a moment ago.", nullptr},
            {"was_empty", get_was_empty, nullptr, "Whether no record was waiting a moment ago.", nullptr},
            {"was_full", get_was_full, nullptr, "Whether no record would have fitted a moment ago.", nullptr},
            {"peer_state", get_peer_state, nullptr,
             "What is known of the processes at the other end, taken together: 'alive' when one is, else 'dead' when "
             "one died without closing, else 'left', else 'absent'. A stopped process is alive.",
             nullptr},
            {"peer_alive", get_peer_alive, nullptr, "Whether any process holds the other end now.", nullptr},
            {"dead_peers", get_dead_peers, nullptr,
             "How many places at the other end were last held by a process that died and have not been taken since.",
             nullptr},
            {nullptr, nullptr, nullptr, nullptr, nullptr},
        };
        PyType_Slot slots[] = {
            {Py_tp_doc, const_cast<char*>(doc)},
            {Py_tp_new, as_slot(multi_construct<Ring>)},
            {Py_tp_dealloc, as_slot(dealloc_ring_object)},
            {Py_tp_traverse, as_slot(traverse_ring_object)},
            {Py_tp_repr, as_slot(repr)},
            {Py_tp_methods, methods},
            {Py_tp_getset, properties},
            {0, nullptr},
        };
        // Final: a subclass could hide the checks that the hot path relies on.
        PyType_Spec spec = {qualified_name, sizeof(RingObject), 0,
                            Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE, slots};
        PyObject* type = PyType_FromSpec(&spec);
        if (type == nullptr) return false;
        const int added = PyModule_AddObjectRef(module, End::kName, type);
        Py_DECREF(type);
        return added == 0;
    }
};

}  // namespace

bool add_multi_rings(PyObject* module) {
    return Multi<MpscRing<>>::add(module, "fastmas.ring.MpscRing", docs::kMpscRing, docs::kCreateMpsc,
                                  docs::kAttachMpsc) &&
           Multi<MpmcRing<>>::add(module, "fastmas.ring.MpmcRing", docs::kMpmcRing, docs::kCreateMpmc,
                                  docs::kAttachMpmc);
}

}  // namespace fastmas::bindings
