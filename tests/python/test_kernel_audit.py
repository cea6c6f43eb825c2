"""What the kernel emits stands in the audit, once, with its causes; and equal runs give equal heads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastmas._core.kernel import Committed, Intent, Kernel, LatencyModel, Observation
from fastmas.audit import AuditWriter, read, verify
from fastmas.errors import AgentError, InvariantError
from fastmas.messages import Bar, Quote, Signal, Wakeup

SCHEMA = 1


def quotes(*ts_ns: int) -> np.ndarray:
    rows = np.frombuffer(b"\xff" * len(ts_ns) * Quote.dtype.itemsize, Quote.dtype).copy()  # dirt where padding is
    rows["ts_ns"], rows["instrument"], rows["bid"], rows["ask"] = ts_ns, range(len(ts_ns)), 99, 101
    rows["bid_size"] = rows["ask_size"] = 0
    return rows


def pipeline(writer: AuditWriter | None) -> Kernel:
    """Quotes, an observation and a signal batch of each, an intent of all, and a committed posted by its handler."""
    kernel = Kernel(writer, seed=7)
    feed = kernel.add_node("feed", None, rank=0)

    def signals(quote: Quote, ctx: Any) -> Any:
        rows = np.frombuffer(b"\xff" * 2 * Signal.dtype.itemsize, Signal.dtype).copy()
        rows["instrument"], rows["ts_ns"], rows["score"], rows["source"] = quote.instrument, ctx.now_ns, [1, 2], 0
        return rows

    def decide(messages: list[Any], ctx: Any) -> Any:
        kernel.post(log, Committed(1, ctx.now_ns, Intent(0, {})), at_ns=ctx.now_ns + 9, causes=kernel.inputs[:1])
        return [Intent(ctx.now_ns, {1: len(messages)}), Wakeup(ctx.now_ns + 1)]

    see = kernel.add_node("see", lambda q, ctx: Observation(q.instrument, ctx.now_ns, {"mid": 1.0}), rank=1)
    score = kernel.add_node("score", signals, rank=1, latency=LatencyModel.uniform(1, 9))
    decision = kernel.add_node("decide", decide, rank=2, mode="join", on_wakeup=lambda ctx: None)
    log = kernel.add_node("log", None, rank=3)
    for target, source in ((see, feed), (score, feed), (decision, see), (decision, score)):
        kernel.subscribe(target, source)
    kernel.add_feed(feed, quotes(10, 10, 20), Quote)
    return kernel


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Any]:
    with AuditWriter(tmp_path / "run.audit", seed=7) as writer:
        pipeline(writer).run()
    yield read(tmp_path / "run.audit")


def test_every_emission_stands_in_the_audit_once(run: Any, tmp_path: Path) -> None:
    records = [record for record in run.records() if record.type != SCHEMA]
    rows = [(r.id, r.ts_ns, r.count, tuple(r.causes)) for r in records]
    first, second = (
        LatencyModel.uniform(1, 9).samples(3, seed=7, name="score")[:2],
        LatencyModel.uniform(1, 9).samples(3, seed=7, name="score")[2],
    )
    join = 10 + max(first)
    assert rows == [
        (1, 10, 2, ()),
        (3, 10, 1, (1,)),
        (4, 10, 1, (2,)),
        (5, 10 + first[0], 2, (1,)),
        (7, 10 + first[1], 2, (2,)),
        (9, join + 9, 1, (5,)),
        (10, join, 1, (5, 7, 3, 4)),
        (11, join, 1, (5, 7, 3, 4)),
        (12, 20, 1, ()),
        (13, 20, 1, (12,)),
        (14, 20 + second, 2, (12,)),
        (16, 20 + second + 9, 1, (14,)),
        (17, 20 + second, 1, (14, 13)),
        (18, 20 + second, 1, (14, 13)),
    ]
    assert verify(tmp_path / "run.audit").records == len(list(run.records()))


def test_payloads_are_the_messages_bytes_with_clean_padding(run: Any) -> None:
    by_id = {record.id: record for record in run.records() if record.type != SCHEMA}
    expected = [Quote(ts_ns=10, instrument=i, bid=99, ask=101) for i in (0, 1)]
    assert bytes(by_id[1].payload) == b"".join(map(bytes, expected))
    assert bytes(by_id[3].payload) == Observation(0, 10, {"mid": 1.0}).to_bytes()
    assert bytes(by_id[5].payload) == b"".join(bytes(Signal(instrument=0, ts_ns=10, score=score)) for score in (1, 2))
    assert bytes(by_id[10].payload) == Intent(by_id[10].ts_ns, {1: 4}).to_bytes()
    assert bytes(by_id[9].payload) == Committed(1, by_id[9].ts_ns - 9, Intent(0, {})).to_bytes()
    assert bytes(by_id[11].payload) == bytes(Wakeup(at_ns=by_id[11].ts_ns + 1))


def test_equal_runs_have_equal_heads_and_another_price_another(tmp_path: Path) -> None:
    def head(name: str, change: int = 0) -> bytes:
        writer = AuditWriter(tmp_path / name, seed=7)
        kernel = Kernel(writer, seed=7)
        feed = kernel.add_node("feed", None, rank=0)
        echo = kernel.add_node("echo", lambda m, ctx: Signal(instrument=1, ts_ns=0, score=m.bid), rank=1)
        kernel.subscribe(echo, feed)
        rows = quotes(1, 2, 3)
        rows["bid"][2] += change
        kernel.add_feed(feed, rows, Quote)
        kernel.run()
        return writer.close()

    assert head("one") == head("two") != head("three", change=1)


def test_what_is_posted_before_the_run_is_audited_too(tmp_path: Path) -> None:
    with AuditWriter(tmp_path / "run.audit", seed=7) as writer:
        kernel = Kernel(writer)
        node = kernel.add_node("node", None, rank=0)
        kernel.post(node, Bar(ts_ns=4, instrument=1), at_ns=4)
        kernel.post(node, Bar(ts_ns=5, instrument=1), at_ns=5, causes=(1,))
        kernel.run()
    record = read(tmp_path / "run.audit").record(2)
    assert (record.ts_ns, record.count, tuple(record.causes)) == (5, 1, (1,))


def test_a_sink_that_takes_no_more_stops_the_run(tmp_path: Path) -> None:
    writer = AuditWriter(tmp_path / "run.audit", seed=7)
    kernel = pipeline(writer)
    kernel.run(until_ns=10)
    writer.close()
    with pytest.raises((InvariantError, AgentError), match="closed"):
        kernel.run()
    assert kernel.inputs == () and kernel.origin is None


def test_the_kernel_keeps_its_sink(tmp_path: Path) -> None:
    """The writer's owner may let go of it while the kernel still appends."""
    kernel = pipeline(AuditWriter(tmp_path / "run.audit", seed=7))
    kernel.run()
    del kernel
