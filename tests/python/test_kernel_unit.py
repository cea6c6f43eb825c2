"""The kernel: who is called with what, when, in which order, and what it refuses."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fastmas._core.kernel import Committed, Context, Intent, Kernel, LatencyModel, Observation
from fastmas.errors import ConfigError
from fastmas.messages import Bar, Signal, Trade, Wakeup
from fastmas.records import Record, i64

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


def test_a_feed_reaches_each_row_by_row() -> None:
    kernel, source, _, calls = source_and_sink()
    kernel.add_feed(source, bars(5, 5, 8), Bar)
    assert kernel.run() == 3
    assert [(t, m.instrument, type(m), inputs, origin) for t, m, inputs, origin in calls] == [
        (5, 0, Bar, (1,), 1),
        (5, 1, Bar, (2,), 1),
        (8, 2, Bar, (3,), 3),
    ]
    assert kernel.now_ns == 8 and kernel.inputs == () and kernel.origin is None
    assert kernel.run() == 0


def test_a_feed_reaches_slice_as_one_read_only_array() -> None:
    rows = bars(5, 5, 8)
    kernel, source, _, calls = source_and_sink(mode="slice")
    kernel.add_feed(source, rows, Bar)
    assert kernel.run() == 2
    first, second = (call[1] for call in calls)
    assert first.dtype == Bar.dtype and np.array_equal(first, rows[:2]) and np.array_equal(second, rows[2:])
    with pytest.raises(ValueError, match="read-only"):
        first["close"] = 1
    assert np.shares_memory(first, rows), "a slice of a feed is a view"
    assert [(call[2], call[3]) for call in calls] == [((1,), 1), ((3,), 3)]
    del kernel, rows, calls
    assert first["ts_ns"].tolist() == [5, 5], "the view keeps the feed's memory"


def test_slice_gets_a_lone_record_as_an_array_of_one_row_and_other_messages_as_they_are() -> None:
    kernel, source, _, calls = source_and_sink(mode="slice")
    bar, observation = Bar(ts_ns=1, instrument=7, close=3), Observation(1, 2, {"a": 1.0})
    kernel.post(source, bar, at_ns=1)
    kernel.post(source, observation, at_ns=2)
    kernel.run()
    assert calls[0][1].shape == (1,) and calls[0][1].tobytes() == bytes(bar) and not calls[0][1].flags.writeable
    assert calls[1][1] is observation


def test_join_gets_everything_of_an_instant_once_ordered_by_name() -> None:
    kernel, calls = Kernel(), []
    feed = kernel.add_node("feed", None, rank=0)
    slow = kernel.add_node("slow", lambda bar, ctx: signal(bar.instrument), rank=1, latency=7)
    fast = kernel.add_node("fast", lambda batch, ctx: [signal(-len(batch)), signal(-9)], rank=1, mode="slice")
    join = kernel.add_node("join", recorder(calls, kernel), rank=2, mode="join")
    for node in (slow, fast):
        kernel.subscribe(node, feed)
        kernel.subscribe(join, node)
    kernel.subscribe(join, feed)
    kernel.add_feed(feed, bars(1, 1, 4), Bar)
    assert kernel.run() == 3 + 2 + 2
    assert [(t, origin) for t, _, _, origin in calls] == [(8, 1), (11, 7)]
    first = calls[0][1]
    assert [m.score for m in first[:2] + first[3:]] == [-2, -9, 0, 1] and first[2].shape == (2,)
    assert kernel.now_ns == 11 and calls[0][2] == (5, 6, 1, 3, 4)


def test_a_join_is_called_when_the_last_path_falls_silent() -> None:
    """The slow path sends nothing: the join must not wait for ever, nor go before it is known."""
    kernel, calls = Kernel(), []
    feed = kernel.add_node("feed", None, rank=0)
    relay = kernel.add_node("relay", lambda m, ctx: signal(1), rank=1, latency=10)
    silent = kernel.add_node("silent", lambda m, ctx: None, rank=2)
    join = kernel.add_node("join", recorder(calls, kernel), rank=3, mode="join")
    kernel.subscribe(relay, feed)
    kernel.subscribe(silent, relay)
    kernel.subscribe(join, silent)
    kernel.subscribe(join, feed)
    kernel.add_feed(feed, bars(1, 2), Bar)
    kernel.run()
    assert [(t, len(m), origin) for t, m, _, origin in calls] == [(11, 1, 1), (12, 1, 3)]


def test_joins_wait_for_joins_below_them() -> None:
    kernel, calls = Kernel(), []
    feed = kernel.add_node("feed", None, rank=0)
    work = kernel.add_node("work", lambda m, ctx: signal(1), rank=1, latency=3)
    lower = kernel.add_node("lower", lambda m, ctx: signal(2), rank=2, mode="join", latency=4)
    upper = kernel.add_node("upper", recorder(calls, kernel), rank=3, mode="join")
    kernel.subscribe(work, feed)
    kernel.subscribe(lower, work)
    kernel.subscribe(upper, lower)
    kernel.subscribe(upper, feed)
    kernel.add_feed(feed, bars(1, 2), Bar)
    kernel.run()
    assert [(t, len(m)) for t, m, _, _ in calls] == [(8, 2), (9, 2)]


def test_a_post_to_an_origin_holds_its_join_up() -> None:
    """What a peer posts after the join was complete and before its turn still belongs to it."""
    kernel, calls = Kernel(), []
    feed = kernel.add_node("feed", None, rank=0)
    relay = kernel.add_node("relay", lambda m, ctx: m if m.ts_ns == 5 else None, rank=1)
    join = kernel.add_node("join", recorder(calls, kernel), rank=9, mode="join")

    def late(message: Any, ctx: Context) -> None:
        kernel.post(relay, Bar(ts_ns=6, instrument=0), at_ns=20, causes=kernel.inputs, origin=kernel.origin)

    other = kernel.add_node("other", late, rank=9)
    for source in (relay, feed):
        kernel.subscribe(join, source)
    kernel.subscribe(other, feed)
    kernel.add_feed(feed, bars(5), Bar)
    kernel.run()
    assert [(t, len(m)) for t, m, _, _ in calls] == [(20, 2)]


def test_lower_ranks_settle_first_then_the_sequence_decides() -> None:
    kernel, order = Kernel(), []
    feed = kernel.add_node("feed", None, rank=0)
    for name, rank in [("late", 7), ("b", 3), ("a", 3), ("early", 1)]:
        node = kernel.add_node(name, lambda m, ctx, name=name: order.append((name, m.instrument)), rank=rank)
        kernel.subscribe(node, feed)
    kernel.add_feed(feed, bars(1, 1), Bar)
    kernel.run()
    assert order == [(name, row) for name in ("early", "b", "a", "late") for row in (0, 1)]


def test_what_a_row_causes_below_goes_before_the_next_row() -> None:
    kernel, order = Kernel(), []
    feed = kernel.add_node("feed", None, rank=0)

    def upper(bar: Bar, ctx: Context) -> Signal:
        order.append(("upper", bar.instrument))
        return signal(bar.instrument)

    up = kernel.add_node("up", upper, rank=5)
    low = kernel.add_node("low", lambda m, ctx: order.append(("low", m.score)), rank=1)
    kernel.subscribe(up, feed)
    kernel.subscribe(low, up)
    kernel.add_feed(feed, bars(1, 1), Bar)
    kernel.run()
    assert order == [("upper", 0), ("low", 0.0), ("upper", 1), ("low", 1.0)]


def test_feeds_merge_by_time_then_by_the_order_they_were_added() -> None:
    kernel, calls = Kernel(), []
    nodes = [kernel.add_node(name, None, rank=0) for name in ("one", "two")]
    sink = kernel.add_node("sink", recorder(calls, kernel), rank=1, mode="slice")
    for node in nodes:
        kernel.subscribe(sink, node)
    kernel.add_feed(nodes[1], bars(1, 3), Bar)
    trades = np.zeros(3, Trade.dtype)
    trades["ts_ns"] = [-4, 1, 2]
    kernel.add_feed(nodes[0], trades, Trade)
    kernel.run()
    assert [(t, call.dtype == Bar.dtype) for t, call, _, _ in calls] == [
        (-4, False), (1, True), (1, False), (2, False), (3, True)
    ]  # fmt: skip


def test_a_strided_feed_is_copied_and_an_empty_one_is_silent() -> None:
    kernel, source, _, calls = source_and_sink()
    kernel.add_feed(source, bars(1, 2, 3, 4)[::2], Bar)
    kernel.add_feed(source, bars(), Bar)
    kernel.run()
    assert [call[0] for call in calls] == [1, 3]


def test_types_filter_what_passes() -> None:
    class Odd(Record):
        ts_ns: i64

    kernel, calls = Kernel(), []
    source = kernel.add_node("source", None, rank=0)
    for name, types in [("bars", (Bar,)), ("both", (Bar, Intent)), ("records", (Record,)), ("all", None)]:
        node = kernel.add_node(name, lambda m, ctx, name=name: calls.append((name, type(m))), rank=1)
        kernel.subscribe(node, source, types)
    for message in (Bar(ts_ns=0, instrument=0), Intent(0, {}), Odd(ts_ns=1)):
        kernel.post(source, message, at_ns=0)
    kernel.run()
    assert calls == [
        ("bars", Bar), ("both", Bar), ("records", Bar), ("all", Bar),
        ("both", Intent), ("all", Intent), ("records", Odd), ("all", Odd),
    ]  # fmt: skip


def test_returns_of_every_kind_are_emitted_with_ids_in_order() -> None:
    batch = np.zeros(3, Signal.dtype)
    answers = {
        0: None,
        1: signal(1),
        2: [signal(2), None, Intent(0, {}), batch],
        3: (s for s in (signal(3), signal(4))),
        4: batch,
        5: np.zeros(0, Signal.dtype),
        6: [],
        7: Committed(1, 2, Intent(0, {})),
    }
    seen: list[tuple[int, tuple[int, ...]]] = []
    kernel = Kernel()
    source = kernel.add_node("source", None, rank=0)

    def answer(bar: Bar, ctx: Context) -> Any:
        seen.append((bar.instrument, kernel.last_ids))
        return answers[bar.instrument]

    node = kernel.add_node("node", answer, rank=1)
    kernel.subscribe(node, source)
    kernel.add_feed(source, bars(*range(8)), Bar)
    kernel.run()
    assert [ids for _, ids in seen] == [(), (), (3,), (5, 6, 7), (11, 12), (14,), (), ()]
    assert kernel.last_ids == (20,)
    stats = kernel.stats()["node"]
    assert (stats["calls"], stats["received"], stats["emitted"]) == (8, 8, 1 + 5 + 2 + 3 + 1)


def test_ids_of_a_batch_are_consecutive_and_its_rows_have_their_own() -> None:
    kernel, calls = Kernel(), []
    source = kernel.add_node("source", None, rank=0)
    sink = kernel.add_node("sink", recorder(calls, kernel), rank=1)
    kernel.subscribe(sink, source)
    assert kernel.post(source, np.zeros(3, Signal.dtype), at_ns=0) == 1
    assert kernel.post(source, signal(0), at_ns=0) == 4
    kernel.run()
    assert [(c[2], c[3]) for c in calls] == [((1,), 1), ((2,), 1), ((3,), 1), ((4,), 4)]


def test_a_returned_array_is_not_changed_by_the_next_call() -> None:
    scratch = np.zeros(1, Signal.dtype)

    def reuse(bar: Bar, ctx: Context) -> Any:
        scratch["score"] = bar.instrument
        return scratch if bar.instrument % 2 else [scratch]

    kernel, seen = Kernel(), []
    source = kernel.add_node("source", None, rank=0)
    node = kernel.add_node("node", reuse, rank=1, latency=10)
    sink = kernel.add_node("sink", lambda m, ctx: seen.append(m["score"][0]), rank=2, mode="slice")
    kernel.subscribe(node, source)
    kernel.subscribe(sink, node)
    kernel.add_feed(source, bars(0, 1, 2, 3), Bar)
    kernel.run()
    assert seen == [0, 1, 2, 3] and scratch.flags.writeable


@pytest.mark.parametrize("kind", ["view", "list"])
def test_an_array_that_somebody_else_can_write_is_copied(kind: str) -> None:
    memory = np.zeros(2, Signal.dtype)
    holder = [np.zeros(2, Signal.dtype)]
    kernel, seen = Kernel(), []
    source = kernel.add_node("source", None, rank=0)
    node = kernel.add_node("node", lambda m, ctx: memory[:] if kind == "view" else holder, rank=1, latency=5)
    change = kernel.add_node(
        "change", lambda m, ctx: (memory if kind == "view" else holder[0]).__setitem__("score", 9), rank=2
    )
    sink = kernel.add_node("sink", lambda m, ctx: seen.append(m["score"].tolist()), rank=3, mode="slice")
    for target, origin in ((node, source), (change, source), (sink, node)):
        kernel.subscribe(target, origin)
    kernel.post(source, signal(0), at_ns=0)
    kernel.run()
    assert seen == [[0.0, 0.0]]


def test_latency_delays_and_is_drawn_once_a_call() -> None:
    model = LatencyModel.uniform(10, 1_000_000)
    kernel, calls = Kernel(seed=5), []
    source = kernel.add_node("source", None, rank=0)
    node = kernel.add_node("node", lambda m, ctx: [signal(1), signal(2)], rank=1, latency=model)
    sink = kernel.add_node("sink", recorder(calls, kernel), rank=2)
    kernel.subscribe(node, source)
    kernel.subscribe(sink, node)
    kernel.add_feed(source, bars(0, 2_000_000), Bar)
    kernel.run()
    drawn = model.samples(2, seed=5, name="node")
    assert [call[0] for call in calls] == [drawn[0], drawn[0], 2_000_000 + drawn[1], 2_000_000 + drawn[1]]


def test_a_wakeup_calls_on_wakeup_at_its_time_with_an_origin_of_its_own() -> None:
    kernel, calls = Kernel(), []

    def on_wakeup(ctx: Context) -> Any:
        calls.append((ctx.now_ns, kernel.inputs, kernel.origin))
        return signal(1) if len(calls) > 1 else Wakeup(ctx.now_ns + 5)

    source = kernel.add_node("source", None, rank=0)
    node = kernel.add_node("node", lambda m, ctx: [Wakeup(9), signal(0)], rank=1, latency=100, on_wakeup=on_wakeup)
    sink = kernel.add_node("sink", lambda m, ctx: calls.append((ctx.now_ns, kernel.inputs, kernel.origin)), rank=2)
    kernel.subscribe(node, source)
    kernel.subscribe(sink, node)
    kernel.add_feed(source, bars(3), Bar)
    assert kernel.run() == 5
    # ids: 1 the bar, 2 the wakeup, 3 a signal, 4 the second wakeup, 5 its signal
    assert calls == [(9, (2,), 2), (14, (4,), 4), (103, (3,), 1), (114, (5,), 4)]


def test_post_acts_as_if_the_node_had_emitted() -> None:
    kernel, source, sink, calls = source_and_sink(latency=1000, on_wakeup=lambda ctx: None)
    assert kernel.post(source, signal(1), at_ns=7) == 1
    assert kernel.post(source, signal(2), at_ns=7, causes=[1], origin=1) == 2
    assert kernel.post(sink, Wakeup(3)) == 3
    assert kernel.run(until_ns=6) == 1 and kernel.now_ns == 3
    assert kernel.run() == 2
    assert [(t, m.score, inputs, origin) for t, m, inputs, origin in calls] == [(7, 1.0, (1,), 1), (7, 2.0, (2,), 1)]
    kernel.post(source, signal(3))
    assert kernel.run() == 1 and calls[-1][0] == 7


def test_until_is_inclusive_and_the_run_goes_on_where_it_was() -> None:
    kernel, source, _, calls = source_and_sink()
    kernel.add_feed(source, bars(1, 2, 3), Bar)
    assert kernel.run(until_ns=0) == 0 and kernel.now_ns == 0
    assert kernel.run(until_ns=2) == 2 and kernel.now_ns == 2
    assert kernel.run(2) == 0
    assert kernel.run(None) == 1 and len(calls) == 3


def test_context_is_given_derived_and_read_only() -> None:
    class Mine(Context):
        def __init__(self, extra: str) -> None:
            self.extra = extra

    mine, seen = Mine("more"), []
    kernel = Kernel()
    source = kernel.add_node("source", None, rank=0)
    node = kernel.add_node(
        "node", lambda m, ctx: seen.append((ctx is mine, ctx.extra, ctx.now_ns)), rank=1, context=mine
    )
    kernel.subscribe(node, source)
    kernel.add_feed(source, bars(4), Bar)
    kernel.run()
    assert seen == [(True, "more", 4)] and mine.now_ns == 4
    with pytest.raises(AttributeError):
        mine.now_ns = 5  # type: ignore[misc]
    assert Context().now_ns == 0 and Context(now_ns=-3).now_ns == -3
    with pytest.raises(ConfigError, match=re.escape("now_ns must be an integer from -2**63 to 2**63 - 1, got 'x'")):
        Context("x")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"Context\(\) takes at most 1 positional arguments, got 2"):
        Context(1, 2)  # type: ignore[call-arg]


def test_stats_count_and_time() -> None:
    kernel, source, _, _ = source_and_sink(lambda m, ctx: sum(range(20_000)) and None)
    kernel.add_feed(source, bars(*range(100)), Bar)
    kernel.run()
    stats = kernel.stats()
    assert list(stats) == ["source", "sink"]
    assert stats["source"]["calls"] == 0 and stats["source"]["emitted"] == 100 and stats["source"]["p50_ns"] == 0.0
    sink = stats["sink"]
    assert (sink["calls"], sink["received"], sink["emitted"]) == (100, 100, 0)
    assert 10_000 < sink["p50_ns"] <= sink["p99_ns"] <= sink["p999_ns"] <= sink["max_ns"] <= sink["total_ns"]


def test_a_generators_work_is_the_handlers() -> None:
    def slow(message: Any, ctx: Context) -> Any:
        if sum(range(200_000)):
            yield signal(ctx.now_ns)

    kernel, source, _, _ = source_and_sink(slow)
    kernel.add_feed(source, bars(*range(10)), Bar)
    kernel.run()
    assert kernel.stats()["sink"]["p50_ns"] > 100_000


@pytest.mark.parametrize("mode", ["slice", "join"])
def test_a_batch_is_no_way_to_the_rest_of_its_feed(mode):
    rows = np.zeros(6, Bar.dtype)
    rows["ts_ns"] = [1, 1, 2, 2, 3, 3]
    rows["close"] = range(6)
    seen = []

    def look(message, ctx):
        batch = message[0] if isinstance(message, list) else message
        seen.append(batch["close"].tolist())
        assert not isinstance(batch.base, np.ndarray)
        assert not batch.flags.writeable
        with pytest.raises(ValueError, match="cannot set WRITEABLE flag to True"):
            batch.flags.writeable = True

    kernel = Kernel()
    feed = kernel.add_node("feed", None, rank=0)
    eye = kernel.add_node("eye", look, rank=1, mode=mode)
    kernel.subscribe(eye, feed)
    kernel.add_feed(feed, rows, Bar)
    kernel.run()
    assert seen == [[0, 1], [2, 3], [4, 5]]
