"""System files and command-line options: read, checked, overridden; every mistake has its own words."""

from __future__ import annotations

import datetime
import re

import pytest

from fastmas.cli.settings import MAIN_JOB, AgentSpec, Settings, read_system
from fastmas.errors import ConfigError

AGENTS = '[[agents]]\ntype = "fastmas.strategies:Momentum"\nfast = 10\nslow = 30\n'


def system(tmp_path, text):
    path = tmp_path / "system.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_everything_may_be_left_out_but_the_agents(tmp_path):
    settings = read_system(system(tmp_path, AGENTS))
    assert settings.agents == (AgentSpec("fastmas.strategies:Momentum", {"fast": 10, "slow": 30}),)
    assert (settings.seed, settings.replicas, settings.protocol, settings.data) == (7, 3, "raft", None)
    assert not settings.is_main_job
    assert Settings().is_main_job
    assert Settings().agents is MAIN_JOB


def test_all_tables(tmp_path):
    text = """
[world]
seed = 3
network_seed = 4
replicas = 5
protocol = "raft"
capital = 1000
currency = "EUR"
[feed]
data = "bars.csv"
instruments = ["AAPL", "MSFT"]
from = 2015-01-01
to = 2016-12-31
[venue]
fee_bps = 2
slippage_bps = 0.5
[limits]
max_leverage_bps = 10000
[faults]
loss = 0.05
crash_leader_at = 2015-06-01
[parameters]
max_rounds = 9
damping = 0.5
"""
    settings = read_system(system(tmp_path, text + AGENTS))
    assert settings.data == tmp_path / "bars.csv"
    assert settings.instruments == ("AAPL", "MSFT")
    assert settings.first == datetime.date(2015, 1, 1)
    assert settings.last == datetime.date(2016, 12, 31)
    assert (settings.fee_bps, settings.slippage_bps, settings.loss, settings.damping) == (2, 0.5, 0.05, 0.5)
    assert settings.crash_leader_at == datetime.date(2015, 6, 1)
    assert settings.build_limits().max_leverage_bps == 10_000
    again = settings.override({"seed": 8, "loss": None, "last": datetime.date(2015, 12, 31)})
    assert (again.seed, again.loss, again.last) == (8, 0.05, datetime.date(2015, 12, 31))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed = ", "is not valid TOML"),
        ("[wrld]\n" + AGENTS, r"a system file has the tables \['agents', 'faults', 'feed'.*got \['wrld'\]"),
        ("[world]\nseeds = 3\n" + AGENTS, r"\[world\] knows .*'seed'.* got 'seeds'"),
        ('[world]\nseed = "x"\n' + AGENTS, "world.seed must be int, got 'x'"),
        ("[world]\nseed = true\n" + AGENTS, "world.seed must be int, got True"),
        ('[venue]\nfee_bps = "1"\n' + AGENTS, "venue.fee_bps must be int or float, got '1'"),
        ("world = 3\n" + AGENTS, r"world must be a table, write \[world\]"),
        ("[world]\nseed = 3\n", r"a system file lists its agents: \[\[agents\]\] with type"),
        ("[[agents]]\nfast = 3\n", 'agent 1 has no type; write type = "module:Class"'),
    ],
)
def test_mistakes_in_a_system_file(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        read_system(system(tmp_path, text))


def test_a_file_that_is_no_text(tmp_path):
    path = tmp_path / "system.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        read_system(path)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            AgentSpec("fastmas.strategies.Momentum"),
            "an agent's type is 'module:Class', got 'fastmas.strategies.Momentum'",
        ),
        (AgentSpec("nowhere:Momentum"), "agent 'nowhere:Momentum' cannot be imported: No module named 'nowhere'"),
        (AgentSpec("fastmas.strategies:Nothing"), "cannot be imported: module 'fastmas.strategies' has no attribute"),
        (AgentSpec("fastmas.strategies:Momentum", {"quick": 1}), re.escape("does not take {'quick': 1}")),
    ],
)
def test_agents_that_cannot_be_built(spec, message):
    with pytest.raises(ConfigError, match=message):
        spec.build()


def test_options_of_every_agent_can_be_set():
    agent = AgentSpec("fastmas.strategies:Breadth", {"length": 50, "name": "half_year", "latency_ns": 5}).build()
    assert (agent.name, agent.latency_ns) == ("half_year", 5)


def test_limits_that_do_not_exist():
    with pytest.raises(ConfigError, match=r"limits knows \['max_position_lots'.*got \['max_fun'\]"):
        Settings(limits={"max_fun": 3}).build_limits()
