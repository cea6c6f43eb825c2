// A cluster's life under faults, all of it from one seed: what a simulation test and `fastmas simulate` run, for any
// protocol.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/prng.hpp"
#include "consensus/simulation/cluster.hpp"

namespace fastmas::consensus {

// What a scenario demanded and did not get. A broken invariant is a base::InvariantError instead.
struct ScenarioFailure : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// What happened, by name, in the order in which it was first told. A row at zero over many seeds means that the seeds
// have not tested it.
class Coverage {
  public:
    void add(const std::string& name, std::uint64_t count);
    void add(const Coverage& other);
    const std::vector<std::pair<std::string, std::uint64_t>>& rows() const noexcept { return rows_; }
    double simulated_seconds = 0;

  private:
    std::vector<std::pair<std::string, std::uint64_t>> rows_;
};

// Remembers the numbers of the commands it was given, in order; answers with how many there were.
class Recorder : public StateMachine {
  public:
    Result apply(const Command& command) override;
    std::uint64_t digest() override;
    bool can_snapshot() const override { return true; }
    Payload snapshot() override;
    void restore(std::span<const std::byte> state) override;
    const std::vector<std::uint64_t>& numbers() const noexcept { return numbers_; }

  private:
    std::vector<std::uint64_t> numbers_;
    std::int64_t time_ns_ = INT64_MIN;
};

// start(), safety() (everything goes wrong, nothing may be broken), liveness() (all is mended: the cluster must elect,
// catch up and answer), in this order. Any of them throws ScenarioFailure or base::InvariantError. Of its traits beyond
// SimCluster's it asks P::draw_options (the protocol's own options), P::disturb (its own faults, beside those all
// protocols have), P::describe (a node in words) and P::cover (its own rows).
template <class P>
class Scenario {
  public:
    using Node = typename P::Node;

    Scenario(std::uint64_t seed, std::int64_t seconds);

    void start();
    void safety();
    void liveness();

    void add_to(Coverage& coverage) const;
    // The options, and where every node stands: what a failing seed is looked at with.
    std::string options_text() const;
    std::string state() const;
    const SimCluster<P>& sim() const noexcept { return *sim_; }

  private:
    // A client of its own session that sends its next request to some node, and the same again until it was applied.
    struct Client {
        std::uint64_t id;
        std::uint64_t sequence = 1;
    };
    void mend();
    void send_some();
    void break_something();
    void count_leaders();
    void check_client(const Client& client);
    const std::vector<std::uint64_t>& numbers(NodeId node);
    NodeId any_node() noexcept { return static_cast<NodeId>(1 + random_.below(sim_->size())); }

    base::Prng random_;
    std::uint64_t seed_;
    std::int64_t end_ns_;
    std::int64_t simulated_ns_ = 0;
    std::uint64_t side_ = 2;
    std::uint64_t two_leaders_ = 0;
    SimOptions options_;
    std::vector<Client> clients_;
    std::unique_ptr<SimCluster<P>> sim_;
};

}  // namespace fastmas::consensus
