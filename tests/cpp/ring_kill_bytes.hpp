// The rig of the kill harness for frames of many sizes.
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "ring_kill_rigs.hpp"
#include "ringbuffer/byte_ring.hpp"

namespace fastmas::testing {

using ringbuffer::ByteRing;
using ringbuffer::Sequence;

// A frame is a record and a tail whose length and bytes are functions of its sequence. So where each frame begins is
// known beforehand, and a position where none does is found out: who takes a role over says by its position how many
// frames there were, and the ring's own counts are held against that.
template <template <class> class Home>
struct ByteRig : Home<ByteRing<KillMemory>> {
    using Ring = ByteRing<KillMemory>;
    static constexpr bool kExact = true;
    static constexpr std::uint64_t kMostSteps = 120;
    static constexpr std::size_t kMostBytes =
        248;  // of a frame in 512 bytes: about three fit, and most laps are padded
    static RingShape shape_of(std::int64_t records) { return Ring::shape(records * 64); }

    explicit ByteRig(RingShape given) : Home<Ring>(given), frames_(nullptr, given) {
        CHECK_EQUAL(frames_.max_bytes(), kMostBytes);
    }

    struct Producer {
        explicit Producer(ByteRig& owner) : rig(owner), ring(owner.body(), owner.shape) {
            ring.resume_producer();
            owner.check_count(ring.pushed(), next(), owner.pushes_uncounted_);
        }
        std::int64_t next() const { return rig.sequence_at(ring.next_to_push()); }
        std::int64_t push(const StressRecord* records, std::int64_t count) {
            std::int64_t pushed = 0;
            for (; pushed < count; ++pushed) {
                std::array<std::byte, kMostBytes> frame;
                const std::size_t bytes = bytes_of_frame(records[pushed].sequence);
                std::memcpy(frame.data(), &records[pushed], sizeof(StressRecord));
                for (std::size_t i = sizeof(StressRecord); i < bytes; ++i) frame[i] = tail(records[pushed].sequence, i);
                const bool fits = ring.has_room(bytes);
                const bool done = ring.try_push(frame.data(), bytes);
                CHECK(done || !fits);
                if (!done) break;
            }
            return pushed;
        }
        ByteRig& rig;
        Ring ring;
    };

    struct Consumer {
        explicit Consumer(ByteRig& owner) : rig(owner), ring(owner.body(), owner.shape) {
            ring.resume_consumer();
            owner.check_count(ring.popped(), next(), owner.pops_uncounted_);
        }
        std::int64_t next() const { return rig.sequence_at(ring.next_to_pop()); }
        std::int64_t delivered() const { return next(); }
        std::int64_t joined_at() const { return 0; }
        bool resumed() const { return resumed_; }
        bool in() const { return true; }
        void rejoin() { resumed_ = false; }
        std::int64_t pop(StressRecord* records, std::int64_t max) {
            std::int64_t popped = 0;
            while (popped < max && (max % 2 == 0 ? pop_in_place(records[popped]) : pop_copy(records[popped]))) ++popped;
            return popped;
        }
        bool pop_copy(StressRecord& record) {
            std::array<std::byte, kMostBytes> frame;
            std::size_t bytes = 0;
            if (ring.try_pop(frame.data(), 8, &bytes) == Ring::Popped::nothing) return false;
            CHECK(bytes > 8);  // too long for that; it stays
            CHECK(ring.try_pop(frame.data(), frame.size(), &bytes) == Ring::Popped::done);
            check_frame(frame.data(), bytes, record);
            return true;
        }
        bool pop_in_place(StressRecord& record) {
            const ringbuffer::ByteFrame frame = ring.front();
            if (frame.data == nullptr) return false;
            KillMemory::kill_point("front: lent");
            check_frame(frame.data, frame.bytes, record);
            ring.pop_front();
            return true;
        }
        ByteRig& rig;
        Ring ring;
        bool resumed_ = true;
    };

    // A death between a frame and the note of it leaves the count behind, and no other does.
    void after(bool killed, bool produced) {
        Home<Ring>::after(killed, produced);
        const std::string_view step = killed ? KillMemory::reports[0].step : "";
        if (produced && step == "push: position noted") ++pushes_uncounted_;
        if (!produced && step == "pop: given back") ++pops_uncounted_;
    }

  private:
    static std::byte tail(std::uint64_t sequence, std::size_t index) {
        return static_cast<std::byte>((sequence * 31 + index * 7) & 0xFFU);
    }
    static std::size_t bytes_of_frame(std::uint64_t sequence) {
        return sizeof(StressRecord) + static_cast<std::size_t>(sequence * 0x9E3779B97F4A7C15ULL >> 32U) %
                                          (kMostBytes - sizeof(StressRecord) + 1);
    }
    // The record is checked by the harness, which knows which it has to be.
    static void check_frame(const std::byte* data, std::size_t bytes, StressRecord& record) {
        CHECK(bytes >= sizeof(StressRecord));
        std::memcpy(&record, data, sizeof(StressRecord));
        CHECK_EQUAL(bytes, bytes_of_frame(record.sequence));
        for (std::size_t i = sizeof(StressRecord); i < bytes; ++i) CHECK(data[i] == tail(record.sequence, i));
    }

    std::int64_t sequence_at(Sequence position) {
        while (begins_.back() < position)
            begins_.push_back(begins_.back() + frames_.taken_by(begins_.back(), bytes_of_frame(begins_.size() - 1)));
        const auto found = std::lower_bound(begins_.begin(), begins_.end(), position);
        CHECK_EQUAL(*found, position);  // a frame begins there
        return found - begins_.begin();
    }
    static void check_count(std::int64_t counted, std::int64_t there, std::int64_t uncounted) {
        CHECK(counted <= there);
        CHECK(counted >= there - uncounted);
    }

    ringbuffer::ByteFrames<KillMemory> frames_;  // its arithmetic only
    std::vector<Sequence> begins_{0};            // where each frame begins
    std::int64_t pushes_uncounted_ = 0;          // at most
    std::int64_t pops_uncounted_ = 0;
};

}  // namespace fastmas::testing
