"""The failure drill: losses and a killed leader duplicate nothing with consensus, and something without."""

from __future__ import annotations

import datetime

import pytest
from cli_tools import CROSSOVER

from fastmas.cli.drill import LOSS, run_drill
from fastmas.cli.settings import Settings, read_system


@pytest.fixture(scope="module")
def crossover(tmp_path_factory):
    path = tmp_path_factory.mktemp("drill") / "system.toml"
    path.write_text('[feed]\ninstruments = ["AAPL", "KO", "PG"]\nto = 2015-12-31\n' + CROSSOVER)
    return read_system(path)


@pytest.mark.parametrize("network_seed", range(4))
def test_no_order_takes_effect_twice(crossover, network_seed):
    drill = run_drill(crossover.override({"network_seed": network_seed}))
    assert drill.duplicates == 0
    assert drill.same_ledger_head
    assert len(drill.crashed) == 1
    assert drill.leader_changes >= 1
    assert drill.loss == LOSS
    assert drill.lost > 0
    assert drill.naive_duplicates > 0
    assert drill.naive_excess_lots > 0
    assert drill.naive_wrong_positions > 0
    assert drill.orders < drill.naive_orders <= drill.orders + drill.naive_duplicates


def test_it_is_the_last_year_whatever_the_run_began_with(crossover):
    first = datetime.date(2015, 12, 1)
    drill = run_drill(crossover.override({"first": first, "loss": 0.3, "crash_leader_at": first}))
    same = run_drill(crossover)
    assert drill.last == same.last == "2015-12-31"
    assert drill.first == same.first
    assert drill == same


def test_the_main_jobs_drill_decides_in_the_last_year_only():
    drill = run_drill(Settings(instruments=("AAPL", "KO", "PG"), last=datetime.date(2015, 12, 31)))
    assert drill.first >= "2014-12-31"
    assert 11 <= drill.decisions <= 13
    assert drill.duplicates == 0 < drill.naive_duplicates


def test_no_drill_without_decisions(crossover):
    assert run_drill(crossover.override({"last": datetime.date(1990, 1, 19)})) is None
