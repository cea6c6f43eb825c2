// Multi-Paxos (Lamport, Paxos Made Simple 2001, "PMS", §3; The Part-Time Parliament 1998, §3) as a state machine
// without I/O: one synod a slot, one ballot and one phase 1 for all of them as long as a leader lasts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/prng.hpp"
#include "consensus/held_messages.hpp"
#include "consensus/paxos/config.hpp"
#include "consensus/paxos/log.hpp"
#include "consensus/paxos/message.hpp"
#include "consensus/paxos/ready.hpp"
#include "consensus/paxos/types.hpp"
#include "consensus/paxos/writes.hpp"

namespace fastmas::consensus::paxos {

enum class Role : std::uint8_t {
    follower,   // accepts
    asking,     // asks whether a prepare quorum would promise
    preparing,  // phase 1
    leader,     // phase 2, slot after slot
};
const char* to_string(Role role) noexcept;

enum class ReadStatus : std::uint8_t { registered, not_leader, full };

struct Proposal {
    ProposeStatus status = ProposeStatus::not_leader;
    Ballot ballot;
    Index index = 0;
};

// What a node that leads, or is about to, knows of another.
struct Progress {
    NodeId id = kNoNode;
    std::uint32_t seat = 0;    // its bit among votes
    Index covered = 0;         // preparing: it has told what it accepted up to here
    Index commit = 0;          // as it last said; falls when it restarts
    Index next = 1;            // the first slot not sent to it in this ballot
    Index commit_sent = 0;     // the highest commit index it was told
    Index snapshot_index = 0;  // of the snapshot under way to it; 0 = none
    std::uint32_t snapshot_ticks = 0;
    std::uint32_t silent = 0;  // heartbeats since it was last heard
    std::uint64_t round = 0;   // the latest round of reads it acknowledged in this ballot
    bool active = false;       // heard from since the last quorum check
    bool moved = false;        // told something new since the last heartbeat (or prepare)
    bool rewound = false;      // what it missed is being sent again since the last heartbeat
    bool heard = false;        // ever, in this ballot
    bool leaving = false;      // of the configuration before: it is told that it is out
    bool probed = false;       // not heard, it got its one message since the last heartbeat
};

// One participant: proposer, acceptor and learner in one. The caller owns time (tick), the network (step,
// Ready::messages), the disk (Ready::entries, hard_state, snapshot) and the state machine (Ready::committed); ready.hpp
// numbers its duties.
// Not thread-safe. Deterministic: the same calls give the same answers. No call blocks. Wrong messages are dropped and
// counted. A broken invariant poisons the node: the call that finds it and every later one throw base::InvariantError.
class PaxosNode {
  public:
    struct Counters {
        std::uint64_t elections = 0;  // ballots this node began
        std::uint64_t leaderships = 0;
        std::uint64_t adopted = 0;  // open slots it took over from earlier ballots
        std::uint64_t gaps = 0;     // slots it filled with a no-op
        std::uint64_t fillers = 0;  // no-ops that brought a change of members into force
        std::uint64_t rewinds = 0;  // times it sent again what another node missed
        std::uint64_t dropped = 0;  // messages that no correct node sends
    };

    // Throws base::ConfigError for a config or a stored state that cannot work.
    explicit PaxosNode(PaxosConfig config, PersistentState stored = {});

    // One unit of the consensus clock has passed.
    void tick();
    void step(const Message& message);
    // `now_ns` stamps the entry, unless an earlier stamp is ahead of it already.
    Proposal propose(Payload command, const Session& session, std::int64_t now_ns);

    // From the configuration in force to the target's voters, learners and quorums. The change is an entry of the log,
    // and takes effect when the window behind it is chosen; whoever leads brings that about. One at a time: until a
    // quorum of the new configuration durably knows that it is in force, and until this leader knows what was chosen
    // before it, this and whoever asks gets `busy`. Throws base::ConfigError for a target that cannot be.
    Proposal change_membership(Membership target, std::int64_t now_ns);

    // Registers a linearizable read, which comes out of Ready::reads under this context, confirmed or not. A context
    // may be used again.
    ReadStatus read(std::uint64_t context);

    bool has_ready() const noexcept;
    const Ready& ready();
    // All duties of the last ready() are done.
    void advance();
    // Asynchronous storage: the write of that number and all before it are durable.
    void stored(std::uint64_t write);
    // The caller holds a durable snapshot of all slots up to `index`, which is applied already; the log forgets them.
    void compact(Index index, Payload state);

