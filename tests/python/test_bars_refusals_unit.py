"""Bars: the rules that data must keep, and the words in which a broken one is told."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastmas.errors import ConfigError, DataError
from fastmas.market.bars import Bars
from fastmas.market.instrument import Instrument
from fastmas.market.synthetic import synthetic_bars

WIDE = "Date,AAA,BBB\n2024-01-02,1.5,\n2024-01-03,1.25,\n2024-01-04,1.75,20.125\n"


def csv(tmp_path: Path, text: str, name: str = "prices.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


REFUSALS: list[tuple[str, str, dict[str, Any]]] = [
    (
        "Date,A\n2024-01-03,1\n2024-01-02,2\n",
        r"in time order, got 2024-01-02 after 2024-01-03 \(p.csv, line 3, column 'Date'\); sort",
        {},
    ),
    (
        "Date,A\n2024-01-03,1\n2024-01-03,2\n",
        r"each time must have one row, got 2024-01-03 again \(p.csv, line 3, column 'Date'; first in line 2\)",
        {},
    ),
    (
        "Date,A\n2024-01-02,1\n2024-01-03,\n2024-01-04,2\n",
        r"missing between two others, got nan \(p.csv, line 3, column 'A'\); fill",
        {},
    ),
    ("Date,A\n2024-01-02,0\n", r"a price must be positive, got 0 \(p.csv, line 2, column 'A'\)", {}),
    (
        "Date,A\n2024-01-02,1\n2024-01-03,-2.5\n",
        r"a price must be positive, got -2.5 \(p.csv, line 3, column 'A'\)",
        {},
    ),
    ("Date,A\n2024-01-02,inf\n", r"a price must be finite, got inf \(p.csv, line 2, column 'A'\)", {}),
    ("Date,A\n2024-01-02,twelve\n", r"every price must be a number, got 'twelve' \(p.csv, line 2, column 'A'\)", {}),
    (
        "Date,A\n2024-01-02,0.0004\n",
        r"at least one price increment of 0.001, got 0.0004 \(p.csv, line 2, column 'A'\); give a smaller",
        {},
    ),
    ("Date,A\n2024-01-02,1e14\n", r"at most 2\*\*53 increments of 0.001, got 1e\+14 \(p.csv, line 2, column 'A'\)", {}),
    ("Date,A\n2024-01-02,\n", r"p.csv, column 'A' has no price at all; drop the column", {}),
    (
        "Day,A\n2024-01-02,1\n",
        r"p.csv needs a time column named ts_ns, time, .*, got Day, A; rename one, or give time=",
        {},
    ),
    ("Date,A\n2024-01-02,1\n", r"p.csv has no time column 'Day'; its columns are Date, A", {"time": "Day"}),
    ("Date\n2024-01-02\n", r"p.csv needs at least one column of closes beside 'Date'", {}),
    ("Date,A\n2024-01-02,1\n", r"p.csv has no 'B'; it has A", {"symbols": ["B"]}),
    ("Date,A,A\n2024-01-02,1,2\n", r"column names must be unique, got 'A' twice \(p.csv\)", {}),
    ("Date,A\n2024-01-02,1,2\n", r"p.csv, line 2 has 3 cells where the header has 2", {}),
    ("Date,A\n", r"p.csv must have a header line and at least one row, got 1 line", {}),
    (
        "Date,A\n1/2/2024,1\n",
        r"ISO 8601 date or time such as 2024-07-01, got '1/2/2024' \(p.csv, line 2, column 'Date'\); for other",
        {},
    ),
    ("Date,A\n2024-13-01,1\n", r"ISO 8601 date or time such as 2024-07-01, got '2024-13-01' \(p.csv, line 2", {}),
    (
        "Date,A\n2024-01-02,1\n2024-01-03T10:00,2\n",
        r"all days or all instants, got '2024-01-03T10:00' after '2024-01-02' \(p.csv, line 3",
        {},
    ),
    ("Date,Open,Close\n2024-01-02,1,1\n", r"open, high and low together or none of them, but high, low is missing", {}),
    ("Date,Open,High,Low\n2024-01-02,1,1,1\n", r"p.csv needs a column named close, got Date, Open, High, Low", {}),
    (
        "Date,Open,High,Low,Close\n2024-01-02,5,6,5.5,6\n",
        r"low <= open, close <= high, got low 5.5 and open 5 \(p.csv, line 2, column 'Low'\)",
        {},
    ),
    ("Date,Open,High,Low,Close\n2024-01-02,5,6,4,7\n", r"got high 6 and close 7 \(p.csv, line 2, column 'High'\)", {}),
    (
        "Date,Close,Volume\n2024-01-02,5,-1\n",
        r"a volume must be a number of at least 0, got -1 \(p.csv, line 2, column 'Volume'\)",
        {},
    ),
    ("Date,Symbol,Close\n2024-01-02,,5\n", r"every row needs a symbol, got '' \(p.csv, line 2, column 'Symbol'\)", {}),
    (
        "Date,Symbol,Close\n2024-01-02,A,5\n2024-01-02,B,5\n2024-01-02,A,6\n",
        r"each time must have one row of A, got 2024-01-02 again \(p.csv, line 4, column 'Date'; first in line 2\)",
        {},
    ),
    (
        "Date,Symbol,Close\n2024-01-03,A,5\n2024-01-02,A,6\n",
        r"rows of A must be in time order, got 2024-01-02 after 2024-01-03 \(p.csv, line 3",
        {},
    ),
    ("Date,Symbol,Close\n2024-01-02,A,\n", r"p.csv has no whole bar of 'A'; drop it", {"missing": "gap"}),
]


@pytest.mark.parametrize(("text", "words", "options"), REFUSALS)
def test_refused_data(tmp_path: Path, text: str, words: str, options: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=words):
        Bars.from_csv(csv(tmp_path, text, "p.csv"), **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"price_increment": 0.0}, "price_increment must be a positive whole number of millionths, got 0.0"),
        ({"price_increment": 1e-7}, "price_increment must be a positive whole number of millionths, got 1e-07"),
        ({"lot_size": 0}, "lot_size must be an integer of at least 1, got 0"),
        ({"currency": "usd"}, "currency must be three capital letters such as 'USD', got 'usd'"),
        ({"stale_after": 0}, "stale_after must be an integer of at least 1, or None to flag nothing, got 0"),
        ({"missing": "zero"}, "missing must be one of 'error', 'gap', got 'zero'"),
        ({"layout": "tall"}, "layout must be one of 'auto', 'wide', 'long', got 'tall'"),
        (
            {"instruments": [Instrument(1, "X")]},
            "instruments must name every symbol of p.csv, but 'AAA' is not among them",
        ),
        ({"symbols": ["AAA", "AAA"]}, "symbols must be unique"),
        ({"increment": 1}, "unknown option 'increment'; there are layout, time"),
        ({"timezone": "Mars"}, "no time zone 'Mars'"),
    ],
)
def test_refused_options(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    text = WIDE if "timezone" not in options else WIDE.replace("-02,", "-02T10:00,")
    with pytest.raises(ConfigError, match=words):
        Bars.from_csv(csv(tmp_path, text, "p.csv"), **options)


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*absent.csv: No such file or directory; check the path"):
        Bars.from_csv(tmp_path / "absent.csv")
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(WIDE.encode())[:-10])
    with pytest.raises(DataError, match=r"cut.csv.gz is not a whole gzip file"):
        Bars.from_csv(tmp_path / "cut.csv.gz")
    (tmp_path / "latin.csv").write_bytes(b"Date,\xe9\n2024-01-02,1\n")
    with pytest.raises(DataError, match=r"latin.csv is not UTF-8 text \(byte 5\)"):
        Bars.from_csv(tmp_path / "latin.csv")
    pytest.importorskip("pyarrow")
    (tmp_path / "p.parquet").write_bytes(b"not parquet")
    with pytest.raises(DataError, match=r"cannot read .*p.parquet"):
        Bars.from_parquet(tmp_path / "p.parquet")


def test_records_are_checked_too() -> None:
    one = synthetic_bars(instruments=1, sessions=3)
    with pytest.raises(DataError, match=r"sorted by \(ts_ns, instrument\), each pair once"):
        Bars(one.instruments, one.records[::-1])
    with pytest.raises(DataError, match="every record must be of a known instrument, got id 1"):
        Bars([Instrument(2, "S2")], one.records)
    with pytest.raises(ConfigError, match="each instrument must have its own symbol, got 'X' twice"):
        Bars([Instrument(1, "X"), Instrument(2, "X")], one.records)
    with pytest.raises(ConfigError, match="each instrument must have its own id, got 1 twice"):
        Bars([Instrument(1, "X"), Instrument(1, "Y")], one.records)
    with pytest.raises(ConfigError, match=r"records must be a one-dimensional array of Bar.dtype"):
        Bars(one.instruments, np.zeros(3))
    with pytest.raises(DataError, match="at least one record, got none"):
        Bars(one.instruments, one.records[:0])
    zero = one.records.copy()
    zero["close"][1] = 0
    with pytest.raises(DataError, match=r"a close must be positive, got 0 price increments \(row 1\)"):
        Bars(one.instruments, zero)
