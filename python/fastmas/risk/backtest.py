"""Does the value at risk hold? Breaches counted on yesterday's holdings against hypothetical P&L, and their tests."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastmas.errors import ConfigError
from fastmas.risk.value_at_risk import rolling

__all__ = ["Backtest", "LikelihoodRatio", "backtest", "christoffersen", "kupiec"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class LikelihoodRatio:
    """A likelihood-ratio test.

    Attributes
    ----------
    statistic : float
        Asymptotically chi-squared under the null hypothesis.
    p_value : float
        Chance of a statistic at least as large if the model is right; below 0.05 one doubts the model.
    """

    statistic: float
    p_value: float


def _chi2_tail(statistic: float, degrees: int) -> float:
    """P(chi-squared > statistic) for one or two degrees of freedom."""
    return math.erfc(math.sqrt(statistic / 2.0)) if degrees == 1 else math.exp(-statistic / 2.0)


def _log_likelihood(hits: int, misses: int, chance: float) -> float:
    """Of a run of independent draws; 0 log 0 is 0."""
    total = 0.0
    if hits:
        total += hits * math.log(chance) if chance > 0.0 else -math.inf
    if misses:
        total += misses * math.log1p(-chance) if chance < 1.0 else -math.inf
    return total


def kupiec(breaches: int, observations: int, level: float = 0.99) -> LikelihoodRatio:
    """Kupiec's (1995) test of the proportion of failures: are there as many breaches as the level promises?

    Parameters
    ----------
    breaches, observations : int
    level : float, default 0.99

    Examples
    --------
    >>> kupiec(10, 1000).statistic
    0.0
    >>> round(kupiec(20, 1000).p_value, 4)
    0.0051
    """
    if observations < 1 or not 0 <= breaches <= observations:
        raise ConfigError(
            f"breaches must be from 0 to observations, and observations at least 1, got {breaches} of {observations}"
        )
    if not 0.0 < level < 1.0:
        raise ConfigError(f"level must be in (0, 1), got {level!r}")
    misses = observations - breaches
    null = _log_likelihood(breaches, misses, 1.0 - level)
    free = _log_likelihood(breaches, misses, breaches / observations)
    statistic = max(0.0, 2.0 * (free - null))
    if breaches == round(observations * (1.0 - level), 9):
        statistic = 0.0  # what the subtraction leaves is rounding
    return LikelihoodRatio(statistic, _chi2_tail(statistic, 1))


def christoffersen(breaches: Flags, level: float = 0.99) -> tuple[LikelihoodRatio, LikelihoodRatio]:
    """Christoffersen's (1998) tests: do breaches cluster, and do coverage and independence hold together?

    Parameters
    ----------
    breaches : ndarray of bool, shape (n,)
        In time order, at least two.
    level : float, default 0.99

    Returns
    -------
    independence : LikelihoodRatio
        One degree of freedom.
    conditional_coverage : LikelihoodRatio
        Kupiec's and the independence statistic together, two degrees of freedom.
    """
    flags = np.asarray(breaches, np.bool_)
    if len(flags) < 2:
        raise ConfigError(f"independence needs at least two observations, got {len(flags)}")
    before, after = flags[:-1], flags[1:]
    calm_hit = int((~before & after).sum())
    calm_miss = int((~before & ~after).sum())
    hit_hit = int((before & after).sum())
    hit_miss = int((before & ~after).sum())
    pooled = _log_likelihood(calm_hit + hit_hit, calm_miss + hit_miss, (calm_hit + hit_hit) / len(before))
    free = _log_likelihood(calm_hit, calm_miss, calm_hit / max(1, calm_hit + calm_miss))
    free += _log_likelihood(hit_hit, hit_miss, hit_hit / max(1, hit_hit + hit_miss))
    independence = max(0.0, 2.0 * (free - pooled))
    joint = kupiec(int(flags.sum()), len(flags), level).statistic + independence
    return (
        LikelihoodRatio(independence, _chi2_tail(independence, 1)),
        LikelihoodRatio(joint, _chi2_tail(joint, 2)),
    )


@dataclass(frozen=True, slots=True)
class Backtest:
    """How value at risk fared. Row k of each array: forecast at the end of period `at[k]`, outcome of the next.

    Attributes
    ----------
    level : float
    at : ndarray of int64
        Periods at whose end a forecast was made and whose next period is known.
    var, es : ndarray of float64
        Forecasts, positive losses in the unit of the holdings.
    pnl : ndarray of float64
        Hypothetical P&L of the next period: those holdings, unchanged, times the next period's returns.
    breaches : ndarray of bool
        Where the loss exceeded `var`.
    kupiec, independence, conditional_coverage : LikelihoodRatio
    """

    level: float
    at: NDArray[np.int64]
    var: Floats
    es: Floats
    pnl: Floats
    breaches: Flags
    kupiec: LikelihoodRatio
    independence: LikelihoodRatio
    conditional_coverage: LikelihoodRatio

    @property
    def observations(self) -> int:
        """Forecasts with a known outcome."""
        return len(self.at)

    @property
    def count(self) -> int:
        """Breaches."""
        return int(self.breaches.sum())

    @property
    def expected(self) -> float:
        """Breaches to expect if the model is right."""
        return self.observations * (1.0 - self.level)

    @property
    def shortfall_ratio(self) -> float:
        """Mean loss on breach days over their mean ES forecast; 1 if the model is right, NaN without breaches."""
        if not self.breaches.any():
            return float("nan")
        return float(-self.pnl[self.breaches].mean() / self.es[self.breaches].mean())


def backtest(
    returns: Floats,
    holdings: Floats,
    *,
    window: int = 1000,
    level: float = 0.99,
    decay: float | None = 0.94,
) -> Backtest:
    """Forecast VaR at each period's end and compare it with what the same holdings gained in the next.

    Parameters
    ----------
    returns, holdings : ndarray of float64, shape (T, N)
        As in `rolling`. Periods that end without any holding are left out.
    window, level, decay
        As in `rolling`.

    Raises
    ------
    ConfigError
        When no forecast has a known outcome.
    """
    var, es = rolling(returns, holdings, window=window, level=level, decay=decay)
    outcome = (np.asarray(holdings, np.float64)[:-1] * np.nan_to_num(returns, nan=0.0)[1:]).sum(axis=1)
    at = np.flatnonzero(~np.isnan(var[:-1]) & np.any(np.asarray(holdings)[:-1] != 0.0, axis=1))
    if len(at) < 2:
        raise ConfigError(
            f"a backtest needs more than {window + 1} periods with holdings, got {len(returns)}; shorten the window"
        )
    breaches = outcome[at] < -var[at]
    independence, conditional = christoffersen(breaches, level)
    return Backtest(
        level,
        at,
        var[at],
        es[at],
        outcome[at],
        breaches,
        kupiec(int(breaches.sum()), len(at), level),
        independence,
        conditional,
    )
