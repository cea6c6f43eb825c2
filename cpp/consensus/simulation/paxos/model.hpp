// Multi-Paxos as the exhaustive checker sees it: what can happen to one node, what of its state decides, what must
// hold.
#pragma once

#include <string>
#include <vector>

#include "consensus/paxos/node.hpp"
#include "consensus/simulation/explorer.hpp"
#include "consensus/simulation/paxos/disk.hpp"

namespace fastmas::consensus::paxos {

// Clocks are left out: without asking first and without check-quorum a node's answers do not depend on them, and a
// time-out is an event of its own. Every duty of a Ready is done within the step; a crash before them is a crash and a
// message lost.
class PaxosModel {
  public:
    struct Participant {
        PaxosNode node;
        SimDisk disk;
    };
    using Message = paxos::Message;
    using Output = StepOutput<Message>;

    explicit PaxosModel(std::size_t nodes);

    Participant start(NodeId id) const;
    std::vector<Renaming> symmetry() const;  // none: of two ballots of one number the higher node's is the higher

    bool can_time_out(const Participant& at) const noexcept { return at.node.role() != Role::leader; }
    bool can_heartbeat(const Participant& at) const noexcept { return at.node.role() == Role::leader; }
    bool can_propose(const Participant& at) const noexcept { return at.node.role() == Role::leader; }
    void time_out(Participant& at, Output& out) const;
    void heartbeat(Participant& at, Output& out) const;
    void propose(Participant& at, std::uint32_t number, Output& out) const;
    void crash(Participant& at, Output& out) const;
    void deliver(Participant& at, const Message& message, Output& out) const;

    std::uint64_t digest(const Participant& at, const Renaming& renaming) const;
    std::uint64_t digest(const Message& message, const Renaming& renaming) const;
    bool is_dead(const Participant& at, const Message& message) const noexcept;
    NodeId sender(const Message& message) const noexcept { return message.from; }
    NodeId receiver(const Message& message) const noexcept { return message.to; }
    void check(const std::vector<const Participant*>& all) const;
    std::string describe(const Message& message) const;

  protected:
    std::vector<NodeId> nodes_;
    // None or one: whoever is to propose asks for these members first, with the least window that there is.
    std::vector<Membership> target_;

  private:
    PaxosConfig config_of(NodeId id) const;
    void do_duties(Participant& at, Output& out) const;
};

// The same, where all but the first node are to go: then it decides alone, and they could without it.
class PaxosChangeModel : public PaxosModel {
  public:
    explicit PaxosChangeModel(std::size_t nodes);
};

}  // namespace fastmas::consensus::paxos
