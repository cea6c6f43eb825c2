"""From a table of prices to instruments, bar records and what is worth knowing about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

import numpy as np
from numpy.typing import NDArray

from fastmas.errors import ConfigError, DataError
from fastmas.market import checks
from fastmas.market.calendar import NYSE, SessionCalendar
from fastmas.market.checks import Problem
from fastmas.market.instrument import Instrument
from fastmas.market.table import Table, Times, parse_times
from fastmas.messages import Bar, BarFlag

__all__ = ["ReadOptions", "read_table"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_TIME_NAMES = ("ts_ns", "time", "date", "datetime", "timestamp", "unnamed:_0", "")
_SYMBOL_NAMES = ("symbol", "ticker", "instrument", "asset")
_PRICES = ("open", "high", "low", "close")


class ReadOptions(TypedDict, total=False):
    """How to read a table of prices. Every key is optional.

    Attributes
    ----------
    layout : {"auto", "wide", "long"}
        "wide": one column of closes a symbol. "long": columns open, high, low, close, volume, one row a bar, with a
        symbol column when there are several instruments. "auto" takes "long" when there is a column named close.
    time : str
        Name of the time column, when it is none of ts_ns, time, date, datetime, timestamp.
    symbol : str
        Symbol of a long table without a symbol column; by default the file's name without its ending.
    symbols : sequence of str
        Read these only, in this order.
    instruments : sequence of Instrument
        Ids and units to use; symbols without one are an error. Otherwise ids count from 1.
    price_increment : float
        In currency units, default 0.001.
    lot_size : int
        In units, default 1.
    currency : str
        Default "USD".
    calendar : SessionCalendar
        When a daily bar's session closes; default NYSE. Instants pass through unchanged.
    timezone : str
        Zone of instants that name none, default "UTC".
    date_format : str
        As in `strptime`, for times that are not ISO 8601.
    stale_after : int or None
        Unchanged bars in a row that make a bar stale, default 5; None flags none.
    missing : {"error", "gap"}
        What a missing price between two others is, default an error.
    """

    layout: Literal["auto", "wide", "long"]
    time: str
    symbol: str
    symbols: Sequence[str]
    instruments: Sequence[Instrument]
    price_increment: float
    lot_size: int
    currency: str
    calendar: SessionCalendar
    timezone: str
    date_format: str
    stale_after: int | None
    missing: Literal["error", "gap"]


@dataclass(slots=True)
class _Series:
    """The rows of one instrument, in time order; `names` maps open ... volume to the table's columns."""

    symbol: str
    rows: Ints
    names: dict[str, str]
    values: dict[str, Floats]


def _normal(name: str) -> str:
    return name.strip().lower().replace(" ", "_")


def _check_options(options: ReadOptions) -> None:
    unknown = set(options) - set(ReadOptions.__annotations__)
    if unknown:
        raise ConfigError(f"unknown option {sorted(unknown)[0]!r}; there are {', '.join(ReadOptions.__annotations__)}")
    for option, allowed in (("layout", ("auto", "wide", "long")), ("missing", ("error", "gap"))):
        if options.get(option, allowed[0]) not in allowed:
            raise ConfigError(f"{option} must be one of {', '.join(map(repr, allowed))}, got {options.get(option)!r}")
    stale_after = options.get("stale_after", 5)
    if stale_after is not None and (not isinstance(stale_after, int) or stale_after < 1):
        raise ConfigError(f"stale_after must be an integer of at least 1, or None to flag nothing, got {stale_after!r}")


def _time_column(table: Table, options: ReadOptions) -> str:
    wanted = options.get("time")
    if wanted is not None:
        if wanted not in table.names:
            raise DataError(f"{table.source} has no time column {wanted!r}; its columns are {_spoken(table.names)}")
        return wanted
    by_name = {_normal(name): name for name in reversed(table.names)}
    for name in _TIME_NAMES:
        if name in by_name:
            return by_name[name]
    raise DataError(
        f"{table.source} needs a time column named ts_ns, time, date, datetime or timestamp, "
        f"got {_spoken(table.names)}; rename one, or give time='...'"
    )


