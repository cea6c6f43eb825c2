// Sessions in blocks: no request is decided twice, late ones neither, and what is kept of clients is bounded.
#include "bft_rig.hpp"
#include "check.hpp"

using namespace fastmas::testing;

namespace {

bft::Command command_of(const Session& session, std::int64_t time_ns = 0) {
    return {CommandKind::command, session, time_ns, payload("c")};
}

struct ChainRig {
    SimKeys keys{4, 1};
    ChainState chain;
    ChainLimits limits;

    ChainRig() {
        std::vector<Validator> all = bft_config(1, keys).validators;
        ValidatorSet first(std::move(all));
        chain = ChainState::genesis(genesis_digest("test", limits, first), first);
    }
    Block block(std::vector<bft::Command> commands) const {
        Block made;
        made.height = chain.height + 1;
        made.first_index = chain.index + 1;
        made.proposer = 1;
        made.parent = chain.last_id;
        made.validators = made.next_validators = chain.validators->digest();
        made.time_ns = chain.time_ns;
        for (const bft::Command& command : commands) made.time_ns = std::max(made.time_ns, command.time_ns);
        made.commands = std::move(commands);
        made.id = block_digest(made);
        return made;
    }
    std::string check(std::vector<bft::Command> commands) const {
        const char* problem = chain.check(block(std::move(commands)), limits, nullptr);
        return problem == nullptr ? "" : problem;
    }
    void decide(std::vector<bft::Command> commands) {
        CHECK_EQUAL(check(commands), "");
        chain.apply(block(std::move(commands)));
    }
};

}  // namespace

TEST(a_request_is_decided_once_until_its_time_is_over_and_never_after) {
    ChainRig rig;
    const Session request{9, 1, 0, 100};
    rig.decide({command_of(request, 10)});
    CHECK_EQUAL(rig.check({command_of(request, 20)}), "a request out of turn");
    rig.decide({command_of({8, 1, 0, 1000}, 101)});
    CHECK(!rig.chain.clients.has(9));
    CHECK_EQUAL(rig.check({command_of(request, 102)}), "a request whose time is over");
    // whoever begins again does so with requests of its own
    CHECK_EQUAL(rig.check({command_of({9, 2, 1, 1000}, 102)}), "");
}

TEST(nobody_is_pushed_out_of_the_chain_while_a_retry_may_come) {
    ChainRig rig;
    std::uint64_t client = 0;
    while (rig.chain.clients.room().clients > 0) {
        std::vector<bft::Command> commands;
        for (int i = 0; i < 512; ++i) commands.push_back(command_of({++client, 1, 0, client == 5 ? 100 : 200}, 1));
        rig.decide(std::move(commands));
    }
    CHECK_EQUAL(rig.check({command_of({1, 2, 1, 200}, 2)}), "");
    CHECK_EQUAL(rig.check({command_of({client + 1, 1, 0, 200}, 2)}), "too many clients");
    CommandPool pool(1, {});
    CHECK(pool.add(command_of({client + 1, 1, 0, 200}, 2), 1, rig.chain.clients) == CommandPool::Added::added);
    CHECK(!pool.has_eligible(rig.chain.clients) && pool.take(rig.limits, rig.chain.clients).empty());
    rig.decide({command_of({1, 2, 1, 200}, 101)});  // the time of client 5 is over
    CHECK(pool.has_eligible(rig.chain.clients));
    CHECK_EQUAL(pool.take(rig.limits, rig.chain.clients).size(), 1U);
    // two more than there is room for: the block has one
    CHECK(pool.add(command_of({client + 2, 1, 0, 200}, 2), 1, rig.chain.clients) == CommandPool::Added::added);
    CHECK_EQUAL(pool.take(rig.limits, rig.chain.clients).size(), 1U);
    CHECK_EQUAL(rig.check(pool.take(rig.limits, rig.chain.clients)), "");
}

