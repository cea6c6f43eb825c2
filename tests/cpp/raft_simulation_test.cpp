// Clusters under faults, many seeds. Each seed has a safety phase (everything goes wrong, nothing may be broken), then
// a liveness phase (all is mended: the cluster must elect, catch up and answer).
//
//   raft_simulation_test                     500 seeds of 20 simulated seconds: what CI runs
//   raft_simulation_test --seeds 10000 --first 0 [--seconds 60] [--verbose]
//
// The first line of a failure is the command that repeats it.
#include <cstring>
#include <iostream>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/errors.hpp"
#include "base/prng.hpp"
#include "consensus/raft/protocol.hpp"

using namespace fastmas::consensus;
using namespace fastmas::consensus::raft;
using fastmas::base::Payload;
using fastmas::base::Prng;

namespace {

struct Problem {
    std::string text;
};
void require(bool condition, const std::string& text) {
    if (!condition) throw Problem{text};
}

// Remembers the numbers of the commands it was given, in order; answers with how many there were.
class Recorder : public StateMachine {
  public:
    Result apply(const Command& command) override {
        std::uint64_t number = 0;
        std::memcpy(&number, command.bytes.data(), sizeof number);
        require(command.index == numbers_.size() + 1, "indexes of commands have no gap");
        require(command.time_ns >= time_ns_, "time never falls");
        time_ns_ = command.time_ns;
        numbers_.push_back(number);
        return {ResultStatus::applied, Payload(std::as_bytes(std::span(&command.index, 1)))};
    }
    std::uint64_t digest() override { return hash_bytes(std::as_bytes(std::span(numbers_)), 0); }
    bool can_snapshot() const override { return true; }
    Payload snapshot() override { return Payload(std::as_bytes(std::span(numbers_))); }
    void restore(std::span<const std::byte> state) override {
        numbers_.resize(state.size() / sizeof(std::uint64_t));
        if (!state.empty()) std::memcpy(numbers_.data(), state.data(), state.size());
    }
    const std::vector<std::uint64_t>& numbers() const noexcept { return numbers_; }

