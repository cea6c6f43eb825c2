"""The main job's agents over real bars: no look-ahead, a fixed point that does not depend on where it starts, and the
same decisions as the plain-numpy study of bench/."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agents_by_hand import Desk
from hypothesis import given, settings
from hypothesis import strategies as st

from fastmas.market.bars import Bars
from fastmas.risk import performance as figures
from fastmas.risk.value_at_risk import rolling

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def study() -> Any:
    try:
        return importlib.import_module("fastmas.bench.study_main_job")
    except ModuleNotFoundError:
        spec = importlib.util.spec_from_file_location("study_main_job", ROOT / "bench" / "study_main_job.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["study_main_job"] = module
        spec.loader.exec_module(module)
        return module


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk(Bars.sample()).run()


def short_bars(seed: int | None = None, cut: int = 0) -> Bars:
    """Two years and a half of six stocks, one listed late, one with a gap; from `cut` on altered at random."""
    bars = Bars.sample(["AAPL", "AMD", "KO", "PG", "RRC", "XOM"]).window("1990-01-02", "1992-06-30")
    records = bars.records.copy()
    session = np.searchsorted(bars.sessions, records["ts_ns"])
    keep = ~((records["instrument"] == 2) & (session < 100)) & ~((records["instrument"] == 10) & (session // 7 == 40))
    records, session = records[keep], session[keep]
    if seed is not None:
        later = session >= cut
        rng = np.random.default_rng(seed)
        factor = np.exp(0.2 * rng.standard_normal(int(later.sum())))
        records["close"][later] = np.maximum(1, np.rint(records["close"][later] * factor))
        records["flags"][later] ^= rng.integers(0, 2, int(later.sum())).astype(np.uint32)
    return Bars(bars.instruments, records)


@cache
def unaltered() -> Desk:
    return Desk(short_bars()).run()


@settings(max_examples=6, deadline=None)
@given(st.integers(300, 629), st.integers(0, 2**32 - 1))
def test_altering_the_future_leaves_every_past_message_bit_identical(cut: int, seed: int) -> None:
    before, after = unaltered(), Desk(short_bars(seed, cut)).run()
    assert before.trail[:cut] == after.trail[:cut]
    assert before.trail[cut:] != after.trail[cut:]
    assert before.equity[:cut] == after.equity[:cut]


def test_the_short_run_decides_at_all() -> None:
    desk = unaltered()
    assert len(desk.intents) >= 10
    assert 2 in {instrument for intent in desk.intents for instrument in intent.targets}


def test_same_decisions_as_the_study(desk: Desk, study: Any) -> None:
    """Two implementations with nothing in common but the data: returns agree to the rounding of whole lots."""
    track, targets = study.strategy(Bars.sample())
    equity = np.array(desk.equity[track.first :])
    assert len(desk.intents) == len(targets) == 384
    returns = equity[1:] / equity[:-1] - 1.0
    assert np.abs(returns - track.returns).max() < 2e-4
    assert equity[-1] / equity[0] == pytest.approx(track.equity[-1], rel=0.01)
    assert figures.sharpe(returns) == pytest.approx(figures.sharpe(track.returns), abs=0.005)


def test_the_honest_table(study: Any) -> None:
    tracks = study.compare(Bars.sample(), 5.0)
    ratios = {name: round(figures.sharpe(track.returns), 2) for name, track in tracks.items()}
    assert ratios == {
        "blend": 1.07,
        "vol-targeted equal weight": 1.04,
        "equal weight, monthly": 0.98,
        "buy and hold": 0.77,
    }
    blend = tracks["blend"]
    t = figures.newey_west_t(blend.returns, tracks["vol-targeted equal weight"].returns)
    assert abs(t) < 2  # which cannot be told from luck
    assert 0.12 < figures.volatility(blend.returns) < 0.15


def test_every_decision_is_long_only_within_its_equity_and_on_a_first_session(desk: Desk) -> None:
    days = [np.datetime64(intent.ts_ns, "ns").astype("datetime64[D]") for intent in desk.intents]
    months = np.array(days, "datetime64[M]")
    assert (np.diff(months).astype(int) >= 1).all()
    sessions = desk.bars.dates
    for day in days:
        row = int(np.searchsorted(sessions, day))
        assert sessions[row] == day
        assert sessions[row - 1].astype("datetime64[M]") != day.astype("datetime64[M]")
    assert all(lots >= 0 for intent in desk.intents for lots in intent.targets.values())
    assert min(desk.ctx.held.values()) >= 0
    assert desk.ctx.cash >= 0


def test_stale_stock_of_1990_is_not_bought(desk: Desk) -> None:
    rrc = 17
    stale = {int(ts) for ts, flag in zip(desk.bars.sessions, desk.bars.stale[:, rrc - 1], strict=True) if flag}
    assert stale
    for intent in desk.intents:
        assert not (intent.ts_ns in stale and rrc in intent.targets)


def test_reviews_settle_fast_and_wherever_they_start(desk: Desk) -> None:
    assert len(desk.points) == len(desk.intents)
    assert max(point.rounds for point in desk.points) <= 25
    expected = desk.review(tolerance=1e-12).parameters
    rng = np.random.default_rng(1)
    for _ in range(5):
        start = {
            "momentum_signal": rng.uniform(0, 1, 1),
            "reversion_signal": rng.uniform(0, 1, 1),
            "risk_model": rng.uniform(0.01, 5, 1),
            "blend": np.array([*rng.dirichlet([1, 1]), rng.uniform(0, 3), 0.14]),
        }
        got = desk.review(start, tolerance=1e-12).parameters
        for name, vector in expected.items():
            np.testing.assert_allclose(got[name], vector, rtol=1e-9, err_msg=name)


def test_theta_moves_with_the_market(desk: Desk) -> None:
    tilts = np.array([point.parameters["blend"][2] for point in desk.points])
    prices = np.array([point.parameters["risk_model"][0] for point in desk.points])
    shares = np.array([point.parameters["blend"][0] for point in desk.points])
    assert tilts.std() > 0.05
    assert shares.std() > 0.02
    dearest = int(np.argmax(prices))
    assert tilts[dearest] == tilts.min()
    day = np.datetime64(desk.intents[dearest].ts_ns, "ns").astype("datetime64[Y]")
    assert str(day) in ("2008", "2009", "2020")


def test_value_at_risk_of_the_risk_model_equals_the_backtests(desk: Desk) -> None:
    """On a day when the book did not change, from the same holdings, closes and returns."""
    closes = desk.bars.closes
    returns = np.vstack([np.zeros(closes.shape[1]), closes[1:] / closes[:-1] - 1.0])
    row = len(closes) - 1
    assert desk.bars.sessions[row] > desk.intents[-1].ts_ns + 5 * 86_400 * 10**9
    values = np.array([desk.ctx.held.get(one.id, 0) for one in desk.bars.instruments]) * closes[row]
    holdings = np.zeros_like(closes)
    holdings[row] = values / desk.equity[row]
    observed = desk.risks[row]
    assert observed is not None
    for prefix, decay in (("", 0.94), ("plain_", None)):
        window = slice(row - 1100, row + 1)
        var, es = rolling(returns[window], holdings[window], decay=decay)
        assert observed[f"{prefix}var"] == pytest.approx(var[-1], rel=1e-9)
        assert observed[f"{prefix}es"] == pytest.approx(es[-1], rel=1e-9)
