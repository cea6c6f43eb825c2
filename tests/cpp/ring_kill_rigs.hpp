// The rings of the kill harness with one producer and one reader, each on whatever memory its home gives it.
#pragma once

#include "ring_kill_one_to_one.hpp"
#include "ringbuffer/broadcast_ring.hpp"
#include "ringbuffer/evicting_ring.hpp"
#include "ringbuffer/overwriting_ring.hpp"
#include "ringbuffer/sequenced_spsc_ring.hpp"
#include "ringbuffer/spsc_ring.hpp"

namespace fastmas::testing {

using ringbuffer::BroadcastRing;
using ringbuffer::EvictingRing;
using ringbuffer::OverwritingRing;
using ringbuffer::RingShape;
using ringbuffer::SequencedSpscRing;
using ringbuffer::SpscRing;

inline constexpr std::int32_t kKillPlace = 3;  // of the subscriber

// A ring's body in memory that children inherit. Nobody has to enter.
template <class Ring>
struct InheritedBody {
    explicit InheritedBody(RingShape given) : shape(given), memory(Ring::body_bytes(given)) {
        Ring::format(memory.data(), shape);
    }
    std::byte* body() const { return memory.data(); }
    void enter_child(bool) {}
    void leave_child() {}
    void enter_test(bool) {}
    void leave_test(bool) {}
    void after(bool, bool) {}
    void done() {}

    RingShape shape;
    SharedMemory memory;
};

// Batches of even numbers are lent where the ring lends slots: written and read in place, a step a record.
template <class Ring, template <class> class Home>
struct SpscRig : Home<Ring> {
    using Home<Ring>::Home;
    static constexpr bool kExact = true;
    static constexpr std::uint64_t kMostSteps = 60;
    static constexpr bool kLends = requires(Ring & ring) {
        ring.claim(1);
        ring.peek(1);
    };

    struct Producer {
        explicit Producer(SpscRig& rig) : ring(rig.body(), rig.shape) { ring.resume_producer(); }
        std::int64_t next() const { return ring.pushed(); }
        std::int64_t push(const StressRecord* records, std::int64_t count) {
            if constexpr (kLends) {
                if (count % 2 == 0) return push_in_place(records, count);
            }
            if (count > 1) return ring.push_many(bytes_of(records), count);
            return ring.try_push(bytes_of(records)) ? 1 : 0;
        }
        std::int64_t push_in_place(const StressRecord* records, std::int64_t count) {
            if (const auto given_up = ring.claim(1); given_up.count != 0)
                std::memset(given_up.records, 0xEE, sizeof(StressRecord));  // never published: nobody sees it
            const auto lent = ring.claim(count);
            KillMemory::kill_point("claim: lent");
            for (std::int64_t i = 0; i < lent.count; ++i) {
                std::memcpy(lent.records + static_cast<std::size_t>(i) * sizeof(StressRecord), &records[i],
                            sizeof(StressRecord));
                KillMemory::kill_point("claim: a record written");
            }
            if (lent.count != 0) ring.publish(lent.count);
            return lent.count;
        }
        Ring ring;
    };
    struct Consumer {
        explicit Consumer(SpscRig& rig) : ring(rig.body(), rig.shape) { ring.resume_consumer(); }
        std::int64_t next() const { return ring.next_to_pop(); }
        std::int64_t delivered() const { return next(); }
        std::int64_t joined_at() const { return 0; }
        bool resumed() const { return resumed_; }
        bool in() const { return true; }
        void rejoin() { resumed_ = false; }
        std::int64_t pop(StressRecord* records, std::int64_t max) {
            if constexpr (kLends) {
                if (max % 2 == 0) return pop_in_place(records, max);
            }
            if (max > 1) return ring.pop_many(bytes_of(records), max);
            return ring.try_pop(bytes_of(records)) ? 1 : 0;
        }
        std::int64_t pop_in_place(StressRecord* records, std::int64_t max) {
            (void)ring.peek(1);  // and given up: it is there the next time
            const auto lent = ring.peek(max);
            KillMemory::kill_point("peek: lent");
            for (std::int64_t i = 0; i < lent.count; ++i) {
                std::memcpy(&records[i], lent.records + static_cast<std::size_t>(i) * sizeof(StressRecord),
                            sizeof(StressRecord));
                KillMemory::kill_point("peek: a record read");
            }
            if (lent.count != 0) ring.give_back(lent.count);
            return lent.count;
        }
        Ring ring;
        bool resumed_ = true;
    };
};

// The subscriber's side of all three broadcast rings: a place that is taken over, or joined anew.
template <class Ring>
class PlaceHolder {
  public:
    template <class... Args>
    explicit PlaceHolder(const Args&... args) : ring_(args...) {
        subscriber_ = ring_.resume(kKillPlace, false);
        resumed_ = subscriber_.joined();
        if (!resumed_) join();
    }
    ~PlaceHolder() { subscriber_.forget(); }
    std::int64_t next() const { return subscriber_.next_to_pop(); }
    std::int64_t delivered() const { return subscriber_.received(); }
    std::int64_t joined_at() const { return subscriber_.joined_at(); }
    bool resumed() const { return resumed_; }
    void rejoin() {
        subscriber_.leave();
        join();
        resumed_ = false;
    }
    std::int64_t pop(StressRecord* records, std::int64_t max) {
        if (max > 1) return subscriber_.poll(bytes_of(records), max);
        return subscriber_.try_pop(bytes_of(records)) ? 1 : 0;
    }

