// A chain of Tendermint heights as a state machine without I/O: signatures, blocks, gossip, catch-up, recovery.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "consensus/bft/certificate.hpp"
#include "consensus/bft/config.hpp"
#include "consensus/bft/pool.hpp"
#include "consensus/bft/ready.hpp"
#include "consensus/bft/signing.hpp"
#include "consensus/bft/tendermint.hpp"
#include "consensus/held_messages.hpp"

namespace fastmas::consensus::bft {

// What became of a command handed in. `index`: where it will be if nothing comes before it that this node has not seen.
struct Submission {
    ProposeStatus status = ProposeStatus::full;
    Index index = 0;
};

// What a peer did wrong, counted against the link it came over (PITFALLS 38).
struct PeerCounters {
    std::uint64_t forged = 0;     // a signature that is not its validator's
    std::uint64_t invalid = 0;    // what no correct node sends
    std::uint64_t unread = 0;     // dropped without a look: too much wrong in this tick
    std::uint64_t overflown = 0;  // early messages beyond the bound
};

// One participant. The caller owns time (tick), the network (step, Ready::messages), the disk (Ready::decided,
// hard_state, snapshot) and the state machine (Ready::committed); ready.hpp numbers its duties.
// Agreement holds while liars have less than one third of the power, whatever the network does; progress needs that
// messages between correct nodes arrive again after some time. Not thread-safe. Deterministic: the same calls give the
// same answers. No call blocks. Wrong messages are dropped and counted. A broken invariant poisons the node: the call
// that finds it and every later one throw base::InvariantError.
// Copyable outside ready()/advance(); copies share signer and verifier.
class BftNode {
  public:
    struct Counters {
        std::uint64_t rounds = 0;     // begun after the first of a height
        std::uint64_t locks = 0;      // values locked (line 38)
        std::uint64_t unlocks = 0;    // a prevote for another value than the locked one, by a later proof (line 29)
        std::uint64_t caught_up = 0;  // blocks taken from certificates instead of votes
        std::uint64_t dropped = 0;    // messages that no correct node sends
        std::uint64_t verified = 0;   // signatures checked
        std::uint64_t proposals = 0;  // made by this node
        std::uint64_t invalid_proposals = 0;  // well signed, for a value that is not valid
        std::uint64_t stalled = 0;            // messages not looked at while the disk lags behind: they come again
        std::uint64_t untimely = 0;           // for a value whose time is off, and commands of such a time
        std::uint64_t nil_precommits = 0;
    };

    // `signer` may be nullptr for a node that only follows. Throws base::ConfigError for a config or a stored state
    // that cannot work.
    BftNode(BftConfig config, std::shared_ptr<Signer> signer, std::shared_ptr<Verifier> verifier,
            PersistentState stored = {});

    // One unit of the consensus clock has passed.
    void tick();
    void step(const Message& message);
    // What step() would have to have checked for these messages as things stand, appended: for a driver whose verifier
    // keeps verdicts, so that it checks many at once and in parallel before it hands the messages in one by one. Some
    // may turn out not to be needed, or to be missing here; neither changes what step() does.
    void signatures(std::span<const Message> messages, std::vector<Verifier::Item>& out) const;
    // The command goes to all validators and into the block of whoever proposes next. It needs a session: only that
    // tells a request from its copies, and every validator holds one. `now_ns` is the client's time, which becomes the
    // block's if it is the latest; refused when it is too far ahead of this node's. Handing in what is under way or
    // decided already is no error and changes nothing.
    Submission propose(Payload command, const Session& session, std::int64_t now_ns);
    // A change of the validator set, in force from the height after the one that decides it; power 0 removes. Taken
    // only with a rule that allows it.
    Submission propose_change(const Validator& change, const Session& session, std::int64_t now_ns);
    // The caller's clock, from which on times are checked; without it none are.
    void set_clock(std::int64_t now_ns) noexcept;

    bool has_ready() const noexcept;
    const Ready& ready();
    // All duties of the last ready() are done; with asynchronous storage, its write is on its way.
    void advance();
    // Asynchronous storage: the write of this number and all before it are durable.
    void stored(std::uint64_t write);
    // The state machine's state after the last applied entry, which must be that of a checkpoint height, is durable
    // with the chain's (checkpoint()). Blocks before it go once others have vouched for it: those from
    // first_kept_height() on are to stay stored, and before those below it are deleted, proven() is to be; else nobody
    // may be left who could give a laggard what it lacks.
    void compact(Index index, Payload state);
    Height first_kept_height() const noexcept;
    // Whether compact(applied_index(), ...) would be taken now.
    bool checkpoint_due() const noexcept;
    Snapshot checkpoint(Payload state) const;  // what to store for compact()

