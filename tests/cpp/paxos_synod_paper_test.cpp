// The single-decree synod, a sentence of the paper a test. Quotations are from Lamport, Paxos Made Simple (2001),
// "PMS".
#include <string>

#include "check.hpp"
#include "consensus/paxos/synod_node.hpp"

using namespace fastmas::consensus;
using namespace fastmas::consensus::paxos;
using fastmas::base::ConfigError;
using fastmas::base::InvariantError;

namespace {

Payload value(const char* text) {
    return Payload(std::string_view(text));
}
SynodMessage message(SynodType type, NodeId from, NodeId to, Ballot ballot, Ballot other = {}, const char* text = "") {
    return {type, from, to, ballot, other, value(text)};
}
SynodConfig config(NodeId id, std::size_t nodes) {
    SynodConfig config;
    config.id = id;
    config.nodes = nodes;
    return config;
}
// What it says, after everything is stored; its answers count.
std::vector<SynodMessage> take(SynodNode& node) {
    std::vector<SynodMessage> sent;
    while (node.has_ready()) {
        const SynodReady& ready = node.ready();
        sent.insert(sent.end(), ready.messages.begin(), ready.messages.end());
        node.advance();
    }
    return sent;
}

}  // namespace

// "If an acceptor receives a prepare request with number n greater than that of any prepare request to which it has
// already responded, then it responds to the request with a promise not to accept any more proposals numbered less than
// n and with the highest-numbered proposal (if any) that it has accepted."
TEST(pms_2_2_phase_1b) {
    Acceptor acceptor;
    CHECK(acceptor.prepare({3, 1}));
    CHECK(!acceptor.prepare({2, 2}));
    CHECK(!acceptor.accept({2, 2}, value("x")));
    CHECK(acceptor.accept({3, 1}, value("a")));
    CHECK(acceptor.prepare({3, 2}));
    CHECK(acceptor.state() == (AcceptorState{{3, 2}, {3, 1}, value("a")}));
}

// "If an acceptor receives an accept request for a proposal numbered n, it accepts the proposal unless it has already
// responded to a prepare request having a number greater than n."
TEST(pms_2_2_phase_2b) {
    Acceptor acceptor;
    CHECK(acceptor.accept({1, 1}, value("a")));  // no prepare was answered at all
    CHECK(acceptor.prepare({5, 2}));
    CHECK(!acceptor.accept({4, 3}, value("b")));
    CHECK(acceptor.accept({5, 2}, value("c")));
    CHECK(acceptor.accept({6, 1}, value("d")));
    CHECK(acceptor.state() == (AcceptorState{{6, 1}, {6, 1}, value("d")}));
}

// "If the proposer receives a response to its prepare requests (numbered n) from a majority of acceptors, then it sends
// an accept request ... with a value v, where v is the value of the highest-numbered proposal among the responses, or
// is any value if the responses reported no proposals."
TEST(pms_2_2_phase_2a_adopts_the_highest_ballot) {
    Proposer proposer(1, 5, {});
    proposer.heard({7, 5});
    const Ballot ballot = proposer.begin(value("mine"));
    CHECK(ballot == (Ballot{8, 1}));
    CHECK(!proposer.promised(1, ballot, {2, 1}, value("mine")));
    CHECK(!proposer.promised(2, ballot, {5, 2}, value("high")));
    CHECK(!proposer.promised(2, ballot, {5, 2}, value("high")));  // the same acceptor once more is no majority
    CHECK(!proposer.promised(3, {7, 1}, {6, 3}, value("stale")));
    CHECK(proposer.promised(4, ballot, {2, 1}, value("mine")));  // two of three report it: the commoner, not the higher
    CHECK_EQUAL(proposer.value().text(), "high");
    CHECK(proposer.adopted());
}

TEST(pms_2_2_phase_2a_is_free_when_nothing_was_accepted) {
    Proposer proposer(2, 3, {});
    const Ballot ballot = proposer.begin(value("mine"));
    CHECK(!proposer.promised(1, ballot, {}, {}));
    CHECK(proposer.promised(3, ballot, {}, {}));
    CHECK_EQUAL(proposer.value().text(), "mine");
    CHECK(!proposer.adopted());
}

// "A value is chosen when a single proposal with that value has been accepted by a majority of the acceptors."
TEST(pms_2_3_a_majority_of_one_ballot_chooses) {
    Learner learner(5, {});
    CHECK(!learner.accepted(1, {1, 1}));
    CHECK(!learner.accepted(2, {2, 2}));
    CHECK(!learner.accepted(3, {1, 1}));
    CHECK(!learner.accepted(3, {1, 1}));
    CHECK(!learner.accepted(4, {2, 2}));
    CHECK(learner.accepted(3, {2, 2}));
}

