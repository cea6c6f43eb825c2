"""End to end: what the kernel emits is on file, and a fill can be traced back to its bars."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastmas import audit
from fastmas._core.kernel import Kernel
from fastmas.errors import InvariantError
from fastmas.messages import Bar, Committed, Fill, Intent, Observation, Order, Signal

T, DAY, N = 886_453_200_000_000_000, 86_400 * 10**9, 5


def bars(days: int) -> np.ndarray[Any, np.dtype[np.void]]:
    rows = np.zeros(days * N, Bar.dtype)
    rows["ts_ns"] = T + np.repeat(np.arange(days), N) * DAY
    rows["instrument"] = np.tile(np.arange(N), days)
    rows["close"] = 1000 + np.arange(days * N)
    return rows


def build(writer: audit.AuditWriter, days: int = 3) -> Kernel:
    kernel = Kernel(audit=writer)

    def decide(messages: list[Any], _: Any) -> Intent:
        return Intent(kernel.now_ns, {k: 10 * k for k in range(N)})

    def commit(intent: Intent, _: Any) -> None:
        kernel.post(log, Committed(1, kernel.now_ns, intent), at_ns=kernel.now_ns + 5, causes=kernel.inputs)

    def act(committed: Committed, _: Any) -> Order:
        return Order(instrument=3, side=1, quantity=30, ts_ns=kernel.now_ns)

    def fill(order: Order, _: Any) -> None:
        report = Fill(
            execution_id=1, client_order_id=2, ts_ns=order.ts_ns + DAY, instrument=3, side=1, price=7, quantity=30
        )
        kernel.post(venue, report, at_ns=order.ts_ns + DAY, causes=kernel.inputs)

    feed = kernel.add_node("feed", None, rank=0)
    see = kernel.add_node(
        "see", lambda bar, _: Observation(bar.instrument, bar.ts_ns, {"mid": float(bar.close)}), rank=1
    )
    reason = kernel.add_node("reason", lambda seen, _: Signal(seen.instrument, seen.ts_ns, 0.5), rank=2)
    decision = kernel.add_node("decide", decide, rank=3, mode="join")
    log = kernel.add_node("log", commit, rank=4)
    action = kernel.add_node("act", act, rank=5)
    venue = kernel.add_node("venue", fill, rank=6)
    end = kernel.add_node("end", lambda message, _: None, rank=7)
    for target, source in (
        (see, feed),
        (reason, see),
        (decision, reason),
        (log, decision),
        (action, log),
        (venue, action),
        (end, venue),
    ):
        kernel.subscribe(target, source)
    kernel.add_feed(feed, bars(days), Bar)
    return kernel


def test_a_fill_of_the_kernel_is_traced_back_to_its_bars(tmp_path: Path) -> None:
    path = tmp_path / "run.audit"
    with audit.AuditWriter(path, seed=7) as writer:
        build(writer).run()
    assert audit.verify(path, writer.head).ok
    with audit.read(path) as file:
        names = [record.type_name for record in file.records() if record.id]
        assert {name: names.count(name) for name in dict.fromkeys(names)} == {
            "Bar": 3, "Observation": 15, "Signal": 15, "Intent": 3, "Committed": 3, "Order": 3, "Fill": 3,
        }  # fmt: skip
        fill = next(file.records(type="Fill"))
        node, kinds = audit.explain(file, fill.id).root, []
        while node.children:
            kinds.append(node.type_name)
            node = node.children[0]
        assert [*kinds, node.type_name] == ["Fill", "Order", "Committed", "Intent", "Signal", "Observation", "Bar"]
        assert node.rows == {3: {**node.rows[3], "ts_ns": T, "instrument": 3, "close": 1003}}


def test_equal_runs_of_the_kernel_have_equal_files(tmp_path: Path) -> None:
    for name in "ab":
        with audit.AuditWriter(tmp_path / name, seed=7) as writer:
            build(writer).run()
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with audit.AuditWriter(tmp_path / "c", seed=7) as writer:
        build(writer, days=4).run()
    found = audit.diff(tmp_path / "a", tmp_path / "c")
    assert found is not None and found.second is not None and found.second.ts_ns >= T + 2 * DAY


def test_a_kernel_does_not_go_on_without_its_audit(tmp_path: Path) -> None:
    writer = audit.AuditWriter(tmp_path / "a")
    kernel = build(writer)
    kernel.run(until_ns=T + DAY)  # every type has been registered by then
    writer.close()
    with pytest.raises(InvariantError, match="is closed; append before close"):
        kernel.run()
    assert audit.verify(tmp_path / "a").ok


@pytest.mark.measures
def test_the_kernel_records_at_least_half_a_million_messages_a_second(tmp_path: Path) -> None:
    """The target is a million; a busy machine gets a margin."""
    rows = np.zeros(200_000, Bar.dtype)
    rows["ts_ns"] = np.arange(len(rows))
    seconds = []
    for attempt in range(3):
        with audit.AuditWriter(tmp_path / str(attempt)) as writer:
            kernel = Kernel(audit=writer)
            feed = kernel.add_node("feed", None, rank=0)
            kernel.subscribe(kernel.add_node("sink", lambda bar, _: None, rank=1), feed)
            kernel.add_feed(feed, rows, Bar)
            start = time.process_time()
            kernel.run()
            seconds.append(time.process_time() - start)
        assert writer.records == len(rows) + 1
    print(f"{len(rows) / min(seconds) / 1e6:.2f} M messages/s with audit")
    assert len(rows) / min(seconds) > 500_000
