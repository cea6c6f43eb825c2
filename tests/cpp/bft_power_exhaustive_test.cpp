// Thresholds of voting power against their definition, for all small totals and all sets of small weighted validators.
#include "bft_machine.hpp"
#include "check.hpp"

using namespace fastmas::testing;

TEST(thresholds_are_more_than_two_and_one_thirds) {
    for (Power total = 1; total <= 400; ++total)
        for (Power power = 0; power <= total; ++power) {
            CHECK_EQUAL(is_quorum(power, total), power * 3 > total * 2);
            CHECK_EQUAL(has_correct(power, total), power * 3 > total);
            // what is not more than the liars hold never passes either
            if (power <= max_faulty(total)) CHECK(!has_correct(power, total) && !is_quorum(power, total));
            // exactly one third is neither: too much for liars, too little to vouch
            if (power > max_faulty(total)) CHECK(has_correct(power, total) || power * 3 == total);
        }
}

TEST(thresholds_are_the_papers_for_n_is_3f_plus_1) {
    for (Power f = 0; f <= 100; ++f) {
        const Power n = 3 * f + 1;
        CHECK_EQUAL(max_faulty(n), f);
        CHECK(is_quorum(2 * f + 1, n) && !is_quorum(2 * f, n));
        CHECK(has_correct(f + 1, n) && !has_correct(f, n));
    }
}

TEST(thresholds_do_not_wrap_at_the_greatest_total) {
    CHECK(is_quorum(kMaxTotalPower, kMaxTotalPower));
    CHECK(!is_quorum(kMaxTotalPower / 3 * 2, kMaxTotalPower));
    CHECK(is_quorum(kMaxTotalPower / 3 * 2 + 2, kMaxTotalPower));
    CHECK(has_correct(kMaxTotalPower / 3 + 1, kMaxTotalPower));
    CHECK(!has_correct(kMaxTotalPower / 3, kMaxTotalPower));
}

// For every assignment of powers 1..4 to up to five validators: any two quorums share a correct validator whenever the
// liars hold less than a third, and the correct ones alone are a quorum.
TEST(two_quorums_share_a_correct_validator) {
    for (std::size_t n = 1; n <= 5; ++n) {
        std::size_t assignments = 1;
        for (std::size_t i = 0; i < n; ++i) assignments *= 4;
        for (std::size_t code = 0; code < assignments; ++code) {
            std::vector<Power> powers;
            for (std::size_t i = 0, rest = code; i < n; ++i, rest /= 4) powers.push_back(1 + rest % 4);
            const ValidatorSet set = set_of(powers);
            const std::uint64_t all = (std::uint64_t{1} << n) - 1;
            for (std::uint64_t a = 0; a <= all; ++a) {
                const bool liars = set.power_of(a) <= max_faulty(set.total());
                if (liars) CHECK(is_quorum(set.power_of(all & ~a), set.total()));
                if (!is_quorum(set.power_of(a), set.total())) continue;
                for (std::uint64_t b = 0; b <= all; ++b)
                    if (is_quorum(set.power_of(b), set.total())) CHECK(set.power_of(a & b) > max_faulty(set.total()));
            }
        }
    }
}

TEST_MAIN
