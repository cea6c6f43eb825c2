// Raft (Ongaro and Ousterhout 2014, extended version; "thesis" is Ongaro's) as a state machine without I/O.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/prng.hpp"
#include "consensus/quorum.hpp"
#include "consensus/raft/config.hpp"
#include "consensus/raft/log.hpp"
#include "consensus/raft/message.hpp"
#include "consensus/raft/ready.hpp"
#include "consensus/raft/types.hpp"
#include "consensus/raft/writes.hpp"

namespace fastmas::consensus::raft {

enum class Role : std::uint8_t { follower, pre_candidate, candidate, leader };
const char* to_string(Role role) noexcept;

struct Proposal {
    ProposeStatus status = ProposeStatus::not_leader;
    Term term = 0;
    Index index = 0;
};

enum class ReadStatus : std::uint8_t { registered, not_leader, full };

// How far a leader knows a follower to be (paper figure 2, nextIndex and matchIndex).
struct Progress {
    static constexpr Index kFullWindow = Index{1} << 32;
    enum class State : std::uint8_t {
        probe,      // where the logs agree is not known: one append at a time
        replicate,  // they agree up to match: appends are pipelined
        snapshot,   // the follower is behind the first entry held: waiting until it has the snapshot
    };
    NodeId id = kNoNode;
    Index match = 0;
    Index next = 1;
    Index commit_sent = 0;
    Index snapshot_index = 0;
    // How many entries may be under way. Whoever loses one refuses all that come after it, and each refusal would send
    // the rest again: so it falls to one then, and doubles with every message that arrives in order.
    Index window = kFullWindow;
    std::uint64_t under_way = 0;  // replicate: bytes of the commands sent and not acknowledged
    State state = State::probe;
    bool incoming = false;  // a voter of the configuration, or while it is joint of C_new
    bool outgoing = false;  // a voter of C_old
    bool witness = false;
    bool paused = false;                     // probe: one is under way
    bool active = false;                     // heard from since the last quorum check
    std::uint32_t snapshot_ticks = 0;        // heartbeats since the part under way was sent
    bool asked_again = false;                // that part was sent again, so an earlier one may be asked for
    base::Boxed<SnapshotPart> sending = {};  // all of the snapshot; `offset` is of the part under way
    std::uint64_t round = 0;                 // the latest round of reads it acknowledged
};

// One participant. The caller owns time (tick), the network (step, Ready::messages), the disk (Ready::entries,
// hard_state, snapshot) and the state machine (Ready::committed); ready.hpp numbers its duties.
// Not thread-safe. Deterministic: the same calls give the same answers. No call blocks. Wrong messages are dropped and
// counted. A broken invariant poisons the node: the call that finds it and every later one throw base::InvariantError.
class RaftNode {
  public:
    struct Counters {
        std::uint64_t elections = 0;          // terms this node stood in
        std::uint64_t dropped = 0;            // messages that no correct node sends
        std::uint64_t damaged_snapshots = 0;  // that were not what was announced once all parts had come
        std::uint64_t early_leaders = 0;      // whose entries were too far ahead of this node's clock
    };

    // Throws base::ConfigError for a config or a stored state that cannot work.
    explicit RaftNode(RaftConfig config, PersistentState stored = {});

    // One unit of the consensus clock has passed.
    void tick();
    // The same, with the caller's monotonic clock: what leases are measured by.
    void tick(std::int64_t now_ns) {
        clock_ns_ = now_ns;
        tick();
    }
    // The caller's wall clock, now and then: entries from the future are not taken (RaftConfig::max_clock_ahead_ns).
    // One leader's wild clock then expires nobody's sessions: it commits nothing.
    void set_clock(std::int64_t now_ns) noexcept { wall_ns_ = now_ns; }
    void step(const Message& message);
    // `now_ns` stamps the entry, unless the log is ahead of it already.
    Proposal propose(Payload command, const Session& session, std::int64_t now_ns);

    // Begins a change to the target's voters, learners and witnesses; it is over once an entry of the target itself is
    // committed. busy while another one is under way, or this leader has committed nothing of its own term yet. Throws
    // base::ConfigError for a target that cannot be.
    Proposal change_membership(Membership target, std::int64_t now_ns);

    // A linearizable read (thesis §6.4): comes out of Ready::reads with this context once a majority has acknowledged
    // a round of heartbeats begun after this call. A context may be used again.
    ReadStatus read(std::uint64_t context);
    // The same without a round while the lease holds at `now_ns`; else as read().
    ReadStatus lease_read(std::uint64_t context, std::int64_t now_ns);
    // Hands the leadership to another voter; commands are busy meanwhile, and again welcome if nothing came of it
    // within an election time-out.
    ProposeStatus transfer_leadership(NodeId target);
    NodeId transferee() const noexcept { return transferee_; }

