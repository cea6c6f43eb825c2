#include "consensus/sim_network.hpp"

#include <algorithm>
#include <string>

#include "base/errors.hpp"
#include "consensus/codec.hpp"

namespace fastmas::consensus {

SimNetwork::SimNetwork(std::size_t nodes, const NetworkOptions& options, std::uint64_t seed)
    : nodes_(nodes),
      options_(options),
      random_(base::derive_seed(seed, "network")),
      last_arrival_ns_(nodes * nodes, INT64_MIN),
      cut_(nodes * nodes, false) {}

void SimNetwork::send(const Message& message, std::int64_t now_ns) {
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

void SimNetwork::enqueue(const Message& message, std::int64_t now_ns) {
    std::int64_t at_ns = now_ns + random_.between(options_.delay_low_ns, options_.delay_high_ns);
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

const Message* SimNetwork::receive() {
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

void SimNetwork::drop_all() noexcept {
    for (const Flight& flight : heap_) free_.push_back(flight.slot);
    counters_.lost += heap_.size();
    heap_.clear();
}

}  // namespace fastmas::consensus
