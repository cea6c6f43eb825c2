"""What a run is compared with, and how: the same window, the same costs, no claim that the numbers do not carry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmas.cli.settings import Settings
from fastmas.errors import ConfigError
from fastmas.market.bars import Bars
from fastmas.report import Difference, Drill, Line, Study, TailRisk
from fastmas.risk.backtest import backtest
from fastmas.risk.benchmarks import Track, buy_and_hold, equal_weight, volatility_targeted
from fastmas.risk.performance import annualised_turnover, newey_west_t, performance
from fastmas.world import Report

__all__ = ["build_study"]

Floats = NDArray[np.float64]
SESSIONS_A_YEAR = 252
LEAST_SESSIONS = 60
BUDGET = 0.14
SAMPLE_CAVEATS = (
    "The 20 stocks were chosen because they were large in 2022: survivors. Any way to hold them looks good; see "
    "the benchmarks.",
    "Prices are total-return (dividends and splits adjusted), so dividends are never credited again; an index is "
    "quoted without.",
    "Cash earns nothing, for the run and for every benchmark.",
    "This shows machinery, not skill: nothing here is evidence that the strategy would earn money.",
)
HINDSIGHT_CAVEAT = (
    "Some settings of the default agents (tilt, decay of the volatility, odds of momentum) were chosen on this very "
    "sample."
)
OWN_DATA_CAVEATS = (
    "Whether these prices contain dividends, splits and dead companies is the data's to say; results are only as good.",
    "Cash earns nothing, for the run and for every benchmark.",
)
CAPTIONS = {
    "run": "what this run's agents did",
    "buy and hold": "equal money once, then left alone",
    "equal weight": "equal money again each month",
    "equal wt, vol. target": f"the same, scaled down to {BUDGET:.0%} volatility",
}


class _Curve:
    """Equity, costs and trades of one way to hold the stocks, from the window's first session on."""

    def __init__(self, name: str, equity: Floats, traded: Floats, costs: Floats) -> None:
        self.name = name
        self.equity = equity
        self.traded = traded
        self.costs = costs

    @classmethod
    def of_report(cls, report: Report, first: int) -> _Curve:
        micro = {one.id: one.price_increment_micro * one.lot_size for one in report.instruments}
        traded = np.zeros(len(report.ts_ns))
        for fill in report.fill_records:
            row = int(np.searchsorted(report.ts_ns, fill.ts_ns))
            traded[row] += fill.price * fill.quantity * micro[fill.instrument]
        costs = np.diff(report.costs_micro, prepend=0).astype(np.float64)
        return cls("run", report.equity_micro[first:].astype(np.float64), traded[first:], costs[first:])

    @classmethod
    def of_track(cls, name: str, track: Track) -> _Curve:
        return cls(name, track.equity, track.traded, track.cost)

    @property
    def returns(self) -> Floats:
        return np.asarray(self.equity[1:] / self.equity[:-1] - 1.0)

    def line(self, start: int = 0, stop: int | None = None) -> Line:
        """Figures of the returns from session `start` to `stop`."""
        equity = self.equity[start:stop]
        figures = performance(equity[1:] / equity[:-1] - 1.0)
        years = len(equity) / SESSIONS_A_YEAR
        traded, costs = self.traded[start:stop], self.costs[start:stop]
        return Line(
            name=self.name,
            caption=CAPTIONS.get(self.name, ""),
            total_return=float(equity[-1] / equity[0] - 1.0),
            annual_return=figures.annual_return,
            volatility=figures.volatility,
            sharpe=figures.sharpe,
            sharpe_low=figures.sharpe_low,
            sharpe_high=figures.sharpe_high,
            max_drawdown=figures.max_drawdown,
            turnover=annualised_turnover(traded, equity),
            costs=float((costs / equity).sum() / years),
        )


def _decades(curves: Sequence[_Curve], dates: NDArray[np.datetime64]) -> tuple[tuple[str, tuple[Line, ...]], ...]:
    decade = dates.astype("datetime64[Y]").astype(int) // 10 * 10 + 1970
    found = []
    for label in np.unique(decade):
        rows = np.flatnonzero(decade == label)
        start = max(0, int(rows[0]) - 1)  # the close before, so that the decade's first return is in it
        if int(rows[-1]) - start < 60:
            continue
        found.append((f"{label}s", tuple(curve.line(start, int(rows[-1]) + 1) for curve in curves)))
    return tuple(found)


