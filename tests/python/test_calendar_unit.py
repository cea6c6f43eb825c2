"""The session calendars: closes in exchange time, checked against an independent calendar where it is installed."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastmas.errors import ConfigError
from fastmas.market.calendar import NYSE, FixedClose

NEW_YORK = ZoneInfo("America/New_York")


def close_of(day: str) -> datetime:
    ns = int(NYSE.close_ns(np.array([day], "datetime64[D]"))[0])
    assert ns % 1_000_000_000 == 0
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC)


@pytest.mark.parametrize(
    ("day", "utc"),
    [
        ("1990-01-02", "21:00"),  # winter
        ("1990-04-02", "20:00"),  # summer time begins on the first Sunday of April until 2006
        ("2007-03-09", "21:00"),  # since 2007 on the second Sunday of March
        ("2007-03-12", "20:00"),
        ("2007-11-02", "20:00"),
        ("2007-11-05", "21:00"),
        ("2006-10-27", "20:00"),
        ("2006-10-30", "21:00"),
        ("1992-11-27", "19:00"),  # 14:00 after Thanksgiving
        ("1993-11-26", "18:00"),  # 13:00 since
        ("2002-07-05", "17:00"),  # the Friday after a Thursday holiday
        ("2013-07-03", "17:00"),  # the Wednesday before it
        ("2022-12-28", "21:00"),
    ],
)
def test_close_in_utc(day: str, utc: str) -> None:
    assert close_of(day).strftime("%Y-%m-%d %H:%M") == f"{day} {utc}"


def test_every_session_of_33_years_closes_at_a_known_local_time() -> None:
    days = NYSE.sessions(date(1990, 1, 1), date(2022, 12, 31))
    times = {datetime.fromtimestamp(ns // 10**9, NEW_YORK).time() for ns in NYSE.close_ns(days).tolist()}
    assert times == {time(16), time(13), time(14)}
    assert len(NYSE.sessions(date(1990, 1, 2), date(2022, 12, 28))) == 8313


@pytest.mark.filterwarnings("ignore")  # its own, about pandas
def test_equals_exchange_calendars() -> None:
    other = pytest.importorskip("exchange_calendars", reason="the independent calendar is not installed")
    reference = other.get_calendar("XNYS", start="1990-01-01", end="2026-12-31")
    days = reference.sessions.to_numpy().astype("datetime64[D]")
    np.testing.assert_array_equal(NYSE.sessions(date(1990, 1, 1), date(2026, 12, 31)), days)
    closes = reference.closes.dt.tz_localize(None).to_numpy().astype("datetime64[ns]").astype(np.int64)
    np.testing.assert_array_equal(NYSE.close_ns(days), closes)


def test_holidays_by_rule() -> None:
    def closed(day: str) -> bool:
        return len(NYSE.sessions(date.fromisoformat(day), date.fromisoformat(day))) == 0

    assert closed("1997-03-28")  # Good Friday
    assert not closed("1997-01-20")
    assert closed("1998-01-19")  # Martin Luther King day since 1998
    assert not closed("2021-06-18")
    assert closed("2022-06-20")  # Juneteenth since 2022
    assert not closed("2010-12-31")
    assert not closed("2021-12-31")  # a Saturday New Year is not made up for
    assert closed("2001-09-11")
    assert closed("2012-10-29")


def test_before_1990_every_weekday_counts() -> None:
    assert len(NYSE.sessions(date(1987, 12, 24), date(1987, 12, 28))) == 3
    assert close_of("1987-10-19").strftime("%H:%M") == "20:00"


@given(st.dates(date(1970, 1, 1), date(2099, 12, 31)))
def test_close_lies_within_its_day_in_new_york_and_never_at_midnight(day: date) -> None:
    ns = int(NYSE.close_ns(np.array([day], "datetime64[D]"))[0])
    local = datetime.fromtimestamp(ns // 10**9, NEW_YORK)
    assert local.date() == day
    assert time(13) <= local.time() <= time(16)


def test_fixed_close_follows_daylight_saving() -> None:
    london = FixedClose("Europe/London", time(16, 30))
    stamps = london.close_ns(np.array(["2024-01-02", "2024-07-01"], "datetime64[D]"))
    assert [datetime.fromtimestamp(ns // 10**9, UTC).strftime("%H:%M") for ns in stamps.tolist()] == ["16:30", "15:30"]
    assert len(london.sessions(date(2024, 7, 1), date(2024, 7, 7))) == 5
    assert london.name == "16:30 Europe/London"
    assert london.known_from is None


def test_fixed_close_every_day_of_the_week() -> None:
    crypto = FixedClose("UTC", time(23, 59, 59), weekdays=tuple(range(7)))
    assert len(crypto.sessions(date(2024, 7, 1), date(2024, 7, 7))) == 7


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("Europe/Londen", time(16)), "no time zone 'Europe/Londen'; use an IANA name"),
        (("UTC", time(0)), "close must be a datetime.time later than midnight"),
        (("UTC", 16), "close must be a datetime.time later than midnight"),
        (("UTC", time(16), (7,)), "weekdays must be numbers from 0 "),
        (("UTC", time(16), ()), "weekdays must be numbers from 0 "),
    ],
)
def test_fixed_close_refuses(arguments: tuple[object, ...], text: str) -> None:
    with pytest.raises(ConfigError, match=text.replace("(", r"\(")):
        FixedClose(*arguments)  # type: ignore[arg-type]
