"""BarVenue, rule by rule."""

from __future__ import annotations

from typing import Any

import pytest
from venue_tools import ABC, DAY, SESSION, closes, day, fills, limit, market, to_array, updates, venue

from fastmas.errors import ConfigError
from fastmas.market.instrument import Instrument
from fastmas.market.venue import BarVenue, Venue
from fastmas.messages import (
    BUY,
    SELL,
    Bar,
    BarFlag,
    Cancel,
    Order,
    OrderStatus,
    RejectReason,
)

# ---- time -----------------------------------------------------------------------------------------------------------


def test_same_close_never_fills_even_without_latency() -> None:
    v = venue()
    v.submit(market(1, ts_ns=DAY), DAY)
    assert v.on_bars(closes(DAY, i1=100), DAY) == []
    (fill,) = v.on_bars(closes(2 * DAY, i1=101), 2 * DAY)
    assert (fill.price, fill.ts_ns) == (101, 2 * DAY)


@pytest.mark.parametrize(("latency", "filled"), [(99, True), (100, False), (101, False)])
def test_a_bar_must_be_strictly_later_than_the_arrival(latency: int, filled: bool) -> None:
    v = venue(latency_ns=latency)
    v.submit(market(1, ts_ns=1_000), 1_000)
    assert bool(fills(v.on_bars(closes(1_100, i1=100), 1_100))) is filled
    assert bool(fills(v.on_bars(closes(1_200, i1=100), 1_200))) is not filled


def test_when_a_message_reached_the_venue_decides_nothing() -> None:
    """A commit that comes late leads to the same fill, as long as no bar is missed."""
    outcomes = []
    for reached in (1_000, 1_900):
        v = venue(latency_ns=10)
        reports = [v.submit(market(1, ts_ns=1_000), reached), v.on_bars(closes(2_000, i1=100), 2_000)]
        outcomes.append(reports)
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][0][0].ts_ns == 1_010


def test_time_zero_is_a_time() -> None:
    v = venue()
    v.submit(market(1, ts_ns=0), 0)
    assert v.on_bars(closes(0, i1=100), 0) == []
    assert fills(v.on_bars(closes(1, i1=100), 1)) == [(1, 100, 10)]


def test_stale_and_missing_bars_fill_nothing() -> None:
    v = venue()
    v.submit(market(1), 0)
    stale = to_array(Bar(ts_ns=1, instrument=1, flags=BarFlag.STALE, close=100))
    assert v.on_bars(stale, 1) == []
    assert v.on_bars(closes(2, i2=100), 2) == []
    assert [one.order.client_order_id for one in v.open_orders()] == [1]
    assert fills(v.on_bars(closes(3, i1=103), 3)) == [(1, 103, 10)]


# ---- bars with a close only -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "price", "close", "filled"),
    [(BUY, 100, 100, True), (BUY, 100, 101, False), (BUY, 100, 90, True),
     (SELL, 100, 100, True), (SELL, 100, 99, False), (SELL, 100, 110, True)],
)  # fmt: skip
def test_a_limit_fills_at_a_close_that_satisfies_it(side: int, price: int, close: int, filled: bool) -> None:
    v = venue()
    v.submit(limit(1, side, price), 0)
    assert fills(v.on_bars(closes(1, i1=close), 1)) == ([(1, close, 10)] if filled else [])


def test_sells_come_before_buys_then_by_client_order_id() -> None:
    v = venue()
    orders = [market(9), market(4, SELL, instrument=2), market(2, BUY, instrument=2), market(7, SELL), market(3, SELL)]
    for order in orders:
        v.submit(order, 0)
    reports = v.on_bars(closes(1, i1=100, i2=200), 1)
    assert [one.client_order_id for one in reports] == [3, 4, 7, 2, 9]
    assert [one.execution_id for one in reports] == [1, 2, 3, 4, 5]


# ---- bars with open, high and low -----------------------------------------------------------------------------------


def test_a_market_order_has_the_next_open() -> None:
    v = venue(session_ns=SESSION, latency_ns=1_000_000)
    v.on_bars(*day(1, 100, 110, 90, 105))
    v.submit(market(1, ts_ns=DAY), DAY)
    (fill,) = v.on_bars(*day(2, 107, 120, 80, 118))
    assert (fill.price, fill.ts_ns) == (107, 2 * DAY)


