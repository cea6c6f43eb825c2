"""A log of one's own for the replica tests: applies commands to a state as a cluster would."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import pytest

from fastmas.messages import Fill, Intent, Order, OrderStatus, OrderUpdate
from fastmas.replica import Limits, Reply, TradingState, commands, decode_reply

INCREMENT = 1000
CAPITAL = 1_000_000_000
INSTRUMENTS = [(1, INCREMENT, 1), (2, INCREMENT, 1), (7, INCREMENT, 10)]
DAY = 86_400 * 10**9


class Entry(NamedTuple):
    index: int
    time_ns: int
    command: bytes


class Log:
    """A state opened on three instruments, marked at 10_000, 20_000 and 5_000; each commit is kept as an entry."""

    def __init__(self, limits: Limits | None = None, actions: Any = None, marked: bool = True, **options: int) -> None:
        self.limits = limits if limits is not None else Limits()
        self.state = TradingState(actions)
        self.entries: list[Entry] = []
        self.executions = 0
        self.commit(commands.encode_open("USD", CAPITAL, INSTRUMENTS, self.limits, **options))
        if marked:
            self.mark(1, {1: 10_000, 2: 20_000, 7: 5_000})

    def commit(self, command: bytes, time_ns: int = 0) -> Reply:
        index = self.entries[-1].index + 1 if self.entries else 1
        entry = Entry(index, time_ns, command)
        self.entries.append(entry)
        return decode_reply(self.state.apply(entry))

    def mark(self, ts_ns: int, prices: Mapping[int, int]) -> Reply:
        return self.commit(commands.encode_marks(ts_ns, list(prices), list(prices.values())))

    def intend(self, targets: Mapping[int, int], ts_ns: int = 1, valid_until_ns: int = 0, time_ns: int = 0) -> Reply:
        return self.commit(commands.encode_intent(Intent(ts_ns, targets, valid_until_ns)), time_ns)

    def fill(self, order: Order, price: int, quantity: int | None = None, **extra: int) -> Fill:
        """A fill of an order; not committed yet."""
        self.executions += 1
        values = {
            "execution_id": self.executions,
            "client_order_id": order.client_order_id,
            "ts_ns": 2,
            "instrument": order.instrument,
            "side": order.side,
            "price": price,
            "quantity": order.quantity if quantity is None else quantity,
        }
        return Fill(**{**values, **extra})

    def report(self, *reports: Fill | OrderUpdate) -> Reply:
        return self.commit(commands.encode_reports(reports))

    def trade(self, instrument: int, lots: int, price: int, **extra: int) -> Reply:
        """Hold `lots` more of an instrument, bought or sold at `price`."""
        (order,) = self.intend({instrument: self.state.position(instrument) + lots}).orders
        return self.report(self.fill(order, price, **extra))


def update(order: Order, status: OrderStatus, reason: int = 0, ts_ns: int = 2) -> OrderUpdate:
    return OrderUpdate(
        client_order_id=order.client_order_id, ts_ns=ts_ns, instrument=order.instrument, status=status, reason=reason
    )


def replay(entries: Iterable[Entry], actions: Any = None) -> TradingState:
    """Another replica, fed the same log."""
    state = TradingState(actions)
    for entry in entries:
        state.apply(entry)
    return state


def holds_identity(state: TradingState) -> bool:
    """The daily identity, from the views and the terms alone."""
    terms = {row.id: row.price_increment_micro * row.lot_size for row in state.instruments}
    value = sum(lots * state.marks[i] * terms[i] for i, lots in state.holdings().items())
    costs = state.fees + state.slippage
    return state.cash + value == state.capital + state.realised + state.unrealised - costs == state.equity


def refused(log: Log, command: bytes, error: type[Exception], text: str) -> None:
    """The command raises with this text, and leaves the state as it was to the byte."""
    before = log.state.snapshot()
    with pytest.raises(error, match=re.escape(text)):
        log.commit(command)
    log.entries.pop()
    assert log.state.snapshot() == before
