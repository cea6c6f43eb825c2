"""Whatever happens to a cluster, its replicas end up equal and every acknowledged command took effect exactly once."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastmas.consensus import Cluster
from fastmas.errors import NoQuorumError


class Record:
    def __init__(self):
        self.commands = []
        self.indexes = []
        self.times = []

    def apply(self, entry):
        self.commands.append(entry.command)
        self.indexes.append(entry.index)
        self.times.append(entry.time_ns)
        return b"%d" % len(self.commands)

    def digest(self):
        return repr(self.commands).encode()

    def snapshot(self):
        return b"\n".join(b"%d %d %s" % row for row in zip(self.indexes, self.times, self.commands, strict=True))

    def restore(self, data):
        rows = [row.split(b" ") for row in data.split(b"\n")] if data else []
        self.indexes = [int(row[0]) for row in rows]
        self.times = [int(row[1]) for row in rows]
        self.commands = [row[2] for row in rows]


ACTIONS = st.one_of(
    st.tuples(st.just("propose"), st.integers(1, 5)),
    st.tuples(st.just("crash"), st.integers(1, 5)),
    st.tuples(st.just("restart"), st.integers(1, 5)),
    st.tuples(st.just("partition"), st.integers(0, 31)),
    st.tuples(st.just("cut"), st.tuples(st.integers(1, 5), st.integers(1, 5))),
    st.tuples(st.just("heal"), st.none()),
    st.tuples(st.just("doom"), st.none()),
    st.tuples(st.just("jump"), st.integers(0, 10**12)),
)


@pytest.mark.parametrize("protocol", ["raft", "paxos"])
@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**64 - 1),
    nodes=st.sampled_from([1, 2, 3, 5]),
    loss=st.sampled_from([0.0, 0.1, 0.3]),
    snapshot_every=st.sampled_from([None, 3]),
    actions=st.lists(ACTIONS, max_size=25),
)
def test_replicas_agree_and_nothing_is_lost_or_doubled(protocol, seed, nodes, loss, snapshot_every, actions):
    cluster = Cluster(
        Record,
        protocol=protocol,
        nodes=nodes,
        seed=seed,
        loss=loss,
        timeout_ns=2_000_000_000,
        snapshot_every=snapshot_every,
        reordering=loss,
    )
    number = 0
    acknowledged = []
    at_ns = 0
    for kind, value in actions:
        if kind == "propose":
            burst = [b"%d" % (number + k) for k in range(value)]
            number += value
            try:
                replies = cluster.propose_many(burst, at_ns=at_ns)
            except NoQuorumError:
                continue
            acknowledged += burst
            assert [int(reply) for reply in replies] == list(range(int(replies[0]), int(replies[0]) + value))
        elif kind == "crash" and value <= nodes and cluster.is_up(value):
            cluster.crash(value)
        elif kind == "restart" and value <= nodes and not cluster.is_up(value):
            cluster.restart(value)
        elif kind == "partition":
            cluster.partition([node for node in cluster.nodes if value >> (node - 1) & 1])
        elif kind == "cut" and max(value) <= nodes:
            cluster.cut(*value)
        elif kind == "heal":
            cluster.heal()
        elif kind == "doom":
            cluster.crash_leader_during_next()
        elif kind == "jump":
            at_ns += value
    cluster.heal()
    for node in cluster.nodes:
        if not cluster.is_up(node):
            cluster.restart(node)
    cluster.settle(60_000_000_000)
    first = cluster.machine(1)
    for node in cluster.nodes:
        machine = cluster.machine(node)
        assert (machine.commands, machine.times) == (first.commands, first.times)
    assert first.indexes == list(range(1, len(first.indexes) + 1))
    assert len(set(first.commands)) == len(first.commands)
    assert [command for command in first.commands if command in set(acknowledged)] == acknowledged
    assert first.times == sorted(first.times)
    assert cluster.poisoned == {}
