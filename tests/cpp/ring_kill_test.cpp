// The SPSC rings and the broadcast rings with either side killed at every step: what is delivered is whole, in order,
// never twice, and whatever is missing is accounted for. A longer run: RING_KILL_ROUNDS=100000 ring_kill_test
#include <optional>

#include "ring_kill_one_to_one.hpp"
#include "ringbuffer/broadcast_ring.hpp"
#include "ringbuffer/evicting_ring.hpp"
#include "ringbuffer/overwriting_ring.hpp"
#include "ringbuffer/sequenced_spsc_ring.hpp"
#include "ringbuffer/spsc_ring.hpp"

using namespace fastmas::testing;
using fastmas::ringbuffer::BroadcastRing;
using fastmas::ringbuffer::EvictingRing;
using fastmas::ringbuffer::OverwritingRing;
using fastmas::ringbuffer::RingShape;
using fastmas::ringbuffer::SequencedSpscRing;
using fastmas::ringbuffer::SpscRing;

namespace {

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

    RingShape shape;
    SharedMemory memory;
};

template <class Ring>
struct SpscRig : InheritedBody<Ring> {
    using InheritedBody<Ring>::InheritedBody;
    static constexpr bool kExact = true;
    static constexpr std::uint64_t kMostSteps = 60;

    struct Producer {
        explicit Producer(SpscRig& rig) : ring(rig.body(), rig.shape) { ring.resume_producer(); }
        std::int64_t next() const { return ring.pushed(); }
        std::int64_t push(const StressRecord* records, std::int64_t count) {
            if (count > 1) return ring.push_many(bytes_of(records), count);
            return ring.try_push(bytes_of(records)) ? 1 : 0;
        }
        Ring ring;
    };
    struct Consumer {
        explicit Consumer(SpscRig& rig) : ring(rig.body(), rig.shape) { ring.resume_consumer(); }
        std::int64_t next() const { return ring.next_to_pop(); }
        std::int64_t delivered() const { return next(); }
        std::int64_t joined_at() const { return 0; }
        bool resumed() const { return true; }
        bool in() const { return true; }
        void rejoin() {}
        std::int64_t pop(StressRecord* records, std::int64_t max) {
            if (max > 1) return ring.pop_many(bytes_of(records), max);
            return ring.try_pop(bytes_of(records)) ? 1 : 0;
        }
        Ring ring;
    };
};

// The subscriber's side of all three broadcast rings: a place that is taken over, or joined anew.
template <class Ring>
class PlaceHolder {
  public:
    static constexpr std::int64_t kPlace = 3;

    template <class... Args>
    explicit PlaceHolder(const Args&... args) : ring_(args...) {
        subscriber_ = ring_.resume(kPlace, false);
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
        ring_.vacate(kPlace);
        subscriber_ = ring_.subscribe(kPlace, false);
        CHECK(subscriber_.joined());
    }
    bool resumed_ = false;
};

struct BroadcastRig : InheritedBody<BroadcastRing<KillMemory, 8>> {
    using Ring = BroadcastRing<KillMemory, 8>;
    using InheritedBody::InheritedBody;
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
        explicit Consumer(BroadcastRig& rig) : PlaceHolder(rig.body(), rig.shape) {}
        bool in() const { return true; }
    };
};

struct OverwritingRig : InheritedBody<OverwritingRing<KillMemory, 8>> {
    using Ring = OverwritingRing<KillMemory, 8>;
    using InheritedBody::InheritedBody;
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
        explicit Consumer(OverwritingRig& rig) : PlaceHolder(rig.body(), rig.shape) {}
        bool in() const { return true; }
    };
};

struct EvictingRig : InheritedBody<EvictingRing<KillMemory, 8>> {
    using Ring = EvictingRing<KillMemory, 8>;
    using InheritedBody::InheritedBody;
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
        explicit Consumer(EvictingRig& rig) : PlaceHolder(rig.body(), rig.shape, kMaxLag) {}
        bool in() const { return !subscriber_.evicted(); }
    };
};

}  // namespace

TEST(spsc_is_killed) {
    OneToOneRounds<SpscRig<SpscRing<KillMemory>>> rounds(8, 41);
    rounds.run(kill_rounds(4000));
    rounds.deaths().require({"push: room seen", "push: written", "push: published", "pop: read", "pop: given back"});
}

TEST(either_side_of_a_sequenced_spsc_ring_is_killed_at_every_step) {
    OneToOneRounds<SpscRig<SequencedSpscRing<KillMemory>>> rounds(8, 43);
    rounds.run(kill_rounds(4000));
    rounds.deaths().require({"push: room seen", "push: written", "push: published", "push_many: one published",
                             "pop: read", "pop_many: read", "pop: given back", "pop: shown"});
}

TEST(broadcast_is_killed) {
    OneToOneRounds<BroadcastRig> rounds(8, 42);
    rounds.run(kill_rounds(5000));
    rounds.deaths().require({"publish: room seen", "publish: written", "publish: published", "pop: read",
                             "pop: given back", "join: place taken", "join: met the producer", "join: position shown",
                             "join: complete", "leave: no longer joined", "leave: place given back"});
}

TEST(overwriting_is_killed) {
    OneToOneRounds<OverwritingRig> rounds(8, 43);
    rounds.run(kill_rounds(5000));
    rounds.deaths().require({"publish: claimed", "write: a word", "publish: written", "publish: published",
                             "poll: copied", "jump: no journal", "jump: loss written down", "jump: written down",
                             "pop: moved on", "jump: loss counted"});
}

TEST(evicting_is_killed) {
    OneToOneRounds<EvictingRig> rounds(8, 44);
    rounds.run(kill_rounds(5000));
    rounds.deaths().require({"publish: put out", "publish: room made", "write: a word", "publish: written",
                             "publish: published", "poll: copied", "pop: given back"});
}

TEST_MAIN
