"""Tables of market data as they come: CSV text, Parquet, pandas and polars frames, all to named columns.

Nothing here knows what a price is; `bars` gives the columns their meaning and `checks` judges them.
"""

from __future__ import annotations

import csv
import gzip
import io
import warnings
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmas.errors import ConfigError, DataError
from fastmas.market.calendar import zone_named

__all__ = ["Table", "Times", "from_csv_bytes", "from_csv_path", "from_frame", "from_parquet", "parse_times"]

Floats = NDArray[np.float64]
_MISSING = frozenset(("", "nan", "na", "n/a", "null", "none", "-"))


@dataclass(frozen=True, slots=True)
class Table:
    """Named columns of equal length and where they came from.

    Attributes
    ----------
    source : str
        What errors call it: a file name, or "frame".
    names : tuple of str
        Column names, unique.
    columns : mapping of str to list or ndarray
        Text from CSV, arrays from frames.
    first_row : int
        What errors call the first row: its line in a file, its position in a frame.
    row_word : str
        "line" or "row".
    """

    source: str
    names: tuple[str, ...]
    columns: dict[str, Any]
    first_row: int = 0
    row_word: str = "row"

    def __len__(self) -> int:
        return len(self.columns[self.names[0]]) if self.names else 0

    def where(self, row: int, column: str | None = None) -> str:
        """Name a cell the way its owner can find it."""
        return f"{self.source}, {self.row_word} {self.first_row + row}" + (f", column {column!r}" if column else "")

    def floats(self, name: str) -> Floats:
        """One column as float64, what is missing being NaN.

        Raises
        ------
        DataError
            For a cell that is not a number; names it.
        """
        column = self.columns[name]
        if isinstance(column, list):
            try:
                return np.array(list(map(float, column)), np.float64)
            except (ValueError, TypeError):
                return np.array([self._number(row, name, cell) for row, cell in enumerate(column)], np.float64)
        try:
            return np.asarray(column, np.float64)
        except (ValueError, TypeError):
            return np.array([self._number(row, name, cell) for row, cell in enumerate(column)], np.float64)

    def _number(self, row: int, name: str, cell: Any) -> float:
        if cell is None or (isinstance(cell, str) and cell.strip().lower() in _MISSING):
            return float("nan")
        try:
            return float(cell)
        except (ValueError, TypeError):
            raise DataError(
                f"every price must be a number, got {cell!r} ({self.where(row, name)}); correct the cell"
            ) from None


def _unique_names(names: list[str], source: str) -> tuple[str, ...]:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DataError(f"column names must be unique, got {name!r} twice ({source}); rename or drop one")
        seen.add(name)
    return tuple(names)


def from_csv_bytes(data: bytes, source: str, delimiter: str = ",") -> Table:
    """Read CSV text with one header line, gzipped or not, in UTF-8."""
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError) as error:
            raise DataError(f"{source} is not a whole gzip file: {error}; fetch it again") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{source} is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    plain = _plain_numbers(text, source) if delimiter == "," else None
    if plain is not None:
        return plain
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    while rows and not rows[-1]:
        rows.pop()
    if len(rows) < 2:
        raise DataError(f"{source} must have a header line and at least one row, got {len(rows)} line(s)")
    names = _unique_names([name.strip() for name in rows[0]], source)
    body = rows[1:]
    width = len(names)
    for number, row in enumerate(body, start=2):
        if len(row) != width:
            raise DataError(
                f"{source}, line {number} has {len(row)} cells where the header has {width}; correct the line"
            )
    columns = {name: list(cells) for name, cells in zip(names, zip(*body, strict=True), strict=True)}
    return Table(source, names, columns, first_row=2, row_word="line")


