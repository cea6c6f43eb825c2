"""What does it cost to bring a message to a Python handler in virtual time, and to schedule what it answers?

The hold model: `depth` messages are under way; each delivery calls a handler that returns the message, which leaves
again after a random latency, so that the queue stays as deep as it is. Rivals do less: they have one kind of handler,
no ids, no causes, no origins and no statistics. Runs are short, so that most fit into a time slice of a busy machine.

* heapq: the loop that everybody writes, a heap of tuples.
* heapq, NamedTuple: the same, with a NamedTuple built for every event.
* asyncio: a PriorityQueue between a task that takes and the handler; no virtual time of its own.
* simpy: one process a message, which calls the handler and sleeps (a row only where simpy is installed).
* call: the handler called in a loop, nothing else: the floor below which nobody gets.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Callable, Iterator
from itertools import count, cycle, repeat
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from fastmas._core.kernel import Context, Intent, Kernel, LatencyModel, Observation
from fastmas.audit import AuditWriter
from fastmas.messages import Bar, Signal

ITEMS = 4_000
DEPTHS = [10, 1_000, 100_000]

Run = Callable[[], Any]


def echo(message: Any, ctx: Any) -> Any:
    return message


def answer(message: Any, ctx: Any) -> Any:
    return Signal(instrument=7, ts_ns=ctx.now_ns, score=0.5)


def ignore(message: Any, ctx: Any) -> None:
    return None


def delays(depth: int) -> Iterator[int]:
    rng = random.Random(5)
    return cycle([rng.randint(1, 2 * depth) for _ in range(10_007)])


def kernel_hold(depth: int, audit: AuditWriter | None = None, handler: Any = echo) -> Run:
    """On the average one message arrives each ns: ITEMS ns handle ITEMS messages, give or take a hundredth or two."""
    kernel = Kernel(audit, seed=5)
    node = kernel.add_node("node", handler, rank=1, latency=LatencyModel.uniform(1, 2 * depth))
    kernel.subscribe(node, node)
    for start in range(depth):
        kernel.post(node, Signal(instrument=7, ts_ns=start, score=0.5), at_ns=start)
    kernel.run(until_ns=2 * depth)
    return lambda: kernel.run(until_ns=kernel.now_ns + ITEMS)


class PlainContext:
    __slots__ = ("now_ns",)
    now_ns: int


def heapq_hold(depth: int) -> Run:
    message, ctx, delay, sequence = Signal(instrument=7, ts_ns=0, score=0.5), PlainContext(), delays(depth), count()
    queue = [(start, 1, next(sequence), echo, message) for start in range(depth)]
    heapq.heapify(queue)

    def run() -> None:
        pop, push = heapq.heappop, heapq.heappush
        for _ in repeat(None, ITEMS):
            now_ns, rank, _, handler, message = pop(queue)
            ctx.now_ns = now_ns
            out = handler(message, ctx)
            if out is not None:
                push(queue, (now_ns + next(delay), rank, next(sequence), handler, out))

    return run


class Event(NamedTuple):
    time_ns: int
    rank: int
    sequence: int
    handler: Any
    message: Any


def heapq_named_hold(depth: int) -> Run:
    message, ctx, delay, sequence = Signal(instrument=7, ts_ns=0, score=0.5), PlainContext(), delays(depth), count()
    queue = [Event(start, 1, next(sequence), echo, message) for start in range(depth)]
    heapq.heapify(queue)

    def run() -> None:
        for _ in repeat(None, ITEMS):
            event = heapq.heappop(queue)
            ctx.now_ns = event.time_ns
            out = event.handler(event.message, ctx)
            if out is not None:
                again = Event(event.time_ns + next(delay), event.rank, next(sequence), event.handler, out)
                heapq.heappush(queue, again)

    return run


def asyncio_hold(depth: int) -> Run:
    message, ctx, delay, sequence = Signal(instrument=7, ts_ns=0, score=0.5), PlainContext(), delays(depth), count()
    queue: asyncio.PriorityQueue[Any] = asyncio.PriorityQueue()
    for start in range(depth):
        queue.put_nowait((start, next(sequence), message))

    async def work() -> None:
        for _ in repeat(None, ITEMS):
            ctx.now_ns, _, message = await queue.get()
            out = echo(message, ctx)
            if out is not None:
                await queue.put((ctx.now_ns + next(delay), next(sequence), out))

    return lambda: asyncio.run(work())


def simpy_hold(depth: int) -> Run:
    simpy = pytest.importorskip("simpy")
    environment, delay, ctx = simpy.Environment(), delays(depth), PlainContext()

    def life(message: Any) -> Iterator[Any]:
        while True:
            ctx.now_ns = environment.now
            message = echo(message, ctx)
            yield environment.timeout(next(delay))

    for _ in range(depth):
        environment.process(life(Signal(instrument=7, ts_ns=0, score=0.5)))
    environment.run(until=2 * depth)

    def run() -> None:
        for _ in repeat(None, ITEMS):
            environment.step()

    return run


def call_loop(depth: int) -> Run:
    message, ctx = Signal(instrument=7, ts_ns=0, score=0.5), Context()

    def run() -> None:
        for _ in repeat(None, ITEMS):
            echo(message, ctx)

    return run


RIVALS = {
    "heapq": heapq_hold,
    "heapq, NamedTuple": heapq_named_hold,
    "asyncio": asyncio_hold,
    "simpy": simpy_hold,
    "call": call_loop,
}


def measure(benchmark: Any, run: Run, **info: Any) -> None:
    benchmark.extra_info.update(items=ITEMS, item="message", **info)
    benchmark.pedantic(run, rounds=40, warmup_rounds=3)


@pytest.mark.parametrize("depth", DEPTHS)
def bench_kernel(benchmark: Any, depth: int) -> None:
    benchmark.group = f"dispatch, queue depth {depth:,}"
    measure(benchmark, kernel_hold(depth))


@pytest.mark.parametrize("depth", DEPTHS)
def bench_kernel_audited(benchmark: Any, tmp_path: Path, depth: int) -> None:
    benchmark.group = f"dispatch, queue depth {depth:,}"
    with AuditWriter(tmp_path / "bench.audit", seed=5) as writer:
        measure(benchmark, kernel_hold(depth, writer), audit=True)


@pytest.mark.parametrize("rival", RIVALS)
@pytest.mark.parametrize("depth", DEPTHS)
def bench_rival(benchmark: Any, depth: int, rival: str) -> None:
    benchmark.group = f"dispatch, queue depth {depth:,}"
    measure(benchmark, RIVALS[rival](depth), rival=True)


@pytest.mark.benchmark(group="dispatch, handler that builds its answer")
def bench_kernel_answer(benchmark: Any) -> None:
    measure(benchmark, kernel_hold(1_000, handler=answer))


def feed_runs(mode: str, rows_per_slice: int, audit: AuditWriter | None = None) -> Any:
    rows = np.zeros(ITEMS, Bar.dtype)
    rows["ts_ns"] = np.arange(ITEMS) // rows_per_slice

    def build() -> Any:
        kernel = Kernel(audit)
        feed = kernel.add_node("feed", None, rank=0)
        kernel.subscribe(kernel.add_node("node", ignore, rank=1, mode=mode), feed)  # type: ignore[arg-type]
        kernel.add_feed(feed, rows, Bar)
        return (kernel,), {}

    return build


@pytest.mark.parametrize(("mode", "rows"), [("each", 1), ("each", 20), ("slice", 20), ("join", 20)])
def bench_feed(benchmark: Any, mode: str, rows: int) -> None:
    """From the array of a feed to a handler that ignores what it gets; `rows` share an instant."""
    benchmark.group = "feed"
    benchmark.extra_info.update(items=ITEMS, item="row")
    benchmark.pedantic(Kernel.run, setup=feed_runs(mode, rows), rounds=40, warmup_rounds=3)


@pytest.mark.benchmark(group="messages")
@pytest.mark.parametrize("kind", ["observation", "intent of 20"])
@pytest.mark.parametrize("step", ["make", "to_bytes", "from_bytes"])
def bench_message(benchmark: Any, kind: str, step: str) -> None:
    values, targets = {"mid": 100.5, "spread": 0.5}, dict.fromkeys(range(20), 100)
    message = Observation(7, 1, values) if kind == "observation" else Intent(1, targets)
    data = message.to_bytes()

    def make() -> None:
        for _ in repeat(None, 1000):
            Observation(7, 1, values) if kind == "observation" else Intent(1, targets)

    def encode() -> None:
        for _ in repeat(None, 1000):
            message.to_bytes()

    def decode() -> None:
        for _ in repeat(None, 1000):
            message.from_bytes(data)

    benchmark.extra_info.update(items=1000, item="message")
    benchmark.pedantic({"make": make, "to_bytes": encode, "from_bytes": decode}[step], rounds=20, warmup_rounds=2)
