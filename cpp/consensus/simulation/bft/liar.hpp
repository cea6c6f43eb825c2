// What a Byzantine node does with the messages that a correct one in its place would send.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "base/prng.hpp"
#include "consensus/bft/node.hpp"

namespace fastmas::consensus::bft {

// Holds its own key and nobody else's. Everything it does is drawn from its seed.
class Liar {
  public:
    struct Counters {
        std::uint64_t votes_equivocated = 0;
        std::uint64_t proposals_equivocated = 0;
        std::uint64_t withheld = 0;
        std::uint64_t forged = 0;
        std::uint64_t replayed = 0;
        std::uint64_t delayed = 0;
        std::uint64_t heights_invented = 0;
        std::uint64_t votes_for_all = 0;  // for every value it hears of
        std::uint64_t times_invented = 0;
        std::uint64_t favoured = 0;  // votes that one node alone got
    };

    // In so many of a hundred lives all it does is to scheme: see favour_one().
    Liar(NodeId id, std::uint64_t seed, std::shared_ptr<Signer> signer, std::uint32_t schemes = 30);

    void hear(const Message& message);
    void tick();
    // What is sent in place of `honest`, appended to `out`.
    void lie(const BftNode& node, const Message& honest, std::vector<Message>& out);
    // What was delayed long enough, appended to `out`.
    void release(const BftNode& node, std::vector<Message>& out);
    bool has_due() const noexcept { return !delayed_.empty() && delayed_.front().first <= ticks_; }
    // Whether it holds back a proposal that could still be decided on.
    bool holds_proposal(Height height) const noexcept;
    const Counters& counters() const noexcept { return counters_; }

  private:
    bool chance(std::uint32_t percent) noexcept { return random_.chance_ppm(percent * 10'000); }
    bool is_other_side(NodeId peer) const noexcept { return (sides_ >> peer & 1U) != 0; }
    Vote sign(const BftNode& node, VoteType type, Height height, Round round, const Digest& value);
    BlockPtr other_block(const Block& block);
    static BlockPtr from_the_future(const Block& block);
    bool besieges(Height height) const noexcept;
    bool bides(Height height) const noexcept;
    static NodeId proposer_of(const BftNode& node, Round round);
    NodeId favourite(const BftNode& node, Height height, Round round) const;
    bool favour_one(const BftNode& node, Message& message);
    Digest some_value(const Digest& honest);
    void forge(const BftNode& node, NodeId to, std::vector<Message>& out);

    NodeId id_;
    base::Prng random_;
    std::shared_ptr<Signer> signer_;
    std::uint32_t habits_;    // which of its tricks it uses
    std::uint64_t sides_;     // who gets the other story
    std::uint64_t deaf_ = 0;  // who gets nothing for now
    std::uint64_t ticks_ = 0;
    std::deque<Message> heard_;  // to be replayed
    std::deque<Digest> values_;  // proposed of late
    BlockPtr mine_, other_;      // the two stories of its latest proposal
    std::deque<std::pair<std::uint64_t, Message>> delayed_;
    Counters counters_;
};

}  // namespace fastmas::consensus::bft
