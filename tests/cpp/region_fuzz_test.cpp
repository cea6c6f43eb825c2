// The header of a shared ring from hostile hands: it gives a spec in which every number is in range, or an error that
// says what is wrong; nothing of it is used unchecked.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iostream>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "base/prng.hpp"
#include "check.hpp"
#include "child_process.hpp"
#include "ringbuffer/region.hpp"

using fastmas::base::Prng;
using fastmas::testing::kRoundsDivisor;
using namespace fastmas::ringbuffer;

namespace {

using Bytes = std::vector<std::byte>;

RegionSpec valid_spec() {
    RegionSpec spec;
    spec.kind = RingKind::spsc;
    spec.shape = {1024, 64};
    spec.dtype = "[('price', '<i8')]";
    return spec;
}

struct Aligned {
    alignas(RegionHeader) std::byte bytes[sizeof(RegionHeader)];
};

Bytes valid_header(const RegionSpec& spec = valid_spec()) {
    static Aligned memory;
    std::memset(memory.bytes, 0, sizeof memory.bytes);
    finish_header(write_header(memory.bytes, spec));
    return {memory.bytes, memory.bytes + sizeof memory.bytes};
}

template <class T>
Bytes with(std::size_t offset, T value) {
    Bytes header = valid_header();
    std::memcpy(header.data() + offset, &value, sizeof value);
    return header;
}

RegionSpec read(const Bytes& header, std::optional<std::uint64_t> file_bytes = std::nullopt) {
    return read_header(header, file_bytes.value_or(valid_spec().region_bytes()), "/x");
}

std::string text(std::uint64_t number) {
    return std::to_string(number);
}

}  // namespace

TEST(what_is_written_is_read) {
    const RegionSpec spec = read(valid_header());
    CHECK(spec.kind == RingKind::spsc && spec.slots == SlotLayout::contiguous && spec.overflow == Overflow::refuse);
    CHECK_EQUAL(spec.shape.capacity, 1024);
    CHECK_EQUAL(spec.shape.slot_bytes, 64U);
    CHECK_EQUAL(spec.dtype, std::string("[('price', '<i8')]"));
    RegionSpec longest = valid_spec();
    longest.dtype.assign(RegionHeader::kDtypeBytes, 'd');
    CHECK_EQUAL(read(valid_header(longest)).dtype, longest.dtype);
}

