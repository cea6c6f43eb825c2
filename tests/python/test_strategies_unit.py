"""The main job's agents as plain calls."""

from __future__ import annotations

import numpy as np
import pytest
from agents_by_hand import PlainContext

from fastmas.agent import UNIVERSE
from fastmas.errors import ConfigError
from fastmas.messages import Bar, BarFlag, Intent, Observation, Review, Signal
from fastmas.risk.value_at_risk import filtered, historical
from fastmas.strategies import (
    MOMENTUM,
    REVERSION,
    Blend,
    Breadth,
    MomentumSignal,
    Returns,
    ReversionSignal,
    RiskModel,
    Volatility,
)
from fastmas.strategies.window import Universe, Window

DAY = 86_400_000_000_000
JANUARY = 1_704_229_200_000_000_000  # 2024-01-02 21:00 UTC


def slice_of(closes: dict[int, int], ts_ns: int = 0, stale: tuple[int, ...] = ()) -> np.ndarray:
    bars = np.zeros(len(closes), Bar.dtype)
    bars["ts_ns"], bars["instrument"], bars["close"] = ts_ns, list(closes), list(closes.values())
    bars["flags"] = [BarFlag.STALE if one in stale else 0 for one in closes]
    return bars


def seen(closes: list[float], tradable: list[float] | None = None) -> Observation:
    close = np.array(closes, np.float64)
    return Observation(
        UNIVERSE,
        0,
        {
            "ids": np.arange(1, len(closes) + 1),
            "close": close,
            "last": close,
            "return": np.zeros(len(closes)),
            "tradable": np.array(tradable or [1.0] * len(closes)),
        },
    )


# ---- windows ----------------------------------------------------------------------------------------------------


def test_window_keeps_the_last_rows_and_grows_to_the_right() -> None:
    window, rows = Window(3), []
    for at in range(20):
        row = np.full(2 if at < 10 else 3, float(at))
        window.push(row)
        rows.append(np.concatenate((row, np.full(3 - len(row), np.nan)))[: 2 if at < 10 else 3])
        assert len(window) == min(at + 1, 3)
        expected = np.array([np.resize(np.append(r, np.nan), len(row)) if len(r) < len(row) else r for r in rows[-3:]])
        np.testing.assert_array_equal(window.rows, expected)


def test_universe_keeps_columns_where_they_are() -> None:
    universe = Universe()
    assert universe.columns(np.array([7, 3], np.uint32)).tolist() == [0, 1]
    assert universe.columns(np.array([3, 5, 7], np.uint32)).tolist() == [1, 2, 0]
    assert universe.columns(np.array([5], np.uint32)).tolist() == [2]
    assert universe.ids.tolist() == [7, 3, 5]
    assert len(universe) == 3


# ---- perception -------------------------------------------------------------------------------------------------


def test_returns_with_a_gap_a_late_listing_and_a_stale_bar() -> None:
    agent, ctx = Returns(), PlainContext()
    first = agent.perceive_many(slice_of({1: 100, 2: 200}), ctx)
    assert np.isnan(first["return"]).all()
    second = agent.perceive_many(slice_of({1: 110}), ctx)
    np.testing.assert_allclose(second["return"], [0.1, np.nan])
    np.testing.assert_array_equal(second["close"], [110, np.nan])
    np.testing.assert_array_equal(second["last"], [110, 200])
    np.testing.assert_array_equal(second["tradable"], [1, 0])
    third = agent.perceive_many(slice_of({1: 110, 2: 220, 3: 50}, stale=(1,)), ctx)
    np.testing.assert_allclose(third["return"], [0.0, 0.1, np.nan])
    np.testing.assert_array_equal(third["tradable"], [0, 1, 1])
    np.testing.assert_array_equal(third["ids"], [1, 2, 3])
    assert third.instrument == UNIVERSE


