// What the simulated cluster asks of BFT.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "consensus/bft/codec.hpp"
#include "consensus/simulation/bft/disk.hpp"
#include "consensus/simulation/bft/invariants.hpp"
#include "consensus/simulation/bft/sim_node.hpp"
#include "consensus/simulation/bft/sim_signer.hpp"
#include "consensus/simulation/scenario.hpp"

namespace fastmas::consensus::bft {

// All nodes are correct and weigh the same. Nobody leads: any node takes commands and sends them to all, so the
// "leader" that SimCluster hands them to is the first correct one that hears more than two thirds.
struct BftProtocol {
    static constexpr const char* kName = "bft-correct";
    static constexpr const char* kElections = "rounds after the first";
    static constexpr bool kDecidesOnce = true;  // a decision is for good, and no block holds a request twice
    using Node = SimNode;
    using Message = bft::Message;
    using Ready = bft::Ready;
    using Entry = bft::Entry;
    using Disk = bft::SimDisk;
    using Invariants = bft::InvariantChecker;
    using Proposal = bft::Submission;

    static std::unique_ptr<Node> boot(const SimOptions& options, NodeId id, const std::vector<NodeId>& voters,
                                      std::uint64_t seed, const Disk& disk);
    static bool leads(const Node& node) noexcept { return !node.lies() && node.real().hears_quorum(); }
    static std::uint64_t epoch(const Node&) noexcept { return 1; }
    static std::uint64_t epoch(const Disk& disk) noexcept { return disk.hard_state().height; }
    static bool in_step(const Node& leads, const Node& other) noexcept;
    static bool replaces(const Disk&, const Ready&) noexcept { return false; }  // nothing stored is ever replaced
    static Snapshot snapshot(const Node& node, Payload state) { return node.real().checkpoint(std::move(state)); }
    // What compaction leaves on the disk for laggards, until it does not.
    static void forget(Disk& disk, const Node& node) {
        if (node.real().proven() != nullptr) disk.keep_proven(*node.real().proven());
        disk.forget_before(node.real().first_kept_height());
    }
    static TraceEvent trace(const Message& message, std::int64_t now_ns) noexcept;
    static std::size_t max_command_bytes() noexcept { return ChainLimits().max_command_bytes; }

    // What Scenario asks beyond that.
    static bool keeps_its_leader(const SimOptions&) noexcept { return false; }  // it has none to keep
    static void draw_options(SimOptions& options, base::Prng& random);
    template <class P>
    static void disturb(SimCluster<P>&, base::Prng&) {}
    static std::string describe(const Node& node);
    static void cover(const SimCluster<BftProtocol>& sim, Coverage& coverage);

  protected:
    static BftConfig config(const SimOptions& options, NodeId id, const std::vector<Power>& powers,
                            const SimKeys& keys);
};

// Lets validators come, go and change their weight as long as liars stay below a third whatever is decided on: a liar's
// power never grows beyond what it was at first, a correct one's never falls below.
class BoundedChanges final : public CommandRule {
  public:
    BoundedChanges(std::vector<Power> powers, std::vector<bool> liars, const SimKeys& keys);
    bool allows(const Command& command) const override;
    // One that it allows.
    Validator draw(base::Prng& random) const;

  private:
    std::vector<Power> powers_;  // by node id - 1
    std::vector<bool> liars_;    // by node id
    std::vector<PublicKey> keys_;
};

// The same with weights, nodes that are no validators at first, changes of validators, clocks that are off, and with as
// many liars as there may be without breaking agreement, all drawn from the cluster's seed.
struct LyingBftProtocol : BftProtocol {
    static constexpr const char* kName = "bft";
    static std::unique_ptr<Node> boot(const SimOptions& options, NodeId id, const std::vector<NodeId>& voters,
                                      std::uint64_t seed, const Disk& disk);
    static void draw_options(SimOptions& options, base::Prng& random);
    static void disturb(SimCluster<LyingBftProtocol>& sim, base::Prng& random);
    static void cover(const SimCluster<LyingBftProtocol>& sim, Coverage& coverage);
    static std::vector<Power> powers(const SimOptions& options);  // by node id - 1; 0: no validator at first
    static std::vector<bool> liars(const SimOptions& options);    // by node id
};

}  // namespace fastmas::consensus::bft