def _plain_numbers(text: str, source: str) -> Table | None:
    """The common table, a first column of text and numbers in all others, at numpy's speed; None for any other."""
    header, _, body = text.replace("\r\n", "\n").rstrip("\n").partition("\n")
    names = [name.strip() for name in header.split(",")]
    lines = body.split("\n")
    width = len(names) - 1
    if width < 1 or '"' in text or not body or len(set(names)) <= width:
        return None
    first, _, rests = zip(*(line.partition(",") for line in lines), strict=True)
    if any(rest.count(",") != width - 1 for rest in rests):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # numpy warns where the text is no number
            numbers = np.fromstring(",".join(rests), np.float64, sep=",")
    except (DeprecationWarning, ValueError):
        return None
    if len(numbers) != len(lines) * width:
        return None
    columns = dict(zip(names[1:], np.ascontiguousarray(numbers.reshape(-1, width).T), strict=True))
    return Table(source, tuple(names), {names[0]: list(first), **columns}, first_row=2, row_word="line")


def from_csv_path(path: str | Path, delimiter: str = ",") -> Table:
    """Read a CSV file, gzipped or not."""
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}; check the path") from error
    return from_csv_bytes(data, path.name, delimiter)


def from_parquet(path: str | Path) -> Table:
    """Read a Parquet file by pyarrow."""
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError as error:
        raise ConfigError("reading Parquet needs pyarrow: pip install 'fastmas[frames]'") from error
    path = Path(path)
    try:
        table = parquet.read_table(path)
    except (OSError, arrow.ArrowInvalid) as error:
        raise DataError(f"cannot read {path}: {error}; check that it is a Parquet file") from error
    names = _unique_names([str(name) for name in table.column_names], path.name)
    columns = {name: _arrow_column(table.column(position), arrow) for position, name in enumerate(names)}
    return Table(path.name, names, columns)


def _arrow_column(column: Any, arrow: Any) -> Any:
    kind = column.type
    if arrow.types.is_floating(kind) or arrow.types.is_decimal(kind):
        return column.cast(arrow.float64(), safe=False).to_numpy()
    if arrow.types.is_timestamp(kind):
        # Arrow keeps instants in UTC and the zone aside: a zone means they are instants and not wall times.
        stamps = column.cast(arrow.timestamp("ns")).to_numpy()
        return [datetime_of(stamp, aware=True) for stamp in stamps] if kind.tz and len(column) else stamps
    if arrow.types.is_integer(kind) and column.null_count == 0:
        return column.to_numpy()
    return column.to_pylist()


def datetime_of(stamp: np.datetime64, *, aware: bool) -> datetime:
    """A datetime64 as a datetime; microseconds are kept, nanoseconds cut."""
    moment: datetime = stamp.astype("datetime64[us]").item()
    return moment.replace(tzinfo=UTC) if aware else moment


def from_frame(frame: Any) -> Table:
    """Take the columns of a pandas or polars DataFrame; a named or dated pandas index becomes a column."""
    library = type(frame).__module__.partition(".")[0]
    if type(frame).__name__ != "DataFrame" or library not in ("pandas", "polars"):
        raise ConfigError(
            f"from_frame takes a pandas or polars DataFrame, got {type(frame).__module__}.{type(frame).__qualname__}; "
            "for files use from_csv or from_parquet; the libraries come with pip install 'fastmas[frames]'"
        )
    if library == "polars":
        names = _unique_names([str(name) for name in frame.columns], "frame")
        return Table("frame", names, {name: _series(frame[name].to_list(), frame[name].to_numpy) for name in names})
    if getattr(frame.columns, "nlevels", 1) > 1:
        raise DataError(
            "a frame must have one level of column names, got "
            f"{frame.columns.nlevels}; stack it: frame.stack(level=1) gives one row a symbol and time"
        )
    index = frame.index
    if index.nlevels > 1 or index.name is not None or str(index.dtype).startswith(("datetime", "period")):
        index_names = [name if name is not None else ("time" if index.nlevels == 1 else None) for name in index.names]
        if None in index_names:
            raise DataError("every level of the frame's index must have a name, such as 'time' and 'symbol'")
        frame = frame.reset_index(names=index_names)
    names = _unique_names([str(name) for name in frame.columns], "frame")
    columns = {}
    for position, name in enumerate(names):
        series = frame.iloc[:, position]
        if str(series.dtype).startswith("period"):
            series = series.dt.to_timestamp()
        columns[name] = _series(series.tolist(), lambda series=series: series.to_numpy(), str(series.dtype))
    return Table("frame", names, columns)