def test_an_observation_is_not_changed_by_later_slices() -> None:
    agent, ctx = Returns(), PlainContext()
    first = agent.perceive_many(slice_of({1: 100, 2: 200}), ctx)
    before = first.to_bytes()
    agent.perceive_many(slice_of({1: 110, 2: 190, 3: 1}), ctx)
    assert first.to_bytes() == before


def test_volatility_is_the_recursion() -> None:
    agent, ctx = Volatility(decay=0.9, warm_up=3), PlainContext()
    rng = np.random.default_rng(1)
    closes = np.rint(1e6 * np.exp(np.cumsum(0.01 * rng.standard_normal(40)))).astype(int)
    variance = 0.0
    for at, close in enumerate(closes):
        got = agent.perceive_many(slice_of({1: int(close)}), ctx)["volatility"][0]
        if at:
            change = closes[at] / closes[at - 1] - 1.0
            variance += max(0.1, 1.0 / at) * (change**2 - variance)
        assert np.isnan(got) if at < 3 else got == pytest.approx(variance**0.5, rel=1e-12)


def test_breadth_counts_instruments_above_their_average() -> None:
    agent, ctx = Breadth(length=3), PlainContext()
    for closes in ({1: 10, 2: 10, 3: 10}, {1: 11, 2: 9, 3: 10}):
        assert np.isnan(agent.perceive_many(slice_of(closes), ctx)["breadth"])
    assert agent.perceive_many(slice_of({1: 12, 2: 8, 3: 13}), ctx)["breadth"] == pytest.approx(2 / 3)
    assert agent.perceive_many(slice_of({1: 1, 2: 8}), ctx)["breadth"] == 0.0


# ---- signals ----------------------------------------------------------------------------------------------------


def test_momentum_skips_the_last_month() -> None:
    agent, ctx = MomentumSignal(length=4, skip=1), PlainContext()
    for closes in ([10.0, 10.0, 10.0], [1.0, 1.0, 1.0], [9.0, 9.0, 9.0], [12.0, 11.0, 10.0]):
        assert agent.reason(seen(closes), ctx) is None
    ctx.now_ns = 5
    batch = agent.reason(seen([1.0, 99.0, 50.0]), ctx)
    raw = np.array([0.2, 0.1, 0.0])
    np.testing.assert_allclose(batch["score"], (raw - raw.mean()) / raw.std(), atol=1e-12)
    assert batch.dtype == Signal.dtype
    assert batch["instrument"].tolist() == [1, 2, 3]
    assert batch["ts_ns"].tolist() == [5, 5, 5]
    assert set(batch["source"].tolist()) == {MOMENTUM}


def test_reversion_is_minus_the_last_days_return() -> None:
    agent, ctx = ReversionSignal(length=2), PlainContext()
    for _ in range(19):
        assert agent.reason(seen([7.0, 7.0]), ctx) is None
    for closes in ([10.0, 10.0], [50.0, 2.0]):
        assert agent.reason(seen(closes), ctx) is None
    batch = agent.reason(seen([11.0, 9.0]), ctx)
    np.testing.assert_allclose(batch["score"], [-1.0, 1.0])
    assert set(batch["source"].tolist()) == {REVERSION}


def test_stale_and_missing_instruments_get_no_score_and_do_not_move_others() -> None:
    def last(closes: list[float], tradable: list[float]) -> np.ndarray:
        agent, ctx = MomentumSignal(length=2, skip=0), PlainContext()
        for at in (1.0, 2.0):
            agent.reason(seen([at * close for close in closes]), ctx)
        return agent.reason(seen(closes, tradable), ctx)

    batch = last([1.0, 3.0, 4.0, np.nan], [1.0, 1.0, 0.0, 0.0])
    assert batch["instrument"].tolist() == [1, 2]
    np.testing.assert_array_equal(batch["score"], last([1.0, 3.0, 9e9, np.nan], [1.0, 1.0, 0.0, 0.0])["score"])
    assert last([1.0, 2.0], [1.0, 0.0]) is None


