"""What goes wrong below the consensus line: every network, every moment of a crash, and what is booked all the same."""

from __future__ import annotations

from collections import Counter

import pytest
from test_world_agents import Will, bars, buy, four, ids, run

import fastmas as fm
from fastmas import audit
from fastmas.audit.writer import COMMAND_PREFIX
from fastmas.errors import ConfigError
from fastmas.replica import commands
from fastmas.world import Faults


def plan():
    """A basket of both instruments every other session."""
    first, second = ids()
    return {k: (lambda ctx, k=k: fm.Intent(ctx.now_ns, {first: 10 + k, second: 40 - k})) for k in range(0, 18, 2)}


@pytest.fixture(scope="module")
def calm():
    return run(four(plan()))


@pytest.mark.parametrize("loss", [0.0, 0.3])
def test_a_leader_may_die_at_any_moment_of_any_basket(calm, loss):
    assert calm.orders == 18
    changes, resent = Counter(), 0
    for network_seed in range(40):
        at_ns = int(bars().sessions[network_seed % 17])
        report = run(
            four(plan()), network_seed=network_seed, faults=Faults(loss=loss, crash_leader_at_ns=at_ns, restart_after=2)
        )
        assert report.ledger_head == calm.ledger_head, network_seed
        assert set(report.replica_heads.values()) == {calm.ledger_head}, network_seed
        assert sorted(report.replica_heads) == [1, 2, 3]
        assert len(report.crashed) == 1
        assert report.fill_records == calm.fill_records
        changes[report.leader_changes] += 1
        resent += report.resent
    assert changes[0] == 0  # a crash of the leader always shows
    assert resent > 10  # and what it had not sent is sent again


def test_a_crash_in_the_last_basket_leaves_no_replica_behind(calm):
    report = run(four(plan()), faults=Faults(crash_leader_at_ns=int(bars().sessions[16])))
    assert report.crashed
    assert report.replica_heads == dict.fromkeys((1, 2, 3), calm.ledger_head)


@pytest.mark.parametrize("replicas", [1, 2, 5])
def test_any_number_of_replicas_books_the_same(calm, replicas):
    report = run(four(plan()), replicas=replicas)
    assert report.replica_heads == dict.fromkeys(range(1, replicas + 1), calm.ledger_head)


def test_in_the_log_the_reports_of_an_instant_stand_before_its_marks(tmp_path):
    path = tmp_path / "run.fma"
    run(four({0: buy(5)}), audit=path)
    with audit.read(path) as file:
        kinds = [
            type(commands.decode(record.payload[COMMAND_PREFIX.size :])).__name__
            for record in file.records(type="Command")
        ]
    assert kinds.count("Reports") == 1
    at = kinds.index("Reports")
    assert kinds[at + 1] == "Marks"  # of the session of the fill, not of the next
    assert kinds[:at].count("Marks") == 1
    assert kinds[at - 1] == "Intent"


def test_wake_ups_and_baskets_between_sessions_survive_losses():
    class Sleeps(Will):
        def decide(self, signals, ctx):
            self.session += 1
            return fm.Wakeup(ctx.now_ns + 3_600_000_000_000)

        def on_wakeup(self, ctx):
            return fm.Intent(ctx.now_ns, {ids()[0]: 1 + self.session})

    def heads(**options):
        return run(four({}, will=Sleeps({})), **options).ledger_head

    assert heads() == heads(network_seed=5, faults=Faults(loss=0.3))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"loss": 0.6}, "loss must be a share between 0 and 0.5, got 0.6; 0.05 loses one message in twenty"),
        ({"loss": -0.1}, "loss must be a share between 0 and 0.5, got -0.1"),
        ({"restart_after": 0}, "restart_after must be at least one session, got 0"),
    ],
)
def test_faults_that_cannot_be(options, text):
    with pytest.raises(ConfigError, match=text):
        Faults(**options)
