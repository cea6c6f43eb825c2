// A cluster's life under faults, all of it from one seed: what a simulation test and `fastmas simulate` run, for any
// protocol.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "consensus/simulation/cluster.hpp"
#include "consensus/simulation/plan.hpp"

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
    std::uint64_t digest_ = 0;
    std::int64_t time_ns_ = INT64_MIN;
};

// What clients saw of a cluster whose machine counts requests: its answers are places in one order, so it is
// linearizable exactly when that order never contradicts time (a request whose answer came before another was sent has
// the lower number). O(n log n).
class ClientHistory {
  public:
    struct Seen {
        Session session;
        std::int64_t call_ns = 0;
        std::int64_t return_ns = -1;  // -1: no answer yet
        std::uint64_t answer = 0;     // 0: none
    };
    void call(const Session& session, std::int64_t now_ns);
    void answer(const Session& session, std::uint64_t answer, std::int64_t now_ns);
    // What breaks linearizability; nothing when all is well.
    std::string check() const;
    const std::vector<Seen>& seen() const noexcept { return seen_; }
    std::uint64_t answered() const noexcept { return answered_; }

  private:
    std::vector<Seen> seen_;
    std::unordered_map<std::uint64_t, std::size_t> places_;  // by client and sequence
    std::uint64_t answered_ = 0;
};

// start(), safety() (everything goes wrong, nothing may be broken), liveness() (all is mended: the cluster must elect,
// catch up and answer), in this order, or run(). Any of them throws ScenarioFailure or base::InvariantError. Of its
// traits beyond SimCluster's it asks P::kName, P::draw_options (the protocol's own options), P::disturb (its own
// faults, beside those all protocols have), P::keeps_its_leader (a stable one, at
// three nodes and more, with these options: then that is checked at the end), P::describe (a node in words) and
// P::cover (its own rows).
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
    // The options, and where every node stands: what a failing seed is looked at with.
    std::string options_text() const;
    std::string state() const;
    const char* phase() const noexcept { return phase_; }
    const SimCluster<P>& sim() const noexcept { return *sim_; }
    const Plan& plan() const noexcept { return plan_; }
    const ClientHistory& history() const noexcept { return history_; }

  private:
    // A client of its own session that sends its next request to some node, and the same again until it was answered.
    struct Client {
        std::uint64_t id;
        std::uint64_t sequence = 1;
    };
    void mend();
    void discipline();
    void act(const Action& action);
    void submit(const Action& action);
    void count_leaders();
    void check_client(const Client& client);
    const std::vector<std::uint64_t>& numbers(NodeId node);

    Plan plan_;
    const char* phase_ = "start";
    std::int64_t simulated_ns_ = 0;
    std::uint64_t two_leaders_ = 0;
    std::uint64_t pauses_ = 0, clogs_ = 0, skews_ = 0;
    std::vector<Client> clients_;
    ClientHistory history_;
    std::unique_ptr<SimCluster<P>> sim_;
};

// The plan of a failure, shorter: actions are left out as long as it still ends in a failure whose text begins alike
// (up to the first colon). Tries at most `attempts` runs.
template <class P>
Plan shrink(Plan plan, const std::string& failure, std::size_t attempts = 2'000);

}  // namespace fastmas::consensus
