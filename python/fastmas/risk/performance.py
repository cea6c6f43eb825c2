"""Performance figures with their uncertainty; what cannot be told from luck should look so.

All figures are of simple returns per session, annualised with 252 sessions a year. Nothing is subtracted for a riskless
rate: cash earns nothing here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastmas.errors import ConfigError

__all__ = [
    "SESSIONS_A_YEAR",
    "Drawdown",
    "Performance",
    "annualised_return",
    "annualised_turnover",
    "by_decade",
    "max_drawdown",
    "newey_west_error",
    "newey_west_t",
    "performance",
    "sharpe",
    "sharpe_interval",
    "volatility",
]

Floats = NDArray[np.float64]

SESSIONS_A_YEAR = 252
_NORMAL_95 = 1.959963984540054


def _series(returns: Floats, least: int = 2) -> Floats:
    series = np.asarray(returns, np.float64)
    if series.ndim != 1 or len(series) < least:
        raise ConfigError(f"returns must be one series of at least {least}, got shape {series.shape}")
    if not np.isfinite(series).all():
        raise ConfigError(
            f"returns must be finite, got {series[~np.isfinite(series)][0]} at {int(np.argmin(np.isfinite(series)))}"
        )
    return series


def annualised_return(returns: Floats) -> float:
    """The constant yearly rate that compounds to the same end."""
    series = _series(returns, 1)
    if (series <= -1.0).any():
        return -1.0
    return math.expm1(float(np.log1p(series).sum()) * SESSIONS_A_YEAR / len(series))


def volatility(returns: Floats) -> float:
    """Annualised standard deviation (n - 1 in the denominator)."""
    return float(_series(returns).std(ddof=1)) * math.sqrt(SESSIONS_A_YEAR)


def sharpe(returns: Floats) -> float:
    """Annualised mean over annualised volatility; NaN when nothing moves."""
    series = _series(returns)
    deviation = float(series.std(ddof=1))
    return float(series.mean()) / deviation * math.sqrt(SESSIONS_A_YEAR) if deviation > 0.0 else math.nan


def newey_west_error(series: Floats, lags: int | None = None) -> float:
    """Standard error of a mean under autocorrelation and changing variance (Newey & West 1987, Bartlett weights).

    Parameters
    ----------
    series : ndarray of float64, shape (n,)
    lags : int, optional
        By default floor(4 * (n / 100) ** (2 / 9)) (Newey & West 1994).
    """
    series = _series(series)
    count = len(series)
    if lags is None:
        lags = int(4.0 * (count / 100.0) ** (2.0 / 9.0))
    if not 0 <= lags < count:
        raise ConfigError(f"lags must be from 0 to the number of observations less one, got {lags} for {count}")
    centred = series - series.mean()
    long_run = float(centred @ centred) / count
    for lag in range(1, lags + 1):
        long_run += 2.0 * (1.0 - lag / (lags + 1.0)) * float(centred[lag:] @ centred[:-lag]) / count
    return math.sqrt(max(0.0, long_run) / count)


def newey_west_t(returns: Floats, other: Floats, lags: int | None = None) -> float:
    """t-statistic of the mean difference of two return series over the same periods.

    Below 2 in size, the difference cannot be told from luck. NaN when the two do not differ.
    """
    series, against = _series(returns), _series(other)
    if len(series) != len(against):
        raise ConfigError(f"the two series must be of the same periods, got {len(series)} and {len(against)} returns")
    difference = series - against
    error = newey_west_error(difference, lags)
    return float(difference.mean()) / error if error > 0.0 else math.nan


def sharpe_interval(returns: Floats, lags: int | None = None) -> tuple[float, float]:
    """95 % confidence interval of the annualised Sharpe ratio.

    The delta method on mean and variance (Lo 2002), with Newey-West errors in place of independent returns (Ledoit &
    Wolf 2008), so that fat tails, skew and volatility clusters widen it as they should.
    """
    series = _series(returns)
    mean, deviation = float(series.mean()), float(series.std())
    if not deviation > 0.0:
        return math.nan, math.nan
    centred = (series - mean) / deviation
    ratio = mean / deviation
    influence = centred - ratio / 2.0 * (centred**2 - 1.0)
    error = newey_west_error(influence, lags)
    scale = math.sqrt(SESSIONS_A_YEAR)
    middle = sharpe(series)
    return middle - _NORMAL_95 * error * scale, middle + _NORMAL_95 * error * scale


@dataclass(frozen=True, slots=True)
class Drawdown:
    """The deepest fall from a peak.

    Attributes
    ----------
    depth : float
        As a share of the peak, positive.
    peak, trough : int
        Positions in the equity series.
    """

    depth: float
    peak: int
    trough: int


def max_drawdown(equity: Floats) -> Drawdown:
    """The largest fall of an equity series from its highest point before."""
    equity = np.asarray(equity, np.float64)
    if equity.ndim != 1 or not len(equity) or not (equity > 0.0).all():
        raise ConfigError("equity must be one series of positive numbers, at least one")
    peaks = np.maximum.accumulate(equity)
    falls = 1.0 - equity / peaks
    trough = int(np.argmax(falls))
    peak = int(np.argmax(equity[: trough + 1]))
    return Drawdown(float(falls[trough]), peak, trough)


def annualised_turnover(traded: Floats, equity: Floats) -> float:
    """One-way turnover a year: half of what was bought and sold, as a share of equity.

    Parameters
    ----------
    traded : ndarray of float64, shape (T,)
        Value bought plus value sold in each session, in currency units.
    equity : ndarray of float64, shape (T,)
        In the same units.
    """
    traded, equity = np.asarray(traded, np.float64), np.asarray(equity, np.float64)
    if traded.shape != equity.shape or not len(equity) or not (equity > 0.0).all():
        raise ConfigError(
            f"traded and equity must be of the same sessions, equity positive, got {traded.shape} and {equity.shape}"
        )
    return float((traded / equity).sum()) / 2.0 * SESSIONS_A_YEAR / len(equity)


@dataclass(frozen=True, slots=True)
class Performance:
    """The figures of one return series.

    Attributes
    ----------
    sessions : int
    annual_return, volatility, sharpe : float
    sharpe_low, sharpe_high : float
        95 % confidence interval.
    max_drawdown : float
        Positive share of the peak.
    """

    sessions: int
    annual_return: float
    volatility: float
    sharpe: float
    sharpe_low: float
    sharpe_high: float
    max_drawdown: float


def performance(returns: Floats) -> Performance:
    """All figures of one series of simple returns per session.

    Examples
    --------
    >>> import numpy as np
    >>> figures = performance(np.tile([0.011, -0.010], 126))
    >>> f"{figures.annual_return:.3f} {figures.volatility:.3f} {figures.sharpe:.2f} {figures.max_drawdown:.3f}"
    '0.119 0.167 0.75 0.010'
    """
    series = _series(returns)
    low, high = sharpe_interval(series)
    equity = np.concatenate(([1.0], np.cumprod(1.0 + series)))
    return Performance(
        len(series),
        annualised_return(series),
        volatility(series),
        sharpe(series),
        low,
        high,
        max_drawdown(equity).depth if (equity > 0.0).all() else 1.0,
    )


def by_decade(returns: Floats, dates: NDArray[np.datetime64]) -> dict[str, Performance]:
    """The figures of each calendar decade ("1990s", ...), by the date on which each return was earned."""
    series = _series(returns)
    if len(dates) != len(series):
        raise ConfigError(f"each return must have its date, got {len(series)} returns and {len(dates)} dates")
    decades = (np.asarray(dates, "datetime64[Y]").astype(np.int64) + 1970) // 10 * 10
    return {
        f"{decade}s": performance(series[decades == decade])
        for decade in np.unique(decades).tolist()
        if int((decades == decade).sum()) >= 2
    }