def _series(values: list[Any], array: Any, dtype: str = "") -> Any:
    """Keep plain numbers as an array; everything else (text, dates, instants with a zone) as Python objects."""
    if values and all(type(value) is float or type(value) is int for value in values):
        return array()
    return values


@dataclass(frozen=True, slots=True)
class Times:
    """A column of times, either all days or all instants.

    Attributes
    ----------
    days : ndarray of datetime64[D] or None
    instants_ns : ndarray of int64 or None
        Nanoseconds since 1970 UTC.
    """

    days: NDArray[np.datetime64] | None = None
    instants_ns: NDArray[np.int64] | None = None


def parse_times(table: Table, name: str, timezone: str, date_format: str | None) -> Times:
    """Read a column of dates or instants.

    Text is ISO 8601 unless `date_format` (as in `strptime`) says otherwise. Integers are nanoseconds since 1970 UTC.
    Values that are all at midnight are days. Instants without a zone are taken to be in `timezone`.

    Raises
    ------
    DataError
        Naming the row of a value that is no time, or of the first that mixes days with instants.
    """
    column = table.columns[name]
    if isinstance(column, np.ndarray) and column.dtype.kind in "iu":
        return Times(instants_ns=column.astype(np.int64))
    if isinstance(column, np.ndarray) and column.dtype.kind == "M":
        column = [datetime_of(stamp, aware=False) if not np.isnat(stamp) else None for stamp in column]
    if isinstance(column, list) and date_format is None and column and all(type(cell) is str for cell in column):
        try:  # plain ISO dates, the common case, at numpy's speed
            if all(len(cell) == 10 for cell in column):
                return Times(days=np.array(column, dtype="datetime64[D]"))
        except ValueError:
            pass  # the careful loop below names the row
        if all(len(cell) >= 16 and cell.isdecimal() for cell in column):
            return Times(instants_ns=np.array(list(map(int, column)), np.int64))
    zone = zone_named(timezone)
    moments: list[datetime] = []
    plain_day: list[bool] = []
    for row, cell in enumerate(column):
        moment, is_day = _moment(table, row, name, cell, date_format)
        plain_day.append(is_day)
        moments.append(moment)
    if all(plain_day) or all(m.hour == m.minute == m.second == m.microsecond == 0 for m in moments):
        return Times(days=np.array([m.date() for m in moments], dtype="datetime64[D]"))
    if any(plain_day):
        row = plain_day.index(plain_day[0] ^ True)
        raise DataError(
            f"times must be all days or all instants, "
            f"got {column[row]!r} after {column[0]!r} ({table.where(row, name)})"
        )
    instants = np.empty(len(moments), np.int64)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    for row, moment in enumerate(moments):
        since = (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)) - epoch
        micros = (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds
        instants[row] = micros * 1000 + getattr(since, "nanoseconds", 0)  # pandas keeps those beside
    return Times(instants_ns=instants)


def _moment(table: Table, row: int, name: str, cell: Any, date_format: str | None) -> tuple[datetime, bool]:
    """One cell as a datetime, and whether it is a day without a time."""
    try:
        if isinstance(cell, datetime):
            return (cell.replace(tzinfo=cell.tzinfo), False) if cell == cell else _not_a_time(table, row, name, cell)
        if isinstance(cell, date):
            return datetime(cell.year, cell.month, cell.day), True
        if isinstance(cell, str):
            text = cell.strip()
            if date_format is not None:
                with_time = any(code in date_format for code in ("%H", "%I", "%T", "%X", "%c", "%s", "%S"))
                return datetime.strptime(text, date_format), not with_time
            return datetime.fromisoformat(text), len(text) <= 10
    except ValueError:
        pass
    return _not_a_time(table, row, name, cell)


def _not_a_time(table: Table, row: int, name: str, cell: Any) -> tuple[datetime, bool]:
    raise DataError(
        f"every row needs an ISO 8601 date or time such as 2024-07-01, got {cell!r} ({table.where(row, name)}); "
        "for other spellings give date_format, e.g. '%m/%d/%Y'"
    )
