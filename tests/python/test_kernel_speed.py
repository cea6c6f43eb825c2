"""The kernel stays on its fast path: ratios to a heapq loop in one run, with margins that a busy machine cannot break.

With a dispatcher between kernel and handler, or an allocation for every event, each of them is exceeded;
`bench/bench_dispatch.py` has the exact figures.
"""

from __future__ import annotations

import heapq
import statistics
import time
from collections.abc import Callable
from itertools import count, cycle
from pathlib import Path
from typing import Any

import pytest

from fastmas._core.kernel import Context, Kernel, LatencyModel
from fastmas.audit import AuditWriter
from fastmas.messages import Signal

ITEMS = 2_000


def echo(message: Any, ctx: Any) -> Any:
    return message


def in_kernel(depth: int, audit: AuditWriter | None = None) -> Callable[[], None]:
    kernel = Kernel(audit, seed=5)
    node = kernel.add_node("node", echo, rank=1, latency=LatencyModel.uniform(1, 2 * depth))
    kernel.subscribe(node, node)
    for start in range(depth):
        kernel.post(node, Signal(instrument=7, ts_ns=start, score=0.5), at_ns=start)
    kernel.run(until_ns=2 * depth)

    def run() -> None:
        assert ITEMS * 0.8 < kernel.run(until_ns=kernel.now_ns + ITEMS) < ITEMS * 1.2

    return run


def in_heapq(depth: int) -> Callable[[], None]:
    message, ctx, sequence = Signal(instrument=7, ts_ns=0, score=0.5), Context(), count()
    delays = cycle(LatencyModel.uniform(1, 2 * depth).samples(5_003))
    queue = [(start, 1, next(sequence), echo, message) for start in range(depth)]

    def run() -> None:
        for _ in range(ITEMS):
            now_ns, rank, _, handler, taken = heapq.heappop(queue)
            out = handler(taken, ctx)
            if out is not None:
                heapq.heappush(queue, (now_ns + next(delays), rank, next(sequence), handler, out))

    return run


def ratio(ours: Callable[[], None], theirs: Callable[[], None]) -> float:
    def seconds(run: Callable[[], None]) -> float:
        started = time.perf_counter()
        run()
        return time.perf_counter() - started

    ours(), theirs()
    return statistics.median(seconds(ours) / seconds(theirs) for _ in range(61))


@pytest.mark.measures
@pytest.mark.parametrize(("depth", "most"), [(10, 0.75), (1_000, 0.5)])
def test_a_message_costs_less_than_in_a_heapq_loop(depth: int, most: float) -> None:
    assert ratio(in_kernel(depth), in_heapq(depth)) < most


@pytest.mark.measures
def test_an_audited_message_costs_no_more_than_a_few_of_a_heapq_loop(tmp_path: Path) -> None:
    with AuditWriter(tmp_path / "speed.audit", seed=5) as writer:
        assert ratio(in_kernel(1_000, writer), in_heapq(1_000)) < 2.5
