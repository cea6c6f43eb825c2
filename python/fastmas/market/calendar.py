"""When sessions close, so that a daily bar carries the instant at which it is known and never midnight.

The NYSE calendar is computed from its rules since 1990 (full holidays, early closes, the closures nobody could plan);
before 1990 every weekday counts as a session that closes at 16:00, and gaps are not looked for.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from functools import cache
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from fastmas.errors import ConfigError

__all__ = ["NYSE", "FixedClose", "NyseCalendar", "SessionCalendar", "zone_named"]

Days = NDArray[np.datetime64]

_NS = 1_000_000_000


class SessionCalendar(Protocol):
    """What `Bars` asks of a calendar. Derive from `FixedClose`, or write the four."""

    @property
    def name(self) -> str:
        """What reports call it."""

    @property
    def known_from(self) -> date | None:
        """First day whose sessions are known; gaps before it are not looked for. None: they never are."""

    def sessions(self, first: date, last: date) -> Days:
        """The session days from `first` to `last`, both included, as datetime64[D]."""

    def close_ns(self, days: Days) -> NDArray[np.int64]:
        """The instant each day's session closes, in ns since 1970 UTC."""


def _weekdays(first: date, last: date, weekdays: tuple[int, ...]) -> Days:
    """The days from `first` to `last` that fall on these weekdays, Monday being 0."""
    days = np.arange(np.datetime64(first, "D"), np.datetime64(last, "D") + np.timedelta64(1, "D"))
    return days[np.isin((days.astype(np.int64) + 3) % 7, weekdays)]  # 1970-01-01 was a Thursday


def _instants(days: Days, close: time, zone: ZoneInfo, special: dict[date, time]) -> NDArray[np.int64]:
    instants = np.empty(len(days), np.int64)
    for row, day in enumerate(days.astype("datetime64[D]").tolist()):
        at = special.get(day, close)
        instants[row] = round(datetime.combine(day, at, zone).timestamp())
    return instants * _NS


