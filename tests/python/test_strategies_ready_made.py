"""The ready-made crossover: holds its lots exactly while the fast average is above the slow one."""

from __future__ import annotations

import numpy as np
import pytest

import fastmas as fm
from fastmas.errors import ConfigError
from fastmas.market.bars import Bars
from fastmas.strategies import Momentum


@pytest.mark.parametrize("lots", [1, 250])
def test_it_holds_while_the_fast_average_is_above_the_slow_one(lots):
    bars = Bars.sample(["AAPL", "KO"]).window("2018-01-02", "2019-12-31")
    report = fm.Simulation(feed=bars, venue=fm.BarVenue(bars.instruments)).run(Momentum(fast=5, slow=20, lots=lots))
    closes = bars.closes
    expected = np.zeros(closes.shape, dtype=np.int64)
    for row in range(20, len(closes)):
        known = closes[row - 20 : row]  # decided at the close before, filled at this one
        expected[row] = np.where(known[-5:].mean(axis=0) > known.mean(axis=0), lots, 0)
    assert np.array_equal(report.holdings, expected)
    assert 10 < report.orders == np.abs(np.diff(expected, axis=0)).sum() / lots


def test_agents_are_new_each_time():
    strategy = Momentum(fast=2, slow=3)
    first, second = strategy.agents(), strategy.agents()
    assert [agent.stage for agent in first] == ["Perception", "Reasoning", "Decision", "Action"]
    assert not {id(agent) for agent in first} & {id(agent) for agent in second}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"fast": 30, "slow": 10}, "a crossover needs 1 <= fast < slow, got fast=30, slow=10; try 10 and 30"),
        ({"fast": 0, "slow": 10}, "a crossover needs 1 <= fast < slow, got fast=0, slow=10"),
        ({"fast": 5, "slow": 5}, "a crossover needs 1 <= fast < slow, got fast=5, slow=5"),
        ({"fast": 5, "slow": 9, "lots": 0}, "lots must be at least 1, got 0"),
    ],
)
def test_crossovers_that_cannot_be(arguments, text):
    with pytest.raises(ConfigError, match=text):
        Momentum(**arguments)
