"""The main job's decision agent: blends views by theta under a risk budget, once a month."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmas.agent import Context, Decision
from fastmas.errors import ConfigError
from fastmas.messages import Intent, Observation, Review
from fastmas.strategies.signals import MOMENTUM, REVERSION

__all__ = ["Blend"]

HALF_DAY_NS = 12 * 3600 * 1_000_000_000
MICRO = 1_000_000
PRIOR_ODDS = 2.0  # of momentum against mean reversion


class Blend(Decision):
    """Long-only weights around equal ones, tilted by the views, scaled to a volatility budget; the rest stays in cash.

    Decides at the close of each month's first session, for execution at the next close. Changes smaller than the band
    are left alone. Its parameters are (share of momentum, share of mean reversion, tilt, budget). The shares follow the
    signal agents' confidence, two to one for momentum before any evidence, since a view of twelve months suits a book
    that turns monthly better than one of five days. The tilt shrinks as the risk model's price of risk rises. It asks
    for a review of all parameters after each decision, so what is learned this month is used from the next.

    Parameters
    ----------
    budget : float, default 0.14
        Annualised volatility that the book may have at most.
    band : float, default 0.005
        Share of equity by which a weight must be off before it is traded.
    tilt : float, default 1.0
        Weight change, relative to equal weights, for one standard deviation of view, if risk had no price; half of it
        at a price of one.
    max_gross : float, default 0.98
        Holdings over equity at most; the rest covers costs and the move until the fill.
    price_increment : float, default 0.001
        Of all instruments, in currency units.
    lot_size : int, default 1
        Of all instruments.
    """

    join = True
    initial_parameters = (2 / 3, 1 / 3, 0.5, 0.14)
    parameter_names = ("share of momentum", "share of mean reversion", "tilt", "budget")

    def __init__(
        self,
        budget: float = 0.14,
        band: float = 0.005,
        tilt: float = 1.0,
        max_gross: float = 0.98,
        price_increment: float = 0.001,
        lot_size: int = 1,
    ) -> None:
        for name, value, high in (("budget", budget, 2.0), ("band", band, 0.5), ("max_gross", max_gross, 1.0)):
            if not 0.0 < value <= high:
                raise ConfigError(f"{name} must be in (0, {high:g}], got {value!r}")
        if tilt < 0.0:
            raise ConfigError(f"tilt must not be negative, got {tilt!r}")
        self.subscribes = ("returns", "momentum_signal", "reversion_signal", "risk_model")
        self.initial_parameters = (PRIOR_ODDS / (PRIOR_ODDS + 1.0), 1.0 / (PRIOR_ODDS + 1.0), tilt / 2.0, budget)
        self._band = band
        self._tilt = tilt
        self._max_gross = max_gross
        self._unit_micro = round(price_increment * MICRO) * lot_size
        self._month: tuple[int, int] | None = None

    def decide(self, signal: Any, ctx: Context) -> Any:
        today = datetime.datetime.fromtimestamp(ctx.now_ns // 1_000_000_000, tz=datetime.UTC)
        month = (today.year, today.month)
        first_session = self._month is not None and month != self._month
        self._month = month
        if not first_session:
            return None
        views, prices, risk = self._sort(signal)
        if prices is None or risk is None or not {MOMENTUM, REVERSION} <= set(views):
            return None
        targets = self._targets(views, prices, risk, ctx)
        review = Review(ts_ns=ctx.now_ns)
        if not targets:
            return review
        return [Intent(ctx.now_ns, targets, ctx.now_ns + HALF_DAY_NS), review]

    @staticmethod
    def _sort(messages: list[Any]) -> tuple[dict[int, Any], Any, Any]:
        views: dict[int, Any] = {}
        prices = risk = None
        for message in messages:
            if isinstance(message, Observation):
                if "correlation" in message.values:
                    risk = message
                elif "close" in message.values:
                    prices = message
            else:
                views[int(message["source"][0])] = message
        return views, prices, risk

    def _targets(self, views: dict[int, Any], prices: Any, risk: Any, ctx: Context) -> dict[int, int]:
        theta = ctx.parameters[self.name]
        ids, close, volatility = prices["ids"], prices["close"], risk["volatility"]
        usable = ~np.isnan(close) & ~np.isnan(volatility) & (prices["tradable"] > 0.0)
        view = np.zeros(len(ids))
        seen = np.zeros(len(ids), dtype=bool)
        column = {int(instrument): k for k, instrument in enumerate(ids)}
        for source, share in ((MOMENTUM, theta[0]), (REVERSION, theta[1])):
            columns = [column[int(instrument)] for instrument in views[source]["instrument"]]
            view[columns] += share * views[source]["score"]
            seen[columns] |= source == MOMENTUM
        usable &= seen
        if not usable.any():
            return {}
        raw = np.where(usable, np.maximum(0.0, 1.0 + theta[2] * view), 0.0)
        if raw.sum() <= 0.0:
            return {}
        weight = raw / raw.sum()
        exposure = weight * np.where(usable, volatility, 0.0) * np.sqrt(252.0)
        correlation = risk["correlation"]
        predicted = np.sqrt(correlation * exposure.sum() ** 2 + (1.0 - correlation) * (exposure**2).sum())
        weight *= min(self._max_gross, float(theta[3]) / predicted) if predicted > 0.0 else 0.0
        return self._quantise(prices, usable, weight, ctx)

    def _quantise(
        self, prices: Any, usable: NDArray[np.bool_], weight: NDArray[np.float64], ctx: Context
    ) -> dict[int, int]:
        """Whole lots; instruments within the band, and those that cannot be traded, keep what they have."""
        ids = prices["ids"].tolist()
        equity = float(ctx.equity)
        unit = np.nan_to_num(prices["last"]) * self._unit_micro
        held = np.array([ctx.position(instrument) for instrument in ids], np.float64)
        goal = np.where(usable, np.floor(np.divide(weight * equity, unit, out=held.copy(), where=usable)), held)
        traded = (goal != held) & ((np.abs(goal - held) * unit > self._band * equity) | (goal == 0.0))
        ceiling = self._max_gross * equity
        if float(np.where(traded, goal, held) @ unit) > ceiling:
            traded |= goal < held  # a band may leave a weight too high, but never on borrowed money
        sold = np.where(traded, np.minimum(goal, held), held)
        bought = np.where(traded, np.maximum(goal - held, 0.0), 0.0)
        wanted = float(bought @ unit)
        if wanted > 0.0:
            bought = np.floor(bought * min(1.0, max(0.0, ceiling - float(sold @ unit)) / wanted))
        lots = (sold + bought).astype(np.int64)
        changed = np.flatnonzero(lots != held.astype(np.int64))
        return {ids[column]: int(lots[column]) for column in changed.tolist()}

    def update_parameters(self, parameters: Mapping[str, NDArray[np.float64]], ctx: Context) -> NDArray[np.float64]:
        momentum = PRIOR_ODDS * float(parameters["momentum_signal"][0])
        reversion = float(parameters["reversion_signal"][0])
        total = momentum + reversion
        share = momentum / total if total > 0.0 else float(parameters[self.name][0])
        price_of_risk = float(parameters["risk_model"][0])
        budget = float(parameters[self.name][3])
        return np.array([share, 1.0 - share, self._tilt / (1.0 + price_of_risk), budget])
