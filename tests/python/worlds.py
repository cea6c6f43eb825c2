"""Small worlds for tests: real stocks, two and a half years, the main job's agents."""

from __future__ import annotations

from functools import cache

import fastmas as fm
from fastmas.market.bars import Bars
from fastmas.market.venue import BarVenue
from fastmas.strategies import (
    AtMarket,
    Blend,
    Breadth,
    MomentumSignal,
    Returns,
    ReversionSignal,
    RiskModel,
    Volatility,
)

SYMBOLS = ("AAPL", "JPM", "KO", "MSFT", "PG", "XOM")


@cache
def some_bars() -> Bars:
    return Bars.sample().select(SYMBOLS).window("2019-06-03", "2021-12-31")


def main_agents():
    return [
        Returns(),
        Volatility(),
        Breadth(),
        MomentumSignal(),
        ReversionSignal(),
        RiskModel(),
        Blend(),
        AtMarket(),
    ]


def run(bars=None, agents=None, **options):
    bars = some_bars() if bars is None else bars
    venue = BarVenue(bars.instruments, fee_bps=1, slippage_bps=4)
    return fm.Simulation(feed=bars, venue=venue, **options).run(main_agents() if agents is None else agents)
