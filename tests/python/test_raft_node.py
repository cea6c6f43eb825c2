"""RaftNode as Python drives it: disks, wire and time are a few lines here."""

from __future__ import annotations

import doctest
import inspect
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastmas.consensus as consensus
from fastmas.consensus import HardState, LogEntry, Membership, RaftNode, ReadState, Ready, Snapshot
from fastmas.errors import ConfigError

TICK_NS = 10_000_000


class Machines:
    """Nodes with their disks and a wire that carries everything, but what is cut off."""

    def __init__(self, voters: Iterable[int] = (1, 2, 3), **options: object) -> None:
        self.voters, self.options = list(voters), {"seed": 4, **options}
        self.nodes: dict[int, RaftNode] = {}
        self.disks: dict[int, tuple[HardState, list[LogEntry]]] = {}
        self.committed: dict[int, list[LogEntry]] = {}
        self.reads: dict[int, list[ReadState]] = {}
        self.cut_off: set[int] = set()
        self.now_ns = 0
        for number in self.voters:
            self.start(number)

    def start(self, number: int, **options: object) -> RaftNode:
        """Start or restart a node with what its disk holds."""
        hard_state, entries = self.disks.setdefault(number, (HardState(), []))
        self.committed[number], self.reads[number] = [], []
        self.nodes[number] = RaftNode(
            number, self.voters, **{**self.options, **options}, hard_state=hard_state, entries=entries
        )
        return self.nodes[number]

    def take(self, number: int, ready: Ready) -> None:
        hard_state, entries = self.disks[number]
        if ready.entries:
            entries = entries[: ready.entries[0].index - 1] + ready.entries
        self.disks[number] = ready.hard_state or hard_state, entries
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
                if to in self.nodes and not self.cut_off & {origin, to}:
                    self.nodes[to].step(message)

    def tick(self, ticks: int = 1) -> None:
        for _ in range(ticks):
            self.now_ns += TICK_NS
            for node in self.nodes.values():
                node.tick(self.now_ns)
            self.pump()

    def elect(self) -> RaftNode:
        for _ in range(200):
            leaders = [n for n in self.nodes.values() if n.role == "leader" and n.node not in self.cut_off]
            if leaders:
                return max(leaders, key=lambda node: node.term)
            self.tick()
        raise AssertionError("nobody leads")

    def commands(self, number: int) -> list[bytes]:
        return [entry.command for entry in self.committed[number] if entry.kind == "command"]


@settings(max_examples=300, deadline=None, derandomize=True)
@given(messages=st.lists(st.binary(max_size=120), max_size=10))
def test_a_node_drops_bytes_that_are_no_message(messages: list[bytes]) -> None:
    node = RaftNode(1, [1, 2, 3])
    for message in messages:
        assert node.step(message) is False
    assert (node.role, node.term, node.has_ready()) == ("follower", 0, False)


def test_three_nodes_agree_and_come_back_from_their_disks() -> None:
    machines = Machines()
    status, term, index = machines.elect().propose(b"one", now_ns=5, client=9, sequence=1, expires_ns=70)
    assert (status, index) == ("appended", 2)
    machines.pump()
    assert [machines.commands(n) for n in (1, 2, 3)] == [[b"one"]] * 3
    assert machines.committed[1][-1] == LogEntry(term, 2, 5, client=9, sequence=1, expires_ns=70, command=b"one")
    for number in (1, 2, 3):
        machines.start(number)
    leader = machines.elect()
    assert leader.term > term
    assert leader.propose(b"two")[0] == "appended"
    machines.pump()
    assert [machines.commands(n) for n in (1, 2, 3)] == [[b"one", b"two"]] * 3
    follower = next(node for node in machines.nodes.values() if node.leader != node.node)
    assert follower.propose(b"three")[0] == "not_leader"
    assert follower.read(1) == "not_leader"


def test_a_node_joins_as_a_learner_and_becomes_a_voter() -> None:
    machines = Machines()
    machines.elect().propose(b"one")
    machines.pump()
    machines.start(4, joining=True)
    leader = machines.elect()
    assert leader.change_membership(Membership([1, 2, 3], learners=[4]))[0] == "appended"
    machines.tick(10)
    assert (machines.commands(4), machines.nodes[4].membership.learners) == ([b"one"], [4])
    assert leader.change_membership(Membership([1, 2, 3, 4]))[0] == "appended"
    assert leader.membership.is_joint and leader.membership.outgoing == [1, 2, 3]
    assert leader.change_membership(Membership([1, 2, 3]))[0] == "busy"
    machines.tick(10)
    assert machines.nodes[4].membership.voters == [1, 2, 3, 4]
    # it comes back from entries that are no commands, and one of them says who takes part
    assert [entry.kind for entry in machines.disks[4][1]].count("membership") == 3
    machines.start(4, joining=True)
    assert machines.nodes[4].membership == leader.membership


def test_a_removed_leader_hands_over() -> None:
    machines = Machines()
    first = machines.elect()
    others = [n for n in (1, 2, 3) if n != first.node]
    assert first.change_membership(Membership(others))[0] == "appended"
    machines.tick(10)
    assert first.role == "follower"
    second = machines.elect()
    assert second.node in others and second.membership.voters == others


def test_a_read_waits_for_a_majority() -> None:
    machines = Machines()
    leader = machines.elect()
    leader.propose(b"one")
    machines.pump()
    assert leader.read(77) == "registered"
    machines.pump()
    answer = machines.reads[leader.node][0]
    assert (answer.context, answer.index, answer.is_confirmed, answer.valid_until_ns) == (77, 2, True, None)
    machines.cut_off = {n for n in (1, 2, 3) if n != leader.node}
    assert leader.read(78) == "registered"
    machines.tick(25)  # no majority: it steps down, and says that the read is not confirmed
    assert (leader.role == "leader", [(r.context, r.is_confirmed) for r in machines.reads[leader.node]]) == (
        False,
        [(77, True), (78, False)],
    )


