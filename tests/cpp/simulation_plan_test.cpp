// Plans as text and back, shrinking, and what clients saw.
#include "base/errors.hpp"
#include "check.hpp"
#include "consensus/simulation/raft/protocol.hpp"
#include "consensus/simulation/simulate.hpp"

using namespace fastmas::consensus;
using fastmas::base::ConfigError;
using raft::RaftProtocol;

namespace {

Plan drawn(std::uint64_t seed) {
    return Scenario<RaftProtocol>::draw(seed, 20);
}

// Requests 1, 2, ... of client 1, each with when it was sent, when answered and as which number (0: never), and reads
// (of how many).
struct Op {
    std::int64_t call_ns, return_ns;
    std::uint64_t count;
    bool is_read = false;
};

std::string check(const std::vector<Op>& ops, const std::vector<std::uint64_t>& order) {
    std::vector<std::uint64_t> numbers, digests{0};
    for (const std::uint64_t sequence : order) {
        numbers.push_back(ClientHistory::number_of({1, sequence, 0}));
        digests.push_back(Recorder::extend(digests.back(), numbers.back()));
    }
    ClientHistory history;
    std::uint64_t sequence = 0;
    for (const Op& op : ops) {
        const std::size_t one = op.is_read ? history.read(2, op.call_ns) : history.call({1, ++sequence, 0}, op.call_ns);
        const std::uint64_t digest = op.count < digests.size() ? digests[op.count] : 7;
        if (op.return_ns != 0) history.answer(one, {op.count, digest}, op.return_ns);
    }
    return history.check(numbers);
}

bool says(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST(a_plan_is_the_same_after_being_written_and_read) {
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        const Plan plan = drawn(seed);
        const std::string text = to_text(plan, "raft");
        const Plan read = parse_plan(text, "raft");
        CHECK(read.actions == plan.actions);
        CHECK(read.options == plan.options);  // else the script of a failing seed would not do what the seed did
        CHECK_EQUAL(read.seconds, plan.seconds);
        CHECK_EQUAL(to_text(read, "raft"), text);
    }
}

TEST(a_seed_has_one_history) {
    const SeedOutcome a = simulate_seed("raft", 5, 20), b = simulate_seed("raft", 5, 20);
    CHECK(a.is_well);
    CHECK(a.coverage.rows() == b.coverage.rows());
    CHECK_EQUAL(a.history.size(), b.history.size());
    for (std::size_t i = 0; i < a.history.size(); ++i) CHECK_EQUAL(a.history[i].return_ns, b.history[i].return_ns);
}

TEST(a_script_runs_as_its_seed_does) {
    // among them clusters with spare nodes, with a witness and with slow disks
    for (const std::string protocol : {"raft", "paxos"})
        for (std::uint64_t number = 0; number < 8; ++number) {
            const SeedOutcome seed = simulate_seed(protocol, number, 5);
            const SeedOutcome script = simulate_script(protocol, script_of_seed(protocol, number, 5));
            CHECK(script.is_well);
            CHECK(seed.coverage.rows() == script.coverage.rows());
        }
}

TEST(a_script_that_cannot_be_read_names_its_line) {
    const auto read = [](const char* text) { return parse_plan(text, "raft"); };
    CHECK_THROWS(read("nodes 3\nat 5 explode 1\n"), ConfigError,
                 "line 2 of the script: expected what is to happen, got 'explode'");
    CHECK_THROWS(read("nodes three\n"), ConfigError, "line 1 of the script: expected a whole number, got 'three'");
    CHECK_THROWS(read("nodes 3\nat 5 crash 9\n"), ConfigError, "a script with 3 nodes names node 9");
    CHECK_THROWS(read("nodes 3\nat 5 crash 0\n"), ConfigError, "expected a node's number, 'leader' or 'all', got '0'");
    CHECK_THROWS(read("at 5 heal\nat 4 heal\n"), ConfigError, "expected a time not before the line above, got '4'");
    CHECK_THROWS(read("protocol paxos\n"), ConfigError, "expected raft, got 'paxos'");
    CHECK_THROWS(read("colour 3\n"), ConfigError, "expected an option or 'at', got 'colour'");
    CHECK_THROWS(read("at 5 heal now\n"), ConfigError, "expected the end of the line, got 'now'");
    CHECK_THROWS(read("nodes 0\n"), ConfigError, "a script's nodes is 1 to 63, got 0");
    // what would never end, overflow or name nobody
    CHECK_THROWS(read("tick_ns 0\n"), ConfigError, "a script's tick_ns is 1000 to");
    CHECK_THROWS(read("seconds -1\n"), ConfigError, "got -1; correct that line");
    CHECK_THROWS(read("delay_low_ns 9\ndelay_high_ns 5\n"), ConfigError, "a script's delay_low_ns is 0 to 5, got 9");
    CHECK_THROWS(read("at 9223372036854775807 heal\n"), ConfigError, "a script's time of an action is 0 to");
    CHECK_THROWS(read("at 1 skew 1 99999999999\n"), ConfigError, "a script's speed of a clock is 1 to 1000000");
    CHECK_THROWS(read("at 1 submit 1 10 5000000000\n"), ConfigError, "a script's number of requests is 0 to 100000");
    CHECK_THROWS(read("at 1 pause all 100\n"), ConfigError, "'pause' takes a node by its number, got 'all'");
    CHECK_THROWS(read("at 1 cut 1 leader\n"), ConfigError, "'cut' takes a node by its number, got 'leader'");
    CHECK_THROWS(simulate_seed("chalk", 1, 1), ConfigError, "protocol must be one of 'raft'");
    CHECK_EQUAL(read("# nothing\n\nnodes 3 # of them\n").options.nodes, 3U);
}

TEST(answers_that_contradict_time_are_not_linearizable) {
    CHECK_EQUAL(check({{0, 5, 1}, {6, 9, 2}}, {1, 2}), "");
    CHECK_EQUAL(check({{0, 9, 2}, {1, 8, 1}}, {2, 1}), "");
    CHECK_EQUAL(check({{0, 0, 0}, {1, 8, 1}}, {2}), "");     // the first never took effect
    CHECK_EQUAL(check({{0, 0, 0}, {1, 8, 1}}, {2, 1}), "");  // or did so later
    // the second was sent after the first was answered, and took effect before it
    CHECK(says(check({{0, 5, 2}, {6, 9, 1}}, {2, 1}), "as if request 2 of client 1 had been before it"));
    // an operation without an answer took effect before it was sent
    CHECK(says(check({{8, 0, 0}, {1, 5, 2}}, {1, 2}), "which was sent only at 8 ns"));
}

TEST(answers_that_no_state_gives_are_not_linearizable) {
    CHECK(says(check({{0, 5, 1}, {0, 9, 1}}, {1, 2}), "answered as number 1, but took effect as number 2"));
    CHECK(says(check({{0, 5, 2}, {0, 9, 1}}, {2}), "from a state that never was, of 2 requests"));
    CHECK(says(check({{0, 5, 1}}, {2}), "never took effect"));
}

TEST(reads_are_in_the_order_too) {
    CHECK_EQUAL(check({{0, 5, 1}, {6, 7, 1, true}, {6, 8, 1, true}, {0, 9, 0, true}}, {1}), "");
    CHECK_EQUAL(check({{0, 5, 1}, {2, 3, 0, true}, {3, 4, 1, true}}, {1}), "");
    CHECK_EQUAL(check({{0, 0, 0}, {2, 3, 1, true}}, {1}), "");       // of a request whose client has no answer
    CHECK_EQUAL(check({{0, 5, 1}, {6, 0, 0, true}}, {1}), "");       // without an answer
    CHECK(says(check({{0, 5, 1}, {6, 7, 0, true}}, {1}), "sent"));   // stale: 1 was answered before
    CHECK(says(check({{9, 15, 1}, {6, 7, 1, true}}, {1}), "sent"));  // of a request not sent yet
    CHECK(says(check({{0, 9, 1}, {2, 3, 1, true}, {4, 5, 0, true}}, {1}), "sent"));  // one read undoes another
    CHECK(says(check({{0, 9, 1}, {2, 3, 5, true}}, {1}), "a state that never was"));
}

TEST(a_script_whose_options_cannot_be_is_a_wrong_call) {
    CHECK_THROWS(simulate_script("raft", "nodes 3\nelection_ticks 2\nheartbeat_ticks 2\n"), ConfigError,
                 "election_ticks must exceed heartbeat_ticks");
    CHECK_THROWS(simulate_script("raft", "nodes 3\ncheck_quorum 0\nlease_ns 1000\n"), ConfigError, "check_quorum");
    CHECK_THROWS(simulate_script("raft", "nodes 3\nlease_ns 1000\nat 5 skew 1 800\n"), ConfigError,
                 "a script's speed of a clock is 900 to 1100, got 800");
}

TEST(a_failure_is_shrunk_to_what_it_needs) {
    Plan plan = drawn(3);
    const std::size_t before = plan.actions.size();
    // a node that nobody may name: crashing it is a wrong call, which every shorter plan with that action makes as well
    plan.actions.insert(plan.actions.begin() + 100,
                        Action{plan.actions[99].at_ms, Action::Kind::crash, static_cast<NodeId>(60)});
    const Plan shorter = shrink<RaftProtocol>(
        plan, "nodes are numbered 1 to " + std::to_string(plan.options.nodes) + ", got 60; see cluster.nodes", 2'000);
    CHECK(before > 200);
    CHECK_EQUAL(shorter.actions.size(), 1U);
    CHECK(shorter.actions[0].kind == Action::Kind::crash);
    CHECK_EQUAL(shorter.actions[0].node, 60U);
}

TEST_MAIN