def _spoken(names: Sequence[str]) -> str:
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def _is_long(table: Table, layout: str) -> bool:
    if layout != "auto":
        return layout == "long"
    present = {_normal(name) for name in table.names}
    return "close" in present or len(present & {"open", "high", "low", "volume"}) >= 2  # LOW alone is a ticker


def _wide(table: Table, time: str, options: ReadOptions) -> list[_Series]:
    symbols = [name for name in table.names if name != time]
    wanted = options.get("symbols")
    if wanted is not None:
        _require_symbols(table, wanted, symbols)
        symbols = list(wanted)
    if not symbols:
        raise DataError(f"{table.source} needs at least one column of closes beside {time!r}; none is there")
    found = []
    for symbol in symbols:
        values = table.floats(symbol)
        present = np.flatnonzero(~np.isnan(values))
        if not len(present):
            raise DataError(f"{table.source}, column {symbol!r} has no price at all; drop the column")
        rows = np.arange(present[0], present[-1] + 1)  # before: not listed yet; after: no longer
        if options.get("missing") == "gap":
            rows = present
        found.append(_Series(symbol, rows, {"close": symbol}, {"close": values[rows]}))
    return found


def _require_symbols(table: Table, wanted: Sequence[str], there: Sequence[str]) -> None:
    absent = [symbol for symbol in wanted if symbol not in there]
    if absent:
        raise DataError(f"{table.source} has no {absent[0]!r}; it has {_spoken(there)}")
    if len(set(wanted)) != len(wanted):
        raise ConfigError(f"symbols must be unique, got {list(wanted)}")


def _long(table: Table, time: str, options: ReadOptions) -> tuple[list[_Series], list[str]]:
    by_name = {_normal(name): name for name in table.names if name != time}
    if "close" not in by_name:
        raise DataError(f"{table.source} needs a column named close, got {_spoken(table.names)}; rename one")
    there = [name for name in ("open", "high", "low") if name in by_name]
    if there and len(there) < 3:
        absent = [name for name in ("open", "high", "low") if name not in by_name]
        raise DataError(
            f"{table.source} must have open, high and low together or none of them, "
            f"but {', '.join(absent)} is missing; add it, or drop the others"
        )
    names = {name: by_name[name] for name in (*_PRICES, "volume") if name in by_name}
    symbol_column = next((by_name[name] for name in _SYMBOL_NAMES if name in by_name), None)
    ignored = [name for name in table.names if name not in (time, symbol_column, *names.values())]
    values = {name: table.floats(column) for name, column in names.items()}
    if symbol_column is None:
        symbol = options.get("symbol") or table.source.split(".")[0] or "UNNAMED"
        everything = np.arange(len(table))
        groups: dict[str, Ints] = {symbol: everything}
    else:
        cells = [str(cell).strip() for cell in table.columns[symbol_column]]
        for row, cell in enumerate(cells):
            if not cell or cell.lower() in ("nan", "none", "null"):
                raise DataError(f"every row needs a symbol, got {cell!r} ({table.where(row, symbol_column)})")
        unique, codes = np.unique(np.array(cells), return_inverse=True)
        groups = {str(symbol): np.flatnonzero(codes == code) for code, symbol in enumerate(unique)}
    wanted = options.get("symbols")
    if wanted is not None:
        _require_symbols(table, wanted, list(groups))
        groups = {symbol: groups[symbol] for symbol in wanted}
    found = []
    for symbol, rows in groups.items():
        if options.get("missing") == "gap":
            whole = ~np.any([np.isnan(values[name][rows]) for name in names], axis=0)
            rows = rows[whole]
            if not len(rows):
                raise DataError(f"{table.source} has no whole bar of {symbol!r}; drop it")
        found.append(_Series(symbol, rows, names, {name: column[rows] for name, column in values.items()}))
    return found, ignored


