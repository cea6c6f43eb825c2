// A cluster of any protocol in one thread and virtual time: nodes, disks, network, clients and faults, all from one
// seed.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/errors.hpp"
#include "base/prng.hpp"
#include "consensus/applier.hpp"
#include "consensus/simulation/divergence.hpp"
#include "consensus/simulation/network.hpp"
#include "consensus/simulation/observer.hpp"
#include "consensus/simulation/options.hpp"
#include "consensus/simulation/record_disk.hpp"

namespace fastmas::consensus {

enum class BurstStatus : std::uint8_t { committed, no_quorum, diverged, too_large };
struct Burst {
    BurstStatus status = BurstStatus::committed;
    std::vector<std::optional<Result>> results;  // by command; nothing where none was reached
    std::int64_t commit_ns = 0;                  // virtual time from propose to commit at the leader
    std::string text;                            // what went wrong
};

struct TraceEvent {
    std::int64_t time_ns;
    const char* type;
    bool reject;
    NodeId from, to;
    std::uint64_t epoch;
    Index index;
    std::uint32_t entries;
};

struct ClusterCounters {
    std::uint64_t proposals = 0;   // commands handed in
    std::uint64_t retries = 0;     // commands handed to another leader
    std::uint64_t duplicates = 0;  // entries that took no effect, at the first replica to see them
    std::uint64_t expired = 0;     // the same, because their time was over
    std::uint64_t rejections = 0;
    std::uint64_t ticks = 0;
    std::uint64_t crashes = 0;
    std::uint64_t restarts = 0;
    std::uint64_t snapshots_taken = 0;
    std::uint64_t snapshots_installed = 0;
    std::uint64_t elections = 0;     // by nodes that have since stopped
    std::uint64_t truncations = 0;   // entries a node had stored and replaced
    std::uint64_t late_writes = 0;   // acknowledged after the node went on
    std::uint64_t lost_writes = 0;   // in flight when their node crashed
    std::uint64_t torn_writes = 0;   // a crash came in the middle of them
    std::uint64_t torn_records = 0;  // found at a restart, and cut off
    std::uint64_t failed_syncs = 0;  // which their node does not survive
    std::uint64_t crashes_in_compaction = 0;
    std::uint64_t damaged_running = 0;   // disks that damaged what they held: under a node that ran,
    std::uint64_t damaged_at_start = 0;  // found when it started,
    std::uint64_t damaged_wholly = 0;    // of those with the snapshot
    std::uint64_t damaged_entries = 0;   // in all
};

// What a disk does with what it held, from some entry on.
enum class Damage : std::uint8_t {
    running,      // the node runs on, and is told
    at_start,     // the node crashes, and finds it when it starts
    end_unknown,  // the same, and nobody can tell any more where the log ended
    wholly,       // as at_start, and all of the log, with the snapshot
};

// A disk that can take a write now and have it durable later; its node then has stored().
template <class Disk>
inline constexpr bool kStoresLater = requires(Disk& disk) {
    disk.finish_one();
};

// A disk whose writes can be torn.
template <class Disk, class Ready>
inline constexpr bool kTears = requires(Disk& disk, const Ready& ready) {
    disk.tear(ready, Tear());
    disk.mend();
};

// A disk that can damage entries it held, under nodes that others make whole again.
template <class Disk>
inline constexpr bool kDamages = requires(Disk& disk) {
    disk.damage(Index{}, false, false);
};

// Whether the node's entries reach a state machine.
template <class Node>
bool has_machine(const Node& node) noexcept {
    if constexpr (requires { node.is_witness(); }) return !node.is_witness();
    return true;
}

// Time passes only while there is something to wait for: a cluster with nothing in flight and equal logs is quiet, its
// clock stops, and it costs nothing until the next proposal or fault. Deterministic: same options and calls, same
// history. Not thread-safe. What a state machine throws ends the call and poisons the cluster.
template <class P>
class SimCluster {
  public:
    using Node = typename P::Node;
    using Message = typename P::Message;
    using Ready = typename P::Ready;
    using Entry = typename P::Entry;
    using Disk = typename P::Disk;
    using Invariants = typename P::Invariants;
    using Proposal = typename P::Proposal;
    using MachineFactory = std::function<std::unique_ptr<StateMachine>(NodeId)>;

    // Sees every node begin, before each message it is given, after each call, when its state is on disk, and each
    // message it sends.
    enum class Moment : std::uint8_t { started, receives, changed, stored, sends };
    using Watcher = std::function<void(Moment, const Node&, const Message*)>;

    SimCluster(SimOptions options, MachineFactory factory, Watcher watcher = {});

