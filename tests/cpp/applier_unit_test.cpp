// What committed entries do to a replica (applier, replies that are kept), and how replicas that differ are told.
#include <string>

#include "base/errors.hpp"
#include "check.hpp"
#include "consensus/applier.hpp"
#include "consensus/raft/types.hpp"
#include "consensus/simulation/divergence.hpp"

using namespace fastmas::testing;
using namespace fastmas::consensus;
using namespace fastmas::consensus::raft;
using fastmas::base::InvariantError;
using fastmas::base::Payload;

namespace {

struct Counter : StateMachine {
    int applied = 0;
    Result next;
    std::int64_t time_ns = 0;
    Result apply(const Command& command) override {
        ++applied;
        time_ns = command.time_ns;
        Result result = next;
        if (result.status == ResultStatus::applied) result.reply = Payload(std::to_string(command.index));
        return result;
    }
    std::uint64_t digest() override { return static_cast<std::uint64_t>(applied); }
    bool can_snapshot() const override { return true; }
    Payload snapshot() override { return Payload(std::to_string(applied)); }
    void restore(std::span<const std::byte> state) override {
        applied = std::stoi(std::string(reinterpret_cast<const char*>(state.data()), state.size()));
    }
};

Entry request(Index index, std::uint64_t client, std::uint64_t sequence, std::uint64_t acknowledged = 0) {
    return {
        1,           index, static_cast<std::int64_t>(index) * 10, {client, sequence, acknowledged}, EntryKind::command,
        Payload("c")};
}
Entry noop(Index index) {
    return {1, index, 0, {}, EntryKind::noop, Payload()};
}

}  // namespace

TEST(commands_are_counted_without_no_ops_and_duplicates) {
    auto owned = std::make_unique<Counter>();
    Counter& machine = *owned;
    Applier applier(std::move(owned));
    CHECK(applier.apply(noop(1)).kind == Applied::Kind::nothing);
    CHECK_EQUAL(applier.apply(request(2, 7, 1)).index, 1U);
    CHECK(applier.apply(request(3, 7, 1)).kind == Applied::Kind::duplicate);
    CHECK_EQUAL(applier.apply(request(4, 7, 2)).index, 2U);
    CHECK_EQUAL(applier.apply(request(5, 8, 1)).index, 3U);
    CHECK(applier.apply(request(6, 7, 2)).kind == Applied::Kind::duplicate);
    CHECK(applier.apply(request(7, 7, 1)).kind == Applied::Kind::duplicate);
    CHECK_EQUAL(machine.applied, 3);
    CHECK_EQUAL(machine.time_ns, 50);
    CHECK_EQUAL(applier.sessions().reply({7, 1, 0})->reply.text(), "1");
    CHECK_EQUAL(applier.commands(), 3U);
    CHECK_THROWS(applier.apply(request(9, 7, 3)), InvariantError, "entries are applied in order, expected 8, got 9");
}

TEST(entries_without_a_session_take_effect_every_time) {
    Applier applier(std::make_unique<Counter>());
    CHECK_EQUAL(applier.apply(request(1, 0, 0)).index, 1U);
    CHECK_EQUAL(applier.apply(request(2, 0, 0)).index, 2U);
}

TEST(a_rejected_command_counts_and_is_remembered) {
    auto owned = std::make_unique<Counter>();
    owned->next = {ResultStatus::rejected, Payload("no")};
    Applier applier(std::move(owned));
    const Applied applied = applier.apply(request(1, 7, 1));
    CHECK_EQUAL(applied.index, 1U);
    CHECK(applied.result.status == ResultStatus::rejected);
    CHECK_EQUAL(applier.sessions().reply({7, 1, 0})->reply.text(), "no");
}

TEST(acknowledged_replies_are_forgotten_and_stay_seen) {
    Applier applier(std::make_unique<Counter>());
    for (Index index = 1; index <= 5; ++index) applier.apply(request(index, 7, index, index >= 4 ? 2 : 0));
    CHECK(applier.sessions().reply({7, 2, 0}) == nullptr);
    CHECK_EQUAL(applier.sessions().reply({7, 3, 0})->reply.text(), "3");
}

TEST(a_snapshot_carries_machine_sessions_and_count) {
    Applier first(std::make_unique<Counter>());
    for (Index index = 1; index <= 5; ++index) first.apply(request(index, 7, index));
    Applier second(std::make_unique<Counter>());
    second.restore(5, first.snapshot());
    CHECK(second.apply(request(6, 7, 5)).kind == Applied::Kind::duplicate);
    CHECK_EQUAL(second.sessions().reply({7, 5, 0})->reply.text(), "5");
    CHECK_EQUAL(second.apply(request(7, 7, 6)).index, 6U);
    CHECK_THROWS(second.restore(9, Payload("short")), InvariantError, "the snapshot at index 9 is damaged");
}

TEST(the_majority_decides_and_whoever_differs_is_named) {
    DivergenceMonitor monitor(3);
    CHECK(!monitor.vote(1, 1, 7).decided_now);
    CHECK(!monitor.vote(1, 1, 7).decided_now);  // the same node again: after a restart
    CHECK(!monitor.vote(2, 1, 8).decided_now);
    const auto verdict = monitor.vote(3, 1, 8);
    CHECK(verdict.decided_now);
    CHECK(verdict.diverged == std::vector<NodeId>{1});
    CHECK(!monitor.vote(1, 1, 7).agrees);
    CHECK(monitor.vote(2, 1, 8).agrees);
}

TEST(three_different_results_cannot_be_decided) {
    DivergenceMonitor monitor(3);
    CHECK(!monitor.vote(1, 1, 1).impossible);
    CHECK(!monitor.vote(2, 1, 2).impossible);
    CHECK(monitor.vote(3, 1, 3).impossible);
    // a later command may be decided all the same
    monitor.vote(1, 2, 5);
    CHECK(monitor.vote(2, 2, 5).decided_now);
}

TEST(payloads_share_long_bytes_and_copy_short_ones) {
    const Payload small("short"), large(std::string(100, 'x'));
    Payload small_copy = small, large_copy = large;
    CHECK(small_copy == small && small_copy.data() != small.data());
    CHECK(large_copy == large && large_copy.data() == large.data());
    Payload moved = std::move(large_copy);
    CHECK(large_copy.empty());
    moved = small;
    CHECK_EQUAL(moved.text(), "short");
    CHECK_EQUAL(large.text(), std::string(100, 'x'));
    CHECK_EQUAL(Payload(std::string(40, 'y')).size(), 40U);
}

TEST_MAIN