def _instruments(series: list[_Series], table: Table, options: ReadOptions) -> list[Instrument]:
    given = options.get("instruments")
    if given is not None:
        by_symbol = {instrument.symbol: instrument for instrument in given}
        absent = [one.symbol for one in series if one.symbol not in by_symbol]
        if absent:
            raise ConfigError(
                f"instruments must name every symbol of {table.source}, but {absent[0]!r} is not among them"
            )
        return [by_symbol[one.symbol] for one in series]
    return [
        Instrument(
            number,
            one.symbol,
            options.get("price_increment", 0.001),
            options.get("lot_size", 1),
            options.get("currency", "USD"),
        )
        for number, one in enumerate(series, start=1)
    ]


def _records(
    table: Table, one: _Series, instrument: Instrument, stamps: Ints, stale_after: int | None
) -> tuple[NDArray[Any], int, float]:
    """Check one instrument's rows and make its bars; also how many prices left the grid, and how far."""
    for name in _PRICES:
        if name in one.names:
            checks.check_prices(table, one.names[name], one.values[name], one.rows)
    has_ohlc, has_volume = "open" in one.names, "volume" in one.names
    if has_ohlc:
        checks.check_ohlc(table, one.names, one.values, one.rows)
    bars: NDArray[Any] = np.zeros(len(one.rows), Bar.dtype)
    bars["ts_ns"], bars["instrument"] = stamps[one.rows], instrument.id
    rounded, worst = 0, 0.0
    for name in _PRICES:
        if name in one.names:
            micro = instrument.price_increment_micro
            bars[name], off, far = checks.to_grid(table, one.names[name], one.values[name], one.rows, micro)
            rounded, worst = rounded + off, max(worst, far)
    unchanged = np.zeros(len(bars), np.bool_)
    unchanged[1:] = bars["close"][1:] == bars["close"][:-1]
    if has_ohlc:  # a bar with a range has seen trades
        unchanged &= (bars["high"] == bars["low"]) & (bars["open"] == bars["close"])
    if has_volume:
        checks.check_volume(table, one.names["volume"], one.values["volume"], one.rows)
        bars["volume"] = np.floor(one.values["volume"] / instrument.lot_size).astype(np.int64)
        unchanged &= one.values["volume"] == 0.0
    bars["flags"] = BarFlag.HAS_OHLC * has_ohlc | BarFlag.HAS_VOLUME * has_volume
    bars["flags"] |= np.where(checks.stale_bars(unchanged, stale_after), np.uint32(BarFlag.STALE), np.uint32(0))
    return bars, rounded, worst


def _gaps(series: list[_Series], times: Times, stamps: Ints, calendar: SessionCalendar) -> list[Problem]:
    """Sessions that the calendar has and the table has not, and bars that one instrument lacks and others have."""
    problems = []
    if times.days is not None:
        days = np.unique(times.days)
        known_from = calendar.known_from
        if known_from is not None:
            first, last = days[0].item(), days[-1].item()
            expected = calendar.sessions(max(first, known_from), last)
            absent = expected[~np.isin(expected, days)]
            if len(absent):
                closes = calendar.close_ns(absent[[0, -1]])
                problems.append(
                    Problem(
                        "gap",
                        "",
                        int(closes[0]),
                        int(closes[1]),
                        len(absent),
                        f"{len(absent)} {calendar.name} session(s) missing, from {absent[0]} to {absent[-1]}",
                    )
                )
            strange = days[~np.isin(days, expected) & (days >= np.datetime64(known_from))]
            if len(strange):
                closes = calendar.close_ns(strange[[0, -1]])
                problems.append(
                    Problem(
                        "off_calendar",
                        "",
                        int(closes[0]),
                        int(closes[1]),
                        len(strange),
                        f"{len(strange)} day(s) without a {calendar.name} session, from {strange[0]} to {strange[-1]}; "
                        "taken as full sessions",
                    )
                )
    everything = np.unique(stamps[np.concatenate([one.rows for one in series])])
    for one in series:
        mine = stamps[one.rows]
        if len(mine) == len(everything):
            continue
        alive = everything[(everything >= mine[0]) & (everything <= mine[-1])]
        absent_ns = alive[~np.isin(alive, mine)]
        if len(absent_ns):
            problems.append(
                _problem("gap", one.symbol, absent_ns, f"{len(absent_ns)} bar(s) missing that other instruments have")
            )
        if mine[0] > everything[0]:
            late = int((everything < mine[0]).sum())
            problems.append(
                Problem(
                    "late_listing",
                    one.symbol,
                    int(everything[0]),
                    int(mine[0]),
                    late,
                    f"listed {late} bar(s) after the first, on {_day(int(mine[0]))}",
                )
            )
        if mine[-1] < everything[-1]:
            gone = int((everything > mine[-1]).sum())
            problems.append(
                Problem(
                    "ends_early",
                    one.symbol,
                    int(mine[-1]),
                    int(everything[-1]),
                    gone,
                    f"ends {gone} bar(s) before the last, on {_day(int(mine[-1]))}",
                )
            )
    return problems