def test_an_order_that_arrives_after_the_open_has_the_close() -> None:
    for arrives, price in ((2 * DAY - SESSION, 107), (2 * DAY - SESSION + 1, 118)):
        v = venue(session_ns=SESSION)
        v.on_bars(*day(1, 100, 110, 90, 105))
        v.submit(market(1, ts_ns=arrives), arrives)
        assert fills(v.on_bars(*day(2, 107, 120, 80, 118))) == [(1, price, 10)]


def test_without_a_session_length_the_open_may_be_right_after_the_bar_before() -> None:
    for arrives, price in ((DAY, 107), (DAY + 1, 118)):
        v = venue()
        v.on_bars(*day(1, 100, 110, 90, 105))
        v.submit(market(1, ts_ns=arrives), arrives)
        assert fills(v.on_bars(*day(2, 107, 120, 80, 118))) == [(1, price, 10)]


def test_the_first_bar_has_no_known_open() -> None:
    v = venue()
    v.submit(market(1), 0)
    assert fills(v.on_bars(*day(2, 107, 120, 80, 118))) == [(1, 118, 10)]


def test_a_session_longer_than_the_bars_are_apart_is_cut_at_the_bar_before() -> None:
    v = venue(session_ns=3 * DAY)
    v.on_bars(*day(1, 100, 110, 90, 105))
    v.submit(market(1, ts_ns=DAY), DAY)
    assert fills(v.on_bars(*day(2, 107, 120, 80, 118))) == [(1, 107, 10)]


@pytest.mark.parametrize(
    ("side", "price", "expected"),
    [
        (BUY, 107, 107),  # at the open: satisfied
        (BUY, 111, 107),  # the open is better than the limit: everybody gets the open
        (BUY, 106, 106),  # the market went through it: at the limit, not at the low
        (BUY, 81, 81),
        (BUY, 80, None),  # an exact touch of the low
        (BUY, 79, None),
        (SELL, 107, 107),
        (SELL, 100, 107),
        (SELL, 119, 119),
        (SELL, 120, None),
        (SELL, 121, None),
    ],
)
def test_where_a_limit_fills_in_a_bar(side: int, price: int, expected: int | None) -> None:
    v = venue()
    v.on_bars(*day(1, 100, 110, 90, 105))
    v.submit(limit(1, side, price, ts_ns=DAY), DAY)
    assert fills(v.on_bars(*day(2, 107, 120, 80, 110))) == ([] if expected is None else [(1, expected, 10)])


def test_a_limit_that_is_the_low_and_the_close_fills_at_the_close() -> None:
    v = venue()
    v.on_bars(*day(1, 100, 110, 90, 105))
    v.submit(limit(1, BUY, 95, ts_ns=DAY), DAY)
    assert fills(v.on_bars(*day(2, 107, 120, 95, 95))) == [(1, 95, 10)]


def test_a_limit_that_arrives_within_a_bar_has_its_close_only() -> None:
    v = venue()
    v.on_bars(*day(1, 100, 110, 90, 105))
    v.submit(limit(1, BUY, 90, ts_ns=DAY + 1), DAY + 1)
    assert v.on_bars(*day(2, 107, 120, 80, 110)) == []
    assert fills(v.on_bars(*day(3, 107, 120, 80, 110))) == [(1, 90, 10)]


# ---- volume ---------------------------------------------------------------------------------------------------------


def test_a_volume_cap_is_shared_and_the_rest_rests() -> None:
    v = venue(volume_cap=0.1)
    v.on_bars(*day(1, 100, 110, 90, 105, volume=500))
    v.submit(market(1, BUY, 60, ts_ns=DAY), DAY)
    v.submit(market(2, SELL, 30, ts_ns=DAY), DAY)
    assert fills(v.on_bars(*day(2, 100, 110, 90, 105, volume=599))) == [(2, 100, 30), (1, 100, 29)]
    assert [(one.order.client_order_id, one.filled) for one in v.open_orders()] == [(1, 29)]
    assert fills(v.on_bars(*day(3, 102, 110, 90, 105, volume=9))) == []
    assert fills(v.on_bars(*day(4, 103, 110, 90, 105, volume=5_000))) == [(1, 103, 31)]
    assert v.open_orders() == ()


