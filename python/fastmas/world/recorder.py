"""Collects what a run's report shows; changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastmas.messages import Fill, Intent
from fastmas.parameters import FixedPoint

__all__ = ["Recorder"]


class Recorder:
    """Columns that grow by one row a session, and lists of what was decided and filled."""

    def __init__(self, bars: Any) -> None:
        self.instruments = tuple(bars.instruments)
        self._ids = [instrument.id for instrument in self.instruments]
        self.ts_ns: list[int] = []
        self.cash: list[int] = []
        self.equity: list[int] = []
        self.costs: list[int] = []
        self.holdings: list[list[int]] = []
        self.fills: list[Fill] = []
        self.updates: list[Any] = []
        self.intents: list[tuple[Intent, Any]] = []
        self.reviews: list[tuple[int, FixedPoint]] = []
        self.kept: dict[str, list[Any]] = {}
        self.first_fill_id: int | None = None

    def __len__(self) -> int:
        return len(self.ts_ns)

    def keeper(self, name: str) -> Callable[[Any, Any], None]:
        """Handler that keeps one agent's messages."""
        messages = self.kept.setdefault(name, [])

        def keep(message: Any, ctx: Any) -> None:
            messages.append(message)

        return keep

    def on_marks(self, now_ns: int, books: Any) -> None:
        self.ts_ns.append(now_ns)
        self.cash.append(books.cash)
        self.equity.append(books.equity)
        self.costs.append(books.fees + books.slippage)
        self.holdings.append([books.holding(instrument) for instrument in self._ids])

    def on_report(self, report: Any, message_id: int = 0) -> None:
        if type(report) is not Fill:
            self.updates.append(report)
            return
        self.fills.append(report)
        if self.first_fill_id is None:
            self.first_fill_id = message_id

    def on_intent(self, intent: Intent, reply: Any) -> None:
        self.intents.append((intent, reply))

    def on_review(self, now_ns: int, point: FixedPoint) -> None:
        self.reviews.append((now_ns, point))

    def columns(self) -> dict[str, np.ndarray]:
        """The grown columns as int64 arrays of shape (sessions,), holdings (sessions, instruments)."""
        return {
            "ts_ns": np.array(self.ts_ns, dtype=np.int64),
            "cash": np.array(self.cash, dtype=np.int64),
            "equity": np.array(self.equity, dtype=np.int64),
            "costs": np.array(self.costs, dtype=np.int64),
            "holdings": np.array(self.holdings, dtype=np.int64).reshape(len(self.ts_ns), len(self._ids)),
        }