def zone_named(name: str) -> ZoneInfo:
    """The time zone of an IANA name; a ConfigError when there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(f"no time zone {name!r}; use an IANA name such as 'Europe/London' or 'UTC'") from error


class FixedClose:
    """A session that closes at the same local time every day, without holidays.

    Parameters
    ----------
    timezone : str
        IANA name; daylight saving follows from it.
    close : datetime.time
        Local time of the close. Midnight is refused: a bar of a day is not known before that day.
    weekdays : iterable of int, default Monday to Friday
        Days that have a session, Monday being 0.

    Examples
    --------
    >>> import numpy as np
    >>> from datetime import time
    >>> london = FixedClose("Europe/London", time(16, 30))
    >>> london.close_ns(np.array(["2024-07-01"], "datetime64[D]")).astype("datetime64[ns]").astype("datetime64[m]")
    array(['2024-07-01T15:30'], dtype='datetime64[m]')
    """

    def __init__(self, timezone: str, close: time, weekdays: tuple[int, ...] = (0, 1, 2, 3, 4)) -> None:
        if not isinstance(close, time) or close == time(0) or close.tzinfo is not None:
            raise ConfigError(
                f"close must be a datetime.time later than midnight, without a time zone of its own, got {close!r}; "
                "for a day that ends at midnight give time(23, 59, 59)"
            )
        if not weekdays or not set(weekdays) <= set(range(7)):
            raise ConfigError(f"weekdays must be numbers from 0 (Monday) to 6, at least one, got {tuple(weekdays)!r}")
        self._zone = zone_named(timezone)
        self._close = close
        self._weekdays = tuple(weekdays)

    @property
    def name(self) -> str:
        return f"{self._close:%H:%M} {self._zone.key}"

    @property
    def known_from(self) -> date | None:
        return None

    def sessions(self, first: date, last: date) -> Days:
        return _weekdays(first, last, self._weekdays)

    def close_ns(self, days: Days) -> NDArray[np.int64]:
        return _instants(days, self._close, self._zone, {})


def _nth(year: int, month: int, weekday: int, n: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (n - 1))


def _nearest(day: date) -> date:
    """A Saturday holiday is kept on Friday, a Sunday one on Monday."""
    return day + timedelta(days={5: -1, 6: 1}.get(day.weekday(), 0))


def _easter(year: int) -> date:
    """Gregorian Easter Sunday (Oudin's algorithm)."""
    golden, century = year % 19, year // 100
    full_moon = (century - century // 4 - (8 * century + 13) // 25 + 19 * golden + 15) % 30
    full_moon -= (full_moon // 28) * (1 - (full_moon // 28) * (29 // (full_moon + 1)) * ((21 - golden) // 11))
    weekday = (year + year // 4 + full_moon + 2 - century + century // 4) % 7
    offset = full_moon - weekday
    month = 3 + (offset + 40) // 44
    return date(year, month, offset + 28 - 31 * (month // 4))


# Days of mourning, attacks and storms; no rule gives them.
_UNPLANNED_CLOSURES = (
    *(date(1994, 4, 27), date(2001, 9, 11), date(2001, 9, 12), date(2001, 9, 13), date(2001, 9, 14)),
    *(date(2004, 6, 11), date(2007, 1, 2), date(2012, 10, 29), date(2012, 10, 30), date(2018, 12, 5), date(2025, 1, 9)),
)
_UNRULED_EARLY_CLOSES = (date(1997, 12, 26), date(1999, 12, 31), date(2003, 12, 26))


@cache
def _nyse_year(year: int) -> tuple[frozenset[date], dict[date, time]]:
    """Full closures and early closes of one year since 1990."""
    new_year, independence = date(year, 1, 1), date(year, 7, 4)
    thanksgiving = _nth(year, 11, 3, 4)
    last_of_may = date(year, 5, 31)
    closed = {
        _nth(year, 2, 0, 3),
        _easter(year) - timedelta(days=2),
        last_of_may - timedelta(days=last_of_may.weekday()),
        _nearest(independence),
        _nth(year, 9, 0, 1),
        thanksgiving,
        _nearest(date(year, 12, 25)),
    }
    if new_year.weekday() != 5:  # on a Saturday it is not made up for: the Friday ends the old year's books
        closed.add(_nearest(new_year))
    if year >= 1998:
        closed.add(_nth(year, 1, 0, 3))
    if year >= 2022:
        closed.add(_nearest(date(year, 6, 19)))
    closed |= {day for day in _UNPLANNED_CLOSURES if day.year == year}

    early = {date(year, 12, 24): time(14) if year < 1993 else time(13)}
    if year >= 1992:
        early[thanksgiving + timedelta(days=1)] = time(14) if year == 1992 else time(13)
    if year >= 1995:
        # The eve is short, but for a Thursday holiday before 2013: then it was the Friday after.
        short = 1 if independence.weekday() == 3 and year < 2013 else -1
        early[independence + timedelta(days=short)] = time(13)
    early.update({day: time(13) for day in _UNRULED_EARLY_CLOSES if day.year == year})
    return frozenset(closed), {day: at for day, at in early.items() if day.weekday() < 5 and day not in closed}


class NyseCalendar:
    """Sessions of the New York Stock Exchange: 16:00 in New York, early closes at 13:00 (14:00 until 1992)."""

    name = "NYSE"
    known_from = date(1990, 1, 1)
    _zone = ZoneInfo("America/New_York")

    def sessions(self, first: date, last: date) -> Days:
        days = _weekdays(first, last, (0, 1, 2, 3, 4))
        closed: set[date] = set()
        for year in range(max(first.year, 1990), last.year + 1):
            closed |= _nyse_year(year)[0]
        return days[~np.isin(days, np.array(sorted(closed), dtype="datetime64[D]"))]

    def close_ns(self, days: Days) -> NDArray[np.int64]:
        special: dict[date, time] = {}
        for year in np.unique(days.astype("datetime64[Y]").astype(np.int64) + 1970).tolist():
            if year >= 1990:
                special |= _nyse_year(year)[1]
        return _instants(days, time(16), self._zone, special)


NYSE = NyseCalendar()
