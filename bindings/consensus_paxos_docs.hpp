// The docstrings of PaxosNode and what it hands out. Their examples are run by a test.
#pragma once

namespace fastmas::bindings::docs {

inline constexpr const char* kPaxosEntry =
    R"(What was accepted in a slot of the log; what is stored, and given back to a node after a restart.

Parameters
----------
ballot : tuple of (int, int)
    The highest that it was accepted in: (number, node).
index : int
    Its slot, from 1.
time_ns : int
    The leader's stamp; of a committed entry the log's time, which never falls.
kind : {'noop', 'command', 'membership'}
    What a state machine gets is a command; the others are the protocol's own.
command : bytes
    What was proposed; of a membership entry the encoded change.
client, sequence, acknowledged : int
    The request that it carries out, so that a retried one takes effect once; client 0 is none.
expires_ns : int, optional
    The log's time after which it has no effect any more.)";

inline constexpr const char* kPaxosHardState =
    R"(What a node must have on disk before it says anything that depends on it.

Parameters
----------
promised : tuple of (int, int)
    The ballot, (number, node), below which it promised to accept nothing; (0, 0) for none.
commit : int
    A slot up to which all are stored and chosen.)";

inline constexpr const char* kPaxosMembership = R"(One configuration: who votes, who listens, how many must agree.

Parameters
----------
voters : sequence of int
    They promise and accept; node numbers from 1.
learners : sequence of int
    They get what is proposed and chosen, and count for nothing.
quorums : tuple of (int, int)
    How many must promise, and how many accept; together more than all voters. 0 is a majority.
id, governs_from : int
    The slot of the entry that made it (0: what the cluster began with), and the first slot that it decides. Of a
    configuration that a node showed; a change to it is asked for without.

Examples
--------
>>> from fastmas.consensus import PaxosMembership
>>> target = PaxosMembership([3, 1, 2], learners=[4])
>>> target.voters, target.learners, target.quorums
([1, 2, 3], [4], (2, 2)))";

inline constexpr const char* kPaxosSnapshot =
    R"(The state machine as of a slot; it stands for all slots up to that one.

Parameters
----------
index : int
    The last slot that it covers.
ballot : tuple of (int, int)
    What it stands for was chosen in ballots up to this one; whoever installs it promises that much.
time_ns : int
    The log's time there.
memberships : sequence of PaxosMembership
    That which was left last, the one in force and the one to come, as far as they are known at `index`.
state : bytes
    What the state machine made of itself.)";

inline constexpr const char* kPaxosReady =
    R"(What a node wants done, in the order of its fields; then `PaxosNode.advance`.

1. `snapshot`, when there is one, replaces the stored snapshot and every stored entry up to its index; those after it stay;
2. `entries` are stored, each in its slot, where it replaces what was there and nothing else;
3. `hard_state` is stored when there is one, after 1 and 2;
4. when `must_sync`, all of that is durable before anything of 5 leaves;
5. `messages`, pairs of (node, bytes), are sent, each once, more than once or not at all;
6. the state machine is replaced by `snapshot`, then gets each entry of `committed`, in order; `reads` are answered.

With asynchronous storage, 1 to 3 are the write numbered `write` (0: nothing is to be stored); see docs/consensus.md.)";

inline constexpr const char* kPaxosNode =
    R"(PaxosNode(node, nodes, **options): one Multi-Paxos participant without I/O, clock or thread.

The caller owns time, network, disk and state machine: it calls `tick`, `step` and `propose`, and while `has_ready()` it
does what `ready()` says and calls `advance()`. Deterministic: the same calls give the same answers. A broken invariant
poisons it: that call and every later one raise `InvariantError`.

Parameters
----------
node : int
    Its number, from 1.
nodes : sequence of int
    What the cluster began with, the same on all its nodes for ever; what the log says later counts instead.
joining : bool
    Whether the node is not in this list, and a change of the membership will bring it in.
quorums : tuple of (int, int)
    How many must promise, and how many accept, of `nodes`; together more than all. 0 is a majority.
seed : int
    The cluster's: each node draws its election time-outs from it and from its number.
window : int
    A change of members decides the slots from so many after its own on, and nobody proposes further ahead of what is chosen.
    The same on all nodes for as long as the cluster lives.
