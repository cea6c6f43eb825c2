// The producer's calls of every ring of records, over what its object holds: an `End`, made of RingEnd, that has
//   try_push(bytes), push_many(bytes, count), seems_writable(), drops
//   consumers()             whom a full ring waits for, as wait_for() wants a peer
//   raise_full(timeout_s)   sets DeadlineError
//   kPush, kPushMany        what the blocking calls are called
//   with_back(f)            f(ring) with a ring that has try_push() or try_publish(): in the class that it is, so that
//                           the choice is made once a call
#pragma once

#include "call_arguments.hpp"
#include "python_errors.hpp"
#include "ring_end.hpp"
#include "ring_wait.hpp"

namespace fastmas::bindings {

template <class End>
struct Producer {
    static End& end_of(PyObject* self) { return *static_cast<End*>(as_ring(self)->end); }

    // A record of the ring's class needs no conversion, and reading it runs no Python code that could close the ring:
    // two comparisons stand between the call and the slot.
    static PyObject* try_push(PyObject* self, PyObject* record) {
        End* const end = pushing<End>(self);
        if (end == nullptr || Py_TYPE(record) != end->format.record_type) [[unlikely]]
            return try_push_other(self, record);
        return end->with_back([&](auto& back) { return push_to(*end, back, record_data(record)); });
    }

    static PyObject* push(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
        static const char* const names[] = {"record", "timeout_s"};
        static const Parameters parameters{End::kPush, names, 2, 1, 2};
        End& end = end_of(self);
        PyObject* given[2];
        RecordBytes bytes;
        Patience patience;
        if (!match_arguments(parameters, args, nargs, kwnames, given) || !bytes.read(end.format, given[0]) ||
            !patience.read(given[1], true))
            return nullptr;
        const Attempt outcome = wait_for_room(self, end, patience, [&] {
            if (!end.try_push(bytes.data())) return Attempt::again;
            end.notify_readable();
            return Attempt::done;
        });
        if (outcome == Attempt::error) return nullptr;
        if (outcome == Attempt::again) {
            if (!end.drops) return end.raise_full(given[1]);
            PyObject* pushed = not_pushed(end, bytes.data());
            if (pushed == nullptr) return nullptr;
            Py_DECREF(pushed);
        }
        Py_RETURN_NONE;
    }

    static PyObject* push_many(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
        static const char* const names[] = {"records", "timeout_s"};
        static const Parameters parameters{End::kPushMany, names, 2, 1, 2};
        End& end = end_of(self);
        PyObject* given[2];
        BatchBytes batch;
        Patience patience;
        if (!match_arguments(parameters, args, nargs, kwnames, given) || !batch.read(end.format, given[0]) ||
            !patience.read(given[1], false))
            return nullptr;
        std::int64_t pushed = 0;
        const auto step = [&] {
            const std::byte* rest = batch.data() + pushed * end.format.slot_bytes;
            const auto taken = end.push_many(rest, batch.count() - pushed);
            pushed += taken;
            if (taken > 0) end.notify_readable();
            return pushed == batch.count() ? Attempt::done : Attempt::again;
        };
        const Attempt outcome = wait_for_room(self, end, patience, step);
        if (outcome == Attempt::error && !RingEnd::only_dead_after(pushed)) {
            RingEnd::note_pushed(pushed, batch.count());
            return nullptr;
        }
        if (outcome == Attempt::again) {
            if (pushed == 0 && end.look_is_due()) {
                auto consumers = end.consumers();
                const bool lost = consumers.lost();
                if (step() == Attempt::again && lost && pushed == 0) {
                    consumers.raise();
                    return nullptr;
                }
            }
            if (end.drops) end.count_dropped(batch.count() - pushed);
        }
        return PyLong_FromLongLong(pushed);
    }

  private:
    // All that this calls is the last that it does: no register is saved, no frame made.
    template <class Back>
    [[gnu::noinline]] static PyObject* push_to(End& end, Back& back, const std::byte* record) {
        bool pushed = false;
        if constexpr (requires { back.try_push(record); })
            pushed = back.try_push(record);
        else
            pushed = back.try_publish(record);
        if (!pushed) [[unlikely]]
            return not_pushed(end, record);
        return end.notify_readable(Py_NewRef(Py_True));
    }

    // What is no record of the ring's class, or meets a closed gate.
    [[gnu::noinline]] static PyObject* try_push_other(PyObject* self, PyObject* record) {
        if (pushing<End>(self) == nullptr && regain_push(self) == nullptr) return nullptr;
        End& end = end_of(self);
        RecordBytes bytes;
        if (!bytes.read(end.format, record)) return nullptr;
        // Reading may have run Python code, which may have closed the ring.
        if (pushing<End>(self) == nullptr) return end.refuse(Side::producer);
        if (!end.try_push(bytes.data())) return not_pushed(end, bytes.data());
        end.notify_readable();
        Py_RETURN_TRUE;
    }

    // A record that found no room: False, unless nobody who could make room will ever come.
    [[gnu::noinline]] static PyObject* not_pushed(End& end, const std::byte* record) {
        if (end.look_is_due()) {
            auto consumers = end.consumers();
            const bool lost = consumers.lost();
            if (end.try_push(record)) {  // room that a dead one had held, or was the last to make
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

    // Waits for room until `step`, called with the gate open, says done; a ring that drops does not wait.
    template <class Step>
    static Attempt wait_for_room(PyObject* self, End& end, const Patience& patience, Step&& step) {
        return wait_for(
            end.waiting, end.header->writable, end.drops ? Patience() : patience,
            [&] {
                if (pushing<End>(self) != nullptr || regain_push(self) != nullptr) return step();
                return Attempt::error;
            },
            [&] { return end.seems_writable(); }, end.consumers());
    }
};

}  // namespace fastmas::bindings