    bool has_ready() const noexcept;
    const Ready& ready();
    // All duties of the last ready() are done; with asynchronous storage, its write is on its way.
    void advance();
    // Asynchronous storage: the write of this number and all before it are durable.
    void stored(std::uint64_t write);
    // What the disk holds from entry `first` on cannot be read any more, though it was durable: the next ready() hands
    // it out again. For a node that runs; one that starts is told by PersistentState::lost.
    void damaged(Index first);
    // The caller holds a durable snapshot of all entries up to `index`, which is applied already; the log forgets them.
    void compact(Index index, Payload state);

    NodeId id() const noexcept { return config_.id; }
    Role role() const noexcept { return role_; }
    Term term() const noexcept { return hard_.term; }
    NodeId vote() const noexcept { return hard_.vote; }
    NodeId leader() const noexcept { return leader_; }  // kNoNode when unknown
    Index commit_index() const noexcept { return commit_; }
    Index applied_index() const noexcept { return applied_; }  // handed out in Ready::committed and advanced past
    const Log& log() const noexcept { return log_; }
    const Snapshot& snapshot() const noexcept { return snapshot_; }                // what the log no longer holds
    const Membership& membership() const noexcept { return memberships_.back(); }  // in force, committed or not
    const std::vector<Membership>& memberships() const noexcept { return memberships_; }  // since the snapshot
    // Where its log ended before its disk damaged it; index 0 when it has caught up again, and ever since.
    const LogEnd& lost() const noexcept { return hard_.lost; }
    bool is_witness() const noexcept { return config_.witness; }
    const std::vector<Progress>& progress() const noexcept { return peers_; }
    // Up to here the log was handed out in Ready::entries as it is; behind it while max_writes_in_flight are under way.
    Index written_index() const noexcept { return written_; }
    std::size_t writes_in_flight() const noexcept { return writes_.in_flight(); }
    const Counters& counters() const noexcept { return counters_; }
    const RaftConfig& config() const noexcept { return config_; }
    const std::string& poisoned() const noexcept { return poisoned_; }  // empty while the node is well

  private:
    friend struct ModelDigest;  // model.cpp: what of the state decides, for the exhaustive checker

    void enter();  // every public call that changes something begins here
    [[noreturn]] void poison(const std::string& text);

    // election.cpp
    void become_follower(Term term, NodeId leader);
    void become_leader();
    void campaign(bool pre, bool force = false);
    void handle_vote_request(const Message& message);
    void handle_vote_reply(const Message& message);
    void count_votes(bool pre);
    void count_own_vote();
    VoteResult vote_result() const;
    bool may_lead() const noexcept;
    bool log_is_up_to_date(Index last_index, Term last_term) const noexcept;
    bool in_contact_with_leader() const noexcept;
    void draw_election_timeout();
    void check_quorum();

    // clock.cpp
    bool has_clock() const noexcept { return wall_ns_ != INT64_MIN; }
    bool is_timely(std::int64_t time_ns) const noexcept;
    bool is_early() const noexcept;
    bool stood_early(NodeId candidate) const noexcept;
    bool comes_early(const Message& message) noexcept;

    // read.cpp
    bool knows_what_is_committed() const noexcept;
    bool has_room_for_a_read() const noexcept;
    bool has_new_reads() const noexcept;
    void begin_round();
    void ask_for_reads();
    void confirm_reads();
    Index acknowledged_by(bool Progress::*votes, bool self);
    void abandon_reads();

    // install.cpp
    void send_snapshot(Progress& peer);
    void send_part(Progress& peer);
    void handle_snapshot(const Message& message);
    void handle_snapshot_reply(const Message& message);
    void install(Snapshot snapshot);
    void drop_incoming() noexcept;

    // repair.cpp
    LogEnd log_end() const noexcept { return {log_.last_term(), log_.last_index()}; }
    void remember_lost(LogEnd lost);
    void catch_up() noexcept;
    void forget_acknowledged(Progress& peer, const Message& reply) noexcept;

    // transfer.cpp
    bool hand_over(const Progress& peer);
    void tick_transfer();
    void handle_timeout_now(const Message& message);

    // storage.cpp
    bool has_unwritten() const noexcept;
    bool can_write() const noexcept;
    Index applicable() const noexcept;
    void hold_back();
    void release(std::uint64_t write);
    bool storage_hangs() const noexcept;
    void truncate_from(Index index);

    // reconfigure.cpp
    void load_memberships();
    void adopt(const Entry& entry);
    void roll_back_memberships(Index index);
    void restore_membership(const Snapshot& snapshot);
    void reconfigure();
    bool change_is_open() const noexcept;
    void after_commit();

