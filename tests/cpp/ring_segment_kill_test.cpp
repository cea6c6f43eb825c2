// The kill harness on rings in named shared memory: children that attach, take a role, and are killed at any step of
// that, of the ring's, or of closing. The kernel gives their role back, the next one takes it, and at the end nothing
// is left.
#include "ring_directory.hpp"
#include "ring_kill_bytes.hpp"
#include "ring_kill_rigs.hpp"
#include "ringbuffer/kill_point.hpp"
#include "ringbuffer/segment.hpp"

using namespace fastmas::testing;
using fastmas::ringbuffer::Overflow;
using fastmas::ringbuffer::RegionSpec;
using fastmas::ringbuffer::RingKind;
using fastmas::ringbuffer::Role;
using fastmas::ringbuffer::RoleState;
using fastmas::ringbuffer::Segment;
using fastmas::ringbuffer::SlotLayout;

namespace {

RegionSpec spec_of_kind(RingKind kind, SlotLayout slots, Overflow overflow, std::int64_t max_lag = 0) {
    RegionSpec spec;
    spec.kind = kind;
    spec.slots = slots;
    spec.overflow = overflow;
    spec.max_lag_records = max_lag;
    spec.dtype = "StressRecord";
    return spec;
}
RegionSpec kind_of(const SpscRing<KillMemory>*) {
    return spec_of_kind(RingKind::spsc, SlotLayout::contiguous, Overflow::refuse);
}
RegionSpec kind_of(const SequencedSpscRing<KillMemory>*) {
    return spec_of_kind(RingKind::spsc, SlotLayout::sequenced, Overflow::refuse);
}
RegionSpec kind_of(const ByteRing<KillMemory>*) {
    return spec_of_kind(RingKind::bytes, SlotLayout::contiguous, Overflow::refuse);
}
RegionSpec kind_of(const BroadcastRing<KillMemory>*) {
    return spec_of_kind(RingKind::broadcast, SlotLayout::contiguous, Overflow::refuse);
}
RegionSpec kind_of(const OverwritingRing<KillMemory>*) {
    return spec_of_kind(RingKind::broadcast, SlotLayout::contiguous, Overflow::overwrite_oldest);
}
RegionSpec kind_of(const EvictingRing<KillMemory>*) {
    return spec_of_kind(RingKind::broadcast, SlotLayout::contiguous, Overflow::evict, 6);
}

template <class Ring>
class SharedBody {
  public:
    explicit SharedBody(RingShape given) : shape(given) {
        RegionSpec spec = kind_of(static_cast<const Ring*>(nullptr));
        kind_ = spec.kind;
        spec.shape = given;
        mine_ = Segment::create("/killed", spec, [&](std::byte* body) { Ring::format(body, given); });
    }
    std::byte* body() const { return (own_ != nullptr ? own_ : mine_)->body(); }

    // In the child: what the test has attached is the test's.
    void enter_child(bool produces) {
        fastmas::ringbuffer::kill_point_hook = KillMemory::kill_point;
        own_ = Segment::attach("/killed", kind_);
        CHECK(own_->take(role(produces)) != RoleState::alive);
    }
    void leave_child() { own_->close(); }
    void enter_test(bool produces) { CHECK(mine_->take(role(produces)) != RoleState::alive); }
    void leave_test(bool produces) { mine_->leave(role(produces)); }
    void after(bool killed, bool produced) {
        const RoleState state = mine_->state_of(role(produced));
        CHECK(killed ? state != RoleState::alive : state == RoleState::left);
        deaths_seen_ += state == RoleState::dead ? 1 : 0;
    }
    void done() {
        mine_->close();
        CHECK_EQUAL(files_in(directory_.path()), std::string());
        CHECK(deaths_seen_ > 0);
    }

    RingShape shape;

  private:
    static Role role(bool produces) { return produces ? Role::producer(0) : Role::consumer(kKillPlace); }

    RingDirectory directory_;
    RingKind kind_{};
    std::shared_ptr<Segment> mine_;
    std::shared_ptr<Segment> own_;
    int deaths_seen_ = 0;
};

}  // namespace

TEST(shared_spsc_is_killed) {
    OneToOneRounds<SpscRig<SpscRing<KillMemory>, SharedBody>> rounds(8, 61);
    rounds.run(kill_rounds(1000));
    rounds.deaths().require({"attach: opened", "attach: present", "attach: mapped", "push: written", "pop: read"});
}

TEST(shared_sequenced_spsc_is_killed) {
    OneToOneRounds<SpscRig<SequencedSpscRing<KillMemory>, SharedBody>> rounds(8, 62);
    rounds.run(kill_rounds(1000));
}

TEST(shared_bytes_is_killed) {
    OneToOneRounds<ByteRig<SharedBody>> rounds(8, 66);
    rounds.run(kill_rounds(1000));
    rounds.deaths().require({"attach: opened", "attach: present", "attach: mapped", "push: published", "pop: read"});
}

TEST(shared_broadcast_is_killed) {
    OneToOneRounds<BroadcastRig<SharedBody>> rounds(8, 63);
    rounds.run(kill_rounds(1000));
    rounds.deaths().require({"attach: opened", "publish: written", "pop: read"});
}

TEST(shared_overwriting_is_killed) {
    OneToOneRounds<OverwritingRig<SharedBody>> rounds(8, 64);
    rounds.run(kill_rounds(1000));
}

TEST(shared_evicting_is_killed) {
    OneToOneRounds<EvictingRig<SharedBody>> rounds(8, 65);
    rounds.run(kill_rounds(1000));
}

TEST_MAIN
