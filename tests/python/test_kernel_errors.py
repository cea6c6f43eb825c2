"""What the kernel refuses, in which words, and what is left after it."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fastmas._core.kernel import Intent, Kernel
from fastmas.errors import AgentError, ConfigError
from fastmas.messages import Bar, Order, Quote, Signal, Trade, Wakeup
from fastmas.records import Record

Calls = list[tuple[Any, ...]]


def bars(*ts_ns: int) -> np.ndarray:
    rows = np.zeros(len(ts_ns), Bar.dtype)
    rows["ts_ns"] = ts_ns
    rows["instrument"] = range(len(ts_ns))
    return rows


def signal(score: float, ts_ns: int = 0) -> Signal:
    return Signal(instrument=0, ts_ns=ts_ns, score=score)


def recorder(calls: Calls, kernel: Kernel, answer: Callable[[Any, Any], Any] = lambda message, ctx: None) -> Any:
    def handler(message: Any, ctx: Any) -> Any:
        calls.append((ctx.now_ns, message, kernel.inputs, kernel.origin))
        return answer(message, ctx)

    return handler


def source_and_sink(
    answer: Callable[[Any, Any], Any] = lambda message, ctx: None, **options: Any
) -> tuple[Kernel, int, int, Calls]:
    kernel, calls = Kernel(), []
    source = kernel.add_node("source", None, rank=0)
    sink = kernel.add_node("sink", recorder(calls, kernel, answer), rank=1, **options)
    kernel.subscribe(sink, source)
    return kernel, source, sink, calls


def run_one(answer: Any, **options: Any) -> None:
    kernel, source, _, _ = source_and_sink(lambda m, ctx: answer() if callable(answer) else answer, **options)
    kernel.post(source, signal(0), at_ns=17)
    kernel.run()


anything = "it may return None, a Record, an Observation, an Intent, a Committed, an array of a Record's dtype"


@pytest.mark.parametrize(
    ("answer", "options", "text"),
    [
        ("abc", {}, f"agent 'sink' returned 'abc' (str) at now_ns=17; {anything}, or an iterable of those"),
        (
            5,
            {"emits": (Order, Intent)},
            "returned 5 (int) at now_ns=17; it may return None, Order, Intent, or an iterable",
        ),
        ({"a": 1}, {}, "returned {'a': 1} (dict) at now_ns=17"),
        ([signal(1), "x"], {}, "returned 'x' (str) at now_ns=17"),
        ([[signal(1)]], {}, "returned [Signal("),
        (b"abc", {}, "returned b'abc' (bytes) at now_ns=17"),
        (Quote(ts_ns=0, instrument=0, bid=1, ask=2), {"emits": (Signal,)}, "returned Quote("),
        (np.zeros(2), {}, "returned array([0., 0.]) (numpy.ndarray) at now_ns=17"),
        (np.zeros((2, 2), Bar.dtype), {}, "(numpy.ndarray) at now_ns=17"),
        (np.zeros(2, Bar.dtype), {"emits": (Signal,)}, "it may return None, Signal, or"),
        (np.zeros(2, Signal.dtype), {"emits": (Bar,), "on_wakeup": print}, "it may return None, Bar, Wakeup, or"),
        (Wakeup(20), {}, "agent 'sink' returned a Wakeup and has no on_wakeup; define on_wakeup(ctx)"),
        ("y" * 1000, {}, "returned '" + "y" * 199 + " (str)"),
    ],
)
def test_a_handler_that_returns_what_it_may_not(answer: Any, options: dict[str, Any], text: str) -> None:
    with pytest.raises(AgentError, match=re.escape(text)):
        run_one(answer, **options)


def test_an_object_without_a_text_is_refused_all_the_same() -> None:
    class Mute:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    with pytest.raises(AgentError, match=re.escape("agent 'sink' returned ? (Mute) at now_ns=17")):
        run_one(Mute())


def test_emits_allows_subclasses() -> None:
    run_one(signal(1), emits=(Record,))
    run_one(Intent(0, {}), emits=(object,))


def test_an_exception_names_the_agent_and_keeps_its_cause() -> None:
    def bad() -> None:
        raise ValueError("no price")

    with pytest.raises(AgentError, match="agent 'sink' failed at now_ns=17: ValueError: no price") as caught:
        run_one(bad)
    assert isinstance(caught.value.__cause__, ValueError)
    assert caught.value.__cause__.__traceback__ is not None
    assert "bad" in [frame.name for frame in traceback.extract_tb(caught.value.__cause__.__traceback__)]
    with pytest.raises(AgentError, match=r"agent 'sink' failed at now_ns=17: StopIteration$"):
        run_one(lambda: next(iter(())))


def test_an_exception_inside_a_generator_or_iterator_is_the_agents() -> None:
    def generator() -> Any:
        yield signal(1)
        raise ValueError("half way")

    class Iterator:
        def __iter__(self) -> Any:
            return generator()

    for answer in (generator, Iterator):
        with pytest.raises(AgentError, match="agent 'sink' failed at now_ns=17: ValueError: half way"):
            run_one(answer)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, MemoryError])
def test_what_is_nobodys_fault_passes_as_it_is(kind: type[BaseException]) -> None:
    def bad() -> None:
        raise kind("as it is")

    with pytest.raises(kind, match="as it is"):
        run_one(bad)


def test_a_failed_call_emits_nothing_and_the_run_can_go_on() -> None:
    kernel, calls = Kernel(), []
    source = kernel.add_node("source", None, rank=0)
    node = kernel.add_node("node", lambda m, ctx: [signal(1), "x"] if m.instrument == 1 else signal(2), rank=1)
    sink = kernel.add_node("sink", recorder(calls, kernel), rank=2)
    kernel.subscribe(node, source)
    kernel.subscribe(sink, node)
    kernel.add_feed(source, bars(3, 3, 3, 5), Bar)
    with pytest.raises(AgentError):
        kernel.run()
    assert kernel.inputs == () and kernel.origin is None and kernel.last_ids == ()
    assert kernel.run() == 2 + 3
    assert [(t, m.score, inputs) for t, m, inputs, _ in calls] == [(3, 2.0, (4,)), (3, 2.0, (5,)), (5, 2.0, (7,))]


def test_the_past_is_refused() -> None:
    with pytest.raises(ConfigError, match="agent 'sink' asked to be woken in the past: at_ns=16 is before now_ns=17"):
        run_one(Wakeup(16), on_wakeup=print)
    kernel, source, sink, _ = source_and_sink(on_wakeup=lambda ctx: None)
    kernel.post(source, signal(1), at_ns=9)
    kernel.run()
    with pytest.raises(ConfigError, match="a message cannot be posted into the past: at_ns=8 is before now_ns=9"):
        kernel.post(source, signal(1), at_ns=8)
    with pytest.raises(ConfigError, match="agent 'sink' asked to be woken in the past: at_ns=8 is before now_ns=9"):
        kernel.post(sink, Wakeup(8))
    kernel.post(source, signal(1), at_ns=9)
    assert kernel.run() == 1


def test_post_refuses() -> None:
    kernel, source, sink, _ = source_and_sink(on_wakeup=lambda ctx: None)
    for arguments, options, text in [
        ((source, signal(1)), {}, "a message posted before the run needs a time; give at_ns"),
        ((sink, Wakeup(5)), {"at_ns": 5}, "a Wakeup that is posted carries its own time; leave out at_ns"),
        ((source, np.zeros(0, Bar.dtype)), {"at_ns": 1}, "a batch that is posted must have rows, got none"),
        ((9, signal(1)), {"at_ns": 1}, "node must be what add_node returned, got 9; there are 2 nodes"),
        ((source, signal(1)), {"at_ns": 1.5}, "at_ns must be an integer from -2**63 to 2**63 - 1, got 1.5"),
        ((source, signal(1)), {"at_ns": 1, "causes": ["x"]}, "a cause must be an integer from 0 to 2**64 - 1, got 'x'"),
        ((source, signal(1)), {"at_ns": 1, "origin": -1}, "origin must be an integer from 0 to 2**64 - 1, got -1"),
        (
            (source, signal(1)),
            {"at_ns": 1, "causes": [1]},
            "a cause must be the id of an earlier message, got 1; the next id is 1",
        ),
        (
            (source, signal(1)),
            {"at_ns": 1, "causes": [0]},
            "a cause must be the id of an earlier message, got 0; the next id is 1",
        ),
        (
            (source, signal(1)),
            {"at_ns": 1, "origin": 5},
            "an origin must be the id of an earlier message, got 5; the next id is 1",
        ),
    ]:
        with pytest.raises(ConfigError, match=re.escape(text)):
            kernel.post(*arguments, **options)  # type: ignore[arg-type]
    with pytest.raises(AgentError, match=re.escape("agent 'source' returned [Signal(")):
        kernel.post(source, [signal(1)], at_ns=1)
    with pytest.raises(TypeError, match="causes must be an iterable of message ids"):
        kernel.post(source, signal(1), at_ns=1, causes=3)  # type: ignore[arg-type]
    assert kernel.run() == 0


def nothing(message: Any, ctx: Any) -> None:
    return None


@pytest.mark.parametrize(
    ("arguments", "options", "text"),
    [
        (("", nothing), {"rank": 0}, "a node's name must be a str that is not empty, got ''"),
        ((5, nothing), {"rank": 0}, "a node's name must be a str that is not empty, got 5"),
        (("taken", nothing), {"rank": 0}, "node names must be unique, got 'taken' twice"),
        (("n", 5), {"rank": 0}, "handler must be callable or None, got 5"),
        (("n", nothing), {"rank": -1}, "rank must be an integer from 0 to 2**32 - 1, got -1"),
        (("n", nothing), {"rank": 65535}, "rank must be an integer from 0 to 65534, got 65535"),
        (("n", nothing), {"rank": 0, "mode": "all"}, "mode must be 'each', 'slice' or 'join', got 'all'"),
        (("n", nothing), {"rank": 0, "context": 3}, "context must be a Context or None, got 3"),
        (("n", nothing), {"rank": 0, "latency": 0.5}, "latency must be an integer of ns or a LatencyModel, got 0.5"),
        (("n", nothing), {"rank": 0, "latency": -1}, "a latency must be from 0 to 2**60 ns, got -1"),
        (("n", nothing), {"rank": 0, "on_wakeup": 3}, "on_wakeup must be callable or None, got 3"),
        (
            ("n", nothing),
            {"rank": 0, "emits": [Bar]},
            "emits must be a tuple of one or more message types, or None for all",
        ),
        (
            ("n", nothing),
            {"rank": 0, "emits": ()},
            "emits must be a tuple of one or more message types, or None for all",
        ),
        (
            ("n", nothing),
            {"rank": 0, "emits": ("Bar",)},
            "emits must be a tuple of one or more message types, or None for all",
        ),
    ],
)
def test_add_node_refuses(arguments: tuple[Any, ...], options: dict[str, Any], text: str) -> None:
    kernel = Kernel()
    kernel.add_node("taken", None, rank=1)
    with pytest.raises(ConfigError, match=re.escape(text)):
        kernel.add_node(*arguments, **options)
    assert kernel.add_node("next", nothing, rank=65534) == 1


def test_subscribe_refuses() -> None:
    kernel = Kernel()
    low, high = (kernel.add_node(name, nothing, rank=rank) for name, rank in (("low", 1), ("high", 2)))
    mute = kernel.add_node("mute", None, rank=0)
    join = kernel.add_node("join", nothing, rank=2, mode="join")
    kernel.subscribe(high, low)
    for arguments, text in [
        ((high, 9), "source must be what add_node returned, got 9; there are 4 nodes"),
        (("x", low), "target must be an integer from 0 to 2**32 - 1, got 'x'"),
        ((mute, low), "node 'mute' has no handler and cannot subscribe; give add_node a handler"),
        ((high, low, (Bar,)), "'high' already subscribes to 'low'; name all types in one call"),
        (
            (join, high),
            "a join waits for lower ranks only: 'join' has rank 2 and 'high', which it subscribes to, has 2;",
        ),
        ((low, high, [Bar]), "types must be a tuple of one or more message types, or None for all, got ["),
    ]:
        with pytest.raises(ConfigError, match=re.escape(text)):
            kernel.subscribe(*arguments)  # type: ignore[arg-type]


def test_add_feed_refuses() -> None:
    kernel = Kernel()
    node = kernel.add_node("node", None, rank=0)
    rows = bars(1, 5, 3)
    for arguments, text in [
        ((7, bars(1), Bar), "node must be what add_node returned, got 7; there are 1 nodes"),
        ((node, rows, Bar), "a feed must be sorted by ts_ns: row 2 has 3 after 5; sort it with array[np"),
        ((node, bars(1), Trade), "a feed must be a one-dimensional array of Trade.dtype, got array("),
        ((node, bars(1).reshape(1, 1), Bar), "a feed must be a one-dimensional array of Bar.dtype, got array("),
        ((node, [1], Bar), "a feed must be a one-dimensional array of Bar.dtype, got [1]"),
        ((node, bars(1), int), "a feed's type must be a Record class, got <class 'int'>"),
        ((node, bars(1), 5), "a feed's type must be a Record class, got 5"),
        ((node, np.zeros(1, Wakeup.dtype), Wakeup), "a feed's Record needs a field ts_ns of i64"),
    ]:  # fmt: skip
        with pytest.raises(ConfigError, match=re.escape(text)):
            kernel.add_feed(*arguments)  # type: ignore[arg-type]
    assert kernel.run() == 0


def test_a_feed_that_is_changed_under_way_is_refused() -> None:
    rows = bars(1, 2, 3)
    kernel, source, _, _ = source_and_sink(lambda m, ctx: rows["ts_ns"].__setitem__(2, 0))
    kernel.add_feed(source, rows, Bar)
    with pytest.raises(
        ConfigError, match="the array of a feed was changed while it ran: row 2 has ts_ns=0 at now_ns=2"
    ):
        kernel.run()


def test_the_graph_is_closed_by_the_first_run() -> None:
    kernel, source, sink, _ = source_and_sink()
    kernel.run()
    for call, text in [
        (lambda: kernel.add_node("n", nothing, rank=0), "a node was added"),
        (lambda: kernel.subscribe(source, sink), "a subscription was added"),
        (lambda: kernel.add_feed(source, bars(1), Bar), "a feed was added"),
    ]:
        with pytest.raises(ConfigError, match=f"{text} after the first run: build the whole graph, then run it"):
            call()


def test_run_inside_run_is_refused() -> None:
    kernel = Kernel()
    source = kernel.add_node("source", None, rank=0)
    node = kernel.add_node("node", lambda m, ctx: kernel.run(), rank=1)
    kernel.subscribe(node, source)
    kernel.post(source, signal(1), at_ns=1)
    with pytest.raises(
        AgentError, match="run was called by a handler of the same kernel; use post, or return the messages"
    ):
        kernel.run()


def test_virtual_time_ends() -> None:
    kernel, source, _, _ = source_and_sink(lambda m, ctx: signal(1), latency=2)
    kernel.post(source, signal(1), at_ns=2**63 - 2)
    with pytest.raises(
        ConfigError,
        match=re.escape(
            "virtual time ends at 2**63 - 1 ns: agent 'sink' cannot send at now_ns=9223372036854775806 after 2"
        ),
    ):
        kernel.run()  # fmt: skip


def test_audit_must_be_a_writer() -> None:
    for wrong in (5, object()):
        with pytest.raises(ConfigError, match="audit must be an AuditWriter or None, got"):
            Kernel(wrong)
    with pytest.raises(ConfigError, match=re.escape("seed must be an integer from 0 to 2**64 - 1, got -1")):
        Kernel(seed=-1)
