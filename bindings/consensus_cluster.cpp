#include "consensus_cluster.hpp"

#include "base/errors.hpp"
#include "consensus/simulation/bft/protocol.hpp"
#include "consensus/simulation/paxos/protocol.hpp"
#include "consensus/simulation/raft/protocol.hpp"

namespace fastmas::bindings {
namespace {

using consensus::NodeId;

template <class P>
class ClusterOf final : public AnyCluster {
  public:
    ClusterOf(const consensus::SimOptions& options, MachineFactory factory) : sim_(options, std::move(factory)) {}

    consensus::Burst propose(std::vector<consensus::Payload> commands, std::optional<std::int64_t> at_ns) override {
        return sim_.propose(std::move(commands), at_ns);
    }
    bool settle(std::int64_t limit_ns) override { return sim_.settle(limit_ns); }
    void run_for(std::int64_t duration_ns) override { sim_.run_for(duration_ns); }
    void crash(NodeId node) override { sim_.crash(node); }
    void restart(NodeId node) override { sim_.restart(node); }
    void cut(NodeId from, NodeId to, bool is_cut) override { sim_.cut(from, to, is_cut); }
    void heal() override { sim_.heal(); }
    void crash_leader_during_next() override { sim_.crash_leader_during_next(); }

    consensus::StateMachine* machine(NodeId node) override { return sim_.machine(node); }
    std::uint64_t applied(NodeId node) const override { return sim_.applied(node); }
    bool is_up(NodeId node) const override { return sim_.is_up(node); }
    const std::string& poisoned(NodeId node) const override { return sim_.poisoned(node); }
    std::size_t size() const override { return sim_.size(); }
    NodeId leader() const override { return sim_.leader(); }
    std::uint64_t epoch() const override { return sim_.epoch(); }
    std::uint64_t elections() const override { return sim_.elections(); }
    std::uint64_t checks() const override { return sim_.invariants().checks(); }
    bool is_quiet() const override { return sim_.is_quiet(); }
    std::int64_t now_ns() const override { return sim_.now_ns(); }
    const consensus::ClusterCounters& counters() const override { return sim_.counters(); }
    const consensus::NetworkCounters& network() const override { return sim_.network().counters(); }
    const std::vector<consensus::TraceEvent>& trace() const override { return sim_.trace(); }

  private:
    consensus::SimCluster<P> sim_;
};

}  // namespace

std::unique_ptr<AnyCluster> make_cluster(const std::string& protocol, const consensus::SimOptions& options,
                                         AnyCluster::MachineFactory factory) {
    if (protocol == "raft") return std::make_unique<ClusterOf<consensus::raft::RaftProtocol>>(options, factory);
    if (protocol == "paxos") return std::make_unique<ClusterOf<consensus::paxos::PaxosProtocol>>(options, factory);
    if (protocol == "bft") return std::make_unique<ClusterOf<consensus::bft::BftProtocol>>(options, factory);
    throw base::ConfigError("protocol must be 'raft', 'paxos' or 'bft', got '" + protocol + "'; use 'raft'");
}

}  // namespace fastmas::bindings