// "Different proposals have different numbers", also across crashes: "each proposer remembers (in stable storage) the
// highest-numbered proposal it has tried to issue, and begins phase 1 with a higher proposal number than any it has
// already used" (PMS §2.5).
TEST(pms_2_5_a_ballot_is_never_used_twice) {
    SynodNode node(config(2, 3));
    node.propose(value("v"), true);
    const SynodReady& ready = node.ready();
    CHECK(ready.state != nullptr);  // stored with the prepare that names it, before it leaves
    const SynodState disk = *ready.state;
    CHECK(disk.tried == (Ballot{1, 2}));
    CHECK(ready.messages.front().ballot == disk.tried);
    SynodNode again(config(2, 3), disk);
    again.propose(value("w"), true);
    CHECK(take(again).front().ballot == (Ballot{2, 2}));
}

// "An acceptor ... must remember this information even if it fails and then restarts" (PMS §2.2).
TEST(pms_2_2_promises_and_acceptances_survive_a_crash) {
    SynodNode node(config(1, 3));
    node.step(message(SynodType::prepare, 2, 1, {4, 2}));
    SynodState disk = *node.ready().state;
    node.advance();
    SynodNode second(config(1, 3), disk);
    second.step(message(SynodType::prepare, 3, 1, {3, 3}));
    CHECK(take(second).front() == message(SynodType::refuse, 1, 3, {3, 3}, {4, 2}));
    second.step(message(SynodType::accept, 2, 1, {4, 2}, {}, "v"));
    disk = *second.ready().state;
    second.advance();
    SynodNode third(config(1, 3), disk);
    third.step(message(SynodType::prepare, 3, 1, {5, 3}));
    CHECK(take(third).front() == message(SynodType::promise, 1, 3, {5, 3}, {4, 2}, "v"));
}

// "It's easy to construct a scenario in which two proposers each keep issuing a sequence of proposals with increasing
// numbers, none of which are ever chosen" (PMS §2.4): with back-off they do not.
TEST(pms_2_4_duelling_proposers_make_progress) {
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        std::vector<SynodNode> nodes;
        for (NodeId id = 1; id <= 3; ++id) {
            SynodConfig of = config(id, 3);
            of.seed = seed;
            of.retry_ticks = 2;  // shorter than a ballot takes: they cannot but duel
            nodes.emplace_back(of);
            nodes.back().propose(value(std::to_string(id).c_str()), true);
        }
        std::vector<SynodMessage> wire;
        int ticks = 0;
        for (; ticks < 10'000 && !(nodes[0].is_decided() && nodes[1].is_decided() && nodes[2].is_decided()); ++ticks) {
            std::vector<SynodMessage> next;
            for (const SynodMessage& one : wire) nodes[one.to - 1].step(one);
            for (SynodNode& node : nodes) {
                node.tick();
                for (const SynodMessage& one : take(node)) next.push_back(one);
            }
            wire = std::move(next);  // a delay is a tick
        }
        CHECK(ticks < 1'000);
        CHECK(nodes[0].decision() == nodes[1].decision() && nodes[1].decision() == nodes[2].decision());
    }
}

TEST(its_own_answer_counts_once_it_is_durable) {
    SynodNode node(config(1, 1));
    node.propose(value("v"), true);
    CHECK(node.proposer().phase() == Proposer::Phase::preparing);
    (void)node.ready();
    node.advance();
    CHECK(node.proposer().phase() == Proposer::Phase::accepting);
    CHECK(!node.is_decided());
    (void)node.ready();
    node.advance();
    CHECK(node.is_decided());
    CHECK(node.decided_ballot() == (Ballot{1, 1}));
}

TEST(a_higher_promise_ends_a_ballot_and_the_next_one_is_above_it) {
    SynodNode node(config(1, 3));
    node.propose(value("v"), true);
    (void)take(node);
    node.step(message(SynodType::refuse, 2, 1, {1, 1}, {9, 3}));
    CHECK(node.proposer().phase() == Proposer::Phase::idle);
    for (int i = 0; i < 100 && node.ballots() < 2; ++i) node.tick();
    CHECK(take(node).front().ballot == (Ballot{10, 1}));
}

TEST(quorums_must_intersect) {
    for (std::size_t nodes = 1; nodes <= 9; ++nodes)
        for (std::size_t prepare = 1; prepare <= nodes; ++prepare)
            for (std::size_t accept = 1; accept <= nodes; ++accept) {
                if (prepare + accept > nodes) {
                    CHECK_EQUAL(checked({prepare, accept}, nodes).prepare, prepare);
                    continue;
                }
                CHECK_THROWS(checked({prepare, accept}, nodes), ConfigError,
                             "every prepare quorum must share a node with every accept quorum, got");
                CHECK_THROWS(Proposer(1, nodes, {prepare, accept}), ConfigError, "must share a node");
            }
    CHECK_THROWS(checked({2, 2}, 4), ConfigError, "got 2 and 2 of 4 nodes; try 3 and 2");
    CHECK_THROWS(checked({4, 1}, 3), ConfigError, "a quorum is 1 to all of the nodes, got 4 and 1 of 3 nodes");
}

