"""What does a commit among BFT nodes with Ed25519 cost, and what of it is signatures?

Four and ten `BftNode`s in one process, a network without time, every message as bytes; a commit is a block of 64
commands that all have. Each node has a verifier of its own, as it has on a machine of its own. "one by one": each
signature is checked when the node asks for it. "in batches": the signatures of all messages that have come are checked
first, each once, those that are many in parallel; then the node is stepped. The floors are what the signatures alone
take, made and checked one after the other on one core. "again": each message arrives twice. "catches up": one node
takes the blocks that it has missed, each with a certificate of three signatures.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from fastmas.certificate import Validator
from fastmas.consensus import BftNode
from fastmas.signatures import Ed25519Signer, Ed25519Verifier, Item, verify_ed25519

pytest.importorskip("cryptography")

COMMANDS, MISSED = 64, 64
SIGNERS = {node: Ed25519Signer(hashlib.sha256(b"bench %d" % node).digest()) for node in range(1, 11)}
VALIDATORS = [Validator(node, 1, signer.public_key) for node, signer in SIGNERS.items()]
GROUP = pytest.mark.benchmark(group="BFT commits of 64 commands, Ed25519")
SIZES = pytest.mark.parametrize("size", [4, 10])
LATE = pytest.mark.benchmark(group="a BFT node catches up, 64 blocks")
WAYS = pytest.mark.parametrize("way", ["one by one", "in batches"])


class Alone:
    """Checks what it is asked for, when it is asked for it."""

    def __init__(self) -> None:
        self.one = Ed25519Verifier(threads=1, cache_size=1)
        self.items: list[Item] = []

    def __call__(self, items: list[Item]) -> bool:
        self.one._verdicts.clear()
        self.items += items
        return self.one(items)


class Nodes:
    def __init__(self, way: str, size: int = 4, copies: int = 1) -> None:
        self.batches, self.copies = way == "in batches", copies
        self.validators = VALIDATORS[:size]
        self.verifiers: dict[int, Any] = {}
        self.nodes: dict[int, BftNode] = {}
        for n in range(1, size + 1):
            self.verifiers[n] = Ed25519Verifier() if self.batches else Alone()
            self.nodes[n] = BftNode(n, self.validators, verify=self.verifiers[n], signer=SIGNERS[n])
        self.sequence = itertools.count(1)

    def commit(self, without: int = 0) -> None:
        for _ in range(COMMANDS):
            sequence = next(self.sequence)
            command = b"%16d" % sequence
            self.nodes[1].propose(command, client=9, sequence=sequence, acknowledged=sequence - 1)
        self.run(without)

    def run(self, without: int = 0) -> None:
        while True:
            inboxes: dict[int, list[bytes]] = {}
            for number, node in self.nodes.items():
                while node.has_ready() and number != without:
                    for to, message in node.ready().messages:
                        inboxes.setdefault(to, []).extend([message] * self.copies)
                    node.advance()
            if not inboxes:
                return
            for to, messages in inboxes.items():
                if to == without:
                    continue
                self.hand_in(to, messages)

    def hand_in(self, to: int, messages: list[bytes]) -> None:
        node = self.nodes[to]
        if self.batches:
            self.verifiers[to].check(node.signatures(messages))
        for message in messages:
            node.step(message)


def measure(benchmark: Any, run: Callable[[], object], items: int, item: str, **info: Any) -> None:
    benchmark.extra_info.update(items=items, item=item, **info)
    benchmark.pedantic(run, rounds=30, warmup_rounds=5)


@GROUP
@WAYS
@pytest.mark.parametrize(("size", "copies"), [(4, 1), (4, 2), (10, 1)], ids=["4", "4 again", "10"])
def bench_commit(benchmark: Any, way: str, size: int, copies: int) -> None:
    nodes = Nodes(way, size, copies)
    measure(benchmark, nodes.commit, 1, "commit")
    assert {node.height for node in nodes.nodes.values()} == {36}


@GROUP
@SIZES
def bench_floor_of_signing(benchmark: Any, size: int) -> None:
    """Two votes of each, and a proposal."""
    statement, count = bytes(128), 2 * size + 1
    measure(benchmark, lambda: [SIGNERS[1].sign(statement) for _ in range(count)], 1, "commit", rival=True)


@GROUP
@SIZES
def bench_floor_of_verifying(benchmark: Any, size: int) -> None:
    """What the nodes of the row "one by one" asked for in one commit, as often."""
    nodes = Nodes("one by one", size)
    nodes.commit()
    items = [item for verifier in nodes.verifiers.values() for item in verifier.items]
    key, statement = SIGNERS[1]._key.public_key(), items[0][1]
    signature = SIGNERS[1].sign(statement)

    def verify() -> None:
        for _ in items:
            key.verify(signature, statement)

    measure(benchmark, verify, 1, "commit", rival=True, signatures=len(items))


class Toy:
    """Signatures that anybody can make."""

    def __init__(self, node: int) -> None:
        self.public_key = bytes([node]) * 32

    def sign(self, statement: bytes) -> bytes:
        return bytes(64)


@GROUP
@SIZES
def bench_commit_without_signatures(benchmark: Any, size: int) -> None:
    """What is left: the nodes, their messages as bytes, and Python."""
    nodes = Nodes("one by one", size)
    toys = [Validator(n, 1, Toy(n).public_key) for n in nodes.nodes]
    nodes.nodes = {n: BftNode(n, toys, verify=lambda items: True, signer=Toy(n)) for n in nodes.nodes}
    measure(benchmark, nodes.commit, 1, "commit")


@LATE
@WAYS
def bench_catch_up(benchmark: Any, way: str) -> None:
    nodes = Nodes("in batches")
    while nodes.nodes[1].height <= MISSED:
        nodes.commit(without=4)
        for _ in range(12):  # where the fourth would have proposed, its round goes by
            for number in (1, 2, 3):
                nodes.nodes[number].tick()
            nodes.run(without=4)
    # what the first says to one that begins with nothing
    sent: list[bytes] = []
    probe = BftNode(4, nodes.validators, verify=verify_ed25519, signer=SIGNERS[4])
    while probe.height < nodes.nodes[1].height:
        probe.tick()
        nodes.nodes[1].tick()
        for origin, target in ((probe, nodes.nodes[1]), (nodes.nodes[1], probe)):
            while origin.has_ready():
                for to, message in origin.ready().messages:
                    if to == target.node:
                        target.step(message)
                        sent += [message] if target is probe else []
                origin.advance()
    blocks = probe.height - 1

    def take() -> None:
        verifier: Any = Ed25519Verifier() if way == "in batches" else Alone()
        late = BftNode(4, nodes.validators, verify=verifier, signer=SIGNERS[4])
        for message in sent:
            if way == "in batches":
                verifier.check(late.signatures([message]))
            late.step(message)
        assert late.height == blocks + 1

    benchmark.extra_info.update(items=blocks, item="block")
    benchmark.pedantic(take, rounds=15, warmup_rounds=2)
