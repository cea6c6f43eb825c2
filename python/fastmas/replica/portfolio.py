"""Holdings at average cost, in exact integers.

A position is (lots, cost): `cost` is what its lots were bought for in millionths, negative for the proceeds of a
short. When `closed` of `lots` lots leave, ``|cost| * closed // |lots|`` of the cost leaves with them, rounded
towards zero. The remainder of the division is not lost: it stays in the cost of the lots that remain, and leaves
with the last of them. So nothing is ever rounded away, and ``change in cash + change in cost = realised`` holds for
every fill, to the millionth.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fastmas.errors import ConfigError, LedgerError
from fastmas.replica.commands import InstrumentTerms

__all__ = ["Booking", "Portfolio", "Position", "book_fill"]

_MAX = 2**63 - 1


class Position(NamedTuple):
    """Lots held of one instrument (negative when short), what they cost, and what earlier lots earned."""

    lots: int = 0
    cost: int = 0
    realised: int = 0


class Booking(NamedTuple):
    """What a fill does to a position: where it ends, and by how much its cost moved and its gain was realised."""

    position: Position
    cost_change: int
    realised: int


def book_fill(position: Position, signed_lots: int, unit_value: int) -> Booking:
    """Apply a fill of `signed_lots` (negative for a sale) at `unit_value` millionths a lot.

    Examples
    --------
    A third of 100 lots that cost 1000 leaves: 333 goes, the remainder stays with the other lots.

    >>> from fastmas.replica.portfolio import Position, book_fill
    >>> book_fill(Position(lots=3, cost=1000), -1, 400)
    Booking(position=Position(lots=2, cost=667, realised=67), cost_change=-333, realised=67)
    """
    lots, cost, realised_before = position
    closed = 0
    if lots > 0 > signed_lots:
        closed = -min(lots, -signed_lots)
    elif lots < 0 < signed_lots:
        closed = min(-lots, signed_lots)
    opened = signed_lots - closed
    leaving = abs(cost) * abs(closed) // abs(lots) if closed else 0
    if cost < 0:
        leaving = -leaving
    realised = -closed * unit_value - leaving
    change = opened * unit_value - leaving
    return Booking(Position(lots + signed_lots, cost + change, realised_before + realised), change, realised)


class Portfolio:
    """Positions and marks of all instruments, as columns in order of instrument id."""

    __slots__ = ("cost", "ids", "index", "marks", "multipliers", "positions", "value", "weights")

    def __init__(self, instruments: Sequence[InstrumentTerms]) -> None:
        self.ids = tuple(row.id for row in instruments)
        self.index = {instrument: at for at, instrument in enumerate(self.ids)}
        self.multipliers = tuple(row.price_increment_micro * row.lot_size for row in instruments)
        self.positions = tuple([Position()] * len(self.ids))
        self.marks: tuple[int, ...] = (0,) * len(self.ids)
        """Price of each instrument in increments; 0 until it has one."""
        self.weights: tuple[int, ...] = (0,) * len(self.ids)
        """Lots times the value of a price increment, so that one pass of products values the portfolio."""
        self.value = 0
        self.cost = 0

    def copy(self) -> Portfolio:
        """Another portfolio with the same contents; the columns are immutable and shared."""
        twin = object.__new__(Portfolio)
        for name in Portfolio.__slots__:
            setattr(twin, name, getattr(self, name))
        return twin

    def at(self, instrument: int) -> int:
        """Column of an instrument."""
        column = self.index.get(instrument)
        if column is None:
            raise ConfigError(
                f"instrument {instrument} is not in these books; they were opened with {len(self.ids)}: "
                f"{list(self.ids[:20])}{' …' if len(self.ids) > 20 else ''}"
            )
        return column

    def revalued(self, instruments: tuple[int, ...], prices: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
        """Marks and holdings value as they will be; changes nothing."""
        if instruments == self.ids:
            marks = prices
        else:
            merged = list(self.marks)
            for instrument, price in zip(instruments, prices, strict=True):
                merged[self.at(instrument)] = price
            marks = tuple(merged)
        return marks, self.value_at(marks)

    def value_at(self, marks: tuple[int, ...]) -> int:
        """What the holdings are worth at `marks`."""
        value: int = sum(map(operator.mul, self.weights, marks))
        if not -_MAX <= value <= _MAX:
            raise LedgerError(f"holdings worth {value} millionths would overflow 64 bits; nothing was changed")
        return value

    def place(self, column: int, position: Position, price: int) -> None:
        """Put a position in place after a fill at `price`, which is its mark when it has none yet."""
        before = self.positions[column]
        self.positions = (*self.positions[:column], position, *self.positions[column + 1 :])
        weight = position.lots * self.multipliers[column]
        self.weights = (*self.weights[:column], weight, *self.weights[column + 1 :])
        self.cost += position.cost - before.cost
        if not self.marks[column]:
            self.marks = (*self.marks[:column], price, *self.marks[column + 1 :])
        self.value = self.value_at(self.marks)

    def gross(self, extra_lots: Mapping[int, int]) -> int:
        """Value of all positions, longs and shorts added, once `extra_lots` (by column) have filled at their marks."""
        if not extra_lots:
            return sum(map(abs, map(operator.mul, self.weights, self.marks)))
        total = 0
        for column, (weight, mark) in enumerate(zip(self.weights, self.marks, strict=True)):
            total += abs(weight + extra_lots.get(column, 0) * self.multipliers[column]) * mark
        return total
