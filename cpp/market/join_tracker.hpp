// When is a join complete? An origin is one instant of a feed; everything made from it, directly or through others,
// belongs to it. A join waits with what has reached it until nothing of that origin is on its way to a lower rank, or
// to itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

namespace fastmas::market {

// Where a message is going: the level of the node (its rank's place among all ranks) and, for a join, its number.
struct Destination {
    static constexpr std::uint32_t kNoJoin = ~std::uint32_t{0};
    std::uint32_t level = 0;
    std::uint32_t join = kNoJoin;
};

// Counts, per origin and level, the messages that are under way, and keeps the buffers of the joins. A message counts
// from the time it is sent until it has been handled and what came of it has been sent; in a buffer it counts at the
// join's level, so that a join waits for the joins below it. One thread; O(levels) where a join may have become ready,
// O(1) elsewhere; origins are reused, so that nothing is allocated once as many are open as ever will be at a time.
class JoinTracker {
  public:
    struct Buffer {
        std::uint32_t in_flight = 0;  // sent to this join and not yet there
        bool scheduled = false;       // the owner was told that it is ready and has not taken it yet
        std::vector<void*> messages;  // in order of arrival
    };
    struct Origin {
        std::uint64_t id = 0;
        std::uint64_t pending = 0;  // the sum of `at_level`
        std::uint64_t buffered = 0;
        std::vector<std::uint64_t> at_level;
        std::vector<Buffer> joins;
    };

    // `join_levels[j]` is the level of join j.
    JoinTracker(std::uint32_t levels, std::vector<std::uint32_t> join_levels);

    // The origin with that id: the one that is open, or a new one. It stays valid until close_if_done lets it go.
    Origin* open(std::uint64_t id);

    void sent(Origin& origin, Destination to) noexcept;
    void handled(Origin& origin, Destination to) noexcept;  // after what came of it was sent
    void arrived(Origin& origin, std::uint32_t join, void* message);

    bool ready(const Origin& origin, std::uint32_t join) const noexcept;

    // Appends the joins that have become ready and marks them as scheduled, in ascending order.
    void schedule_ready(Origin& origin, std::vector<std::uint32_t>& joins);

    // Moves the buffer out and clears the mark; the messages count as pending until `handled` for each of them.
    // Empty when the join is not ready after all: something of the origin was sent again in between.
    void take(Origin& origin, std::uint32_t join, std::vector<void*>& messages);

    // Forgets the origin when nothing of it is pending.
    void close_if_done(Origin* origin);

    std::size_t open_origins() const noexcept { return open_.size(); }

    template <class Visit>
    void for_each_buffered(Visit&& visit) const {
        for (const auto& [id, origin] : open_)
            for (const Buffer& buffer : origin->joins)
                for (void* message : buffer.messages) visit(message);
    }

  private:
    std::uint32_t levels_;
    std::vector<std::uint32_t> join_levels_;
    std::unordered_map<std::uint64_t, std::unique_ptr<Origin>> open_;
    std::vector<std::unique_ptr<Origin>> spare_;
};

}  // namespace fastmas::market
