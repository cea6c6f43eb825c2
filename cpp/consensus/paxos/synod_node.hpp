// One agent of a synod: proposer, acceptor and learner in one, without I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/prng.hpp"
#include "consensus/paxos/synod.hpp"
#include "consensus/paxos/synod_message.hpp"

namespace fastmas::consensus::paxos {

struct SynodConfig {
    NodeId id = kNoNode;
    std::size_t nodes = 0;  // ids 1 to nodes
    Quorums quorums;
    std::uint64_t seed = 0;
    // Ticks without progress before it begins a ballot of its own: drawn from [n, 2n), doubled for each of its ballots
    // that failed, up to 16 n: duelling proposers get out of one another's way (PMS §2.4 asks for a distinguished one).
    std::uint32_t retry_ticks = 10;
};

// All that must survive a crash.
struct SynodState {
    Ballot tried;  // by this node as proposer (The Part-Time Parliament, §2.4: lastTried)
    AcceptorState acceptor;
};

// The caller's duties, in this order: store `state` (when there is one) and make it durable; send `messages`, each
// once, more than once or not at all; SynodNode::advance().
struct SynodReady {
    const SynodState* state = nullptr;
    std::span<const SynodMessage> messages;
};

// Not thread-safe. Deterministic. Wrong messages are dropped and counted; two different decisions would be a broken
// invariant: they poison the node, which throws base::InvariantError from then on.
class SynodNode {
  public:
    explicit SynodNode(SynodConfig config, SynodState stored = {});

    // What this node would have chosen. It begins a ballot when the retry timer next runs out; now when `at_once`.
    void propose(Payload wish, bool at_once);
    void tick();
    void step(const SynodMessage& message);

    bool has_ready() const noexcept { return !outbox_.empty() || state_changed_ || own_vote_; }
    const SynodReady& ready();
    void advance();

    NodeId id() const noexcept { return config_.id; }
    const SynodState& state() const noexcept { return state_; }
    const Proposer& proposer() const noexcept { return proposer_; }
    bool is_decided() const noexcept { return decided_ballot_.number != 0; }
    const Ballot& decided_ballot() const noexcept { return decided_ballot_; }
    const Payload& decision() const noexcept { return decision_; }
    std::uint64_t ballots() const noexcept { return ballots_; }  // it began
    std::uint64_t dropped() const noexcept { return dropped_; }
    const std::string& poisoned() const noexcept { return poisoned_; }  // empty while the node is well

  private:
    void enter();  // every public call that changes something begins here
    [[noreturn]] void poison(const std::string& text);
    void begin_ballot();
    void on_promised(NodeId from, const Ballot& ballot, const Ballot& accepted, const Payload& value);
    void on_accepted(NodeId from, const Ballot& ballot);
    void decide(const Ballot& ballot, const Payload& value);
    void send(SynodType type, NodeId to, const Ballot& ballot, const Ballot& other = {}, const Payload& value = {});
    void send_all(SynodType type, const Ballot& ballot, const Payload& value = {});
    void store();
    void draw_timer();

    SynodConfig config_;
    base::Prng random_;
    Acceptor acceptor_;
    Proposer proposer_;
    SynodState state_;
    std::optional<Payload> wish_;
    Ballot decided_ballot_;
    Payload decision_;
    std::uint32_t elapsed_ = 0;
    std::uint32_t timeout_ = 0;
    std::uint32_t failures_ = 0;
    std::uint64_t ballots_ = 0;
    std::uint64_t dropped_ = 0;
    std::vector<SynodMessage> outbox_;
    bool state_changed_ = false;
    bool own_vote_ = false;  // its own acceptor's answer, which counts once it is durable
    bool ready_out_ = false;
    SynodReady ready_;
    std::string poisoned_;
};

}  // namespace fastmas::consensus::paxos
