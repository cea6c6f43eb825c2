"""BFT nodes with Ed25519 as a driver has them: disks hold bytes, and a batch's signatures are checked ahead."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable
from typing import Any

from fastmas.certificate import Validator
from fastmas.consensus import BftEntry, BftHardState, BftNode, BftReady, BftSnapshot, Decided
from fastmas.signatures import Ed25519Signer, Ed25519Verifier

TICK_NS = 10_000_000
VOTE = struct.Struct("<BQi32sI64s")
HEADER = struct.Struct("<IBBHII")
CHECKPOINT = 7  # a message type


def signer_of(node: int) -> Ed25519Signer:
    return Ed25519Signer(hashlib.sha256(b"bft %d" % node).digest())


SIGNERS = {node: signer_of(node) for node in range(1, 11)}


def validators_of(nodes: Iterable[int]) -> list[Validator]:
    return [Validator(node, 1, SIGNERS[node].public_key) for node in nodes]


def votes_message(origin: int, to: int, votes: list[tuple[int, int, int, bytes, int, bytes]]) -> bytes:
    """Lay out a message of votes by hand: (type, height, round, value, validator, signature) of each."""
    body = struct.pack("<I", len(votes)) + b"".join(VOTE.pack(*vote) for vote in votes)
    return HEADER.pack(HEADER.size + len(body), 1, 2, 0, origin, to) + body


def votes_in(message: bytes) -> list[tuple[int, int, int, bytes, int, bytes]]:
    """Return the votes of a message, or none of one of another type."""
    if message[5] != 2:
        return []
    return list(VOTE.iter_unpack(message[HEADER.size + 4 :]))


class Disk:
    """What survives a crash, as bytes."""

    def __init__(self) -> None:
        self.snapshot: bytes | None = None
        self.proven: bytes | None = None
        self.decided: list[bytes] = []
        self.hard_state = bytes(BftHardState())

    def store(self, ready: BftReady) -> None:
        if ready.snapshot:
            self.snapshot = bytes(ready.snapshot)
            self.forget_before(ready.snapshot.height + 1)
        self.decided += [bytes(decided) for decided in ready.decided]
        if ready.hard_state is not None:
            self.hard_state = bytes(ready.hard_state)

    def forget_before(self, height: int) -> None:
        self.decided = [data for data in self.decided if Decided.from_bytes(data).height >= height]

    def forget(self, node: BftNode) -> None:
        """Delete what nobody needs any more: a state that others vouch for stands for it."""
        if node.proven is not None:
            self.proven = bytes(node.proven)
            self.forget_before(node.first_kept_height)

    def load(self) -> dict[str, Any]:
        return {
            "hard_state": BftHardState.from_bytes(self.hard_state),
            "decided": [Decided.from_bytes(data) for data in self.decided],
            "snapshot": None if self.snapshot is None else BftSnapshot.from_bytes(self.snapshot),
            "proven": None if self.proven is None else BftSnapshot.from_bytes(self.proven),
        }


class Machines:
    """Nodes with their disks and a wire that carries everything, but what is cut off or changed on the way."""

    def __init__(self, nodes: int = 4, *, ahead: bool = True, start: bool = True, **options: Any) -> None:
        self.validators = validators_of(range(1, nodes + 1))
        self.options, self.ahead = options, ahead
        self.nodes: dict[int, BftNode] = {}
        self.verifiers: dict[int, Ed25519Verifier] = {}
        self.disks = {one.id: Disk() for one in self.validators}
        self.committed: dict[int, list[BftEntry]] = {}
        self.decided: dict[int, list[Decided]] = {}
        self.restored: dict[int, bytes] = {}
        self.cut_off: set[int] = set()
        self.said: list[tuple[int, int, bytes]] = []  # all that ever left a node
        self.change: Callable[[int, int, bytes], bytes | None] = lambda origin, to, message: message
        self.now_ns = 0
        for one in self.validators if start else ():
            self.start(one.id)

    def start(self, number: int, **options: Any) -> BftNode:
        """Start or restart a node with what its disk holds."""
        self.committed[number], self.decided[number] = [], []
        verifier = self.verifiers[number] = Ed25519Verifier(threads=2)
        given = {"verify": verifier, "signer": SIGNERS[number], **self.options, **options}
        self.nodes[number] = BftNode(number, self.validators, **given, **self.disks[number].load())
        return self.nodes[number]

    def work(self, number: int) -> list[tuple[int, int, bytes]]:
        """Do what the node wants done; return what it sends."""
        node, sent = self.nodes[number], []
        while node.has_ready():
            ready = node.ready()
            self.disks[number].store(ready)
            sent += [(number, to, message) for to, message in ready.messages]
            if ready.snapshot:
                self.restored[number] = ready.snapshot.state
            self.committed[number] += ready.committed
            self.decided[number] += ready.decided
            node.advance()
            if node.is_checkpoint_due:
                state = b"%d" % node.applied_index
                self.disks[number].snapshot = bytes(node.checkpoint(state))  # the blocks it covers stay for now
                node.compact(node.applied_index, state)
            self.disks[number].forget(node)
        self.said += sent
        return sent

    def hand_in(self, to: int, messages: list[bytes]) -> None:
        """Check the signatures of all that has come at once, then step the node through it."""
        node = self.nodes[to]
        if self.ahead:
            self.verifiers[to].check(node.signatures(messages))
        for message in messages:
            node.step(message)

    def pump(self) -> None:
        for _ in range(1000):
            inboxes: dict[int, list[bytes]] = {}
            for number in self.nodes:
                for origin, to, message in self.work(number):
                    arrives = self.change(origin, to, message)
                    if to in self.nodes and not self.cut_off & {origin, to} and arrives is not None:
                        inboxes.setdefault(to, []).append(arrives)
            if not inboxes:
                return
            for to, messages in inboxes.items():
                self.hand_in(to, messages)
        raise AssertionError("the nodes never stop talking")

    def tick(self, ticks: int = 1) -> None:
        for _ in range(ticks):
            self.now_ns += TICK_NS
            for node in self.nodes.values():
                node.tick(self.now_ns)
            self.pump()

    def propose(self, number: int, command: bytes, sequence: int, **session: Any) -> tuple[str, int]:
        given = {"now_ns": self.now_ns, "client": 9, "acknowledged": sequence - 1, **session}
        return self.nodes[number].propose(command, sequence=sequence, **given)

    def commands(self, number: int) -> list[bytes]:
        return [entry.command for entry in self.committed[number] if entry.is_command]
