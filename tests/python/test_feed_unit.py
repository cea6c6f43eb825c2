"""A bar feed: one price a bar, slices by time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fastmas.errors import ConfigError, DataError
from fastmas.market.bars import Bars
from fastmas.market.feed import BarFeed
from fastmas.messages import Bar


def test_feed_of_several_sources_is_one_array_in_time_order() -> None:
    feed = BarFeed(Bars.sample(["KO"]), Bars.sample(["AAPL", "XOM"]))
    assert [one.symbol for one in feed.instruments] == ["AAPL", "KO", "XOM"]
    assert feed.record_type is Bar
    keys = feed.records["ts_ns"].astype(object) * 2**32 + feed.records["instrument"]
    assert (np.diff(keys) > 0).all()
    assert feed.digest() == BarFeed(Bars.sample(["KO", "AAPL", "XOM"])).digest()
    assert repr(feed).startswith("<BarFeed of <Bars: 3 instruments, 8313 times")


def test_two_feeds_of_prices_for_the_same_bar_are_refused() -> None:
    with pytest.raises(DataError, match="two sources have KO at 1990-01-02T21:00"):
        BarFeed(Bars.sample(["KO"]), Bars.sample(["KO", "XOM"]))


def test_a_later_file_continues_an_earlier_one(tmp_path: Path) -> None:
    for name, text in (("a.csv", "Date,A\n2024-01-02,1\n"), ("b.csv", "Date,A\n2024-01-03,2\n")):
        (tmp_path / name).write_text(text)
    feed = BarFeed(Bars.from_csv(tmp_path / "a.csv"), Bars.from_csv(tmp_path / "b.csv"))
    np.testing.assert_array_equal(feed.bars.closes, [[1.0], [2.0]])


def test_what_is_no_bars_is_refused() -> None:
    with pytest.raises(ConfigError, match="a bar feed takes one or more Bars, got nothing"):
        BarFeed()
    with pytest.raises(ConfigError, match="a bar feed takes one or more Bars, got ndarray"):
        BarFeed(np.zeros(3))  # type: ignore[arg-type]
