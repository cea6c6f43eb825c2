#include "market/event_queue.hpp"

#include "base/errors.hpp"

namespace fastmas::market {
namespace {

// Four children lie in two cache lines and the heap is half as high as a binary one.
constexpr std::size_t kArity = 4;

void push_heap(std::vector<Event>& heap, const Event& event) {
    std::size_t at = heap.size();
    heap.push_back(event);
    while (at > 0) {
        const std::size_t parent = (at - 1) / kArity;
        if (!before(event, heap[parent])) break;
        heap[at] = heap[parent];
        at = parent;
    }
    heap[at] = event;
}

std::size_t first_of(const std::vector<Event>& heap, std::size_t from, std::size_t to) {
    std::size_t best = from;
    for (std::size_t i = from + 1; i < to; ++i)
        if (before(heap[i], heap[best])) best = i;
    return best;
}

Event pop_heap(std::vector<Event>& heap) {
    const Event popped = heap.front();
    const Event moved = heap.back();
    heap.pop_back();
    const std::size_t size = heap.size();
    if (size == 0) return popped;
    std::size_t at = 0;
    for (std::size_t child = 1; child < size; child = at * kArity + 1) {
        const std::size_t best = first_of(heap, child, child + kArity < size ? child + kArity : size);
        if (!before(heap[best], moved)) break;
        heap[at] = heap[best];
        at = best;
    }
    heap[at] = moved;
    __builtin_prefetch(heap.front().subject);
    return popped;
}

}  // namespace

void EventQueue::insert(const Event& event) {
    push_heap(event.time_ns == instant_ ? now_ : later_, event);
}

void EventQueue::push(Event event, std::uint32_t rank) {
    if (sequence_ >> kSequenceBits != 0) throw base::InvariantError("the event queue has given out all 2^48 sequences");
    push_with_sequence(event, rank, sequence_++);
}

void EventQueue::push_with_sequence(Event event, std::uint32_t rank, std::uint64_t sequence) {
    if (rank > kMaxRank) throw base::InvariantError("an event's rank is above 65535");
    event.order = std::uint64_t{rank} << kSequenceBits | sequence;
    insert(event);
}

void EventQueue::put_back(const Event& event) {
    insert(event);
}

Event EventQueue::pop() {
    // An event pushed for an instant before the last one (nobody should) lands in later_ and still comes out first.
    const bool from_later = now_.empty() || (!later_.empty() && before(later_.front(), now_.front()));
    if (!from_later) return pop_heap(now_);
    // The instant moves only when nothing of it is left, so that all of now_ has one time.
    if (now_.empty()) instant_ = later_.front().time_ns;
    return pop_heap(later_);
}

}  // namespace fastmas::market
