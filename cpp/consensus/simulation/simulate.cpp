#include "consensus/simulation/simulate.hpp"

#include "base/errors.hpp"
#include "consensus/raft/trace.hpp"
#include "consensus/simulation/bft/protocol.hpp"
#include "consensus/simulation/paxos/protocol.hpp"
#include "consensus/simulation/raft/protocol.hpp"

namespace fastmas::consensus {
namespace {

template <class P>
SeedOutcome run_plan(Plan plan, bool shortens) {
    SeedOutcome outcome;
    Scenario<P> scenario(std::move(plan));
    try {
        scenario.run();
        scenario.add_to(outcome.coverage);
        outcome.commits = scenario.commits();
    } catch (const std::exception& error) {
        // a script whose options cannot be is a wrong call and shows nothing
        const bool began = scenario.phase() != std::string_view("start");
        if (!began && !shortens && dynamic_cast<const base::ConfigError*>(&error) != nullptr) throw;
        outcome.is_well = false;
        outcome.phase = scenario.phase();
        outcome.failure = error.what();
        outcome.state = scenario.state();
        outcome.script = to_text(shortens ? shrink<P>(scenario.plan(), outcome.failure) : scenario.plan(), P::kName);
    }
    outcome.answered = scenario.history().answered();
    outcome.history = scenario.history().seen();
    return outcome;
}

// Calls `body` with the traits of the protocol of that name.
template <class Body>
auto with_protocol(std::string_view protocol, Body body) {
    if (protocol == raft::RaftProtocol::kName) return body(raft::RaftProtocol());
    if (protocol == paxos::PaxosProtocol::kName) return body(paxos::PaxosProtocol());
    if (protocol == bft::BftProtocol::kName) return body(bft::BftProtocol());
    if (protocol == bft::LyingBftProtocol::kName) return body(bft::LyingBftProtocol());
    std::string known;
    for (const std::string& name : simulated_protocols()) known += (known.empty() ? "'" : ", '") + name + "'";
    throw base::ConfigError("protocol must be one of " + known + ", got '" + std::string(protocol) + "'");
}

}  // namespace

std::vector<std::string> simulated_protocols() {
    return {raft::RaftProtocol::kName, paxos::PaxosProtocol::kName, bft::LyingBftProtocol::kName,
            bft::BftProtocol::kName};
}

SeedOutcome simulate_seed(std::string_view protocol, std::uint64_t seed, std::int64_t seconds) {
    return with_protocol(protocol, [&]<class P>(P) { return run_plan<P>(Scenario<P>::draw(seed, seconds), true); });
}

SeedOutcome simulate_script(std::string_view protocol, std::string_view script) {
    return with_protocol(protocol, [&]<class P>(P) { return run_plan<P>(parse_plan(script, P::kName), false); });
}

std::string script_of_seed(std::string_view protocol, std::uint64_t seed, std::int64_t seconds) {
    return with_protocol(protocol, [&]<class P>(P) { return to_text(Scenario<P>::draw(seed, seconds), P::kName); });
}

std::string trace_of_seed(std::string_view protocol, std::uint64_t seed, std::int64_t seconds) {
    using P = raft::RaftProtocol;
    if (protocol != P::kName)
        throw base::ConfigError("traces are of 'raft', which has a public specification to hold them against, got '" +
                                std::string(protocol) + "'");
    using Moment = SimCluster<P>::Moment;
    raft::TraceLog trace;
    Plan plan = Scenario<P>::draw(seed, seconds);
    // the specification knows no write that is under way: what a Ready asks for is durable when it is done
    plan.options.disk_delay_ns = 0;
    Scenario<P> scenario(std::move(plan));
    scenario.start([&](Moment moment, const raft::RaftNode& node, const raft::Message* message) {
        switch (moment) {
            case Moment::started:
                return trace.started(node);
            case Moment::receives:
                return trace.receives(node, *message);
            case Moment::changed:
                return trace.changed(node);
            case Moment::stored:
                return trace.stored(node);
            case Moment::sends:
                return trace.sends(node, *message);
        }
    });
    scenario.safety();
    return trace.text();
}

}  // namespace fastmas::consensus
