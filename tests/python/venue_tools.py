"""Bars, orders and reports for the tests of venues."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmas.market.instrument import Instrument
from fastmas.market.venue import BarVenue
from fastmas.messages import BUY, Bar, BarFlag, Fill, Order, OrderKind, OrderStatus, OrderUpdate, RejectReason

DAY = 86_400_000_000_000
SESSION = 23_400_000_000_000
ABC, DEF = Instrument(1, "ABC"), Instrument(2, "DEF")


def closes(ts_ns: int, **prices: int) -> NDArray[Any]:
    """Close-only bars of one instant: closes(5, i1=100, i2=200)."""
    rows = [Bar(ts_ns=ts_ns, instrument=int(name[1:]), close=price) for name, price in sorted(prices.items())]
    return to_array(rows)


def ohlc(
    ts_ns: int, open_: int, high: int, low: int, close: int, volume: int | None = None, instrument: int = 1
) -> Bar:
    flags = BarFlag.HAS_OHLC | (0 if volume is None else BarFlag.HAS_VOLUME)
    return Bar(ts_ns, instrument, flags, open_, high, low, close, volume or 0)


def to_array(bars: list[Bar] | Bar) -> NDArray[Any]:
    rows = [bars] if isinstance(bars, Bar) else bars
    return np.frombuffer(b"".join(bytes(bar) for bar in rows), Bar.dtype)


def day(number: int, *prices: int, **more: Any) -> tuple[Any, int]:
    """on_bars' arguments for the session that ends at `number` days."""
    return to_array(ohlc(number * DAY, *prices, **more)), number * DAY


def venue(**options: Any) -> BarVenue:
    return BarVenue([ABC, DEF], **options)


def market(key: int, side: int = BUY, quantity: int = 10, instrument: int = 1, **fields: int) -> Order:
    return Order(instrument, side, quantity, client_order_id=key, **fields)


def limit(key: int, side: int, price: int, quantity: int = 10, instrument: int = 1, **fields: int) -> Order:
    return Order(instrument, side, quantity, OrderKind.LIMIT, price, key, **fields)


def fills(reports: list[Any]) -> list[tuple[int, int, int]]:
    """(client order id, price, quantity) of each fill."""
    return [(one.client_order_id, one.price, one.quantity) for one in reports if isinstance(one, Fill)]


def updates(reports: list[Any]) -> list[tuple[int, OrderStatus, RejectReason]]:
    rows = [one for one in reports if isinstance(one, OrderUpdate)]
    return [(one.client_order_id, OrderStatus(one.status), RejectReason(one.reason)) for one in rows]
