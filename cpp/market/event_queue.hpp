// The order in which a simulation happens: by virtual time, then by the rank of who is addressed, then by who came
// first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace fastmas::market {

// What to do is the owner's to say: `subject`, `target`, `detail` and `kind` are carried, not read.
struct Event {
    std::int64_t time_ns = 0;
    std::uint64_t order = 0;  // rank in the upper 16 bits, sequence in the lower 48
    void* subject = nullptr;
    std::uint32_t detail = 0;
    std::uint16_t target = 0;
    std::uint8_t kind = 0;
};
static_assert(sizeof(Event) == 32, "two events to a cache line");

inline bool before(const Event& a, const Event& b) noexcept {
    return a.time_ns != b.time_ns ? a.time_ns < b.time_ns : a.order < b.order;
}

// A priority queue of events on (time, rank, sequence); the sequence is given out by `push`, so no two events are equal
// and the order is total. One thread. O(log n) a push and a pop, no allocation once the vectors have grown.
//
// It is two 4-ary heaps: what happens at the instant of the last pop, and what happens later. Most of what a handler
// sends arrives at once, and so moves through the small heap while a hundred thousand later events lie still.
class EventQueue {
  public:
    static constexpr std::uint32_t kMaxRank = 0xFFFF;
    static constexpr int kSequenceBits = 48;

    // `event.order` is set here; throws InvariantError when the sequence is used up (2^48 events).
    void push(Event event, std::uint32_t rank);

    // As `push`, with a sequence of the caller's: for the few events that are ordered among themselves by something
    // else, at a rank that nothing else has.
    void push_with_sequence(Event event, std::uint32_t rank, std::uint64_t sequence);

    // Puts a popped event back at the place it had.
    void put_back(const Event& event);

    bool empty() const noexcept { return now_.empty() && later_.empty(); }
    std::size_t size() const noexcept { return now_.size() + later_.size(); }

    // The next event; only when not empty.
    const Event& top() const noexcept {
        if (now_.empty()) return later_.front();
        if (later_.empty()) return now_.front();
        return before(later_.front(), now_.front()) ? later_.front() : now_.front();
    }
    Event pop();

    // All events in no order: for an owner that must visit or release their subjects.
    template <class Visit>
    void for_each(Visit&& visit) const {
        for (const Event& event : now_) visit(event);
        for (const Event& event : later_) visit(event);
    }
    void clear() noexcept {
        now_.clear();
        later_.clear();
    }

  private:
    void insert(const Event& event);

    std::vector<Event> now_;
    std::vector<Event> later_;
    std::int64_t instant_ = INT64_MIN;  // the time of the last pop; what is in now_ has it
    std::uint64_t sequence_ = 0;
};

}  // namespace fastmas::market
