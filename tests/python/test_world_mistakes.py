"""What a user gets wrong when building a world is said at once, with what was given and a cure."""

from __future__ import annotations

import datetime
import re

import pytest
from worlds import some_bars

import fastmas as fm


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"capital": True}, "capital must be a whole positive number of USD, got True"),
        ({"capital": 1e6}, "capital must be a whole positive number of USD, got 1000000.0"),
        ({"replicas": "3"}, "replicas must be an int, got '3'"),
        ({"replicas": 3.0}, "replicas must be an int, got 3.0"),
        ({"network_seed": "a"}, "network_seed must be an int, got 'a'"),
        ({"limits": {"allow_short": True}}, "limits must be a Limits or None, got {'allow_short': True}; try Limits("),
        ({"faults": 0.1}, "faults must be a Faults or None, got 0.1; try Faults(...)"),
        ({"keep": "blend"}, "keep must be names of agents, got the text 'blend'; give ['blend']"),
        ({"venue": fm.BarVenue}, "venue must be a venue, got the class BarVenue; try BarVenue(...)"),
    ],
)
def test_a_world_says_what_it_cannot_be_made_of(options, text):
    bars = some_bars()
    with pytest.raises(fm.ConfigError, match=re.escape(text)):
        fm.Simulation(**{"feed": bars, "venue": fm.BarVenue(bars.instruments), **options})


def test_a_venue_that_does_not_trade_what_the_feed_has_is_refused():
    bars = some_bars()
    with pytest.raises(fm.ConfigError, match=r"venue must trade what the feed has, got none for Instrument\(.*AAPL"):
        fm.Simulation(feed=bars, venue=fm.BarVenue(bars.instruments[1:]))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"loss": "0.1"}, "loss must be a share between 0 and 0.5, got '0.1'"),
        ({"restart_after": 2.5}, "restart_after must be at least one session, got 2.5"),
        ({"retry_after_ns": -1}, "retry_after_ns must be at least 1 ns, got -1"),
        (
            {"crash_leader_at_ns": datetime.date(2020, 3, 2)},
            "crash_leader_at_ns must be an int, ns since 1970 UTC, got datetime.date(2020, 3, 2); try",
        ),
        (
            {"crash_leader_at_ns": "2020-03-02"},
            "crash_leader_at_ns must be an int, ns since 1970 UTC, got '2020-03-02'",
        ),
    ],
)
def test_faults_say_what_they_cannot_be(options, text):
    with pytest.raises(fm.ConfigError, match=re.escape(text)):
        fm.Faults(**options)
