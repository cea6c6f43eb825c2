"""The main job's risk model: constant correlation on exponentially weighted volatilities, and the book's tail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmas.agent import UNIVERSE, Context, Reasoning
from fastmas.errors import ConfigError
from fastmas.messages import Observation
from fastmas.risk.value_at_risk import TailRisk, filtered, historical
from fastmas.strategies.window import Window

__all__ = ["RiskModel"]

MICRO = 1_000_000
SESSIONS_A_YEAR = 252.0
UNKNOWN = TailRisk(float("nan"), float("nan"))


class RiskModel(Reasoning):
    """Says how volatile each instrument is, how much they move together, and what the book can lose in a day.

    Observation values: ``ids``, ``volatility`` (a day), ``correlation`` (the mean pairwise one of the last `length`
    sessions, negative ones as zero), ``tradable``; ``var`` and ``es`` of the holdings as last committed over the
    next session, as positive shares of equity, by EWMA-filtered historical simulation, and ``plain_var`` and
    ``plain_es`` without the filter (NaN until `window` returns are there, and without holdings).

    Its parameter is the price of risk: the predicted volatility of the blend, at the tilt the blend now has, over the
    blend's budget, dearer when few instruments stand above their average. The blend lowers its tilt as the price
    rises; the two settle together.

    Parameters
    ----------
    length : int, default 126
        Sessions of returns that the correlation is estimated on.
    window : int, default 1000
        Sessions of returns in the historical simulation.
    level : float, default 0.99
        Of value at risk and expected shortfall.
    decay : float, default 0.94
        Of the filter, a session.
    price_increment : float, default 0.001
        Of all instruments, in currency units.
    lot_size : int, default 1
        Of all instruments.
    """

    join = True
    subscribes = ("breadth", "returns", "volatility")
    initial_parameters = (1.0,)
    parameter_names = ("price of risk",)

    def __init__(
        self,
        length: int = 126,
        window: int = 1000,
        level: float = 0.99,
        decay: float = 0.94,
        price_increment: float = 0.001,
        lot_size: int = 1,
    ) -> None:
        if length < 2 or window < length:
            raise ConfigError(
                f"the risk model needs 2 <= length <= window, got {length} and {window}; try 126 and 1000"
            )
        filtered(np.zeros(window), level, decay)  # refuses a level or decay that the window cannot serve
        self._length = length
        self._level = level
        self._decay = decay
        self._unit_micro = round(price_increment * MICRO) * lot_size
        self._returns = Window(window)
        self._correlation = float("nan")
        self._mean_volatility = float("nan")
        self._breadth = float("nan")
        self._count = 0

    def reason(self, observation: Any, ctx: Context) -> Any:
        returns = volatility = None
        for message in observation:
            if "return" in message.values:
                returns = message
            elif "volatility" in message.values:
                volatility = message
            elif "breadth" in message.values:
                self._breadth = message["breadth"]
        if returns is None or volatility is None:
            raise ConfigError(
                "the risk model needs one observation with 'return' and one with 'volatility' a slice, "
                f"got {[sorted(message.values) for message in observation]}; subscribe it to Returns and Volatility"
            )
        change = returns["return"]
        self._returns.push(np.where(np.isnan(change), 0.0, change))
        daily = volatility["volatility"]
        if len(self._returns) < self._length:
            return None
        known = ~np.isnan(daily) & (returns["tradable"] > 0.0)
        self._count = int(known.sum())
        if self._count < 1:
            return None
        self._correlation = self._mean_correlation(daily)
        self._mean_volatility = float(daily[known].mean())
        tail, plain = self._tails(returns, ctx)
        return Observation(
            UNIVERSE,
            ctx.now_ns,
            {
                "ids": returns["ids"],
                "volatility": daily,
                "correlation": self._correlation,
                "tradable": returns["tradable"],
                "var": tail.var,
                "es": tail.es,
                "plain_var": plain.var,
                "plain_es": plain.es,
            },
        )

    def _tails(self, returns: Any, ctx: Context) -> tuple[TailRisk, TailRisk]:
        """What the holdings would have lost on each past session, and its tail: filtered, and as it was."""
        if len(self._returns) < self._returns.length:
            return UNKNOWN, UNKNOWN
        lots = np.array([ctx.holding(instrument) for instrument in returns["ids"].tolist()], np.float64)
        if not lots.any():
            return UNKNOWN, UNKNOWN
        shares = lots * returns["last"] * (self._unit_micro / ctx.equity)
        pnl = self._returns.rows @ shares
        return filtered(pnl, self._level, self._decay), historical(pnl, self._level)

    def _mean_correlation(self, daily: NDArray[np.float64]) -> float:
        """Mean pairwise correlation, from the variance of the sum of standardised returns: O(length x instruments).

        Only of instruments that have a volatility: their missing returns count as zero.
        """
        chosen = self._returns.rows[-self._length :, ~np.isnan(daily)]
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
        mood = 1.0 if np.isnan(self._breadth) else 1.5 - self._breadth
        return np.array([mood * self._mean_volatility * np.sqrt(SESSIONS_A_YEAR * share) / budget])
