"""What the world may read of a replica's books: integers, and records as they were sent."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from fastmas.errors import ConfigError
from fastmas.messages import Fill, Order
from fastmas.replica.books import Books
from fastmas.replica.commands import InstrumentTerms
from fastmas.replica.limits import Limits

__all__ = ["Views"]


class Views:
    """The read-only face of `TradingState`. Money is in millionths of the currency unit."""

    def __init__(self) -> None:
        self._books: Books | None = None
        self._index = 0
        self._head = bytes(32)

    def _opened(self) -> Books:
        if self._books is None:
            raise ConfigError("the books are not open: the first command must be encode_open(...)")
        return self._books

    @property
    def index(self) -> int:
        """Commit index of the last command that was applied without raising."""
        return self._index

    @property
    def head(self) -> bytes:
        """SHA-256 over all commands and their effects, 32 bytes."""
        return self._head

    @property
    def opened(self) -> bool:
        """Whether the books are open."""
        return self._books is not None

    @property
    def currency(self) -> str:
        return self._opened().currency

    @property
    def capital(self) -> int:
        return self._opened().capital

    @property
    def cash(self) -> int:
        """Settled cash, in millionths of the currency unit like all money here."""
        return self._opened().cash

    @property
    def equity(self) -> int:
        """Cash plus settled holdings at their marks."""
        return self._opened().equity

    @property
    def realised(self) -> int:
        """Gains of what was closed, before fees and slippage."""
        return -self._opened().ledger.balance("realised", self.currency)

    @property
    def unrealised(self) -> int:
        """Gains of what is held, at its marks."""
        return -self._opened().ledger.balance("unrealised", self.currency)

    @property
    def fees(self) -> int:
        return self._opened().ledger.balance("fees", self.currency)

    @property
    def slippage(self) -> int:
        return self._opened().ledger.balance("slippage", self.currency)

    def position(self, instrument: int) -> int:
        """Lots held once everything in flight has filled and settled."""
        return self._opened().position(instrument)

    def holding(self, instrument: int) -> int:
        """Lots held, without orders in flight."""
        return self._opened().holding(instrument)

    def holdings(self) -> dict[int, int]:
        """Lots held of every instrument that is held."""
        portfolio = self._opened().portfolio
        return {i: row.lots for i, row in zip(portfolio.ids, portfolio.positions, strict=True) if row.lots}

    @property
    def marks(self) -> dict[int, int]:
        """Last price of every instrument that has one, in increments."""
        portfolio = self._opened().portfolio
        return {i: mark for i, mark in zip(portfolio.ids, portfolio.marks, strict=True) if mark}

    @property
    def instruments(self) -> tuple[InstrumentTerms, ...]:
        return self._opened().terms

    @property
    def orders_in_flight(self) -> tuple[Order, ...]:
        """Orders that have not ended, as they were sent, in order of id."""
        return tuple(self._opened().orders.sent())

    @property
    def unsettled(self) -> tuple[Fill, ...]:
        """Fills whose contracts are pending."""
        return tuple(settlement.fill for settlement in self._opened().settlements.values())

    @property
    def parameters(self) -> Mapping[str, NDArray[np.float64]]:
        """Every agent's parameters as the log last fixed them."""
        return MappingProxyType(self._opened().parameters)

    @property
    def limits(self) -> Limits:
        return self._opened().limits

    @property
    def killed(self) -> bool:
        """Whether the kill switch is on."""
        return self._opened().killed

    @property
    def counters(self) -> dict[str, int]:
        return dict(self._opened().counters)

    @property
    def balanced(self) -> bool:
        """Whether debits equal credits in every currency and unit, booked and pending."""
        return self._opened().ledger.balanced
