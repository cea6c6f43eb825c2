// The consumer's calls of every ring of records, over what its object holds: an `End`, made of RingEnd, that has
//   available(most), pop_many(out, max), seems_readable()
//   producers()             whom an empty ring waits for, as wait_for() wants a peer
//   notify_producers()
//   put_out()               whether it gets nothing any more; raise_put_out() sets the error
//   takes_all_there()       whether pop_many() takes as many as available() said
//   kPop..., kPush          what the calls are called
// and, where a record is looked at before it is taken (kTakesFirst is false),
//   front(), next_to_pop(), pop_front()
//   with_front(f)           f(ring) with a ring that has these: in the class that it is, so that the choice is made
//   once
//                           a call
// or, where others may take it,
//   take_one(bytes)             the oldest record; false when there is none
//   held                    what was taken in vain
//
// No record is lost when there is no memory for its object: the object is made, or its memory is had, before the record
// is taken; what cannot be made before is held for the next call.
#pragma once

#include "call_arguments.hpp"
#include "python_errors.hpp"
#include "record_make.hpp"
#include "ring_end.hpp"
#include "ring_held.hpp"
#include "ring_wait.hpp"

namespace fastmas::bindings {

template <class End>
struct Consumer {
    static End& end_of(PyObject* self) { return *static_cast<End*>(as_ring(self)->end); }

    static PyObject* try_pop(PyObject* self, PyObject*) {
        End* const end = popping<End>(self);
        if (end == nullptr) [[unlikely]]
            return try_pop_lent(self);
        if constexpr (End::kTakesFirst) {
            return end->seems_readable() ? try_pop_other(self, *end) : nothing(self, *end);
        } else {
            return end->with_front([&](auto& front) { return pop_from(self, *end, front); });
        }
    }

    static PyObject* pop(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
        static const char* const names[] = {"timeout_s"};
        static const Parameters parameters{"pop", names, 1, 0, 1};
        End& end = end_of(self);
        PyObject* given[1];
        Patience patience;
        if (!match_arguments(parameters, args, nargs, kwnames, given) || !patience.read(given[0], true)) return nullptr;
        PyObject* record = nullptr;
        const Attempt outcome = wait_for_records(self, end, patience, [&] { return pop_one(self, end, record); });
        if (outcome == Attempt::again)
            return raise("DeadlineError", "no record came within %S s; %s one or give a longer timeout_s", given[0],
                         End::kPush);
        return record;
    }