election_ticks, heartbeat_ticks : int
    Ticks without word from a leader before a node tries to lead (drawn from n to 2 n, longer after failures), and between
    heartbeats.
ask_first, check_quorum : bool
    Ask whether a quorum would promise before a ballot is begun; stop leading when no quorum answers, and promise nothing
    while in contact with a leader.
async_storage : bool
    Whether the caller acknowledges writes by `stored` instead of `advance`.
max_writes_in_flight, hung_write_ticks : int
    Of asynchronous storage: writes handed out and not acknowledged, and the ticks after which a disk counts as hung
    (0: `election_ticks`).
max_pending_reads, max_message_entries, max_message_bytes, max_inflight_entries, max_open_slots, max_command_bytes : int
    Bounds on reads that wait, on one message, on what is sent and not committed by a node, on slots that are open, and on
    one command.
hard_state, entries, snapshot
    What the node had stored before it was restarted.

Raises
------
ConfigError
    For options or a stored state that cannot work: the rule, what was given, what to do.

Examples
--------
>>> from fastmas.consensus import PaxosNode
>>> node = PaxosNode(1, [1])  # a cluster of one
>>> while node.role != "leader":
...     node.tick()
...     while node.has_ready():  # entries and hard_state to disk, then the messages to the network
...         ready = node.ready()
...         node.advance()
>>> node.propose(b"buy", now_ns=5)
('appended', (1, 1), 1)
>>> node.read(7)
'registered'
>>> while node.has_ready():
...     ready = node.ready()
...     for entry in ready.committed:
...         print(entry.index, entry.kind, entry.command)
...     for read in ready.reads:
...         print(read.context, read.is_confirmed)
...     node.advance()
7 True
1 command b'buy')";

inline constexpr const char* kPaxosTick = R"(One unit of the consensus clock has passed.

Parameters
----------
now_ns : int, optional
    As other nodes have it; Paxos has no leases and makes nothing of it.)";

inline constexpr const char* kPaxosStep = R"(Take in a message of another node.

Parameters
----------
message : bytes
    As another node's `PaxosReady.messages` had it.

Returns
-------
bool
    False for bytes that are no message, or none that a correct node sends: dropped, and the state is untouched.)";

inline constexpr const char* kPaxosPropose = R"(Hand a command to the leader.

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
tuple of (str, tuple of (int, int), int)
    'appended', the leader's ballot and the slot: it is committed once `PaxosReady.committed` has this very command in that
    slot, in this ballot or a higher one. Or 'not_leader', 'too_large', 'full', 'busy' or 'refused' (a
    session that cannot be): dropped, and the numbers mean nothing.)";

inline constexpr const char* kPaxosChangeMembership =
    R"(Begin to change who takes part; in force a window behind its slot.

Parameters
----------
target : PaxosMembership
    New voters are learners already.
now_ns : int
    As in `propose`.

Returns
-------
tuple of (str, tuple of (int, int), int)
    As `propose`; 'busy' while another change is under way, while the leader does not know what was chosen before it, and
    until a quorum of the target has caught up.

Raises
------
ConfigError
    For a target that cannot be; nothing has changed.)";

inline constexpr const char* kPaxosRead = R"(Register a linearizable read with the leader.

It comes out of `PaxosReady.reads` once an accept quorum has answered a round begun after this call, in this leader's ballot.

Parameters
----------
context : int
    The caller's own, 0 to 2**64 - 1; may be used again.

Returns
-------
{'registered', 'not_leader', 'full'})";

inline constexpr const char* kPaxosStored =
    R"(Asynchronous storage: the write of this number and all before it are durable.

Parameters
----------
write : int
    A `PaxosReady.write`.)";

inline constexpr const char* kPaxosCheckpoint =
    R"(The snapshot to store before `compact` is called with the same arguments.

Parameters
----------
index : int
    What is applied already, and not compacted.
state : bytes
    What the state machine made of itself at that index.

Returns
-------
PaxosSnapshot

Raises
------
ConfigError
    For another index.)";

inline constexpr const char* kPaxosCompact = R"(Forget the log up to an index.

Parameters
----------
index : int
    What is applied already, and covered by a durable snapshot.
state : bytes
    That snapshot of the state machine, for nodes that are further behind.

Raises
------
ConfigError
    For another index.)";

}  // namespace fastmas::bindings::docs
