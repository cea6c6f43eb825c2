"""PaxosNode as Python drives it: disks, wire and time are a few lines here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastmas.consensus import (
    PaxosEntry,
    PaxosHardState,
    PaxosMembership,
    PaxosNode,
    PaxosReady,
    PaxosSnapshot,
    RaftNode,
    ReadState,
)
from fastmas.errors import ConfigError, InvariantError


@dataclass
class Disk:
    """What a node stored; its entries by slot."""

    hard_state: PaxosHardState = field(default_factory=PaxosHardState)
    entries: dict[int, PaxosEntry] = field(default_factory=dict)
    snapshot: PaxosSnapshot | None = None

    def store(self, ready: PaxosReady) -> None:
        if ready.snapshot is not None:
            self.compact(ready.snapshot)
        self.entries.update((entry.index, entry) for entry in ready.entries)
        self.hard_state = ready.hard_state or self.hard_state

    def compact(self, snapshot: PaxosSnapshot) -> None:
        self.snapshot = snapshot
        self.entries = {slot: entry for slot, entry in self.entries.items() if slot > snapshot.index}

    def load(self) -> dict[str, Any]:
        entries = [entry for _, entry in sorted(self.entries.items())]
        return {"hard_state": self.hard_state, "entries": entries, "snapshot": self.snapshot}


class Machines:
    """Nodes with their disks and a wire that carries everything, but what is cut off or lost."""

    def __init__(self, nodes: Iterable[int] = (1, 2, 3), **options: object) -> None:
        self.began, self.options = list(nodes), {"seed": 4, **options}
        self.nodes: dict[int, PaxosNode] = {}
        self.disks: dict[int, Disk] = {}
        self.committed: dict[int, list[PaxosEntry]] = {}
        self.reads: dict[int, list[ReadState]] = {}
        self.cut_off: set[int] = set()
        self.is_lost: Callable[[], bool] = lambda: False
        for number in self.began:
            self.start(number)

    def start(self, number: int, **options: object) -> PaxosNode:
        """Start or restart a node with what its disk holds."""
        disk = self.disks.setdefault(number, Disk())
        self.committed[number], self.reads[number] = [], []
        given: dict[str, Any] = {**self.options, **options, **disk.load()}
        self.nodes[number] = PaxosNode(number, self.began, **given)
        return self.nodes[number]

    def take(self, number: int, ready: PaxosReady) -> None:
        self.disks[number].store(ready)
        self.committed[number] += ready.committed
        self.reads[number] += ready.reads

    def pump(self) -> None:
        wire = [(0, 0, b"")]
        while wire:
            wire = []
            for number, node in self.nodes.items():
                while node.has_ready():
                    ready = node.ready()
                    self.take(number, ready)
                    wire += [(number, to, message) for to, message in ready.messages]
                    node.advance()
            for origin, to, message in wire:
                if to in self.nodes and not self.cut_off & {origin, to} and not self.is_lost():
                    assert self.nodes[to].step(message)

    def tick(self, ticks: int = 1) -> None:
        for _ in range(ticks):
            for node in self.nodes.values():
                node.tick()
            self.pump()

    def elect(self) -> PaxosNode:
        for _ in range(400):
            leaders = [n for n in self.nodes.values() if n.role == "leader" and n.node not in self.cut_off]
            if leaders:
                return max(leaders, key=lambda node: node.ballot)
            self.tick()
        raise AssertionError("nobody leads")

    def commands(self, number: int) -> list[bytes]:
        return [entry.command for entry in self.committed[number] if entry.is_command]


@settings(max_examples=300, deadline=None, derandomize=True)
@given(messages=st.lists(st.binary(max_size=120), max_size=10))
def test_a_node_drops_bytes_that_are_no_message(messages: list[bytes]) -> None:
    node = PaxosNode(1, [1, 2, 3])
    for message in messages:
        assert node.step(message) is False
    assert (node.role, node.ballot, node.promised, node.has_ready()) == ("follower", (0, 0), (0, 0), False)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(data=st.data())
def test_a_node_survives_messages_with_bytes_turned(data: st.DataObject) -> None:
    machines = Machines()
    machines.elect().propose(b"one", client=3, sequence=1)
    asked = PaxosNode(1, [1, 2, 3], seed=9, ask_first=False)
    for _ in range(40):
        asked.tick()
    ready = asked.ready()
    for _, message in ready.messages:
        turned = bytearray(message)
        for _ in range(data.draw(st.integers(1, 4))):
            turned[data.draw(st.integers(0, len(turned) - 1))] = data.draw(st.integers(0, 255))
        try:
            machines.nodes[2].step(bytes(turned))
        except InvariantError:
            pytest.fail("a node that is sent nonsense stops")
    machines.tick(60)
    machines.elect()


def test_three_nodes_agree_and_come_back_from_their_disks() -> None:
    machines = Machines()
    leader = machines.elect()
    status, ballot, index = leader.propose(b"one", now_ns=5, client=9, sequence=1, expires_ns=70)
    assert (status, ballot, index) == ("appended", leader.ballot, 1)
    machines.tick(4)
    assert [machines.commands(n) for n in (1, 2, 3)] == [[b"one"]] * 3
    assert machines.committed[1] == [
        PaxosEntry(ballot, 1, 5, client=9, sequence=1, expires_ns=70, command=b"one", kind="command")
    ]
    assert "PaxosEntry(ballot=(" in repr(machines.committed[1][0])
    for number in (1, 2, 3):
        machines.start(number)
    leader = machines.elect()
    assert leader.ballot > ballot and leader.promised == leader.ballot
    assert leader.propose(b"two")[0] == "appended"
    machines.tick(4)
    assert [machines.commands(n) for n in (1, 2, 3)] == [[b"one", b"two"]] * 3
    assert len({entry.ballot for entry in machines.disks[leader.node].entries.values()}) >= 1
    follower = next(node for node in machines.nodes.values() if node.leader != node.node)
    assert follower.leader == leader.node
    assert (follower.propose(b"three")[0], follower.read(1)) == ("not_leader", "not_leader")
    assert follower.change_membership(PaxosMembership([1]))[0] == "not_leader"


def test_losses_and_restarts_lose_no_command_and_double_none() -> None:
    random = Random(5)
    machines = Machines((1, 2, 3), max_message_entries=2, window=16)
    wanted: list[bytes] = []
    for number in range(60):
        machines.is_lost = lambda: random.random() < 0.3
        if number % 9 == 4:
            machines.start(random.choice((1, 2, 3)))
        command = b"%d" % number
        wanted.append(command)
        for _ in range(400):
            leaders = [node for node in machines.nodes.values() if node.role == "leader"]
            for leader in leaders:
                leader.propose(command, client=1, sequence=number + 1)
            machines.tick(2)
            if any(command in machines.commands(n) for n in (1, 2, 3)):
                break
        else:
            raise AssertionError(f"{command!r} was never committed")
    machines.is_lost = lambda: False
    machines.elect().propose(b"last")
    machines.tick(30)
    first = {n: list(dict.fromkeys(machines.commands(n))) for n in (1, 2, 3)}
    assert first[1] == first[2] == first[3] == [*wanted, b"last"]
    assert machines.nodes[1].commit_index == machines.nodes[1].applied_index == machines.nodes[1].last_index


def test_a_node_joins_as_a_learner_and_becomes_a_voter() -> None:
    machines = Machines(window=8)
    machines.elect().propose(b"one")
    machines.tick(4)
    machines.start(4, joining=True)
    leader = machines.elect()
    assert leader.change_membership(PaxosMembership([1, 2, 3], learners=[4]))[0] == "appended"
    assert leader.change_is_open and leader.change_membership(PaxosMembership([1, 2, 3]))[0] == "busy"
    machines.tick(20)
    assert not leader.change_is_open
    assert (machines.commands(4), machines.nodes[4].membership.learners) == ([b"one"], [4])
    status, _, slot = leader.change_membership(PaxosMembership([1, 2, 3, 4], quorums=(3, 2)), now_ns=9)
    assert status == "appended"
    machines.tick(40)
    now = machines.elect().membership
    assert (now.voters, now.quorums, now.id, now.governs_from) == ([1, 2, 3, 4], (3, 2), slot, slot + 8)
    assert repr(now).startswith("PaxosMembership([1, 2, 3, 4], quorums=(3, 2), id=")
    # it comes back from entries that are no commands, and some of them say who takes part
    assert [entry.kind for entry in machines.disks[4].entries.values()].count("membership") == 2
    assert machines.start(4, joining=True).membership == now


def test_a_removed_leader_hands_over() -> None:
    machines = Machines(window=4)
    first = machines.elect()
    others = [n for n in (1, 2, 3) if n != first.node]
    assert first.change_membership(PaxosMembership(others))[0] == "appended"
    machines.tick(40)
    assert first.role == "follower"
    second = machines.elect()
    assert second.node in others and second.membership.voters == others


def test_a_read_waits_for_a_quorum() -> None:
    machines = Machines()
    leader = machines.elect()
    leader.propose(b"one")
    machines.pump()
    assert leader.read(77) == "registered"
    machines.pump()
    (answer,) = machines.reads[leader.node]
    assert (answer.context, answer.index, answer.is_confirmed, answer.valid_until_ns) == (77, 1, True, None)
    machines.cut_off = {n for n in (1, 2, 3) if n != leader.node}
    assert leader.read(78) == "registered"
    machines.tick(25)  # no quorum: it stops leading, and says that the read is not confirmed
    assert leader.role != "leader"
    assert [(r.context, r.is_confirmed) for r in machines.reads[leader.node]] == [(77, True), (78, False)]


def test_a_snapshot_brings_up_who_lacks_what_was_compacted() -> None:
    machines = Machines(window=8)
    leader = machines.elect()
    late = next(n for n in (1, 2, 3) if n != leader.node)
    machines.cut_off = {late}
    for number in range(5):
        leader.propose(b"%d" % number, now_ns=number)
        machines.pump()
    snapshot = leader.checkpoint(4, b"state")
    assert (snapshot.index, snapshot.time_ns, snapshot.state, snapshot.ballot) == (4, 3, b"state", leader.promised)
    assert [each.voters for each in snapshot.memberships] == [[1, 2, 3]]
    machines.disks[leader.node].compact(snapshot)
    leader.compact(4, b"state")
    machines.cut_off = set()
    machines.tick(40)
    got = machines.disks[late].snapshot
    assert got is not None and (got.index, got.state, got.memberships) == (4, b"state", snapshot.memberships)
    assert machines.commands(late) == [b"4"]
    again = PaxosSnapshot(got.index, got.ballot, got.time_ns, got.memberships, got.state)
    node = PaxosNode(late, [1, 2, 3], window=8, snapshot=again)
    assert (node.commit_index, node.promised) == (4, got.ballot)
    assert machines.start(late).commit_index >= 4
    for wrong in (4, 99):
        for call in (leader.checkpoint, leader.compact):
            with pytest.raises(ConfigError, match=f"takes an applied index above the last snapshot's, got {wrong}"):
                call(wrong, b"")


def test_writes_overlap_with_asynchronous_storage() -> None:
    """Acknowledged writes count, others do not, and a crash leaves a prefix of them."""
    nodes = {n: PaxosNode(n, [1, 2, 3], seed=4, async_storage=True) for n in (1, 2, 3)}
    disks = {n: Disk() for n in nodes}
    queued: dict[int, list[PaxosReady]] = {n: [] for n in nodes}
    committed: dict[int, list[bytes]] = {n: [] for n in nodes}
    slow: set[int] = set()

    def pump() -> None:
        while any(node.has_ready() or (queued[n] and n not in slow) for n, node in nodes.items()):
            for number, node in nodes.items():
                if node.has_ready():
                    ready = node.ready()
                    if ready.write:
                        queued[number].append(ready)
                    committed[number] += [entry.command for entry in ready.committed if entry.is_command]
                    node.advance()
                    for to, message in ready.messages:
                        nodes[to].step(message)
                if queued[number] and number not in slow:
                    for ready in queued[number]:
                        disks[number].store(ready)
                    node.stored(queued[number][-1].write)
                    queued[number].clear()

    for _ in range(60):
        for node in nodes.values():
            node.tick()
        pump()
    leader = next(node for node in nodes.values() if node.role == "leader")
    slow = {n for n in nodes if n != leader.node}
    assert leader.propose(b"one")[0] == "appended"
    pump()
    assert committed[leader.node] == []  # its own disk alone is no quorum
    assert [len(queued[n]) for n in slow] == [1, 1]
    crashed = min(slow)
    queued[crashed].clear()
    nodes[crashed] = PaxosNode(crashed, [1, 2, 3], seed=4, async_storage=True, **disks[crashed].load())
    slow = {crashed}
    pump()
    assert committed[leader.node] == [b"one"]
    with pytest.raises(ConfigError, match=r"stored\(\) takes the number of a write that was handed out, got 10000"):
        leader.stored(10_000)
    with pytest.raises(ConfigError, match=r"stored\(\) is for asynchronous storage, got write 1"):
        PaxosNode(1, [1]).stored(1)


def test_what_cannot_be_is_refused() -> None:
    leader = Machines(window=2, max_command_bytes=3).elect()
    assert leader.propose(b"long")[0] == "too_large"
    assert leader.propose(b"a", client=1)[0] == "refused"
    assert leader.propose(b"a", client=1, sequence=1, acknowledged=1)[0] == "refused"
    assert leader.propose(b"a", client=1, sequence=1, acknowledged=2**64 - 1)[0] == "refused"
    assert [leader.propose(b"a")[0] for _ in range(3)] == ["appended", "appended", "full"]


def test_the_contract_is_that_of_raft() -> None:
    """Code that drives one drives the other: what is not Raft's alone has the same name."""
    own = {"transferee", "transfer_leadership", "term", "lease_read", "damaged", "set_clock"}
    assert {name for name in dir(RaftNode) if not name.startswith("_")} - own <= set(dir(PaxosNode))


