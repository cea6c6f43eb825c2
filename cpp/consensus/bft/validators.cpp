#include "consensus/bft/validators.hpp"

#include <algorithm>
#include <string>

#include "base/errors.hpp"
#include "consensus/bytes.hpp"

namespace fastmas::consensus::bft {

const Validator* same_key(std::span<const Validator> validators) noexcept {
    for (std::size_t at = 1; at < validators.size(); ++at)
        for (const Validator& before : validators.first(at))
            if (before.key == validators[at].key && before.key != PublicKey{}) return &validators[at];
    return nullptr;
}

ValidatorSet::ValidatorSet(std::vector<Validator> validators) : validators_(std::move(validators)) {
    if (validators_.empty() || validators_.size() > kMaxNodes)
        throw base::ConfigError("there are 1 to " + std::to_string(kMaxNodes) + " validators, got " +
                                std::to_string(validators_.size()) + "; 4 stand one liar, 7 stand two");
    std::sort(validators_.begin(), validators_.end(),
              [](const Validator& a, const Validator& b) { return a.id < b.id; });
    NodeId last = kNoNode;
    for (const Validator& validator : validators_) {
        if (validator.id == last)
            throw base::ConfigError("validator ids start at 1 and differ, got " + std::to_string(validator.id) +
                                    (last == kNoNode ? "" : " twice") + "; number them 1 to n");
        last = validator.id;
        if (validator.power == 0 || validator.power > kMaxTotalPower - total_)
            throw base::ConfigError("voting powers are at least 1 and add up to at most 2^60, got " +
                                    std::to_string(validator.power) + " for validator " + std::to_string(validator.id) +
                                    "; leave out who has none");
        total_ += validator.power;
        powers_.push_back(validator.power);
    }
    // What is signed does not say by whom: under one key, the vote of one would be the vote of both.
    if (const Validator* other = same_key(validators_))
        throw base::ConfigError("validators have keys of their own, got the one of validator " +
                                std::to_string(other->id) + " twice; make one for each");
    std::vector<std::byte> bytes;
    Writer writer(bytes);
    writer.put(std::as_bytes(std::span("fastmas/bft/validators/1")));
    for (const Validator& validator : validators_) {
        writer.put(validator.id);
        writer.put(validator.power);
        writer.put(validator.key);
    }
    digest_ = base::sha256(bytes);
}

std::size_t ValidatorSet::place_of(NodeId id) const noexcept {
    // where the ids are 1 .. n, as mostly, it is where it should be
    if (const std::size_t usual = std::size_t{id} - 1; usual < validators_.size() && validators_[usual].id == id)
        return usual;
    const auto found = std::lower_bound(validators_.begin(), validators_.end(), id,
                                        [](const Validator& a, NodeId wanted) { return a.id < wanted; });
    if (found == validators_.end() || found->id != id) return kNowhere;
    return static_cast<std::size_t>(found - validators_.begin());
}

Power ValidatorSet::power_of(std::uint64_t places) const noexcept {
    Power sum = 0;
    for (std::size_t place = 0; place < powers_.size(); ++place)
        if ((places >> place & 1U) != 0) sum += powers_[place];
    return sum;
}

std::size_t Rotation::turn(const ValidatorSet& set, Priorities& priorities) noexcept {
    std::size_t best = 0;
    for (std::size_t place = 0; place < set.size(); ++place) {
        priorities[place] += static_cast<std::int64_t>(set.powers()[place]);
        if (priorities[place] > priorities[best]) best = place;
    }
    priorities[best] -= static_cast<std::int64_t>(set.total());
    return best;
}

std::size_t Rotation::proposer(Round round) {
    while (proposers_.size() <= static_cast<std::size_t>(round))
        proposers_.push_back(static_cast<std::uint8_t>(turn(*set_, priorities_)));
    return proposers_[static_cast<std::size_t>(round)];
}

Rotation::Priorities Rotation::carry_over(const ValidatorSet& before, const Priorities& priorities,
                                          const ValidatorSet& after) {
    const auto total = static_cast<std::int64_t>(after.total());
    Priorities carried;
    std::int64_t sum = 0;
    for (const Validator& validator : after.all()) {
        const std::size_t place = before.place_of(validator.id);
        // never further apart than two totals, however much the total shrank
        carried.push_back(place == ValidatorSet::kNowhere ? -(total + total / 8)
                                                          : std::clamp(priorities[place], -total, total));
        sum += carried.back() / static_cast<std::int64_t>(after.size());
    }
    for (std::int64_t& priority : carried) priority -= sum;
    return carried;
}

}  // namespace fastmas::consensus::bft
