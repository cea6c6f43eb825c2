#include "market/event_queue.hpp"

#include <algorithm>
#include <vector>

#include "base/errors.hpp"
#include "base/prng.hpp"
#include "check.hpp"

using fastmas::base::InvariantError;
using fastmas::base::Prng;
using fastmas::market::Event;
using fastmas::market::EventQueue;

namespace {

Event at(std::int64_t time_ns, std::uint32_t detail = 0) {
    Event event;
    event.time_ns = time_ns;
    event.detail = detail;
    return event;
}

// The dumb queue: a list that is searched from end to end.
struct Reference {
    struct Entry {
        std::int64_t time_ns;
        std::uint32_t rank;
        std::uint64_t sequence;
        std::uint32_t detail;
    };
    std::vector<Entry> entries;

    Entry pop() {
        const auto first = std::min_element(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
            if (a.time_ns != b.time_ns) return a.time_ns < b.time_ns;
            return a.rank != b.rank ? a.rank < b.rank : a.sequence < b.sequence;
        });
        const Entry entry = *first;
        entries.erase(first);
        return entry;
    }
};

}  // namespace

TEST(time_comes_before_rank_and_rank_before_sequence) {
    EventQueue queue;
    queue.push(at(5, 1), 0);
    queue.push(at(3, 2), 9);
    queue.push(at(3, 3), 2);
    queue.push(at(3, 4), 2);
    queue.push(at(-7, 5), 65535);
    for (const std::uint32_t expected : {5U, 3U, 4U, 2U, 1U}) CHECK_EQUAL(queue.pop().detail, expected);
    CHECK(queue.empty());
}

TEST(equal_times_and_ranks_keep_the_order_of_pushing) {
    EventQueue queue;
    for (std::uint32_t i = 0; i < 1000; ++i) queue.push(at(1, i), 3);
    for (std::uint32_t i = 0; i < 1000; ++i) CHECK_EQUAL(queue.pop().detail, i);
}

TEST(what_is_pushed_for_the_present_instant_takes_its_place_among_what_waited_for_it) {
    EventQueue queue;
    queue.push(at(10, 1), 1);
    queue.push(at(10, 2), 5);
    queue.push(at(11, 9), 0);
    CHECK_EQUAL(queue.pop().detail, 1U);  // the instant is now 10, and rank 5 of it waits in the other heap
    queue.push(at(10, 3), 7);
    queue.push(at(10, 4), 3);
    queue.push(at(10, 5), 5);
    CHECK_EQUAL(queue.size(), 5U);
    for (const std::uint32_t expected : {4U, 2U, 5U, 3U, 9U}) CHECK_EQUAL(queue.pop().detail, expected);
}

TEST(top_is_what_pop_gives) {
    EventQueue queue;
    Prng prng(3);
    for (int i = 0; i < 2000; ++i) {
        queue.push(at(prng.between(0, 50)), static_cast<std::uint32_t>(prng.below(4)));
        if (prng.below(3) == 0) {
            const auto order = queue.top().order;
            CHECK_EQUAL(queue.pop().order, order);
        }
    }
}

TEST(an_event_put_back_has_the_place_it_had) {
    EventQueue queue;
    queue.push(at(1, 1), 2);
    queue.push(at(1, 2), 2);
    const Event first = queue.pop();
    queue.push(at(1, 3), 0);
    queue.put_back(first);
    for (const std::uint32_t expected : {3U, 1U, 2U}) CHECK_EQUAL(queue.pop().detail, expected);
}

TEST(a_sequence_of_the_callers_orders_within_its_rank) {
    EventQueue queue;
    queue.push_with_sequence(at(1, 7), 0, 7);
    queue.push(at(1, 1), 1);
    queue.push_with_sequence(at(1, 2), 0, 2);
    for (const std::uint32_t expected : {2U, 7U, 1U}) CHECK_EQUAL(queue.pop().detail, expected);
}

TEST(a_rank_above_the_greatest_is_refused) {
    EventQueue queue;
    queue.push(at(0), EventQueue::kMaxRank);
    CHECK_THROWS(queue.push(at(0), EventQueue::kMaxRank + 1), InvariantError, "an event's rank is above 65535");
    CHECK_EQUAL(queue.size(), 1U);
}

TEST(visiting_sees_every_event_once_and_clear_leaves_none) {
    EventQueue queue;
    for (std::uint32_t i = 0; i < 10; ++i) queue.push(at(i / 5, i), 0);
    (void)queue.pop();
    queue.push(at(0, 10), 0);  // so that both heaps hold something
    std::uint64_t seen = 0;
    queue.for_each([&](const Event& event) { seen |= std::uint64_t{1} << event.detail; });
    CHECK_EQUAL(seen, 0x7feU);
    queue.clear();
    CHECK(queue.empty());
}

// Property: any mixture of pushes (now, later, even earlier), pops and put-backs comes out as from the dumb queue.
TEST(random_histories_agree_with_a_list_that_is_searched) {
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        Prng prng(seed);
        EventQueue queue;
        Reference reference;
        std::int64_t now = 0;
        std::uint64_t sequence = 0;
        const std::int64_t spread = prng.between(1, 30);
        for (std::uint32_t step = 0; step < 3000; ++step) {
            const auto choice = prng.below(10);
            if (choice < 5 || queue.empty()) {
                const std::int64_t time_ns =
                    prng.below(3) == 0 ? now : now + prng.between(seed % 4 == 0 ? -5 : 0, spread);
                const auto rank = static_cast<std::uint32_t>(prng.below(5));
                queue.push(at(time_ns, step), rank);
                reference.entries.push_back({time_ns, rank, sequence++, step});
                continue;
            }
            const Event popped = queue.pop();
            if (choice == 5) {
                queue.put_back(popped);
                continue;
            }
            const Reference::Entry expected = reference.pop();
            CHECK_EQUAL(popped.detail, expected.detail);
            CHECK_EQUAL(popped.time_ns, expected.time_ns);
            now = popped.time_ns;
        }
        while (!queue.empty()) CHECK_EQUAL(queue.pop().detail, reference.pop().detail);
        CHECK(reference.entries.empty());
    }
}

TEST_MAIN
