// SimCluster::propose: a burst is answered as long as a majority is there, whatever the leader says to it at first and
// whichever way the others come by it.
#include "check.hpp"
#include "consensus/quorum.hpp"
#include "consensus/simulation/bft/protocol.hpp"
#include "consensus/simulation/paxos/protocol.hpp"
#include "consensus/simulation/raft/protocol.hpp"

using namespace fastmas::consensus;
using raft::RaftProtocol;

namespace {

template <class P>
SimCluster<P> cluster_of(const SimOptions& options) {
    return SimCluster<P>(options, [](NodeId) { return std::make_unique<Recorder>(); });
}

std::vector<Payload> burst(std::uint64_t first, std::uint64_t count) {
    std::vector<Payload> commands;
    for (std::uint64_t number = first; number < first + count; ++number)
        commands.emplace_back(std::as_bytes(std::span(&number, 1)));
    return commands;
}

template <class P>
void answers_while_a_majority_is_up(std::size_t nodes) {
    for (std::uint64_t seed = 0; seed < 150; ++seed) {
        SimOptions options;
        options.nodes = nodes;
        options.seed = seed;
        options.snapshot_every = 1 + seed % 3;
        options.network.delay_high_ns = 20'000'000;
        auto sim = cluster_of<P>(options);
        const auto is_majority_up = [&] { return sim.reachable_quorum() >= quorum_size(sim.size()); };
        for (std::uint64_t i = 0; i < 20 && is_majority_up(); ++i) {
            // some are left behind until what they lack is compacted away, others crash amid their duties
            sim.network_options().loss_ppm = 400'000;
            sim.set_crash_point_ppm(10'000);
            const Burst said = sim.propose(burst(1 + 4 * i, 4), std::nullopt);
            sim.set_crash_point_ppm(0);
            if (is_majority_up() && said.status != BurstStatus::committed)
                CHECK_EQUAL("seed " + std::to_string(seed) + ", burst " + std::to_string(i) + ": " + said.text, "");
        }
    }
}

}  // namespace

TEST(a_leader_that_is_busy_is_asked_again) {
    SimOptions options;
    auto sim = cluster_of<RaftProtocol>(options);
    const NodeId leader = sim.leader(), other = leader % 3 + 1;
    // it takes nothing until it sees that the other one does not take over
    sim.cut(leader, other, true);
    sim.act(leader,
            [other](raft::RaftNode& node) { CHECK(node.transfer_leadership(other) == ProposeStatus::appended); });
    const Burst said = sim.propose(burst(1, 3), std::nullopt);
    CHECK_EQUAL(said.text, "");
    CHECK(said.status == BurstStatus::committed);
    CHECK_EQUAL(sim.leader(), leader);
    CHECK_EQUAL(sim.counters().retries, 0U);
    CHECK(said.commit_ns >= 0);
}

TEST(a_burst_that_the_leader_has_no_room_for_is_taken_in_parts) {
    SimOptions options;
    auto sim = cluster_of<RaftProtocol>(options);
    // more than max_uncommitted_bytes
    const std::vector<std::byte> large(16U << 20);
    const Burst said = sim.propose(std::vector<Payload>(40, Payload(large)), std::nullopt);
    CHECK_EQUAL(said.text, "");
    CHECK_EQUAL(sim.applied(1), 40U);
    CHECK_EQUAL(sim.counters().duplicates, 0U);  // nothing is handed to the same leader twice
}

TEST(who_gets_a_snapshot_counts_for_what_it_covers) {
    SimOptions options;
    options.snapshot_every = 1;
    options.max_append_entries = 1;
    using Sim = SimCluster<RaftProtocol>;
    Sim* running = nullptr;
    NodeId leader = kNoNode, acknowledges = kNoNode, lags = kNoNode;
    const auto watch = [&](Sim::Moment moment, const raft::RaftNode& node, const raft::Message* message) {
        if (running == nullptr) return;
        // the first command is acknowledged, and never applied: the disk fails at the second one
        if (moment == Sim::Moment::sends && node.id() == acknowledges &&
            message->type == raft::MessageType::append_reply && !message->reject)
            running->fail_sync(acknowledges);
        if (moment == Sim::Moment::changed && node.id() == leader && !running->is_up(acknowledges)) running->heal();
    };
    Sim sim(
        options, [](NodeId) { return std::make_unique<Recorder>(); }, watch);
    leader = sim.leader();
    acknowledges = leader % 3 + 1;
    lags = acknowledges % 3 + 1;
    sim.cut(leader, lags, true);
    sim.cut(lags, leader, true);
    running = &sim;
    const Burst said = sim.propose(burst(1, 2), std::nullopt);
    running = nullptr;
    CHECK_EQUAL(said.text, "");
    CHECK(!sim.is_up(acknowledges));
    CHECK_EQUAL(sim.counters().snapshots_installed, 1U);
    CHECK_EQUAL(Recorder::answer_of(said.results[0]->reply).count, 1U);
    CHECK_EQUAL(Recorder::answer_of(said.results[1]->reply).count, 2U);
}

TEST(a_burst_is_answered_while_a_majority_is_up) {
    answers_while_a_majority_is_up<RaftProtocol>(3);
    answers_while_a_majority_is_up<RaftProtocol>(5);
    answers_while_a_majority_is_up<paxos::PaxosProtocol>(3);
}

TEST(a_copy_votes_as_all_did_whose_it_may_be) {
    DivergenceMonitor monitor(5);
    CHECK(!monitor.copied(1, 1).decided_now);  // of nothing that anybody applied
    (void)monitor.vote(1, 1, 70);
    CHECK(!monitor.copied(2, 1).decided_now);
    CHECK(monitor.copied(3, 1).decided_now);
    CHECK(!monitor.copied(4, 1).decided_now);  // it is, already
    (void)monitor.vote(1, 2, 70);
    (void)monitor.vote(2, 2, 71);
    CHECK(!monitor.copied(3, 2).decided_now);
    CHECK(!monitor.copied(4, 2).decided_now);  // a copy of which of the two?
    CHECK(!monitor.vote(3, 2, 71).decided_now);
    CHECK(monitor.vote(4, 2, 71).decided_now);
}

TEST_MAIN
