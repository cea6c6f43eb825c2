// Sessions and the applier: whatever is retried, and whenever, takes effect at most once, and memory is bounded.
#include <map>
#include <set>
#include <string>

#include "base/errors.hpp"
#include "base/prng.hpp"
#include "check.hpp"
#include "consensus/applier.hpp"

using namespace fastmas::testing;
using namespace fastmas::consensus;
using fastmas::base::InvariantError;
using fastmas::base::Payload;
using fastmas::base::Prng;

namespace {

// Answers each command with its bytes, and keeps them all.
struct Memory : StateMachine {
    std::vector<std::string> applied;
    Result apply(const Command& command) override {
        const Payload bytes(command.bytes);
        applied.emplace_back(bytes.text());
        return {ResultStatus::applied, bytes};
    }
    bool can_snapshot() const override { return true; }
};

struct Rig {
    Rig() : Rig(std::make_unique<Memory>()) {}
    explicit Rig(std::unique_ptr<Memory> owned) : machine(*owned), applier(std::move(owned)) {}

    Applied::Kind apply(std::int64_t time_ns, const Session& session, const std::string& text = "x") {
        return applier.apply(++index, time_ns, session, EntryKind::command, Payload(text)).kind;
    }

    Memory& machine;
    Applier applier;
    Index index = 0;
};

using Kind = Applied::Kind;

}  // namespace

TEST(a_retry_takes_effect_once_until_its_time_is_over_and_never_after) {
    Rig rig;
    const Session request{7, 1, 0, 100};
    CHECK(rig.apply(10, request) == Kind::effect);
    CHECK(rig.apply(100, request) == Kind::duplicate);
    CHECK_EQUAL(rig.applier.sessions().reply(request)->reply.text(), "x");
    CHECK(rig.apply(101, request) == Kind::expired);
    CHECK_EQUAL(rig.machine.applied.size(), 1U);
    CHECK_EQUAL(rig.applier.commands(), 1U);
    CHECK(rig.applier.sessions().reply(request) == nullptr);
}

TEST(a_request_that_comes_after_its_time_has_no_effect) {
    Rig rig;
    CHECK(rig.apply(101, {7, 1, 0, 100}) == Kind::expired);
    CHECK_EQUAL(rig.applier.sessions().size(), 0U);
    // by the log's time: the entry's, whatever anybody's clock says
    CHECK(rig.apply(101, {7, 2, 0, 101}) == Kind::effect);
}

TEST(a_client_is_forgotten_once_none_of_its_requests_can_come_again) {
    Rig rig;
    CHECK(rig.apply(1, {7, 1, 0, 500}) == Kind::effect);
    CHECK(rig.apply(2, {7, 2, 0, 50}) == Kind::effect);  // expires before the one before it
    CHECK(rig.apply(3, {8, 1, 0, 60}) == Kind::effect);
    CHECK(rig.apply(100, {9, 1, 0, 1000}) == Kind::effect);
    CHECK_EQUAL(rig.applier.sessions().size(), 2U);  // 7 and 9
    CHECK(rig.apply(400, {7, 1, 0, 500}) == Kind::duplicate);
    CHECK(rig.apply(400, {8, 1, 0, 60}) == Kind::expired);
    CHECK(rig.apply(501, {9, 2, 0, 1000}) == Kind::effect);
    CHECK_EQUAL(rig.applier.sessions().size(), 1U);
    // and may begin again, with whatever number
    CHECK(rig.apply(502, {7, 3, 0, 1000}) == Kind::effect);
}

TEST(without_an_expiry_a_client_is_kept_for_good) {
    Rig rig;
    CHECK(rig.apply(1, {7, 1, 0}) == Kind::effect);
    CHECK(rig.apply(INT64_MAX, {8, 1, 0}) == Kind::effect);
    CHECK(rig.apply(INT64_MAX, {7, 1, 0}) == Kind::duplicate);
}

