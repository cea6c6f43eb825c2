#include "market/join_tracker.hpp"

#include "check.hpp"

using fastmas::market::Destination;
using fastmas::market::JoinTracker;

namespace {

int messages[8];

std::vector<std::uint32_t> ready(JoinTracker& tracker, JoinTracker::Origin& origin) {
    std::vector<std::uint32_t> joins;
    tracker.schedule_ready(origin, joins);
    return joins;
}

}  // namespace

// Levels 0 and 1 are plain nodes, join 0 is at level 2, join 1 at level 3.
TEST(a_join_waits_for_lower_levels_and_for_what_is_on_its_way_to_it) {
    JoinTracker tracker(4, {2, 3});
    JoinTracker::Origin& origin = *tracker.open(7);
    const Destination worker{1}, join{2, 0};
    tracker.sent(origin, worker);
    tracker.sent(origin, join);
    tracker.sent(origin, join);
    tracker.arrived(origin, 0, &messages[0]);
    CHECK(!tracker.ready(origin, 0));  // one more is on its way here, and the worker may send another
    tracker.arrived(origin, 0, &messages[1]);
    CHECK(!tracker.ready(origin, 0));
    tracker.handled(origin, worker);
    CHECK(tracker.ready(origin, 0));
    CHECK(!tracker.ready(origin, 1));  // nothing has reached it
    CHECK_EQUAL(ready(tracker, origin).size(), 1U);
    CHECK(ready(tracker, origin).empty());  // told once only
    std::vector<void*> taken;
    tracker.take(origin, 0, taken);
    CHECK_EQUAL(taken.size(), 2U);
    CHECK(taken[0] == &messages[0] && taken[1] == &messages[1]);
}

TEST(a_join_waits_for_the_buffers_of_joins_below) {
    JoinTracker tracker(4, {2, 3});
    JoinTracker::Origin& origin = *tracker.open(7);
    const Destination lower{2, 0}, upper{3, 1};
    tracker.sent(origin, lower);
    tracker.sent(origin, upper);
    tracker.arrived(origin, 0, &messages[0]);
    tracker.arrived(origin, 1, &messages[1]);
    CHECK(!tracker.ready(origin, 1));
    CHECK_EQUAL(ready(tracker, origin).at(0), 0U);
    std::vector<void*> taken;
    tracker.take(origin, 0, taken);
    CHECK(!tracker.ready(origin, 1));  // the lower join is being called: it may still send
    tracker.sent(origin, upper);
    tracker.handled(origin, lower);
    CHECK(!tracker.ready(origin, 1));
    tracker.arrived(origin, 1, &messages[2]);
    CHECK_EQUAL(ready(tracker, origin).at(0), 1U);
}

TEST(what_is_sent_between_completion_and_the_turn_holds_the_join_up) {
    JoinTracker tracker(4, {2, 3});
    JoinTracker::Origin& origin = *tracker.open(7);
    const Destination join{2, 0}, worker{0};
    tracker.sent(origin, join);
    tracker.arrived(origin, 0, &messages[0]);
    CHECK_EQUAL(ready(tracker, origin).size(), 1U);
    tracker.sent(origin, worker);
    std::vector<void*> taken{&messages[5]};
    tracker.take(origin, 0, taken);
    CHECK(taken.empty());
    tracker.handled(origin, worker);
    CHECK_EQUAL(ready(tracker, origin).size(), 1U);  // told again
    tracker.take(origin, 0, taken);
    CHECK_EQUAL(taken.size(), 1U);
}

TEST(origins_are_apart_and_are_forgotten_when_done) {
    JoinTracker tracker(3, {2});
    JoinTracker::Origin* first = tracker.open(1);
    JoinTracker::Origin* second = tracker.open(2);
    CHECK(first != second);
    CHECK(tracker.open(1) == first);
    const Destination worker{0}, join{2, 0};
    tracker.sent(*first, worker);
    tracker.sent(*second, join);
    tracker.arrived(*second, 0, &messages[0]);
    CHECK(tracker.ready(*second, 0));  // what the first has under way is no business of the second
    tracker.close_if_done(first);
    CHECK_EQUAL(tracker.open_origins(), 2U);
    tracker.handled(*first, worker);
    tracker.close_if_done(first);
    CHECK_EQUAL(tracker.open_origins(), 1U);
    JoinTracker::Origin* third = tracker.open(3);
    CHECK(third == first);  // reused, and clean
    CHECK_EQUAL(third->id, 3U);
    CHECK_EQUAL(third->pending, 0U);
    CHECK_EQUAL(third->buffered, 0U);
    std::vector<void*> taken;
    tracker.take(*second, 0, taken);
    CHECK_EQUAL(tracker.open_origins(), 2U);
    tracker.handled(*second, join);
    tracker.close_if_done(second);
    CHECK_EQUAL(tracker.open_origins(), 1U);
}

TEST_MAIN
