"""Real files of other makers, where they are at hand: OHLCV of indices, one-minute foreign exchange."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fastmas.errors import ConfigError
from fastmas.market.bars import Bars
from fastmas.risk.performance import annualised_return

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the market data that may not ship is not here")


@needs_data
@pytest.mark.parametrize("name", ["sp500_ohlcv", "nasdaq"])
def test_daily_ohlcv_of_an_index(name: str) -> None:
    bars = Bars.from_csv(DATA / "daily" / f"{name}.csv.gz", date_format="%m/%d/%Y", price_increment=0.000001)
    assert bars.symbols == (name,)
    assert bars.has_ohlc
    assert bars.has_volume
    assert (str(bars.dates[0]), str(bars.dates[-1])) == ("1999-01-04", "2018-12-31")
    assert len(bars) == len(bars.sessions) > 5000
    assert {problem.kind for problem in bars.problems} <= {"ignored_column", "off_calendar", "gap", "rounded"}


@needs_data
def test_one_minute_bars_of_a_currency_pair() -> None:
    bid, ask = (
        Bars.from_csv(DATA / "fx" / f"gbpusd-m1-{side}-2012.csv.gz", price_increment=0.00001, symbol=side)
        for side in ("bid", "ask")
    )
    both = Bars.merge(bid, ask)
    assert len(both) == 2 * 30_117
    assert both.sessions[0] == np.datetime64("2012-02-01T00:00", "ns").astype(np.int64)
    assert (both.closes[:, 1] >= both.closes[:, 0]).mean() > 0.97
    assert {problem.kind for problem in both.problems} <= {"stale", "gap", "rounded"}


def test_the_index_that_ships() -> None:
    from fastmas import data
    from fastmas.market.reader import read_table
    from fastmas.market.table import from_csv_bytes

    table = from_csv_bytes(data.read("sp500_index.csv.gz"), "sp500_index.csv.gz")
    index = Bars(*read_table(table, {"price_increment": 0.01}))
    np.testing.assert_array_equal(index.sessions, Bars.sample(["KO"]).sessions)
    closes = index.closes[:, 0]
    assert round(annualised_return(closes[1:] / closes[:-1] - 1.0), 3) == 0.074
    with pytest.raises(ConfigError, match=r"no data set 'x' ships with the package; there are sp500_d"):
        data.read("x")
