// OverwritingRing and EvictingRing on one thread: exact losses, evictions, odd record sizes, heirs.
#include "ringbuffer/overwriting_ring.hpp"

#include <cstring>
#include <deque>
#include <map>
#include <vector>

#include "base/prng.hpp"
#include "check.hpp"
#include "ringbuffer/evicting_ring.hpp"

using fastmas::base::Prng;
using fastmas::ringbuffer::RingShape;
using Overwriting = fastmas::ringbuffer::OverwritingRing<>;
using Evicting = fastmas::ringbuffer::EvictingRing<>;

namespace {

template <class Ring>
void publish(Ring& ring, std::int64_t value) {
    ring.publish(reinterpret_cast<const std::byte*>(&value));
}

template <class Subscriber>
std::int64_t pop(Subscriber& subscriber) {
    std::int64_t value = -1;
    return subscriber.try_pop(reinterpret_cast<std::byte*>(&value)) ? value : -1;
}

// A ring in memory of the test's own, as in shared memory.
template <class Ring>
struct Body {
    explicit Body(RingShape given) : shape(given), block(Ring::body_bytes(given)) { Ring::format(block.data(), shape); }
    RingShape shape;
    fastmas::ringbuffer::Block block;
};

}  // namespace

TEST(what_was_not_read_in_time_is_lost_and_counted) {
    Overwriting ring(RingShape::checked(4, 8));
    publish(ring, 0);
    auto subscriber = ring.subscribe();
    CHECK_EQUAL(pop(subscriber), -1);
    for (std::int64_t i = 1; i < 4; ++i) publish(ring, i);
    CHECK_EQUAL(pop(subscriber), 1);
    for (std::int64_t i = 4; i < 11; ++i) publish(ring, i);
    CHECK_EQUAL(subscriber.lag(), 9);
    CHECK_EQUAL(subscriber.lost(), 0);  // not noticed yet
    CHECK_EQUAL(pop(subscriber), 7);
    CHECK_EQUAL(subscriber.lost(), 5);
    CHECK_EQUAL(subscriber.received(), 2);
    CHECK_EQUAL(subscriber.next_to_pop(), 8);
    for (std::int64_t i = 8; i < 11; ++i) CHECK_EQUAL(pop(subscriber), i);
    CHECK_EQUAL(pop(subscriber), -1);
    CHECK_EQUAL(subscriber.lag(), 0);
    CHECK_EQUAL(ring.was(0).lost, 5);
    CHECK_EQUAL(ring.was(0).position, 11);
}

TEST(a_batch_gets_the_newest_capacity_records) {
    Overwriting ring(RingShape::checked(8, 8));
    auto subscriber = ring.subscribe();
    std::vector<std::int64_t> in(100), out(100);
    for (std::int64_t i = 0; i < 100; ++i) in[static_cast<std::size_t>(i)] = i;
    ring.publish_many(reinterpret_cast<const std::byte*>(in.data()), 100);
    CHECK_EQUAL(ring.published(), 100);
    CHECK_EQUAL(subscriber.available(), 8);
    CHECK_EQUAL(subscriber.poll(reinterpret_cast<std::byte*>(out.data()), 100), 8);
    for (std::int64_t i = 0; i < 8; ++i) CHECK_EQUAL(out[static_cast<std::size_t>(i)], 92 + i);
    CHECK_EQUAL(subscriber.lost(), 92);
    CHECK_EQUAL(subscriber.received(), 8);
    CHECK_EQUAL(subscriber.poll(reinterpret_cast<std::byte*>(out.data()), -1), 0);
}

TEST(front_of_an_overwriting_ring_is_a_copy_that_can_be_left) {
    Overwriting ring(RingShape::checked(2, 8));
    auto subscriber = ring.subscribe();
    std::int64_t value = -1;
    auto* out = reinterpret_cast<std::byte*>(&value);
    CHECK(!subscriber.read_front(out));
    for (std::int64_t i = 0; i < 5; ++i) publish(ring, i);
    CHECK(subscriber.read_front(out));
    CHECK(subscriber.read_front(out));
    CHECK_EQUAL(value, 3);
    CHECK_EQUAL(subscriber.lost(), 3);
    CHECK_EQUAL(subscriber.received(), 0);
    subscriber.pop_front();
    CHECK_EQUAL(subscriber.received(), 1);
    CHECK_EQUAL(pop(subscriber), 4);
}

