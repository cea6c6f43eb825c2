"""What market data must satisfy, and what is only worth knowing.

A broken rule is a `DataError` that names the cell. Gaps, late listings and stale runs are facts of life: they come back
as `Problem`s. Nothing here looks ahead: whether a bar is stale depends on it and the bars before it only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmas.errors import DataError
from fastmas.market.table import Table

__all__ = [
    "STALE_SHARE_WINDOW",
    "Problem",
    "check_increasing",
    "check_ohlc",
    "check_prices",
    "check_volume",
    "stale_bars",
    "to_grid",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

STALE_SHARE_WINDOW = 63
"""Bars (a quarter of a year of daily ones) over which the share of unchanged closes is taken."""

_LARGEST_TICKS = 2**53
"""Beyond this a float64 price no longer names one grid point."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something about the data that a reader of results should know.

    Attributes
    ----------
    kind : str
        "late_listing", "ends_early", "gap", "stale", "rounded", "off_calendar" or "ignored_column".
    symbol : str
        The instrument; empty when it concerns all.
    first_ns, last_ns : int
        First and last bar time concerned, in ns since 1970 UTC.
    count : int
        Bars (for gaps: missing bars) concerned.
    text : str
        The whole in words.
    """

    kind: str
    symbol: str
    first_ns: int
    last_ns: int
    count: int
    text: str

    def __str__(self) -> str:
        return f"{self.symbol + ': ' if self.symbol else ''}{self.text}"


def check_increasing(table: Table, column: str, times: NDArray[Any], rows: Ints, symbol: str = "") -> None:
    """Refuse rows (of one instrument) that are out of time order or repeat a time.

    Parameters
    ----------
    times : ndarray
        Times of the rows, in the order of the table; datetime64[D] or int64 ns.
    rows : ndarray of int64
        Their positions in the table.
    """
    if len(times) < 2:
        return
    wrong = np.flatnonzero(times[1:] <= times[:-1])
    if not len(wrong):
        return
    at = int(wrong[0])
    spoken = [str(time if times.dtype.kind == "M" else np.datetime64(int(time), "ns")) for time in times[at : at + 2]]
    of = f" of {symbol}" if symbol else ""
    here = table.where(int(rows[at + 1]), column)
    if times[at + 1] == times[at]:
        raise DataError(
            f"each time must have one row{of}, got {spoken[1]} again "
            f"({here}; first in {table.row_word} {table.first_row + int(rows[at])}); drop one of them"
        )
    raise DataError(
        f"rows{of} must be in time order, got {spoken[1]} after {spoken[0]} ({here}); sort the table by time"
    )


def check_prices(table: Table, column: str, values: Floats, rows: Ints) -> None:
    """Refuse prices that are not finite and positive."""
    good = values > 0.0
    good &= np.isfinite(values)
    if good.all():
        return
    at = int(np.flatnonzero(~good)[0])
    value, where = float(values[at]), table.where(int(rows[at]), column)
    if np.isnan(value):
        raise DataError(
            f"a price must not be missing between two others, got {value} ({where}); "
            "fill the cell, or give missing='gap' to leave the bar out"
        )
    if np.isinf(value):
        raise DataError(f"a price must be finite, got {value} ({where}); correct the cell")
    raise DataError(f"a price must be positive, got {value:g} ({where}); correct the cell")


def check_ohlc(table: Table, names: dict[str, str], values: dict[str, Floats], rows: Ints) -> None:
    """Refuse bars whose low exceeds, or whose high falls short of, open or close."""
    for outer, wrong_side in (("low", np.greater), ("high", np.less)):
        for inner in ("open", "close", "low" if outer == "high" else "high"):
            wrong = np.flatnonzero(wrong_side(values[outer], values[inner]))
            if len(wrong):
                at = int(wrong[0])
                raise DataError(
                    f"a bar must satisfy low <= open, close <= high, got {outer} {values[outer][at]:g} and "
                    f"{inner} {values[inner][at]:g} ({table.where(int(rows[at]), names[outer])}); correct the cell"
                )


def check_volume(table: Table, column: str, values: Floats, rows: Ints) -> None:
    """Refuse volumes that are missing or negative."""
    wrong = np.flatnonzero(~(np.isfinite(values) & (values >= 0.0)))
    if len(wrong):
        at = int(wrong[0])
        raise DataError(
            f"a volume must be a number of at least 0, got {values[at]:g} ({table.where(int(rows[at]), column)}); "
            "correct the cell, or drop the column"
        )


def to_grid(table: Table, column: str, values: Floats, rows: Ints, increment_micro: int) -> tuple[Ints, int, float]:
    """Round prices to whole price increments, ties to even.

    Returns
    -------
    ticks : ndarray of int64
    rounded : int
        Prices that were off the grid by more than a float's own error.
    worst : float
        The largest relative change among those.

    Raises
    ------
    DataError
        A price that rounds to nothing, or is too large to be told from its neighbours.
    """
    exact = values * 1e6 / increment_micro
    nearest = np.rint(exact)
    if len(nearest) and nearest.min() < 1.0:
        at = int(np.argmax(nearest < 1.0))
        raise DataError(
            f"a price must be at least one price increment of {increment_micro / 1e6:g}, got {values[at]:g} "
            f"({table.where(int(rows[at]), column)}); give a smaller price_increment"
        )
    if len(nearest) and nearest.max() > _LARGEST_TICKS:
        at = int(np.argmax(nearest > _LARGEST_TICKS))
        raise DataError(
            f"a price must be at most 2**53 increments of {increment_micro / 1e6:g}, got {values[at]:g} "
            f"({table.where(int(rows[at]), column)}); give a larger price_increment"
        )
    change = np.abs(exact - nearest)
    off = change > np.maximum(1e-6, 1e-12 * nearest)
    worst = float((change[off] / nearest[off]).max()) if off.any() else 0.0
    return nearest.astype(np.int64), int(off.sum()), worst


def stale_bars(unchanged: Flags, stale_after: int | None, share_window: int = STALE_SHARE_WINDOW) -> Flags:
    """Tell which bars of one instrument nobody can have traded at, from what was known at each.

    A bar is stale once the price has not moved for `stale_after` bars in a row, and while more than half of the last
    `share_window` bars did not move (an instrument that trades every other week is no more liquid on the day it does).

    Parameters
    ----------
    unchanged : ndarray of bool
        Whether each bar repeats the one before it; the first never does.
    stale_after : int or None
        None flags nothing.

    Examples
    --------
    >>> import numpy as np
    >>> stale_bars(np.array([False, True, True, True, False, True]), stale_after=2).tolist()
    [False, False, True, True, False, False]
    """
    count = len(unchanged)
    if stale_after is None or count == 0:
        return np.zeros(count, np.bool_)
    position = np.arange(count)
    last_move = np.maximum.accumulate(np.where(unchanged, 0, position))
    stale = position - last_move >= stale_after
    if count > share_window:
        idle = np.cumsum(unchanged)
        stale[share_window:] |= 2 * (idle[share_window:] - idle[:-share_window]) > share_window
    return stale
