"""Value at risk and its tests against scipy, pandas and dumb loops; the texts of refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastmas.errors import ConfigError
from fastmas.market.bars import Bars
from fastmas.risk.backtest import backtest, christoffersen, kupiec
from fastmas.risk.value_at_risk import ewma_volatility, filtered, historical, rolling


def series(seed: int, count: int, width: int | None = None) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_t(4, count if width is None else (count, width)) * 0.01


@given(st.lists(st.floats(-1e6, 1e6), min_size=100, max_size=400), st.sampled_from([0.9, 0.95, 0.99]))
def test_var_is_the_inverted_distribution_function_and_es_its_tail_mean(pnl: list[float], level: float) -> None:
    losses = -np.array(pnl)
    risk = historical(-losses, level)
    assert risk.var == np.quantile(losses, round(level, 9) - 1e-12, method="inverted_cdf")
    tail = (1.0 - level) * len(losses)
    worst = np.sort(losses)[::-1]
    whole = int(round(tail, 9))
    expected = (worst[:whole].sum() + (round(tail, 9) - whole) * worst[min(whole, len(worst) - 1)]) / round(tail, 9)
    assert risk.es == pytest.approx(expected, rel=1e-9, abs=1e-6)
    assert risk.es >= risk.var - 1e-9 * abs(risk.var)


def test_one_in_a_hundred_of_the_window_exceeds_var() -> None:
    pnl = series(1, 1000)
    assert (-pnl > historical(pnl, 0.99).var).sum() == 10


def test_ewma_equals_pandas() -> None:
    pandas = pytest.importorskip("pandas")
    pnl = series(2, 9000)
    start = np.mean(pnl[:30] ** 2)
    expected = pandas.Series(np.concatenate(([start], pnl**2))).ewm(alpha=0.06, adjust=False).mean().to_numpy()
    np.testing.assert_allclose(ewma_volatility(pnl, 0.94), np.sqrt(expected), rtol=1e-11)


@pytest.mark.parametrize("decay", [0.5, 0.94, 0.999])
def test_ewma_equals_the_recursion_over_blocks(decay: float) -> None:
    pnl = series(3, 2000, 2).T
    variance = np.mean(pnl[:, :30] ** 2, axis=1)
    for at, column in enumerate(pnl.T):
        np.testing.assert_allclose(ewma_volatility(pnl, decay)[:, at], np.sqrt(variance), rtol=1e-10)
        variance = decay * variance + (1 - decay) * column**2


def test_filtered_follows_the_definition() -> None:
    pnl = series(4, 1000)
    volatility = ewma_volatility(pnl, 0.94)
    expected = historical(pnl / volatility[:-1] * volatility[-1], 0.99)
    got = filtered(pnl, 0.99, 0.94)
    assert got.var == pytest.approx(expected.var, rel=1e-12)
    assert got.es == pytest.approx(expected.es, rel=1e-12)


def test_filtered_rises_when_the_market_does() -> None:
    pnl = series(5, 1000)
    pnl[-40:] *= 4.0
    assert filtered(pnl).var > 1.5 * historical(pnl).var


def test_no_movement_is_no_risk() -> None:
    assert filtered(np.zeros(200)) == historical(np.zeros(200))
    assert filtered(np.zeros(200)).var == 0.0


@pytest.mark.parametrize("decay", [None, 0.94])
def test_rolling_equals_one_forecast_at_a_time(decay: float | None) -> None:
    returns, holdings = series(6, 300, 3), np.abs(series(7, 300, 3)) * 1e4
    returns[:40, 1] = np.nan
    var, es = rolling(returns, holdings, window=120, level=0.95, decay=decay)
    assert np.isnan(var[:119]).all()
    for at in (119, 120, 182, 183, 184, 299):
        pnl = np.nan_to_num(returns[at - 119 : at + 1]) @ holdings[at]
        one = historical(pnl, 0.95) if decay is None else filtered(pnl, 0.95, decay)
        assert var[at] == pytest.approx(one.var, rel=1e-9)
        assert es[at] == pytest.approx(one.es, rel=1e-9)
    assert np.isnan(rolling(returns[:50], holdings[:50], window=120, level=0.95)[0]).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(120, 259), st.integers(0, 2**32 - 1))
def test_altering_the_future_leaves_every_past_forecast_bit_identical(cut: int, seed: int) -> None:
    returns, holdings = series(8, 260, 3), np.abs(series(9, 260, 3))
    altered, other = returns.copy(), holdings.copy()
    altered[cut:] = series(seed, 260 - cut, 3)
    other[cut:] *= 3.0
    for decay in (None, 0.94):
        before = rolling(returns, holdings, window=120, level=0.95, decay=decay)
        after = rolling(altered, other, window=120, level=0.95, decay=decay)
        for one, two in zip(before, after, strict=True):
            assert one[:cut].tobytes() == two[:cut].tobytes()


@pytest.mark.parametrize(
    ("breaches", "observations"), [(0, 500), (1, 500), (5, 500), (20, 500), (500, 500), (12, 1000)]
)
def test_kupiec_equals_scipy(breaches: int, observations: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    special = pytest.importorskip("scipy.special")
    share = breaches / observations

    def log_likelihood(p: float) -> float:
        return float(special.xlogy(breaches, p) + special.xlogy(observations - breaches, 1 - p))

    statistic = 2 * (log_likelihood(share) - log_likelihood(0.01))
    got = kupiec(breaches, observations, 0.99)
    assert got.statistic == pytest.approx(statistic, rel=1e-9, abs=1e-9)
    assert got.p_value == pytest.approx(stats.chi2.sf(statistic, 1), rel=1e-6)


def test_kupiec_against_published_acceptance_region() -> None:
    """Kupiec (1995), non-rejection regions at 5 %: of 255 days at 99 %, fewer than 7 failures are accepted."""
    accepted = [count for count in range(30) if kupiec(count, 255, 0.99).p_value > 0.05]
    assert accepted == [1, 2, 3, 4, 5, 6]


def test_christoffersen_sees_clusters() -> None:
    stats = pytest.importorskip("scipy.stats")
    spread, clustered = np.zeros(1000, bool), np.zeros(1000, bool)
    spread[50::100] = True
    clustered[500:510] = True
    independence, joint = christoffersen(spread, 0.99)
    assert independence.p_value > 0.5
    assert joint.p_value > 0.5
    independence, joint = christoffersen(clustered, 0.99)
    assert independence.p_value < 1e-6
    assert joint.statistic == independence.statistic + kupiec(10, 1000).statistic
    assert joint.p_value == pytest.approx(stats.chi2.sf(joint.statistic, 2), rel=1e-9)


def test_christoffersen_equals_the_textbook_formula() -> None:
    rng = np.random.default_rng(10)
    flags = rng.random(2000) < 0.03
    n = np.zeros((2, 2))
    for before, after in zip(flags[:-1].astype(int), flags[1:].astype(int), strict=True):
        n[before, after] += 1
    p01, p11, p = n[0, 1] / n[0].sum(), n[1, 1] / n[1].sum(), n[:, 1].sum() / n.sum()
    free = n[0, 0] * np.log(1 - p01) + n[0, 1] * np.log(p01)
    free += n[1, 0] * np.log(1 - p11) + (n[1, 1] * np.log(p11) if n[1, 1] else 0.0)
    pooled = n[:, 0].sum() * np.log(1 - p) + n[:, 1].sum() * np.log(p)
    assert christoffersen(flags, 0.97)[0].statistic == pytest.approx(2 * (free - pooled), rel=1e-9)


def test_backtest_uses_yesterdays_holdings_and_the_next_return() -> None:
    returns, holdings = series(11, 400, 2), np.abs(series(12, 400, 2)) * 1e6
    holdings[:200] = 0.0
    result = backtest(returns, holdings, window=150, level=0.95, decay=None)
    assert result.at.tolist() == list(range(200, 399))
    at = 57
    day = int(result.at[at])
    assert result.pnl[at] == pytest.approx(float(holdings[day] @ returns[day + 1]))
    assert result.breaches[at] == (-result.pnl[at] > result.var[at])
    assert result.observations == 199
    assert result.expected == pytest.approx(9.95)
    assert result.count == int(result.breaches.sum())
    assert result.kupiec == kupiec(result.count, 199, 0.95)
    assert result.shortfall_ratio == pytest.approx(
        -result.pnl[result.breaches].mean() / result.es[result.breaches].mean()
    )


def test_backtest_of_independent_returns_is_accepted() -> None:
    rng = np.random.default_rng(13)
    result = backtest(rng.standard_normal((6000, 1)), np.ones((6000, 1)), window=1000)
    assert result.kupiec.p_value > 0.05
    assert result.independence.p_value > 0.05
    assert 0.9 < result.shortfall_ratio < 1.1


def test_on_real_data_the_filter_tames_clusters_and_plain_simulation_is_rejected() -> None:
    closes = Bars.sample().closes
    returns = np.vstack([np.zeros(20), closes[1:] / closes[:-1] - 1.0])
    holdings = np.ones_like(returns)
    plain = backtest(returns, holdings, decay=None)
    filter_ = backtest(returns, holdings)
    assert plain.independence.p_value < 1e-4
    assert filter_.independence.p_value > plain.independence.p_value
    assert abs(filter_.count / filter_.expected - 1) < abs(plain.count / plain.expected - 1)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: historical(np.zeros(99), 0.99), "a level of 0.99 needs at least 100 observations, got 99; lengthen"),
        (lambda: historical(np.zeros(99), 1.0), r"level must be in \[0.5, 1\), got 1.0; 0.99 is the loss of the worst"),
        (lambda: filtered(np.zeros(200), 0.99, 1.0), r"decay must be in \(0, 1\), got 1.0; 0.94 is usual"),
        (
            lambda: rolling(np.zeros((5, 2)), np.zeros((5, 3))),
            r"must have one shape \(T, N\), got \(5, 2\) and \(5, 3\)",
        ),
        (lambda: kupiec(5, 4), "breaches must be from 0 to observations, .* got 5 of 4"),
        (lambda: kupiec(1, 4, 1.0), r"level must be in \(0, 1\), got 1.0"),
        (lambda: christoffersen(np.zeros(1, bool)), "independence needs at least two observations, got 1"),
        (
            lambda: backtest(np.zeros((50, 1)), np.ones((50, 1)), window=100),
            "a backtest needs more than 101 periods with holdings, got 50; shorten the window",
        ),
    ],
)
def test_refusals(call: object, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        call()  # type: ignore[operator]
