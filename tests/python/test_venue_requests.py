"""BarVenue: expiry, cancel and replace, and the order in which reports are to be booked."""

from __future__ import annotations

from typing import Any

import pytest
from venue_tools import DAY, closes, day, fills, limit, market, updates, venue

from fastmas.messages import BUY, SELL, Cancel, Fill, OrderStatus, OrderUpdate, RejectReason, Replace

NONE, UNKNOWN = RejectReason.NONE, RejectReason.UNKNOWN_ORDER


def test_an_order_expires_after_its_last_moment() -> None:
    for until, filled in ((2_000, True), (1_999, False)):
        v = venue()
        v.submit(market(1, ts_ns=1_000, valid_until_ns=until), 1_000)
        reports = v.on_bars(closes(2_000, i1=100), 2_000)
        if filled:
            assert fills(reports) == [(1, 100, 10)]
        else:
            assert reports == [OrderUpdate(1, until, 1, OrderStatus.EXPIRED)]
            assert v.open_orders() == () and v.on_bars(closes(3_000, i1=100), 3_000) == []


def test_an_order_for_a_halted_instrument_expires_too() -> None:
    v = venue()
    v.submit(market(1, valid_until_ns=5), 0)
    assert updates(v.on_bars(closes(6, i2=100), 6)) == [(1, OrderStatus.EXPIRED, NONE)]


def test_a_cancel_takes_effect_at_once_when_no_bar_can_come_before_it() -> None:
    v = venue()
    v.on_bars(closes(1_000, i1=100), 1_000)
    v.submit(market(1, ts_ns=1_000), 1_000)
    assert v.cancel(Cancel(1, 1_000), 1_000) == [OrderUpdate(1, 1_000, 1, OrderStatus.CANCELLED)]
    assert v.open_orders() == () and v.on_bars(closes(2_000, i1=100), 2_000) == []


def test_a_cancel_under_way_does_not_stop_an_earlier_bar() -> None:
    v = venue(latency_ns=1_500)
    v.submit(market(1, ts_ns=0), 0)
    assert v.cancel(Cancel(1, 1_000), 1_000) == []  # arrives at 2,500
    assert fills(v.on_bars(closes(2_000, i1=100), 2_000)) == [(1, 100, 10)]
    late = v.on_bars(closes(3_000, i1=100), 3_000)
    assert late == [OrderUpdate(1, 2_500, 1, OrderStatus.REJECTED, UNKNOWN)], "there is nothing left to take back"


def test_a_cancel_under_way_stops_a_later_bar() -> None:
    v = venue(latency_ns=500)
    v.submit(limit(1, BUY, 50), 0)
    v.on_bars(closes(1_000, i1=100), 1_000)
    assert v.cancel(Cancel(1, 1_000), 1_000) == []
    assert v.on_bars(closes(2_000, i1=40), 2_000) == [OrderUpdate(1, 1_500, 1, OrderStatus.CANCELLED)]


def test_a_cancel_that_arrives_at_the_very_close_comes_after_it() -> None:
    v = venue()
    v.submit(market(1), 0)
    assert v.cancel(Cancel(1, 1_000), 1_000) == []
    reports = v.on_bars(closes(1_000, i1=100), 1_000)
    assert fills(reports) == [(1, 100, 10)]
    assert updates(reports) == [(1, OrderStatus.REJECTED, UNKNOWN)]
    assert isinstance(reports[0], Fill)


def test_what_is_not_there_cannot_be_cancelled_or_replaced() -> None:
    v = venue()
    assert v.cancel(Cancel(7, 1), 1) == [OrderUpdate(7, 1, 0, OrderStatus.REJECTED, UNKNOWN)]
    assert v.replace(Replace(7, 5, 0, 1), 1) == [OrderUpdate(7, 1, 0, OrderStatus.REJECTED, UNKNOWN)]
    assert not v.knows(7)


def test_a_request_that_is_sent_again_is_a_duplicate() -> None:
    """Its answer was lost: the second must not look like a refusal of the first."""
    v = venue()
    v.submit(limit(1, BUY, 50), 0)
    v.on_bars(closes(5, i1=100), 5)
    assert updates(v.replace(Replace(1, 20, 0, 5), 5)) == [(1, OrderStatus.REPLACED, NONE)]
    assert updates(v.replace(Replace(1, 20, 0, 5), 6)) == [(1, OrderStatus.REJECTED, RejectReason.DUPLICATE)]
    assert updates(v.cancel(Cancel(1, 5), 6)) == [(1, OrderStatus.CANCELLED, NONE)]
    assert updates(v.cancel(Cancel(1, 5), 7)) == [(1, OrderStatus.REJECTED, RejectReason.DUPLICATE)]
    assert v.duplicates == 2