TEST(wrong_messages_are_dropped_and_counted) {
    SynodNode node(config(1, 3));
    std::uint64_t dropped = 0;
    for (const SynodMessage& wrong :
         {message(SynodType::prepare, 2, 2, {1, 2}), message(SynodType::prepare, 1, 1, {1, 1}),
          message(SynodType::prepare, 4, 1, {1, 4}), message(SynodType::prepare, 0, 1, {1, 2}),
          message(SynodType::prepare, 2, 1, {}), message(SynodType::prepare, 2, 1, {kMaxBallotNumber, 2}),
          message(SynodType::prepare, 2, 1, {kMaxBallotLead + 1, 2}), message(SynodType::prepare, 2, 1, {1, 3}),
          message(SynodType::accept, 2, 1, {1, 3}, {}, "v"),
          message(SynodType::refuse, 2, 1, {1, 1}, {kMaxBallotNumber, 2})}) {
        node.step(wrong);
        CHECK_EQUAL(node.dropped(), ++dropped);
    }
    CHECK(!node.has_ready());
}

TEST(whoever_asks_after_the_decision_is_told_it) {
    SynodNode node(config(1, 3));
    node.step(message(SynodType::decided, 2, 1, {1, 2}, {}, "v"));
    CHECK(node.is_decided());
    node.step(message(SynodType::prepare, 3, 1, {2, 3}));
    CHECK(take(node).front() == message(SynodType::decided, 1, 3, {1, 2}, {}, "v"));
    CHECK_THROWS(node.step(message(SynodType::decided, 2, 1, {1, 2}, {}, "w")), InvariantError, "two decisions");
    CHECK_THROWS(node.tick(), InvariantError, "node 1 broke an invariant and stopped: it learnt two decisions");
    CHECK(!node.poisoned().empty());
}

TEST(no_call_comes_between_ready_and_advance) {
    SynodNode node(config(1, 3));
    node.propose(value("v"), true);
    (void)node.ready();
    const char* text = "node 1 waits for advance(): do what ready() asked for";
    CHECK_THROWS(node.step(message(SynodType::prepare, 2, 1, {4, 2})), ConfigError, text);
    CHECK_THROWS(node.tick(), ConfigError, text);
    CHECK_THROWS(node.propose(value("w"), true), ConfigError, text);
    CHECK_THROWS((void)node.ready(), ConfigError, text);
    node.advance();
    CHECK_THROWS(node.advance(), ConfigError, "has no ready() to advance past; call ready() first");
    node.step(message(SynodType::prepare, 2, 1, {4, 2}));
    CHECK_EQUAL(take(node).size(), 1U);
}

TEST(answers_of_nobody_mean_nothing) {
    for (const NodeId nobody : {NodeId{0}, NodeId{4}, NodeId{64}, NodeId{4'000'000'000}}) {
        Learner learner(3, {});
        CHECK(!learner.accepted(nobody, {1, 1}));
        CHECK(!learner.accepted(1, {1, 1}));
        Proposer proposer(1, 3, {});
        const Ballot ballot = proposer.begin(value("v"));
        CHECK(!proposer.promised(nobody, ballot, {}, {}));
        CHECK(!proposer.promised(1, ballot, {}, {}));
        CHECK(proposer.promised(2, ballot, {}, {}));
        CHECK(!proposer.accepted(nobody, ballot));
        CHECK(!proposer.accepted(1, ballot));
    }
    CHECK_THROWS(Learner(64, {}), ConfigError, "a cluster has 1 to 63 nodes, got 64; 3 or 5 is usual");
}

TEST(ballots_at_the_end_of_the_range_are_not_begun) {
    SynodState stored;
    stored.tried = {kMaxBallotNumber - 1, 1};
    SynodNode node(config(1, 3), stored);
    CHECK_THROWS(node.propose(value("v"), true), InvariantError, "the ballot counter is used up");
    CHECK_THROWS(node.tick(), InvariantError, "the ballot counter is used up");
}

TEST(configs_that_cannot_work_are_refused) {
    CHECK_THROWS(SynodNode(config(1, 0)), ConfigError, "a synod has 1 to 63 nodes, got 0");
    CHECK_THROWS(SynodNode(config(4, 3)), ConfigError, "a node of 3 has an id from 1 on, got 4");
    SynodConfig hasty = config(1, 3);
    hasty.retry_ticks = 0;
    CHECK_THROWS(SynodNode(hasty), ConfigError, "retry_ticks must be at least 1, got 0");
}

TEST_MAIN
