"""What does a session cost at the venue: with nothing to do, and with a basket of twenty orders to take and to fill?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastmas.market.instrument import Instrument
from fastmas.market.venue import BarVenue
from fastmas.messages import BUY, SELL, Bar, BarFlag, Order, OrderKind

INSTRUMENTS = [Instrument(number, f"S{number}") for number in range(1, 21)]
SESSIONS = 500
DAY = 86_400_000_000_000


def sessions(flags: int) -> np.ndarray[Any, Any]:
    bars = np.zeros((SESSIONS, len(INSTRUMENTS)), Bar.dtype)
    bars["ts_ns"] = (np.arange(SESSIONS)[:, None] + 1) * DAY
    bars["instrument"] = [one.id for one in INSTRUMENTS]
    bars["flags"] = flags
    bars["open"] = bars["low"] = bars["high"] = bars["close"] = 100_000
    return bars


def baskets(kind: OrderKind) -> list[list[Order]]:
    limit = 100_000 if kind == OrderKind.LIMIT else 0
    return [
        [
            Order(one.id, SELL if one.id % 2 else BUY, 100, kind, limit, session << 16 | one.id, (session + 1) * DAY)
            for one in INSTRUMENTS
        ]
        for session in range(SESSIONS)
    ]


def play(venue: BarVenue, bars: np.ndarray[Any, Any], orders: list[list[Order]]) -> int:
    for slice_, basket in zip(bars, orders, strict=True):
        now_ns = int(slice_["ts_ns"][0])
        venue.on_bars(slice_, now_ns)
        for order in basket:
            venue.submit(order, now_ns)
    return len(venue.executions())


@pytest.mark.benchmark(group="venue: session of 20 instruments")
@pytest.mark.parametrize("case", ["no_orders", "close_only_market", "ohlc_limit"])
def bench_session(benchmark: Any, case: str) -> None:
    benchmark.extra_info.update(items=SESSIONS, item="session")
    kind = OrderKind.LIMIT if case == "ohlc_limit" else OrderKind.MARKET
    bars = sessions(BarFlag.HAS_OHLC if case == "ohlc_limit" else 0)
    orders = [[] for _ in range(SESSIONS)] if case == "no_orders" else baskets(kind)
    empty = BarVenue(INSTRUMENTS, fee_bps=1, slippage_bps=4)
    fills = benchmark.pedantic(
        play, setup=lambda: ((empty.fresh(), bars, orders), {}), rounds=15, warmup_rounds=2, iterations=1
    )
    assert fills == (0 if case == "no_orders" else (SESSIONS - 1) * len(INSTRUMENTS))
