"""What anybody could have done instead: buy and hold, rebalanced equal weight, equal weight at a target volatility.

All pay the same costs, start at the same session and trade as a strategy must: decided at one close, filled at the
next. Cash earns nothing, shares may be split, and nothing is borrowed: purchases shrink to the cash there is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastmas.errors import ConfigError
from fastmas.risk.performance import SESSIONS_A_YEAR

__all__ = [
    "Track",
    "buy_and_hold",
    "equal_weight",
    "first_sessions",
    "follow",
    "volatility_targeted",
    "volatility_weights",
]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Track:
    """How a rule for weights would have fared.

    Attributes
    ----------
    first : int
        The session it starts at, all in cash; the arrays below begin there.
    equity : ndarray of float64, shape (T,)
        In units of the starting capital.
    returns : ndarray of float64, shape (T - 1,)
    traded : ndarray of float64, shape (T,)
        Value bought plus value sold, in the unit of `equity`.
    cost : ndarray of float64, shape (T,)
        Paid in each session, in the unit of `equity`.
    weights : ndarray of float64, shape (T, N)
        Share of equity in each instrument at the close.
    """

    first: int
    equity: Floats
    returns: Floats
    traded: Floats
    cost: Floats
    weights: Floats

    @property
    def turnover(self) -> float:
        """One-way, a year: half of what was traded, as a share of equity."""
        return float((self.traded / self.equity).sum()) / 2.0 * SESSIONS_A_YEAR / len(self.equity)


def first_sessions(dates: NDArray[np.datetime64]) -> Flags:
    """Which sessions are the first of their calendar month, as is known on that very day; never the first row."""
    months = np.asarray(dates, "datetime64[M]")
    return np.concatenate(([False], months[1:] != months[:-1]))


def follow(
    closes: Floats,
    targets: Mapping[int, Floats],
    *,
    first: int = 0,
    cost_bps: float = 5.0,
    tradable: Flags | None = None,
) -> Track:
    """Follow target weights: decided at close t, in shares at that close's prices, traded at the next close.

    What cannot be traded at that close waits, as an order at a venue rests: it is traded at the first close that can,
    or given up at the next decision.

    Parameters
    ----------
    closes : ndarray of float64, shape (T, N)
        In currency units; NaN where there is no bar (an instrument without a bar is not traded, and is carried at its
        last price).
    targets : mapping of int to ndarray of float64, shape (N,)
        Weights by the session they are decided at. What does not add up to one stays in cash.
    first : int, default 0
        The session to start at.
    cost_bps : float, default 5
        Of the value bought or sold, in hundredths of a per cent.
    tradable : ndarray of bool, shape (T, N), optional
        Where an order can fill; by default wherever there is a bar. Stale bars have prices and fill nothing.
    """
    closes = np.asarray(closes, np.float64)
    if closes.ndim != 2 or not 0 <= first < len(closes) - 1:
        raise ConfigError(f"first must leave at least two sessions of closes (T, N), got {first} of {closes.shape}")
    if not 0.0 <= cost_bps < 10_000.0:
        raise ConfigError(f"cost_bps must be in [0, 10000), got {cost_bps!r}")
    rate = cost_bps / 10_000.0
    present = ~np.isnan(closes)
    if tradable is not None and np.shape(tradable) != closes.shape:
        raise ConfigError(f"tradable must have the shape of closes, {closes.shape}, got {np.shape(tradable)}")
    fillable = present if tradable is None else present & tradable
    latest = np.maximum.accumulate(np.where(present, np.arange(len(closes))[:, None], 0), axis=0)
    prices = np.nan_to_num(np.take_along_axis(closes, latest, axis=0), nan=0.0)
    count, width = len(closes) - first, closes.shape[1]
    equity, traded, cost = np.ones(count), np.zeros(count), np.zeros(count)
    weights = np.zeros((count, width))
    cash, shares = 1.0, np.zeros(width)
    start = first
    decisions = sorted(session for session in targets if first <= session < len(closes) - 1)
    for decided, given_up in zip(decisions, [*decisions[1:], len(closes) - 1], strict=True):
        # Value what is held up to the close that fills the orders decided here, then trade at it.
        _hold(prices, shares, cash, start, decided + 1, first, equity, weights)
        goal = np.where(prices[decided] > 0.0, np.nan_to_num(targets[decided]), 0.0) * equity[decided - first]
        wanted = np.divide(goal, prices[decided], out=np.zeros(width), where=prices[decided] > 0.0)
        start = decided + 1
        for fill, due in _fills(fillable[start : given_up + 1], start):
            _hold(prices, shares, cash, start, fill, first, equity, weights)
            trade = np.where(due, wanted - shares, 0.0)
            sold, bought = float(-np.minimum(trade, 0.0) @ prices[fill]), float(np.maximum(trade, 0.0) @ prices[fill])
            affordable = cash + sold * (1.0 - rate)
            if bought > 0.0 and affordable < bought * (1.0 + rate):
                trade = np.where(trade > 0.0, trade * max(0.0, affordable) / (bought * (1.0 + rate)), trade)
            value = float(np.abs(trade) @ prices[fill])
            traded[fill - first], cost[fill - first] = value, value * rate
            cash -= float(trade @ prices[fill]) + value * rate
            shares = shares + trade
            start = fill
    _hold(prices, shares, cash, start, len(closes), first, equity, weights)
    return Track(first, equity, equity[1:] / equity[:-1] - 1.0, traded, cost, weights)


def _fills(fillable: Flags, start: int) -> list[tuple[int, Flags]]:
    """Sessions at which orders sent before `start` fill, and which: each instrument at the first that can."""
    ever = fillable.any(axis=0)
    at = np.argmax(fillable, axis=0)
    return [(start + int(row), ever & (at == row)) for row in np.unique(at[ever])]


def _hold(
    prices: Floats, shares: Floats, cash: float, start: int, stop: int, first: int, equity: Floats, weights: Floats
) -> None:
    values = prices[start:stop] * shares
    total = values.sum(axis=1) + cash
    equity[start - first : stop - first] = total
    weights[start - first : stop - first] = values / total[:, None]


def _equal(tradable: Flags) -> Floats:
    count = int(tradable.sum())
    return tradable / count if count else np.zeros(len(tradable))


def buy_and_hold(closes: Floats, tradable: Flags, *, first: int = 0, cost_bps: float = 5.0) -> Track:
    """Equal weights of what is tradable at `first`, bought at the next close and never touched again."""
    return follow(closes, {first: _equal(tradable[first])}, first=first, cost_bps=cost_bps, tradable=tradable)


def _decisions(dates: NDArray[np.datetime64], first: int) -> list[int]:
    return [first, *(int(session) for session in np.flatnonzero(first_sessions(dates)) if session > first)]


def equal_weight(
    closes: Floats, tradable: Flags, dates: NDArray[np.datetime64], *, first: int = 0, cost_bps: float = 5.0
) -> Track:
    """Equal weights of what is tradable, at `first` and on the first session of each month."""
    targets = {session: _equal(tradable[session]) for session in _decisions(dates, first)}
    return follow(closes, targets, first=first, cost_bps=cost_bps, tradable=tradable)


def volatility_targeted(
    closes: Floats,
    tradable: Flags,
    dates: NDArray[np.datetime64],
    *,
    first: int = 0,
    cost_bps: float = 5.0,
    target: float = 0.15,
    window: int = 63,
) -> Track:
    """Equal weights scaled down when the portfolio's volatility over the last `window` sessions exceeds `target`.

    Parameters
    ----------
    target : float, default 0.15
        Annualised. Never more than fully invested.
    window : int, default 63
        Sessions up to and including the one decided at.
    """
    targets = volatility_weights(closes, tradable, _decisions(dates, first), target=target, window=window)
    return follow(closes, targets, first=first, cost_bps=cost_bps, tradable=tradable)


def volatility_weights(
    closes: Floats, tradable: Flags, sessions: Sequence[int], *, target: float = 0.15, window: int = 63
) -> dict[int, Floats]:
    """The weights that `volatility_targeted` decides on at the close of each of `sessions`."""
    if not target > 0.0 or window < 2:
        raise ConfigError(f"target must be positive and window at least 2, got {target!r} and {window!r}")
    closes = np.asarray(closes, np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        changes = np.nan_to_num(closes[1:] / closes[:-1] - 1.0, nan=0.0)  # row t - 1 is the return up to session t
    targets = {}
    for session in sessions:
        weights = _equal(tradable[session])
        recent = changes[max(0, session - window) : session] @ weights
        realised = float(recent.std(ddof=1)) * SESSIONS_A_YEAR**0.5 if len(recent) >= 2 else 0.0
        targets[session] = weights * min(1.0, target / realised) if realised > 0.0 else weights
    return targets
