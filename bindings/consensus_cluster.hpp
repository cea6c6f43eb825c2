// A simulated cluster whose protocol was chosen at run time.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "consensus/simulation/cluster.hpp"

namespace fastmas::bindings {

// What Python asks of consensus::SimCluster, whatever the protocol.
class AnyCluster {
  public:
    using MachineFactory = std::function<std::unique_ptr<consensus::StateMachine>(consensus::NodeId)>;

    virtual ~AnyCluster() = default;
    virtual consensus::Burst propose(std::vector<consensus::Payload> commands, std::optional<std::int64_t> at_ns) = 0;
    virtual bool settle(std::int64_t limit_ns) = 0;
    virtual void run_for(std::int64_t duration_ns) = 0;
    virtual void crash(consensus::NodeId node) = 0;
    virtual void restart(consensus::NodeId node) = 0;
    virtual void cut(consensus::NodeId from, consensus::NodeId to, bool is_cut) = 0;
    virtual void heal() = 0;
    virtual void crash_leader_during_next() = 0;

    virtual consensus::StateMachine* machine(consensus::NodeId node) = 0;
    virtual std::uint64_t applied(consensus::NodeId node) const = 0;
    virtual bool is_up(consensus::NodeId node) const = 0;
    virtual const std::string& poisoned(consensus::NodeId node) const = 0;
    virtual std::size_t size() const = 0;
    virtual consensus::NodeId leader() const = 0;
    virtual std::uint64_t epoch() const = 0;
    virtual std::uint64_t elections() const = 0;
    virtual std::uint64_t checks() const = 0;
    virtual bool is_quiet() const = 0;
    virtual std::int64_t now_ns() const = 0;
    virtual const consensus::ClusterCounters& counters() const = 0;
    virtual const consensus::NetworkCounters& network() const = 0;
    virtual const std::vector<consensus::TraceEvent>& trace() const = 0;
};

// Throws base::ConfigError for a protocol that is none.
std::unique_ptr<AnyCluster> make_cluster(const std::string& protocol, const consensus::SimOptions& options,
                                         AnyCluster::MachineFactory factory);

}  // namespace fastmas::bindings