TEST(each_mismatch_names_both_sides) {
    const std::string needed = text(valid_spec().region_bytes());
    const std::string header_bytes = text(sizeof(RegionHeader));
    CHECK_THROWS(read(with(0, std::uint64_t{0})), SegmentError, "ring '/x' was never finished");
    CHECK_THROWS(read(with(0, std::uint64_t{7})), SegmentError, "begins with other bytes than FMSRING1");
    CHECK_THROWS(read(with(offsetof(RegionHeader, version), 9U)), SegmentError,
                 "was made by a fastmas whose rings have version 9, this one's have 1; use one fastmas on both sides");
    CHECK_THROWS(read(with(offsetof(RegionHeader, header_bytes), 64U)), SegmentError,
                 "was laid out by another build: header of 64 bytes and layout " + text(layout_hash()) + " there, " +
                     header_bytes + " and " + text(layout_hash()) + " here; use one build of fastmas on both sides");
    CHECK_THROWS(read(with(offsetof(RegionHeader, layout_hash), std::uint64_t{5})), SegmentError,
                 "header of " + header_bytes + " bytes and layout 5 there, ");
    const std::string damaged = "ring '/x' is damaged: ";
    CHECK_THROWS(read(with(offsetof(RegionHeader, kind), 6U)), SegmentError,
                 damaged + "its kind is 6, kinds are 1 to 5; remove it");
    CHECK_THROWS(read(with(offsetof(RegionHeader, slots), 3U)), SegmentError,
                 damaged + "its slot layout is 3, layouts are 1 and 2");
    CHECK_THROWS(read(with(offsetof(RegionHeader, overflow), 3U)), SegmentError,
                 damaged + "its overflow policy is 3, which a spsc ring does not have");
    CHECK_THROWS(read(with(offsetof(RegionHeader, dtype_bytes), 3073U)), SegmentError,
                 damaged + "its dtype has 3073 bytes of text, at most 3072 fit");
    CHECK_THROWS(read(with(offsetof(RegionHeader, capacity), std::int64_t{1000})), SegmentError,
                 damaged + "capacity must be a power of two >= 2, got 1000; try 1024");
    CHECK_THROWS(read(with(offsetof(RegionHeader, record_bytes), std::int64_t{-1})), SegmentError,
                 damaged + "a record must have 1 to 1048576 bytes, got -1");
    CHECK_THROWS(read(with(offsetof(RegionHeader, max_lag_records), std::int64_t{1})), SegmentError,
                 damaged + "max_lag_records is for a ring whose overflow is 'evict', got 1");
    CHECK_THROWS(read(with(offsetof(RegionHeader, region_bytes), std::int64_t{99})), SegmentError,
                 damaged + "it says that it has 99 bytes, a spsc ring of 1024 records of 64 bytes has " + needed);
    CHECK_THROWS(
        read(valid_header(), valid_spec().region_bytes() - 1), SegmentError,
        damaged + "its file has " + text(valid_spec().region_bytes() - 1) + " bytes, its header says " + needed);
    CHECK_THROWS(read_header(valid_header(), valid_spec().region_bytes(), "/x", RingKind::broadcast), SegmentError,
                 "ring '/x' is a ring of kind spsc, not broadcast; attach to it with SpscRing");
}

TEST(a_header_that_ends_early) {
    const Bytes whole = valid_header();
    for (std::size_t length = 0; length < whole.size(); ++length) {
        const Bytes head(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
        CHECK_THROWS(read(head, length), SegmentError, "ring '/x' ");
        if (length >= 12) CHECK_THROWS(read(head, length), SegmentError, "its file has " + text(length) + " bytes");
    }
}

// Any spec that comes out is one that create() could have written, and its region fits into the file.
TEST(random_damage_gives_a_sound_spec_or_an_error) {
    Prng random(20261122);
    const std::size_t numbers_end = offsetof(RegionHeader, dtype);
    const std::int64_t edges[] = {0,
                                  1,
                                  -1,
                                  2,
                                  std::int64_t{1} << 62,
                                  std::numeric_limits<std::int64_t>::max(),
                                  std::numeric_limits<std::int64_t>::min(),
                                  std::int64_t{1} << 33,
                                  0xFFFFFFFF};
    int sound = 0;
    int refused = 0;
    for (int round = 0; round < 200'000 / kRoundsDivisor; ++round) {
        Bytes header = valid_header();
        for (std::uint64_t damage = random.below(3) + 1; damage > 0; --damage) {
            if (random.below(2) == 0) {
                header[random.below(numbers_end)] = static_cast<std::byte>(random.below(256));
            } else {
                const std::size_t offset = random.below(numbers_end / 4) * 4;
                const std::int64_t value = edges[random.below(std::size(edges))];
                std::memcpy(header.data() + offset, &value, std::min<std::size_t>(8, numbers_end - offset));
            }
        }
        const std::uint64_t file_bytes = random.below(4) == 0 ? random.below(1U << 20U) : std::uint64_t{1} << 40U;
        try {
            const RegionSpec spec = read(header, file_bytes);
            ++sound;
            spec.check();
            CHECK(spec.region_bytes() <= file_bytes);
            CHECK(spec.dtype.size() <= RegionHeader::kDtypeBytes);
        } catch (const SegmentError&) {
            ++refused;
        }
    }
    std::cout << sound << " sound, " << refused << " refused\n";
    CHECK(sound > 100 && refused > 100'000 / kRoundsDivisor);
}

TEST_MAIN
