// BroadcastRing on one thread: joins, leaves, gating, lag, exact counts.
#include "ringbuffer/broadcast_ring.hpp"

#include <cstring>
#include <deque>
#include <map>
#include <vector>

#include "base/prng.hpp"
#include "check.hpp"

using fastmas::base::Prng;
using fastmas::ringbuffer::kMaxSubscribers;
using fastmas::ringbuffer::RingShape;
using Ring = fastmas::ringbuffer::BroadcastRing<>;

namespace {

bool publish(Ring& ring, std::int64_t value) {
    return ring.try_publish(reinterpret_cast<const std::byte*>(&value));
}

std::int64_t pop(Ring::Subscriber& subscriber) {
    std::int64_t value = -1;
    subscriber.try_pop(reinterpret_cast<std::byte*>(&value));
    return value;
}

}  // namespace

TEST(every_subscriber_sees_every_record) {
    Ring ring(RingShape::checked(4, 8));
    auto one = ring.subscribe();
    auto two = ring.subscribe();
    CHECK(publish(ring, 10));
    CHECK(publish(ring, 11));
    CHECK_EQUAL(pop(one), 10);
    CHECK_EQUAL(pop(two), 10);
    CHECK_EQUAL(pop(two), 11);
    CHECK_EQUAL(pop(two), -1);
    CHECK_EQUAL(one.lag(), 1);
    CHECK_EQUAL(two.lag(), 0);
    CHECK_EQUAL(one.received(), 1);
    CHECK_EQUAL(two.received(), 2);
    CHECK_EQUAL(ring.published(), 2);
}

TEST(the_slowest_subscriber_stops_the_producer) {
    Ring ring(RingShape::checked(4, 8));
    auto slow = ring.subscribe();
    auto fast = ring.subscribe();
    for (std::int64_t i = 0; i < 4; ++i) {
        CHECK(publish(ring, i));
        CHECK_EQUAL(pop(fast), i);
    }
    CHECK(!publish(ring, 4));
    CHECK(ring.was_full());
    CHECK_EQUAL(ring.room(), 0);
    CHECK_EQUAL(slow.lag(), ring.capacity());
    CHECK_EQUAL(pop(slow), 0);
    CHECK(!ring.was_full());
    CHECK_EQUAL(ring.room(), 1);
    CHECK(publish(ring, 4));
    CHECK(!publish(ring, 5));
    slow.leave();
    CHECK_EQUAL(pop(fast), 4);
    CHECK_EQUAL(ring.room(), 4);
}

TEST(without_subscribers_nothing_stops_the_producer) {
    Ring ring(RingShape::checked(2, 8));
    for (std::int64_t i = 0; i < 100; ++i) CHECK(publish(ring, i));
    auto late = ring.subscribe();
    CHECK_EQUAL(late.joined_at(), 100);
    CHECK_EQUAL(pop(late), -1);
    CHECK(publish(ring, 100));
    CHECK(publish(ring, 101));
    CHECK(!publish(ring, 102));
    CHECK_EQUAL(pop(late), 100);
    CHECK_EQUAL(pop(late), 101);
}

TEST(batches_wrap_and_are_cut_to_the_room) {
    Ring ring(RingShape::checked(8, 8));
    auto subscriber = ring.subscribe();
    std::int64_t in[16], out[16];
    std::int64_t sent = 0, seen = 0;
    Prng prng(5);
    for (int step = 0; step < 5'000; ++step) {
        const auto count = prng.between(0, 12);
        for (std::int64_t i = 0; i < count; ++i) in[i] = (sent + i) * 3;
        const auto taken = ring.publish_many(reinterpret_cast<const std::byte*>(in), count);
        CHECK_EQUAL(taken, std::min(count, 8 - (sent - seen)));
        sent += taken;
        const auto wanted = prng.between(0, 12);
        const auto got = subscriber.poll(reinterpret_cast<std::byte*>(out), wanted);
        CHECK_EQUAL(got, std::min(wanted, sent - seen));
        for (std::int64_t i = 0; i < got; ++i) CHECK_EQUAL(out[i], (seen + i) * 3);
        seen += got;
        CHECK_EQUAL(subscriber.received(), seen);
        CHECK_EQUAL(subscriber.available(), sent - seen);
    }
    CHECK_EQUAL(ring.publish_many(reinterpret_cast<const std::byte*>(in), -3), 0);
    CHECK_EQUAL(subscriber.poll(reinterpret_cast<std::byte*>(out), -3), 0);
}

TEST(places_run_out_and_come_back) {
    Ring ring(RingShape::checked(2, 8));
    std::vector<Ring::Subscriber> all;
    for (std::int64_t i = 0; i < kMaxSubscribers; ++i) {
        all.push_back(ring.subscribe());
        CHECK(all.back().joined());
    }
    CHECK(!ring.subscribe().joined());
    all[17].leave();
    all[17].leave();
    auto again = ring.subscribe();
    CHECK(again.joined());
    CHECK(!ring.subscribe().joined());
    CHECK(publish(ring, 7));
    CHECK_EQUAL(pop(all[63]), 7);
    CHECK_EQUAL(pop(again), 7);
}

TEST(moving_a_subscriber_moves_its_place) {
    Ring ring(RingShape::checked(2, 8));
    auto first = ring.subscribe();
    CHECK(publish(ring, 1));
    Ring::Subscriber second = std::move(first);
    CHECK(!first.joined());
    CHECK_EQUAL(pop(second), 1);
    {
        auto other = ring.subscribe();
        second = std::move(other);  // leaves its old place
        CHECK_EQUAL(second.joined_at(), 1);
    }
    CHECK(publish(ring, 2));
    CHECK(publish(ring, 3));
    CHECK(!publish(ring, 4));
    CHECK_EQUAL(pop(second), 2);
    CHECK(publish(ring, 4));
}

