"""The main job's risk model: constant correlation on exponentially weighted volatilities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmas.agent import UNIVERSE, Context, Reasoning
from fastmas.messages import Observation
from fastmas.strategies.window import Window

__all__ = ["RiskModel"]


class RiskModel(Reasoning):
    """Says how volatile each instrument is and how much they move together.

    Observation values: ``ids``, ``volatility`` (a day), ``correlation`` (the mean pairwise one of the last `length`
    sessions, shrunk towards one half), ``tradable``.

    Its parameter is the price of risk: the predicted volatility of the blend, at the tilt the blend now has, over the
    blend's budget. The blend lowers its tilt as the price rises; the two settle together.

    Parameters
    ----------
    length : int, default 126
        Sessions of returns that the correlation is estimated on.
    """

    join = True
    subscribes = ("returns", "volatility")
    initial_parameters = (1.0,)

    def __init__(self, length: int = 126) -> None:
        self._returns = Window(length)
        self._correlation = float("nan")
        self._mean_volatility = float("nan")
        self._count = 0

    def reason(self, observation: Any, ctx: Context) -> Any:
        returns, volatility = observation
        self._returns.push(returns["return"])
        daily = volatility["volatility"]
        if len(self._returns) < self._returns.length:
            return None
        known = ~np.isnan(daily) & (returns["tradable"] > 0.0)
        self._count = int(known.sum())
        if self._count < 1:
            return None
        self._correlation = 0.5 * self._mean_correlation(daily) + 0.25
        self._mean_volatility = float(daily[known].mean())
        return Observation(
            UNIVERSE,
            ctx.now_ns,
            {
                "ids": returns["ids"],
                "volatility": daily,
                "correlation": self._correlation,
                "tradable": returns["tradable"],
            },
        )

    def _mean_correlation(self, daily: NDArray[np.float64]) -> float:
        """Mean pairwise correlation, from the variance of the sum of standardised returns: O(length x instruments)."""
        rows = self._returns.rows
        complete = ~np.isnan(rows).any(axis=0) & ~np.isnan(daily)
        count = int(complete.sum())
        if count < 2:
            return 0.5
        chosen = rows[:, complete]
        spread = chosen.std(axis=0)
        moving = spread > 0.0
        count = int(moving.sum())
        if count < 2:
            return 0.5
        standard = (chosen[:, moving] - chosen[:, moving].mean(axis=0)) / spread[moving]
        variance = float(standard.sum(axis=1).var())
        return min(1.0, max(0.0, (variance - count) / (count * (count - 1))))

    def update_parameters(self, parameters: Mapping[str, NDArray[np.float64]], ctx: Context) -> NDArray[np.float64]:
        blend = parameters.get("blend")
        if blend is None or self._count < 2 or np.isnan(self._correlation):
            return parameters[self.name]
        tilt, budget = float(blend[2]), float(blend[3])
        # A tilted book of n names behaves like one of n / (1 + tilt**2) equal ones.
        names = max(1.0, self._count / (1.0 + tilt * tilt))
        share = self._correlation + (1.0 - self._correlation) / names
        return np.array([self._mean_volatility * np.sqrt(252.0 * share) / budget])
