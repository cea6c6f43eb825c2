// The docstrings of RaftNode and what it hands out. Their examples are run by a test.
#pragma once

namespace fastmas::bindings::docs {

inline constexpr const char* kLogEntry =
    R"(An entry as the log holds it; what is stored, and given back to a node after a restart.

Parameters
----------
term, index : int
    Whose leader appended it, and where: from 1.
time_ns : int
    The leader's time at append, never below that of the entry before.
kind : {'noop', 'command', 'membership'}
    What a state machine gets is a command; the others are the protocol's own.
command : bytes
    What was proposed; of a membership entry the encoded configuration.
client, sequence, acknowledged : int
    The request that it carries out, so that a retried one takes effect once; client 0 is none.
expires_ns : int, optional
    The log's time after which it has no effect any more.)";

inline constexpr const char* kHardState = R"(What a node must have on disk before it says anything that depends on it.

Parameters
----------
term : int
    The latest that it has seen.
vote : int
    Whom it voted for in that term; 0 for nobody.
lost : tuple of (int, int)
    Where its log ended, (term, index), that its disk then damaged, until it has caught up; (0, 0) for nothing.)";

inline constexpr const char* kMembership = R"(Who takes part: voters, learners and witnesses.

Parameters
----------
voters : sequence of int
    They elect and commit; node numbers from 1.
learners : sequence of int
    They get the log and count for nothing.
witnesses : sequence of int
    Which of the voters keep terms and indexes but no commands; they never lead.
outgoing : sequence of int
    While it is joint, the voters before the change: a majority of these is needed, too. Of a configuration that a node
    showed; a change to it is asked for without.
id : int
    The index of the entry that made it; 0 for what the cluster began with.

Examples
--------
>>> from fastmas.consensus import Membership
>>> target = Membership([3, 1, 2], learners=[4])
>>> target.voters, target.learners, target.is_joint
([1, 2, 3], [4], False))";

inline constexpr const char* kSnapshot = R"(The state machine as of an index; it stands for all entries up to that one.

Parameters
----------
index, term : int
    The last entry that it covers.
time_ns : int
    Of that entry: time goes on growing from there.
membership : Membership or sequence of int
    The configuration as of `index`; node numbers mean voters.
state : bytes
    What the state machine made of itself.)";

inline constexpr const char* kReadState = R"(A read that may be answered, or that may not.

It is answered from the state machine once that has applied `index`, and before `valid_until_ns` by the clock that `tick`
is given; None where there is no such bound. One that `is_confirmed` says no of goes to whoever leads now.)";

inline constexpr const char* kReady = R"(What a node wants done, in the order of its fields; then `RaftNode.advance`.

1. `snapshot`, when there is one, replaces the stored snapshot and every stored entry that it covers or contradicts;
2. `entries` are stored; whatever the disk holds from the first one's index on is replaced by them;
3. `hard_state` is stored when there is one;
4. when `must_sync`, all of that is durable before anything of 5 leaves;
5. `messages`, pairs of (node, bytes), are sent, each once, more than once or not at all;
6. the state machine is replaced by `snapshot`, then gets each entry of `committed`, in order; `reads` are answered.

With asynchronous storage, 1 to 3 are the write numbered `write` (0: nothing is to be stored); see docs/consensus.md.)";

inline constexpr const char* kRaftNode =
    R"(RaftNode(node, voters, **options): one Raft participant without I/O, clock or thread.

The caller owns time, network, disk and state machine: it calls `tick`, `step` and `propose`, and while `has_ready()` it
does what `ready()` says and calls `advance()`. Deterministic: the same calls give the same answers. A broken invariant
poisons it: that call and every later one raise `InvariantError`.

Parameters
----------
node : int
    Its number, from 1.
voters : sequence of int
    What the cluster began with, the same on all its nodes for ever; what the log says later counts instead.
learners, witnesses : sequence of int
    As in `Membership`.
joining : bool
    Whether the node is in none of these lists, and a change of the membership will bring it in.
witness : bool
    Whether it joins as a witness.
seed : int
    The cluster's: each node draws its election time-outs from it and from its number.
election_ticks, heartbeat_ticks : int
    Ticks without word from a leader before a node stands (drawn from n to 2 n), and between heartbeats.
pre_vote, check_quorum : bool
    Ask before raising the term; step down when no majority answers, and refuse votes while in contact with a leader.
async_storage : bool
    Whether the caller acknowledges writes by `stored` instead of `advance`.
priority : int
    0 stands first, each step makes the node wait `election_ticks` longer; up to 10.
lease_ns : int
    How long a leader answers reads alone after a heartbeat that a majority acknowledged; 0 = never. At most
    (election_ticks - 1) ticks, less what two clocks may drift apart in that time.
max_clock_ahead_ns : int
    How far ahead of `set_clock` an entry's time may be.
max_inflight_entries, max_inflight_bytes, max_uncommitted_entries, max_uncommitted_bytes, max_command_bytes : int
    Bounds on what is sent and not acknowledged by a follower, waits for a commit or for the leader's disk, or comes in
    one command.
