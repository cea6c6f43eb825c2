// The body of a shared ring after something else has written to it: positions and words that make no sense. Records are
// nonsense then, but nothing is read or written outside the ring, and every call comes back. The body lies against a
// page that may not be touched, on either side in turn.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "base/errors.hpp"
#include "base/prng.hpp"
#include "check.hpp"
#include "child_process.hpp"
#include "ringbuffer/broadcast_ring.hpp"
#include "ringbuffer/byte_ring.hpp"
#include "ringbuffer/evicting_ring.hpp"
#include "ringbuffer/mpmc_ring.hpp"
#include "ringbuffer/mpsc_ring.hpp"
#include "ringbuffer/overwriting_ring.hpp"
#include "ringbuffer/sequenced_spsc_ring.hpp"
#include "ringbuffer/slot_word.hpp"
#include "ringbuffer/spsc_ring.hpp"

using fastmas::base::InvariantError;
using fastmas::base::Prng;
using fastmas::testing::kRoundsDivisor;
using namespace fastmas::ringbuffer;

namespace {

// A body between two pages that fault, against the one behind it or the one in front.
class Fenced {
  public:
    Fenced(std::size_t bytes, bool at_end) : bytes_(bytes), page_(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))) {
        CHECK_EQUAL(bytes % kLineBytes, 0U);
        const std::size_t pages = (bytes + page_ - 1) / page_ * page_;
        whole_ = pages + 2 * page_;
        void* const at = mmap(nullptr, whole_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(at != MAP_FAILED);
        start_ = static_cast<std::byte*>(at);
        CHECK_EQUAL(mprotect(start_ + page_, pages, PROT_READ | PROT_WRITE), 0);
        body_ = start_ + page_ + (at_end ? pages - bytes : 0);
    }
    Fenced(const Fenced&) = delete;
    Fenced& operator=(const Fenced&) = delete;
    ~Fenced() { munmap(start_, whole_); }

    std::byte* data() const { return body_; }
    void clear() { std::memset(body_, 0, bytes_); }

    // Other bytes in the word at `offset`, or in any.
    void damage(std::size_t offset, std::uint64_t word) { std::memcpy(body_ + offset, &word, sizeof word); }
    void damage(Prng& random) { damage(random.below(bytes_ / 8) * 8, strange(random)); }

  private:
    // Numbers near and far, on both sides of 0; no farther than differences of them can be had.
    static std::uint64_t strange(Prng& random) {
        const auto sign = random.below(2) == 0 ? std::int64_t{1} : std::int64_t{-1};
        const auto near = static_cast<std::int64_t>(random.below(40));
        const auto far = static_cast<std::int64_t>(random.next() >> (6 + random.below(50)));
        switch (random.below(4)) {
            case 0:
                return static_cast<std::uint64_t>(sign * near);
            case 1:
                return static_cast<std::uint64_t>(sign * far);
            case 2:  // as the word of a slot
                return SlotWord::of(sign * near, static_cast<SlotState>(random.below(8)),
                                    static_cast<std::int32_t>(random.below(3)));
            default:  // as a frame, or padding
                return random.below(300) * 4 + random.below(4);
        }
    }

    std::size_t bytes_;
    std::size_t page_;
    std::size_t whole_;
    std::byte* start_;
    std::byte* body_;
};

constexpr std::int64_t kCapacity = 8;
constexpr RingShape kShape{kCapacity, 16};
constexpr unsigned kHangsAfterSeconds = 100;
constexpr std::int64_t kMore = 40 * kCapacity;  // than any ring here holds

// What the callers bring: outside a ring, and large enough that a ring could be tempted.
std::vector<std::byte>& outside() {
    static std::vector<std::byte> bytes(static_cast<std::size_t>(kMore) * kShape.slot_bytes);
    return bytes;
}

// Rings of `kShape` in fenced bodies, damaged in up to three words, then used by `use(ring, random)`; rings without
// damage among them.
template <class Make, class Use>
void abuse(std::size_t bytes, Make&& make, Use&& use) {
    Fenced ends(bytes, true);
    Fenced begins(bytes, false);
    Prng random(7);
    const int rounds = 20'000 / kRoundsDivisor;
    alarm(kHangsAfterSeconds);
    for (int round = 0; round < rounds; ++round) {
        Fenced& body = round % 2 == 0 ? ends : begins;
        body.clear();
        auto ring = make(body.data());
        use(*ring, random);
        for (std::uint64_t words = random.below(4); words > 0; --words) body.damage(random);
        for (int calls = 0; calls < 6; ++calls) use(*ring, random);
    }
    alarm(0);
}

