"""Agreement: a simulated cluster of replicas, and the consensus nodes without I/O that it is made of.

A `Cluster` runs Raft or Multi-Paxos nodes in one thread and in virtual time. Each node has a state machine of its own,
built by the factory; a command that was proposed is applied by all of them, at the same place, exactly once, whatever
the network and the crashes do. See docs/consensus.md for what is guaranteed and what is not there yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmas._core.consensus import (
    BftCommand,
    BftEntry,
    BftHardState,
    BftNode,
    BftReady,
    BftSnapshot,
    ClusterCore,
    Decided,
    Entry,
    Evidence,
    HardState,
    LogEntry,
    Membership,
    RaftNode,
    ReadState,
    Ready,
    SimOptions,
    Snapshot,
)
from fastmas._core.paxos import (
    PaxosEntry,
    PaxosHardState,
    PaxosMembership,
    PaxosNode,
    PaxosReady,
    PaxosSnapshot,
)
from fastmas.agreement import Agreement, Step, checked_proposals, synod
from fastmas.errors import ConfigError, FastmasError, InvariantError, NoQuorumError

__all__ = [
    "Agreement",
    "BftCommand",
    "BftEntry",
    "BftHardState",
    "BftNode",
    "BftReady",
    "BftSnapshot",
    "Cluster",
    "Decided",
    "Entry",
    "Evidence",
    "HardState",
    "LogEntry",
    "Membership",
    "PaxosEntry",
    "PaxosHardState",
    "PaxosMembership",
    "PaxosNode",
    "PaxosReady",
    "PaxosSnapshot",
    "RaftNode",
    "ReadState",
    "Ready",
    "Snapshot",
    "StateMachine",
    "Step",
    "agree",
]

_MAX_NS = 2**62
_BURST = 4096


class StateMachine(Protocol):
    """What a cluster replicates: any object with `apply`; `snapshot`, `restore` and `digest` are optional.

    `apply` must be deterministic: its answer depends on the entries so far alone. An exception is a committed
    rejection, identical on every replica, so state is validated before it is changed. `snapshot() -> bytes` and
    `restore(bytes)` make it compactable; `digest() -> bytes` lets replicas compare their states after each command.
    """

    def apply(self, entry: Entry, /) -> bytes | None:
        """Take one committed command; the bytes are the reply to whoever proposed it."""
        ...


def _check_protocol(protocol: str) -> None:
    if protocol not in ("raft", "paxos", "bft"):
        raise ConfigError(f"protocol must be 'raft', 'paxos' or 'bft', got {protocol!r}; use 'raft'")


def _share_ppm(name: str, value: float) -> int:
    if not 0.0 <= value < 1.0:
        raise ConfigError(f"{name} must be at least 0 and below 1, got {value!r}; try 0.05")
    return round(value * 1_000_000)


class Cluster:
    """Replicas of a state machine that agree by consensus, over a simulated network, in virtual time.

    Deterministic: the same seed and the same calls give the same history. Between bursts nothing is in flight and the
    cluster's clock stands still, so it costs nothing until the next call. Not thread-safe; a state machine may not call
    its own cluster.

    Parameters
    ----------
    factory : callable
        `factory() -> state machine`, called once a node and again when it restarts; see `StateMachine`.
    nodes : int, default 3
        Replicas, 1 to 63. 3 survive one crash, 5 survive two.
    protocol : {"raft", "paxos", "bft"}
        Same guarantees; docs/consensus.md says when to choose which. "bft" stands nodes that lie, and fewer that crash:
        one of 4, two of 7; its leader is whoever takes the commands.
    seed : int, default 0
        Of everything random: delays, losses, election time-outs, where a leader crashes.
    loss : float, default 0.0
        Share of messages that get lost, below 1.
    delay_ns : (int, int), default (50_000, 150_000)
        Bounds of a message's delay.
    duplication, reordering : float, default 0.0
        Share of messages that arrive twice, and that may overtake others of their link.
    tick_ns : int, default 10_000_000
        One tick of the consensus clock; a leader that is silent for 10 to 20 of them is replaced.
    start_ns : int, default 0
        The virtual time at which the cluster is ready for its first proposal.
    timeout_ns : int, default 10_000_000_000
        Virtual time after which a proposal without a quorum gives up.
    snapshot_every : int, optional
        Compact the log after so many entries, when the state machine has snapshot and restore.
    trace : bool, default False
        Keep every message sent in `trace`.

    Examples
    --------
    >>> class Limit:
    ...     def __init__(self):
    ...         self.used = 0
    ...     def apply(self, entry):
    ...         self.used += int(entry.command)
    ...         return str(self.used).encode()
    >>> cluster = Cluster(Limit, nodes=3, seed=7)
    >>> cluster.propose(b"40")
    b'40'
    >>> cluster.crash(cluster.leader)
    >>> cluster.propose(b"2")
    b'42'
    """

    def __init__(
        self,
        factory: Callable[[], StateMachine],
        nodes: int = 3,
        protocol: str = "raft",
        seed: int = 0,
        loss: float = 0.0,
        delay_ns: tuple[int, int] = (50_000, 150_000),
        *,
        duplication: float = 0.0,
        reordering: float = 0.0,
        tick_ns: int = 10_000_000,
        start_ns: int = 0,
        timeout_ns: int = 10_000_000_000,
        snapshot_every: int | None = None,
        trace: bool = False,
    ) -> None:
        _check_protocol(protocol)
        if not callable(factory):
            raise ConfigError(
                f"factory must be callable and build a state machine, got {factory!r}; pass the class, not an instance"
            )
        if not 1 <= nodes <= 63:
            raise ConfigError(f"nodes must be 1 to 63, got {nodes}; 3 or 5 is usual")
        low, high = delay_ns
        if not 0 <= low <= high < 60_000_000_000:
            raise ConfigError(
                f"delay_ns must be (low, high) with 0 <= low <= high < 60 s, got {delay_ns!r}; try (50_000, 150_000)"
            )
        for name, value in (("tick_ns", tick_ns), ("timeout_ns", timeout_ns)):
            if not 0 < value <= 10**15:
                raise ConfigError(f"{name} must be 1 to 10**15, got {value}; leave it out for the default")
        if snapshot_every is not None and snapshot_every < 1:
            raise ConfigError(f"snapshot_every must be at least 1, got {snapshot_every}; None means never")
        self._check_time("start_ns", start_ns)
        options = SimOptions()
        options.nodes = nodes
        options.seed = seed & (2**64 - 1)
        options.loss_ppm = _share_ppm("loss", loss)
        options.duplicate_ppm = _share_ppm("duplication", duplication)
        options.reorder_ppm = _share_ppm("reordering", reordering)
        options.delay_ns = (low, high)
        options.tick_ns = tick_ns
        options.start_ns = start_ns
        options.timeout_ns = timeout_ns
        options.snapshot_every = snapshot_every or 0
        options.trace = trace
        self._core = ClusterCore(options, factory, protocol)
        self._nodes = tuple(range(1, nodes + 1))
        self.protocol = protocol

    @staticmethod
    def _check_time(name: str, value: int) -> None:
        if not -_MAX_NS < value < _MAX_NS:
            raise ConfigError(f"{name} must lie within ±2**62 ns, got {value}; give ns since 1970 UTC")

    def propose(self, command: bytes, at_ns: int | None = None) -> bytes:
        """Have one command applied everywhere, exactly once, and return the reply of the majority of replicas.

        Parameters
        ----------
        command : bytes
            What `apply` gets as `entry.command`.
        at_ns : int, optional
            Moves the virtual clock forward to here first; a time that is past changes nothing.

        Raises
        ------
        NoQuorumError
            Too few nodes can talk to one another. Nothing was applied, but the command may still commit later.
        ReplicaDivergedError
            No majority of replicas agrees on the result; the cluster is of no more use.
        FastmasError
            The state machine rejected the command, on every replica; of the class that `apply` raised when that is one
            of fastmas.errors.
        """
        if at_ns is not None:
            self._check_time("at_ns", at_ns)
        return self._core.propose(command, at_ns)

    def propose_many(
        self, commands: Iterable[bytes], at_ns: int | None = None, *, return_exceptions: bool = False
    ) -> list[bytes]:
        """Have a burst of commands applied everywhere, in this order and each exactly once; return the replies.

        A rejected command does not stop the ones after it. The first rejection is raised once all are through; with
        `return_exceptions` each stands in its command's place instead, as `asyncio.gather` does it.
        """
        if at_ns is not None:
            self._check_time("at_ns", at_ns)
        burst = list(commands)
        replies: list[Any] = []
        for first in range(0, len(burst), _BURST):
            replies += self._core.propose_many(burst[first : first + _BURST], at_ns)
        if not return_exceptions:
            for reply in replies:
                if isinstance(reply, FastmasError):
                    raise reply
        return replies

    @property
    def nodes(self) -> tuple[int, ...]:
        """The ids of all nodes, 1 to n, up or down."""
        return self._nodes

    @property
    def leader(self) -> int | None:
        """The node that leads the latest term, or None while none does."""
        return self._core.leader or None

    @property
    def term(self) -> int:
        """The latest term any node has stored; Raft's word: see `epoch` for the other protocols."""
        if self.protocol != "raft":
            raise ConfigError(f"protocol={self.protocol!r} has no terms; use cluster.epoch")
        return self._core.epoch

    @property
    def epoch(self) -> int:
        """A number that is higher for each later leadership any node has stored: Raft's term, a ballot in Paxos."""
        return self._core.epoch

    @property
    def now_ns(self) -> int:
        """Virtual time."""
        return self._core.now_ns

    @property
    def last_burst_ns(self) -> int:
        """Virtual time from the last propose to its commit at the leader."""
        return self._core.last_burst_ns

    def machine(self, node: int) -> Any:
        """Return the state machine of a node that is up or poisoned, to look at only: a change makes it diverge."""
        return self._core.machine(node)

    def applied(self, node: int) -> int:
        """Return how many commands this node's state machine has taken; 0 while it is down."""
        return self._core.applied(node)

    def is_up(self, node: int) -> bool:
        """Return whether the node runs: neither crashed nor poisoned."""
        return self._core.is_up(node)

    def crash(self, node: int | None) -> None:
        """Stop a node at once; it keeps what it had stored and loses the rest, its state machine included."""
        self._core.crash(self._checked(node))

    def restart(self, node: int) -> None:
        """Start a crashed node with what it had stored; it catches up as time passes (`settle`, `propose`)."""
        self._core.restart(self._checked(node))

    def _checked(self, node: int | None) -> int:
        if node not in self._nodes:
            raise ConfigError(f"nodes are numbered 1 to {len(self._nodes)}, got {node!r}; see cluster.nodes")
        return node

    def partition(self, *sets: Iterable[int]) -> None:
        """Let only nodes of the same set talk to one another; those in no set form one more. Replaces earlier cuts."""
        groups = [frozenset(self._checked(node) for node in group) for group in sets]
        rest = frozenset(self._nodes) - frozenset().union(*groups)
        self._core.heal()
        for source in self._nodes:
            for target in self._nodes:
                if source != target and not any({source, target} <= group for group in (*groups, rest)):
                    self._core.cut(source, target)

    def cut(self, source: int, target: int) -> None:
        """Cut the link in one direction: the target hears nothing from the source any more."""
        self._core.cut(self._checked(source), self._checked(target))

    def heal(self) -> None:
        """Mend every link."""
        self._core.heal()

    def settle(self, timeout_ns: int = 10_000_000_000) -> None:
        """Let time pass until nothing is in flight and all nodes that can talk to the leader have the same log.

        Raises
        ------
        NoQuorumError
            It does not come to that within `timeout_ns` of virtual time.
        """
        if not self._core.settle(timeout_ns):
            raise NoQuorumError(
                f"the cluster does not settle within {timeout_ns} ns of virtual time; "
                "restart() or heal() enough nodes for a majority"
            )

    def run_for(self, duration_ns: int) -> None:
        """Let this much virtual time pass, ticks and all, even in a quiet cluster."""
        self._core.run_for(duration_ns)

    def crash_leader_during_next(self) -> None:
        """Kill the leader in the middle of the next propose: before, while or after a majority gets it, by the seed."""
        self._core.crash_leader_during_next()

    @property
    def poisoned(self) -> dict[int, str]:
        """Replicas that stopped because their state broke or differs from the majority's, and why."""
        return self._core.poisoned

    @property
    def rejections(self) -> int:
        """Committed commands that the state machine rejected."""
        return self._core.rejections

    @property
    def stats(self) -> dict[str, int]:
        """Counters: messages, bytes, lost, elections, retries, duplicates and so on."""
        return self._core.stats

    @property
    def trace(self) -> list[tuple[int, str, int, int, int, int, int, bool]]:
        """With trace=True, every message sent: (time_ns, type, source, target, epoch, index, entries, flag)."""
        return self._core.trace