def _tail_risk(report: Report, bars: Bars) -> tuple[tuple[TailRisk, ...], NDArray[np.int64], Floats]:
    """Yesterday's holdings against what they gained today, before costs and trades."""
    known = ~np.isnan(bars.closes)
    latest = np.maximum.accumulate(np.where(known, np.arange(len(known))[:, None], 0), axis=0)
    closes = np.take_along_axis(bars.closes, latest, axis=0)  # a missing bar leaves a holding at its last price
    returns = closes[1:] / closes[:-1] - 1.0
    micro = np.array([one.price_increment_micro * one.lot_size for one in report.instruments], dtype=np.float64)
    increments = np.array([one.price_increment for one in report.instruments])
    values = report.holdings * np.nan_to_num(closes) / increments * micro / report.equity_micro[:, None]
    found = []
    try:
        for name, decay in (("filtered by EWMA 0.94", 0.94), ("plain historical", None)):
            test = backtest(returns, values[1:], decay=decay)
            found.append(
                TailRisk(
                    name, test.var, test.es, test.breaches, test.expected, test.kupiec.statistic, test.kupiec.p_value
                )
            )
    except ConfigError:  # too few sessions for a forecast with an outcome
        return (), np.zeros(0, dtype=np.int64), np.zeros(0)
    return tuple(found), report.ts_ns[test.at + 2], test.pnl


def _thetas(report: Report) -> dict[str, tuple[NDArray[np.int64], Floats]]:
    if not report.reviews:
        return {}
    times = np.array([ts_ns for ts_ns, _ in report.reviews], dtype=np.int64)
    names = sorted(report.reviews[0][1].parameters)
    return {name: (times, np.array([point.parameters[name] for _, point in report.reviews])) for name in names}


def _notes(settings: Settings, report: Report, drill: Drill | None, tail_risk: tuple[TailRisk, ...]) -> tuple[str, ...]:
    """Why what is usually shown is not."""
    notes = []
    if not report.intents:
        notes.append(
            "No agent decided anything in this window; the run held cash throughout. The main job needs a "
            "year of prices before it decides."
        )
    if not tail_risk:
        notes.append("No value at risk: it is forecast from 1,000 sessions, and these are too few with holdings.")
    if settings.crash_leader_at is not None and not report.crashed:
        notes.append(f"No leader was killed: nothing was decided from {settings.crash_leader_at} on.")
    if drill is None:
        notes.append("No failure drill: nothing was decided in the last year of these data.")
    return tuple(notes)


def _caveats(settings: Settings) -> tuple[str, ...]:
    if settings.data is not None:
        return OWN_DATA_CAVEATS
    return (*SAMPLE_CAVEATS[:-1], HINDSIGHT_CAVEAT, SAMPLE_CAVEATS[-1]) if settings.is_main_job else SAMPLE_CAVEATS


def build_study(
    settings: Settings,
    bars: Bars,
    report: Report,
    at_costs: Sequence[tuple[float, Report]],
    drill: Drill | None,
) -> Study:
    """Compare a run with its benchmarks over the window from its first decision on."""
    first_ns = report.intents[0][0].ts_ns if report.intents else int(report.ts_ns[0])
    first = int(np.searchsorted(report.ts_ns, first_ns))
    if len(report.ts_ns) - first < LEAST_SESSIONS:
        raise ConfigError(
            f"a study needs {LEAST_SESSIONS} sessions from the first decision on, got {len(report.ts_ns) - first}; "
            "widen --from and --to"
        )
    bps = settings.fee_bps + settings.slippage_bps
    closes, tradable, dates = bars.closes, bars.tradable, bars.dates
    common: dict[str, Any] = {"first": first, "cost_bps": bps}
    curves = [
        _Curve.of_report(report, first),
        _Curve.of_track("buy and hold", buy_and_hold(closes, tradable, **common)),
        _Curve.of_track("equal weight", equal_weight(closes, tradable, dates, **common)),
        _Curve.of_track(
            "equal wt, vol. target",
            volatility_targeted(closes, tradable, dates, target=BUDGET, **common),
        ),
    ]
    lines = tuple(curve.line() for curve in curves)
    own = curves[0].returns
    differences = tuple(
        Difference(
            curve.name,
            float((own - curve.returns).mean() * SESSIONS_A_YEAR),
            float(newey_west_t(own, curve.returns)),
        )
        for curve in curves[1:]
    )
    other_costs = [(cost, _Curve.of_report(other, first).line()) for cost, other in at_costs]
    tail_risk, risk_ts_ns, pnl = _tail_risk(report, bars)
    holdings_value = 1.0 - report.cash_micro[first:] / report.equity_micro[first:]
    return Study(
        report=report,
        title="fastmas: the main job" if settings.is_main_job else "fastmas: a system of agents",
        first=str(dates[first]),
        last=str(dates[-1]),
        sessions=len(report.ts_ns) - first,
        lines=lines,
        decades=_decades(curves, dates[first:]),
        at_costs=tuple(sorted([*other_costs, (bps, lines[0])], key=lambda pair: pair[0])),
        differences=differences,
        tail_risk=tail_risk,
        risk_ts_ns=risk_ts_ns,
        pnl=pnl,
        ts_ns=report.ts_ns[first:],
        curves={curve.name: curve.equity / curve.equity[0] for curve in curves},
        exposure=np.asarray(holdings_value, dtype=np.float64),
        thetas=_thetas(report),
        theta_names=report.parameter_names,
        notes=_notes(settings, report, drill, tail_risk),
        messages_per_decision=report.messages_per_decision.astype(np.float64),
        drill=drill,
        caveats=_caveats(settings),
        problems=tuple(str(problem) for problem in bars.problems),
    )
