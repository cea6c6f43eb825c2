"""The fail-over without consensus that the drill stands beside: honest when nothing goes wrong, double when it does."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import fastmas as fm
from fastmas.market.bars import Bars
from fastmas.market.venue import BarVenue
from fastmas.world.naive import NaiveFailover, slices


@cache
def market():
    return Bars.sample(["AAPL", "JPM", "KO", "PG"]).window("2019-01-02", "2019-12-31")


def baskets():
    """A basket every tenth session that changes every position."""
    ids = [one.id for one in market().instruments]
    return [
        fm.Intent(int(ts_ns), {instrument: 100 + 10 * (k % 3) + column for column, instrument in enumerate(ids)})
        for k, ts_ns in enumerate(market().sessions[5:-5:10])
    ]


def run(loss=0.0, crash_at=None, seed=0):
    crash_at_ns = None if crash_at is None else int(market().sessions[crash_at])
    naive = NaiveFailover(BarVenue(market().instruments), loss=loss, crash_at_ns=crash_at_ns, seed=seed)
    return naive.run(slices(market().records), baskets())


def test_without_loss_or_crash_it_does_what_was_decided():
    found = run()
    assert found.decisions == len(baskets()) > 20
    assert found.orders == 4 * found.decisions
    assert (found.duplicates, found.excess_lots, found.wrong_positions) == (0, 0, 0)


@pytest.mark.parametrize("seed", range(5))
def test_a_lost_acknowledgement_sends_an_order_twice(seed):
    found = run(loss=0.1, seed=seed)
    assert found.duplicates > 0
    assert found.excess_lots > 0
    assert found.orders == 4 * found.decisions + found.duplicates


def test_the_share_of_duplicates_is_the_share_of_lost_acknowledgements():
    found = [run(loss=0.1, seed=seed) for seed in range(5)]
    share = sum(one.duplicates for one in found) / sum(one.orders for one in found)
    assert share == pytest.approx(0.1, abs=0.03)


def test_a_crash_alone_sends_half_a_basket_twice():
    calm, found = run(), run(crash_at=100)
    assert found.duplicates == 2  # two of four orders were out when the primary died
    assert found.wrong_positions == 2  # and nobody's books know of them
    assert found.orders == calm.orders + 2


def test_a_crash_before_the_first_basket_or_after_the_last():
    assert run(crash_at=0).duplicates == 2
    late = run(crash_at=len(market().sessions) - 1)
    assert late == run()


def test_it_is_a_function_of_its_seed():
    assert run(loss=0.1, seed=4) == run(loss=0.1, seed=4)
    assert len({(r.duplicates, r.excess_lots) for r in (run(loss=0.1, seed=seed) for seed in range(5))}) > 1


def test_slices_split_at_every_time_and_lose_nothing():
    parts = list(slices(market().records))
    assert [ts_ns for ts_ns, _ in parts] == market().sessions.tolist()
    assert all((rows["ts_ns"] == ts_ns).all() for ts_ns, rows in parts)
    assert np.array_equal(np.concatenate([rows for _, rows in parts]), market().records)