class _First:
    """Keeps the first proposal and answers every one with it."""

    def __init__(self) -> None:
        self.chosen: bytes | None = None

    def apply(self, entry: Entry) -> bytes:
        if self.chosen is None:
            self.chosen = entry.command
        return self.chosen


# What Raft's messages are in the words of the four phases: elections prepare, appends request, notices decide.
_RAFT_PHASES = {"append_reply": "response", "snapshot": "request"}


def _agree_by_log(arrays: Mapping[str, NDArray[Any]], seed: int, loss: float) -> Agreement:
    """Have every agent's vector proposed to a log of their own; the first to be committed is everybody's."""
    names = list(arrays)
    cluster = Cluster(_First, nodes=len(names), seed=seed, loss=loss, trace=True)
    # whose proposal reaches the leader first is a matter of the network, hence of the seed
    order = np.random.Generator(np.random.PCG64(seed & (2**64 - 1))).permutation(len(names))
    commands = [bytes([k]) + arrays[names[k]].tobytes() for k in order]
    replies = set(cluster.propose_many(commands))
    chosen = {cluster.machine(node).chosen for node in cluster.nodes}
    if len(replies | chosen) != 1:
        raise InvariantError(f"agents disagree after consensus: {len(replies | chosen)} vectors; report seed={seed}")
    raw = replies.pop()
    first = arrays[names[0]]
    steps = []
    for time_ns, kind, source, target, _, _, entries, _ in cluster.trace:
        phase = "prepare" if "vote" in kind else "request" if entries else _RAFT_PHASES.get(kind, "decide")
        steps.append(Step(phase, kind, names[source - 1], names[target - 1], None, time_ns))
    return Agreement(
        theta=np.frombuffer(raw, dtype=first.dtype, offset=1).reshape(first.shape),
        proposer=names[raw[0]],
        ballot=None,
        messages=cluster.stats["messages"],
        rounds=cluster.stats["elections"],
        trace=tuple(steps),
    )