def started(**options: Any) -> PaxosNode:
    return PaxosNode(1, [1, 2, 3], **options)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: PaxosMembership([]), "a cluster has 1 to 63 nodes, got 0"),
        (lambda: PaxosMembership([1, 2], learners=[2]), "a node is a voter or a learner, got 2 as both"),
        (lambda: PaxosMembership([1, 2, 3, 4], quorums=(2, 2)), "every prepare quorum must share a node"),
        (lambda: PaxosEntry((1, 1), 1, 0, "vote"), "kind must be 'noop', 'command' or 'membership', got 'vote'"),
        (lambda: PaxosEntry((1, 0), 1, 0), "a ballot is (number, node), both from 1, or (0, 0) for none, got (1, 0)"),
        (lambda: PaxosHardState((0, 3)), "a ballot is (number, node), both from 1, or (0, 0) for none, got (0, 3)"),
        (lambda: PaxosNode(4, [1, 2, 3]), "a node must be one of the cluster's, got id 4"),
        (lambda: PaxosNode(1, [1, 2, 2]), "node ids must differ, got 2 twice"),
        (lambda: started(joining=True), "joining is for a node that is not one of the cluster's, got id 1"),
        (lambda: started(quorums=(1, 2)), "every prepare quorum must share a node with every accept quorum"),
        (lambda: started(window=1), "window must be 2 to max_open_slots (1048576), got 1"),
        (lambda: started(heartbeat_ticks=10), "election_ticks must exceed heartbeat_ticks (10), got 10"),
        (lambda: started(election_ticks=2**29), "election_ticks must be at most 1000000, got 536870912"),
        (lambda: started(max_message_entries=0), "max_message_entries must be at least 1, got 0"),
        (lambda: started(hard_state=PaxosHardState((1, 1), 3)), "slot 1 is empty"),
        (lambda: started(snapshot=PaxosSnapshot(1, (0, 0), 0, [], b"")), "in which ballots it was chosen"),
        (lambda: started(snapshot=PaxosSnapshot(1, (1, 1), 0, [], b"")), "a snapshot has 1 to 3 configurations, got 0"),
        (lambda: Machines([1]).elect().change_membership(PaxosMembership([2])), "a node joins as a learner, got 2"),
    ],
)
def test_wrong_use_says_what_is_wrong(make: Callable[[], object], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make()
    assert text in str(caught.value) and len(str(caught.value).split(";")) >= 2


def test_calls_out_of_turn_say_so() -> None:
    node = PaxosNode(1, [1])
    with pytest.raises(ConfigError, match=r"node 1 has no ready\(\) to advance past"):
        node.advance()
    while not node.has_ready():
        node.tick()
    node.ready()
    calls: list[Callable[[], object]] = [node.tick, node.ready, lambda: node.propose(b""), lambda: node.read(1)]
    for call in calls:
        with pytest.raises(ConfigError, match=r"node 1 waits for advance\(\)"):
            call()
    node.advance()


def test_a_contradiction_stops_a_node_for_good() -> None:
    leader = Machines((1, 2, 3)).elect()
    leader.propose(b"b")
    ready = leader.ready()
    to, accept = next(pair for pair in ready.messages if pair[1])
    held = [PaxosEntry(leader.ballot, 1, 0, command=b"a")]
    node = PaxosNode(to, [1, 2, 3], hard_state=PaxosHardState(leader.ballot), entries=held)
    with pytest.raises(InvariantError, match="slot 1 has two values"):
        node.step(accept)
    with pytest.raises(InvariantError, match=f"node {to} broke an invariant and stopped"):
        node.tick()