TEST(nobody_is_pushed_out_while_a_retry_may_come) {
    Rig rig;
    for (std::uint64_t client = 1; client <= SessionTable::kMaxClients; ++client)
        CHECK(rig.apply(1, {client, 1, 0, client == 5 ? 100 : 200}) == Kind::effect);
    CHECK(rig.apply(2, {9000, 1, 0, 200}) == Kind::crowded);
    CHECK(rig.apply(2, {1, 1, 0, 200}) == Kind::duplicate);
    CHECK(rig.apply(2, {1, 2, 0, 200}) == Kind::effect);
    // there is room once a client's time is over, and a refused request may come again
    CHECK(rig.apply(101, {9000, 1, 0, 200}) == Kind::effect);
    CHECK_EQUAL(rig.applier.sessions().size(), SessionTable::kMaxClients);
    CHECK_EQUAL(rig.machine.applied.size(), SessionTable::kMaxClients + 2);
}

TEST(a_snapshot_carries_when_sessions_end) {
    Rig first;
    first.apply(1, {7, 1, 0, 100}, "seven");
    first.apply(2, {8, 1, 0, 300}, "eight");
    Rig second;
    second.applier.restore(2, first.applier.snapshot());
    second.index = 2;
    CHECK(second.apply(50, {7, 1, 0, 100}) == Kind::duplicate);
    CHECK(second.apply(101, {7, 1, 0, 100}) == Kind::expired);
    CHECK(second.apply(101, {8, 1, 0, 300}) == Kind::duplicate);
    CHECK_EQUAL(second.applier.sessions().size(), 1U);
    CHECK_EQUAL(second.applier.sessions().reply({8, 1, 0})->reply.text(), "eight");
}

// Against a model that never forgets: clients that retry at random, late ones included, through replicas that are
// restored from snapshots now and then.
TEST(no_request_ever_takes_effect_twice) {
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        Prng random(seed);
        Rig rig;
        std::set<std::pair<std::uint64_t, std::uint64_t>> effects;
        std::map<std::uint64_t, std::uint64_t> highest;
        std::vector<Session> sent;
        std::int64_t now_ns = 0;
        for (int step = 0; step < 2'000; ++step) {
            now_ns += static_cast<std::int64_t>(random.below(10));
            Session session;
            if (!sent.empty() && random.below(2) == 0) {
                session = sent[random.below(sent.size())];
            } else {
                session.client = 1 + random.below(30);
                session.sequence = ++highest[session.client];
                session.expires_ns = now_ns + static_cast<std::int64_t>(random.below(400)) - 20;
                sent.push_back(session);
            }
            const Kind kind = rig.apply(now_ns, session, std::to_string(step));
            if (kind == Kind::effect) {
                CHECK(effects.emplace(session.client, session.sequence).second);
                CHECK(now_ns <= session.expires_ns);
            }
            if (kind == Kind::expired) CHECK(now_ns > session.expires_ns);
            if (random.below(100) == 0) {
                const Payload state = rig.applier.snapshot();
                rig.applier.restore(rig.index, state);
                CHECK(rig.applier.snapshot() == state);
            }
        }
        CHECK(rig.applier.sessions().size() <= 30);
    }
}

TEST(a_session_has_one_encoding) {
    for (const Session& session : {Session{1, 2, 3}, Session{1, 2, 3, 44}, Session{1, 2, 3, INT64_MIN}}) {
        std::vector<std::byte> bytes;
        Writer writer(bytes);
        put(writer, session);
        CHECK_EQUAL(bytes.size(), encoded_size(session));
        Reader reader(bytes);
        Session copy;
        CHECK(get(reader, copy, expires(session)));
        CHECK(copy == session && reader.left() == 0);
        Reader short_of_one(std::span<const std::byte>(bytes).first(bytes.size() - 1));
        CHECK(!get(short_of_one, copy, expires(session)));
    }
    std::vector<std::byte> bytes;
    Writer writer(bytes);
    put(writer, Session{1, 2, 3});
    writer.put(INT64_MAX);
    Reader reader(bytes);
    Session copy;
    CHECK(!get(reader, copy, true));  // one that never expires, written as one that does
}

