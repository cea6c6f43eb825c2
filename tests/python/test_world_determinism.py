"""One run, many networks: the books depend on data and seed alone; a diverging replica stops and is named."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pytest
from worlds import run, some_bars

import fastmas as fm
from fastmas import audit
from fastmas.errors import AgentError, AuditError, ReplicaDivergedError
from fastmas.market.bars import Bars
from fastmas.replica import commands
from fastmas.strategies import AtMarket
from fastmas.world import Faults, replay


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return run(audit=tmp_path_factory.mktemp("audit") / "run.fma")


def altered(bars: Bars, row: int, field: str = "close", by: int = 1) -> Bars:
    records = bars.records.copy()
    records[field][row] += by
    return Bars(bars.instruments, records, bars.problems)


def test_it_trades_and_the_books_balance(undisturbed):
    assert undisturbed.decisions >= 12
    assert undisturbed.orders == len(undisturbed.fill_records) > 20
    assert undisturbed.balanced
    assert len(undisturbed.replica_heads) == 3
    assert set(undisturbed.replica_heads.values()) == {undisturbed.ledger_head}
    assert undisturbed.poisoned == {}
    assert undisturbed.counters["rejected"] == 0


def test_two_runs_have_the_same_heads(undisturbed, tmp_path):
    again = run(audit=tmp_path / "again.fma")
    assert again.audit_head == undisturbed.audit_head
    assert again.ledger_head == undisturbed.ledger_head


@pytest.mark.parametrize("network_seed", [1, 2, 3])
def test_losses_and_a_crashed_leader_change_no_booking(undisturbed, network_seed):
    crash_at = int(some_bars().sessions[400])
    faults = Faults(loss=0.05, crash_leader_at_ns=crash_at)
    report = run(network_seed=network_seed, faults=faults)
    assert report.crashed
    assert report.leader_changes >= 1
    assert report.lost > 0
    assert report.ledger_head == undisturbed.ledger_head
    assert set(report.replica_heads.values()) == {undisturbed.ledger_head}
    executed = [fill.client_order_id for fill in report.fill_records]
    assert len(executed) == len(set(executed))
    assert report.fill_records == undisturbed.fill_records


def test_another_network_seed_changes_bursts_but_no_booking(undisturbed):
    report = run(network_seed=9)
    assert report.ledger_head == undisturbed.ledger_head
    assert not np.array_equal(report.burst_ns, undisturbed.burst_ns)


def test_one_price_changes_the_head(undisturbed):
    bars = altered(some_bars(), len(some_bars().records) // 2)
    assert run(bars).ledger_head != undisturbed.ledger_head


def test_the_order_in_which_agents_are_given_does_not_matter(undisturbed):
    from worlds import main_agents

    assert run(agents=main_agents()[::-1]).ledger_head == undisturbed.ledger_head


def test_replay_gives_the_same_heads(undisturbed):
    found = replay(undisturbed.audit, [AtMarket()])
    assert found.ledger_head == undisturbed.ledger_head
    assert found.audit_head == undisturbed.audit_head
    assert found.commits == undisturbed.commits
    assert found.balanced


def test_replay_with_another_action_says_where_it_differs(undisturbed):
    class Half(fm.Action):
        def act(self, committed, ctx):
            for instrument, lots in committed.intent.targets.items():
                change = (lots - ctx.position(instrument)) // 2
                if change:
                    yield fm.Order(instrument, 1 if change > 0 else -1, abs(change))

    with pytest.raises(
        ReplicaDivergedError, match=r"replay diverged at commit index \d+: the audit says head [0-9a-f]{16}"
    ):
        replay(undisturbed.audit, [Half()])


def test_replay_refuses_a_tampered_audit(undisturbed, tmp_path):
    data = bytearray(undisturbed.audit.read_bytes())
    data[len(data) // 2] ^= 1
    path = tmp_path / "tampered.fma"
    path.write_bytes(data)
    with pytest.raises(AuditError, match=r"block \d+"):
        replay(path, [AtMarket()])


def test_every_fill_can_be_explained_back_to_its_bars(undisturbed):
    with audit.read(undisturbed.audit) as file:
        fills = list(file.records(type="Fill"))
    assert len(fills) == len(undisturbed.fill_records)
    for record in (fills[0], fills[len(fills) // 2], fills[-1]):
        text = str(audit.explain(undisturbed.audit, record.id))
        positions = [
            text.find(word) for word in ("Fill", "Order", "Committed", "Intent", "Signal", "Observation", "Bar")
        ]
        assert -1 not in positions
        assert positions == sorted(positions)


class _Rounds:
    """A replica that rounds the prices of fills to whole cents: the planted bug."""

    def __init__(self, state):
        self._state = state

    def apply(self, entry):
        command = commands.decode(entry.command)
        if isinstance(command, commands.Reports):
            rounded = [
                report.replace(price=(report.price + 5) // 10 * 10) if isinstance(report, fm.Fill) else report
                for report in command.reports
            ]
            entry = SimpleNamespace(index=entry.index, time_ns=entry.time_ns, command=commands.encode_reports(rounded))
        return self._state.apply(entry)

    def __getattr__(self, name):
        return getattr(self._state, name)


def test_a_diverging_replica_stops_and_the_commit_is_named(undisturbed):
    faults = Faults(divergence=lambda node, state: _Rounds(state) if node == 2 else state)
    report = run(faults=faults)
    assert list(report.poisoned) == [2]
    with audit.read(undisturbed.audit) as file:
        first_reports = next(
            record.fields["index"] for record in file.records(type="Command") if record.fields["kind"] == "reports"
        )
    assert re.search(rf"replica 2 diverged at commit index {first_reports}\b", report.poisoned[2])
    assert sorted(report.replica_heads) == [1, 3]
    assert report.ledger_head == undisturbed.ledger_head


def test_randomness_comes_from_the_name_and_not_from_the_order():
    draws = {}

    class Draw(fm.Perception):
        def perceive_many(self, bars, ctx):
            draws.setdefault(self.name, []).append(ctx.rng.integers(1 << 62))

    def others():
        return [
            fm.reasoning(lambda m, c: None, name="mind"),
            fm.decision(lambda m, c: None, name="will"),
            AtMarket(),
        ]

    def pair(*names):
        agents = []
        for name in names:
            agent = Draw()
            agent.name = name
            agents.append(agent)
        return agents

    bars = some_bars().window("2019-06-03", "2019-06-14")
    run(bars, [*pair("a", "b"), *others()])
    first = {name: list(values) for name, values in draws.items()}
    draws.clear()
    run(bars, [*others(), *pair("b", "aa", "a")])
    assert draws["a"] == first["a"]
    assert draws["b"] == first["b"]
    assert len({tuple(values) for values in draws.values()}) == 3
    draws.clear()
    run(bars, [*pair("a"), *others()], seed=8)
    assert draws["a"] != first["a"]


def test_an_agent_that_raises_is_named():
    def broken(bar, ctx):
        raise ZeroDivisionError("no")

    agents = [
        fm.perception(broken, name="eye"),
        fm.reasoning(lambda m, c: None, name="mind"),
        fm.decision(lambda m, c: None, name="will"),
        AtMarket(),
    ]
    with pytest.raises(AgentError, match="eye") as caught:
        run(agents=agents)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_stage_may_only_return_its_own_noun():
    agents = [
        fm.perception(lambda bar, ctx: fm.Signal(bar.instrument, bar.ts_ns, 1.0), name="eye"),
        fm.reasoning(lambda m, c: None, name="mind"),
        fm.decision(lambda m, c: None, name="will"),
        AtMarket(),
    ]
    with pytest.raises(AgentError, match=r"eye.*Signal.*Observation"):
        run(agents=agents)
