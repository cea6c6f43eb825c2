// A node of a simulated BFT cluster: a correct one, or a liar in its place.
#pragma once

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "consensus/bft/node.hpp"
#include "consensus/simulation/bft/liar.hpp"

namespace fastmas::consensus::bft {

// A liar says what it likes; what it learns, it learns as a correct node does, so that it can be looked at.
class SimNode {
  public:
    // As SimCluster counts for any protocol: an election is a round after the first.
    struct Counters {
        std::uint64_t elections = 0;
    };

    SimNode(BftConfig config, std::shared_ptr<Signer> signer, std::shared_ptr<Verifier> verifier,
            PersistentState stored, std::unique_ptr<Liar> liar)
        : verifier_(verifier),
          node_(std::move(config), std::move(signer), std::move(verifier), std::move(stored)),
          liar_(std::move(liar)) {}

    void tick() {
        if (liar_) liar_->tick();
        node_.tick();
    }
    void step(const Message& message) {
        if (liar_) liar_->hear(message);
        node_.step(message);
    }
    Submission propose(Payload command, const Session& session, std::int64_t now_ns) {
        return node_.propose(std::move(command), session, now_ns);
    }
    Submission propose_change(const Validator& change, const Session& session, std::int64_t now_ns) {
        return node_.propose_change(change, session, now_ns);
    }
    void tell_time(std::int64_t now_ns) noexcept {
        node_.set_clock(now_ns);
        clock_ns_ = std::max(clock_ns_, now_ns);
    }
    std::int64_t clock_ns() const noexcept { return clock_ns_; }  // the latest it was told
    bool has_ready() const noexcept { return node_.has_ready() || (liar_ && liar_->has_due()); }
    const Ready& ready() {
        const Ready& honest = node_.ready();
        if (!liar_) return honest;
        lies_.clear();
        for (const Message& message : honest.messages) liar_->lie(node_, message, lies_);
        liar_->release(node_, lies_);
        ready_ = honest;
        ready_.messages = lies_;
        return ready_;
    }
    void advance() { node_.advance(); }
    void stored(std::uint64_t write) { node_.stored(write); }
    void compact(Index index, Payload state) { node_.compact(index, std::move(state)); }

    NodeId id() const noexcept { return node_.id(); }
    Index commit_index() const noexcept { return node_.commit_index(); }
    // As far as compaction may go, which is what SimCluster asks it for: all of it right after a checkpoint height.
    Index applied_index() const noexcept { return node_.checkpoint_due() ? node_.applied_index() : 0; }
    Counters counters() const noexcept { return {node_.counters().rounds}; }
    const std::string& poisoned() const noexcept { return node_.poisoned(); }

    const BftNode& real() const noexcept { return node_; }
    bool lies() const noexcept { return liar_ != nullptr; }
    const Liar* liar() const noexcept { return liar_.get(); }
    const std::shared_ptr<Verifier>& verifier() const noexcept { return verifier_; }

  private:
    std::shared_ptr<Verifier> verifier_;
    BftNode node_;
    std::unique_ptr<Liar> liar_;
    std::vector<Message> lies_;
    Ready ready_;
    std::int64_t clock_ns_ = INT64_MIN;
};

}  // namespace fastmas::consensus::bft