    // replication.cpp
    void handle_append(const Message& message);
    void handle_append_reply(const Message& message);
    void back_off(Progress& peer, const Message& reply);
    void send_append(Progress& peer, bool heartbeat);
    void send_heartbeat(Progress& peer);
    Index last_for(const Progress& peer) const noexcept;
    bool has_room(const Progress& peer) const noexcept;
    void send_where_needed(Progress& peer);
    void broadcast();
    void heartbeat();
    void advance_commit();
    Index matched_by(bool Progress::*votes, bool self);
    void append_own(EntryKind kind, Payload command, const Session& session, std::int64_t now_ns);

    bool acceptable(const Message& message) const;
    void set_hard_state(Term term, NodeId vote) noexcept;
    void set_commit(Index index);
    void settle() noexcept;
    Progress* find(NodeId id) noexcept;
    // A message to fill in; `entries` of a recycled one is empty but keeps its capacity.
    Message& send(MessageType type, NodeId to, Term term);

    RaftConfig config_;
    base::Prng random_;
    Role role_ = Role::follower;
    HardState hard_;
    NodeId leader_ = kNoNode;
    Log log_;
    Snapshot snapshot_;  // the latest; what it covers is not in the log
    Index commit_ = 0;
    Index applied_ = 0;
    Index settled_ = 0;                  // on a leader: up to here committed, and on its own disk
    std::uint64_t unsettled_bytes_ = 0;  // of the commands after that

    std::vector<Membership> memberships_;  // of the snapshot, then each of the log's
    bool in_incoming_ = false;             // this node, as Progress says it of the others
    bool in_outgoing_ = false;
    std::vector<Progress> peers_;  // the other members; meaningful on a leader
    std::vector<NodeId> granted_;  // votes
    std::vector<NodeId> refused_;
    std::uint32_t election_elapsed_ = 0;  // since the timer was last reset
    std::uint32_t contact_elapsed_ = 0;   // since a leader was last heard, or since the start
    std::uint32_t heartbeat_elapsed_ = 0;
    std::uint32_t quorum_elapsed_ = 0;
    std::uint32_t election_timeout_ = 0;
    std::vector<Index> matched_;  // scratch of advance_commit

    struct PendingRead {
        std::uint64_t context;
        Index index;
        std::uint64_t round;  // 0 = its round has not begun
    };
    static constexpr std::size_t kRemembered = 64;
    std::vector<PendingRead> reads_;  // in the order of their rounds
    std::vector<ReadState> read_states_;
    std::uint64_t round_ = 0;  // never falls, whatever the term
    std::uint64_t confirmed_round_ = 0;
    std::array<std::int64_t, kRemembered> sent_ns_{};  // of the latest rounds
    std::int64_t clock_ns_ = INT64_MIN / 2;
    std::int64_t lease_until_ns_ = INT64_MIN;
    bool lease_is_void_ = false;        // a transfer was begun in this term
    std::int64_t wall_ns_ = INT64_MIN;  // before it: the caller gives no clock
    Term early_term_ = 0;               // whose leader sent an entry of this time
    std::int64_t early_ns_ = 0;
    NodeId early_node_ = kNoNode;
    NodeId transferee_ = kNoNode;
    std::uint32_t transfer_elapsed_ = 0;
    bool handed_over_ = false;  // the transferee was told to stand

    struct Incoming {
        SnapshotPart head;  // which snapshot it is
        std::vector<std::byte> bytes;
        Term term = 0;  // of the leader that sent the latest part
    };
    base::Boxed<Incoming> incoming_;  // what of a snapshot has come so far
    Index incoming_index_ = 0;        // that of the snapshot; 0 while there is none
    Index checksum_index_ = 0;        // of the snapshot that checksum_ is of
    std::uint64_t checksum_ = 0;

    std::vector<Message> outbox_;  // the first outbox_size_ wait to be sent; the rest are kept for their capacity
    std::size_t outbox_size_ = 0;

    // Asynchronous storage: what was handed out, and what waits until a write is durable.
    struct Held {
        std::uint64_t write = 0;
        Message message;
    };
    WriteQueue writes_;
    Index applicable_ = 0;    // as of the last ready()
    Index written_ = 0;       // the last entry handed out
    std::vector<Held> held_;  // from held_first_ to held_last_, in the order of their writes; the rest is capacity
    std::size_t held_first_ = 0;
    std::size_t held_last_ = 0;
    std::size_t released_ = 0;          // so many at the front of the outbox wait for nothing any more
    std::uint64_t own_vote_write_ = 0;  // a candidate's vote for itself counts once this is durable
    std::uint32_t write_elapsed_ = 0;   // ticks since a write was acknowledged, while some are in flight
    bool hard_changed_ = false;
    bool is_loss_stored_ = true;
    bool snapshot_pending_ = false;
    bool ready_out_ = false;
    Ready ready_;
    Counters counters_;
    std::string poisoned_;
};

}  // namespace fastmas::consensus::raft
