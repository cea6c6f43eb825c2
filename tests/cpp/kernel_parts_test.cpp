// The small parts of cpp/base that the kernel is made of: byte codec, histogram, tick clock.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "base/byte_codec.hpp"
#include "base/log_histogram.hpp"
#include "base/prng.hpp"
#include "base/tick_clock.hpp"
#include "check.hpp"

using fastmas::base::ByteReader;
using fastmas::base::ByteWriter;
using fastmas::base::LogHistogram;
using fastmas::base::Prng;
using fastmas::base::TickClock;

namespace {
std::span<const std::byte> bytes_of(const std::string& text) {
    return std::as_bytes(std::span<const char>(text));
}
}  // namespace

TEST(what_is_written_is_read) {
    std::string out = "kept";
    ByteWriter writer(out);
    writer.put(std::uint16_t{0x1234});
    writer.put(std::int64_t{-2});
    writer.put(1.5);
    writer.put_bytes("xyz", 3);
    CHECK_EQUAL(out.substr(0, 6), std::string("kept\x34\x12"));
    ByteReader reader(bytes_of(out).subspan(4));
    CHECK_EQUAL(reader.get<std::uint16_t>(), 0x1234);
    CHECK_EQUAL(reader.get<std::int64_t>(), -2);
    CHECK_EQUAL(reader.get<double>(), 1.5);
    CHECK(!reader.finished());
    CHECK_EQUAL(reader.left(), 3U);
    CHECK(reader.get_bytes(3)[2] == std::byte{'z'});
    CHECK(reader.finished());
}

TEST(a_read_past_the_end_fails_and_stays_failed) {
    const std::string data = "abcdefghij";
    ByteReader reader(bytes_of(data));
    CHECK_EQUAL(reader.get<std::uint32_t>(), 0x64636261U);
    CHECK_EQUAL(reader.get<std::uint64_t>(), 0U);  // six bytes are left
    CHECK(!reader.ok());
    CHECK_EQUAL(reader.get<std::uint8_t>(), 0);  // although a byte would be there
    CHECK(!reader.finished());
    ByteReader huge(bytes_of(data));
    CHECK(huge.get_bytes(~std::size_t{0}).empty());
    CHECK(!huge.ok());
    ByteReader empty({});
    CHECK(empty.finished());
}

TEST(buckets_cover_everything_and_err_by_a_thirty_second_at_most) {
    std::uint64_t previous = 0;
    for (std::size_t index = 0; index < (64 - LogHistogram::kPartBits + 1) * LogHistogram::kParts; ++index) {
        const std::uint64_t last = LogHistogram::last_of(index);
        CHECK_EQUAL(LogHistogram::bucket(last), index);
        if (index > 0) {
            CHECK(last > previous);
            CHECK_EQUAL(LogHistogram::bucket(previous + 1), index);
            CHECK(static_cast<double>(last) <= static_cast<double>(previous + 1) * (1.0 + 1.0 / 32));
        }
        previous = last;
    }
    CHECK_EQUAL(previous, ~std::uint64_t{0});
}

TEST(quantiles_agree_with_sorting) {
    LogHistogram histogram;
    CHECK_EQUAL(histogram.quantile(0.5), 0U);
    std::vector<std::uint64_t> values;
    Prng prng(4);
    for (int i = 0; i < 5000; ++i) values.push_back(prng.below(std::uint64_t{1} << prng.below(40)));
    std::uint64_t total = 0;
    for (const auto value : values) {
        histogram.add(value);
        total += value;
    }
    std::sort(values.begin(), values.end());
    for (const double fraction : {0.01, 0.5, 0.99, 0.999, 1.0}) {
        const std::uint64_t exact = values[static_cast<std::size_t>(std::ceil(fraction * 5000)) - 1];
        const std::uint64_t got = histogram.quantile(fraction);
        CHECK(got >= exact);
        CHECK(static_cast<double>(got) <= static_cast<double>(exact) * (1.0 + 1.0 / 32));
    }
    CHECK_EQUAL(histogram.count(), 5000U);
    CHECK_EQUAL(histogram.total(), total);
    CHECK_EQUAL(histogram.max(), values.back());
    CHECK_EQUAL(histogram.quantile(1.0), values.back());
}

TEST(ticks_measure_time) {
    const TickClock clock;
    const std::uint64_t start_ns = fastmas::base::steady_ns(), start = clock.now();
    while (fastmas::base::steady_ns() - start_ns < 2'000'000) continue;
    const double ticks = static_cast<double>(clock.now() - start);
    const double elapsed = static_cast<double>(fastmas::base::steady_ns() - start_ns);
    const double measured = ticks * clock.ns_per_tick();
    CHECK(measured > 1'900'000);
    CHECK(measured < elapsed * 1.05);
}

TEST_MAIN
