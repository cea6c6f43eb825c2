"""Question: what do a session of the main job's seven agents above the line, its data and its VaR cost?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastmas.market.bars import Bars
from fastmas.risk.value_at_risk import rolling
from fastmas.strategies import Blend, Breadth, MomentumSignal, Returns, ReversionSignal, RiskModel, Volatility


class _Context:
    now_ns = 0
    equity = cash = 10_000_000 * 10**6
    parameters: dict[str, np.ndarray] = {}  # noqa: RUF012 - one for all

    @staticmethod
    def position(instrument: int) -> int:
        return 1000

    holding = position


@pytest.mark.benchmark(group="main job above the line")
def bench_seven_agents_a_session(benchmark: Any) -> None:
    bars = Bars.sample()
    records, sessions = bars.records, len(bars.sessions)
    slices = [records[start : start + 20] for start in range(0, 20 * sessions, 20)]
    context: Any = _Context()
    perception = (Breadth(), Returns(), Volatility())
    momentum, reversion, risk, blend = MomentumSignal(), ReversionSignal(), RiskModel(), Blend()
    for agent in (momentum, reversion, risk, blend):
        context.parameters[agent.name] = np.array(agent.initial_parameters)
    position = iter(range(sessions))

    def one_session() -> None:
        bar_slice = slices[next(position)]
        context.now_ns = int(bar_slice["ts_ns"][0])
        seen = [agent.perceive_many(bar_slice, context) for agent in perception]
        views = [agent.reason(seen[1], context) for agent in (momentum, reversion)]
        blend.decide([one for one in (*views, seen[1], risk.reason(seen, context)) if one is not None], context)

    for _ in range(1300):  # windows full
        one_session()
    benchmark.extra_info.update(items=1, item="session of 20 instruments")
    benchmark.pedantic(one_session, rounds=2000, iterations=1)


@pytest.mark.benchmark(group="main job's data")
def bench_load_the_sample(benchmark: Any) -> None:
    benchmark.extra_info.update(items=166_260, item="bar")
    benchmark(Bars.sample)


@pytest.mark.benchmark(group="main job's data")
def bench_load_by_pandas(benchmark: Any, tmp_path: Any) -> None:
    """The rival: parsing alone, without checks, stamps or records."""
    pandas = pytest.importorskip("pandas")
    from fastmas import data

    path = tmp_path / "sample.csv.gz"
    path.write_bytes(data.read("sp500_dataset.csv.gz"))
    benchmark.extra_info.update(items=166_260, item="bar", rival=True)
    benchmark(pandas.read_csv, path, index_col=0, parse_dates=True)


@pytest.mark.benchmark(group="value at risk, 8,313 forecasts of 1,000 days")
def bench_filtered_value_at_risk(benchmark: Any) -> None:
    closes = Bars.sample().closes
    returns = np.vstack([np.zeros(20), closes[1:] / closes[:-1] - 1.0])
    benchmark.extra_info.update(items=7314, item="forecast")
    benchmark(rolling, returns, np.ones_like(returns))
