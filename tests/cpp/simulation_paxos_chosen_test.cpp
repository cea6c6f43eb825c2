// What the checker of Multi-Paxos takes for chosen: the literature's word, not the order in which it happened to see
// it.
#include <map>

#include "base/errors.hpp"
#include "check.hpp"
#include "consensus/simulation/paxos/invariants.hpp"
#include "paxos_rig.hpp"

using namespace fastmas::testing;

namespace {

// Nodes under the checker's eyes.
struct Watched {
    std::map<NodeId, Driven> nodes;
    InvariantChecker checker{5};
    std::vector<const SimDisk*> disks;

    Watched() {
        for (NodeId id = 1; id <= 5; ++id) nodes.emplace(id, plain_config(id, 5));
        for (auto& [id, driven] : nodes) disks.push_back(&driven.disk);
    }
    std::vector<Message> pump(NodeId id) {
        Driven& at = nodes.at(id);
        std::vector<Message> sent;
        while (at->has_ready()) {
            const Ready& ready = at->ready();
            checker.on_ready(*at.node, ready);
            at.disk.persist(ready);
            if (ready.must_sync) checker.on_persist(*at.node, ready);
            for (const Message& message : ready.messages) {
                checker.on_send(*at.node, message, at.disk);
                sent.push_back(message);
            }
            at->advance();
        }
        checker.after_step(*at.node, disks);
        return sent;
    }
    // Of what it says, only what is for these goes there; so do the answers, which come back.
    void talk(NodeId from, const std::vector<Message>& said, std::uint64_t to) {
        for (const Message& message : said) {
            if ((to >> message.to & 1U) == 0) continue;
            nodes.at(message.to)->step(message);
            talk(message.to, pump(message.to), std::uint64_t{1} << from);
        }
    }
    std::vector<Message> stand(NodeId id) {
        Driven& at = nodes.at(id);
        const Ballot before = at->ballot();
        while (at->ballot() == before) at->tick();
        return pump(id);
    }
};

std::uint64_t set_of(std::initializer_list<NodeId> ids) {
    std::uint64_t set = 0;
    for (const NodeId id : ids) set |= std::uint64_t{1} << id;
    return set;
}

}  // namespace

// Node 1 accepts in the ballot of node 3, then makes the value chosen in its own, higher one. The vote of node 5, which
// heard of neither, makes it chosen in the ballot of node 3 as well: node 3 may say so.
TEST(a_late_vote_makes_a_value_chosen_in_a_lower_ballot_too) {
    Watched all;
    const std::vector<Message> prepares = all.stand(3);
    Driven& third = all.nodes.at(3);
    std::vector<Message> accepts;
    for (const Message& prepare : prepares)
        if (prepare.to == 1 || prepare.to == 5) {
            all.nodes.at(prepare.to)->step(prepare);
            for (const Message& promise : all.pump(prepare.to)) third->step(promise);
        }
    CHECK(third->role() == Role::leader);
    (void)third->propose(Payload(std::string_view("x")), {}, 0);
    accepts = all.pump(3);
    for (const Message& accept : accepts)
        if (accept.to == 1) all.nodes.at(1)->step(accept);
    (void)all.pump(1);  // its answer is lost

    all.talk(1, all.stand(1), set_of({2, 4}));
    CHECK(all.nodes.at(1)->role() == Role::leader);
    all.talk(1, all.pump(1), set_of({2, 4}));
    for (int i = 0; i < 5; ++i) {
        all.nodes.at(1)->tick();
        all.talk(1, all.pump(1), set_of({2, 4}));
    }
    CHECK_EQUAL(all.nodes.at(1)->commit_index(), 1U);
    const Ballot higher = all.nodes.at(1)->ballot();
    CHECK(higher > third->ballot());

    for (const Message& accept : accepts)
        if (accept.to == 5) all.nodes.at(5)->step(accept);
    for (const Message& accepted : all.pump(5)) third->step(accepted);
    third->step(accepted_of(1, 3, third->ballot(), 0, 1));  // that of node 1 was late
    (void)all.pump(3);
    CHECK_EQUAL(third->commit_index(), 1U);
    CHECK(third->promised() < higher);
}

TEST(a_value_chosen_twice_is_one_value) {
    Watched all;
    const auto vote = [&](NodeId id, Ballot ballot, const char* text) {
        const Entry entry = entry_of(ballot, 1, text);
        Ready ready;
        ready.entries = {&entry, 1};
        all.checker.on_persist(*all.nodes.at(id).node, ready);
    };
    for (const NodeId id : {1U, 2U}) vote(id, {1, 1}, "a");
    for (const NodeId id : {3U, 4U, 5U}) vote(id, {2, 2}, "b");  // chosen; nothing is yet in {1, 1}
    CHECK_THROWS(vote(3, {1, 1}, "a"), fastmas::base::InvariantError, "at most one value is chosen in a slot");
}

TEST_MAIN