def test_a_lease_spares_the_round_until_it_ends() -> None:
    machines = Machines(lease_ns=5 * TICK_NS)
    leader = machines.elect()
    machines.tick(4)
    machines.cut_off = {n for n in (1, 2, 3) if n != leader.node}  # from here on nobody could confirm anything
    assert leader.lease_read(1, machines.now_ns) == "registered"
    assert leader.lease_read(2, machines.now_ns + 6 * TICK_NS) == "registered"
    machines.pump()
    (answer,) = machines.reads[leader.node]
    assert answer.context == 1 and answer.is_confirmed
    assert answer.valid_until_ns is not None
    assert machines.now_ns < answer.valid_until_ns <= machines.now_ns + 5 * TICK_NS


def test_leadership_is_handed_over() -> None:
    machines = Machines()
    first = machines.elect()
    target = next(n for n in (1, 2, 3) if n != first.node)
    assert first.transfer_leadership(target) == "appended"
    assert (first.transferee, first.propose(b"meanwhile")[0]) == (target, "busy")
    machines.pump()
    assert (machines.nodes[target].role, first.role, first.transferee) == ("leader", "follower", None)
    assert machines.nodes[target].term == first.term
    assert first.transfer_leadership(target) == "not_leader"


def test_a_damaged_disk_is_made_whole_by_the_others() -> None:
    machines = Machines()
    leader = machines.elect()
    for number in range(5):
        leader.propose(b"%d" % number)
        machines.pump()
    hurt = next(n for n in (1, 2, 3) if n != leader.node)
    hard_state, entries = machines.disks[hurt]
    machines.disks[hurt] = hard_state, entries[:3]  # the fourth cannot be read any more
    node = machines.start(hurt, lost=(entries[-1].term, entries[-1].index))
    machines.pump()
    assert machines.disks[hurt][0].lost == (entries[-1].term, entries[-1].index)  # noted before all else
    machines.tick(5)
    assert machines.disks[hurt][1] == entries and machines.commands(hurt) == [b"%d" % n for n in range(5)]
    assert machines.disks[hurt][0].lost == (0, 0)
    # while it runs it has everything in memory
    machines.disks[hurt] = machines.disks[hurt][0], entries[:2]
    node.damaged(3)
    machines.pump()
    assert machines.disks[hurt][1] == entries
    with pytest.raises(ConfigError, match="damaged\\(\\) takes an index of the log, 1 to 6, got 99"):
        node.damaged(99)


def test_a_snapshot_carries_its_membership() -> None:
    machines = Machines()
    leader = machines.elect()
    machines.start(4, joining=True)
    assert leader.change_membership(Membership([1, 2, 3], learners=[4]))[0] == "appended"
    machines.cut_off = {4}
    machines.tick(10)
    leader.compact(leader.commit_index, b"state")
    machines.cut_off = set()
    caught: list[Snapshot] = []
    take = machines.take

    def watch(number: int, ready: Ready) -> None:
        caught.extend([ready.snapshot] if ready.snapshot else [])
        take(number, ready)

    machines.take = watch  # type: ignore[method-assign]
    machines.tick(40)
    (snapshot,) = caught
    assert (snapshot.index, snapshot.state, snapshot.membership.learners) == (leader.commit_index, b"state", [4])
    again = Snapshot(snapshot.index, snapshot.term, snapshot.time_ns, snapshot.membership, snapshot.state)
    assert RaftNode(4, [1, 2, 3], joining=True, snapshot=again).membership == leader.membership


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Membership([]), "a cluster has 1 to 63 nodes, got 0"),
        (lambda: Membership([1, 2], learners=[2]), "2"),
        (lambda: Membership([1, 2], witnesses=[3]), "3"),
        (lambda: LogEntry(1, 1, 0, "vote"), "kind must be 'noop', 'command' or 'membership', got 'vote'"),
        (lambda: RaftNode(4, [1, 2, 3]), "joining"),
        (lambda: RaftNode(1, [1, 2, 3], priority=11), "priority must be at most 10, got 11"),
        (lambda: RaftNode(1, [1], election_ticks=2**29), "election_ticks must be at most 1000000, got 536870912"),
        (lambda: RaftNode(1, [1], lease_ns=-1), "lease"),
        (lambda: Machines().elect().transfer_leadership(9), "leadership goes to another voter"),
        (lambda: Machines([1]).elect().change_membership(Membership([2])), ""),
    ],
)
def test_wrong_use_says_what_is_wrong(make, text: str) -> None:
    if not text:
        assert make()[0] in ("appended", "busy")  # a cluster may be replaced as a whole
        return
    with pytest.raises(ConfigError) as caught:
        make()
    assert text in str(caught.value) and len(str(caught.value).split(";")) >= 2


@pytest.mark.parametrize("name", [n for n in consensus.__all__ if inspect.isclass(getattr(consensus, n))])
def test_examples_of_extension_types_run(name: str) -> None:
    value = getattr(consensus, name)
    assert (value.__doc__ or "").strip(), f"{name} has no docstring"
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE, verbose=False)
    examples = doctest.DocTestParser().get_doctest(value.__doc__, dict(vars(consensus)), name, None, 0)
    runner.run(examples)
    assert runner.failures == 0
    if name == "RaftNode":
        assert len(examples.examples) >= 5