def _day(ts_ns: int) -> str:
    return str(np.datetime64(ts_ns, "ns").astype("datetime64[D]"))


def _problem(kind: str, symbol: str, stamps: Ints, text: str) -> Problem:
    first, last = int(stamps[0]), int(stamps[-1])
    return Problem(kind, symbol, first, last, len(stamps), f"{text}, from {_day(first)} to {_day(last)}")


def read_table(table: Table, options: ReadOptions) -> tuple[tuple[Instrument, ...], NDArray[Any], tuple[Problem, ...]]:
    """Check a table and turn it into bars.

    Returns
    -------
    instruments : tuple of Instrument
    records : ndarray of Bar.dtype
        Sorted by (ts_ns, instrument).
    problems : tuple of Problem
    """
    _check_options(options)
    if not table.names or not len(table):
        raise DataError(f"{table.source} must have at least one row, got none")
    time = _time_column(table, options)
    times = parse_times(table, time, options.get("timezone", "UTC"), options.get("date_format"))
    calendar = options.get("calendar", NYSE)
    ignored: list[str] = []
    if _is_long(table, options.get("layout", "auto")):
        series, ignored = _long(table, time, options)
    else:
        series = _wide(table, time, options)
        raw = times.days if times.days is not None else times.instants_ns
        assert raw is not None
        checks.check_increasing(table, time, raw, np.arange(len(table)))
    raw = times.days if times.days is not None else times.instants_ns
    assert raw is not None
    for one in series:
        checks.check_increasing(table, time, raw[one.rows], one.rows, one.symbol)
    if times.days is not None:
        unique, back = np.unique(times.days, return_inverse=True)
        stamps = calendar.close_ns(unique)[back]
    else:
        assert times.instants_ns is not None
        stamps = times.instants_ns

    instruments = _instruments(series, table, options)
    parts, problems = [], _gaps(series, times, stamps, calendar)
    for one, instrument in zip(series, instruments, strict=True):
        bars, rounded, worst = _records(table, one, instrument, stamps, options.get("stale_after", 5))
        if rounded:
            problems.append(
                Problem(
                    "rounded",
                    one.symbol,
                    int(bars["ts_ns"][0]),
                    int(bars["ts_ns"][-1]),
                    rounded,
                    f"{rounded} price(s) rounded to steps of {instrument.price_increment:g}, "
                    f"by at most {worst * 1e4:.3g} bps",
                )
            )
        stale = (bars["flags"] & BarFlag.STALE) != 0
        if stale.any():
            problems.append(
                _problem("stale", one.symbol, bars["ts_ns"][stale], f"{int(stale.sum())} stale bar(s), untradable")
            )
        parts.append(bars)
    problems += [Problem("ignored_column", "", 0, 0, 0, f"column {name!r} is not used") for name in ignored]
    records = np.concatenate(parts)
    records = records[np.lexsort((records["instrument"], records["ts_ns"]))]
    return tuple(instruments), records, tuple(problems)