TEST(front_shows_the_slot_in_place) {
    Ring ring(RingShape::checked(2, 8));
    auto subscriber = ring.subscribe();
    CHECK(subscriber.front() == nullptr);
    CHECK(publish(ring, 5));
    std::int64_t value = 0;
    std::memcpy(&value, subscriber.front(), 8);
    CHECK_EQUAL(value, 5);
    subscriber.pop_front();
    CHECK(subscriber.front() == nullptr);
    CHECK_EQUAL(subscriber.received(), 1);
}

// A ring in memory of the test's own, as in shared memory: each view forgets what the one before knew.
struct Body {
    explicit Body(RingShape given) : shape(given), block(Ring::body_bytes(given)) { Ring::format(block.data(), shape); }
    Ring view() { return Ring(block.data(), shape); }
    RingShape shape;
    fastmas::ringbuffer::Block block;
};

TEST(two_views_of_one_body_are_one_ring) {
    Body body(RingShape::checked(4, 8));
    Ring producer = body.view(), other = body.view();
    auto subscriber = other.subscribe();
    CHECK(publish(producer, 5));
    CHECK_EQUAL(pop(subscriber), 5);
    CHECK_EQUAL(other.published(), 1);
}

TEST(a_new_producer_goes_on_after_the_last_publication) {
    Body body(RingShape::checked(4, 8));
    Ring readers = body.view();
    auto subscriber = readers.subscribe();
    {
        Ring producer = body.view();
        for (std::int64_t i = 0; i < 3; ++i) CHECK(publish(producer, i));
    }
    CHECK_EQUAL(pop(subscriber), 0);
    Ring heir = body.view();
    heir.resume_producer();
    CHECK_EQUAL(heir.room(), 2);
    CHECK(publish(heir, 3));
    CHECK(publish(heir, 4));
    CHECK(!publish(heir, 5));
    for (std::int64_t i = 1; i < 5; ++i) CHECK_EQUAL(pop(subscriber), i);
    CHECK_EQUAL(subscriber.received(), 5);
}

TEST(a_new_holder_of_a_place_goes_on_where_the_last_one_was) {
    Body body(RingShape::checked(4, 8));
    Ring ring = body.view();
    CHECK(publish(ring, 0));
    auto died = ring.subscribe(3, true);
    for (std::int64_t i = 1; i < 4; ++i) CHECK(publish(ring, i));
    CHECK_EQUAL(pop(died), 1);
    died.forget();
    CHECK(ring.was(3).joined);
    CHECK(ring.was(3).required);
    CHECK_EQUAL(ring.was(3).position, 2);
    CHECK(publish(ring, 4));
    CHECK(publish(ring, 5));
    CHECK(!publish(ring, 6));  // the place still counts
    auto heir = ring.resume(3, false);
    CHECK(heir.joined());
    CHECK(!ring.was(3).required);
    CHECK_EQUAL(heir.joined_at(), 1);
    CHECK_EQUAL(heir.received(), 1);
    for (std::int64_t i = 2; i < 6; ++i) CHECK_EQUAL(pop(heir), i);
    CHECK_EQUAL(pop(heir), -1);
}

TEST(who_died_and_was_put_out_joins_anew) {
    Ring ring(RingShape::checked(2, 8));
    CHECK(!ring.resume(0, false).joined());  // nobody was there
    auto died = ring.subscribe();
    died.forget();
    CHECK(publish(ring, 0));
    CHECK(publish(ring, 1));
    CHECK(!publish(ring, 2));
    CHECK_EQUAL(ring.evicted(), 0);
    ring.put_out(0);
    CHECK_EQUAL(ring.evicted(), 1);
    CHECK(!ring.was(0).joined);
    CHECK(publish(ring, 2));
    CHECK(!ring.resume(0, false).joined());
    CHECK_EQUAL(ring.subscribe(0, false).joined_at(), 3);
}

// Joins, leaves, publications and polls in random order, against one deque a subscriber.
TEST(random_membership_against_deques) {
    Ring ring(RingShape::checked(8, 8));
    std::map<int, std::pair<Ring::Subscriber, std::deque<std::int64_t>>> model;
    Prng prng(9);
    std::int64_t sent = 0;
    int next_name = 0;
    for (int step = 0; step < 30'000; ++step) {
        const auto what = prng.below(10);
        if (what == 0 && model.size() < 10) {
            model[next_name++].first = ring.subscribe();
        } else if (what == 1 && !model.empty()) {
            model.erase(std::next(model.begin(), static_cast<std::ptrdiff_t>(prng.below(model.size()))));
        } else if (what < 6) {
            std::size_t longest = 0;
            for (auto& [name, entry] : model) longest = std::max(longest, entry.second.size());
            CHECK_EQUAL(publish(ring, sent), longest < 8);
            if (longest < 8) {
                for (auto& [name, entry] : model) entry.second.push_back(sent);
                ++sent;
            }
        } else {
            for (auto& [name, entry] : model) {
                auto& [subscriber, expected] = entry;
                CHECK_EQUAL(subscriber.lag(), static_cast<std::int64_t>(expected.size()));
                if (expected.empty()) {
                    CHECK_EQUAL(pop(subscriber), -1);
                } else if (prng.below(2) == 0) {
                    CHECK_EQUAL(pop(subscriber), expected.front());
                    expected.pop_front();
                }
            }
        }
    }
    CHECK(sent > 1000);
}

TEST_MAIN