    // Hands the commands to the leader, in order and as one burst, retries them through whoever leads until a majority
    // of replicas has applied each with the same result, then lets the cluster fall quiet. `at_ns` moves the clock
    // forward.
    Burst propose(std::vector<Payload> commands, std::optional<std::int64_t> at_ns);
    // Lets time pass until nothing is in flight and the logs of all nodes that can talk to the leader are equal.
    bool settle(std::int64_t limit_ns);
    // The next delivery or tick; what a test drives by hand.
    void run_one();
    void run_for(std::int64_t duration_ns);
    // A command handed to one node without waiting, as a test's client does it.
    Proposal submit(NodeId node, Payload command, const Session& session);

    // A call on a node that is up, and the duties it leads to.
    template <class Act>
    void act(NodeId node, Act what) {
        guarded([&] {
            what(*member(node).node);
            process(node);
        });
    }

    void crash(NodeId node);
    void restart(NodeId node);
    void crash_leader_during_next() noexcept { crash_armed_ = true; }
    void cut(NodeId from, NodeId to, bool is_cut);
    void heal();
    NetworkOptions& network_options() noexcept { return network_.options(); }
    // What the node sends `to` from now on arrives after `delay_ns` at the earliest.
    void clog(NodeId node, NodeId to, std::int64_t delay_ns);
    // The node stands still, like a stopped process: no tick, and messages wait.
    void pause(NodeId node, std::int64_t duration_ns);
    bool is_paused(NodeId node) const { return paused_until_ns(node) > now_ns_; }
    std::int64_t paused_until_ns(NodeId node) const { return member(node).paused_until_ns; }
    // The node's disk does nothing; with storage that acknowledges at once, neither does the node.
    void hang_disk(NodeId node, std::int64_t duration_ns);
    // The node's disk fails to make the next write durable; nobody knows how much of it is. Its node stops at once: to
    // try again would be told of success, and the data is gone.
    void fail_sync(NodeId node) { member(node).sync_fails = true; }
    // The node's disk damages its log from so many thousandths of it on. Whether it did: a log without entries, and one
    // that the protocol does not promise to live without, is left alone.
    bool damage(NodeId node, std::uint64_t thousandths, Damage how);
    // The node's clock ticks at thousandths of its speed (900 is a tenth slow) and tells a time that is off.
    void set_clock(NodeId node, std::int64_t thousandths, std::int64_t offset_ns);
    std::int64_t clock_offset_ns(NodeId node) const { return member(node).clock_offset_ns; }
    // Ends pauses; no disk hangs or is about to fail; all clocks run at their speed and are right.
    void mend_machines() noexcept;
    // What the node's own monotonic clock says; it goes on while the node stands still.
    std::int64_t clock_ns(NodeId node) const { return clock_of(member(node)); }
    // Hears what the nodes' machines were given from now on; nullptr for nobody. Outlives the cluster.
    void observe(SimObserver* observer) noexcept { observer_ = observer; }
    void set_crash_point_ppm(std::uint32_t ppm) noexcept { options_.crash_point_ppm = ppm; }

    std::uint64_t elections() const noexcept;
    NodeId leader() const noexcept;        // of the latest term among nodes that run; kNoNode when none leads
    std::uint64_t epoch() const noexcept;  // the latest term, ballot or height that any disk knows
    bool is_quiet() const noexcept;        // nothing in flight, and logs_are_equal()
    bool logs_are_equal() const noexcept;  // of all running nodes that the leader can talk to; committed and applied
    bool is_up(NodeId node) const { return member(node).node != nullptr; }
    std::int64_t now_ns() const noexcept { return now_ns_; }
    std::size_t size() const noexcept { return members_.size(); }
    StateMachine* machine(NodeId node);  // nullptr while the node is down
    std::uint64_t applied(NodeId node) const;
    const std::string& poisoned(NodeId node) const { return member(node).poisoned; }
    const std::string& broken() const noexcept { return broken_; }
    const Node* node(NodeId id) const { return member(id).node.get(); }
    const Disk& disk(NodeId node) const { return member(node).disk; }
    const ClusterCounters& counters() const noexcept { return counters_; }
    const SimNetwork<Message>& network() const noexcept { return network_; }
    const Invariants& invariants() const noexcept { return checker_; }
    const std::vector<TraceEvent>& trace() const noexcept { return trace_; }
    std::size_t reachable_quorum() const noexcept;  // the most nodes that run and can all talk to one of them both ways
    void check_logs() const;