    NodeId id() const noexcept { return config_.id; }
    Role role() const noexcept { return role_; }
    const Ballot& promised() const noexcept { return hard_.promised; }
    const Ballot& ballot() const noexcept { return ballot_; }  // it leads, or prepares; else the last one it did
    NodeId leader() const noexcept { return leader_; }         // kNoNode when unknown
    Index commit_index() const noexcept { return commit_; }
    Index applied_index() const noexcept { return taken_; }  // handed out in a Ready and advanced past
    const Log& log() const noexcept { return log_; }
    // The configuration that governs the slot after commit_index().
    const Membership& membership() const noexcept { return memberships_[front_]; }
    // All that are known: of the snapshot and after. The one after membership() is to come.
    const std::vector<Membership>& memberships() const noexcept { return memberships_; }
    // What a snapshot of the slots up to `index`, from the last snapshot's to commit_index(), must carry.
    std::vector<Membership> memberships_at(Index index) const;
    bool change_is_open() const noexcept;  // of a leader: change_membership() would say `busy`
    const Snapshot& snapshot() const noexcept { return snapshot_; }  // what the log no longer holds
    const std::vector<Progress>& progress() const noexcept { return peers_; }
    std::size_t writes_in_flight() const noexcept { return writes_.in_flight(); }
    std::uint64_t stored_write() const noexcept { return writes_.stored(); }  // the last one that stored() told of
    const Counters& counters() const noexcept { return counters_; }
    const PaxosConfig& config() const noexcept { return config_; }
    const std::string& poisoned() const noexcept { return poisoned_; }  // empty while the node is well

  private:
    friend struct ModelDigest;  // what the exhaustive checker takes for its state (paxos/model.cpp)

    void enter();  // every public call that changes something begins here
    [[noreturn]] void poison(const std::string& text);

    // election.cpp
    void follow(NodeId leader);
    void try_to_lead();
    void begin_ballot();
    void become_leader();
    void send_prepare(const Progress& peer, bool only_tells);
    void prepare_again();
    std::size_t fill_promise(Message& reply, Index index) const;
    void handle_ask(const Message& message);
    void handle_answer(const Message& message);
    void handle_prepare(const Message& message);
    void handle_promise(const Message& message);
    void handle_refuse(const Message& message);
    void learn(const Entry& entry);
    void count_promise(std::uint32_t seat);
    bool take_what_is_chosen();
    bool bound_to_another(NodeId asker) const noexcept;
    bool is_out(const Message& message) const noexcept;
    bool has_prepare_quorum(std::uint64_t who) const noexcept;
    bool could_lead_with(std::uint64_t who) const noexcept;
    void draw_timer();
    void check_quorum();

    // replication.cpp
    void handle_accept(const Message& message);
    void handle_accepted(const Message& message);
    void handle_snapshot(const Message& message);
    void accept(const Entry& entry, const Ballot& ballot);
    void send_accept(Progress& peer, bool with_entries);
    void send_snapshot(const Progress& to);
    void send_where_needed(Progress& peer);
    void broadcast();
    void heartbeat();
    Index first_missing(const Progress& peer) const noexcept;
    void count_votes(std::uint32_t seat, Index first, Index last, bool& is_new);
    void advance_commit();
    void set_commit(Index index);
    void put(Entry entry);

    // reconfigure.cpp
    struct Electorate {
        Index from = 1;
        std::uint64_t voters = 0;  // one bit a seat
        Quorums quorums;
    };
    void load_memberships();
    void take_in(const Entry& entry);
    void seat_members();
    void follow_up();
    void fill_window();
    void propose_found();
    bool has_pending() const noexcept { return front_ + 1 < memberships_.size(); }
    bool may_lead() const noexcept;
    bool is_asked(const Membership& membership) const noexcept;
    bool is_known_to_quorum(const Membership& membership, Index index) const noexcept;
    bool must_be_told(const Membership& pending) const noexcept;
    const Electorate& governs(Index index) const noexcept;
    Index last_proposed() const noexcept { return votes_first_ + (votes_.size() - votes_dead_) - 1; }
    Index last_proposable() const noexcept;
    void propose_next(Entry entry);
    bool needs_nothing(const Progress& peer) const noexcept;

    // read.cpp
    bool knows_what_is_chosen() const noexcept;
    bool has_new_reads() const noexcept;
    void ask_for_reads();
    void confirm_reads();
    void abandon_reads();

