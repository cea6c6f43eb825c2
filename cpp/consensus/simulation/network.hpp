// The network of a simulated cluster: seeded loss, delay, duplication, reordering and cut links, in virtual time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "base/errors.hpp"
#include "base/prng.hpp"
#include "consensus/simulation/options.hpp"
#include "consensus/types.hpp"

namespace fastmas::consensus {

struct NetworkCounters {
    std::uint64_t sent = 0;
    std::uint64_t bytes = 0;  // as encoded
    std::uint64_t lost = 0;
    std::uint64_t duplicated = 0;
    std::uint64_t cut = 0;  // stopped by a partition
    std::uint64_t delivered = 0;
};

// Message has `from` and `to`, and encoded_size, encode and decode are found beside it.
// Not thread-safe. Sending and receiving cost O(log in flight) and allocate nothing once warm.
template <class Message>
class SimNetwork {
  public:
    SimNetwork(std::size_t nodes, const NetworkOptions& options, std::uint64_t seed);

    void send(const Message& message, std::int64_t now_ns);
    bool empty() const noexcept { return heap_.empty(); }
    std::size_t in_flight() const noexcept { return heap_.size(); }
    std::int64_t next_ns() const noexcept { return heap_.front().at_ns; }
    // Takes the next message off; nullptr when a cut link stops it. Valid until the next call.
    const Message* receive();
    void drop_all() noexcept;
    // Whom the next message is for, and giving it to them later.
    NodeId next_to() const noexcept { return slots_[heap_.front().slot].message.to; }
    void defer_next(std::int64_t at_ns) noexcept;

    void cut(NodeId from, NodeId to, bool is_cut) noexcept { cut_[link(from, to)] = is_cut; }
    bool is_cut(NodeId from, NodeId to) const noexcept { return cut_[link(from, to)]; }
    void heal() noexcept { cut_.assign(cut_.size(), false); }
    // What is sent from now on arrives at `until_ns` at the earliest.
    void clog(NodeId from, NodeId to, std::int64_t until_ns) noexcept { clogged_ns_[link(from, to)] = until_ns; }

    NetworkOptions& options() noexcept { return options_; }
    const NetworkCounters& counters() const noexcept { return counters_; }

  private:
    struct Flight {
        std::int64_t at_ns;
        std::uint64_t sequence;  // breaks ties in the order of sending
        std::uint32_t slot;
    };
    struct Slot {
        Message message;
        std::vector<std::byte> bytes;
    };
    static bool later(const Flight& a, const Flight& b) noexcept {
        return a.at_ns != b.at_ns ? a.at_ns > b.at_ns : a.sequence > b.sequence;
    }
    std::size_t link(NodeId from, NodeId to) const noexcept { return (from - 1) * nodes_ + (to - 1); }
    void enqueue(const Message& message, std::int64_t now_ns);

    std::size_t nodes_;
    NetworkOptions options_;
    base::Prng random_;
    std::vector<Flight> heap_;
    std::vector<Slot> slots_;  // recycled, with the capacity they have grown
    std::vector<std::uint32_t> free_;
    std::vector<std::int64_t> last_arrival_ns_;  // per link: a stream does not overtake itself
    std::vector<std::int64_t> clogged_ns_;       // per link
    std::vector<bool> cut_;
    std::uint64_t sequence_ = 0;
    std::uint32_t held_ = kNone;  // the slot handed out last
    static constexpr std::uint32_t kNone = 0xffffffffU;
    NetworkCounters counters_;
};

template <class Message>
SimNetwork<Message>::SimNetwork(std::size_t nodes, const NetworkOptions& options, std::uint64_t seed)
    : nodes_(nodes),
      options_(options),
      random_(base::derive_seed(seed, "network")),
      last_arrival_ns_(nodes * nodes, INT64_MIN),
      clogged_ns_(nodes * nodes, INT64_MIN),
      cut_(nodes * nodes, false) {}

template <class Message>
void SimNetwork<Message>::send(const Message& message, std::int64_t now_ns) {
    ++counters_.sent;
    counters_.bytes += encoded_size(message);
    if (options_.loss_ppm != 0 && random_.chance_ppm(options_.loss_ppm)) {
        ++counters_.lost;
        return;
    }
    enqueue(message, now_ns);
    if (options_.duplicate_ppm != 0 && random_.chance_ppm(options_.duplicate_ppm)) {
        ++counters_.duplicated;
        enqueue(message, now_ns);
    }
}

template <class Message>
void SimNetwork<Message>::enqueue(const Message& message, std::int64_t now_ns) {
    std::int64_t at_ns = now_ns + random_.between(options_.delay_low_ns, options_.delay_high_ns);
    at_ns = std::max(at_ns, clogged_ns_[link(message.from, message.to)]);
    if (options_.reorder_ppm == 0 || !random_.chance_ppm(options_.reorder_ppm)) {
        std::int64_t& last_ns = last_arrival_ns_[link(message.from, message.to)];
        at_ns = last_ns = std::max(at_ns, last_ns);
    }
    if (free_.empty()) {
        free_.push_back(static_cast<std::uint32_t>(slots_.size()));
        slots_.emplace_back();
    }
    const std::uint32_t slot = free_.back();
    free_.pop_back();
    if (options_.encode) {
        slots_[slot].bytes.clear();
        encode(message, slots_[slot].bytes);
        slots_[slot].message.from = message.from;
        slots_[slot].message.to = message.to;
    } else {
        slots_[slot].message = message;
    }
    heap_.push_back({at_ns, sequence_++, slot});
    std::push_heap(heap_.begin(), heap_.end(), later);
}

template <class Message>
const Message* SimNetwork<Message>::receive() {
    if (held_ != kNone) free_.push_back(held_);
    std::pop_heap(heap_.begin(), heap_.end(), later);
    held_ = heap_.back().slot;
    heap_.pop_back();
    Slot& slot = slots_[held_];
    if (is_cut(slot.message.from, slot.message.to)) {
        ++counters_.cut;
        return nullptr;
    }
    if (options_.encode) {
        if (const char* problem = decode(slot.bytes, slot.message))
            throw base::InvariantError(std::string("a message of our own does not decode: ") + problem);
    }
    ++counters_.delivered;
    return &slot.message;
}

template <class Message>
void SimNetwork<Message>::defer_next(std::int64_t at_ns) noexcept {
    std::pop_heap(heap_.begin(), heap_.end(), later);
    heap_.back().at_ns = at_ns;
    std::push_heap(heap_.begin(), heap_.end(), later);
}

template <class Message>
void SimNetwork<Message>::drop_all() noexcept {
    for (const Flight& flight : heap_) free_.push_back(flight.slot);
    counters_.lost += heap_.size();
    heap_.clear();
}

}  // namespace fastmas::consensus
