// Who decides, with what weight, and whose turn it is to propose.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "consensus/bft/types.hpp"

namespace fastmas::consensus::bft {

// One that has the key of another before it; nullptr when each has its own, or none at all (zeros), as where nothing is
// signed.
const Validator* same_key(std::span<const Validator> validators) noexcept;

// Immutable, ordered by id. A validator's place in that order is how votes are kept: one bit a place.
class ValidatorSet {
  public:
    static constexpr std::size_t kNowhere = ~std::size_t{0};

    ValidatorSet() = default;
    // Throws base::ConfigError for an empty or too large set, ids that are 0 or repeat, powers that are 0 or too large,
    // keys that repeat.
    explicit ValidatorSet(std::vector<Validator> validators);

    std::size_t size() const noexcept { return validators_.size(); }
    const Validator& at(std::size_t place) const noexcept { return validators_[place]; }
    std::size_t place_of(NodeId id) const noexcept;  // kNowhere for a stranger
    const std::vector<Power>& powers() const noexcept { return powers_; }
    Power total() const noexcept { return total_; }
    Power power_of(std::uint64_t places) const noexcept;  // one bit a place
    const std::vector<Validator>& all() const noexcept { return validators_; }
    // Of ids, powers and keys: what blocks name a set by.
    const Digest& digest() const noexcept { return digest_; }

    friend bool operator==(const ValidatorSet&, const ValidatorSet&) = default;

  private:
    std::vector<Validator> validators_;
    std::vector<Power> powers_;
    Power total_ = 0;
    Digest digest_{};
};

// Proposer rotation as Tendermint does it: in every round each validator's priority grows by its power, the highest
// proposes (the lower id on a tie) and pays the total. So each proposes in proportion to its power, evenly spread, and
// everybody computes the same. The priorities sum to a constant.
class Rotation {
  public:
    using Priorities = std::vector<std::int64_t>;

    Rotation() = default;
    // The priorities are those of the height's start, by place.
    Rotation(std::shared_ptr<const ValidatorSet> set, Priorities priorities)
        : set_(std::move(set)), priorities_(std::move(priorities)) {}

    // Those of another height; keeps its memory.
    void reset(std::shared_ptr<const ValidatorSet> set, const Priorities& priorities) {
        set_ = std::move(set);
        priorities_ = priorities;
        proposers_.clear();
    }
    // The place of the proposer of a round. O(validators) for each round not asked for before.
    std::size_t proposer(Round round);

    // One turn: who proposes. O(validators).
    static std::size_t turn(const ValidatorSet& set, Priorities& priorities) noexcept;
    // The priorities of a changed set: who stays keeps its own, a newcomer starts behind all others, so that leaving
    // and coming back gains nothing.
    static Priorities carry_over(const ValidatorSet& before, const Priorities& priorities, const ValidatorSet& after);

  private:
    std::shared_ptr<const ValidatorSet> set_;
    Priorities priorities_;
    std::vector<std::uint8_t> proposers_;  // by round
};

}  // namespace fastmas::consensus::bft
