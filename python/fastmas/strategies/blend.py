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


class Blend(Decision):
    """Long-only weights around equal ones, tilted by the views, scaled to a volatility budget; the rest stays in cash.

    Decides at the close of each month's first session, for execution at the next close. Changes smaller than the band
    are left alone. Its parameters are (share of momentum, share of mean reversion, tilt, budget): the shares follow the
    signal agents' confidence, the tilt shrinks as the risk model's price of risk rises. It asks for a review of all
    parameters after each decision, so what is learned this month is used from the next.

    Parameters
    ----------
    budget : float, default 0.14
        Annualised volatility that the book may have at most.
    band : float, default 0.005
        Share of equity by which a weight must be off before it is traded.
    tilt : float, default 0.4
        Weight change, relative to equal weights, for one standard deviation of view, at a price of risk of one.
    max_gross : float, default 0.98
        Holdings over equity at most; the rest covers costs and the move until the fill.
    price_increment : float, default 0.001
        Of all instruments, in currency units.
    """

    join = True
    initial_parameters = (0.5, 0.5, 0.2, 0.14)

    def __init__(
        self,
        budget: float = 0.14,
        band: float = 0.005,
        tilt: float = 0.4,
        max_gross: float = 0.98,
        price_increment: float = 0.001,
    ) -> None:
        for name, value, high in (("budget", budget, 2.0), ("band", band, 0.5), ("max_gross", max_gross, 1.0)):
            if not 0.0 < value <= high:
                raise ConfigError(f"{name} must be in (0, {high:g}], got {value!r}")
        if tilt < 0.0:
            raise ConfigError(f"tilt must not be negative, got {tilt!r}")
        self.subscribes = ("returns", "momentum_signal", "reversion_signal", "risk_model")
        self.initial_parameters = (0.5, 0.5, tilt / 2.0, budget)
        self._band = band
        self._tilt = tilt
        self._max_gross = max_gross
        self._increment_micro = round(price_increment * MICRO)
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
        return self._quantise(ids, close, usable, weight, ctx)

    def _quantise(
        self,
        ids: NDArray[np.int64],
        close: NDArray[np.float64],
        usable: NDArray[np.bool_],
        weight: NDArray[np.float64],
        ctx: Context,
    ) -> dict[int, int]:
        """Whole lots; instruments within the band, and those that cannot be traded, keep what they have."""
        equity = ctx.equity
        targets: dict[int, int] = {}
        for k in np.flatnonzero(usable):
            instrument = int(ids[k])
            unit = float(close[k]) * self._increment_micro
            held = ctx.position(instrument)
            lots = int(float(weight[k]) * equity / unit)
            if lots != held and (abs(lots - held) * unit > self._band * equity or lots == 0):
                targets[instrument] = lots
        return targets

    def update_parameters(self, parameters: Mapping[str, NDArray[np.float64]], ctx: Context) -> NDArray[np.float64]:
        momentum = float(parameters["momentum_signal"][0])
        reversion = float(parameters["reversion_signal"][0])
        total = momentum + reversion
        share = momentum / total if total > 0.0 else 0.5
        price_of_risk = float(parameters["risk_model"][0])
        budget = float(parameters[self.name][3])
        return np.array([share, 1.0 - share, self._tilt / (1.0 + price_of_risk), budget])
