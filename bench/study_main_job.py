"""Question: is the main job's strategy any better than what anybody could have done?

The strategy again in plain numpy, without agents, consensus or ledger: an independent implementation that the agents
are tested against, and the honest table by itself. Run it: python bench/study_main_job.py
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmas.market.bars import Bars
from fastmas.risk import benchmarks as rules
from fastmas.risk import performance as figures
from fastmas.risk.backtest import backtest

Floats = NDArray[np.float64]
MONTH, YEAR, LISTED = 21, 252, 60


@dataclass(frozen=True)
class Options:
    """The blend's settings; the defaults are the agents' own."""

    budget: float = 0.14
    band: float = 0.005
    tilt: float = 1.0
    odds: float = 2.0
    max_gross: float = 0.98


def ewma_volatility(returns: Floats, decay: float = 0.94) -> Floats:
    """Row t: a day's standard deviation from returns up to t; a plain average until 1 - decay is the larger weight."""
    volatility = np.full_like(returns, np.nan)
    variance, count = np.zeros(returns.shape[1]), np.zeros(returns.shape[1])
    for row, change in enumerate(returns):
        there = ~np.isnan(change)
        step = np.maximum(1.0 - decay, 1.0 / (count + 1.0)) * (np.nan_to_num(change) ** 2 - variance)
        variance, count = variance + np.where(there, step, 0.0), count + there
        volatility[row] = np.where(count >= LISTED, np.sqrt(variance), np.nan)
    return volatility


def standardise(raw: Floats, usable: NDArray[np.bool_]) -> Floats:
    """z-scores across the usable instruments of each row, NaN elsewhere; rows with fewer than two are NaN."""
    scores = np.full_like(raw, np.nan)
    for row in range(len(raw)):
        chosen = usable[row] & ~np.isnan(raw[row])
        if chosen.sum() >= 2:
            values = raw[row, chosen]
            scores[row, chosen] = (values - values.mean()) / values.std() if values.std() > 0 else 0.0
    return scores


def confidence(scores: Floats, closes: Floats) -> Floats:
    """Row t: one half, moved by how the scores of each month ranked like the returns of the month after."""
    skill, known = 0.0, np.full(len(scores), 0.5)
    ready = np.flatnonzero(~np.isnan(scores).all(axis=1))
    for age, row in enumerate(ready, start=1):
        if age > MONTH and age % MONTH == 0:
            before, after = scores[ready[age - 1 - MONTH]], closes[row] / closes[row - MONTH] - 1.0
            both = ~np.isnan(before) & ~np.isnan(after)
            if both.sum() >= 5:
                ranks = [values[both].argsort().argsort() for values in (before, after)]
                skill += (np.corrcoef(ranks)[0, 1] - skill) / 36.0
        known[row] = 1.0 / (1.0 + np.exp(-skill / 0.027))
    return known


def mean_correlation(window: Floats) -> float:
    """Mean off-diagonal element of the correlation matrix, at least zero."""
    matrix = np.corrcoef(window[:, window.std(axis=0) > 0.0].T)
    off_diagonal = matrix[~np.eye(len(matrix), dtype=bool)].mean()
    return min(1.0, max(0.0, float(off_diagonal)))


def strategy(bars: Bars, cost_bps: float = 5.0, options: Options | None = None) -> tuple[rules.Track, list[Floats]]:
    """The blend with shares that may be split: decided on each month's first session, traded at the next close.

    Returns
    -------
    track : Track
        From the first decision on.
    targets : list of ndarray
        Target weights of each decision, before the no-trade band.
    """
    chosen = options or Options()
    closes, tradable, dates = bars.closes, bars.tradable, bars.dates
    returns = np.full_like(closes, np.nan)
    returns[1:] = closes[1:] / closes[:-1] - 1.0
    volatility = ewma_volatility(returns)
    momentum, reversion = np.full_like(closes, np.nan), np.full_like(closes, np.nan)
    momentum[YEAR:] = closes[YEAR - MONTH : -MONTH] / closes[:-YEAR] - 1.0
    reversion[MONTH:] = 1.0 - closes[MONTH:] / closes[MONTH - 5 : -5]
    views = [standardise(raw, tradable) for raw in (momentum, reversion)]
    trust = [confidence(scores, closes) for scores in views]

    odds, tilt = chosen.odds, chosen.tilt / 2.0
    share = (odds / (odds + 1.0), 1.0 / (odds + 1.0))
    cash, shares, first = 1.0, np.zeros(closes.shape[1]), -1
    pending: Floats | None = None
    equity, traded, cost, weights, targets = [], [], [], [], []
    monthly = rules.first_sessions(dates)
    for row in range(YEAR, len(closes)):
        bought = 0.0
        if pending is not None:
            bought = float(np.abs(pending - shares) @ closes[row])
            cash -= float((pending - shares) @ closes[row]) + bought * cost_bps / 1e4
            shares, pending = pending, None
        worth = cash + float(shares @ closes[row])
        if monthly[row] and not np.isnan(views[0][row]).all():
            first = row if first < 0 else first
            usable = tradable[row] & ~np.isnan(volatility[row]) & ~np.isnan(views[0][row])
            view = share[0] * np.nan_to_num(views[0][row]) + share[1] * np.nan_to_num(views[1][row])
            raw = np.where(usable, np.maximum(0.0, 1.0 + tilt * view), 0.0)
            weight = raw / raw.sum()
            correlation = mean_correlation(returns[row - 125 : row + 1])
            matrix = np.full((len(weight),) * 2, correlation)
            np.fill_diagonal(matrix, 1.0)
            exposure = weight * np.nan_to_num(volatility[row]) * 252**0.5
            weight *= min(chosen.max_gross, chosen.budget / float(exposure @ matrix @ exposure) ** 0.5)
            targets.append(weight)
            held = shares * closes[row] / worth
            moved = usable & ((np.abs(weight - held) > chosen.band) | (weight == 0.0))
            goal = np.where(moved, weight, held)
            if goal.sum() > chosen.max_gross:  # what is too high comes down, and what is left limits what goes up
                goal = np.where(usable & (weight < held), weight, goal)
                rise = np.maximum(goal - held, 0.0)
                fall = np.minimum(goal, held)
                if rise.sum() > 0.0:
                    goal = fall + rise * min(1.0, max(0.0, chosen.max_gross - fall.sum()) / rise.sum())
            pending = goal * worth / closes[row]
            # The fixed point of tilt and price of risk, for the next month.
            known = tradable[row] & ~np.isnan(volatility[row])
            above = closes[row] > closes[max(0, row - 199) : row + 1].mean(axis=0)
            mood = 1.5 - above.mean()
            for _ in range(200):
                share_of_risk = correlation + (1 - correlation) / max(1.0, known.sum() / (1 + tilt * tilt))
                price = mood * volatility[row, known].mean() * (252 * share_of_risk) ** 0.5 / chosen.budget
                tilt = chosen.tilt / (1.0 + price)
            total = odds * trust[0][row] + trust[1][row]
            share = (odds * trust[0][row] / total, trust[1][row] / total)
        if first >= 0:
            equity.append(worth)
            traded.append(bought)
            cost.append(bought * cost_bps / 1e4)
            weights.append(shares * closes[row] / worth)
    line = np.array(equity)
    track = rules.Track(first, line, line[1:] / line[:-1] - 1, np.array(traded), np.array(cost), np.array(weights))
    return track, targets


