"""What the kernel owns it gives back; interrupts are prompt and lose nothing; latency models; graphs of many nodes."""

from __future__ import annotations

import gc
import re
import signal as signals
import sys
import tracemalloc
import weakref
from typing import Any

import numpy as np
import pytest

from fastmas._core.kernel import Context, Intent, Kernel, LatencyModel, Observation
from fastmas.errors import AgentError, ConfigError
from fastmas.messages import Bar, Signal, Wakeup


def bars(*ts_ns: int) -> np.ndarray:
    rows = np.zeros(len(ts_ns), Bar.dtype)
    rows["ts_ns"] = ts_ns
    return rows


class Agent:
    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    def handle(self, message: Any, ctx: Context) -> None:
        return None

    def wake(self, ctx: Context) -> None:
        return None


class Room(Context):
    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel


@pytest.mark.parametrize("through", ["handler", "on_wakeup", "context"])
def test_cycles_through_the_kernel_are_collected(through: str) -> None:
    kernel = Kernel()
    agent, room = Agent(kernel), Room(kernel)
    options: dict[str, Any] = {"rank": 1}
    if through == "on_wakeup":
        options["on_wakeup"] = agent.wake
    if through == "context":
        options["context"] = room
    node = kernel.add_node("node", agent.handle if through == "handler" else lambda m, ctx: None, **options)
    source = kernel.add_node("source", None, rank=0)
    kernel.subscribe(node, source)
    kernel.add_feed(source, bars(1, 2, 3), Bar)
    kernel.run(until_ns=2)
    watched = weakref.ref(room if through == "context" else agent)
    del kernel, agent, room, options
    gc.collect()
    assert watched() is None


def test_a_cleared_kernel_is_harmless() -> None:
    """An object of the same cycle may call the kernel while the collector takes it apart."""
    seen: list[Any] = []

    class Last:
        def __init__(self, kernel: Kernel) -> None:
            self.kernel = kernel

        def handle(self, message: Any, ctx: Context) -> None:
            return None

        def __del__(self) -> None:
            try:
                seen.append((self.kernel.run(), self.kernel.stats() is not None, self.kernel.pending))
            except ConfigError as error:
                seen.append(error)

    kernel = Kernel()
    kernel.add_node("node", Last(kernel).handle, rank=0)
    kernel.run()
    del kernel
    gc.collect()
    assert len(seen) == 1


def busy_world(fail: bool) -> Kernel:
    kernel = Kernel()
    feed = kernel.add_node("feed", None, rank=0)

    def each(bar: Bar, ctx: Context) -> Any:
        if fail and ctx.now_ns == 7:
            raise ValueError("seven")
        kernel.post(feed, Bar(ts_ns=0, instrument=9), at_ns=1000, causes=kernel.inputs, origin=kernel.origin)
        return [
            Signal(instrument=1, ts_ns=0, score=1),
            np.zeros(2, Signal.dtype),
            Observation(1, 2, {"a": np.zeros(3)}),
            Wakeup(ctx.now_ns + 3),
            Intent(0, {1: 2}),
        ]

    a = kernel.add_node("a", each, rank=1, latency=2, on_wakeup=lambda ctx: None)
    b = kernel.add_node("b", lambda rows, ctx: rows[:1], rank=2, mode="slice")
    c = kernel.add_node("c", lambda messages, ctx: None, rank=3, mode="join", emits=(Signal, Intent))
    for target, source, types in ((a, feed, None), (b, a, (Signal,)), (c, a, None), (c, b, None), (c, feed, (Bar,))):
        kernel.subscribe(target, source, types)
    kernel.add_feed(feed, bars(1, 1, 5, 7, 7, 9), Bar)
    return kernel


def one_life(fail: bool) -> None:
    kernel = busy_world(fail)
    try:
        kernel.run(until_ns=8)  # some kernels die with their queues full
        if not fail:
            kernel.run(until_ns=900)
    except AgentError:
        pass
    kernel.stats()


@pytest.mark.measures
@pytest.mark.parametrize("fail", [False, True])
def test_nothing_is_leaked(fail: bool) -> None:
    watched = [Bar, Signal, Wakeup, Observation, Intent, Context, Kernel, None, Signal.dtype, Bar.dtype]
    for _ in range(30):
        one_life(fail)
    gc.collect()
    references = [sys.getrefcount(one) for one in watched]
    # Free lists keep what they are given, up to a bound: the first thousand lives fill them. What is kept after that is
    # a leak; the smallest object, once a life, would be 48,000 bytes.
    tracemalloc.start()
    for _ in range(1_000):
        one_life(fail)
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(1_000):
        one_life(fail)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    after = [sys.getrefcount(one) for one in watched]
    assert max(abs(a - b) for a, b in zip(references, after, strict=True)) < 100, (references, after)
    assert grown < 24_000, f"{grown} bytes more after 1,000 kernels"


def test_messages_are_let_go_once_everybody_has_got_them() -> None:
    alive: list[Any] = []
    seen: list[bool] = []

    def answer(bar: Bar, ctx: Context) -> Any:
        rows = np.zeros(5, Signal.dtype)  # nobody else has it: the kernel takes it over
        alive.append(weakref.ref(rows))
        return rows

    kernel = Kernel()
    feed = kernel.add_node("feed", None, rank=0)
    node = kernel.add_node("node", answer, rank=1)
    sink = kernel.add_node("sink", lambda m, ctx: seen.append(m is alive[-1]()), rank=2, mode="slice")
    kernel.subscribe(node, feed)
    kernel.subscribe(sink, node)
    kernel.add_feed(feed, bars(*range(50)), Bar)
    kernel.run()
    assert seen == 50 * [True] and all(one() is None for one in alive) and kernel.pending == 0