def test_a_volume_cap_needs_volume() -> None:
    v = venue(volume_cap=0.1)
    v.submit(market(1), 0)
    with pytest.raises(ConfigError, match=r"volume_cap needs bars with volume, got none for instrument 1 at 5; leave"):
        v.on_bars(closes(5, i1=100), 5)
    assert len(v.open_orders()) == 1, "a refused call changes nothing"


def test_a_stale_bar_needs_no_volume() -> None:
    v = venue(volume_cap=0.1)
    assert v.on_bars(to_array(Bar(ts_ns=1, instrument=1, flags=BarFlag.STALE, close=100)), 1) == []


# ---- money ----------------------------------------------------------------------------------------------------------


def test_fees_and_slippage_are_amounts_of_their_own() -> None:
    v = venue(fee_bps=5, slippage_bps=2.5)
    v.submit(market(1, SELL, 100), 0)
    (fill,) = v.on_bars(closes(1, i1=125_674), 1)
    assert fill.price == 125_674, "the price stays on the grid"
    value_micro = 125_674 * 100 * 1_000
    assert (fill.fee, fill.slippage) == (value_micro * 5 // 10_000, value_micro * 25 // 100_000)


@pytest.mark.parametrize(("bps", "fee"), [(5, 1), (4.9, 0), (15, 2), (14.9, 1), (0.0, 0)])
def test_amounts_are_rounded_to_the_nearest_millionth_halves_away_from_zero(bps: float, fee: int) -> None:
    v = BarVenue([Instrument(1, "ABC", 0.001)], fee_bps=bps)
    v.submit(market(1, quantity=1), 0)
    (fill,) = v.on_bars(closes(1, i1=1), 1)  # one lot at 0.001: 1,000 millionths
    assert fill.fee == fee


def test_a_limit_order_pays_no_slippage() -> None:
    v = venue(slippage_bps=10)
    v.submit(limit(1, BUY, 100), 0)
    (fill,) = v.on_bars(closes(1, i1=100), 1)
    assert fill.slippage == 0


def test_lot_size_and_increment_count() -> None:
    v = BarVenue([Instrument(1, "ABC", 0.01, lot_size=100)], fee_bps=1)
    v.submit(market(1, quantity=3), 0)
    (fill,) = v.on_bars(closes(1, i1=5_000), 1)
    assert fill.fee == 1_500_000  # 300 shares at 50.00 are 15,000; one basis point of that is 1.50


# ---- refusals -------------------------------------------------------------------------------------------------------


def test_an_id_is_taken_once_whatever_became_of_the_first() -> None:
    v = venue()
    assert updates(v.submit(market(1), 0)) == [(1, OrderStatus.ACKNOWLEDGED, RejectReason.NONE)]
    assert updates(v.submit(market(1), 0)) == [(1, OrderStatus.REJECTED, RejectReason.DUPLICATE)]
    v.on_bars(closes(1, i1=100), 1)
    assert updates(v.submit(market(1, quantity=99), 1)) == [(1, OrderStatus.REJECTED, RejectReason.DUPLICATE)]
    assert v.on_bars(closes(2, i1=100), 2) == []
    v.submit(limit(2, BUY, -5), 2)
    assert updates(v.submit(market(2), 2)) == [(2, OrderStatus.REJECTED, RejectReason.DUPLICATE)]
    assert v.duplicates == 3 and v.knows(1) and v.knows(2) and not v.knows(3)


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        (market(1, instrument=3), RejectReason.UNKNOWN_INSTRUMENT),
        (market(1, side=0), RejectReason.BAD_SIDE),
        (market(1, side=2), RejectReason.BAD_SIDE),
        (market(1, quantity=0), RejectReason.BAD_QUANTITY),
        (market(1, quantity=-5), RejectReason.BAD_QUANTITY),
        (market(1, kind=2), RejectReason.BAD_KIND),
        (market(1, limit_price=5), RejectReason.BAD_PRICE),
        (limit(1, BUY, 0), RejectReason.BAD_PRICE),
        (limit(1, BUY, -1), RejectReason.BAD_PRICE),
        (market(1, ts_ns=5, valid_until_ns=4), RejectReason.EXPIRED),
    ],
)
def test_a_bad_order_is_rejected_with_its_reason(order: Order, reason: RejectReason) -> None:
    v = venue()
    assert updates(v.submit(order, 5)) == [(1, OrderStatus.REJECTED, reason)]
    assert v.open_orders() == () and v.rejections == {reason: 1}
    assert v.on_bars(closes(9, i1=100, i2=100), 9) == []


