#include "market/join_tracker.hpp"

#include <utility>

namespace fastmas::market {

JoinTracker::JoinTracker(std::uint32_t levels, std::vector<std::uint32_t> join_levels)
    : levels_(levels), join_levels_(std::move(join_levels)) {}

JoinTracker::Origin* JoinTracker::open(std::uint64_t id) {
    auto& slot = open_[id];
    if (slot) return slot.get();
    if (spare_.empty()) {
        slot = std::make_unique<Origin>();
        slot->at_level.assign(levels_, 0);
        slot->joins.resize(join_levels_.size());
    } else {
        slot = std::move(spare_.back());
        spare_.pop_back();
    }
    slot->id = id;
    return slot.get();
}

void JoinTracker::sent(Origin& origin, Destination to) noexcept {
    ++origin.pending;
    ++origin.at_level[to.level];
    if (to.join != Destination::kNoJoin) ++origin.joins[to.join].in_flight;
}

void JoinTracker::handled(Origin& origin, Destination to) noexcept {
    --origin.pending;
    --origin.at_level[to.level];
}

void JoinTracker::arrived(Origin& origin, std::uint32_t join, void* message) {
    Buffer& buffer = origin.joins[join];
    buffer.messages.push_back(message);
    --buffer.in_flight;
    ++origin.buffered;
}

bool JoinTracker::ready(const Origin& origin, std::uint32_t join) const noexcept {
    const Buffer& buffer = origin.joins[join];
    if (buffer.messages.empty() || buffer.in_flight != 0) return false;
    for (std::uint32_t level = 0; level < join_levels_[join]; ++level)
        if (origin.at_level[level] != 0) return false;
    return true;
}

void JoinTracker::schedule_ready(Origin& origin, std::vector<std::uint32_t>& joins) {
    if (origin.buffered == 0) return;
    for (std::uint32_t join = 0; join < origin.joins.size(); ++join) {
        if (origin.joins[join].scheduled || !ready(origin, join)) continue;
        origin.joins[join].scheduled = true;
        joins.push_back(join);
    }
}

void JoinTracker::take(Origin& origin, std::uint32_t join, std::vector<void*>& messages) {
    messages.clear();
    origin.joins[join].scheduled = false;
    if (!ready(origin, join)) return;
    origin.buffered -= origin.joins[join].messages.size();
    messages.swap(origin.joins[join].messages);
}

void JoinTracker::close_if_done(Origin* origin) {
    if (origin->pending != 0) return;
    const auto found = open_.find(origin->id);
    spare_.push_back(std::move(found->second));
    open_.erase(found);
}

}  // namespace fastmas::market
