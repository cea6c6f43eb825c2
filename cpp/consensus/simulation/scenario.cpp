#include "consensus/simulation/scenario.hpp"

#include <algorithm>
#include <cstring>
#include <set>

#include "consensus/raft/protocol.hpp"

namespace fastmas::consensus {
namespace {

void require(bool condition, const std::string& text) {
    if (!condition) throw ScenarioFailure(text);
}

}  // namespace

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

Result Recorder::apply(const Command& command) {
    std::uint64_t number = 0;
    std::memcpy(&number, command.bytes.data(), sizeof number);
    require(command.index == numbers_.size() + 1, "indexes of commands have no gap");
    require(command.time_ns >= time_ns_, "time never falls");
    time_ns_ = command.time_ns;
    numbers_.push_back(number);
    return {ResultStatus::applied, Payload(std::as_bytes(std::span(&command.index, 1)))};
}

std::uint64_t Recorder::digest() {
    return hash_bytes(std::as_bytes(std::span(numbers_)), 0);
}

Payload Recorder::snapshot() {
    return Payload(std::as_bytes(std::span(numbers_)));
}

void Recorder::restore(std::span<const std::byte> state) {
    numbers_.resize(state.size() / sizeof(std::uint64_t));
    if (!state.empty()) std::memcpy(numbers_.data(), state.data(), state.size());
}

template <class P>
Scenario<P>::Scenario(std::uint64_t seed, std::int64_t seconds)
    : random_(base::derive_seed(seed, "scenario")), seed_(seed), end_ns_(seconds * 1'000'000'000) {
    const std::size_t sizes[] = {3, 3, 5, 5, 4, 2, 1, 7};
    options_.nodes = sizes[random_.below(8)];
    options_.seed = seed_;
    options_.network.encode = random_.chance_ppm(300'000);
    options_.network.delay_high_ns = random_.between(1, 40) * 1'000'000;
    P::draw_options(options_, random_);
    options_.snapshot_every = random_.chance_ppm(500'000) ? 5 + random_.below(40) : 0;
    options_.timeout_ns = 60'000'000'000;
    for (std::uint64_t id = 10; id < 13; ++id) clients_.push_back({id});
}

template <class P>
void Scenario<P>::start() {
    sim_ = std::make_unique<SimCluster<P>>(options_, [](NodeId) { return std::make_unique<Recorder>(); });
}

template <class P>
void Scenario<P>::safety() {
    const std::int64_t start_ns = sim_->now_ns();
    while (sim_->now_ns() - start_ns < end_ns_) {
        sim_->run_for(random_.between(1, 60) * 1'000'000);
        if (random_.chance_ppm(700'000)) send_some();
        if (random_.chance_ppm(250'000)) {
            break_something();
            P::disturb(*sim_, random_);
        }
        count_leaders();
    }
    simulated_ns_ += sim_->now_ns() - start_ns;
}

template <class P>
void Scenario<P>::mend() {
    sim_->heal();
    sim_->set_crash_point_ppm(0);
    NetworkOptions& network = sim_->network_options();
    network.loss_ppm = network.duplicate_ppm = network.reorder_ppm = 0;
    for (NodeId node = 1; node <= sim_->size(); ++node)
        if (!sim_->is_up(node)) sim_->restart(node);
}

template <class P>
void Scenario<P>::liveness() {
    mend();
    require(sim_->settle(20'000'000'000), "a healthy cluster settles within 20 s");
    const std::uint64_t before = sim_->applied(1);
    const std::uint64_t number = 1U << 30;
    const Burst burst = sim_->propose({Payload(std::as_bytes(std::span(&number, 1)))}, std::nullopt);
    require(burst.status == BurstStatus::committed, "a healthy cluster answers: " + burst.text);
    require(sim_->settle(5'000'000'000), "a healthy cluster settles after a proposal");
    sim_->check_logs();
    const std::set<std::uint64_t> once(numbers(1).begin(), numbers(1).end());
    require(once.size() == numbers(1).size(), "no command took effect twice");
    for (NodeId node = 1; node <= sim_->size(); ++node) {
        require(sim_->poisoned(node).empty(), sim_->poisoned(node));
        require(sim_->applied(node) == before + 1, "every replica has applied the same number of commands");
        require(numbers(node) == numbers(1), "every replica has applied the same commands in the same order");
    }
    for (const Client& client : clients_) check_client(client);
}

template <class P>
std::string Scenario<P>::options_text() const {
    const NetworkOptions& network = options_.network;
    return std::to_string(options_.nodes) + " nodes, delays up to " +
           std::to_string(network.delay_high_ns / 1'000'000) + " ms" + (network.encode ? ", messages as bytes" : "") +
           ", a snapshot every " + std::to_string(options_.snapshot_every) + " entries, at most " +
           std::to_string(options_.max_append_entries) + " entries a message" +
           (options_.pre_vote ? "" : ", no pre-vote") + (options_.check_quorum ? "" : ", no check-quorum");
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
    coverage.add("commands applied", sim_->applied(1));
    coverage.add("elections stood", sim_->elections());
    coverage.add("moments with two leaders", two_leaders_);
    coverage.add("crashes", counters.crashes);
    coverage.add("stored entries replaced", counters.truncations);
    coverage.add("snapshots taken", counters.snapshots_taken);
    coverage.add("snapshots installed", counters.snapshots_installed);
    coverage.add("retried commands told apart", counters.duplicates);
    coverage.add("messages delivered", network.delivered);
    coverage.add("messages lost", network.lost);
    coverage.add("messages doubled", network.duplicated);
    coverage.add("messages cut off", network.cut);
    coverage.add("invariant checks", sim_->invariants().checks());
    P::cover(*sim_, coverage);
    coverage.simulated_seconds += static_cast<double>(simulated_ns_) * 1e-9;
}

template <class P>
const std::vector<std::uint64_t>& Scenario<P>::numbers(NodeId node) {
    return static_cast<Recorder*>(sim_->machine(node))->numbers();
}

// Every request of the client took effect at most once, in order, and all it did not abandon did.
template <class P>
void Scenario<P>::check_client(const Client& client) {
    std::uint64_t last = 0;
    for (const std::uint64_t number : numbers(1)) {
        if (number >> 32 != client.id) continue;
        const std::uint64_t sequence = number & 0xffffffffU;
        require(sequence > last, "a client's requests take effect in order");
        last = sequence;
    }
}

template <class P>
void Scenario<P>::send_some() {
    Client& client = clients_[random_.below(clients_.size())];
    // done when some replica has it: a client would be told by that replica
    for (NodeId node = 1; node <= sim_->size(); ++node) {
        if (!sim_->is_up(node)) continue;
        for (std::size_t i = numbers(node).size(); i > 0; --i) {
            const std::uint64_t number = numbers(node)[i - 1];
            if (number >> 32 != client.id) continue;
            client.sequence = std::max(client.sequence, (number & 0xffffffffU) + 1);
            break;
        }
    }
    const std::uint64_t burst = 1 + random_.below(4);
    const NodeId node = random_.chance_ppm(700'000) && sim_->leader() != kNoNode ? sim_->leader() : any_node();
    for (std::uint64_t k = 0; k < burst && sim_->is_up(node); ++k) {
        const std::uint64_t number = client.id << 32 | (client.sequence + k);
        sim_->submit(node, Payload(std::as_bytes(std::span(&number, 1))),
                     {client.id, client.sequence + k, client.sequence - 1});
    }
}

template <class P>
void Scenario<P>::break_something() {
    switch (random_.below(9)) {
        case 0:
        case 1: {
            const NodeId node = random_.chance_ppm(400'000) && sim_->leader() != kNoNode ? sim_->leader() : any_node();
            if (sim_->is_up(node)) sim_->crash(node);
            break;
        }
        case 2:
        case 3:
            for (NodeId node = 1; node <= sim_->size(); ++node)
                if (!sim_->is_up(node) && random_.chance_ppm(700'000)) sim_->restart(node);
            break;
        case 4:  // two sides
            for (NodeId a = 1; a <= sim_->size(); ++a)
                for (NodeId b = 1; b <= sim_->size(); ++b)
                    if (a != b) sim_->cut(a, b, (side_ >> a & 1U) != (side_ >> b & 1U));
            side_ = random_.next();
            break;
        case 5: {  // one link, one way
            const NodeId a = any_node(), b = any_node();
            if (a != b) sim_->cut(a, b, true);
            break;
        }
        case 6:
            sim_->heal();
            break;
        case 7:
            sim_->network_options().loss_ppm = static_cast<std::uint32_t>(random_.below(300'000));
            sim_->network_options().duplicate_ppm = static_cast<std::uint32_t>(random_.below(200'000));
            sim_->network_options().reorder_ppm = static_cast<std::uint32_t>(random_.below(500'000));
            break;
        case 8:
            sim_->set_crash_point_ppm(random_.chance_ppm(500'000) ? 0 : 20'000);
            break;
    }
}

template <class P>
void Scenario<P>::count_leaders() {
    int leaders = 0;
    for (NodeId node = 1; node <= sim_->size(); ++node) leaders += sim_->is_up(node) && P::leads(*sim_->node(node));
    two_leaders_ += leaders > 1;
}

template class Scenario<raft::RaftProtocol>;

}  // namespace fastmas::consensus