    NodeId id() const noexcept { return config_.id; }
    Height height() const noexcept { return chain_.height + 1; }  // under way
    Round round() const noexcept { return machine_.round(); }     // kNoRound while nothing is to be decided
    Step step_now() const noexcept { return machine_.step(); }
    Index commit_index() const noexcept { return chain_.index; }
    Index applied_index() const noexcept { return applied_; }
    Height applied_height() const noexcept { return applied_height_; }
    bool is_idle() const noexcept;  // waits for commands, has none, and has handed out all it decided
    // Neither commands nor a value that could be decided on, and all is handed out. It may be in a round all
    // the same, alone: one that began for what was lost in a crash goes on with the next command.
    bool has_nothing_to_do() const noexcept;
    bool hears_quorum() const noexcept;  // more than two thirds, itself included, spoke lately
    NodeId proposer();                   // of the round under way, or of the next one
    const ChainState& chain() const noexcept { return chain_; }
    const Digest& genesis() const noexcept { return genesis_; }
    const Tendermint& machine() const noexcept { return machine_; }
    const HardState& hard_state() const noexcept { return hard_; }
    const std::deque<Decided>& log() const noexcept { return log_; }  // what is not compacted
    const Decided* decided(Height height) const noexcept;             // nullptr when compacted or not decided yet
    const CommandPool& pool() const noexcept { return pool_; }
    const std::shared_ptr<const Snapshot>& proven() const noexcept { return proven_; }
    const std::vector<Evidence>& evidence() const noexcept { return evidence_; }
    const Counters& counters() const noexcept { return counters_; }
    PeerCounters peer(NodeId id) const noexcept;
    std::size_t writes_in_flight() const noexcept { return writes_.size(); }
    std::uint64_t stored_write() const noexcept { return stored_write_; }  // the last one that stored() told of
    const BftConfig& config() const noexcept { return config_; }
    const std::string& poisoned() const noexcept { return poisoned_; }

  private:
    struct Peer {
        NodeId id = kNoNode;
        std::uint32_t wrong = 0;    // in this tick
        std::uint32_t replies = 0;  // in this tick
        bool asked = false;         // in this tick
        std::uint32_t silent_ticks = 0;
        std::vector<Message> early;  // of the next height
        PeerCounters counters;
    };
    struct Timer {
        Step step;
        Round round;
        std::uint64_t ticks;
    };

    void enter();
    [[noreturn]] void poison(const std::string& text);
    void wrong(Peer& peer, bool forged = false);
    Peer* find(NodeId id) noexcept;
    Message& send(MessageType type, NodeId to);
    Submission submit(CommandKind kind, Payload bytes, const Session& session, std::int64_t now_ns);

    // Its place among those who decide; nowhere without a vote, or once the chain has given its id to another key: what
    // it signs then is a forgery to all others.
    std::size_t own_place() const noexcept;
    void begin_height();
    void resume();

    // storage.cpp: what is handed out to be stored, and what waits for it
    bool has_unwritten() const noexcept { return hard_changed_ || !fresh_.empty() || install_ != nullptr; }
    bool can_write() const noexcept;
    Height appliable() const noexcept { return config_.async_storage ? durable_height_ : chain_.height; }
    bool is_stalled() const noexcept;
    void hand_out();
    void hold_back();

    // actions.cpp: what the machine asks for
    void enter_round(Round round);
    BlockPtr block_of(std::vector<Command> commands, const Digest& next_validators) const;
    BlockPtr make_block();  // nullptr when nothing waits
    void start_if_needed();
    void progress();
    void act(const Action& action);
    void propose_value(Round round, const Digest& valid_value, Round valid_round);
    void sign_vote(VoteType type, const Digest& value);
    void note_state();
    void decide(Round round, const Digest& value);
    void append(Decided decided);
    void apply_to_chain(const Block& block);

