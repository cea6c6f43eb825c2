"""Perception agents of the main job: prices and returns, volatility, breadth. Each looks at whole slices of bars."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastmas.agent import UNIVERSE, Context, Perception
from fastmas.errors import ConfigError
from fastmas.messages import BarFlag, Observation
from fastmas.strategies.window import Universe, Window

__all__ = ["Breadth", "Returns", "Volatility"]

STALE = int(BarFlag.STALE)


class Returns(Perception):
    """Prices and one-day simple returns of every instrument that has listed.

    Observation values, one entry a column: ``ids``, ``close`` in price increments (NaN without a bar), ``last`` (the
    latest close there was), ``return`` since that close (NaN without two), ``tradable`` (0 where the bar is stale or
    missing).
    """

    def __init__(self) -> None:
        self._universe = Universe()
        self._last = np.zeros(0)

    def perceive_many(self, bars: Any, ctx: Context) -> Observation:
        columns = self._universe.columns(bars["instrument"])
        close = np.full(len(self._universe), np.nan)
        close[columns] = bars["close"]
        last = np.full(len(close), np.nan)
        last[: len(self._last)] = self._last
        tradable = np.zeros(len(close))
        tradable[columns] = (bars["flags"] & STALE) == 0
        change = close / last - 1.0
        self._last = np.where(np.isnan(close), last, close)
        return Observation(
            UNIVERSE,
            ctx.now_ns,
            {
                "ids": self._universe.ids,
                "close": close,
                "last": self._last,
                "return": change,
                "tradable": tradable,
            },
        )


class Volatility(Perception):
    """Exponentially weighted daily volatility of every instrument.

    Observation values: ``ids``, ``volatility`` (a day, as a share of price; NaN during the first `warm_up` returns).

    Parameters
    ----------
    decay : float, default 0.94
    warm_up : int, default 60
        Returns needed before a volatility is given.
    """

    def __init__(self, decay: float = 0.94, warm_up: int = 60) -> None:
        if not 0.0 < decay < 1.0 or warm_up < 1:
            raise ConfigError(
                f"volatility needs a decay in (0, 1) and a warm_up of at least 1, got {decay!r} and {warm_up!r}"
            )
        self.decay = decay
        self.warm_up = warm_up
        self._returns = Returns()
        self._variance = np.zeros(0)
        self._count = np.zeros(0)

    def perceive_many(self, bars: Any, ctx: Context) -> Observation:
        seen = self._returns.perceive_many(bars, ctx)
        change = seen["return"]
        missing = len(change) - len(self._variance)
        if missing:
            self._variance = np.r_[self._variance, np.zeros(missing)]
            self._count = np.r_[self._count, np.zeros(missing)]
        known = ~np.isnan(change)
        squared = np.where(known, change, 0.0) ** 2
        # The first returns are averaged, so that the estimate does not start from one day's square.
        weight = np.maximum(1.0 - self.decay, 1.0 / (self._count + 1.0))
        self._variance = np.where(known, self._variance + weight * (squared - self._variance), self._variance)
        self._count += known
        volatility = np.where(self._count >= self.warm_up, np.sqrt(self._variance), np.nan)
        return Observation(UNIVERSE, ctx.now_ns, {"ids": seen["ids"], "volatility": volatility})


class Breadth(Perception):
    """How many instruments stand above their own average of `length` sessions: the market's state in one number.

    Observation values: ``breadth`` in [0, 1], NaN until one instrument has a full window.
    """

    def __init__(self, length: int = 200) -> None:
        if length < 2:
            raise ConfigError(f"breadth needs a length of at least two sessions, got {length!r}; try 200")
        self._universe = Universe()
        self._window = Window(length)

    def perceive_many(self, bars: Any, ctx: Context) -> Observation:
        columns = self._universe.columns(bars["instrument"])
        close = np.full(len(self._universe), np.nan)
        close[columns] = bars["close"]
        self._window.push(close)
        breadth = float("nan")
        if len(self._window) == self._window.length:
            average = self._window.rows.mean(axis=0)
            known = ~np.isnan(average) & ~np.isnan(close)
            if known.any():
                breadth = float((close[known] > average[known]).mean())
        return Observation(UNIVERSE, ctx.now_ns, {"breadth": breadth})
