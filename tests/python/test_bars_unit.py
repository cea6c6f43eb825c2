"""Bars: what is read, what is reported, and the parts of them."""

from __future__ import annotations

import gzip
import sys
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from fastmas.errors import ConfigError, DataError
from fastmas.market.bars import Bars
from fastmas.market.calendar import FixedClose
from fastmas.market.instrument import Instrument
from fastmas.market.synthetic import synthetic_bars
from fastmas.messages import Bar, BarFlag

WIDE = """Date,AAA,BBB
2024-01-02,1.5,
2024-01-03,1.25,
2024-01-04,1.75,20.125
2024-01-05,2,20.5
"""

LONG = """time,symbol,open,high,low,close,volume
2024-01-02,AAA,10,11,9,10.5,100
2024-01-03,AAA,10.5,12,10,11,0
2024-01-02,BBB,5,5,5,5,7
2024-01-03,BBB,5,6,4,5.5,8
"""


def csv(tmp_path: Path, text: str, name: str = "prices.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


# ---- what is read -----------------------------------------------------------------------------------------------


def test_sample() -> None:
    bars = Bars.sample()
    assert bars.closes.shape == (8313, 20)
    assert bars.symbols[0] == "AAPL"
    assert bars.instruments[0] == Instrument(1, "AAPL", 0.001, 1, "USD")
    assert bars.records["close"][0] == 264
    assert bars.closes[0, 0] == 0.264
    assert not bars.has_ohlc
    assert not bars.has_volume
    assert not np.isnan(bars.closes).any()
    zone = ZoneInfo("America/New_York")
    local = {datetime.fromtimestamp(ns // 10**9, zone).time() for ns in bars.sessions.tolist()}
    assert local == {time(16), time(13), time(14)}
    np.testing.assert_array_equal(np.diff(bars.sessions) > 0, True)


def test_sample_reports_the_stale_stock_of_1990_and_no_gap() -> None:
    bars = Bars.sample()
    assert {(problem.kind, problem.symbol) for problem in bars.problems} == {("stale", "JPM"), ("stale", "RRC")}
    rrc = bars.symbols.index("RRC")
    in_1990 = bars.dates < np.datetime64("1991-01-01")
    closes = bars.closes[in_1990, rrc]
    assert round(float(np.mean(np.diff(closes) == 0)), 2) == 0.92
    assert bars.stale[in_1990, rrc].mean() > 0.95
    assert not bars.tradable[in_1990, rrc][10:].any()
    assert bars.stale[bars.dates >= np.datetime64("1994-01-01")].sum() == 0


def test_reading_needs_neither_pandas_nor_polars() -> None:
    import subprocess

    code = (
        "import sys; from fastmas.market.bars import Bars; Bars.sample(); "
        "sys.exit(any(name in sys.modules for name in ('pandas', 'polars', 'pyarrow', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_wide_csv_with_a_late_listing(tmp_path: Path) -> None:
    bars = Bars.from_csv(csv(tmp_path, WIDE))
    assert bars.symbols == ("AAA", "BBB")
    np.testing.assert_array_equal(bars.closes[:, 0], [1.5, 1.25, 1.75, 2.0])
    np.testing.assert_array_equal(bars.closes[:, 1], [np.nan, np.nan, 20.125, 20.5])
    assert len(bars) == 6
    (problem,) = bars.problems
    assert str(problem) == "BBB: listed 2 bar(s) after the first, on 2024-01-04"
    assert (problem.kind, problem.count) == ("late_listing", 2)
    assert not bars.tradable[1, 1]


def test_gzip_byte_order_mark_and_empty_tail(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv.gz"
    path.write_bytes(gzip.compress(("\ufeff" + WIDE + "\n\n").encode()))
    assert Bars.from_csv(path).digest() == Bars.from_csv(csv(tmp_path, WIDE)).digest()


def test_long_csv(tmp_path: Path) -> None:
    bars = Bars.from_csv(csv(tmp_path, LONG))
    assert bars.has_ohlc
    assert bars.has_volume
    first = bars.records[0]
    assert [int(first[name]) for name in ("instrument", "open", "high", "low", "close", "volume")] == [
        1,
        10_000,
        11_000,
        9_000,
        10_500,
        100,
    ]
    np.testing.assert_array_equal(bars.records["instrument"], [1, 2, 1, 2])


def test_long_without_symbol_column_and_with_unused_columns(tmp_path: Path) -> None:
    text = "Date,Open,High,Low,Close,Adj Close,Volume\n1/4/1999,1,2,1,1.5,1.5,10\n1/5/1999,1.5,2,1,1.75,1.5,11\n"
    bars = Bars.from_csv(csv(tmp_path, text, "IDX.csv"), date_format="%m/%d/%Y")
    assert bars.symbols == ("IDX",)
    assert [str(problem) for problem in bars.problems] == ["column 'Adj Close' is not used"]
    assert str(bars.dates[0]) == "1999-01-04"
    assert Bars.from_csv(tmp_path / "IDX.csv", date_format="%m/%d/%Y", symbol="SPX").symbols == ("SPX",)


def test_ticker_called_low_is_not_a_price_column(tmp_path: Path) -> None:
    bars = Bars.from_csv(csv(tmp_path, "Date,LOW,HD\n2024-01-02,200,300\n2024-01-03,201,301\n"))
    assert bars.symbols == ("LOW", "HD")


def test_intraday_instants_pass_through(tmp_path: Path) -> None:
    text = (
        "timestamp,open,high,low,close\n2012-02-01 00:00:00+00:00,1.5,1.5,1.5,1.5\n2012-02-01 00:01:00+00:00,1,2,1,1\n"
    )
    bars = Bars.from_csv(csv(tmp_path, text))
    assert bars.sessions.tolist() == [1328054400 * 10**9, 1328054460 * 10**9]


def test_instants_without_a_zone_take_the_given_one(tmp_path: Path) -> None:
    path = csv(tmp_path, "time,AAA\n2024-07-01T09:30:00,1\n2024-07-01T09:31:00,2\n")
    utc, new_york = Bars.from_csv(path), Bars.from_csv(path, timezone="America/New_York")
    assert (new_york.sessions - utc.sessions).tolist() == [4 * 3600 * 10**9] * 2


def test_integer_times_are_nanoseconds(tmp_path: Path) -> None:
    path = csv(tmp_path, "ts_ns,AAA\n1700000000000000001,1\n1700000000000000002,2\n")
    assert Bars.from_csv(path).sessions.tolist() == [1700000000000000001, 1700000000000000002]


def test_other_calendar(tmp_path: Path) -> None:
    bars = Bars.from_csv(csv(tmp_path, WIDE), calendar=FixedClose("Europe/London", time(16, 30)))
    assert datetime.fromtimestamp(int(bars.sessions[0]) // 10**9, UTC) == datetime(2024, 1, 2, 16, 30, tzinfo=UTC)


def test_symbols_and_units(tmp_path: Path) -> None:
    bars = Bars.from_csv(csv(tmp_path, LONG), symbols=["BBB"], price_increment=0.5, lot_size=4, currency="EUR")
    assert bars.instruments == (Instrument(1, "BBB", 0.5, 4, "EUR"),)
    np.testing.assert_array_equal(bars.records["close"], [10, 11])
    np.testing.assert_array_equal(bars.records["volume"], [1, 2])
    given = Bars.from_csv(csv(tmp_path, LONG), instruments=[Instrument(7, "BBB"), Instrument(3, "AAA")])
    assert [one.id for one in given.instruments] == [3, 7]
    np.testing.assert_array_equal(given.records["instrument"], [3, 7, 3, 7])
    np.testing.assert_array_equal(given.closes[:, 1], [5.0, 5.5])


def test_prices_off_the_grid_round_and_are_reported(tmp_path: Path) -> None:
    bars = Bars.from_csv(csv(tmp_path, "Date,AAA\n2024-01-02,1.0004\n2024-01-03,1.0016\n2024-01-04,3\n"))
    assert bars.records["close"].tolist() == [1000, 1002, 3000]
    (problem,) = bars.problems
    assert str(problem) == "AAA: 2 price(s) rounded to steps of 0.001, by at most 4 bps"


# ---- frames and Parquet -----------------------------------------------------------------------------------------


def test_pandas_wide_and_long_equal_csv(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    wide = pandas.read_csv(csv(tmp_path, WIDE), index_col=0, parse_dates=True)
    expected = Bars.from_csv(tmp_path / "prices.csv").digest()
    assert Bars.from_frame(wide).digest() == expected
    assert Bars.from_frame(wide.reset_index()).digest() == expected
    assert Bars.from_frame(wide.tz_localize("America/New_York")).digest() == expected
    assert Bars.from_frame(pandas.read_csv(tmp_path / "prices.csv")).digest() == expected
    wide.index.name = None
    assert Bars.from_frame(wide).digest() == expected
    assert Bars.from_frame(wide.to_period("D")).digest() == expected
    long = pandas.read_csv(csv(tmp_path, LONG, "long.csv"), parse_dates=["time"])
    expected = Bars.from_csv(tmp_path / "long.csv").digest()
    assert Bars.from_frame(long).digest() == expected
    assert Bars.from_frame(long.set_index(["time", "symbol"])).digest() == expected


def test_pandas_nanoseconds_survive() -> None:
    pandas = pytest.importorskip("pandas")
    times = pandas.to_datetime(np.array([1_700_000_000_000_000_001, 1_700_000_000_000_000_003], "datetime64[ns]"))
    frame = pandas.DataFrame({"time": times.tz_localize("UTC"), "AAA": [1.0, 2.0]})
    assert Bars.from_frame(frame).sessions.tolist() == [1_700_000_000_000_000_001, 1_700_000_000_000_000_003]


def test_polars_equals_csv(tmp_path: Path) -> None:
    polars = pytest.importorskip("polars")
    for name, text in (("wide.csv", WIDE), ("long.csv", LONG)):
        path = csv(tmp_path, text, name)
        frame = polars.read_csv(path, try_parse_dates=True)
        assert Bars.from_frame(frame).digest() == Bars.from_csv(path).digest()


def test_parquet_equals_csv(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    from pyarrow import csv as arrow_csv
    from pyarrow import parquet

    for name, text in (("wide.csv", WIDE), ("long.csv", LONG)):
        path = csv(tmp_path, text, name)
        parquet.write_table(arrow_csv.read_csv(path), tmp_path / "prices.parquet")
        assert Bars.from_parquet(tmp_path / "prices.parquet").digest() == Bars.from_csv(path).digest()


def test_parquet_instants(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    stamps = [datetime(2024, 7, 1, 9, 30, tzinfo=UTC), datetime(2024, 7, 1, 9, 31, tzinfo=UTC)]
    for zone in ("UTC", None):
        column = arrow.array([s.replace(tzinfo=UTC if zone else None) for s in stamps], arrow.timestamp("us", zone))
        parquet.write_table(arrow.table({"time": column, "AAA": [1.0, 2.0]}), tmp_path / "p.parquet")
        assert Bars.from_parquet(tmp_path / "p.parquet").sessions[0] == int(stamps[0].timestamp()) * 10**9


def test_missing_pyarrow_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"reading Parquet needs pyarrow: pip install 'fastmas\[frames\]'"):
        Bars.from_parquet(tmp_path / "p.parquet")


def test_not_a_frame() -> None:
    with pytest.raises(ConfigError, match=r"takes a pandas or polars DataFrame, got builtins\.list"):
        Bars.from_frame([1, 2])


def test_pandas_two_levels_of_columns() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame([[1.0, 2.0]], columns=pandas.MultiIndex.from_tuples([("Close", "A"), ("Close", "B")]))
    with pytest.raises(DataError, match="one level of column names, got 2; stack it"):
        Bars.from_frame(frame)


# ---- what is reported -------------------------------------------------------------------------------------------


def test_gaps_are_reported(tmp_path: Path) -> None:
    text = "Date,A,B\n2024-01-02,1,1\n2024-01-03,1.1,\n2024-01-08,1.2,1\n2024-01-13,1.3,1\n2024-01-16,1.4,\n"
    bars = Bars.from_csv(csv(tmp_path, text), missing="gap")
    spoken = [str(problem) for problem in bars.problems]
    assert spoken == [
        "6 NYSE session(s) missing, from 2024-01-04 to 2024-01-12",
        "1 day(s) without a NYSE session, from 2024-01-13 to 2024-01-13; taken as full sessions",
        "B: 1 bar(s) missing that other instruments have, from 2024-01-03 to 2024-01-03",
        "B: ends 1 bar(s) before the last, on 2024-01-13",
    ]
    assert np.isnan(bars.closes[1, 1])
    assert len(bars) == 8


def test_stale_runs(tmp_path: Path) -> None:
    closes = [1, 1, 1, 1, 2, 2, 3, 3, 3, 3, 3]
    days = np.busday_offset("2024-07-08", np.arange(len(closes)))
    text = "Date,A\n" + "".join(f"{day},{close}\n" for day, close in zip(days, closes, strict=True))
    bars = Bars.from_csv(csv(tmp_path, text), stale_after=3)
    assert np.flatnonzero(bars.stale[:, 0]).tolist() == [3, 9, 10]
    assert np.flatnonzero(bars.records["flags"] & BarFlag.STALE).tolist() == [3, 9, 10]
    assert str(bars.problems[0]) == "A: 3 stale bar(s), untradable, from 2024-07-11 to 2024-07-22"
    assert not Bars.from_csv(tmp_path / "prices.csv", stale_after=None).stale.any()


def test_an_unchanged_close_with_volume_or_range_is_no_stale_bar(tmp_path: Path) -> None:
    rows = [(f"2024-07-{day:02d}", volume) for day, volume in zip(range(8, 13), (5, 0, 0, 3, 0), strict=True)]
    text = "Date,Close,Volume\n" + "".join(f"{day},2,{volume}\n" for day, volume in rows)
    assert Bars.from_csv(csv(tmp_path, text), stale_after=1).stale[:, 0].tolist() == [False, True, True, False, True]
    text = "Date,Open,High,Low,Close\n2024-07-08,2,2,2,2\n2024-07-09,2,3,2,2\n2024-07-10,2,2,2,2\n"
    assert Bars.from_csv(csv(tmp_path, text), stale_after=1).stale[:, 0].tolist() == [False, False, True]


# ---- digest, select, window, merge ------------------------------------------------------------------------------


def test_digest_sees_one_altered_price_and_the_units(tmp_path: Path) -> None:
    digest = Bars.from_csv(csv(tmp_path, WIDE)).digest()
    assert len(digest) == 32
    assert digest == Bars.from_csv(csv(tmp_path, WIDE, "other.csv")).digest()
    assert digest != Bars.from_csv(csv(tmp_path, WIDE.replace("1.25", "1.251"))).digest()
    assert digest != Bars.from_csv(csv(tmp_path, WIDE), lot_size=2).digest()
    assert digest != Bars.from_csv(csv(tmp_path, WIDE.replace("AAA", "AAB"))).digest()


def test_select_keeps_ids_and_window_is_inclusive() -> None:
    bars = Bars.sample().select(["RRC", "AAPL"])
    assert [(one.id, one.symbol) for one in bars.instruments] == [(1, "AAPL"), (17, "RRC")]
    assert [problem.symbol for problem in bars.problems] == ["RRC"]
    year = bars.window("1990-01-02", date(1990, 12, 31))
    assert (str(year.dates[0]), str(year.dates[-1]), len(year.sessions)) == ("1990-01-02", "1990-12-31", 253)
    np.testing.assert_array_equal(year.stale, bars.stale[:253])
    later = bars.window(int(bars.sessions[8000]), None)
    assert len(later.sessions) == 313
    assert later.problems == ()
    assert repr(later).startswith("<Bars: 2 instruments, 313 times, ")
    assert len(bars.window(datetime(2022, 12, 27, tzinfo=UTC)).sessions) == 2


def test_window_keeps_stale_flags_that_rest_on_earlier_bars() -> None:
    rrc = Bars.sample(["RRC"])
    assert rrc.window("1990-06-01", "1990-06-29").stale.all()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda bars: bars.select("AAPL"), ConfigError, r"sequence of texts, got 'AAPL'; give \['AAPL'\]"),
        (lambda bars: bars.select(["NONE"]), ConfigError, "symbols must be among S1, S2, S3, S4, got 'NONE'"),
        (lambda bars: bars.window("2020-02-30"), ConfigError, "first must be a day such as '2008-09-15'"),
        (lambda bars: bars.window(None, datetime(2015, 1, 2)), ConfigError, "last must be a day such as"),
        (lambda bars: bars.window("2015-02-01", "2015-01-01"), ConfigError, "first must not be later than last"),
        (
            lambda bars: bars.window("1999-01-01", "1999-02-01"),
            DataError,
            "no bars from '1999-01-01' to '1999-02-01'; these run",
        ),
        (lambda bars: Bars.merge(), ConfigError, "merge needs at least one Bars, got none"),
    ],
)
def test_refused_parts(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call(synthetic_bars(sessions=20))


def test_merge_refuses_two_prices_for_one_bar(tmp_path: Path) -> None:
    first = Bars.from_csv(csv(tmp_path, WIDE), symbols=["AAA"])
    second = Bars.from_csv(csv(tmp_path, WIDE), symbols=["BBB"])
    both = Bars.merge(first, second)
    assert [(one.id, one.symbol) for one in both.instruments] == [(1, "AAA"), (2, "BBB")]
    np.testing.assert_array_equal(both.closes, Bars.from_csv(tmp_path / "prices.csv").closes)
    with pytest.raises(DataError, match="a bar must have one price, but two sources have AAA at 2024-01-02T21:00"):
        Bars.merge(both, first)
    with pytest.raises(ConfigError, match="AAA must have the same units in all parts"):
        Bars.merge(first, Bars.from_csv(tmp_path / "prices.csv", symbols=["AAA"], lot_size=2))


def test_arrays_cannot_be_written_to() -> None:
    bars = synthetic_bars(sessions=3)
    for array in (bars.records, bars.closes, bars.stale, bars.sessions, bars.tradable):
        with pytest.raises(ValueError, match="read-only"):
            array[:1] = array[:1]


def test_synthetic_bars_are_seeded_and_consistent() -> None:
    bars = synthetic_bars(3, 500, seed=5)
    assert bars.digest() == synthetic_bars(3, 500, seed=5).digest()
    assert bars.digest() != synthetic_bars(3, 500, seed=6).digest()
    records = bars.records
    assert (records["low"] <= np.minimum(records["open"], records["close"])).all()
    assert (records["high"] >= np.maximum(records["open"], records["close"])).all()
    assert (records["volume"] > 0).all()
    returns = np.diff(np.log(bars.closes), axis=0)
    assert 0.17 < returns.std() * 252**0.5 < 0.23
    assert not synthetic_bars(ohlcv=False, sessions=5).has_ohlc
    with pytest.raises(ConfigError, match="instruments and sessions must be at least 1, got 0 and 5"):
        synthetic_bars(0, 5)
    with pytest.raises(ConfigError, match="correlation in"):
        synthetic_bars(correlation=1.0)


def test_layout() -> None:
    assert Bar.dtype.itemsize == 56
    assert Bars.sample(["KO"]).records.dtype == Bar.dtype


def test_instrument_units() -> None:
    one = Instrument(1, "AAA", price_increment=0.01, lot_size=100)
    assert one.price_increment_micro == 10_000
    assert one.to_ticks(12.345) == 1234
    assert one.to_price(1234) == 12.34
    assert one.notional_micro(1234, 2) == 2_468_000_000
    for number, symbol, words in (
        (0, "A", "id must be an integer from 1"),
        (1, " A", "symbol must be text without blanks"),
    ):
        with pytest.raises(ConfigError, match=words):
            Instrument(number, symbol)
