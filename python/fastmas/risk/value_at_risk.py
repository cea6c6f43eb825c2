"""Value at risk and expected shortfall by historical simulation, plain and filtered by an EWMA of volatility.

VaR_a(h) and ES_a(h) are losses over a horizon of h periods at level a, positive when money is lost. The filtered one
(Hull & White 1998; Barone-Adesi, Giannopoulos & Vosper 1999) divides each past profit by the volatility forecast of its
day and multiplies by that of tomorrow, so that the answer moves with the market.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastmas.errors import ConfigError

__all__ = ["TailRisk", "ewma_volatility", "filtered", "historical", "rolling"]

Floats = NDArray[np.float64]

_SEED = 30  # observations whose mean square starts the EWMA


@dataclass(frozen=True, slots=True)
class TailRisk:
    """Value at risk and expected shortfall of one period, as positive losses in the unit of the P&L."""

    var: float
    es: float


def _check(level: float, decay: float | None, observations: int) -> None:
    if not 0.5 <= level < 1.0:
        raise ConfigError(f"level must be in [0.5, 1), got {level!r}; 0.99 is the loss of the worst day in a hundred")
    if decay is not None and not 0.0 < decay < 1.0:
        raise ConfigError(f"decay must be in (0, 1), got {decay!r}; 0.94 is usual for daily data")
    needed = int(np.ceil(round(1.0 / (1.0 - level), 9)))
    if observations < needed:
        raise ConfigError(
            f"a level of {level:g} needs at least {needed} observations, got {observations}; lengthen the window"
        )


def _tails(losses: Floats, level: float) -> tuple[Floats, Floats]:
    """VaR and ES along the last axis.

    VaR is the smallest loss that at least a share `level` of the sample does not exceed; ES is the mean of the worst
    share 1 - `level`, the observation at its edge counted in part (Acerbi & Tasche 2002), so that ES >= VaR always.
    """
    count = losses.shape[-1]
    tail = round(count * (1.0 - level), 9)
    whole = int(tail)
    kept = min(whole + 1, count)
    worst = np.partition(losses, count - kept, axis=-1)[..., count - kept :]
    worst.sort(axis=-1)
    edge = worst[..., 0]  # the (whole + 1)-th largest loss
    if whole == count:
        return edge, worst.mean(axis=-1)
    shortfall = (worst[..., 1:].sum(axis=-1) + (tail - whole) * edge) / tail
    return edge, shortfall


def ewma_volatility(pnl: Floats, decay: float = 0.94) -> Floats:
    """Forecast each period's standard deviation from the periods before it, about a mean of zero.

    s2[t+1] = decay * s2[t] + (1 - decay) * x[t]**2, started at the mean square of the first 30 observations.

    Parameters
    ----------
    pnl : ndarray of float64
        P&L or returns in time order along the last axis.
    decay : float, default 0.94

    Returns
    -------
    ndarray of float64
        One longer than `pnl` along the last axis: element t is the forecast for period t, the last one is tomorrow's.

    Examples
    --------
    >>> import numpy as np
    >>> ewma_volatility(np.array([1.0, -1.0, 1.0]), 0.9).round(6).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    squares = np.square(np.asarray(pnl, np.float64))
    count = squares.shape[-1]
    variance = np.empty((*squares.shape[:-1], count + 1))
    variance[..., 0] = squares[..., :_SEED].mean(axis=-1)
    # s2[t+k] = decay**k * (s2[t] + (1 - decay) * sum over j < k of decay**-(j+1) x[t+j]**2), in pieces short enough for
    # decay**-k to stay far from overflow.
    piece = max(1, min(count, int(200.0 / -np.log(decay))))
    growth = decay ** -np.arange(1.0, piece + 1)
    for start in range(0, count, piece):
        part = squares[..., start : start + piece]
        width = part.shape[-1]
        summed = np.cumsum(part * growth[:width], axis=-1)
        variance[..., start + 1 : start + width + 1] = (variance[..., start, None] + (1.0 - decay) * summed) / growth[
            :width
        ]
    return np.sqrt(variance)