def test_confidence_follows_evidence_that_is_a_month_old() -> None:
    rng = np.random.default_rng(2)
    prophet, fool = (MomentumSignal(length=22, skip=0) for _ in range(2))
    ctx = PlainContext()
    drift = np.linspace(-0.01, 0.01, 20)
    closes = np.full(20, 1e6)
    for _ in range(400):
        closes = closes * (1.0 + drift + 0.002 * rng.standard_normal(20))
        prophet.reason(seen(closes.tolist()), ctx)
    assert prophet.update_parameters({}, ctx)[0] > 0.99
    for at in range(1200):  # what rose for 30 sessions falls for the next 30
        closes = closes * (1.0 + drift * (1 if at // 30 % 2 else -1))
        fool.reason(seen(closes.tolist()), ctx)
    assert fool.update_parameters({}, ctx)[0] < 0.4
    assert MomentumSignal().update_parameters({}, ctx)[0] == 0.5


# ---- risk -------------------------------------------------------------------------------------------------------


def feed_risk(agent: RiskModel, ctx: PlainContext, returns: np.ndarray, breadth: float = 0.5) -> Observation | None:
    last = None
    for change in returns:
        base = seen([1000.0] * returns.shape[1])
        values = {**base.values, "return": change}
        last = agent.reason(
            [
                Observation(UNIVERSE, 0, {"breadth": breadth}),
                Observation(UNIVERSE, 0, values),
                Observation(UNIVERSE, 0, {"ids": base["ids"], "volatility": np.full(returns.shape[1], 0.01)}),
            ],
            ctx,
        )
    return last


def test_correlation_is_the_mean_off_diagonal_element() -> None:
    rng = np.random.default_rng(3)
    returns = 0.01 * (rng.standard_normal((126, 1)) + rng.standard_normal((126, 4)))
    got = feed_risk(RiskModel(), PlainContext(), np.vstack([9.0 * rng.standard_normal((50, 4)), returns]))
    matrix = np.corrcoef(returns.T)
    assert got is not None
    assert got["correlation"] == pytest.approx(matrix[~np.eye(4, dtype=bool)].mean(), rel=1e-9)


def test_tail_risk_of_the_holdings_as_shares_of_equity() -> None:
    rng = np.random.default_rng(4)
    returns = 0.01 * rng.standard_t(4, (210, 3))
    ctx = PlainContext(equity=10**12)
    agent = RiskModel(length=50, window=200)
    without = feed_risk(agent, ctx, returns[:205])
    assert without is not None
    assert np.isnan([without[name] for name in ("var", "es", "plain_var", "plain_es")]).all()
    ctx.held = {1: 300_000, 3: 500_000}
    got = feed_risk(agent, ctx, returns[205:])
    assert got is not None
    # 300,000 lots at 1,000 increments of 0.001 are 300,000 dollars: 0.3 of the equity.
    pnl = returns[10:] @ np.array([0.3, 0.0, 0.5])
    assert (got["var"], got["es"]) == pytest.approx((filtered(pnl).var, filtered(pnl).es), rel=1e-9)
    assert (got["plain_var"], got["plain_es"]) == pytest.approx((historical(pnl).var, historical(pnl).es), rel=1e-9)


def test_price_of_risk_rises_with_volatility_and_falls_with_breadth() -> None:
    rng = np.random.default_rng(5)
    returns = 0.01 * rng.standard_normal((126, 4))
    thetas = {"risk_model": np.array([1.0]), "blend": np.array([0.5, 0.5, 0.5, 0.14])}
    prices = []
    for breadth in (0.0, 0.5, 1.0, np.nan):
        agent, ctx = RiskModel(), PlainContext()
        feed_risk(agent, ctx, returns, breadth)
        prices.append(float(agent.update_parameters(thetas, ctx)[0]))
    assert prices[0] == pytest.approx(1.5 * prices[1])
    assert prices[2] == pytest.approx(0.5 * prices[1])
    assert prices[3] == prices[1]
    assert RiskModel().update_parameters(thetas, ctx)[0] == 1.0


# ---- decision ---------------------------------------------------------------------------------------------------


class Month:
    """A blend on the first session of February with everything it needs; views are set by the test."""

    def __init__(self, count: int = 4, price: float = 100_000.0, **options: float) -> None:
        self.blend = Blend(**options)  # type: ignore[arg-type]
        self.ctx = PlainContext(equity=10**12)
        self.ctx.parameters = {"blend": np.array(self.blend.initial_parameters)}
        self.count, self.price = count, price
        self.ctx.now_ns = JANUARY
        self.volatility = 0.01
        self.correlation = 0.5
        assert self.blend.decide(self.messages(), self.ctx) is None
        self.ctx.now_ns = JANUARY + 30 * DAY

    def messages(
        self, momentum: list[float] | None = None, tradable: list[float] | None = None, close: list[float] | None = None
    ) -> list[object]:
        prices = seen(close or [self.price] * self.count, tradable)
        batches = []
        for source, scores in ((MOMENTUM, momentum or [0.0] * self.count), (REVERSION, [0.0] * self.count)):
            batch = np.zeros(self.count, Signal.dtype)
            batch["instrument"], batch["score"], batch["source"] = prices["ids"], scores, source
            batches.append(batch)
        risk = {"ids": prices["ids"], "volatility": np.full(self.count, self.volatility)}
        risk_seen = Observation(UNIVERSE, 0, {**risk, "correlation": self.correlation})
        return [batches[0], prices, batches[1], risk_seen]

    def decide(self, **views: list[float]) -> dict[int, int]:
        answer = self.blend.decide(self.messages(**views), self.ctx)
        if isinstance(answer, Review):
            return {}
        intent, review = answer
        assert isinstance(intent, Intent)
        assert isinstance(review, Review)
        assert intent.ts_ns == review.ts_ns == self.ctx.now_ns
        assert intent.valid_until_ns == self.ctx.now_ns + 12 * 3600 * 10**9
        return dict(intent.targets)


def test_decides_on_the_first_session_of_a_month_only() -> None:
    month = Month()
    assert len(month.decide()) == 4
    month.ctx.now_ns += DAY
    assert month.blend.decide(month.messages(), month.ctx) is None
    month.ctx.now_ns = JANUARY + 61 * DAY
    assert isinstance(month.blend.decide(month.messages(), month.ctx), list)


def test_equal_weights_at_the_volatility_budget() -> None:
    month = Month(budget=0.10)
    lots = month.decide()
    assert len(set(lots.values())) == 1
    predicted = 0.01 * 252**0.5 * (0.5 + 0.5 / 4) ** 0.5
    # a lot at 100,000 increments of 0.001 is 100 dollars; equity is a million
    assert lots[1] == int(0.10 / predicted * 0.25 * 1_000_000 / 100)


def test_never_more_than_fully_invested() -> None:
    month = Month(budget=2.0)
    assert sum(month.decide().values()) * 100 == pytest.approx(980_000, abs=400)


def test_views_tilt_and_never_go_short() -> None:
    month = Month(count=3, price=1000.0, tilt=2.0, budget=0.1)
    lots = month.decide(momentum=[1.0, 0.0, -9.0])
    assert lots[1] / lots[2] == pytest.approx(1 + 1.0 * 2 / 3, rel=1e-3)
    assert 3 not in lots  # nothing is held and nothing wanted
    month = Month(count=3, price=1000.0, tilt=2.0, budget=0.1)
    month.ctx.held = {3: 5}
    assert month.decide(momentum=[1.0, 0.0, -9.0])[3] == 0


def test_what_cannot_be_traded_is_left_alone() -> None:
    month = Month(budget=2.0)
    month.ctx.held = {2: 5000}  # half of the equity, and stale
    lots = month.decide(tradable=[1.0, 0.0, 1.0, 1.0])
    assert set(lots) == {1, 3, 4}
    assert sum(lots.values()) * 100 + 500_000 <= 980_000
    month = Month()
    lots = month.decide(close=[100_000.0, np.nan, 100_000.0, 100_000.0])
    assert set(lots) == {1, 3, 4}


def test_no_trade_band() -> None:
    month = Month(budget=2.0, band=0.01)
    target = 2450
    month.ctx.held = {1: target - 99, 2: target - 101, 3: target + 50, 4: 0}
    assert month.decide() == {2: target, 4: target}
    month.ctx.held = {1: target - 50, 2: target - 50, 3: target - 50, 4: target - 50}
    month.ctx.now_ns += 31 * DAY
    assert month.decide() == {}


def test_the_band_never_borrows() -> None:
    month = Month(budget=2.0, band=0.05)
    month.ctx.held = {1: 2600, 2: 2600, 3: 2600, 4: 1000}
    lots = month.decide()
    assert lots == {1: 2450, 2: 2450, 3: 2450, 4: 2450}


def test_waits_for_all_views() -> None:
    month = Month()
    messages = month.messages()
    for missing in range(4):
        month.blend._month = (2023, 12)
        assert month.blend.decide([one for at, one in enumerate(messages) if at != missing], month.ctx) is None
    month.blend._month = (2023, 12)
    assert month.blend.decide(messages, month.ctx) is not None


def test_units_of_the_instruments() -> None:
    coarse = Month(budget=2.0, price_increment=0.01, lot_size=10)
    assert coarse.decide()[1] == 2450 // 100


def test_shares_follow_confidence_and_tilt_the_price_of_risk() -> None:
    blend, ctx = Blend(), PlainContext()
    thetas = {
        "momentum_signal": np.array([0.5]),
        "reversion_signal": np.array([0.5]),
        "risk_model": np.array([1.0]),
        "blend": np.array([0.1, 0.9, 0.3, 0.13]),
    }
    np.testing.assert_allclose(blend.update_parameters(thetas, ctx), [2 / 3, 1 / 3, 0.5, 0.13])
    thetas["momentum_signal"] = np.array([0.25])
    thetas["risk_model"] = np.array([3.0])
    np.testing.assert_allclose(blend.update_parameters(thetas, ctx), [0.5, 0.5, 0.25, 0.13])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Blend(budget=0.0), r"budget must be in \(0, 2\], got 0.0"),
        (lambda: Blend(band=0.6), r"band must be in \(0, 0.5\], got 0.6"),
        (lambda: Blend(max_gross=1.1), r"max_gross must be in \(0, 1\], got 1.1"),
        (lambda: Blend(tilt=-1.0), r"tilt must not be negative, got -1.0"),
        (lambda: MomentumSignal(10, 10), r"momentum needs 0 <= skip < length, got length=10, skip=10; try 252 and 21"),
        (lambda: ReversionSignal(0), r"mean reversion needs a length of at least one session, got 0; try 5"),
        (lambda: Volatility(decay=1.0), r"volatility needs a decay in \(0, 1\) and a warm_up of at least 1, got 1.0"),
        (lambda: Breadth(1), r"breadth needs a length of at least two sessions, got 1; try 200"),
        (lambda: RiskModel(length=1), r"the risk model needs 2 <= length <= window, got 1 and 1000"),
        (lambda: RiskModel(length=10, window=50), r"a level of 0.99 needs at least 100 observations, got 50"),
        (
            lambda: RiskModel().reason([seen([1.0])], PlainContext()),
            r"one observation with 'return' and one with 'volatility' a slice, got \[\['close', 'ids', 'last',",
        ),
    ],
)
def test_refusals(call: object, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        call()  # type: ignore[operator]