max_snapshot_part_bytes, max_snapshot_bytes : int
    How much of a snapshot goes in one message, and how large one may be announced to be.
hard_state, entries, snapshot
    What the node had stored before it was restarted.
lost : tuple of (int, int)
    (term, index) of the last entry that was ever durable, when the disk has damaged some since: `entries` are then those
    before the first damaged one. Term 0 when nobody can tell; (0, 0), the default, when nothing is damaged. The torn end of
    a write that was never acknowledged is no damage.

Raises
------
ConfigError
    For options or a stored state that cannot work: the rule, what was given, what to do.

Examples
--------
>>> from fastmas.consensus import RaftNode
>>> node = RaftNode(1, [1])  # a cluster of one
>>> while node.role != "leader":
...     node.tick()
>>> node.propose(b"buy", now_ns=5)
('appended', 1, 2)
>>> node.read(7)
'registered'
>>> while node.has_ready():
...     ready = node.ready()  # entries and hard_state to disk, then the messages to the network
...     for entry in ready.committed:
...         print(entry.index, entry.kind, entry.command)
...     for read in ready.reads:
...         print(read.context, read.index, read.is_confirmed)
...     node.advance()
1 noop b''
2 command b'buy'
7 2 True)";

inline constexpr const char* kTick = R"(One unit of the consensus clock has passed.

Parameters
----------
now_ns : int, optional
    The caller's monotonic clock, which leases are measured by.)";

inline constexpr const char* kSetClock =
    R"(The wall clock, now and then. Without it every entry's time is believed.

A leader whose uncommitted entries are further ahead than `max_clock_ahead_ns` is not followed until the clock is there or
another one leads: the time of the log never falls, so one wild stamp would expire every session for good.

Parameters
----------
now_ns : int)";

inline constexpr const char* kStep = R"(Take in a message of another node.

Parameters
----------
message : bytes
    As another node's `Ready.messages` had it.

Returns
-------
bool
    False for bytes that are no message, or none that a correct node sends: dropped, and the state is untouched.)";

inline constexpr const char* kPropose = R"(Hand a command to the leader.

Parameters
----------
command : bytes
now_ns : int
    The entry's time, unless the log is ahead of it.
client, sequence, acknowledged : int
    The request, so that a retried one takes effect once: `sequence` grows by one from 1, and the replies up to
    `acknowledged` may be forgotten. A retry is the same in every field. Client 0: every copy takes effect.
    `acknowledged=2**64 - 1` ends the client: it is forgotten once this request has expired.
expires_ns : int, optional
    By the log's time: a request that has not taken effect by then never will, and what is kept to tell its retries
    apart is forgotten then. It does not fall from a client's request to its next. None: kept for good.

Returns
-------
tuple of (str, int, int)
    'appended', term and index: it is committed once `Ready.committed` has the entry with both. Or 'not_leader',
    'too_large', 'full', 'busy' or 'refused' (a session that cannot be, or a time too far ahead of `set_clock`): dropped,
    and the numbers mean nothing.)";

inline constexpr const char* kChangeMembership =
    R"(Begin to change who takes part; over once an entry of the target itself is committed.

Parameters
----------
target : Membership
now_ns : int
    As in `propose`.

Returns
-------
tuple of (str, int, int)
    As `propose`; 'busy' while another change is under way, or nothing of the leader's own term is committed yet.

Raises
------
ConfigError
    For a target that cannot be; nothing has changed.)";

inline constexpr const char* kRead = R"(Register a linearizable read with the leader.

It comes out of `Ready.reads` once a majority has acknowledged a round of heartbeats begun after this call.

Parameters
----------
context : int
    The caller's own, 0 to 2**64 - 1; may be used again.

Returns
-------
{'registered', 'not_leader', 'full'})";

inline constexpr const char* kLeaseRead = R"(The same without a round while the lease holds at `now_ns`; else as `read`.

Parameters
----------
context : int
now_ns : int
    The clock that `tick` is given.

Returns
-------
{'registered', 'not_leader', 'full'})";

inline constexpr const char* kTransfer = R"(Hand the leadership to another voter.

Commands are 'busy' meanwhile, and welcome again if nothing came of it within an election time-out.

Parameters
----------
target : int

Returns
-------
{'appended', 'not_leader', 'busy'}
    'appended': begun; `transferee` says to whom.

Raises
------
ConfigError
    For a target that is no other voter, or a witness.)";

inline constexpr const char* kStored = R"(Asynchronous storage: the write of this number and all before it are durable.

Parameters
----------
write : int
    A `Ready.write`.)";

inline constexpr const char* kDamaged =
    R"(The disk cannot read what was durable, from an index on: `ready` hands it out again.

For a node that runs and has everything in memory; one that starts is told by its argument `lost`.

Parameters
----------
first : int
    The first damaged entry's index.

Raises
------
ConfigError
    For an index that is not in the log.)";

inline constexpr const char* kCompact = R"(Forget the log up to an index.

Parameters
----------
index : int
    What is applied already, and covered by a durable snapshot.
state : bytes
    That snapshot of the state machine, for followers that are further behind.)";

}  // namespace fastmas::bindings::docs
