"""Bars: checked price history of several instruments as one array of records in time order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import astuple
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from fastmas import data
from fastmas.errors import ConfigError, DataError
from fastmas.market import table as tables
from fastmas.market.checks import Problem
from fastmas.market.instrument import MICRO, Instrument
from fastmas.market.reader import ReadOptions, read_table
from fastmas.messages import Bar, BarFlag

__all__ = ["Bars"]

_DAY_NS = 86_400_000_000_000


class Bars:
    """Price bars that have passed the checks.

    Make them with `sample`, `from_csv`, `from_parquet` or `from_frame`; all take the options of `ReadOptions`.

    Parameters
    ----------
    instruments : sequence of Instrument
        Unique ids and symbols; kept in the order of their ids.
    records : ndarray of Bar.dtype
        Sorted by (ts_ns, instrument), each pair once, closes positive.
    problems : sequence of Problem
        What a reader of results should know about the data.

    Examples
    --------
    >>> from fastmas.market.bars import Bars
    >>> bars = Bars.sample()
    >>> len(bars.instruments), bars.closes.shape, bars.dates[0], bars.dates[-1]
    (20, (8313, 20), np.datetime64('1990-01-02'), np.datetime64('2022-12-28'))
    >>> print(bars.problems[0])
    JPM: 1 stale bar(s), untradable, from 1991-09-06 to 1991-09-06
    """

    def __init__(
        self, instruments: Sequence[Instrument], records: NDArray[Any], problems: Sequence[Problem] = ()
    ) -> None:
        ordered = tuple(sorted(instruments, key=lambda one: one.id))
        names: list[tuple[str, list[int | str]]] = [
            ("id", [one.id for one in ordered]),
            ("symbol", [one.symbol for one in ordered]),
        ]
        for what, values in names:
            if len(set(values)) != len(values):
                twice = next(value for value in values if values.count(value) > 1)
                raise ConfigError(f"each instrument must have its own {what}, got {twice!r} twice")
        if not isinstance(records, np.ndarray) or records.dtype != Bar.dtype or records.ndim != 1:
            found = getattr(records, "dtype", type(records))
            raise ConfigError(f"records must be a one-dimensional array of Bar.dtype, got {found}")
        if not len(records):
            raise DataError("bars must have at least one record, got none; widen the window or the selection")
        stamps, ids = records["ts_ns"], records["instrument"]
        disorder = (stamps[1:] < stamps[:-1]) | ((stamps[1:] == stamps[:-1]) & (ids[1:] <= ids[:-1]))
        if disorder.any():
            row = int(np.argmax(disorder)) + 1
            raise DataError(
                f"records must be sorted by (ts_ns, instrument), each pair once, got ({stamps[row]}, {ids[row]}) "
                f"after ({stamps[row - 1]}, {ids[row - 1]}) (row {row}); sort them, and drop doubles"
            )
        known = np.array([one.id for one in ordered], np.uint32)
        strange = ~np.isin(ids, known)
        if strange.any():
            raise DataError(
                f"every record must be of a known instrument, got id {ids[int(np.argmax(strange))]} "
                f"(row {int(np.argmax(strange))}); add its Instrument"
            )
        if records["close"].min() <= 0:
            row = int(np.argmin(records["close"]))
            raise DataError(f"a close must be positive, got {records['close'][row]} price increments (row {row})")
        self.instruments: tuple[Instrument, ...] = ordered
        self.records = np.ascontiguousarray(records)
        if self.records.flags.owndata is False or self.records is records:
            self.records = self.records.copy()
        self.records.flags.writeable = False
        self.problems: tuple[Problem, ...] = tuple(problems)

    # ---- where bars come from -------------------------------------------------------------------------------------

    @classmethod
    def sample(cls, symbols: Sequence[str] | None = None) -> Bars:
        """Daily closes of 20 large US stocks, 1990 to 2022, that ship with the package.

        Adjusted for splits and dividends (never credit a dividend again); chosen as survivors of 2022.

        Parameters
        ----------
        symbols : sequence of str, optional
            Only these.
        """
        name = "sp500_dataset.csv.gz"
        bars = cls._read(tables.from_csv_bytes(data.read(name), name), {})
        return bars if symbols is None else bars.select(symbols)

    @classmethod
    def from_csv(cls, path: str | Path, *, delimiter: str = ",", **options: Unpack[ReadOptions]) -> Bars:
        """Read a CSV file, gzipped or not: wide (a column of closes a symbol) or long (one OHLCV bar a line).

        Parameters
        ----------
        path : str or Path
        delimiter : str, default ","
        **options
            See `ReadOptions`.

        Raises
        ------
        DataError
            Naming the line, the column and the value that break a rule.
        """
        return cls._read(tables.from_csv_path(path, delimiter), options)

    @classmethod
    def from_parquet(cls, path: str | Path, **options: Unpack[ReadOptions]) -> Bars:
        """Read a Parquet file; as `from_csv`. Needs pyarrow (`pip install 'fastmas[frames]'`)."""
        return cls._read(tables.from_parquet(path), options)

    @classmethod
    def from_frame(cls, frame: Any, **options: Unpack[ReadOptions]) -> Bars:
        """Take a pandas or polars DataFrame; as `from_csv`. A named or dated pandas index counts as a column."""
        return cls._read(tables.from_frame(frame), options)

    @classmethod
    def _read(cls, table: tables.Table, options: ReadOptions) -> Bars:
        return cls(*read_table(table, options))

    @classmethod
    def merge(cls, *parts: Bars) -> Bars:
        """Put bars of several sources together; two prices for the same bar are refused.

        Symbols that occur in several parts must have the same units. Ids are those of the first part, further symbols
        count on from there.

        Raises
        ------
        DataError
            Naming symbol and time of a bar that two parts have.
        """
        if not parts:
            raise ConfigError("merge needs at least one Bars, got none")
        known: dict[str, Instrument] = {}
        arrays = []
        for part in parts:
            ids = {}
            for one in part.instruments:
                if one.symbol not in known:
                    taken = {other.id for other in known.values()}
                    number = one.id if one.id not in taken else max(taken) + 1
                    known[one.symbol] = Instrument(number, *astuple(one)[1:])
                if astuple(known[one.symbol])[1:] != astuple(one)[1:]:
                    raise ConfigError(
                        f"{one.symbol} must have the same units in all parts, got {known[one.symbol]} and {one}"
                    )
                ids[one.id] = known[one.symbol].id
            records = part.records.copy()
            numbers, back = np.unique(records["instrument"], return_inverse=True)
            records["instrument"] = np.array([ids[int(number)] for number in numbers], np.uint32)[back]
            arrays.append(records)
        joined = np.concatenate(arrays)
        joined = joined[np.lexsort((joined["instrument"], joined["ts_ns"]))]
        double = (joined["ts_ns"][1:] == joined["ts_ns"][:-1]) & (joined["instrument"][1:] == joined["instrument"][:-1])
        if double.any():
            record = joined[int(np.argmax(double))]
            symbol = next(name for name, one in known.items() if one.id == record["instrument"])
            raise DataError(
                f"a bar must have one price, but two sources have {symbol} at "
                f"{np.datetime64(int(record['ts_ns']), 'ns')}; leave one of them out"
            )
        return cls(tuple(known.values()), joined, tuple(problem for part in parts for problem in part.problems))

    # ---- what they are --------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.records)

    def __repr__(self) -> str:
        first, last = self.dates[0], self.dates[-1]
        shape = f"{len(self.instruments)} instruments, {len(self.sessions)} times"
        return f"<Bars: {shape}, {first} to {last}, {len(self)} bars>"

    @cached_property
    def sessions(self) -> NDArray[np.int64]:
        """Every time that has a bar, in ns since 1970 UTC, ascending."""
        return _frozen(np.unique(self.records["ts_ns"]))

    @cached_property
    def dates(self) -> NDArray[np.datetime64]:
        """The UTC day of each of `sessions`."""
        return _frozen((self.sessions // _DAY_NS).astype("datetime64[D]"))

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        """Symbols in the order of `instruments`."""
        return tuple(one.symbol for one in self.instruments)

    @cached_property
    def _cells(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        ids = np.array([one.id for one in self.instruments], np.uint32)
        rows = np.searchsorted(self.sessions, self.records["ts_ns"])
        return rows, np.searchsorted(ids, self.records["instrument"])

    @cached_property
    def closes(self) -> NDArray[np.float64]:
        """Closing prices in currency units, one row a time, one column an instrument; NaN where there is no bar."""
        closes = np.full((len(self.sessions), len(self.instruments)), np.nan)
        micro = np.array([one.price_increment_micro for one in self.instruments], np.int64)
        rows, columns = self._cells
        closes[rows, columns] = self.records["close"] * micro[columns].astype(np.float64) / MICRO
        return _frozen(closes)

    @cached_property
    def stale(self) -> NDArray[np.bool_]:
        """Where a bar's price had not moved for so long, as known then, that nobody can have traded at it."""
        stale = np.zeros((len(self.sessions), len(self.instruments)), np.bool_)
        stale[self._cells] = (self.records["flags"] & BarFlag.STALE) != 0
        return _frozen(stale)

    @cached_property
    def tradable(self) -> NDArray[np.bool_]:
        """Where there is a bar that is not stale."""
        return _frozen(~np.isnan(self.closes) & ~self.stale)

    @cached_property
    def has_ohlc(self) -> bool:
        """Whether every bar has open, high and low."""
        return bool((self.records["flags"] & BarFlag.HAS_OHLC).all())

    @cached_property
    def has_volume(self) -> bool:
        """Whether every bar has a volume."""
        return bool((self.records["flags"] & BarFlag.HAS_VOLUME).all())

    def digest(self) -> bytes:
        """SHA-256 over instruments and records: 32 bytes that change when any price does."""
        units = json.dumps([astuple(one) for one in self.instruments], separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(units.encode() + b"\n" + self.records.tobytes()).digest()

    # ---- parts of them --------------------------------------------------------------------------------------------

    def select(self, symbols: Sequence[str]) -> Bars:
        """Only these symbols; ids stay as they are."""
        if isinstance(symbols, str):
            raise ConfigError(f"symbols must be a sequence of texts, got {symbols!r}; give [{symbols!r}]")
        absent = [symbol for symbol in symbols if symbol not in self.symbols]
        if absent or not symbols:
            raise ConfigError(
                f"symbols must be among {', '.join(self.symbols)}, got {absent[0] if absent else 'none'!r}"
            )
        kept = [one for one in self.instruments if one.symbol in set(symbols)]
        mask = np.isin(self.records["instrument"], np.array([one.id for one in kept], np.uint32))
        about = {"", *symbols}
        return Bars(kept, self.records[mask], [problem for problem in self.problems if problem.symbol in about])

    def window(
        self, first: str | date | datetime | int | None = None, last: str | date | datetime | int | None = None
    ) -> Bars:
        """Only bars from `first` to `last`, both included.

        Parameters
        ----------
        first, last : str, date, datetime, int or None
            Days (UTC, the whole day), datetimes with a zone, or ns since 1970 UTC; None is open.

        Notes
        -----
        Stale flags stay what they were: they rest on bars before the window, never on later ones.
        """
        start = _bound(first, "first", end=False)
        stop = _bound(last, "last", end=True)
        if start > stop:
            raise ConfigError(f"first must not be later than last, got {first!r} and {last!r}; swap them")
        stamps = self.records["ts_ns"]
        records = self.records[np.searchsorted(stamps, start) : np.searchsorted(stamps, stop, side="right")]
        if not len(records):
            raise DataError(f"no bars from {first!r} to {last!r}; these run from {self.dates[0]} to {self.dates[-1]}")
        present = set(np.unique(records["instrument"]).tolist())
        kept = [one for one in self.instruments if one.id in present]
        about = {"", *(one.symbol for one in kept)}
        problems = [
            problem
            for problem in self.problems
            if problem.symbol in about
            and (problem.kind == "ignored_column" or (problem.last_ns >= start and problem.first_ns <= stop))
        ]
        return Bars(kept, records, problems)


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array


def _bound(value: str | date | datetime | int | None, name: str, *, end: bool) -> int:
    if value is None:
        return 2**63 - 1 if end else -(2**63)
    try:
        if isinstance(value, str):
            value = date.fromisoformat(value) if len(value) <= 10 else datetime.fromisoformat(value)
        if isinstance(value, datetime):
            if value.tzinfo is None:
                raise ValueError
            since = value - datetime.fromisoformat("1970-01-01T00:00:00+00:00")
            return (since // timedelta(microseconds=1)) * 1000
        if isinstance(value, date):
            return (value - date(1970, 1, 1)).days * _DAY_NS + (_DAY_NS - 1 if end else 0)
        if isinstance(value, (int, np.integer)):
            return int(value)
    except ValueError:
        pass
    raise ConfigError(
        f"{name} must be a day such as '2008-09-15', a datetime with a zone, or ns since 1970 UTC, got {value!r}"
    )
