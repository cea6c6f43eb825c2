// A cluster's life under faults, all of it from one seed: what a simulation test and `fastmas simulate` run, for any
// protocol.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "consensus/simulation/clients.hpp"
#include "consensus/simulation/cluster.hpp"
#include "consensus/simulation/failure.hpp"
#include "consensus/simulation/plan.hpp"

namespace fastmas::consensus {

// Whether nodes look at the time, and the others go on without one whose clock is far off.
template <class P>
inline constexpr bool kRefusesWildClocks = requires(typename P::Node& node, const SimCluster<P>& sim) {
    node.set_clock(std::int64_t{});
    P::may_go_wild(sim, NodeId{});
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

// What a node has to answer reads by.
template <class Node>
inline constexpr bool kReads = requires(Node& node) {
    node.read(std::uint64_t{});
};

template <class Node>
inline constexpr bool kLeases = requires(Node& node) {
    node.lease_read(std::uint64_t{}, std::int64_t{});
};

// start(), safety() (everything goes wrong, nothing may be broken), liveness() (all is mended: the cluster must elect,
// catch up and answer), in this order, or run(). Any of them throws ScenarioFailure or base::InvariantError. Of its
// traits beyond SimCluster's it asks P::kName, P::draw_options (the protocol's own options), P::disturb (its own
// faults, beside those all protocols have), P::keeps_its_leader (a stable one, at
// three nodes and more, with these options: then that is checked at the end), P::describe (a node in words),
// P::cover (its own rows) and P::kElections (what Node::Counters::elections counts, in its own words).
template <class P>
class Scenario {
  public:
    using Node = typename P::Node;

    Scenario(std::uint64_t seed, std::int64_t seconds) : Scenario(draw(seed, seconds)) {}
    explicit Scenario(Plan plan);
    static Plan draw(std::uint64_t seed, std::int64_t seconds);

    void start(typename SimCluster<P>::Watcher watcher = {});
    void safety();
    void liveness();
    void run() { start(), safety(), liveness(); }

    void add_to(Coverage& coverage) const;
    std::uint64_t commits() const { return sim_->applied(1); }  // commands that took effect, once all have settled
    // The options, and where every node stands: what a failing seed is looked at with.
    std::string options_text() const;
    std::string state() const;
    const char* phase() const noexcept { return phase_; }
    const SimCluster<P>& sim() const noexcept { return *sim_; }
    const Plan& plan() const noexcept { return plan_; }
    const ClientHistory& history() const noexcept { return clients_.history(); }

  private:
    static Clients::Trust trust(const SimOptions& options);
    void mend();
    void restart_all();
    void discipline();
    void act(const Action& action);
    void submit(const Action& action);
    struct Waiting {  // a read, until its node goes on
        std::int64_t at_ns;
        NodeId node;
        std::uint64_t context;
        bool under_lease;
    };
    void run_until(std::int64_t at_ns);
    void read(NodeId node, bool under_lease);
    void hand_in(const Waiting& read);
    void count_leaders();
    void check_client(std::uint64_t client);
    bool remembers_a_loss() const;
    const std::vector<std::uint64_t>& numbers(NodeId node);

    Plan plan_;
    const char* phase_ = "start";
    std::int64_t simulated_ns_ = 0;
    std::uint64_t two_leaders_ = 0;
    std::uint64_t pauses_ = 0, clogs_ = 0, skews_ = 0, jumps_ = 0, hangs_ = 0;
    std::vector<Waiting> waiting_;
    std::uint32_t reads_ = 0;  // asked for
    Coverage moments_;         // what the protocol saw between actions
    Clients clients_;
    std::unique_ptr<SimCluster<P>> sim_;
};

// The plan of a failure, shorter: actions are left out as long as it still ends in a failure whose text begins alike
// (up to the first colon). Tries at most `attempts` runs.
template <class P>
Plan shrink(Plan plan, const std::string& failure, std::size_t attempts = 2'000);

}  // namespace fastmas::consensus
