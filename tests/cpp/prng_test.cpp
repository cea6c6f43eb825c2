#include "base/prng.hpp"

#include "check.hpp"

using fastmas::base::derive_seed;
using fastmas::base::Prng;

// The first outputs of splitmix64 for state 1234567, as published with the reference implementation.
TEST(prng_gives_the_published_stream) {
    Prng prng(1234567);
    CHECK_EQUAL(prng.next(), 6457827717110365317ULL);
    CHECK_EQUAL(prng.next(), 3203168211198807973ULL);
    CHECK_EQUAL(prng.next(), 9817491932198370423ULL);
    CHECK_EQUAL(prng.next(), 4593380528125082431ULL);
}

TEST(below_stays_below_and_reaches_both_ends) {
    Prng prng(7);
    bool zero = false, top = false;
    for (int i = 0; i < 10'000; ++i) {
        const auto x = prng.below(10);
        CHECK(x < 10);
        zero = zero || x == 0;
        top = top || x == 9;
    }
    CHECK(zero && top);
    CHECK_EQUAL(prng.below(0), 0U);
    CHECK_EQUAL(prng.below(1), 0U);
}

TEST(below_is_the_high_half_of_the_product) {
    for (std::uint64_t bound : {3ULL, 1000ULL, 0x123456789abcdefULL, ~0ULL}) {
        Prng a(99), b(99);
        for (int i = 0; i < 1000; ++i) {
            __extension__ using Wide = unsigned __int128;
            CHECK_EQUAL(a.below(bound), static_cast<std::uint64_t>((static_cast<Wide>(b.next()) * bound) >> 64));
        }
    }
}

TEST(between_takes_the_whole_range) {
    Prng prng(5);
    for (int i = 0; i < 1000; ++i) {
        const auto x = prng.between(-3, 3);
        CHECK(x >= -3 && x <= 3);
    }
    (void)prng.between(INT64_MIN, INT64_MAX);
}

TEST(named_streams_depend_on_seed_and_name_only) {
    CHECK_EQUAL(derive_seed(1, "momentum"), derive_seed(1, "momentum"));
    CHECK(derive_seed(1, "momentum") != derive_seed(2, "momentum"));
    CHECK(derive_seed(1, "momentum") != derive_seed(1, "momentun"));
}

TEST_MAIN