def agree(
    proposals: Mapping[str, ArrayLike],
    protocol: str = "paxos",
    seed: int = 0,
    tolerance: float | None = None,
    *,
    loss: float = 0.0,
    duplication: float = 0.0,
    reordering: float = 0.0,
    crashes: int = 0,
) -> Agreement:
    """Fix one parameter vector for all agents: theta_1 = ... = theta_N, bit for bit one of the proposals.

    Each agent is a node of a simulated network that proposes its vector; one is chosen, and every agent learns the
    same one, or the call raises.

    Parameters
    ----------
    proposals : mapping of agent name to array_like
        All of one shape and dtype, without NaN.
    protocol : {"paxos", "raft"}
        "paxos" is the single-decree synod; "raft" commits all proposals to a log and takes the first.
    seed : int, default 0
        Decides whose message is fastest, which are lost, and who crashes.
    tolerance : float, optional
        Refuse proposals that lie further apart than this in any component.
    loss, duplication, reordering : float, default 0.0
        Shares of messages that get lost, that arrive twice, and that may overtake others; each below 1. Raft takes
        loss only.
    crashes : int, default 0
        So many proposers die in the middle of asking for acceptances, and come back later; at most a minority. Paxos
        only.

    Raises
    ------
    ConfigError
        The proposals cannot be agreed on, or lie too far apart.
    NoQuorumError
        So many messages are lost that there is no agreement within 60 s of virtual time.

    Examples
    --------
    >>> agree({"risk": [0.2, 0.8], "strategy": [0.25, 0.75]}, seed=7).theta.shape
    (2,)
    >>> agreement = agree({"a": [1.0], "b": [2.0], "c": [3.0]}, seed=1, loss=0.2, crashes=1)
    >>> agreement.theta.item() in (1.0, 2.0, 3.0), agreement.rounds > 1
    (True, True)
    """
    if protocol not in ("paxos", "raft"):
        if protocol == "bft":
            raise ConfigError("protocol='bft' is not built yet; use 'paxos'")
        raise ConfigError(f"protocol must be 'paxos', 'raft' or 'bft', got {protocol!r}; use 'paxos'")
    arrays = checked_proposals(proposals, tolerance)
    if crashes < 0:
        raise ConfigError(f"crashes must be at least 0, got {crashes}; leave it out for none")
    shares = (_share_ppm("duplication", duplication), _share_ppm("reordering", reordering))
    if protocol == "raft":
        if any(shares) or crashes:
            raise ConfigError("protocol='raft' takes loss only; use protocol='paxos', or a Cluster")
        return _agree_by_log(arrays, seed, loss)
    return synod(arrays, seed, _share_ppm("loss", loss), *shares, crashes)
