#include "consensus/simulation/scenario.hpp"

#include <algorithm>
#include <numeric>
#include <set>

#include "consensus/simulation/bft/protocol.hpp"
#include "consensus/simulation/paxos/protocol.hpp"
#include "consensus/simulation/raft/protocol.hpp"

namespace fastmas::consensus {
namespace {

constexpr std::uint64_t kFirstClient = 10, kClients = 3;

template <class Node>
auto ask(Node& node, std::uint64_t context, bool under_lease) {
    if constexpr (kLeases<Node>)
        // the driver looks at its clock once a tick, so what it says may be old: the answer looks again
        if (under_lease) return node.lease_read(context, INT64_MIN);
    return node.read(context);
}

std::vector<std::uint64_t> client_ids() {
    std::vector<std::uint64_t> ids(kClients);
    std::iota(ids.begin(), ids.end(), kFirstClient);
    return ids;
}

}  // namespace

template <class P>
Plan Scenario<P>::draw(std::uint64_t seed, std::int64_t seconds) {
    base::Prng random(base::derive_seed(seed, "scenario"));
    SimOptions options;
    const std::size_t sizes[] = {3, 3, 5, 5, 4, 2, 1, 7};
    options.nodes = sizes[random.below(8)];
    options.seed = seed;
    options.network.encode = random.chance_ppm(300'000);
    options.network.delay_high_ns = random.between(1, 40) * 1'000'000;
    P::draw_options(options, random);
    options.snapshot_every = random.chance_ppm(500'000) ? 5 + random.below(40) : 0;
    options.timeout_ns = 60'000'000'000;
    constexpr bool kLiars = requires {
        P::liars(options);
    };
    return draw_plan(options, seconds, random,
                     {kReads<Node>, kDamages<typename P::Disk>, kRefusesWildClocks<P>, kLiars});
}

template <class P>
Clients::Trust Scenario<P>::trust(const SimOptions& options) {
    Clients::Trust trust;
    if constexpr (requires { P::liars(options); }) {
        for (const auto power : P::powers(options)) trust.weights.push_back(power);
        trust.lies = P::liars(options);
        for (std::size_t i = 0; i < trust.weights.size(); ++i)
            if (trust.lies[i + 1]) trust.liars_weight += trust.weights[i];
    }
    return trust;
}

template <class P>
Scenario<P>::Scenario(Plan plan)
    : plan_(std::move(plan)), clients_(client_ids(), plan_.options.nodes, trust(plan_.options)) {}

template <class P>
void Scenario<P>::start(typename SimCluster<P>::Watcher watcher) {
    sim_ = std::make_unique<SimCluster<P>>(
        plan_.options, [](NodeId) { return std::make_unique<Recorder>(); }, std::move(watcher));
    sim_->observe(&clients_);
}

template <class P>
void Scenario<P>::safety() {
    phase_ = "safety";
    const std::int64_t start_ns = sim_->now_ns();
    for (const Action& action : plan_.actions) {
        const std::int64_t at_ns = start_ns + action.at_ms * 1'000'000;
        if (at_ns > sim_->now_ns()) {
            run_until(at_ns);
            count_leaders();
        }
        act(action);
    }
    run_until(start_ns + plan_.seconds * 1'000'000'000);
    waiting_.clear();
    simulated_ns_ += sim_->now_ns() - start_ns;
}

template <class P>
void Scenario<P>::run_until(std::int64_t at_ns) {
    for (;;) {
        const auto next = std::min_element(waiting_.begin(), waiting_.end(),
                                           [](const Waiting& a, const Waiting& b) { return a.at_ns < b.at_ns; });
        if (next == waiting_.end() || next->at_ns > at_ns) break;
        const Waiting read = *next;
        waiting_.erase(next);
        if (read.at_ns > sim_->now_ns()) sim_->run_for(read.at_ns - sim_->now_ns());
        hand_in(read);
    }
    if (at_ns > sim_->now_ns()) sim_->run_for(at_ns - sim_->now_ns());
}

template <class P>
void Scenario<P>::act(const Action& action) {
    using Kind = Action::Kind;
    const NodeId leads = action.node == kLeader ? sim_->leader() : action.node;
    NetworkOptions& network = sim_->network_options();
    switch (action.kind) {
        case Kind::submit:
            return submit(action);
        case Kind::read:
            for (NodeId node = 1; node <= sim_->size(); ++node)
                if (action.node == kAll ? sim_->is_up(node) && P::leads(*sim_->node(node)) : leads == node)
                    read(node, action.a != 0);
            return;
        case Kind::crash:
            if (leads != kNoNode && sim_->is_up(leads)) sim_->crash(leads);
            return;
        case Kind::restart:
            for (NodeId node = 1; node <= sim_->size(); ++node)
                if (!sim_->is_up(node) && (action.node == kAll || leads == node)) sim_->restart(node);
            return;
        case Kind::partition:
            for (NodeId a = 1; a <= sim_->size(); ++a)
                for (NodeId b = 1; b <= sim_->size(); ++b)
                    if (a != b) sim_->cut(a, b, (action.a >> a & 1U) != (action.a >> b & 1U));
            return;
        case Kind::cut:
            return sim_->cut(action.node, action.other, true);
        case Kind::isolate:
            if (leads == kNoNode) return;
            for (NodeId other = 1; other <= sim_->size(); ++other) {
                if (other == leads || (action.b != 0 && (action.b >> other & 1U) == 0)) continue;
                if (action.a > 2) {
                    sim_->clog(other, leads, static_cast<std::int64_t>(action.a) * 1'000'000);
                    continue;
                }
                if (action.a != 1) sim_->cut(leads, other, true);
                if (action.a != 2) sim_->cut(other, leads, true);
            }
            return;
        case Kind::transfer:
            if constexpr (requires { P::transfer(*sim_, leads, action.other); })
                if (leads != kNoNode && sim_->is_up(leads)) P::transfer(*sim_, leads, action.other);
            return;
        case Kind::hang:
            if (leads == kNoNode || !sim_->is_up(leads)) return;
            ++hangs_;
            return sim_->hang_disk(leads, static_cast<std::int64_t>(action.a) * 1'000'000);
        case Kind::failsync:
            if (leads != kNoNode && sim_->is_up(leads)) sim_->fail_sync(leads);
            return;
        case Kind::damage:
            if (leads != kNoNode) (void)sim_->damage(leads, action.a, static_cast<Damage>(action.b));
            return;
        case Kind::jump:
            if constexpr (kRefusesWildClocks<P>) {
                if (leads == kNoNode || !P::may_go_wild(*sim_, leads)) return;
                ++jumps_;
                const std::int64_t ms = static_cast<std::int64_t>(action.a) * (action.b == 0 ? 1 : -1);
                sim_->set_clock(leads, 1'000, ms * 1'000'000);
            }
            return;
        case Kind::heal:
            return sim_->heal();
        case Kind::clog:
            ++clogs_;
            return sim_->clog(action.node, action.other, static_cast<std::int64_t>(action.a) * 1'000'000);
        case Kind::network:
            network.loss_ppm = static_cast<std::uint32_t>(action.a);
            network.duplicate_ppm = static_cast<std::uint32_t>(action.b);
            network.reorder_ppm = static_cast<std::uint32_t>(action.c);
            return;
        case Kind::crashes:
            return sim_->set_crash_point_ppm(static_cast<std::uint32_t>(action.a));
        case Kind::pause:
            if (leads == kNoNode || !sim_->is_up(leads)) return;
            ++pauses_;
            return sim_->pause(leads, static_cast<std::int64_t>(action.a) * 1'000'000);
        case Kind::skew:
            if (leads == kNoNode) return;
            skews_ += action.a != 1'000;
            return sim_->set_clock(leads, std::max<std::int64_t>(static_cast<std::int64_t>(action.a), 1),
                                   (static_cast<std::int64_t>(action.a) - 1000) * 1'000'000);
        case Kind::disturb:
            base::Prng random(action.a);
            return P::disturb(*sim_, random);
    }
}

template <class P>
void Scenario<P>::submit(const Action& action) {
    NodeId node = action.node == kLeader ? sim_->leader() : action.node;
    if (node == kNoNode) node = 1;
    if (!clients_.knows(action.a)) return;
    const std::uint64_t first = clients_.first_request(action.a, sim_->now_ns());
    for (std::uint64_t k = 0; k < action.b && sim_->is_up(node) && !sim_->is_paused(node); ++k) {
        const Session session = clients_.request(action.a, first + k, first - 1, sim_->now_ns());
        const std::uint64_t number = ClientHistory::number_of(session);
        clients_.ask(session, node, sim_->now_ns());
        const auto proposal = sim_->submit(node, Payload(std::as_bytes(std::span(&number, 1))), session);
        if (proposal.status != ProposeStatus::appended) clients_.refused(session, node);
    }
}

template <class P>
void Scenario<P>::read(NodeId node, bool under_lease) {
    if constexpr (kReads<Node>) {
        if (!sim_->is_up(node)) return;
        const std::uint64_t context = read_context(sim_->invariants().committed(), ++reads_);
        clients_.ask_read(node, context, sim_->now_ns());
        hand_in({sim_->now_ns(), node, context, under_lease && plan_.options.lease_ns != 0});
    }
}

template <class P>
void Scenario<P>::hand_in(const Waiting& read) {
    if constexpr (kReads<Node>) {
        if (!sim_->is_up(read.node)) return;
        if (const std::int64_t until_ns = sim_->paused_until_ns(read.node); until_ns > sim_->now_ns() + 1) {
            // it is the first that a stopped node finds when it goes on, before it looks at its clock again
            waiting_.push_back({until_ns - 1, read.node, read.context, read.under_lease});
            return;
        }
        sim_->act(read.node, [&](Node& at) {
            const auto status = ask(at, read.context, read.under_lease);
            if (status != decltype(status)::registered) clients_.read_refused(read.node, read.context);
        });
    }
}

template <class P>
void Scenario<P>::mend() {
    sim_->heal();
    sim_->mend_machines();
    sim_->set_crash_point_ppm(0);
    NetworkOptions& network = sim_->network_options();
    network.loss_ppm = network.duplicate_ppm = network.reorder_ppm = 0;
    restart_all();
}

template <class P>
void Scenario<P>::restart_all() {
    for (NodeId node = 1; node <= sim_->size(); ++node)
        if (!sim_->is_up(node)) sim_->restart(node);
}

template <class P>
void Scenario<P>::liveness() {
    phase_ = "liveness";
    mend();
    // who lacks what was compacted gets the state in parts, the next one when it has the last; twice, should a leader
    // be lost amid it
    std::uint64_t commands = 0;
    for (NodeId node = 1; node <= sim_->size(); ++node) commands = std::max(commands, sim_->applied(node));
    const std::uint64_t parts = commands * sizeof(std::uint64_t) / plan_.options.max_snapshot_part_bytes;
    const std::int64_t transfer_ns = static_cast<std::int64_t>(parts) * 2 * plan_.options.network.delay_high_ns;
    const std::int64_t limit_ns = 20'000'000'000 + 2 * transfer_ns;
    if constexpr (requires { P::stop_outsiders(*sim_); })
        // who is out shows only once what is committed is known again
        for (int i = 0; i < 20 && !P::outsiders_are_harmless(plan_.options); ++i) {
            P::stop_outsiders(*sim_);
            if (sim_->settle(1'000'000'000)) break;
        }
    require(sim_->settle(limit_ns), "a healthy cluster settles within 20 s");
    if constexpr (requires { P::mended(*sim_, limit_ns); }) {
        restart_all();
        P::mended(*sim_, limit_ns);
        require(sim_->settle(limit_ns), "a healthy cluster settles once all its nodes take part");
    }
    const std::uint64_t before = sim_->applied(1);
    const std::uint64_t number = 1U << 30;
    const std::int64_t called_ns = sim_->now_ns();
    const Burst burst = sim_->propose({Payload(std::as_bytes(std::span(&number, 1)))}, std::nullopt);
    require(burst.status == BurstStatus::committed, "a healthy cluster answers: " + burst.text);
    clients_.answered({0, number, 0}, Recorder::answer_of(burst.results.front()->reply), called_ns, sim_->now_ns());
    require(sim_->settle(5'000'000'000), "a healthy cluster settles after a proposal");
    if constexpr (kReads<Node>) {
        for (const bool under_lease : {false, true, false}) {
            const std::uint64_t reads = history().reads_answered();
            // (a lease may run out between the question and the answer, where messages are slow)
            for (int left = under_lease ? 10 : 1; left > 0 && history().reads_answered() == reads; --left) {
                read(sim_->leader(), under_lease);
                sim_->run_for(1'000'000'000);
            }
            require(history().reads_answered() > reads, "the leader of a healthy cluster answers a read");
        }
        require(sim_->settle(5'000'000'000), "a healthy cluster settles after a read");
    }
    if constexpr (kDamages<typename P::Disk>)
        for (NodeId node = 1; node <= sim_->size(); ++node)
            require(sim_->disk(node).lost().index == 0,
                    "the others make a damaged disk whole: not that of node " + std::to_string(node));
    sim_->check_logs();
    const std::set<std::uint64_t> once(numbers(1).begin(), numbers(1).end());
    require(once.size() == numbers(1).size(), "no command took effect twice");
    for (NodeId node = 1; node <= sim_->size(); ++node) {
        require(sim_->poisoned(node).empty(), sim_->poisoned(node));
        if (!has_machine(*sim_->node(node))) continue;
        require(sim_->applied(node) == before + 1, "every replica has applied the same number of commands");
        require(numbers(node) == numbers(1), "every replica has applied the same commands in the same order");
    }
    for (const std::uint64_t client : client_ids()) check_client(client);
    const std::string broken = history().check(numbers(1));
    require(broken.empty(), "what clients saw is linearizable: " + broken);
    if (P::keeps_its_leader(plan_.options) && !remembers_a_loss()) discipline();
}

// A node that cannot tell where its damaged log ended votes for longer as if it were further than it was.
template <class P>
bool Scenario<P>::remembers_a_loss() const {
    if constexpr (requires(const Node& node) { node.lost(); })
        for (NodeId node = 1; node <= sim_->size(); ++node)
            if (sim_->node(node)->lost().index != 0) return true;
    return false;
}

// In a healthy cluster nobody takes the lead from a leader that has a majority, and one without it does not lead for
// long.
template <class P>
void Scenario<P>::discipline() {
    phase_ = "discipline";
    const NodeId leads = sim_->leader();
    const std::uint64_t epoch = sim_->epoch();
    const std::int64_t timeout_ns = plan_.options.election_ticks * plan_.options.tick_ns;
    const auto cut_off = [&](NodeId node, bool is_cut) {
        for (NodeId other = 1; other <= sim_->size(); ++other)
            if (other != node) sim_->cut(node, other, is_cut), sim_->cut(other, node, is_cut);
    };
    const NodeId follower = leads % static_cast<NodeId>(sim_->size()) + 1;
    cut_off(follower, true);
    sim_->run_for(6 * timeout_ns);
    cut_off(follower, false);
    sim_->run_for(6 * timeout_ns);
    require(sim_->leader() == leads && sim_->epoch() == epoch,
            "a node that was cut off comes back without deposing the leader: node " + std::to_string(follower));
    cut_off(leads, true);
    sim_->run_for(6 * timeout_ns);
    require(!P::leads(*sim_->node(leads)), "a leader without a quorum steps down: node " + std::to_string(leads));
    // split votes may take some rounds, with delays of a good part of a time-out
    for (int round = 0; round < 50 && sim_->leader() == kNoNode; ++round) sim_->run_for(timeout_ns);
    require(sim_->leader() != kNoNode, "the others elect a leader when theirs is cut off");
    cut_off(leads, false);
    require(sim_->settle(20'000'000'000), "a healthy cluster settles after a leader was cut off");
}

template <class P>
const std::vector<std::uint64_t>& Scenario<P>::numbers(NodeId node) {
    return static_cast<Recorder*>(sim_->machine(node))->numbers();
}

// Every request of the client took effect at most once, in order, and all it did not abandon did.
template <class P>
void Scenario<P>::check_client(std::uint64_t client) {
    std::uint64_t last = 0;
    for (const std::uint64_t number : numbers(1)) {
        if (number >> 32 != client) continue;
        const std::uint64_t sequence = number & 0xffffffffU;
        require(sequence > last, "a client's requests take effect in order");
        last = sequence;
    }
}

template <class P>
void Scenario<P>::count_leaders() {
    int leaders = 0;
    for (NodeId node = 1; node <= sim_->size(); ++node) leaders += sim_->is_up(node) && P::leads(*sim_->node(node));
    two_leaders_ += leaders > 1;
    if constexpr (requires { P::look(*sim_, moments_); }) P::look(*sim_, moments_);
}

template class Scenario<bft::BftProtocol>;
template class Scenario<bft::LyingBftProtocol>;
template class Scenario<raft::RaftProtocol>;
template class Scenario<paxos::PaxosProtocol>;

}  // namespace fastmas::consensus