// Every size of a record up to two words and a bit, so that a tail of each length is copied, and nothing beyond it.
TEST(records_of_every_size_come_out_whole) {
    for (std::size_t bytes = 1; bytes <= 20; ++bytes) {
        Overwriting overwriting(RingShape::checked(4, static_cast<std::int64_t>(bytes)));
        Evicting evicting(RingShape::checked(4, static_cast<std::int64_t>(bytes)), 4);
        auto one = overwriting.subscribe();
        auto two = evicting.subscribe();
        std::vector<std::byte> in(3 * bytes), out(3 * bytes + 1), again(3 * bytes + 1);
        for (std::size_t i = 0; i < in.size(); ++i) in[i] = static_cast<std::byte>(17 * i + bytes);
        overwriting.publish_many(in.data(), 3);
        evicting.publish_many(in.data(), 3);
        out.back() = again.back() = std::byte{0x5A};
        CHECK_EQUAL(one.poll(out.data(), 3), 3);
        CHECK_EQUAL(two.poll(again.data(), 3), 3);
        CHECK(std::memcmp(in.data(), out.data(), in.size()) == 0);
        CHECK(std::memcmp(in.data(), again.data(), in.size()) == 0);
        CHECK(out.back() == std::byte{0x5A});
        CHECK(again.back() == std::byte{0x5A});
    }
}

TEST(losses_against_a_deque_that_forgets) {
    Overwriting ring(RingShape::checked(8, 8));
    auto subscriber = ring.subscribe();
    std::deque<std::int64_t> model;
    std::int64_t sent = 0, lost = 0, received = 0;
    Prng prng(31);
    for (int step = 0; step < 30'000; ++step) {
        std::int64_t values[24];
        const auto count = prng.between(0, 24);
        for (std::int64_t i = 0; i < count; ++i) {
            values[i] = sent++ * 3;
            model.push_back(values[i]);
        }
        ring.publish_many(reinterpret_cast<const std::byte*>(values), count);
        if (prng.below(3) == 0) continue;
        const auto wanted = prng.between(1, 12);
        const auto got = subscriber.poll(reinterpret_cast<std::byte*>(values), wanted);
        const auto gone = std::max<std::int64_t>(0, static_cast<std::int64_t>(model.size()) - 8);
        for (std::int64_t i = 0; i < gone; ++i) model.pop_front();
        lost += gone;
        CHECK_EQUAL(got, std::min(wanted, static_cast<std::int64_t>(model.size())));
        for (std::int64_t i = 0; i < got; ++i) {
            CHECK_EQUAL(values[i], model.front());
            model.pop_front();
        }
        received += got;
        CHECK_EQUAL(subscriber.lost(), lost);
        CHECK_EQUAL(subscriber.received(), received);
        CHECK_EQUAL(subscriber.next_to_pop(), received + subscriber.lost());
    }
    CHECK(lost > 1000);
}

TEST(the_loss_outlives_its_reader) {
    Body<Overwriting> body(RingShape::checked(2, 8));
    Overwriting ring(body.block.data(), body.shape);
    auto died = ring.subscribe(5, false);
    for (std::int64_t i = 0; i < 5; ++i) publish(ring, i);
    CHECK_EQUAL(pop(died), 3);
    died.forget();
    for (std::int64_t i = 5; i < 8; ++i) publish(ring, i);
    auto heir = ring.resume(5, false);
    CHECK_EQUAL(heir.lost(), 3);
    CHECK_EQUAL(heir.received(), 1);
    CHECK_EQUAL(pop(heir), 6);
    CHECK_EQUAL(heir.lost(), 5);
    CHECK_EQUAL(pop(heir), 7);
    heir.leave();
    auto anew = ring.subscribe(5, false);
    CHECK_EQUAL(anew.lost(), 0);
    CHECK_EQUAL(anew.joined_at(), 8);
}

