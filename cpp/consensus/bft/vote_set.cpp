#include "consensus/bft/vote_set.hpp"

#include <algorithm>

namespace fastmas::consensus::bft {

void VoteSet::reset(const std::vector<Power>& powers, Power total) {
    powers_ = &powers;
    total_ = total;
    first_.assign(powers.size(), std::nullopt);
    further_.clear();
    tallies_.clear();
    any_ = 0;
    senders_ = 0;
}

Power& VoteSet::tally(const Digest& value) {
    for (Tally& known : tallies_)
        if (known.value == value) return known.power;
    return tallies_.emplace_back(Tally{value, 0}).power;
}

Power VoteSet::of(const Digest& value) const noexcept {
    for (const Tally& known : tallies_)
        if (known.value == value) return known.power;
    return 0;
}

const Vote* VoteSet::vote(std::size_t place, const Digest& value) const noexcept {
    if (!first_[place]) return nullptr;
    if (first_[place]->value == value) return &*first_[place];
    const auto found = std::find_if(further_.begin(), further_.end(), [&](const auto& held) {
        return held.first == place && held.second.value == value;
    });
    return found == further_.end() ? nullptr : &found->second;
}

VoteSet::Added VoteSet::add(std::size_t place, const Vote& vote) {
    const Power power = (*powers_)[place];
    if (!first_[place]) {
        first_[place] = vote;
        senders_ |= std::uint64_t{1} << place;
        any_ += power;
        tally(vote.value) += power;
        return Added::counted;
    }
    if (has(place, vote.value)) return Added::duplicate;
    if (!is_wanted(vote.value)) return Added::conflict;
    further_.emplace_back(place, vote);
    tally(vote.value) += power;
    return Added::conflict_counted;
}

void VoteSet::forget(std::size_t place) {
    if (!first_[place]) return;
    const Power power = (*powers_)[place];
    tally(first_[place]->value) -= power;
    any_ -= power;
    for (const auto& [whose, vote] : further_)
        if (whose == place) tally(vote.value) -= power;
    std::erase_if(further_, [&](const auto& held) { return held.first == place; });
    std::erase_if(tallies_, [](const Tally& known) { return known.power == 0; });
    first_[place].reset();
    senders_ &= ~(std::uint64_t{1} << place);
}

std::optional<Digest> VoteSet::quorum() const noexcept {
    std::optional<Digest> found;
    for (const Tally& known : tallies_)
        if (is_quorum(known.power, total_) && (!found || known.value < *found)) found = known.value;
    return found;
}

void VoteSet::votes_for(const Digest& value, std::vector<Vote>& out) const {
    for (std::size_t place = 0; place < first_.size(); ++place) {
        if (!first_[place]) continue;
        if (first_[place]->value == value) {
            out.push_back(*first_[place]);
            continue;
        }
        for (const auto& [whose, vote] : further_)
            if (whose == place && vote.value == value) out.push_back(vote);
    }
}

void VoteSet::votes_of(std::size_t place, std::vector<Vote>& out) const {
    if (first_[place]) out.push_back(*first_[place]);
    for (const auto& [whose, vote] : further_)
        if (whose == place) out.push_back(vote);
}

}  // namespace fastmas::consensus::bft
