// The network of a simulated cluster: seeded loss, delay, duplication, reordering and cut links, in virtual time.
#pragma once

#include <cstdint>
#include <vector>

#include "base/prng.hpp"
#include "consensus/message.hpp"

namespace fastmas::consensus {

struct NetworkOptions {
    std::uint32_t loss_ppm = 0;
    std::uint32_t duplicate_ppm = 0;
    std::uint32_t reorder_ppm = 0;  // share of messages that may overtake earlier ones of their link
    std::int64_t delay_low_ns = 50'000;
    std::int64_t delay_high_ns = 150'000;
    bool encode = false;  // messages travel as bytes, through the codec
};

// Not thread-safe. Sending and receiving cost O(log in flight) and allocate nothing once warm.
class SimNetwork {
  public:
    struct Counters {
        std::uint64_t sent = 0;
        std::uint64_t bytes = 0;  // as encoded
        std::uint64_t lost = 0;
        std::uint64_t duplicated = 0;
        std::uint64_t cut = 0;  // stopped by a partition
        std::uint64_t delivered = 0;
    };

    SimNetwork(std::size_t nodes, const NetworkOptions& options, std::uint64_t seed);

    void send(const Message& message, std::int64_t now_ns);
    bool empty() const noexcept { return heap_.empty(); }
    std::size_t in_flight() const noexcept { return heap_.size(); }
    std::int64_t next_ns() const noexcept { return heap_.front().at_ns; }
    // Takes the next message off; nullptr when a cut link stops it. Valid until the next call.
    const Message* receive();
    void drop_all() noexcept;

    void cut(NodeId from, NodeId to, bool is_cut) noexcept { cut_[link(from, to)] = is_cut; }
    bool is_cut(NodeId from, NodeId to) const noexcept { return cut_[link(from, to)]; }
    void heal() noexcept { cut_.assign(cut_.size(), false); }

    NetworkOptions& options() noexcept { return options_; }
    const Counters& counters() const noexcept { return counters_; }

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
    std::vector<bool> cut_;
    std::uint64_t sequence_ = 0;
    std::uint32_t held_ = kNone;  // the slot handed out last
    static constexpr std::uint32_t kNone = 0xffffffffU;
    Counters counters_;
};

}  // namespace fastmas::consensus