TEST(a_lagging_subscriber_is_put_out) {
    Evicting ring(RingShape::checked(8, 8), 3);
    auto slow = ring.subscribe();
    auto fast = ring.subscribe();
    for (std::int64_t i = 0; i < 3; ++i) {
        publish(ring, i);
        CHECK_EQUAL(pop(fast), i);
    }
    CHECK(!slow.evicted());
    CHECK_EQUAL(slow.lag(), ring.max_lag());
    CHECK_EQUAL(pop(slow), 0);
    publish(ring, 3);
    CHECK_EQUAL(ring.evicted(), 0);
    publish(ring, 4);
    CHECK(slow.evicted());
    CHECK(!fast.evicted());
    CHECK_EQUAL(ring.evicted(), 1);
    CHECK(ring.was(0).evicted);
    CHECK(!ring.was(1).evicted);
    std::int64_t value = -1;
    CHECK(!slow.read_front(reinterpret_cast<std::byte*>(&value)));
    CHECK_EQUAL(pop(slow), -1);
    CHECK_EQUAL(slow.received(), 1);
    CHECK_EQUAL(pop(fast), 3);
    slow.leave();
    slow = ring.subscribe();
    CHECK_EQUAL(slow.joined_at(), 5);
    publish(ring, 5);
    CHECK_EQUAL(pop(slow), 5);
    CHECK_EQUAL(ring.evicted(), 1);
}

TEST(an_eviction_between_copy_and_give_back_throws_the_copy_away) {
    Evicting ring(RingShape::checked(2, 8), 2);
    auto subscriber = ring.subscribe();
    publish(ring, 0);
    std::int64_t value = -1;
    CHECK(subscriber.read_front(reinterpret_cast<std::byte*>(&value)));
    publish(ring, 1);
    publish(ring, 2);
    CHECK(!subscriber.pop_front());
    CHECK_EQUAL(subscriber.received(), 0);
}

TEST(batches_of_up_to_max_lag_spare_who_keeps_up) {
    Evicting ring(RingShape::checked(8, 8), 4);
    auto subscriber = ring.subscribe();
    std::int64_t values[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    const auto* bytes = reinterpret_cast<const std::byte*>(values);
    std::int64_t out[8];
    for (int i = 0; i < 10; ++i) {
        ring.publish_many(bytes, 4);
        CHECK_EQUAL(subscriber.available(), 4);
        CHECK_EQUAL(subscriber.poll(reinterpret_cast<std::byte*>(out), 8), 4);
    }
    CHECK_EQUAL(ring.evicted(), 0);
    ring.publish_many(bytes, 5);
    CHECK(subscriber.evicted());
    CHECK_EQUAL(ring.published(), 45);
}

TEST(heirs_in_a_ring_that_evicts) {
    Body<Evicting> body(RingShape::checked(4, 8));
    Evicting ring(body.block.data(), body.shape, 2);
    auto died = ring.subscribe(1, true);
    publish(ring, 0);
    publish(ring, 1);
    CHECK_EQUAL(pop(died), 0);
    died.forget();
    {
        auto heir = ring.resume(1, true);
        CHECK_EQUAL(heir.received(), 1);
        CHECK_EQUAL(pop(heir), 1);
        heir.forget();
    }
    Evicting other(body.block.data(), body.shape, 2);
    other.resume_producer();
    for (std::int64_t i = 2; i < 5; ++i) publish(other, i);
    CHECK_EQUAL(other.published(), 5);
    CHECK_EQUAL(other.evicted(), 1);
    CHECK(!ring.resume(1, true).joined());
    ring.vacate(1);
    CHECK_EQUAL(ring.subscribe(1, true).joined_at(), 5);
}

TEST_MAIN
