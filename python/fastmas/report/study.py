"""The figures of a run that its table and its page show; plain data, filled in by whoever runs the study."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Difference", "Drill", "Line", "Study", "TailRisk"]

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Line:
    """Performance of one way to hold the stocks, over the common window.

    Attributes
    ----------
    name, caption : str
    total_return, annual_return, volatility, max_drawdown : float
        Shares: 0.1 is 10 %; volatility annualised with 252 sessions; drawdown positive.
    sharpe, sharpe_low, sharpe_high : float
        Annualised, cash at zero, with its 95 % interval.
    turnover : float
        Traded notional a year, as a multiple of equity, one way.
    costs : float
        Fees and slippage a year, as a share of equity.
    """

    name: str
    caption: str
    total_return: float
    annual_return: float
    volatility: float
    sharpe: float
    sharpe_low: float
    sharpe_high: float
    max_drawdown: float
    turnover: float
    costs: float


@dataclass(frozen=True, slots=True)
class Difference:
    """Whether the run beats a benchmark by more than chance."""

    benchmark: str
    annual_difference: float
    t_statistic: float


@dataclass(frozen=True, slots=True)
class TailRisk:
    """One-day VaR and ES at 99 % and how often a day was worse.

    Attributes
    ----------
    name : str
    var, es : ndarray of float64, shape (days,)
        Positive losses, as a share of equity, forecast for the day from the evening before.
    breaches : ndarray of bool, shape (days,)
    expected : float
        Breaches that a right model would show.
    kupiec_lr, p_value : float
        Kupiec's proportion-of-failures test.
    """

    name: str
    var: Vector
    es: Vector
    breaches: NDArray[np.bool_]
    expected: float
    kupiec_lr: float
    p_value: float

    @property
    def count(self) -> int:
        return int(self.breaches.sum())


@dataclass(frozen=True, slots=True)
class Drill:
    """What was broken on purpose, and what came of it, beside a fail-over without consensus."""

    first: str
    last: str
    loss: float
    crashed: tuple[int, ...]
    leader_changes: int
    decisions: int
    orders: int
    lost: int
    resent: int
    refused: int
    duplicates: int
    same_ledger_head: bool
    naive_orders: int
    naive_duplicates: int
    naive_excess_lots: int
    naive_wrong_positions: int


@dataclass(frozen=True)
class Study:
    """Everything that is shown of a run.

    Attributes
    ----------
    report : Report
    title : str
    first, last : str
        Dates of the common window (after warm-up), the same for every line.
    sessions : int
    lines : tuple of Line
        The run first, then its benchmarks.
    decades : tuple of (label, tuple of Line)
    at_costs : tuple of (bps, Line)
        The run again at other costs.
    differences : tuple of Difference
    tail_risk : tuple of TailRisk
    risk_ts_ns, pnl : ndarray, shape (days,)
        Days of the VaR forecasts and hypothetical P&L of yesterday's holdings, as a share of equity.
    ts_ns : ndarray of int64, shape (sessions,)
    curves : dict of name to ndarray, shape (sessions,)
        Equity, 1.0 at the window's start.
    exposure : ndarray of float64, shape (sessions,)
        Holdings at their marks over equity.
    thetas : dict of agent to (ts_ns, values of shape (reviews, d))
    theta_names : dict of agent to tuple of str
        What the d entries are called; without an entry they are numbered.
    messages_per_decision : ndarray
    drill : Drill or None
    notes : tuple of str
        What is left out, and why.
    caveats : tuple of str
    problems : tuple of str
        What the feed found wrong with the data.
    """

    report: Any
    title: str
    first: str
    last: str
    sessions: int
    lines: tuple[Line, ...]
    decades: tuple[tuple[str, tuple[Line, ...]], ...]
    at_costs: tuple[tuple[float, Line], ...]
    differences: tuple[Difference, ...]
    tail_risk: tuple[TailRisk, ...]
    risk_ts_ns: NDArray[np.int64]
    pnl: Vector
    ts_ns: NDArray[np.int64]
    curves: dict[str, Vector]
    exposure: Vector
    thetas: dict[str, tuple[NDArray[np.int64], Vector]]
    messages_per_decision: Vector
    drill: Drill | None = None
    notes: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    theta_names: dict[str, tuple[str, ...]] = field(default_factory=dict)