// The rules of Session are the client's: what becomes of one that breaks them.
TEST(a_retry_that_expires_later_outlives_the_memory_of_the_first) {
    Rig rig;
    CHECK(rig.apply(1, {7, 1, 0, 100}) == Kind::effect);
    CHECK(rig.apply(90, {7, 1, 0, 300}) == Kind::duplicate);
    CHECK(rig.apply(150, {7, 1, 0, 300}) == Kind::effect);  // rule 1
}
TEST(a_request_that_expires_after_the_next_one_may_come_behind_it) {
    Rig rig;
    CHECK(rig.apply(1, {7, 2, 0, 50}) == Kind::effect);
    CHECK(rig.apply(2, {7, 1, 0, 500}) == Kind::duplicate);
    CHECK(rig.apply(60, {7, 1, 0, 500}) == Kind::effect);  // rule 2
    // that keeps to it: whichever comes first, none takes effect after one behind it
    CHECK(rig.apply(61, {8, 2, 0, 500}) == Kind::effect);
    CHECK(rig.apply(62, {8, 1, 0, 70}) == Kind::duplicate);
    CHECK(rig.apply(501, {8, 1, 0, 70}) == Kind::expired);
}
TEST(a_request_without_a_number_has_no_effect) {
    Rig rig;
    CHECK(rig.apply(1, {7, 0, 0, 100}) == Kind::expired);
    CHECK(rig.machine.applied.empty());
}
TEST(the_highest_number_breaks_nothing) {
    Rig rig;
    CHECK(rig.apply(1, {7, UINT64_MAX, UINT64_MAX - 1, 100}) == Kind::effect);
    CHECK(rig.applier.sessions().reply({7, UINT64_MAX}) != nullptr);
    CHECK(rig.applier.sessions().reply({7, 5}) == nullptr);
    rig.applier.restore(rig.index, rig.applier.snapshot());
    CHECK(rig.apply(2, {7, UINT64_MAX, 0, 100}) == Kind::duplicate);
    CHECK(rig.applier.sessions().reply({7, UINT64_MAX}) != nullptr);
}

TEST(clients_that_are_kept_for_good_leave_room_to_those_that_are_not) {
    Rig rig;
    for (std::uint64_t client = 1; client <= SessionTable::kMaxLasting; ++client)
        CHECK(rig.apply(1, {client, 1, 0}) == Kind::effect);
    CHECK(rig.apply(1, {9000, 1, 0}) == Kind::crowded);
    CHECK(rig.apply(1, {9000, 1, 0, 100}) == Kind::effect);
    CHECK(rig.apply(1, {9000, 2, 0}) == Kind::crowded);  // it would stay, too
    CHECK(rig.apply(1, {1, 2, 0}) == Kind::effect);      // it stays already
    for (std::uint64_t client = 5001; rig.applier.sessions().size() < SessionTable::kMaxClients; ++client)
        CHECK(rig.apply(2, {client, 1, 0, 100}) == Kind::effect);
    CHECK(rig.apply(3, {9500, 1, 0, 200}) == Kind::crowded);
    CHECK(rig.apply(101, {9500, 1, 0, 200}) == Kind::effect);
    // the same after a snapshot
    rig.applier.restore(rig.index, rig.applier.snapshot());
    CHECK(rig.apply(102, {9501, 1, 0}) == Kind::crowded);
}
TEST(a_client_that_is_kept_for_good_can_be_ended) {
    Rig rig;
    for (std::uint64_t client = 1; client <= SessionTable::kMaxLasting; ++client)
        CHECK(rig.apply(1, {client, 1, 0}) == Kind::effect);
    const Session last{5, 2, Session::kLastRequest, 100};
    CHECK(rig.apply(10, last, "bye") == Kind::effect);
    CHECK_EQUAL(rig.applier.sessions().reply(last)->reply.text(), "bye");
    CHECK(rig.applier.sessions().reply({5, 1}) == nullptr);
    // there is room for another at once, and retries are told apart until it has expired
    CHECK(rig.apply(11, {9000, 1, 0}) == Kind::effect);
    CHECK(rig.apply(100, {5, 1, 0}) == Kind::duplicate);
    CHECK(rig.apply(100, last) == Kind::duplicate);
    rig.applier.restore(rig.index, rig.applier.snapshot());
    CHECK(rig.apply(100, last) == Kind::duplicate);
    CHECK(rig.apply(101, last) == Kind::expired);
    CHECK_EQUAL(rig.applier.sessions().size(), SessionTable::kMaxLasting);
}

TEST_MAIN
