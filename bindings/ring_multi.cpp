// fastmas.ring.MpscRing and fastmas.ring.MpmcRing.
#include "ring_multi.hpp"

#include "ring_common.hpp"
#include "ring_consumer.hpp"
#include "ring_docs.hpp"
#include "ring_multi_docs.hpp"
#include "ring_objects.hpp"
#include "ring_producer.hpp"
#include "ring_shared_docs.hpp"

namespace fastmas::bindings {
namespace {

using ringbuffer::MpmcRing;
using ringbuffer::MpscRing;

template <class Ring>
bool add(PyObject* module, const char* qualified_name, const char* doc, const char* create_doc,
         const char* attach_doc) {
    using End = MultiEnd<Ring>;
    using Pushes = Producer<End>;
    using Pops = Consumer<End>;
    static PyMethodDef methods[] = {
        {"try_push", Pushes::try_push, METH_O, docs::kTryPush},
        {"push", as_method(Pushes::push), METH_FASTCALL | METH_KEYWORDS, docs::kPush},
        {"push_many", as_method(Pushes::push_many), METH_FASTCALL | METH_KEYWORDS, docs::kPushManyOfMany},
        {"try_pop", Pops::try_pop, METH_NOARGS, docs::kTryPop},
        {"pop", as_method(Pops::pop), METH_FASTCALL | METH_KEYWORDS, docs::kPop},
        {"pop_many", as_method(Pops::pop_many), METH_FASTCALL | METH_KEYWORDS, docs::kPopMany},
        FASTMAS_SHARED_METHODS(multi_create<Ring>, create_doc, multi_attach<Ring>, attach_doc),
        FASTMAS_RING_METHODS("ring", docs::kRingClose),
        {nullptr, nullptr, 0, nullptr},
    };
    static PyGetSetDef properties[] = {
        FASTMAS_END_PROPERTIES(
            "What is known of the processes at the other end, taken together: 'alive' when one is, else 'dead' when "
            "one died without closing, else 'left', else 'absent'. A stopped process is alive."),
        FASTMAS_RECORD_PROPERTIES,
        FASTMAS_QUEUE_PROPERTIES(
            End, "How many records were pushed; one that is being pushed counts. Always popped + lost + was_size.",
            "How many records were popped."),
        {"skipped", ring_get<End, [](End& end) { return end.ring.skipped(); }>, nullptr,
         "How many records were passed over because their producer was killed before they were whole.", nullptr},
        {"lost", ring_get<End, [](End& end) { return end.ring.lost(); }>, nullptr,
         "How many records consumers had taken that were killed before their call returned.", nullptr},
        {"dead_peers", ring_get<End, [](End& end) { return end.dead_peers(); }>, nullptr,
         "How many places at the other end were last held by a process that died and have not been taken since.",
         nullptr},
        {nullptr, nullptr, nullptr, nullptr, nullptr},
    };
    return add_ring_type(module, {qualified_name, doc, methods, properties, multi_construct<Ring>}) != nullptr;
}

}  // namespace

bool add_multi_rings(PyObject* module) {
    return add<MpscRing<>>(module, "fastmas.ring.MpscRing", docs::kMpscRing, docs::kCreateMpsc, docs::kAttachMpsc) &&
           add<MpmcRing<>>(module, "fastmas.ring.MpmcRing", docs::kMpmcRing, docs::kCreateMpmc, docs::kAttachMpmc);
}

}  // namespace fastmas::bindings
