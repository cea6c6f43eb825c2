// Loans of slots: `with ring.claim(n) as view:` writes records where they will be read, `with ring.peek(n) as view:`
// reads them where they were written; no copy.
//
// The view must not reach a slot after the block. It stands on a second array, the root, which numpy's views refer to
// in its place: so slices are counted apart from the caller's own name for the view. The view itself is emptied at the
// end, whatever happened. While slices or rows of it live on, the side stays lent: nobody can be given their slots.
#include <pybind11/numpy.h>

#include "call_arguments.hpp"
#include "python_errors.hpp"
#include "ring_objects.hpp"
#include "ring_shared_docs.hpp"
#include "ring_spsc.hpp"

namespace fastmas::bindings {
namespace {

using pybind11::detail::array_proxy;
using pybind11::detail::npy_api;

PyTypeObject* loan_type = nullptr;

struct LoanObject {
    PyObject_HEAD PyObject* ring;  // owned
    PyObject* root;                // owned between enter and exit; what views of the view refer to
    PyObject* view;                // owned between enter and exit; what the caller has
    std::int64_t wanted;
    std::int64_t count;
    Side side;
    bool entered;
};

LoanObject* as_loan(PyObject* self) {
    return reinterpret_cast<LoanObject*>(self);
}
const char* verb_of(const LoanObject* loan) {
    return loan->side == Side::producer ? "claim" : "peek";
}

PyObject* new_loan(PyObject* ring, PyObject* records, Side side) {
    std::int64_t wanted = 0;
    const char* verb = side == Side::producer ? "claim" : "peek";
    if (!to_i64(records, "the number of records", &wanted)) return nullptr;
    if (wanted < 1)
        return raise("ConfigError", "%s() takes a number of records >= 1, got %lld", verb,
                     static_cast<long long>(wanted));
    if (as_ring(ring)->end->memory()->spec().slots != ringbuffer::SlotLayout::contiguous)
        return raise("ConfigError",
                     "%s() lends slots that lie one after the other; make the ring with "
                     "layout='contiguous'",
                     verb);
    PyObject* self = loan_type->tp_alloc(loan_type, 0);
    if (self == nullptr) return nullptr;
    as_loan(self)->ring = Py_NewRef(ring);
    as_loan(self)->wanted = wanted;
    as_loan(self)->side = side;
    return self;
}

// An array over memory that `base` (stolen, also on failure) keeps.
PyObject* array_over(const RingFormat& format, std::byte* data, std::int64_t count, bool writeable, PyObject* base) {
    const auto& api = npy_api::get();
    const Py_intptr_t shape = count;
    Py_INCREF(format.dtype);  // the call takes it
    PyObject* array = api.PyArray_NewFromDescr_(api.PyArray_Type_, format.dtype, 1, &shape, nullptr, data,
                                                writeable ? npy_api::NPY_ARRAY_WRITEABLE_ : 0, nullptr);
    if (array == nullptr) {
        Py_DECREF(base);
        return nullptr;
    }
    if (api.PyArray_SetBaseObject_(array, base) == 0) return array;
    Py_DECREF(array);
    return nullptr;
}

// What an array of no records points to.
alignas(64) std::byte nothing[64];

// Turns the view into an array of no records. When nobody but its caller has it, it also leaves the root: then only
// views of it are left there. The memory it keeps all the same: a row of it that was missed must not fault.
void empty(PyObject* view, bool leaves, PyObject* keeper) {
    auto* array = array_proxy(view);
    array->dimensions[0] = 0;
    array->data = reinterpret_cast<char*>(nothing);
    if (leaves) Py_SETREF(array->base, Py_NewRef(keeper));
}

// Ends the loan: whether nothing reaches the slots any more. What does has the side lent as long as it lives.
bool end_loan(LoanObject* loan) {
    RingEnd& end = *as_ring(loan->ring)->end;
    // A view that was made a scalar, by `view.shape = ()`, cannot be emptied: it counts as a second one.
    const bool has_length = array_proxy(loan->view)->nd > 0;
    // The loan's own reference and the caller's name; the loan's own and the view's.
    const bool view_is_free = has_length && Py_REFCNT(loan->view) <= 2;
    if (has_length) empty(loan->view, view_is_free, end.keeper());
    const bool free = view_is_free && Py_REFCNT(loan->root) == 1;
    if (free) {
        Py_CLEAR(loan->root);
        end.take_back(loan->side);
    } else {
        end.keep_lent(loan->side, std::exchange(loan->root, nullptr));
    }
    Py_CLEAR(loan->view);
    return free;
}

// What can be lent now, and how much; nullptr when that is nothing.
std::byte* slots_of(SpscEnd& end, LoanObject* loan) {
    if (loan->side == Side::producer) {
        const auto claim = end.contiguous_ring().claim(loan->wanted);
        loan->count = claim.count;
        return claim.records;
    }
    const auto peek = end.contiguous_ring().peek(loan->wanted);
    loan->count = peek.count;
    return const_cast<std::byte*>(peek.records);  // the array is read-only
}

PyObject* enter(PyObject* self, PyObject*) {
    LoanObject* loan = as_loan(self);
    const bool claims = loan->side == Side::producer;
    if (loan->entered) return raise("ConfigError", "a loan is for one with block; call %s() again", verb_of(loan));
    auto* end = static_cast<SpscEnd*>(claims ? regain_push(loan->ring) : regain_pop(loan->ring));
    if (end == nullptr || end->keeper() == nullptr) return nullptr;
    std::byte* slots = slots_of(*end, loan);
    if (slots == nullptr && end->look_is_due()) {
        const Role other = claims ? SpscEnd::kConsumer : SpscEnd::kProducer;
        const bool lost = end->state_of(other) == ringbuffer::RoleState::dead;
        slots = slots_of(*end, loan);  // what it did last may have been what we wait for
        if (slots == nullptr && lost) {
            end->raise_dead(other);
            return nullptr;
        }
    }
    if (slots == nullptr) slots = nothing;
    // From here on: making an array may run a collection, and that anything.
    end->lend(loan->side);
    loan->entered = true;
    loan->root = array_over(end->format, slots, loan->count, claims, Py_NewRef(end->keeper()));
    if (loan->root != nullptr) loan->view = array_over(end->format, slots, loan->count, claims, Py_NewRef(loan->root));
    if (loan->view != nullptr) return Py_NewRef(loan->view);
    Py_CLEAR(loan->root);
    end->take_back(loan->side);
    return nullptr;
}

PyObject* exit(PyObject* self, PyObject* const* args, Py_ssize_t nargs) {
    LoanObject* loan = as_loan(self);
    if (loan->view == nullptr)
        return raise("ConfigError", "the loan is over, or its with block was never entered; call %s() again",
                     verb_of(loan));
    auto* end = static_cast<SpscEnd*>(as_ring(loan->ring)->end);
    const bool claims = loan->side == Side::producer;
    const bool failed = nargs > 0 && args[0] != Py_None;
    const bool free = end_loan(loan);
    if (failed) Py_RETURN_NONE;  // nothing is published or given back; the block's exception goes on
    if (!end->open()) return end->refuse(loan->side);
    if (!free)
        return raise(
            "ConfigError",
            "the view of %s() must not be used after its with block, but something else refers to it (a slice, "
            "a row, a second name): nothing was %s; copy what is to be kept",
            verb_of(loan), claims ? "published" : "given back");
    if (loan->count == 0) Py_RETURN_NONE;
    if (claims) {
        end->contiguous_ring().publish(loan->count);
        end->notify_readable();
    } else {
        end->contiguous_ring().give_back(loan->count);
        end->notify_writable();
    }
    Py_RETURN_NONE;
}

void dealloc(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    LoanObject* loan = as_loan(self);
    if (loan->view != nullptr) end_loan(loan);  // entered by hand and dropped: as after an exception
    Py_XDECREF(loan->ring);
    type->tp_free(self);
    Py_DECREF(type);
}

PyMethodDef methods[] = {
    {"__enter__", enter, METH_NOARGS, "__enter__($self, /)\n--\n\nLend the slots: an array of up to so many records."},
    {"__exit__", as_method(exit), METH_FASTCALL,
     "__exit__($self, /, *exc_info)\n--\n\nPublish what was claimed, or give back what was peeked at."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc,
     const_cast<char*>("Slots of a ring for the length of a with block: `SpscRing.claim`, `SpscRing.peek`.")},
    {Py_tp_dealloc, as_slot(dealloc)},
    {Py_tp_methods, methods},
    {0, nullptr},
};

PyType_Spec spec = {"fastmas.ring.Loan", sizeof(LoanObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

}  // namespace

PyObject* spsc_claim(PyObject* self, PyObject* records) {
    return new_loan(self, records, Side::producer);
}

PyObject* spsc_peek(PyObject* self, PyObject* records) {
    return new_loan(self, records, Side::consumer);
}

bool add_loan(PyObject* module) {
    loan_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
    if (loan_type == nullptr) return false;
    return PyModule_AddObjectRef(module, "Loan", reinterpret_cast<PyObject*>(loan_type)) == 0;
}

}  // namespace fastmas::bindings
