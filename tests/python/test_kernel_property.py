"""Random graphs, feeds, posts and wakeups: the kernel calls whom the slow and plain one calls, when, and with what."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from reference_kernel import ReferenceKernel

from fastmas._core.kernel import Kernel, LatencyModel, Observation
from fastmas.messages import Order, Signal, Wakeup
from fastmas.records import Record

LONGEST = 100  # calls after which nodes fall silent: the reference is slow
DEPTH = 4  # how far a message is passed on; it is what `score` and `quantity` hold

delays = st.one_of(
    st.sampled_from([0, 0, 0, 1, 2, 5]),
    st.builds(LatencyModel.uniform, st.integers(0, 2), st.integers(2, 6)),
    st.builds(lambda mean: LatencyModel.exponential(mean), st.integers(1, 8)),
)


@dataclass
class World:
    modes: list[str]
    ranks: list[int]
    delays: list[Any]
    edges: list[tuple[int, int, tuple[type, ...] | None]]  # target, source, types
    feeds: list[list[int]]
    seed: int
    stops: list[int]


@st.composite
def worlds(draw: Any) -> World:
    count = draw(st.integers(2, 7))
    modes = [draw(st.sampled_from(["each", "each", "slice", "join", "join"])) for _ in range(count)]
    ranks = [draw(st.integers(0, 4)) for _ in range(count)]
    edges = []
    for target in range(count):
        for source in range(-2, count):
            rank = 0 if source < 0 else ranks[source]
            allowed = modes[target] != "join" or rank < ranks[target]
            if allowed and draw(st.integers(0, 4)) < 2:
                edges.append(
                    (target, source, draw(st.sampled_from([None, None, (Signal,), (Order, Observation), (Record,)])))
                )
    feeds = [sorted(draw(st.lists(st.integers(0, 12), min_size=1, max_size=6))) for _ in range(2)]
    stops = sorted(draw(st.lists(st.integers(-1, 30), max_size=2)))
    return World(modes, ranks, [draw(delays) for _ in range(count)], edges, feeds, draw(st.integers(0, 2**32)), stops)


def depth_of(message: Any) -> int:
    if isinstance(message, list):
        return max(map(depth_of, message))
    if isinstance(message, np.ndarray):
        return int(message["score" if "score" in message.dtype.names else "quantity"].max())
    if isinstance(message, Observation):
        return int(message["depth"])
    return int(message.score if isinstance(message, Signal) else message.quantity)


def digest(message: Any) -> Any:
    if isinstance(message, list):
        return [digest(one) for one in message]
    if isinstance(message, np.ndarray):
        return ("batch", message.dtype.names, message.tolist())
    return (type(message).__name__, message.to_bytes() if isinstance(message, Observation) else bytes(message))


def make(rng: random.Random, depth: int) -> Any:
    kind = rng.randrange(5)
    if kind == 0:
        return Order(instrument=rng.randrange(9), side=1, quantity=depth)
    if kind == 1:
        return Observation(rng.randrange(9), 0, {"depth": depth})
    if kind == 2:
        rows = np.zeros(rng.randrange(4), rng.choice([Signal.dtype, Order.dtype]))
        rows["score" if "score" in rows.dtype.names else "quantity"] = depth
        rows["instrument"] = range(len(rows))
        return rows
    return Signal(instrument=rng.randrange(9), ts_ns=0, score=depth)


def play(kernel: Any, world: World) -> list[Any]:
    """Build the world in a kernel, run it, and give everything that could be seen."""
    trace: list[Any] = []
    nodes: dict[int, int] = {}

    def act(me: int, depth: int, now_ns: int) -> Any:
        # What a node does is a function of the world's seed and of its inputs, never of the order of calls.
        if len(trace) > LONGEST:
            return None
        rng = random.Random(f"{world.seed}/{me}/{kernel.inputs}")
        out = [make(rng, depth - 1) for _ in range(rng.choice([0, 1, 1, 1, 2, 3]))] if depth > 0 else []
        if depth > 1 and rng.randrange(6) == 0:
            out.insert(rng.randrange(len(out) + 1), Wakeup(now_ns + rng.randrange(5)))
        if depth > 1 and rng.randrange(5) == 0:
            origin = rng.choice([None, kernel.origin, 1])
            post = Signal(instrument=99, ts_ns=0, score=depth - 2)
            trace.append(
                (
                    "post",
                    kernel.post(nodes[rng.choice(list(nodes))], post, at_ns=now_ns + rng.randrange(4), origin=origin),
                )
            )
        return out[0] if len(out) == 1 else out or None

    def handler(me: int) -> Any:
        def handle(message: Any, ctx: Any) -> Any:
            trace.append((me, ctx.now_ns, kernel.inputs, kernel.origin, kernel.last_ids, digest(message)))
            return act(me, depth_of(message), ctx.now_ns)

        return handle

    def alarm(me: int) -> Any:
        def wake(ctx: Any) -> Any:
            trace.append((me, ctx.now_ns, kernel.inputs, kernel.origin, kernel.last_ids, "woken"))
            return act(me, 1, ctx.now_ns)

        return wake

    for feed in (-2, -1):
        nodes[feed] = kernel.add_node(f"feed{feed}", None, rank=0, latency=world.delays[feed])
    for me, (mode, rank, delay) in enumerate(zip(world.modes, world.ranks, world.delays, strict=True)):
        name = f"{'qrsabcd'[me]}{me}"  # names in another order than numbers
        nodes[me] = kernel.add_node(name, handler(me), rank=rank, mode=mode, latency=delay, on_wakeup=alarm(me))
    for target, source, types in world.edges:
        kernel.subscribe(nodes[target], nodes[source], types)
    for feed, times in zip((-2, -1), world.feeds, strict=True):
        rows = np.zeros(len(times), Signal.dtype)
        rows["ts_ns"], rows["score"], rows["instrument"] = times, DEPTH, range(len(times))
        kernel.add_feed(nodes[feed], rows, Signal)
    rng = random.Random(world.seed)
    for _ in range(rng.randrange(3)):
        early = Signal(instrument=5, ts_ns=0, score=2)
        trace.append(("post", kernel.post(nodes[rng.choice(list(nodes))], early, at_ns=rng.randrange(9))))
    for until in [*world.stops, None]:
        trace.append(("ran", kernel.run(until), kernel.last_ids))
        if until is not None and rng.randrange(2):
            trace.append(
                ("post", kernel.post(nodes[0], Signal(instrument=1, ts_ns=0, score=2), at_ns=max(until, 0) + 2))
            )
    return trace


@settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(worlds())
def test_random_worlds_agree_with_the_reference(world: World) -> None:
    expected = play(ReferenceKernel(seed=7), world)
    got = play(Kernel(seed=7), world)
    assert got == expected
    event(f"calls: {min(len(got) // 20 * 20, 200)}")


@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(worlds())
def test_two_runs_are_equal(world: World) -> None:
    assert play(Kernel(seed=3), world) == play(Kernel(seed=3), world)