template <class Ring>
auto maker() {
    return [](std::byte* body) {
        Ring::format(body, kShape);
        return std::make_unique<Ring>(body, kShape);
    };
}

template <class Ring>
void use_one_to_one(Ring& ring, Prng& random) {
    auto* const bytes = outside().data();
    const auto many = static_cast<std::int64_t>(random.below(kMore)) + 1;
    switch (random.below(8)) {
        case 0:
            (void)ring.try_push(bytes);
            break;
        case 1:
            CHECK(ring.push_many(bytes, many) <= many);
            break;
        case 2:
            (void)ring.try_pop(bytes);
            break;
        case 3:
            CHECK(ring.pop_many(bytes, many) <= many);
            break;
        case 4:
            if (const auto* front = ring.front()) {
                std::memcpy(bytes, front, kShape.slot_bytes);
                ring.pop_front();
            }
            break;
        case 5:
            ring.resume_producer();
            break;
        case 6:
            ring.resume_consumer();
            break;
        default:
            (void)(ring.available() + ring.room() + ring.pushed() + ring.popped());
            CHECK(ring.was_size() >= 0 && ring.was_size() <= kCapacity);
    }
}

template <class Ring>
void use_many(Ring& ring, Prng& random, auto&& pop_many) {
    auto* const bytes = outside().data();
    const auto many = static_cast<std::int64_t>(random.below(kMore)) + 1;
    const auto who = static_cast<std::int32_t>(random.below(3));
    switch (random.below(6)) {
        case 0:
            CHECK(ring.push_many(who, bytes, many) <= many);
            break;
        case 1:
            CHECK(pop_many(who, bytes, many) <= many);
            break;
        case 2:
            (void)ring.recover_producer(who);
            break;
        case 3:
            (void)ring.recover_consumer(who);
            break;
        case 4:
            (void)(ring.pushed() + ring.popped() + ring.lost() + ring.skipped());
            CHECK(ring.was_size() >= 0 && ring.was_size() <= kCapacity);
            break;
        default:
            if (const auto role = ring.delays_push()) CHECK(role->place >= 0 && role->place < kRoles);
            if (const auto role = ring.delays_pop()) CHECK(role->place >= 0 && role->place < kRoles);
            (void)(ring.was_pushable() && ring.was_poppable());
    }
}

// A broadcast ring and two of its subscribers.
template <class Ring>
struct Audience {
    template <class... More>
    explicit Audience(std::byte* body, More... more) : ring(body, kShape, more...) {
        first = ring.subscribe();
        second = ring.subscribe();
    }
    Ring ring;
    typename Ring::Subscriber first;
    typename Ring::Subscriber second;
};

template <class Ring>
void use_audience(Audience<Ring>& all, Prng& random) {
    auto* const bytes = outside().data();
    const auto many = static_cast<std::int64_t>(random.below(kMore)) + 1;
    auto& reader = random.below(2) == 0 ? all.first : all.second;
    switch (random.below(6)) {
        case 0:
            (void)all.ring.publish_many(bytes, many);
            break;
        case 1:
            if (reader.joined()) CHECK(reader.poll(bytes, many) <= many);
            break;
        case 2:
            if (reader.joined()) (void)(reader.try_pop(bytes) && reader.available() + reader.lag() > 0);
            break;
        case 3:
            reader.leave();
            reader = all.ring.subscribe();
            break;
        case 4:
            all.ring.resume_producer();
            break;
        default:
            (void)(all.ring.published() + all.ring.evicted() + all.ring.was(3).position);
            if constexpr (requires { all.ring.was_full(); }) (void)(all.ring.was_full() && all.ring.room() > 0);
    }
}

}  // namespace

TEST(contiguous_positions_that_make_no_sense) {
    using Ring = SpscRing<>;
    abuse(Ring::body_bytes(kShape), maker<Ring>(), [](Ring& ring, Prng& random) {
        use_one_to_one(ring, random);
        auto claimed = ring.claim(kMore);
        if (claimed.count > 0) std::memset(claimed.records, 1, static_cast<std::size_t>(claimed.count) * 16);
        const auto peeked = ring.peek(kMore);
        if (peeked.count > 0)
            std::memcpy(outside().data(), peeked.records, static_cast<std::size_t>(peeked.count) * 16);
    });
}

TEST(sequenced_positions_that_make_no_sense) {
    using Ring = SequencedSpscRing<>;
    abuse(Ring::body_bytes(kShape), maker<Ring>(), [](Ring& ring, Prng& random) { use_one_to_one(ring, random); });
}