TEST(clients_that_never_expire_take_half_of_the_places_at_most) {
    ChainRig rig;
    std::uint64_t client = 0;
    while (rig.chain.clients.room().lasting > 0) {
        std::vector<bft::Command> commands;
        for (int i = 0; i < 512; ++i) commands.push_back(command_of({++client, 1, 0}, 1));
        rig.decide(std::move(commands));
    }
    CHECK_EQUAL(client, 2'048U);
    CHECK_EQUAL(rig.check({command_of({1, 2, 1}, 2)}), "");  // one of them goes on
    CHECK_EQUAL(rig.check({command_of({9'001, 1, 0}, 2)}), "too many clients that never expire");
    CommandPool pool(1, {});
    const auto waits = [&](const Session& session) {
        return pool.add(command_of(session, 2), 1, rig.chain.clients) == CommandPool::Added::added;
    };
    CHECK(waits({9'001, 1, 0}));
    CHECK(!pool.has_eligible(rig.chain.clients) && pool.take(rig.limits, rig.chain.clients).empty());
    // those that expire come in, and come to last as little as others
    CHECK(waits({9'002, 1, 0, 200}) && waits({9'002, 2, 1}));
    CHECK_EQUAL(pool.take(rig.limits, rig.chain.clients).size(), 1U);
    CHECK_EQUAL(rig.check({command_of({9'002, 1, 0, 200}, 2), command_of({9'002, 2, 1}, 2)}),
                "too many clients that never expire");
    rig.decide({command_of({9'002, 1, 0, 200}, 2)});
    CHECK_EQUAL(rig.check({command_of({9'002, 2, 1}, 2)}), "too many clients that never expire");
    // a last request makes room for one, at once
    const Session last{7, 9, Session::kLastRequest, 300};
    CHECK(waits(last) && pool.take(rig.limits, rig.chain.clients).size() == 1);
    rig.decide({command_of(last, 3)});
    CHECK_EQUAL(rig.chain.clients.room().lasting, 1U);
    pool.remove_decided(rig.chain.clients);
    CHECK_EQUAL(pool.take(rig.limits, rig.chain.clients).size(), 1U);
    CHECK_EQUAL(rig.check({command_of({9'001, 1, 0}, 4), command_of({9'002, 2, 1}, 4)}),
                "too many clients that never expire");
    rig.decide({command_of({9'001, 1, 0}, 4)});
    CHECK(rig.chain.clients.has(7) && rig.chain.clients.last(7) == 9);
    rig.decide({command_of({9'002, 2, 1, 900}, 301)});
    CHECK(!rig.chain.clients.has(7));
    // and what was counted is what a snapshot of the marks counts
    ClientMarks copy;
    for (const auto& [id, mark] : rig.chain.clients.all()) copy.insert(id, mark);
    CHECK_EQUAL(copy.room().lasting, rig.chain.clients.room().lasting);
    CHECK_EQUAL(copy.room().lasting, 0U);
}

TEST(a_last_request_must_end) {
    ChainRig rig;
    rig.decide({command_of({9, 1, 0}, 1)});
    CHECK_EQUAL(rig.check({command_of({9, 2, Session::kLastRequest}, 2)}), "a request out of turn");
    CHECK_EQUAL(rig.check({command_of({9, 2, 2, 50}, 2)}), "a request out of turn");
    CHECK_EQUAL(rig.check({command_of({9, 1, Session::kLastRequest, 50}, 2)}), "a request out of turn");
    CHECK_EQUAL(rig.check({command_of({9, 5, Session::kLastRequest, 50}, 2)}), "");
    BftRig nodes(4);
    CHECK(nodes.at(1)->propose(payload("a"), {9, 1, Session::kLastRequest}, 10).status == ProposeStatus::refused);
    CHECK(nodes.at(1)->propose(payload("a"), {9, 1, 1}, 10).status == ProposeStatus::refused);
    CHECK(nodes.at(1)->propose(payload("b"), {9, 1, Session::kLastRequest, 50}, 10).status == ProposeStatus::appended);
    nodes.run();
    for (NodeId id = 1; id <= 4; ++id) CHECK_EQUAL(nodes.at(id).commands(), "b ");
}

TEST(the_pool_proposes_nothing_whose_time_is_over) {
    ChainRig rig;
    CommandPool pool(1, {});
    CHECK(pool.add(command_of({9, 1, 0, 100}, 1), 1, rig.chain.clients) == CommandPool::Added::added);
    CHECK(pool.has_eligible(rig.chain.clients));
    rig.decide({command_of({8, 1, 0}, 101)});
    CHECK(!pool.has_eligible(rig.chain.clients) && pool.take(rig.limits, rig.chain.clients).empty());
    CHECK(pool.add(command_of({9, 2, 0, 100}, 1), 1, rig.chain.clients) == CommandPool::Added::expired);
    for (int call = 0; call < 3; ++call) pool.expire(rig.chain.clients, 3);
    CHECK_EQUAL(pool.size(), 0U);
}

TEST(a_block_names_when_its_requests_expire) {
    ChainRig rig;
    const Digest plain = rig.block({command_of({9, 1, 0}, 1)}).id;
    const Digest ends = rig.block({command_of({9, 1, 0, 100}, 1)}).id;
    CHECK(plain != ends);
    CHECK(ends != rig.block({command_of({9, 1, 0, 101}, 1)}).id);
}

TEST(nodes_refuse_what_came_too_late_and_answer_what_came_in_time) {
    BftRig rig(4);
    CHECK(rig.at(1)->propose(payload("a"), {9, 1, 0, 50}, 10).status == ProposeStatus::appended);
    rig.run();
    CHECK(rig.at(1)->propose(payload("b"), {8, 1, 0, 500}, 60).status == ProposeStatus::appended);
    rig.run();
    CHECK(rig.at(2)->propose(payload("a"), {9, 1, 0, 50}, 61).status == ProposeStatus::refused);
    for (NodeId id = 1; id <= 4; ++id) CHECK_EQUAL(rig.at(id).commands(), "a b ");
}

TEST_MAIN