def test_messages_from_the_future_and_without_id_are_refused() -> None:
    v = venue()
    with pytest.raises(ConfigError, match=r"decided by the time it is sent, got ts_ns 6 at 5; set ts_ns"):
        v.submit(market(1, ts_ns=6), 5)
    with pytest.raises(ConfigError, match=r"got ts_ns 6 at 5"):
        v.cancel(Cancel(1, 6), 5)
    with pytest.raises(ConfigError, match=r"client_order_id must be set, got 0 in Order\(.*; the replica sets it"):
        v.submit(market(0), 5)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"fee_bps": -1}, r"fee_bps must be a number of basis points in \[0, 10000\), got -1; 5 is 0.05 %"),
        ({"slippage_bps": float("nan")}, r"slippage_bps must be a number of basis points"),
        ({"slippage_bps": "5"}, r"slippage_bps must be a number of basis points in .*, got '5'"),
        ({"volume_cap": 0}, r"volume_cap must be in \(0, 1\], got 0; 0.1 is a tenth of a bar's volume"),
        ({"volume_cap": 1.01}, r"volume_cap must be in \(0, 1\], got 1.01"),
        ({"latency_ns": -1}, r"latency_ns must be an integer of at least 0 nanoseconds, got -1"),
        ({"latency_ns": 1.5}, r"latency_ns must be an integer of at least 0 nanoseconds, got 1.5"),
        ({"session_ns": 0}, r"session_ns must be an integer of at least 1 nanoseconds, got 0"),
    ],
)
def test_settings_out_of_range(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        venue(**options)


def test_instruments_must_be_there_and_distinct() -> None:
    with pytest.raises(ConfigError, match=r"instruments must be at least one, each id once, got ids \[\]; try bars"):
        BarVenue([])
    with pytest.raises(ConfigError, match=r"got ids \[1, 1\]"):
        BarVenue([ABC, ABC])


def test_bars_that_break_the_rules_are_refused() -> None:
    v = venue()
    with pytest.raises(ConfigError, match=r"one-dimensional array of Bar.dtype, got list"):
        v.on_bars([], 0)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"sorted by instrument, each once, got instruments \[2, 1\]"):
        v.on_bars(closes(1, i1=1, i2=2)[::-1], 1)
    with pytest.raises(ConfigError, match=r"of one instant, now_ns = 2, got ts_ns \[1\]"):
        v.on_bars(closes(1, i1=1), 2)
    v.on_bars(closes(5, i1=1), 5)
    with pytest.raises(ConfigError, match=r"time must not go backwards, got bars of 4 after 5"):
        v.on_bars(closes(4, i1=1), 4)
    with pytest.raises(ConfigError, match=r"one bar an instant, got a second of 1 at 5"):
        v.on_bars(closes(5, i1=1), 5)
    assert v.on_bars(closes(5, i2=1), 5) == [], "another feed may bring another instrument at the same time"


# ---- expiry, cancel, replace: see test_venue_requests.py ------------------------------------------------------------


def test_executions_serve_reconciliation() -> None:
    v = venue()
    for key in (1, 2, 3):
        v.submit(market(key), 0)
    reports = v.on_bars(closes(1, i1=100), 1)
    assert v.executions() == reports
    assert v.executions(since=2) == reports[2:]
    assert v.executions(since=3) == [] and v.executions(since=-1) == reports


def test_it_is_a_venue_and_a_fresh_one_has_seen_nothing() -> None:
    v = venue(fee_bps=5, volume_cap=0.5, latency_ns=7, session_ns=9)
    assert isinstance(v, Venue)
    v.submit(market(1), 0)
    other = v.fresh()
    assert not other.knows(1) and other.open_orders() == () and repr(other) == repr(v)
    assert repr(v) == (
        "BarVenue(<2 instruments>, fee_bps=5, slippage_bps=0.0, volume_cap=0.5, latency_ns=7, session_ns=9)"
    )