TEST(slot_words_that_make_no_sense) {
    using Mpsc = MpscRing<>;
    using Mpmc = MpmcRing<>;
    abuse(Mpsc::body_bytes(kShape), maker<Mpsc>(), [](Mpsc& ring, Prng& random) {
        use_many(ring, random, [&](std::int32_t, std::byte* out, std::int64_t max) { return ring.pop_many(out, max); });
        if (const auto* front = ring.front()) std::memcpy(outside().data(), front, kShape.slot_bytes);
    });
    abuse(Mpmc::body_bytes(kShape), maker<Mpmc>(), [](Mpmc& ring, Prng& random) {
        use_many(ring, random,
                 [&](std::int32_t who, std::byte* out, std::int64_t max) { return ring.pop_many(who, out, max); });
    });
}

// Words that point at one another could be followed for ever; three are enough.
TEST(slot_words_that_lead_in_circles) {
    using Ring = MpscRing<>;
    constexpr RingShape kFour{4, 16};
    Fenced body(Ring::body_bytes(kFour), true);
    Prng random(11);
    const std::size_t slots = Ring::body_bytes(kFour) - 4 * 64;
    alarm(kHangsAfterSeconds);
    for (int round = 0; round < 20'000 / kRoundsDivisor; ++round) {
        body.clear();
        Ring::format(body.data(), kFour);
        Ring ring(body.data(), kFour);
        for (std::size_t slot = 0; slot < 4; ++slot) body.damage(slots + slot * 64, random.next());
        (void)(ring.pushed() + ring.popped());
        (void)ring.push_many(0, outside().data(), 5);
        (void)ring.pop_many(outside().data(), 5);
    }
    alarm(0);
}

TEST(broadcast_positions_that_make_no_sense) {
    using Gated = Audience<BroadcastRing<HardwareMemory, 4>>;
    using Overwriting = Audience<OverwritingRing<HardwareMemory, 4>>;
    using Evicting = Audience<EvictingRing<HardwareMemory, 4>>;
    const auto bytes = BroadcastRing<HardwareMemory, 4>::body_bytes(kShape);
    abuse(
        bytes,
        [](std::byte* body) {
            BroadcastRing<HardwareMemory, 4>::format(body, kShape);
            return std::make_unique<Gated>(body);
        },
        [](Gated& all, Prng& random) { use_audience(all, random); });
    abuse(
        bytes,
        [](std::byte* body) {
            OverwritingRing<HardwareMemory, 4>::format(body, kShape);
            return std::make_unique<Overwriting>(body);
        },
        [](Overwriting& all, Prng& random) { use_audience(all, random); });
    abuse(
        bytes,
        [](std::byte* body) {
            EvictingRing<HardwareMemory, 4>::format(body, kShape);
            return std::make_unique<Evicting>(body, std::int64_t{5});
        },
        [](Evicting& all, Prng& random) { use_audience(all, random); });
}

TEST(bytes_that_are_no_frames) {
    using Ring = ByteRing<>;
    const RingShape shape = Ring::shape(128);
    abuse(
        Ring::body_bytes(shape),
        [&](std::byte* body) {
            Ring::format(body, shape);
            return std::make_unique<Ring>(body, shape);
        },
        [](Ring& ring, Prng& random) {
            auto* const bytes = outside().data();
            std::size_t popped = 0;
            try {
                switch (random.below(6)) {
                    case 0:
                    case 1:
                        (void)ring.try_push(bytes, random.below(ring.max_frame_bytes() + 1));
                        break;
                    case 2:
                        (void)ring.try_pop(bytes, outside().size(), &popped);
                        CHECK(popped <= ring.max_frame_bytes());
                        break;
                    case 3:
                        ring.resume_consumer();
                        break;
                    case 4:
                        ring.resume_producer();
                        break;
                    default:
                        (void)(ring.pushed() + ring.popped() + ring.was_bytes());
                        (void)(ring.was_readable() && ring.was_full_for(8) && ring.has_room(8));
                }
            } catch (const InvariantError&) {
                // what is no frame is not delivered
            }
        });
}

// Every word of the lap begins a frame: there is no end to go on from.
TEST(frames_without_an_end) {
    using Ring = ByteRing<>;
    const RingShape shape = Ring::shape(128);
    Fenced body(Ring::body_bytes(shape), true);
    Ring::format(body.data(), shape);
    Ring ring(body.data(), shape);
    constexpr std::uint64_t kEmptyFrame = 1;
    for (std::size_t at = 0; at < 128; at += 8) body.damage(Ring::body_bytes(shape) - 128 + at, kEmptyFrame);
    alarm(kHangsAfterSeconds);
    CHECK_THROWS(ring.resume_producer(), InvariantError, "the frames of the ring have no end");
    alarm(0);
}

TEST_MAIN