  private:
    std::vector<std::uint64_t> numbers_;
    std::int64_t time_ns_ = INT64_MIN;
};

struct Coverage {
    std::uint64_t commands = 0, elections = 0, terms_led = 0, crashes = 0, truncations = 0, snapshots_taken = 0,
                  snapshots_installed = 0;
    std::uint64_t lost = 0, duplicated = 0, cut = 0, duplicates = 0, checks = 0, deliveries = 0, two_leaders = 0;
    double simulated_seconds = 0;
};

// A client of its own session that sends its next request to some node, and the same one again until it was applied.
struct Client {
    std::uint64_t id;
    std::uint64_t sequence = 1;
    std::uint64_t abandoned_until = 0;
};

class Run {
  public:
    Run(std::uint64_t seed, std::int64_t seconds)
        : random_(fastmas::base::derive_seed(seed, "scenario")), end_ns_(seconds * 1'000'000'000) {
        SimOptions options;
        const std::size_t sizes[] = {3, 3, 5, 5, 4, 2, 1, 7};
        options.nodes = sizes[random_.below(8)];
        options.seed = seed;
        options.network.encode = random_.chance_ppm(300'000);
        options.network.delay_high_ns = random_.between(1, 40) * 1'000'000;
        options.pre_vote = !random_.chance_ppm(300'000);
        options.check_quorum = !random_.chance_ppm(200'000);
        options.max_append_entries = 1 + random_.below(8);
        options.snapshot_every = random_.chance_ppm(500'000) ? 5 + random_.below(40) : 0;
        options.timeout_ns = 60'000'000'000;
        for (std::uint64_t id = 10; id < 13; ++id) clients_.push_back({id});
        sim_ = std::make_unique<SimCluster<RaftProtocol>>(options, [](NodeId) { return std::make_unique<Recorder>(); });
    }

    void safety() {
        const std::int64_t start_ns = sim_->now_ns();
        while (sim_->now_ns() - start_ns < end_ns_) {
            sim_->run_for(random_.between(1, 60) * 1'000'000);
            if (random_.chance_ppm(700'000)) send_some();
            if (random_.chance_ppm(250'000)) break_something();
            count_leaders();
        }
        simulated_ns_ += sim_->now_ns() - start_ns;
    }

    void liveness() {
        sim_->heal();
        sim_->set_crash_point_ppm(0);
        sim_->network_options().loss_ppm = sim_->network_options().duplicate_ppm = sim_->network_options().reorder_ppm =
            0;
        for (NodeId node = 1; node <= sim_->size(); ++node)
            if (!sim_->is_up(node)) sim_->restart(node);
        require(sim_->settle(20'000'000'000), "a healthy cluster settles within 20 s");
        const std::uint64_t before = sim_->applied(1);
        const std::uint64_t number = 1U << 30;
        const Burst burst = sim_->propose({Payload(std::as_bytes(std::span(&number, 1)))}, std::nullopt);
        require(burst.status == BurstStatus::committed, "a healthy cluster answers: " + burst.text);
        require(sim_->settle(5'000'000'000), "a healthy cluster settles after a proposal");
        sim_->check_logs();
        std::set<std::uint64_t> once(numbers(1).begin(), numbers(1).end());
        require(once.size() == numbers(1).size(), "no command took effect twice");
        for (NodeId node = 1; node <= sim_->size(); ++node) {
            require(sim_->poisoned(node).empty(), sim_->poisoned(node));
            require(sim_->applied(node) == before + 1, "every replica has applied the same number of commands");
            require(numbers(node) == numbers(1), "every replica has applied the same commands in the same order");
        }
        for (const Client& client : clients_) check_client(client);
    }

    // What a failing seed is looked at with.
    std::string state() const {
        std::string text;
        for (NodeId node = 1; node <= sim_->size(); ++node) {
            text += "  node " + std::to_string(node) + ": ";
            if (const RaftNode* raft = sim_->node(node))
                text += std::string(to_string(raft->role())) + " of term " + std::to_string(raft->term()) +
                        ", leader " + std::to_string(raft->leader()) + ", last " +
                        std::to_string(raft->log().last_index()) + " (term " + std::to_string(raft->log().last_term()) +
                        "), commit " + std::to_string(raft->commit_index()) + ", applied " +
                        std::to_string(raft->applied_index()) + "\n";
            else
                text += "down " + sim_->poisoned(node) + "\n";
        }
        return text + "  at " + std::to_string(sim_->now_ns()) + " ns, " + std::to_string(sim_->network().in_flight()) +
               " messages in flight\n";
    }

    void add_to(Coverage& coverage) const {
        const auto& counters = sim_->counters();
        const auto& network = sim_->network().counters();
        coverage.commands += sim_->applied(1);
        coverage.elections += sim_->elections();
        coverage.terms_led += sim_->invariants().terms_led();
        coverage.crashes += counters.crashes;
        coverage.truncations += counters.truncations;
        coverage.snapshots_taken += counters.snapshots_taken;
        coverage.snapshots_installed += counters.snapshots_installed;
        coverage.duplicates += counters.duplicates;
        coverage.lost += network.lost;
        coverage.duplicated += network.duplicated;
        coverage.cut += network.cut;
        coverage.deliveries += network.delivered;
        coverage.checks += sim_->invariants().checks();
        coverage.two_leaders += two_leaders_;
        coverage.simulated_seconds += static_cast<double>(simulated_ns_) * 1e-9;
    }

  private:
    const std::vector<std::uint64_t>& numbers(NodeId node) {
        return static_cast<Recorder*>(sim_->machine(node))->numbers();
    }
    NodeId any_node() { return static_cast<NodeId>(1 + random_.below(sim_->size())); }

    // Every request of the client took effect at most once, in order, and all it did not abandon did.
    void check_client(const Client& client) {
        std::uint64_t last = 0;
        for (const std::uint64_t number : numbers(1)) {
            if (number >> 32 != client.id) continue;
            const std::uint64_t sequence = number & 0xffffffffU;
            require(sequence > last, "a client's requests take effect in order");
            last = sequence;
        }
    }

    void send_some() {
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

    void break_something() {
        switch (random_.below(9)) {
            case 0:
            case 1: {
                const NodeId node =
                    random_.chance_ppm(400'000) && sim_->leader() != kNoNode ? sim_->leader() : any_node();
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

    void count_leaders() {
        int leaders = 0;
        for (NodeId node = 1; node <= sim_->size(); ++node)
            leaders += sim_->is_up(node) && sim_->node(node)->role() == Role::leader;
        two_leaders_ += leaders > 1;
    }

    Prng random_;
    std::int64_t end_ns_;
    std::int64_t simulated_ns_ = 0;
    std::uint64_t side_ = 2;
    std::uint64_t two_leaders_ = 0;
    std::vector<Client> clients_;
    std::unique_ptr<SimCluster<RaftProtocol>> sim_;
};

std::uint64_t option(int argc, char** argv, const char* name, std::uint64_t otherwise) {
    for (int i = 1; i + 1 < argc; ++i)
        if (std::strcmp(argv[i], name) == 0) return std::stoull(argv[i + 1]);
    return otherwise;
}

}  // namespace

int main(int argc, char** argv) {
    const std::uint64_t seeds = option(argc, argv, "--seeds", 500), first = option(argc, argv, "--first", 0);
    const std::uint64_t seconds = option(argc, argv, "--seconds", 20);
    Coverage coverage;
    for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
        std::string phase = "start", text;
        std::unique_ptr<Run> built;
        try {
            built = std::make_unique<Run>(seed, static_cast<std::int64_t>(seconds));
            Run& run = *built;
            phase = "safety";
            run.safety();
            phase = "liveness";
            run.liveness();
            run.add_to(coverage);
            continue;
        } catch (const Problem& problem) {
            text = problem.text;
        } catch (const std::exception& error) {
            text = error.what();
        }
        std::cerr << "raft_simulation_test --first " << seed << " --seeds 1 --seconds " << seconds << "\n"
                  << phase << " phase: " << text << "\n"
                  << (built ? built->state() : "");
        return 1;
    }
    const std::pair<const char*, std::uint64_t> rows[] = {
        {"commands applied", coverage.commands},
        {"elections stood", coverage.elections},
        {"terms led", coverage.terms_led},
        {"moments with two leaders", coverage.two_leaders},
        {"crashes", coverage.crashes},
        {"stored entries replaced", coverage.truncations},
        {"snapshots taken", coverage.snapshots_taken},
        {"snapshots installed", coverage.snapshots_installed},
        {"retried commands told apart", coverage.duplicates},
        {"messages delivered", coverage.deliveries},
        {"messages lost", coverage.lost},
        {"messages doubled", coverage.duplicated},
        {"messages cut off", coverage.cut},
        {"invariant checks", coverage.checks},
    };
    std::cout << seeds << " seeds from " << first << ", " << coverage.simulated_seconds << " simulated seconds\n";
    bool all_happened = true;
    for (const auto& [name, count] : rows) {
        std::cout << "  " << name << ": " << count << "\n";
        // a run in which something never happened has not tested it
        if (count == 0 && seeds >= 100) all_happened = false;
    }
    if (!all_happened) std::cerr << "something above never happened\n";
    return all_happened ? 0 : 1;
}