@pytest.mark.parametrize("mode", ["each", "slice", "join"])
@pytest.mark.parametrize("until_ns", [None, 5])
def test_the_rows_of_a_feed_are_let_go(mode: Any, until_ns: int | None) -> None:
    rows = bars(1, 1, 5, 8)
    kernel = Kernel()
    feed = kernel.add_node("feed", None, rank=0)
    kernel.subscribe(kernel.add_node("sink", lambda m, ctx: None, rank=1, mode=mode), feed)
    kernel.add_feed(feed, rows, Bar)
    kernel.run(until_ns)
    watched = weakref.ref(rows)
    del rows
    assert watched() is not None
    del kernel
    assert watched() is None


def interrupt_a_run(rows: np.ndarray) -> tuple[int, int]:
    """How many rows had been handled when a signal stopped the run, and after it was run again."""
    received: dict[Any, Any] = {}
    kernel = Kernel()
    source = kernel.add_node("source", None, rank=0)
    # A handler written in C never looks for signals (and never lets another thread run): the kernel has to.
    sink = kernel.add_node("sink", received.__setitem__, rank=1)
    kernel.subscribe(sink, source)
    kernel.add_feed(source, rows, Bar)

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    previous = signals.signal(signals.SIGALRM, interrupt)
    try:
        signals.setitimer(signals.ITIMER_REAL, 0.003)
        with pytest.raises(KeyboardInterrupt):
            kernel.run()
    finally:
        signals.setitimer(signals.ITIMER_REAL, 0)
        signals.signal(signals.SIGALRM, previous)
    stopped_at = len(received)
    kernel.run()
    return stopped_at, len(received)


@pytest.mark.parametrize("kind", ["many events", "one long batch"])
def test_an_interrupt_is_prompt_and_loses_nothing(kind: str) -> None:
    rows = bars(*range(200_000)) if kind == "many events" else bars(*[5] * 200_000)
    rows["close"] = range(len(rows))
    stopped_at, at_the_end = interrupt_a_run(rows)
    assert stopped_at < len(rows) == at_the_end


def test_many_nodes_of_many_ranks_settle_in_order() -> None:
    kernel, order = Kernel(), []
    feed = kernel.add_node("feed", None, rank=0)
    previous = feed
    for index in range(300):
        node = kernel.add_node(
            f"node{index:03}", lambda m, ctx, index=index: (order.append(index), m)[1], rank=1 + index * 7
        )
        kernel.subscribe(node, previous)
        previous = node
    kernel.add_feed(feed, bars(1, 1), Bar)
    assert kernel.run() == 600
    assert order == [index for index in range(300) for _ in range(2)]


def test_latency_models_say_what_they_are() -> None:
    models = [
        LatencyModel.constant(5),
        LatencyModel.uniform(1, 2),
        LatencyModel.exponential(10, minimum_ns=3),
        LatencyModel.lognormal(10, 0.5, minimum_ns=3),
    ]
    assert [repr(model) for model in models] == [
        "LatencyModel.constant(5)",
        "LatencyModel.uniform(1, 2)",
        "LatencyModel.exponential(10, minimum_ns=3)",
        "LatencyModel.lognormal(10, 0.5, minimum_ns=3)",
    ]
    assert len(set(models)) == 4 and models[1] == LatencyModel.uniform(1, 2) != LatencyModel.uniform(1, 3)
    assert models[0].samples(3) == [5, 5, 5]
    assert models[2].samples(9, seed=1, name="a") == models[2].samples(9, seed=1, name="a")
    assert models[2].samples(9, seed=1, name="a") != models[2].samples(9, seed=1, name="b")
    assert models[2].samples(9, seed=1, name="a") != models[2].samples(9, seed=2, name="a")


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: LatencyModel.constant(-1), "a latency must be from 0 to 2**60 ns, got -1"),
        (lambda: LatencyModel.uniform(-1, 5), "low_ns must be at least 0, got -1"),
        (lambda: LatencyModel.uniform(6, 5), "high_ns must be at least low_ns, got low_ns=6 and high_ns=5"),
        (lambda: LatencyModel.exponential(0), "mean_ns must be from 1 to 2**50, got 0"),
        (lambda: LatencyModel.exponential(5, minimum_ns=-1), "minimum_ns must be from 0 to 2**50, got -1"),
        (lambda: LatencyModel.lognormal(0, 1), "median_ns must be from 1 to 2**50, got 0"),
        (lambda: LatencyModel.lognormal(1, 0), "sigma must be above 0 and at most 10, got 0.000000"),
    ],
)
def test_latency_models_refuse(make: Any, text: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(text)):
        make()


def test_a_stream_does_not_depend_on_the_order_of_creation() -> None:
    def arrivals(names: list[str]) -> dict[str, list[int]]:
        kernel, seen = Kernel(seed=9), {name: [] for name in names}
        feed = kernel.add_node("feed", None, rank=0)
        sinks = {}
        for name in names:
            node = kernel.add_node(name, lambda m, ctx: m, rank=1, latency=LatencyModel.lognormal(1000, 1.0))
            sinks[name] = kernel.add_node(name + "!", lambda m, ctx, name=name: seen[name].append(ctx.now_ns), rank=2)
            kernel.subscribe(node, feed)
            kernel.subscribe(sinks[name], node)
        kernel.add_feed(feed, bars(0, 10**6, 10**7), Bar)
        kernel.run()
        return seen

    assert arrivals(["a", "b", "c"]) == {**arrivals(["c", "b", "a"])}
