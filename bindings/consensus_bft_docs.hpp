// The docstrings of BftNode and what it hands out. Their examples are run by a test.
#pragma once

namespace fastmas::bindings::docs {

inline constexpr const char* kBftCommand = R"(What a client asks for, as the rule of a chain is shown it.

It has `kind` ('command', or 'validator' for a change of the validators), the bytes `command`, the session `client`,
`sequence`, `acknowledged` and `expires_ns` (None: never), and `time_ns`, the client's clock.)";

inline constexpr const char* kBftEntry = R"(A command of a decided block, as a state machine gets it.

It has `height` and `index` (of the log of commands, from 1), `time_ns` of the block, `kind`, the bytes `command` and the
session `client`, `sequence`, `acknowledged` and `expires_ns`. A 'noop' changed the validators; a state machine has no
part in it.)";

inline constexpr const char* kDecided = R"(A decided block and the proof; what is stored, as `bytes()` of it.

`height` and `round` say of which; `block` and `certificate` are bytes that anybody can check who has the validators'
public keys: see `fastmas.certificate`.)";

inline constexpr const char* kBftHardState =
    R"(What a node must have on disk before it says anything that depends on it, as `bytes()` of it.

What it has signed at the height under way, its lock, and the value that it holds valid with the proof. It has `height`,
`round` (None before the first) and `step`.)";

inline constexpr const char* kBftSnapshot =
    R"(The state machine after a height; it stands for all blocks up to that one. Stored as `bytes()` of it.

It has `index` of the last command that it covers, `height`, and the bytes `state`, what the state machine made of
itself.)";

inline constexpr const char* kEvidence = R"(Two statements of one validator that no correct one makes both.

It has `kind` ('prevote', 'precommit' or 'proposal'), `culprit`, `height` and `round`, and `statements`: both, each as
(statement, signature), for anybody to check against the culprit's public key.)";

inline constexpr const char* kBftReady =
    R"(What a node wants done, in the order of its fields; then `BftNode.advance`.

1. `snapshot`, when there is one, replaces the stored snapshot and every stored block up to its height;
2. `decided` blocks are stored after those that are there;
3. `hard_state` is stored when there is one, in one piece with 2: never the one without the other;
4. when `must_sync`, all of that is durable before anything of 5 leaves;
5. `messages`, pairs of (node, bytes), are sent, each once, more than once or not at all;
6. the state machine is replaced by `snapshot`, then gets each entry of `committed`, in order.

With asynchronous storage, 1 to 3 are the write numbered `write` (0: nothing is to be stored); see docs/consensus.md.)";

inline constexpr const char* kBftNode =
    R"(BftNode(node, validators, *, verify, signer=None, **options): one participant without I/O, clock or thread.

Tendermint, for nodes of which some lie: agreement holds while those have less than a third of the voting power. The caller
owns time, network, disk and state machine: it calls `tick`, `step` and `propose`, and while `has_ready()` it does what
`ready()` says and calls `advance()`. Deterministic: the same calls give the same answers. A broken invariant, or an exception
from the signer, the verifier or the rule, poisons it: every later call raises `InvariantError`.

Parameters
----------
node : int
    Its number. One that is not among the validators follows, and has no vote.
validators : sequence of Validator
    Who decides on the first height, the same on all nodes for ever: (id, power, public key). What the chain says later
    counts instead.
verify : callable
    `[(public key, statement, signature)] -> bool`: whether all are good. A pure function: `Ed25519Verifier`.
signer : object, optional
    The node's secret: `sign(statement) -> bytes` and `public_key`, as `Ed25519Signer` has them. None: it only follows.
chain : str
    The chain's name. Every signature is about it, the limits of a block and the first validators (`genesis`).
peers : sequence of int
    Whom messages are sent to; the validators when it is left out.
rule : callable, optional
    `BftCommand -> bool`: which commands may stand in a block. A pure function, the same on all nodes. Without one anybody
    may speak for any client, and the validators stay who they are. See `SignedCommands`.
propose_ticks, prevote_ticks, precommit_ticks, timeout_growth_ticks : int
    How long a step waits, and how much longer in each round.
status_ticks : int
    Between two looks for what was lost.
checkpoint_every : int
    Heights between two states that `compact` takes; the same on all nodes.
max_clock_ahead_ns : int
    A command whose time is further ahead of the clock that `tick` is given is not taken, nor voted for.
max_block_commands, max_block_bytes, max_command_bytes : int
    The limits of a block; the same on all nodes.
max_pool_commands, max_pool_bytes, max_message_bytes, max_wrong_messages, max_evidence : int
    Bounds on what waits, goes in one message of blocks, is looked at of a peer that sends wrong ones in a tick, and is kept.
async_storage : bool
    Whether the caller acknowledges writes by `stored` instead of `advance`.
