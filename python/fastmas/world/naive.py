"""A fail-over without consensus, as it is often built, to set the failure drill beside.

Two gateways, a primary and a standby, each with its own books. The primary numbers its orders with its own counter,
sends one again under a new number when no acknowledgement comes back in time, and tells the standby afterwards what it
sent.
When the primary dies inside a basket, the notes about that basket die with it; the standby, which reached the same
decision, sends what its own books say is missing. Nothing here is made worse than it has to be: decisions are the same,
the venue is the same, losses are as frequent as in the drill.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastmas.messages import BUY, SELL, Fill, Intent, Order, OrderStatus

__all__ = ["NaiveFailover", "NaiveResult"]


@dataclass(frozen=True, slots=True)
class NaiveResult:
    """What the naive fail-over did.

    Attributes
    ----------
    decisions, orders : int
        Baskets decided; orders that the venue accepted.
    duplicates : int
        Orders accepted for an instrument of a basket beyond the first: each one trades what had been traded.
    excess_lots : int
        Lots that these traded.
    wrong_positions : int
        Instruments whose last position is not what was decided.
    """

    decisions: int
    orders: int
    duplicates: int
    excess_lots: int
    wrong_positions: int


class NaiveFailover:
    """Primary and standby before one venue.

    Parameters
    ----------
    venue : Venue
        A fresh one.
    loss : float
        Share of orders, acknowledgements and notes to the standby that are lost.
    crash_at_ns : int or None
        The primary dies inside the first basket at or after this time.
    seed : int
    """

    def __init__(self, venue: Any, *, loss: float, crash_at_ns: int | None, seed: int) -> None:
        self._venue = venue
        self._loss = loss
        self._crash_at_ns = crash_at_ns
        self._stream = random.Random(f"fastmas naive {seed}")
        self._number = 0
        self._primary: Counter[int] = Counter()
        self._standby: Counter[int] = Counter()
        self._actual: Counter[int] = Counter()
        self._target: dict[int, int] = {}
        self._accepted: Counter[tuple[int, int]] = Counter()
        self._excess_lots = 0
        self._orders = 0
        self._failed_over = False

    def run(self, slices: Iterable[tuple[int, Any]], intents: Sequence[Intent]) -> NaiveResult:
        """Trade the given decisions over the given slices of bars.

        Parameters
        ----------
        slices : iterable of (ts_ns, ndarray of Bar.dtype)
        intents : sequence of Intent
            In order of time.
        """
        waiting = sorted(intents, key=lambda intent: intent.ts_ns, reverse=True)
        decision = 0
        for now_ns, bars in slices:
            for report in self._venue.on_bars(bars, now_ns):
                if type(report) is Fill:
                    self._actual[report.instrument] += report.side * report.quantity
            while waiting and waiting[-1].ts_ns <= now_ns:
                decision += 1
                self._basket(decision, waiting.pop(), now_ns)
        wrong = sum(1 for instrument, lots in self._target.items() if self._actual[instrument] != lots)
        duplicates = sum(count - 1 for count in self._accepted.values())
        return NaiveResult(decision, self._orders, duplicates, self._excess_lots, wrong)

    def _basket(self, decision: int, intent: Intent, now_ns: int) -> None:
        self._target.update(intent.targets)
        books = self._standby if self._failed_over else self._primary
        changes = [(i, lots - books[i]) for i, lots in intent.targets.items() if lots != books[i]]
        dies = self._crash_at_ns is not None and now_ns >= self._crash_at_ns and not self._failed_over
        for instrument, lots in changes[: len(changes) // 2] if dies else changes:
            self._send(decision, instrument, lots, now_ns)
            books[instrument] += lots
            if not (dies or self._failed_over or self._loses()):
                self._standby[instrument] += lots
        if dies:
            self._failed_over = True
            for instrument, target in intent.targets.items():
                lots = target - self._standby[instrument]
                if lots:
                    self._send(decision, instrument, lots, now_ns)
                    self._standby[instrument] += lots

    def _send(self, decision: int, instrument: int, lots: int, now_ns: int) -> None:
        while True:
            self._number += 1
            arrived = not self._loses()
            if arrived:
                side = BUY if lots > 0 else SELL
                order = Order(instrument, side, abs(lots), client_order_id=self._number, ts_ns=now_ns)
                updates = self._venue.submit(order, now_ns)
                if not any(update.status == OrderStatus.REJECTED for update in updates):
                    self._orders += 1
                    self._accepted[decision, instrument] += 1
                    if self._accepted[decision, instrument] > 1:
                        self._excess_lots += abs(lots)
            if arrived and not self._loses():
                return

    def _loses(self) -> bool:
        return self._loss > 0.0 and self._stream.random() < self._loss


def slices(records: Any) -> Iterable[tuple[int, Any]]:
    """Split bars sorted by time into one array an instant."""
    times = records["ts_ns"]
    starts = np.flatnonzero(np.r_[True, times[1:] != times[:-1]])
    for start, end in zip(starts, np.r_[starts[1:], len(times)], strict=True):
        yield int(times[start]), records[start:end]
