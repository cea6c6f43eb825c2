"""fastmas.consensus.Cluster with protocol="bft": what differs from the protocols that only stand crashes."""

from __future__ import annotations

import pytest

from fastmas.consensus import Cluster, Entry
from fastmas.errors import LedgerError, NoQuorumError


class Limit:
    def __init__(self) -> None:
        self.used = 0
        self.times: list[int] = []

    def apply(self, entry: Entry) -> bytes:
        if entry.command == b"no":
            raise LedgerError("refused")
        self.used += int(entry.command)
        self.times.append(entry.time_ns)
        return str(self.used).encode()

    def snapshot(self) -> bytes:
        return str(self.used).encode()

    def restore(self, data: bytes) -> None:
        self.used = int(data)


def test_replicas_agree_and_time_never_falls() -> None:
    cluster = Cluster(Limit, nodes=4, protocol="bft", seed=7)
    assert cluster.propose(b"40", at_ns=10**9) == b"40"
    assert cluster.propose_many([b"1"] * 3, at_ns=2 * 10**9) == [b"41", b"42", b"43"]
    assert cluster.propose(b"1", at_ns=5) == b"44"
    for node in cluster.nodes:
        machine = cluster.machine(node)
        assert machine.used == 44
        assert machine.times == sorted(machine.times) and machine.times[0] >= 10**9
    assert cluster.epoch == 4  # the height under way: three blocks are decided


@pytest.mark.parametrize(("nodes", "crashes"), [(4, 1), (7, 2)])
def test_f_of_3f_plus_1_may_be_down_and_not_one_more(nodes: int, crashes: int) -> None:
    cluster = Cluster(Limit, nodes=nodes, protocol="bft", seed=3)
    for _ in range(crashes):
        cluster.crash(cluster.leader)
    assert cluster.propose(b"1") == b"1"
    cluster.crash(cluster.leader)
    with pytest.raises(NoQuorumError):
        cluster.propose(b"1")
    for node in cluster.nodes:
        if not cluster.is_up(node):
            cluster.restart(node)
    cluster.propose(b"1")
    assert {cluster.machine(node).used for node in cluster.nodes} in ({2}, {3})


def test_a_rejection_is_the_same_everywhere() -> None:
    cluster = Cluster(Limit, nodes=4, protocol="bft", seed=1)
    with pytest.raises(LedgerError, match="refused"):
        cluster.propose(b"no")
    assert cluster.propose(b"2") == b"2"


@pytest.mark.parametrize("seed", range(20))
def test_a_lossy_network_loses_and_doubles_nothing(seed: int) -> None:
    cluster = Cluster(Limit, nodes=4, protocol="bft", seed=seed, loss=0.1, duplication=0.1, reordering=0.2)
    for k in range(1, 13):
        if k % 4 == 0:
            cluster.crash_leader_during_next()
        assert cluster.propose(b"1") == str(k).encode()
        for node in cluster.nodes:
            if not cluster.is_up(node):
                cluster.restart(node)
    cluster.settle()
    assert {cluster.machine(node).used for node in cluster.nodes} == {12}
    assert not cluster.poisoned


def test_same_seed_same_history() -> None:
    def run() -> list[object]:
        cluster = Cluster(Limit, nodes=4, protocol="bft", seed=5, loss=0.2, trace=True)
        cluster.propose_many([b"1"] * 10)
        return [cluster.now_ns, cluster.stats, cluster.trace]

    assert run() == run()