    static PyObject* pop_many(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
        static const char* const names[] = {"max_records", "out", "timeout_s"};
        static const Parameters parameters{End::kPopMany, names, 3, 0, 2};
        End& end = end_of(self);
        PyObject* given[3];
        BatchTarget target;
        Patience patience;
        if (!match_arguments(parameters, args, nargs, kwnames, given) ||
            !target.read(end.format, given[0], given[1], end.memory()->spec().shape.capacity) ||
            !patience.read(given[2], false))
            return nullptr;
        std::int64_t taken = 0;
        const auto step = [&] {
            const auto there = end.available(target.max());
            if (there == 0) return none(end);
            std::byte* out = target.reserve(end.format, there, end.takes_all_there());
            if (out == nullptr) return Attempt::error;
            // Memory for the array may have cost a collection, and that the ring.
            if (popping<End>(self) == nullptr) {
                end.refuse(Side::consumer);
                return Attempt::error;
            }
            taken = end.pop_many(out, there);
            if (taken == 0) return none(end);  // others were faster
            end.notify_producers();
            return Attempt::done;
        };
        const Attempt outcome = wait_for_records(self, end, patience, step);
        if (outcome == Attempt::error) return nullptr;
        if (outcome == Attempt::again && end.look_is_due()) {
            auto producers = end.producers();
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

  private:
    // Where nothing was found: more may come, unless this end is to get nothing any more.
    static Attempt none(const End& end) {
        if (!end.put_out()) [[likely]]
            return Attempt::again;
        end.raise_put_out();
        return Attempt::error;
    }

    // All that this calls is the last that it does, so a look that finds nothing saves no register and makes no frame.
    template <class Front>
    [[gnu::noinline]] static PyObject* pop_from(PyObject* self, End& end, Front& front) {
        const std::byte* slot = front.front();
        return slot == nullptr ? nothing(self, end) : pop_slot(self, end, front, slot);
    }
    // The common case: a record of a class, of which a dead instance is at hand. Making it runs no Python code, so
    // nothing comes in between.
    template <class Front>
    [[gnu::noinline]] static PyObject* pop_slot(PyObject* self, End& end, Front& front, const std::byte* slot) {
        RecordInfo* const info = end.format.info;
        if (info == nullptr || info->free_head == nullptr || info->size_bytes > record_detail::kInlineBytes)
            [[unlikely]]
            return pop_object(self, end, front, slot);
        PyObject* const record = record_detail::revive_record(*info);
        record_detail::fill_short_record(*info, record, slot);
        if (!taken(front)) [[unlikely]]
            return try_pop_again(self, end, record);
        return end.notify_producers(record);
    }
    // Any other object of what front() showed.
    template <class Front>
    [[gnu::noinline]] static PyObject* pop_object(PyObject* self, End& end, Front& front, const std::byte* slot) {
        const auto sequence = front.next_to_pop();
        PyObject* const object = end.format.to_python(slot);
        if (object == nullptr) return nullptr;
        // As in pop_made().
        if (popping<End>(self) == nullptr || front.next_to_pop() != sequence || !taken(front)) [[unlikely]]
            return try_pop_again(self, end, object);
        return end.notify_producers(object);
    }
    // What front() showed is popped, unless this end was put out meanwhile.
    template <class Front>
    static bool taken(Front& front) {
        if constexpr (std::is_same_v<decltype(front.pop_front()), bool>) {
            return front.pop_front();
        } else {
            front.pop_front();
            return true;
        }
    }

    // One record off the ring, as a new reference.
    static Attempt pop_one(PyObject* self, End& end, PyObject*& record) {
        if constexpr (End::kTakesFirst) {
            return end.format.info != nullptr ? take_record(end, record) : take_object(end, record);
        } else {
            return pop_made(self, end, record);
        }
    }

    // Making the object may run Python code (a collection, a finaliser) that pops from the same ring, or closes it:
    // then what was made is of no use.
    static Attempt pop_made(PyObject* self, End& end, PyObject*& record) {
        while (true) {
            const std::byte* slot = end.front();
            if (slot == nullptr) return none(end);
            const auto sequence = end.next_to_pop();
            record = end.format.to_python(slot);
            if (record == nullptr) return Attempt::error;
            const bool open = popping<End>(self) != nullptr;
            if (open && end.next_to_pop() == sequence && taken(end)) [[likely]] {
                end.notify_producers();
                return Attempt::done;
            }
            Py_CLEAR(record);
            if (!open) {
                end.refuse(Side::consumer);
                return Attempt::error;
            }
        }
    }

    // A record goes from its slot into an instance that is there already.
    static Attempt take_record(End& end, PyObject*& record) {
        if (!end.seems_readable()) return Attempt::again;
        RecordInfo& info = *end.format.info;
        record = record_detail::allocate_record(info);
        if (record == nullptr) return Attempt::error;
        if (!end.take_one(record_detail::payload(record))) {
            Py_CLEAR(record);
            return Attempt::again;
        }
        record_detail::canonicalise(info, record_detail::payload(record));
        end.notify_producers();
        return Attempt::done;
    }

    // A scalar of numpy can only be made of its bytes: when that fails they are held for the next call.
    static Attempt take_object(End& end, PyObject*& record) {
        HeldRecords::Owned held = end.held.oldest();
        const bool again = held != nullptr;
        if (!again) {
            if (!end.seems_readable()) return Attempt::again;
            held = end.held.place();
            if (!held) {
                PyErr_NoMemory();
                return Attempt::error;
            }
            if (!end.take_one(held->bytes())) {
                end.held.give_back(std::move(held));
                return Attempt::again;
            }
            end.notify_producers();
        }
        record = end.format.to_python(held->bytes());
        if (record == nullptr) {
            end.held.hold(std::move(held), again);
            return Attempt::error;
        }
        end.held.give_back(std::move(held));
        return Attempt::done;
    }

    [[gnu::noinline]] static PyObject* try_pop_other(PyObject* self, End& end) {
        PyObject* record = nullptr;
        return pop_one(self, end, record) == Attempt::again ? nothing(self, end) : record;
    }

    [[gnu::noinline]] static PyObject* try_pop_again(PyObject* self, End& end, PyObject* record) {
        Py_DECREF(record);
        return popping<End>(self) == nullptr ? end.refuse(Side::consumer) : try_pop_other(self, end);
    }

    // The gate was closed: it may be that what was lent is back.
    [[gnu::noinline]] static PyObject* try_pop_lent(PyObject* self) {
        return regain_pop(self) == nullptr ? nullptr : try_pop_other(self, end_of(self));
    }

    // No record was there: None, unless nobody who could push one will ever come.
    static PyObject* nothing(PyObject* self, End& end) {
        if (end.waiting.shared || end.put_out()) [[unlikely]]
            return nothing_shared(self, end);
        Py_RETURN_NONE;
    }
    [[gnu::noinline]] static PyObject* nothing_shared(PyObject* self, End& end) {
        if (end.look_is_due() || end.put_out()) return look_after_producers(self, end);
        Py_RETURN_NONE;
    }

    [[gnu::noinline]] static PyObject* look_after_producers(PyObject* self, End& end) {
        auto producers = end.producers();
        const bool lost = producers.lost();
        PyObject* record = nullptr;
        // What a dead one had stood in front of, or was the last to do.
        const Attempt last = pop_one(self, end, record);
        if (last != Attempt::again) return record;
        if (!lost) Py_RETURN_NONE;
        producers.raise();
        return nullptr;
    }

    template <class Step>
    static Attempt wait_for_records(PyObject* self, End& end, const Patience& patience, Step&& step) {
        return wait_for(
            end.waiting, end.header->readable, patience,
            [&] {
                if (popping<End>(self) != nullptr || regain_pop(self) != nullptr) return step();
                return Attempt::error;
            },
            [&] { return end.seems_readable(); }, end.producers());
    }
};

}  // namespace fastmas::bindings