    // messages.cpp: what comes in (list_signatures: signatures.cpp)
    void handle_proposal(Peer& peer, const Message& message);
    void handle_votes(Peer& peer, const Message& message);
    bool take_vote(Peer& peer, const Vote& vote);
    void count_vote(std::size_t place, const Vote& vote);
    void handle_commands(Peer& peer, const Message& message);
    void keep_early(Peer& peer, const Message& message);
    void replay_early();
    bool is_proof(const Proposal& proposal) const noexcept;
    bool check_pol(const Proposal& proposal);
    bool verify(const PublicKey& key, const SignBytes& bytes, const Signature& signature);
    void take_proposal(const Proposal& proposal);
    void list_signatures(const Message& message, std::size_t most, std::vector<Verifier::Item>& out) const;
    void keep_evidence(Evidence evidence);
    bool has_evidence(Evidence::Kind kind, NodeId culprit, Round round, VoteType type) const noexcept;
    BlockPtr find_block(const Digest& value) const noexcept;
    bool is_timely(std::int64_t time_ns) const noexcept;

    // gossip.cpp: what was lost, laggards, checkpoints
    void broadcast_status();
    void fill_status(Status& status);
    void ask(Peer& peer);
    void handle_status(Peer& peer, const Status& status);
    void send_missing(Peer& peer, const Status& status);
    void send_decided(Peer& peer, Height from);
    void handle_decided(Peer& peer, const Message& message);
    void handle_snapshot(Peer& peer, const Message& message);
    void handle_checkpoints(Peer& peer, const Message& message);
    void prove_checkpoint();
    void resend_commands();
    void send_commands();

    BftConfig config_;
    std::shared_ptr<Signer> signer_;
    std::shared_ptr<Verifier> verifier_;
    std::optional<PublicKey> own_key_;  // the signer's
    Digest genesis_{};
    ChainState chain_;
    HardState hard_;
    Tendermint machine_;
    CommandPool pool_;
    std::vector<Peer> peers_;
    std::vector<Timer> timers_;
    std::vector<Proposal> proposals_;  // of the height, as far as the machine keeps their rounds
    bool owes_proposal_ = false;       // its turn, and nothing to propose yet

    std::deque<Decided> log_;     // what is decided and neither compacted nor waiting in fresh_
    std::vector<Decided> fresh_;  // not durable yet
    Index applied_ = 0;
    Height applied_height_ = 0;
    std::shared_ptr<const ChainState> boundary_;                // of the checkpoint height that was applied last
    std::deque<std::shared_ptr<const ChainState>> boundaries_;  // of those not applied yet
    std::shared_ptr<const Snapshot> pending_;                   // the own latest, not vouched for yet
    // Sets that decide no more, and up to which height they did, as far back as a laggard may know them.
    std::vector<std::pair<Height, std::shared_ptr<const ValidatorSet>>> former_;
    std::shared_ptr<const Snapshot> proven_;
    std::shared_ptr<const Snapshot> install_;  // to be handed out
    std::vector<CheckpointVote> checkpoints_;  // at most two a validator

    std::int64_t clock_ns_ = INT64_MIN;
    std::uint64_t ticks_ = 0;
    std::vector<Message> outbox_;  // the first outbox_size_ wait to be sent; the rest are kept for their capacity
    std::size_t outbox_size_ = 0;
    // Asynchronous storage: each write in flight, and up to which height it stores.
    struct Write {
        std::uint64_t number = 0;
        Height height = 0;
    };
    std::deque<Write> writes_;
    std::uint64_t next_write_ = 1;
    std::uint64_t stored_write_ = 0;
    Height durable_height_ = 0;
    HeldMessages<Message> held_;
    std::size_t released_ = 0;  // so many of the outbox wait for no write any more
    bool hard_changed_ = false;
    bool ready_out_ = false;
    bool acting_ = false;        // progress() is under way
    bool again_ = false;         // and has to look once more
    bool fresh_height_ = false;  // a height began that nothing was replayed into yet
    bool pool_grew_ = false;
    bool paused_ = false;            // at a checkpoint height: nothing further is handed out before the next call
    std::vector<Command> outgoing_;  // taken in, to be sent to all in few messages
    std::vector<Entry> entries_;     // of Ready::committed
    std::vector<Action> actions_;    // under way, in progress()
    std::vector<Vote> votes_;        // scratch
    Status status_;                  // scratch
    Height entries_height_ = 0;      // up to where they go
    Ready ready_;
    std::vector<Evidence> evidence_;
    Counters counters_;
    std::string poisoned_;
};

}  // namespace fastmas::consensus::bft
