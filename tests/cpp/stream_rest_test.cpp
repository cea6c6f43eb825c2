#include "ringbuffer/stream_rest.hpp"

#include "check.hpp"

using fastmas::ringbuffer::StreamRest;

TEST(messages_that_come_one_at_a_time_are_never_rested_after) {
    StreamRest rest;
    for (int next = 0; next < 100; ++next) {
        CHECK_EQUAL(rest.nothing_at(next, StreamRest::kLongest), 0);
        if (next % 3 == 0) CHECK_EQUAL(rest.nothing_at(next, StreamRest::kLongest), 0);
    }
}

TEST(a_stream_is_rested_after_longer_each_time_up_to_a_bound) {
    StreamRest rest;
    int expected = StreamRest::kShortest;
    for (int next = 2; next < 40; next += 2) {
        CHECK_EQUAL(rest.nothing_at(next, StreamRest::kLongest), expected);
        expected = expected * 2 > StreamRest::kLongest ? StreamRest::kLongest : expected * 2;
    }
    CHECK_EQUAL(expected, StreamRest::kLongest);
}

TEST(a_record_alone_within_a_stream_does_not_end_it_and_a_look_in_vain_does) {
    StreamRest rest;
    CHECK_EQUAL(rest.nothing_at(10, StreamRest::kLongest), StreamRest::kShortest);
    CHECK_EQUAL(rest.nothing_at(11, StreamRest::kLongest), 0);
    CHECK_EQUAL(rest.nothing_at(13, StreamRest::kLongest), 2 * StreamRest::kShortest);
    CHECK_EQUAL(rest.nothing_at(13, StreamRest::kLongest), 0);
    CHECK_EQUAL(rest.nothing_at(15, StreamRest::kLongest), StreamRest::kShortest);
}

TEST(a_reader_whose_writer_stands_still_never_rests) {
    StreamRest rest;
    for (int next = 0; next < 1000; next += 100) CHECK_EQUAL(rest.nothing_at(next, 0), 0);
}

TEST_MAIN