def compare(bars: Bars, cost_bps: float, options: Options | None = None) -> dict[str, rules.Track]:
    """The strategy and what anybody could have done, over the same sessions and at the same costs."""
    blend, _ = strategy(bars, cost_bps, options)
    common: dict[str, Any] = {"first": blend.first, "cost_bps": cost_bps}
    closes, tradable, dates = bars.closes, bars.tradable, bars.dates
    budget = (options or Options()).budget
    return {
        "blend": blend,
        "vol-targeted equal weight": rules.volatility_targeted(closes, tradable, dates, target=budget, **common),
        "equal weight, monthly": rules.equal_weight(closes, tradable, dates, **common),
        "buy and hold": rules.buy_and_hold(closes, tradable, **common),
    }


def line_of(name: str, track: rules.Track, against: rules.Track) -> str:
    """One row of the table; t compares mean returns with those of `against`."""
    got = figures.performance(track.returns)
    t = "" if track is against else f"{figures.newey_west_t(against.returns, track.returns):7.2f}"
    return (
        f"{name:27s}{got.annual_return:8.1%}{got.volatility:8.1%}{got.sharpe:7.2f}  [{got.sharpe_low:.2f}, "
        f"{got.sharpe_high:.2f}]{got.max_drawdown:8.1%}{track.turnover:7.2f}{track.cost.sum():8.2f}{t}"
    )


HEADER = f"{'':27s}{'return':>8s}{'vol':>8s}{'Sharpe':>7s}  {'95 %':12s}{'max DD':>8s}{'turn':>7s}{'cost':>8s}{'t':>7s}"


def main() -> None:
    bars = Bars.sample()
    print("Survivors of 2022; prices contain dividends; cash earns nothing; no proof of skill.")
    print("turn: one-way, a year; cost: in units of starting capital; t: mean return of the blend against the row's.")
    for cost_bps in (5.0, 0.0, 20.0):
        print(HEADER.replace(" " * 9, f"{cost_bps:2g} bps   ", 1))
        tracks = compare(bars, cost_bps)
        for name, track in tracks.items():
            print(line_of(name, track, tracks["blend"]))
    tracks = compare(bars, 5.0)
    blend = tracks["blend"]
    days = bars.dates[blend.first + 1 :]
    decades = {name: figures.by_decade(track.returns, days) for name, track in tracks.items()}
    for decade in decades["blend"]:
        print(f"Sharpe, {decade}: " + ", ".join(f"{name} {each[decade].sharpe:.2f}" for name, each in decades.items()))
    print("Other settings of the blend, at 5 bps; t against the defaults:")
    for other in (Options(tilt=0.0), Options(tilt=0.5), Options(tilt=2.0), Options(odds=1.0), Options(odds=4.0)):
        print(line_of(f"tilt {other.tilt:g}, odds {other.odds:g}", strategy(bars, 5.0, other)[0], blend))
    returns = np.vstack([np.zeros(len(bars.instruments)), bars.closes[1:] / bars.closes[:-1] - 1.0])
    for name, decay in (("filtered", 0.94), ("plain", None)):
        test = backtest(returns[blend.first :], blend.weights, decay=decay)
        print(
            f"VaR 99 % {name}: {test.count} breaches of {test.observations} days, {test.expected:.0f} expected, "
            f"Kupiec p = {test.kupiec.p_value:.2g}, independence p = {test.independence.p_value:.2g}, "
            f"ES ratio {test.shortfall_ratio:.2f}"
        )


if __name__ == "__main__":
    main()
