// What a scenario tells of itself: its options, where its nodes are, and the rows of what happened.
#include "consensus/simulation/bft/protocol.hpp"
#include "consensus/simulation/paxos/protocol.hpp"
#include "consensus/simulation/raft/protocol.hpp"
#include "consensus/simulation/scenario.hpp"

namespace fastmas::consensus {

void Coverage::add(const std::string& name, std::uint64_t count) {
    for (auto& [known, total] : rows_)
        if (known == name) {
            total += count;
            return;
        }
    rows_.emplace_back(name, count);
}

void Coverage::add(const Coverage& other) {
    for (const auto& [name, count] : other.rows_) add(name, count);
    simulated_seconds += other.simulated_seconds;
}

template <class P>
std::string Scenario<P>::options_text() const {
    const SimOptions& options = plan_.options;
    const NetworkOptions& network = options.network;
    return std::to_string(options.nodes) + " nodes, delays up to " + std::to_string(network.delay_high_ns / 1'000'000) +
           " ms" + (network.encode ? ", messages as bytes" : "") + ", a snapshot every " +
           std::to_string(options.snapshot_every) + " entries, at most " + std::to_string(options.max_append_entries) +
           " entries a message" + (options.pre_vote ? "" : ", no pre-vote") +
           (options.check_quorum ? "" : ", no check-quorum");
}

template <class P>
std::string Scenario<P>::state() const {
    std::string text = "  " + options_text() + "\n";
    if (!sim_) return text;
    for (NodeId node = 1; node <= sim_->size(); ++node) {
        const Node* up = sim_->node(node);
        text += "  node " + std::to_string(node) + ": " +
                (up != nullptr ? P::describe(*up) : "down " + sim_->poisoned(node)) + "\n";
    }
    return text + "  at " + std::to_string(sim_->now_ns()) + " ns, " + std::to_string(sim_->network().in_flight()) +
           " messages in flight\n";
}

template <class P>
void Scenario<P>::add_to(Coverage& coverage) const {
    const ClusterCounters& counters = sim_->counters();
    const NetworkCounters& network = sim_->network().counters();
    coverage.add("commands applied", commits());
    coverage.add(P::kElections, sim_->elections());
    if constexpr (requires { P::kTwoLead; }) coverage.add(P::kTwoLead, two_leaders_);
    coverage.add("crashes", counters.crashes);
    if constexpr (!requires { P::kDecidesOnce; }) coverage.add("stored entries replaced", counters.truncations);
    coverage.add("snapshots taken", counters.snapshots_taken);
    coverage.add("snapshots installed", counters.snapshots_installed);
    if constexpr (!requires { P::kDecidesOnce; }) coverage.add("retried commands told apart", counters.duplicates);
    coverage.add("messages delivered", network.delivered);
    coverage.add("messages lost", network.lost);
    coverage.add("messages doubled", network.duplicated);
    coverage.add("messages cut off", network.cut);
    coverage.add("links clogged", clogs_);
    coverage.add("nodes stopped for a while", pauses_);
    coverage.add("clocks gone wrong", skews_);
    if constexpr (kRefusesWildClocks<P>) coverage.add("clocks gone wild", jumps_);
    coverage.add("disks that hung", hangs_);
    if constexpr (kTears<typename P::Disk, typename P::Ready>) {
        coverage.add("writes torn by a crash", counters.torn_writes);
        coverage.add("torn records cut off", counters.torn_records);
    }
    coverage.add("failed syncs", counters.failed_syncs);
    coverage.add("crashes amid a compaction", counters.crashes_in_compaction);
    if constexpr (kDamages<typename P::Disk>) {
        std::uint64_t made_whole = 0;
        for (NodeId node = 1; node <= sim_->size(); ++node) made_whole += sim_->disk(node).made_whole();
        coverage.add("disks damaged under a node that ran", counters.damaged_running);
        coverage.add("disks found damaged at a start", counters.damaged_at_start);
        coverage.add("disks that lost all they held", counters.damaged_wholly);
        coverage.add("entries damaged on disk", counters.damaged_entries);
        coverage.add("damaged disks made whole by the others", made_whole);
    }
    const Clients::Counters& clients = clients_.counters();
    coverage.add("requests answered to clients", history().answered());
    coverage.add("requests given up", clients.given_up);
    coverage.add("requests with an expiry", clients.expiring);
    coverage.add("requests not answered by then", clients.expired);
    coverage.add("entries that came after their expiry", counters.expired);
    if constexpr (kReads<Node>) {
        coverage.add("answered out of a snapshot", clients.from_snapshots);
        coverage.add("answered by a node asked earlier", clients.answered_late);
        coverage.add("reads answered", history().reads_answered());
        coverage.add("reads refused", clients.reads_refused);
        if constexpr (kLeases<Node>) {
            coverage.add("reads answered under a lease", clients.reads_of_leases);
            coverage.add("leases that ran out before the answer", clients.leases_run_out);
        }
    }
    coverage.add("invariant checks", sim_->invariants().checks());
    P::cover(*sim_, coverage);
    for (const auto& [name, count] : moments_.rows()) coverage.add(name, count);
    coverage.simulated_seconds += static_cast<double>(simulated_ns_) * 1e-9;
}

template class Scenario<bft::BftProtocol>;
template class Scenario<bft::LyingBftProtocol>;
template class Scenario<raft::RaftProtocol>;
template class Scenario<paxos::PaxosProtocol>;

}  // namespace fastmas::consensus
