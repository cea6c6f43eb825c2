"""How long does a proposal to three simulated replicas take, and what of it is consensus?

`fastmas.Cluster` runs three nodes (four for BFT, with the simulator's keyed signatures) in one thread and in virtual
time; a proposal is through when a majority of replicas has applied it. The state machine is a counter, so nearly all of
it is overhead; `bench_apply_three_times` is what three calls of that counter cost by themselves. The rival a reader
would think of, PySyncObj, talks over TCP between threads and answers at its polling interval: its figure is a round
trip in wall-clock time, and it stores nothing either.
"""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest

from fastmas.consensus import Cluster, Entry

GROUP = pytest.mark.benchmark(group="one command through three replicas")


class Counter:
    def __init__(self) -> None:
        self.count = 0

    def apply(self, entry: Entry) -> bytes | None:
        self.count += 1
        return None


@GROUP
@pytest.mark.parametrize("nodes", [1, 3, 5])
def bench_propose(benchmark: Any, nodes: int) -> None:
    cluster = Cluster(Counter, nodes=nodes, seed=1)
    benchmark.extra_info.update(items=1, item="command")
    benchmark(cluster.propose, b"0123456789abcdef")
    assert len({cluster.machine(node).count for node in cluster.nodes}) == 1


@GROUP
@pytest.mark.parametrize(("protocol", "nodes"), [("raft", 3), ("paxos", 3), ("bft", 4)])
def bench_propose_burst_of_64(benchmark: Any, protocol: Any, nodes: int) -> None:
    cluster = Cluster(Counter, nodes=nodes, protocol=protocol, seed=1)
    burst = [b"0123456789abcdef"] * 64
    benchmark(cluster.propose_many, burst)
    benchmark.extra_info.update(items=64, item="command")


@GROUP
def bench_propose_under_loss(benchmark: Any) -> None:
    cluster = Cluster(Counter, nodes=3, seed=1, loss=0.05)
    benchmark.extra_info.update(items=1, item="command")
    benchmark(cluster.propose, b"0123456789abcdef")


@GROUP
def bench_apply_three_times(benchmark: Any) -> None:
    machine, entry = Counter(), Entry(1, 0, b"0123456789abcdef")

    def three() -> None:
        machine.apply(entry)
        machine.apply(entry)
        machine.apply(entry)

    benchmark.extra_info.update(items=1, item="command")
    benchmark(three)


@GROUP
def bench_rival_pysyncobj(benchmark: Any) -> None:
    pysyncobj = pytest.importorskip("pysyncobj", reason="install pysyncobj to compare with it")
    sockets = [socket.socket() for _ in range(3)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()

    class Replicated(pysyncobj.SyncObj):  # type: ignore[misc, name-defined]
        def __init__(self, own: str, others: list[str]) -> None:
            super().__init__(own, others)
            self.count = 0

        @pysyncobj.replicated_sync  # type: ignore[untyped-decorator]
        def bump(self) -> int:
            self.count += 1
            return self.count

    replicas = [Replicated(own, [other for other in addresses if other != own]) for own in addresses]
    try:
        deadline = time.monotonic() + 20
        while not all(replica.isReady() for replica in replicas):
            assert time.monotonic() < deadline, "the rival elects no leader"
            time.sleep(0.01)
        benchmark.extra_info.update(items=1, item="command", rival=True)
        benchmark.pedantic(replicas[0].bump, rounds=50, warmup_rounds=3)
    finally:
        for replica in replicas:
            replica.destroy()