  private:
    struct Member {
        std::unique_ptr<Node> node;  // nullptr while it is down
        std::unique_ptr<Applier> applier;
        Disk disk;
        std::int64_t next_tick_ns = 0;
        std::int64_t tick_ns = 0;          // of its own clock
        std::int64_t thousandths = 1000;   // how fast that runs,
        std::int64_t clock_base_ns = 0;    // and what it said
        std::int64_t clock_since_ns = 0;   // when it was set to run so
        std::int64_t clock_offset_ns = 0;  // what it tells beyond the time that it is
        std::int64_t paused_until_ns = INT64_MIN;
        std::int64_t disk_hangs_until_ns = INT64_MIN;
        std::int64_t disk_done_ns = INT64_MAX;  // when the oldest write in flight is durable
        bool sync_fails = false;
        Index snapshot_at = 0;
        std::string poisoned;
        explicit Member(std::vector<NodeId> voters) : disk(std::move(voters)) {}
    };
    // The burst under way: which of its commands are decided, and where it was handed in last.
    struct Pending {
        std::uint64_t first_sequence = 0;
        std::vector<std::optional<Result>> results;
        std::vector<std::uint64_t> indexes;  // which command each became, once anybody has applied it
        std::size_t decided = 0;
        NodeId leader = kNoNode;
        std::size_t handed = 0;  // that leader took so many of them, counted from the first
        std::uint64_t epoch = 0;
        Index last_index = 0;  // where its last command is in that leader's log
        std::int64_t commit_ns = -1;
        std::int64_t retry_ns = INT64_MIN;  // not to be handed in again before
    };

    std::int64_t clock_of(const Member& at) const noexcept {
        const std::int64_t passed_ns = now_ns_ - at.clock_since_ns;  // years, in a cluster that was quiet
        return at.clock_base_ns + passed_ns / 1000 * at.thousandths + passed_ns % 1000 * at.thousandths / 1000;
    }
    void run_clock(Member& at, std::int64_t thousandths) noexcept;
    Server server(Member& at, NodeId node) noexcept { return {node, at.applier.get(), now_ns_, clock_of(at)}; }
    Member& member(NodeId node);
    const Member& member(NodeId node) const;
    void boot(NodeId node, bool is_restart);
    void stop(NodeId node);
    void poison(NodeId node, const std::string& reason);
    void deliver();
    void tick_next();
    void finish_write();
    std::int64_t next_write_ns() const noexcept;
    std::int64_t draw_disk_done_ns(const Member& at) noexcept {
        return std::max(now_ns_ + random_.between(1, options_.disk_delay_ns), at.disk_hangs_until_ns);
    }
    void process(NodeId node);
    bool process_ready(Member& at, NodeId node);
    bool crash_here(NodeId node);
    bool store(Member& at, NodeId node, const Ready& ready);
    void apply(Member& at, NodeId node, const Ready& ready);
    void on_effect(NodeId node, const Entry& entry, const Applied& applied);
    void on_copy(NodeId node);
    void decide(std::uint64_t sequence, const Result& result);
    void on_broken(NodeId node, std::uint64_t index, const Payload& reason);
    void tell(Moment moment, const Node& node, const Message* message = nullptr) {
        if (watcher_) watcher_(moment, node, message);
    }
    // Nodes that look at the time are told it before anything else.
    void tell_time(Member& at) {
        if constexpr (requires { at.node->tell_time(now_ns_); }) at.node->tell_time(now_ns_ + at.clock_offset_ns);
        // (an empty log stands at 0, and the first leader is elected before start_ns)
        if constexpr (requires { at.node->set_clock(now_ns_); })
            at.node->set_clock(std::max<std::int64_t>(now_ns_, 0) + at.clock_offset_ns);
    }
    void maybe_compact(Member& at, NodeId node);
    std::int64_t next_tick_ns() const noexcept;
    void jump_to(std::int64_t at_ns) noexcept;
    bool hand_in(const std::vector<Payload>& commands);
    void run_pending(const std::vector<Payload>& commands, Burst& burst);
    void note_commit();
    std::string no_quorum_text(std::size_t commands) const;
    std::string poisoned_text() const;
    std::size_t healthy() const noexcept;
    // Runs the body; what it throws, other than a wrong call, leaves the cluster half way through a step: it is broken
    // then.
    template <class Body>
    void guarded(Body body);

    SimOptions options_;
    MachineFactory factory_;
    std::vector<NodeId> voters_;
    std::vector<Member> members_;  // of node 1 .. n
    std::vector<const Disk*> disks_;
    SimNetwork<Message> network_;
    DivergenceMonitor divergence_;
    Invariants checker_;
    base::Prng random_;
    std::int64_t now_ns_ = 0;
    std::uint64_t next_sequence_ = 1;
    std::uint64_t acknowledged_ = 0;
    Index highest_seen_ = 0;  // log index that any replica applied
    Pending* pending_ = nullptr;
    bool crash_armed_ = false;
    std::int64_t deliveries_to_crash_ = -1;
    std::string diverged_text_;
    std::string broken_;
    ClusterCounters counters_;
    std::vector<TraceEvent> trace_;
    SimObserver* observer_ = nullptr;
    Watcher watcher_;
};

template <class P>
template <class Body>
void SimCluster<P>::guarded(Body body) {
    if (!broken_.empty()) throw base::InvariantError(broken_);
    try {
        body();
    } catch (const base::InvariantError& error) {
        broken_ = std::string("the cluster stopped: ") + error.what();
        throw;
    } catch (...) {
        broken_ = "the cluster was interrupted in the middle of an apply; build a new one";
        throw;
    }
}

}  // namespace fastmas::consensus
