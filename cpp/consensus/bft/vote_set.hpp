// The votes of one type in one round: who voted for what, and what they weigh.
#pragma once

#include <optional>
#include <vector>

#include "consensus/bft/types.hpp"

namespace fastmas::consensus::bft {

// The paper counts messages of different senders that match in all fields. So does this: a sender weighs once in "any"
// (lines 34, 47) and once for a value; a sender that voted twice is an equivocator, its second vote is told apart.
//
// Which of an equivocator's votes count is bounded and still misses no quorum: its first one always; a further one only
// for a value that others holding more than one third voted for. A value with a quorum has those others, since liars
// hold less than one third; and at most two values can have them by first votes, so at most three votes a sender are
// kept.
// Not thread-safe. add is O(values voted for); nothing is allocated once the set has had its size.
class VoteSet {
  public:
    enum class Added : std::uint8_t {
        counted,
        duplicate,         // the same sender for the same value: changes nothing
        conflict_counted,  // equivocation; its vote counts for this value all the same
        conflict,          // equivocation; not kept
    };

    // powers[i] is that of the validator at place i; the caller keeps it as long as this and its copies.
    VoteSet(const std::vector<Power>& powers, Power total) : powers_(&powers), total_(total), first_(powers.size()) {}

    // Begins anew, for a set that may be another, and keeps its memory.
    void reset(const std::vector<Power>& powers, Power total);
    // The caller has checked height, round, type and signature; `place` is the sender's.
    Added add(std::size_t place, const Vote& vote);
    // As if the sender had never voted.
    void forget(std::size_t place);

    bool has(std::size_t place, const Digest& value) const noexcept { return vote(place, value) != nullptr; }
    // The sender's vote for this value, as it came, or nullptr.
    const Vote* vote(std::size_t place, const Digest& value) const noexcept;
    // The sender's first vote, or nothing.
    const Vote* first(std::size_t place) const noexcept { return first_[place] ? &*first_[place] : nullptr; }
    Power any() const noexcept { return any_; }
    Power of(const Digest& value) const noexcept;
    bool quorum_of_any() const noexcept { return is_quorum(any_, total_); }
    bool quorum_of(const Digest& value) const noexcept { return is_quorum(of(value), total_); }
    // The value with more than two thirds, which may be kNil. Two would take more than one third of liars; then the
    // lower digest is given.
    std::optional<Digest> quorum() const noexcept;
    // Others than liars voted for it: more than one third.
    bool is_wanted(const Digest& value) const noexcept { return has_correct(of(value), total_); }
    // One bit a place: whose vote for any value is held.
    std::uint64_t senders() const noexcept { return senders_; }
    // Each sender's vote for this value, by place.
    void votes_for(const Digest& value, std::vector<Vote>& out) const;
    // All votes kept of the sender, first and conflicting.
    void votes_of(std::size_t place, std::vector<Vote>& out) const;
    bool empty() const noexcept { return senders_ == 0; }

  private:
    struct Tally {
        Digest value;
        Power power;
    };
    Power& tally(const Digest& value);

    const std::vector<Power>* powers_;
    Power total_;
    std::vector<std::optional<Vote>> first_;  // by place
    std::vector<std::pair<std::size_t, Vote>> further_;
    std::vector<Tally> tallies_;
    Power any_ = 0;
    std::uint64_t senders_ = 0;
};

}  // namespace fastmas::consensus::bft