def test_replace_changes_total_and_limit() -> None:
    v = venue(volume_cap=0.1)
    v.on_bars(*day(1, 100, 110, 90, 105, volume=100))
    v.submit(limit(1, BUY, 101, quantity=30, ts_ns=DAY), DAY)
    assert fills(v.on_bars(*day(2, 100, 110, 90, 105, volume=100))) == [(1, 100, 10)]
    assert updates(v.replace(Replace(1, 10, 0, 2 * DAY), 2 * DAY)) == [
        (1, OrderStatus.REJECTED, RejectReason.BAD_QUANTITY)
    ]
    assert updates(v.replace(Replace(1, 15, 95, 2 * DAY), 2 * DAY)) == [(1, OrderStatus.REPLACED, NONE)]
    (rest,) = v.open_orders()
    assert (rest.quantity, rest.limit_price, rest.filled) == (15, 95, 10)
    assert fills(v.on_bars(*day(3, 100, 110, 90, 105, volume=1_000))) == [(1, 95, 5)]
    assert v.open_orders() == ()


@pytest.mark.parametrize(
    ("replace", "reason"),
    [
        (Replace(1, 0, 0, 5), RejectReason.BAD_QUANTITY),
        (Replace(1, -5, 0, 5), RejectReason.BAD_QUANTITY),
        (Replace(1, 5, 60, 5), RejectReason.BAD_PRICE),
        (Replace(1, 5, -1, 5), RejectReason.BAD_PRICE),
    ],
)
def test_a_bad_replace_leaves_the_order_as_it_is(replace: Replace, reason: RejectReason) -> None:
    v = venue()
    v.submit(market(1), 0)
    v.on_bars(closes(5, i2=100), 5)
    assert updates(v.replace(replace, 5)) == [(1, OrderStatus.REJECTED, reason)]
    assert fills(v.on_bars(closes(6, i1=100), 6)) == [(1, 100, 10)]


def test_a_replace_within_a_bar_leaves_the_open_to_the_old_terms() -> None:
    v = venue()
    v.on_bars(*day(1, 100, 110, 90, 105))
    v.submit(limit(1, BUY, 108, ts_ns=DAY), DAY)
    v.replace(Replace(1, 50, 0, DAY + 5), DAY + 5)
    reports = v.on_bars(*day(2, 107, 120, 80, 110))
    assert fills(reports) == [(1, 107, 10)]
    assert updates(reports) == [(1, OrderStatus.REJECTED, UNKNOWN)]


def test_a_replace_within_a_bar_has_the_close_at_its_new_terms() -> None:
    """Whether the market came to the old limit before the change is not known, so it did not."""
    v = venue()
    v.on_bars(*day(1, 100, 110, 90, 105))
    v.submit(limit(1, BUY, 85, ts_ns=DAY), DAY)
    v.replace(Replace(1, 50, 111, DAY + 5), DAY + 5)
    reports = v.on_bars(*day(2, 107, 120, 80, 110))
    assert reports[0] == OrderUpdate(1, DAY + 5, 1, OrderStatus.REPLACED), "booked before the fill that needs it"
    assert fills(reports) == [(1, 110, 50)]


def test_a_change_after_a_fill_is_booked_after_it() -> None:
    v = venue(volume_cap=0.1)
    v.on_bars(*day(1, 100, 110, 90, 105, volume=100))
    v.submit(market(1, SELL, quantity=30, ts_ns=DAY), DAY)
    v.cancel(Cancel(1, DAY + 5), DAY + 5)
    reports = v.on_bars(*day(2, 100, 110, 90, 105, volume=100))
    assert [type(one) for one in reports] == [Fill, OrderUpdate]
    assert fills(reports) == [(1, 100, 10)] and updates(reports) == [(1, OrderStatus.CANCELLED, NONE)]


def test_a_cancel_before_the_expiry_wins() -> None:
    for cancelled, status in ((3, OrderStatus.CANCELLED), (5, OrderStatus.EXPIRED)):
        v = venue()
        v.submit(market(1, valid_until_ns=4), 0)
        v.cancel(Cancel(1, cancelled), 5)
        reports: list[Any] = v.on_bars(closes(9, i1=100), 9)
        assert updates(reports)[0] == (1, status, NONE)
        assert len(reports) == (1 if status is OrderStatus.CANCELLED else 2)
