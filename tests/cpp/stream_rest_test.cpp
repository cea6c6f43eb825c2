// When a reader looks away from a stream: the rule by itself, and every ring that keeps to it, with the pauses counted.
#include "ringbuffer/stream_rest.hpp"

#include <array>
#include <cstddef>

#include "check.hpp"
#include "ringbuffer/broadcast_ring.hpp"
#include "ringbuffer/byte_ring.hpp"
#include "ringbuffer/mpsc_ring.hpp"
#include "ringbuffer/sequenced_spsc_ring.hpp"
#include "ringbuffer/spsc_ring.hpp"

using namespace fastmas::ringbuffer;

namespace {

struct CountingMemory : HardwareMemory {
    static inline int turns = 0;
    static void relax() noexcept { ++turns; }
};

int turns_of(auto&& look) {
    CountingMemory::turns = 0;
    look();
    return CountingMemory::turns;
}

int rested(StreamRest& rest, Sequence next, int longest = StreamRest::kLongest) {
    return turns_of([&] { rest.nothing_at<CountingMemory>(next, longest); });
}

using Record = std::array<std::byte, 8>;

// Each ring by the same calls, and each way in which its reader looks.
template <class R>
struct OneToOne {
    R ring{RingShape::checked(8, 8)};
    R& reader = ring;
    bool push(const Record& record) { return ring.try_push(record.data()); }
    bool pop(Record& record) { return ring.try_pop(record.data()); }
};
struct ManyToOne : OneToOne<MpscRing<CountingMemory>> {
    bool push(const Record& record) { return ring.try_push(0, record.data()); }
};
struct OneToMany {
    BroadcastRing<CountingMemory> ring{RingShape::checked(8, 8)};
    BroadcastRing<CountingMemory>::Subscriber reader = ring.subscribe();
    bool push(const Record& record) { return ring.try_publish(record.data()); }
    bool pop(Record& record) { return reader.try_pop(record.data()); }
};
struct Frames {
    using Ring = ByteRing<CountingMemory>;
    Ring ring{Ring::shape(256)};
    Ring& reader = ring;
    bool push(const Record& record) { return ring.try_push(record.data(), record.size()); }
    bool pop(Record& record) {
        std::size_t bytes = 0;
        return ring.try_pop(record.data(), record.size(), &bytes) == Ring::Popped::done;
    }
};

// Pushes and pops that many, then looks where nothing is.
template <class Rig>
int rest_after(Rig& rig, int records, auto&& look) {
    Record record{};
    for (int i = 0; i < records; ++i) CHECK(rig.push(record));
    for (int i = 0; i < records; ++i) CHECK(rig.pop(record));
    return turns_of([&] { CHECK(look(rig)); });
}

template <class Rig>
void rests_after_a_stream_only(auto&& look) {
    Rig rig;
    CHECK_EQUAL(rest_after(rig, 0, look), 0);
    for (int message = 0; message < 4; ++message) CHECK_EQUAL(rest_after(rig, 1, look), 0);
    int expected = StreamRest::kShortest;
    for (int batch = 0; batch < 8; ++batch) {
        CHECK_EQUAL(rest_after(rig, 2, look), expected);
        expected = expected * 2 > StreamRest::kLongest ? StreamRest::kLongest : expected * 2;
    }
    CHECK_EQUAL(rest_after(rig, 0, look), 0);
    CHECK_EQUAL(rest_after(rig, 2, look), StreamRest::kShortest);
    rig.reader.never_rest();
    for (int batch = 0; batch < 4; ++batch) CHECK_EQUAL(rest_after(rig, 2, look), 0);
}

constexpr auto kPop = [](auto& rig) {
    Record record;
    return !rig.pop(record);
};
constexpr auto kFront = [](auto& rig) { return rig.reader.front() == nullptr; };
constexpr auto kFrontFrame = [](auto& rig) { return rig.reader.front().data == nullptr; };
constexpr auto kPopMany = [](auto& rig) {
    std::array<std::byte, 64> records;
    return rig.reader.pop_many(records.data(), 8) == 0;
};
constexpr auto kPoll = [](auto& rig) {
    std::array<std::byte, 64> records;
    return rig.reader.poll(records.data(), 8) == 0;
};

}  // namespace

TEST(messages_that_come_one_at_a_time_are_never_rested_after) {
    StreamRest rest;
    for (int next = 0; next < 100; ++next) {
        CHECK_EQUAL(rested(rest, next), 0);
        if (next % 3 == 0) CHECK_EQUAL(rested(rest, next), 0);
    }
}

TEST(a_stream_is_rested_after_longer_each_time_up_to_a_bound) {
    StreamRest rest;
    int expected = StreamRest::kShortest;
    for (int next = 2; next < 40; next += 2) {
        CHECK_EQUAL(rested(rest, next), expected);
        expected = expected * 2 > StreamRest::kLongest ? StreamRest::kLongest : expected * 2;
    }
    CHECK_EQUAL(expected, StreamRest::kLongest);
}

TEST(a_record_alone_within_a_stream_does_not_end_it_and_a_look_in_vain_does) {
    StreamRest rest;
    CHECK_EQUAL(rested(rest, 10), StreamRest::kShortest);
    CHECK_EQUAL(rested(rest, 11), 0);
    CHECK_EQUAL(rested(rest, 13), 2 * StreamRest::kShortest);
    CHECK_EQUAL(rested(rest, 13), 0);
    CHECK_EQUAL(rested(rest, 15), StreamRest::kShortest);
}

TEST(a_reader_whose_writer_stands_still_never_rests) {
    StreamRest rest;
    for (int next = 0; next < 1000; next += 100) CHECK_EQUAL(rested(rest, next, 0), 0);
}

TEST(the_reader_of_an_spsc_ring_rests) {
    rests_after_a_stream_only<OneToOne<SpscRing<CountingMemory>>>(kPop);
    rests_after_a_stream_only<OneToOne<SpscRing<CountingMemory>>>(kFront);
    rests_after_a_stream_only<OneToOne<SpscRing<CountingMemory>>>(kPopMany);
}

TEST(the_reader_of_a_sequenced_ring_rests) {
    rests_after_a_stream_only<OneToOne<SequencedSpscRing<CountingMemory>>>(kPop);
    rests_after_a_stream_only<OneToOne<SequencedSpscRing<CountingMemory>>>(kFront);
    rests_after_a_stream_only<OneToOne<SequencedSpscRing<CountingMemory>>>(kPopMany);
}

TEST(the_reader_of_an_mpsc_ring_rests) {
    rests_after_a_stream_only<ManyToOne>(kPop);
    rests_after_a_stream_only<ManyToOne>(kFront);
    rests_after_a_stream_only<ManyToOne>(kPopMany);
}

TEST(the_reader_of_a_byte_ring_rests) {
    rests_after_a_stream_only<Frames>(kPop);
    rests_after_a_stream_only<Frames>(kFrontFrame);
}

TEST(a_subscriber_rests) {
    rests_after_a_stream_only<OneToMany>(kPop);
    rests_after_a_stream_only<OneToMany>(kFront);
    rests_after_a_stream_only<OneToMany>(kPoll);
}

TEST_MAIN
