// fastmas.ring.SpscRing.
#include "ring_spsc.hpp"

#include "ring_common.hpp"
#include "ring_consumer.hpp"
#include "ring_docs.hpp"
#include "ring_objects.hpp"
#include "ring_producer.hpp"
#include "ring_shared_docs.hpp"

namespace fastmas::bindings {
namespace {

using Pushes = Producer<SpscEnd>;
using Pops = Consumer<SpscEnd>;

PyMethodDef methods[] = {
    {"try_push", Pushes::try_push, METH_O, docs::kTryPush},
    {"push", as_method(Pushes::push), METH_FASTCALL | METH_KEYWORDS, docs::kPush},
    {"push_many", as_method(Pushes::push_many), METH_FASTCALL | METH_KEYWORDS, docs::kPushMany},
    {"try_pop", Pops::try_pop, METH_NOARGS, docs::kTryPop},
    {"pop", as_method(Pops::pop), METH_FASTCALL | METH_KEYWORDS, docs::kPop},
    {"pop_many", as_method(Pops::pop_many), METH_FASTCALL | METH_KEYWORDS, docs::kPopMany},
    {"claim", spsc_claim, METH_O, docs::kClaim},
    {"peek", spsc_peek, METH_O, docs::kPeek},
    FASTMAS_SHARED_METHODS(spsc_create, docs::kCreate, spsc_attach, docs::kAttach),
    FASTMAS_RING_METHODS("ring", docs::kRingClose),
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef properties[] = {
    FASTMAS_END_PROPERTIES(kOnePeerDoc),
    FASTMAS_RECORD_PROPERTIES,
    FASTMAS_QUEUE_PROPERTIES(SpscEnd, "How many records were ever pushed.", "How many records were ever popped."),
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

}  // namespace

bool add_spsc_ring(PyObject* module) {
    return add_ring_type(module, {"fastmas.ring.SpscRing", docs::kSpscRing, methods, properties, spsc_construct}) !=
           nullptr;
}

}  // namespace fastmas::bindings