def historical(pnl: Floats, level: float = 0.99) -> TailRisk:
    """VaR and ES of the next period by plain historical simulation.

    Parameters
    ----------
    pnl : ndarray of float64, shape (n,)
        What today's holdings would have gained in each past period, in any unit of money.
    level : float, default 0.99

    Returns
    -------
    TailRisk
        In the unit of `pnl`.

    Examples
    --------
    >>> import numpy as np
    >>> historical(np.arange(-500.0, 500.0), 0.99)
    TailRisk(var=490.0, es=495.5)
    """
    pnl = np.asarray(pnl, np.float64)
    _check(level, None, pnl.shape[-1])
    var, es = _tails(-pnl, level)
    return TailRisk(float(var), float(es))


def filtered(pnl: Floats, level: float = 0.99, decay: float = 0.94) -> TailRisk:
    """VaR and ES of the next period by historical simulation filtered by an EWMA.

    Parameters
    ----------
    pnl : ndarray of float64, shape (n,)
        What today's holdings would have gained in each past period, in time order, in any unit of money.
    level : float, default 0.99
    decay : float, default 0.94

    Returns
    -------
    TailRisk
        In the unit of `pnl`.
    """
    pnl = np.asarray(pnl, np.float64)
    _check(level, decay, pnl.shape[-1])
    var, es = _filtered_tails(pnl, level, decay)
    return TailRisk(float(var), float(es))


def _filtered_tails(pnl: Floats, level: float, decay: float) -> tuple[Floats, Floats]:
    volatility = ewma_volatility(pnl, decay)
    past = volatility[..., :-1]
    scaled = np.divide(pnl, past, out=np.zeros_like(pnl), where=past > 0.0)
    var, es = _tails(-scaled, level)
    tomorrow = volatility[..., -1]
    return var * tomorrow, es * tomorrow


def rolling(
    returns: Floats,
    holdings: Floats,
    *,
    window: int = 1000,
    level: float = 0.99,
    decay: float | None = 0.94,
) -> tuple[Floats, Floats]:
    """VaR and ES at each period's end, of the holdings at that end and of the `window` returns up to it.

    Parameters
    ----------
    returns : ndarray of float64, shape (T, N)
        Simple returns per period; row t is what happened up to the end of period t. NaN (no bar) counts as zero.
    holdings : ndarray of float64, shape (T, N)
        Value of each holding at the end of period t, in any unit of money.
    window : int, default 1000
    level : float, default 0.99
    decay : float or None, default 0.94
        None gives plain historical simulation.

    Returns
    -------
    var, es : ndarray of float64, shape (T,)
        For period t + 1, from what was known at the end of t; NaN where there are fewer than `window` returns.
    """
    returns = np.nan_to_num(np.asarray(returns, np.float64), nan=0.0)
    holdings = np.asarray(holdings, np.float64)
    if returns.ndim != 2 or returns.shape != holdings.shape:
        raise ConfigError(f"returns and holdings must have one shape (T, N), got {returns.shape} and {holdings.shape}")
    _check(level, decay, window)
    periods = len(returns)
    var, es = np.full(periods, np.nan), np.full(periods, np.nan)
    if periods < window:
        return var, es
    windows = np.lib.stride_tricks.sliding_window_view(returns, window, axis=0)  # (T - window + 1, N, window)
    block = 64  # a block of hypothetical P&L stays in the cache
    for start in range(window - 1, periods, block):
        stop = min(start + block, periods)
        pnl = np.matmul(holdings[start:stop, None, :], windows[start - window + 1 : stop - window + 1])[:, 0, :]
        tails = _tails(-pnl, level) if decay is None else _filtered_tails(pnl, level, decay)
        var[start:stop], es[start:stop] = tails
    return var, es