  protected:
    Ring ring_;
    typename Ring::Subscriber subscriber_;

  private:
    void join() {
        ring_.vacate(kKillPlace);
        subscriber_ = ring_.subscribe(kKillPlace, false);
        CHECK(subscriber_.joined());
    }
    bool resumed_ = false;
};

template <template <class> class Home>
struct BroadcastRig : Home<BroadcastRing<KillMemory>> {
    using Ring = BroadcastRing<KillMemory>;
    using Home<Ring>::Home;
    static constexpr bool kExact = true;
    static constexpr std::uint64_t kMostSteps = 60;

    struct Producer {
        explicit Producer(BroadcastRig& rig) : ring(rig.body(), rig.shape) { ring.resume_producer(); }
        std::int64_t next() const { return ring.published(); }
        std::int64_t push(const StressRecord* records, std::int64_t count) {
            if (count > 1) return ring.publish_many(bytes_of(records), count);
            return ring.try_publish(bytes_of(records)) ? 1 : 0;
        }
        Ring ring;
    };
    struct Consumer : PlaceHolder<Ring> {
        explicit Consumer(BroadcastRig& rig) : PlaceHolder<Ring>(rig.body(), rig.shape) {}
        bool in() const { return true; }
    };
};

template <template <class> class Home>
struct OverwritingRig : Home<OverwritingRing<KillMemory>> {
    using Ring = OverwritingRing<KillMemory>;
    using Home<Ring>::Home;
    static constexpr bool kExact = false;
    static constexpr std::uint64_t kMostSteps = 400;  // one a word

    struct Producer {
        explicit Producer(OverwritingRig& rig) : ring(rig.body(), rig.shape) { ring.resume_producer(); }
        std::int64_t next() const { return ring.published(); }
        std::int64_t push(const StressRecord* records, std::int64_t count) {
            ring.publish_many(bytes_of(records), count);
            return count;
        }
        Ring ring;
    };
    // Each record up to its position is received or lost: received() is what is left when the losses are taken off.
    struct Consumer : PlaceHolder<Ring> {
        explicit Consumer(OverwritingRig& rig) : PlaceHolder<Ring>(rig.body(), rig.shape) {}
        bool in() const { return true; }
    };
};

template <template <class> class Home>
struct EvictingRig : Home<EvictingRing<KillMemory>> {
    using Ring = EvictingRing<KillMemory>;
    using Home<Ring>::Home;
    static constexpr bool kExact = false;
    static constexpr std::uint64_t kMostSteps = 400;
    static constexpr std::int64_t kMaxLag = 6;

    struct Producer {
        explicit Producer(EvictingRig& rig) : ring(rig.body(), rig.shape, kMaxLag) { ring.resume_producer(); }
        std::int64_t next() const { return ring.published(); }
        std::int64_t push(const StressRecord* records, std::int64_t count) {
            ring.publish_many(bytes_of(records), count);
            return count;
        }
        Ring ring;
    };
    struct Consumer : PlaceHolder<Ring> {
        explicit Consumer(EvictingRig& rig) : PlaceHolder<Ring>(rig.body(), rig.shape, kMaxLag) {}
        bool in() const { return !this->subscriber_.evicted(); }
    };
};

}  // namespace fastmas::testing