hard_state, decided, snapshot, proven
    What the node had stored before it was restarted.

Raises
------
ConfigError
    For options or a stored state that cannot work: the rule, what was given, what to do.

Examples
--------
>>> from fastmas.certificate import Validator, verify_certificate
>>> from fastmas.consensus import BftNode
>>> from fastmas.signatures import Ed25519Signer, Ed25519Verifier
>>> signer = Ed25519Signer(bytes(range(32)))
>>> validators = [Validator(1, 1, signer.public_key)]  # a cluster of one; 4 stand one liar
>>> node = BftNode(1, validators, signer=signer, verify=Ed25519Verifier())
>>> node.propose(b"buy", now_ns=5, client=9, sequence=1)
('appended', 1)
>>> while node.has_ready():
...     ready = node.ready()  # blocks and hard_state to disk, then the messages to the network
...     for decided in ready.decided:
...         print(verify_certificate(decided.block, decided.certificate, validators, node.genesis).commands)
...     for entry in ready.committed:
...         print(entry.height, entry.index, entry.kind, entry.command)
...     node.advance()
(b'buy',)
1 1 command b'buy')";

inline constexpr const char* kBftTick = R"(One unit of the consensus clock has passed.

Parameters
----------
now_ns : int, optional
    The caller's clock, which the times of commands are compared with; without it none are.)";

inline constexpr const char* kBftStep = R"(Take in a message of another node.

Parameters
----------
message : bytes
    As another node's `BftReady.messages` had it.

Returns
-------
bool
    False for bytes that are no message, or where something was dropped that no correct node sends: see `peer`.)";

inline constexpr const char* kBftSignatures = R"(What `step` will have to have verified for these messages.

For a driver whose verifier remembers: it takes all messages that have come, has their signatures checked at once and in
parallel, then hands them to `step` in their order, which finds every verdict ready. What the node decides does not depend
on it. Bounded: of one peer's messages at most 256 signatures a call.

Parameters
----------
messages : sequence of bytes
    Hostile bytes are passed over.

Returns
-------
list of (bytes, bytes, bytes)
    (public key, statement, signature).)";

inline constexpr const char* kBftPropose = R"(Hand a command in; it goes to all validators.

Parameters
----------
command : bytes
now_ns : int
    The client's clock; the latest one of a block is the block's time.
client, sequence, acknowledged : int
    The request, so that each takes effect once: `client` from 1, `sequence` grows by one from 1, and the replies up to
    `acknowledged` may be forgotten. A retry is the same in every respect, its expiry included.
expires_ns : int, optional
    By the blocks' time: a request that has not taken effect by then never will. None: kept for good.

Returns
-------
tuple of (str, int)
    'appended', and its index if nothing comes before it that this node has not seen. Or 'refused' (without a session, over,
    too far ahead of the clock, or against the rule), 'too_large' or 'full': dropped, and the number means nothing.)";

inline constexpr const char* kBftChangeValidator =
    R"(Change the validators from the height on after the one that decides it; needs a rule that allows it.

Parameters
----------
validator : Validator
    Who joins or gets another power or key; power 0 removes.
now_ns, client, sequence, acknowledged, expires_ns
    As in `propose`.

Returns
-------
tuple of (str, int)
    As `propose`.)";

inline constexpr const char* kBftStored =
    R"(Asynchronous storage: the write of this number and all before it are durable.

Parameters
----------
write : int
    A `BftReady.write`.)";

inline constexpr const char* kBftCheckpoint = R"(What to store before `compact`, when `is_checkpoint_due`.

Parameters
----------
state : bytes
    What the state machine made of itself after the last applied entry.

Returns
-------
BftSnapshot)";

inline constexpr const char* kBftCompact =
    R"(The state after the last applied entry is durable (`checkpoint`): blocks before it go once others vouch for it.

Until then they stay stored, or nobody may be left who could give a laggard what it lacks: those before `first_kept_height`
may be deleted once `proven` is stored beside the checkpoint, and no others.

Parameters
----------
index : int
    `applied_index`.
state : bytes
    What `checkpoint` was given.)";

inline constexpr const char* kBftFirstKept =
    R"(Height of the first block that is to stay stored; those before it may be deleted once `proven` is stored.)";

inline constexpr const char* kBftProven =
    R"(The latest state that others vouch for, with the proof: a `BftSnapshot`, or None. It stands for the blocks before it.)";

inline constexpr const char* kBftPeer = R"(What a peer did wrong over its link, counted.

Parameters
----------
node : int

Returns
-------
dict
    'forged': signatures that are not their validator's; 'invalid': what no correct node sends; 'unread': dropped without a
    look after too much of both in a tick; 'overflown': messages of the next height beyond the bound.)";

}  // namespace fastmas::bindings::docs
