"""BarVenue against what must hold of every run, and against a slow, obvious model of close-only fills."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from venue_tools import ABC, DEF, to_array

from fastmas.market.venue import BarVenue
from fastmas.messages import (
    BUY,
    SELL,
    Bar,
    BarFlag,
    Cancel,
    Fill,
    Order,
    OrderKind,
    OrderStatus,
    OrderUpdate,
    Replace,
)

STEP = 100  # between sessions


@dataclass
class Script:
    """A run: for each session its bars, and the messages that are decided after it."""

    latency: int
    cap: float | None
    session: int | None
    sessions: list[tuple[int, NDArray[Any], list[Any]]] = field(default_factory=list)


@st.composite
def bars_at(draw: Any, ts_ns: int, with_volume: bool) -> NDArray[Any]:
    rows = []
    for instrument in (1, 2):
        if draw(st.integers(0, 9)) == 0:
            continue
        prices = sorted(draw(st.lists(st.integers(90, 110), min_size=4, max_size=4)))
        low, a, b, high = prices
        open_, close = draw(st.permutations([a, b]))
        flags = draw(st.sampled_from([0, BarFlag.HAS_OHLC, BarFlag.HAS_OHLC, BarFlag.STALE]))
        if with_volume:
            flags |= BarFlag.HAS_VOLUME
        values = (open_, high, low) if flags & BarFlag.HAS_OHLC else (0, 0, 0)
        rows.append(Bar(ts_ns, instrument, flags, *values, close, draw(st.integers(0, 200)) if with_volume else 0))
    return to_array(rows)


@st.composite
def scripts(draw: Any) -> Script:
    cap = draw(st.sampled_from([None, 0.05, 0.3, 1.0]))
    script = Script(draw(st.sampled_from([0, 1, 30, 150, 250])), cap, draw(st.sampled_from([None, 40, 100])))
    number = 0
    for session in range(1, draw(st.integers(2, 8))):
        now = session * STEP
        messages: list[Any] = []
        for _ in range(draw(st.integers(0, 4))):
            number += 1
            decided = now - draw(st.sampled_from([0, 0, 0, 7]))
            side = draw(st.sampled_from([BUY, SELL]))
            kind = draw(st.sampled_from([OrderKind.MARKET, OrderKind.LIMIT]))
            price = draw(st.integers(88, 112)) if kind == OrderKind.LIMIT else 0
            until = draw(st.sampled_from([0, 0, decided + 260]))
            instrument, quantity = draw(st.integers(1, 2)), draw(st.integers(1, 50))
            messages.append(Order(instrument, side, quantity, kind, price, number, decided, until))
        for _ in range(draw(st.integers(0, 2))):
            key = draw(st.integers(1, max(number, 1)))
            if draw(st.booleans()):
                messages.append(Cancel(key, now))
            else:
                messages.append(Replace(key, draw(st.integers(1, 60)), draw(st.sampled_from([0, 0, 95, 105])), now))
        script.sessions.append((now, draw(bars_at(now, cap is not None)), messages))
    return script


def play(script: Script, *, repeat: bool = False) -> tuple[BarVenue, list[tuple[int, Any]]]:
    """Run a script; every report with the time at which it was returned. `repeat` sends each message twice."""
    venue = BarVenue(
        [ABC, DEF],
        fee_bps=5,
        slippage_bps=3,
        volume_cap=script.cap,
        latency_ns=script.latency,
        session_ns=script.session,
    )
    reports: list[tuple[int, Any]] = []
    for now, bars, messages in script.sessions:
        reports += [(now, report) for report in venue.on_bars(bars, now)]
        for message in messages:
            verb = {Order: venue.submit, Cancel: venue.cancel, Replace: venue.replace}[type(message)]
            reports += [(now, report) for report in verb(message, now)]
            if repeat:
                (again,) = verb(message, now + 3)
                assert again.status == OrderStatus.REJECTED
    return venue, reports


@given(scripts())
@settings(max_examples=250, deadline=None, derandomize=True)
def test_what_holds_of_every_run(script: Script) -> None:
    venue, reports = play(script)
    orders = {one.client_order_id: one for _, _, messages in script.sessions for one in messages if type(one) is Order}
    bars = {(int(row["ts_ns"]), int(row["instrument"])): row for _, array, _ in script.sessions for row in array}
    filled: dict[int, int] = defaultdict(int)
    traded: dict[tuple[int, int], int] = defaultdict(int)
    total = {key: order.quantity for key, order in orders.items()}
    limits = {key: {order.limit_price} for key, order in orders.items()}
    replaces: dict[int, list[Replace]] = defaultdict(list)
    for _, _, messages in script.sessions:
        for one in messages:
            if type(one) is Replace:
                replaces[one.client_order_id].append(one)
                limits.setdefault(one.client_order_id, set()).update({one.limit_price} - {0})
    ended: set[int] = set()
    seen: list[int] = []
    for now, report in reports:
        key = report.client_order_id
        if isinstance(report, OrderUpdate):
            if report.status in (OrderStatus.CANCELLED, OrderStatus.EXPIRED):
                assert key not in ended
                ended.add(key)
            elif report.status == OrderStatus.REPLACED:
                decided = report.ts_ns - script.latency
                total[key] = max(one.quantity for one in replaces[key] if one.ts_ns == decided)
            continue
        assert isinstance(report, Fill)
        order, bar = orders[key], bars[report.ts_ns, report.instrument]
        seen.append(report.execution_id)
        assert key not in ended, "nothing fills after its end"
        assert report.ts_ns == now and report.ts_ns > order.ts_ns + script.latency, "never before decision and latency"
        assert not int(bar["flags"]) & BarFlag.STALE
        assert (report.side, report.instrument) == (order.side, order.instrument)
        assert not order.valid_until_ns or report.ts_ns <= order.valid_until_ns
        low, high = (bar["low"], bar["high"]) if int(bar["flags"]) & BarFlag.HAS_OHLC else (bar["close"], bar["close"])
        assert low <= report.price <= high, "the market was there"
        if order.kind == OrderKind.LIMIT:
            worst = max(limits[key]) if order.side == BUY else min(limits[key])
            assert report.price <= worst if order.side == BUY else report.price >= worst, "never beyond the limit"
            assert report.slippage == 0
        assert report.quantity > 0
        filled[key] += report.quantity
        traded[report.ts_ns, report.instrument] += report.quantity
    assert seen == list(range(1, len(seen) + 1)), "each execution once, in order"
    assert venue.executions() == [report for _, report in reports if isinstance(report, Fill)]
    resting = {one.order.client_order_id: one for one in venue.open_orders()}
    for key, quantity in filled.items():
        assert quantity <= max(total[key], orders[key].quantity)
        if key not in resting and key not in ended:
            assert quantity == total[key], "an order that is gone was filled, cancelled or expired"
    for key, one in resting.items():
        assert one.filled == filled[key] < one.quantity and key not in ended
    if script.cap is not None:
        for place, quantity in traded.items():
            assert quantity <= script.cap * int(bars[place]["volume"]) + 1e-9


@given(scripts())
@settings(max_examples=100, deadline=None, derandomize=True)
def test_messages_sent_twice_change_nothing(script: Script) -> None:
    assert play(script, repeat=True)[1] == play(script)[1]


@given(scripts(), st.integers(1, 6))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_the_future_does_not_change_the_past(script: Script, keep: int) -> None:
    """No look-ahead: whatever comes after a session, reports up to it are the same."""
    other = Script(script.latency, script.cap, script.session, [])
    for number, (now, bars, messages) in enumerate(script.sessions):
        changed = bars.copy()
        if number >= keep:
            for column in ("open", "high", "low", "close"):
                changed[column] += 1_000
        other.sessions.append((now, changed, messages))
    horizon = script.sessions[:keep][-1][0]

    def past(played: Script) -> list[Any]:
        return [report for now, report in play(played)[1] if now <= horizon]

    assert past(other) == past(script)


def model(script: Script) -> list[tuple[int, int, int, int]]:
    """Close-only fills without a cap, cancels and replaces: (time, client order id, price, quantity)."""
    found = []
    for handed_over, _, messages in script.sessions:
        for order in messages:
            for ts_ns, bars, _ in script.sessions:
                row = bars[bars["instrument"] == order.instrument]
                if ts_ns <= max(handed_over, order.ts_ns + script.latency) or not len(row):
                    continue
                if int(row["flags"][0]) & BarFlag.STALE:
                    continue
                if order.valid_until_ns and (
                    ts_ns > order.valid_until_ns or order.ts_ns + script.latency > order.valid_until_ns
                ):
                    continue
                close = int(row["close"][0])
                better = close <= order.limit_price if order.side == BUY else close >= order.limit_price
                if order.kind == OrderKind.MARKET or better:
                    found.append((ts_ns, order.side == BUY, order.client_order_id, close, order.quantity))
                    break
    return [(ts_ns, key, price, quantity) for ts_ns, _, key, price, quantity in sorted(found)]


@given(scripts())
@settings(max_examples=200, deadline=None, derandomize=True)
def test_close_only_fills_are_those_of_the_model(script: Script) -> None:
    plain = Script(script.latency, None, None, [])
    for now, bars, messages in script.sessions:
        closes = bars.copy()
        closes["flags"] &= np.uint32(BarFlag.STALE)
        plain.sessions.append((now, closes, [one for one in messages if type(one) is Order]))
    got = [
        (now, report.client_order_id, report.price, report.quantity)
        for now, report in play(plain)[1]
        if isinstance(report, Fill)
    ]
    assert got == model(plain)
