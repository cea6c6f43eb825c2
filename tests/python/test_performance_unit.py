"""Performance figures against independent formulas, and benchmarks against a dumb simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastmas.errors import ConfigError
from fastmas.market.bars import Bars
from fastmas.risk import benchmarks as rules
from fastmas.risk import performance as figures


def draws(seed: int, count: int = 2520) -> np.ndarray:
    return 0.0004 + 0.01 * np.random.default_rng(seed).standard_normal(count)


def test_figures_equal_pandas() -> None:
    pandas = pytest.importorskip("pandas")
    returns = draws(1)
    frame = pandas.Series(returns)
    equity = (1 + frame).cumprod()
    got = figures.performance(returns)
    assert got.annual_return == pytest.approx(equity.iloc[-1] ** (252 / len(frame)) - 1, rel=1e-12)
    assert got.volatility == pytest.approx(frame.std() * 252**0.5, rel=1e-12)
    assert got.sharpe == pytest.approx(frame.mean() / frame.std() * 252**0.5, rel=1e-12)
    start = pandas.concat([pandas.Series([1.0]), equity], ignore_index=True)
    assert got.max_drawdown == pytest.approx(-(start / start.cummax() - 1).min(), rel=1e-12)
    assert got.sessions == 2520


@given(st.lists(st.floats(0.1, 1e3), min_size=1, max_size=60))
def test_drawdown_equals_every_pair(equity: list[float]) -> None:
    got = figures.max_drawdown(np.array(equity))
    deepest = max(1 - equity[j] / equity[i] for i in range(len(equity)) for j in range(i, len(equity)))
    assert got.depth == pytest.approx(deepest, abs=1e-12)
    assert 1 - equity[got.trough] / equity[got.peak] == pytest.approx(got.depth, abs=1e-12)
    assert got.peak <= got.trough


@pytest.mark.parametrize("lags", [0, 1, 7, None])
def test_newey_west_equals_a_dumb_double_loop(lags: int | None) -> None:
    returns = draws(2, 300)
    returns[1:] += 0.4 * returns[:-1]
    x = returns - returns.mean()
    used = lags if lags is not None else int(4 * (300 / 100) ** (2 / 9))
    total = 0.0
    for i in range(300):
        for j in range(300):
            if abs(i - j) <= used:
                total += (1 - abs(i - j) / (used + 1)) * x[i] * x[j]
    assert figures.newey_west_error(returns, lags) == pytest.approx(total**0.5 / 300, rel=1e-9)


def test_difference_of_two_series() -> None:
    one, two = draws(3), draws(4)
    got = figures.newey_west_t(one, two)
    assert got == pytest.approx((one - two).mean() / figures.newey_west_error(one - two), rel=1e-12)
    assert figures.newey_west_t(two, one) == -got
    assert np.isnan(figures.newey_west_t(one, one))
    assert figures.newey_west_t(one + 0.01, one + 0.001 * np.sin(np.arange(2520))) > 20


def test_sharpe_interval_equals_lo_for_independent_normal_returns() -> None:
    returns = draws(5, 20_000)
    low, high = figures.sharpe_interval(returns, lags=0)
    daily = returns.mean() / returns.std()
    expected = 1.959964 * np.sqrt((1 + daily**2 / 2) / len(returns)) * 252**0.5
    assert (high - low) / 2 == pytest.approx(expected, rel=0.02)
    assert (low + high) / 2 == pytest.approx(figures.sharpe(returns), rel=1e-12)


def test_sharpe_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(6)
    truth = 0.04 / 0.8 * 252**0.5
    hits = 0
    for _ in range(400):
        # Volatility clusters of two regimes; the mean is 0.04 and the standard deviation 0.8 throughout.
        scale = np.repeat(rng.choice([0.4, np.sqrt(2 * 0.64 - 0.16)], 50), 20)
        low, high = figures.sharpe_interval(0.04 + scale * rng.standard_normal(1000))
        hits += low <= truth <= high
    assert 0.91 <= hits / 400 <= 0.98


def test_positive_autocorrelation_widens_the_interval() -> None:
    returns = draws(7, 3000)
    smooth = np.convolve(returns, np.ones(5) / 5, mode="valid")
    with_lags = np.diff(figures.sharpe_interval(smooth))[0]
    without = np.diff(figures.sharpe_interval(smooth, lags=0))[0]
    assert with_lags > 1.5 * without


def test_what_does_not_move_has_no_sharpe() -> None:
    assert np.isnan(figures.sharpe(np.zeros(10)))
    assert np.isnan(figures.sharpe_interval(np.zeros(10))).all()
    assert figures.annualised_return(np.array([0.1, -1.0])) == -1.0
    assert figures.performance(np.array([0.1, -1.0, 0.0])).max_drawdown == 1.0


def test_turnover_is_one_way_and_annual() -> None:
    traded, equity = np.zeros(504), np.full(504, 200.0)
    traded[[10, 300]] = 200.0
    assert figures.annualised_turnover(traded, equity) == pytest.approx(0.5)


def test_by_decade() -> None:
    dates = np.arange("1998-01-01", "2003-01-01", dtype="datetime64[D]")
    returns = draws(8, len(dates))
    got = figures.by_decade(returns, dates)
    assert list(got) == ["1990s", "2000s"]
    assert got["1990s"] == figures.performance(returns[:730])
    assert got["2000s"].sessions == len(dates) - 730


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: figures.sharpe(np.zeros(1)), r"one series of at least 2, got shape \(1,\)"),
        (lambda: figures.volatility(np.array([0.1, np.nan])), "returns must be finite, got nan at 1"),
        (lambda: figures.newey_west_t(np.zeros(3), np.zeros(4)), "of the same periods, got 3 and 4 returns"),
        (lambda: figures.newey_west_error(np.zeros(3), 3), "lags must be from 0 to .*, got 3 for 3"),
        (lambda: figures.max_drawdown(np.array([1.0, 0.0])), "equity must be one series of positive numbers"),
        (
            lambda: figures.annualised_turnover(np.zeros(2), np.ones(3)),
            r"of the same sessions, .* got \(2,\) and \(3,\)",
        ),
        (lambda: figures.by_decade(np.zeros(3), np.arange(2).astype("datetime64[D]")), "got 3 returns and 2 dates"),
        (lambda: rules.follow(np.ones((3, 1)), {}, first=2), r"at least two sessions .* got 2 of \(3, 1\)"),
        (lambda: rules.follow(np.ones((3, 1)), {}, cost_bps=-1), r"cost_bps must be in \[0, 10000\), got -1"),
        (
            lambda: rules.volatility_targeted(
                np.ones((3, 1)), np.ones((3, 1), bool), np.arange(3).astype("datetime64[D]"), target=0.0
            ),
            "target must be positive and window at least 2, got 0.0 and 63",
        ),
    ],
)
def test_refusals(call: object, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        call()  # type: ignore[operator]


# ---- benchmarks -------------------------------------------------------------------------------------------------


def dumb_follow(closes: np.ndarray, targets: dict[int, np.ndarray], first: int, cost_bps: float) -> list[float]:
    cash, shares, last = 1.0, np.zeros(closes.shape[1]), np.zeros(closes.shape[1])
    pending, equity = None, []
    for t in range(len(closes)):
        last = np.where(np.isnan(closes[t]), last, closes[t])
        if t < first:
            continue
        if pending is not None:
            for side in (-1, 1):
                budget = cash
                trades = [
                    (i, q) for i, q in enumerate(pending - shares) if np.sign(q) == side and not np.isnan(closes[t, i])
                ]
                spend = sum(q * last[i] for i, q in trades) * (1 + cost_bps / 1e4)
                scale = min(1.0, max(0.0, budget) / spend) if side > 0 and spend > 0 else 1.0
                for i, q in trades:
                    shares[i] += q * scale
                    cash -= q * scale * last[i] + abs(q) * scale * last[i] * cost_bps / 1e4
            pending = np.where(np.isnan(closes[t]), pending, np.nan)  # what had no bar waits
        equity.append(float(cash + shares @ last))
        if t in targets:
            goal = np.nan_to_num(targets[t]) * equity[-1]
            pending = np.array([g / p if p > 0 else 0.0 for g, p in zip(goal, last, strict=True)])
    return equity


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 5))
def test_follow_equals_a_dumb_simulation(seed: int, first: int) -> None:
    rng = np.random.default_rng(seed)
    closes = np.exp(np.cumsum(0.05 * rng.standard_normal((25, 3)), axis=0))
    closes[: rng.integers(0, 8), 1] = np.nan
    closes[rng.integers(8, 25, 3), rng.integers(0, 3, 3)] = np.nan
    days = rng.choice(24, 6, replace=False)
    targets = {int(day): rng.dirichlet(np.ones(3)) * rng.choice([0.5, 1.0]) for day in days}
    track = rules.follow(closes, targets, first=first, cost_bps=20.0)
    np.testing.assert_allclose(track.equity, dumb_follow(closes, targets, first, 20.0), rtol=1e-10)
    np.testing.assert_allclose(track.cost, track.traded * 0.002, rtol=1e-12)
    assert (track.weights.sum(axis=1) <= 1 + 1e-9).all()
    np.testing.assert_allclose(track.returns, track.equity[1:] / track.equity[:-1] - 1)


def test_a_decision_is_filled_at_the_next_close_and_not_before() -> None:
    closes = np.array([[1.0], [1.0], [2.0], [4.0]])
    track = rules.follow(closes, {1: np.array([0.5])}, cost_bps=0.0)
    # Half the equity at the price of close 1 costs all the cash at the fill; then the price doubles.
    assert track.equity.tolist() == [1.0, 1.0, 1.0, 2.0]
    assert track.traded.tolist() == [0.0, 0.0, 1.0, 0.0]


def test_first_sessions_of_months() -> None:
    dates = np.array(["2024-01-30", "2024-01-31", "2024-02-01", "2024-02-02", "2024-03-04"], "datetime64[D]")
    assert rules.first_sessions(dates).tolist() == [False, False, True, False, True]


def test_buy_and_hold_pays_once() -> None:
    bars = Bars.sample()
    track = rules.buy_and_hold(bars.closes, bars.tradable, first=252, cost_bps=5.0)
    assert np.count_nonzero(track.traded) == 1
    assert track.cost.sum() == pytest.approx(0.0005, rel=0.05)
    assert track.weights[1].max() == pytest.approx(1 / bars.tradable[252].sum(), rel=0.05)
    assert track.turnover < 0.05


def test_volatility_target_is_met_and_never_exceeds_full_investment() -> None:
    bars = Bars.sample()
    plain = rules.equal_weight(bars.closes, bars.tradable, bars.dates, first=252)
    target = rules.volatility_targeted(bars.closes, bars.tradable, bars.dates, first=252, target=0.12)
    assert figures.volatility(target.returns) < figures.volatility(plain.returns)
    assert 0.10 < figures.volatility(target.returns) < 0.14
    assert target.weights.sum(axis=1).max() < 1.05
    assert len(plain.equity) == len(target.equity) == 8313 - 252


@settings(max_examples=10, deadline=None)
@given(st.integers(300, 590), st.integers(0, 2**32 - 1))
def test_altering_the_future_leaves_the_past_of_benchmarks_bit_identical(cut: int, seed: int) -> None:
    bars = Bars.sample().window("1990-01-02", "1992-05-15")
    closes, altered = bars.closes, bars.closes.copy()
    altered[cut:] *= np.exp(0.1 * np.random.default_rng(seed).standard_normal(altered[cut:].shape))
    tradable, other = bars.tradable, bars.tradable.copy()
    other[cut:] = ~other[cut:]
    for rule in (rules.equal_weight, rules.volatility_targeted):
        before = rule(closes, tradable, bars.dates, first=252)
        after = rule(altered, other, bars.dates, first=252)
        assert before.equity[: cut - 252].tobytes() == after.equity[: cut - 252].tobytes()
    # What is decided at the last close before the cut shows in no equity before it: look at the weights themselves.
    decided = [
        rules.volatility_weights(prices, there, range(cut - 3, cut), target=0.05)
        for prices, there in ((closes, tradable), (altered, other))
    ]
    assert all(decided[0][session].tobytes() == decided[1][session].tobytes() for session in range(cut - 3, cut))
    held = rules.buy_and_hold(closes, tradable, first=252), rules.buy_and_hold(altered, other, first=252)
    assert held[0].equity[: cut - 252].tobytes() == held[1].equity[: cut - 252].tobytes()


def test_a_benchmark_waits_for_a_price_that_can_be_traded():
    from fastmas.risk.benchmarks import follow

    closes = np.array([[10.0, 20.0], [10.0, 20.0], [10.0, 25.0], [10.0, 25.0]])
    tradable = np.array([[True, True], [True, False], [True, True], [True, True]])
    goal = {0: np.array([0.0, 1.0])}
    track = follow(closes, goal, cost_bps=0.0, tradable=tradable)
    assert track.traded.tolist() == [0.0, 0.0, 1.0, 0.0]  # at 25, the first close that could be traded
    assert track.equity.tolist() == [1.0, 1.0, 1.0, 1.0]
    assert follow(closes, goal, cost_bps=0.0).equity.tolist() == [1.0, 1.0, 1.25, 1.25]
    never = np.array([[True, True], [True, False], [True, False], [True, False]])
    assert follow(closes, goal, cost_bps=0.0, tradable=never).traded.tolist() == [0.0] * 4
    with pytest.raises(ConfigError, match=r"tradable must have the shape of closes, \(4, 2\), got \(4,\)"):
        follow(closes, goal, tradable=np.ones(4, dtype=bool))


def test_an_order_of_a_benchmark_is_given_up_at_the_next_decision():
    from fastmas.risk.benchmarks import follow

    closes = np.full((5, 2), 10.0)
    tradable = np.array([[True, True], [True, False], [True, False], [True, True], [True, True]])
    track = follow(closes, {0: np.array([0.0, 1.0]), 2: np.array([1.0, 0.0])}, cost_bps=0.0, tradable=tradable)
    assert track.weights[-1].tolist() == [1.0, 0.0]
    assert track.traded.tolist() == [0.0, 0.0, 0.0, 1.0, 0.0]