    // storage.cpp
    bool has_unwritten() const noexcept;
    bool can_write() const noexcept;
    bool storage_hangs() const noexcept;
    Index applicable() const noexcept;
    void hold_back();
    void count_stored(const WriteQueue::Write& write);
    void count_own_promise();
    void covered_by_snapshot(Index index) noexcept;

    bool acceptable(const Message& message) const noexcept;
    bool entries_acceptable(const Message& message) const noexcept;
    bool tells_what_is_chosen(const Message& promise) const noexcept;
    void set_promised(const Ballot& ballot);
    Progress* find(NodeId id) noexcept;
    // A message to fill in; `entries` of a recycled one is empty but keeps its capacity.
    Message& send(MessageType type, NodeId to, const Ballot& ballot);

    PaxosConfig config_;
    base::Prng random_;
    Role role_ = Role::follower;
    HardState hard_;
    Ballot ballot_;
    std::uint64_t heard_ = 0;  // the highest ballot number it heard of
    NodeId leader_ = kNoNode;
    Log log_;
    Snapshot snapshot_;  // the latest; what it covers is not in the log
    Index commit_ = 0;
    Index applied_ = 0;          // or in a snapshot that waits for room among the writes:
    Index taken_ = 0;            // what the caller has of it
    Index stored_commit_ = 0;    // as the disk has it
    std::int64_t time_ns_ = 0;   // the log's time at commit_
    std::int64_t stamp_ns_ = 0;  // leader: the highest stamp it gave or adopted

    std::vector<Membership> memberships_;  // by id; chosen and not void
    std::size_t front_ = 0;                // the one that governs commit_ + 1
    bool memberships_changed_ = false;     // since seat_members()
    std::vector<Electorate> electorates_;  // of front_ and what follows it
    std::vector<NodeId> seats_;            // who has which bit; its own is the first; kNoNode = free
    Index prepared_ = 0;                   // leader: the latest configuration that phase 1 asked

    std::vector<Progress> peers_;       // the other nodes
    std::uint64_t yes_ = 0;             // asking, preparing: one bit a seat
    std::uint64_t no_ = 0;              // asking
    Index learned_first_ = 1;           // the slot of the first of
    std::vector<Entry> learned_;        // preparing: the highest accepted in each slot; leader: while some must wait
    Index learned_commit_ = 0;          // preparing: the highest commit index among those that promised
    std::vector<std::uint64_t> votes_;  // leader: who has accepted, one word a slot from votes_first_ on
    std::size_t votes_dead_ = 0;        // words at the front that are done with
    Index votes_first_ = 1;
    Index found_last_ = 0;  // leader: the last slot that phase 1 found something in
    struct PendingRead {
        std::uint64_t context;
        std::uint64_t round;  // 0 = not begun
        Index index;
    };
    std::vector<PendingRead> reads_;
    std::vector<ReadState> read_states_;
    std::vector<std::uint64_t> acknowledged_;
    std::uint64_t round_ = 0;     // of reads; grows for as long as the node lives
    std::uint32_t failures_ = 0;  // attempts to lead since a leader last got something done
    std::uint32_t election_elapsed_ = 0;
    std::uint32_t contact_elapsed_ = 0;  // since a leader was last heard, or since the start
    std::uint32_t heartbeat_elapsed_ = 0;
    std::uint32_t quorum_elapsed_ = 0;
    std::uint32_t election_timeout_ = 0;

    std::vector<Message> outbox_;  // the first outbox_size_ wait to be sent; the rest are kept for their capacity
    std::size_t outbox_size_ = 0;
    Index dirty_first_ = 0;  // slots to be stored: from here, 0 = none,
    Index dirty_last_ = 0;   // to here
    bool hard_changed_ = false;
    bool own_promise_ = false;             // counts once it is durable: not handed out yet,
    std::uint64_t own_promise_write_ = 0;  // or in this write
    WriteQueue writes_;
    std::uint64_t promise_write_ = 0;  // the highest promise is in it
    HeldMessages<Message> held_;
    std::size_t released_ = 0;  // of the outbox: they have waited and go now
    std::uint32_t write_elapsed_ = 0;
    Index applicable_ = 0;  // what the Ready that is out goes up to
    bool snapshot_pending_ = false;
    bool ready_out_ = false;
    Ready ready_;
    Counters counters_;
    std::string poisoned_;
};

}  // namespace fastmas::consensus::paxos
