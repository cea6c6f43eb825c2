"""A contract executes only what all of its agents agreed on: states, refusals, bit-for-bit agreement, crashes."""

from __future__ import annotations

import json
import re

import pytest

from fastmas.errors import ConfigError, NoQuorumError, NotSyncedError
from fastmas.smart_contract import AgentState, SmartContract

IDLE, ACTIVE, SYNCED, INACTIVE = AgentState


def states(contract):
    return {agent.state for agent in contract.agents}


@pytest.mark.parametrize("n_agents", [1, 2, 3, 4, 5])
def test_the_life_of_a_contract(n_agents, capsys):
    contract = SmartContract("ABC123", n_agents)
    assert [agent.number for agent in contract.agents] == list(range(n_agents))
    assert states(contract) == {IDLE}
    contract.start()
    assert states(contract) == {ACTIVE}
    contract.sync()
    assert states(contract) == {SYNCED}
    contract.execute()
    assert capsys.readouterr().out == "".join(f"Agent {number} executing action.\n" for number in range(n_agents))
    assert states(contract) == {SYNCED}
    contract.execute()
    assert contract.executions == 2
    contract.stop()
    assert states(contract) == {INACTIVE}
    assert repr(contract.agents[0]) == "<ContractAgent 0 inactive>"


def test_nothing_is_executed_before_a_sync(capsys):
    contract = SmartContract("ABC123", 3)
    text = "contract 'ABC123' cannot execute: agent 0 is {}, not synced; call start() and sync() first"
    with pytest.raises(NotSyncedError, match=re.escape(text.format("idle"))):
        contract.execute()
    contract.start()
    with pytest.raises(NotSyncedError, match=re.escape(text.format("active"))):
        contract.execute()
    assert contract.executions == 0
    assert capsys.readouterr().out == ""


def test_no_sync_before_start_nor_after_stop():
    contract = SmartContract("ABC123", 3)
    text = "contract 'ABC123' cannot sync: agent 0 is {}; call start() first"
    with pytest.raises(NotSyncedError, match=re.escape(text.format("idle"))):
        contract.sync()
    contract.start()
    contract.sync()
    contract.stop()
    with pytest.raises(NotSyncedError, match=re.escape(text.format("inactive"))):
        contract.sync()


def test_starting_again_needs_a_new_sync(capsys):
    contract = SmartContract("ABC123", 3)
    contract.start()
    contract.sync()
    contract.execute()
    contract.stop()
    contract.start()
    assert states(contract) == {ACTIVE}
    with pytest.raises(NotSyncedError, match="agent 0 is active, not synced"):
        contract.execute()
    contract.sync()
    contract.execute()
    assert contract.executions == 2  # it is the same contract, and it remembers


def test_a_start_of_a_synced_contract_changes_nothing():
    contract = SmartContract("ABC123", 2)
    contract.start()
    contract.sync()
    contract.start()
    assert states(contract) == {SYNCED}


def test_a_sync_adopts_the_terms_of_one_agent_bit_for_bit():
    contract = SmartContract("ABC123", 3, terms={"price": 0.1, "lots": 5})
    assert all(agent.terms == {"price": 0.1, "lots": 5} for agent in contract.agents)
    views = [{"price": 0.1 + 0.2, "lots": 5}, {"price": 0.3, "lots": 5}, {"price": 0.3, "lots": 6, "new": None}]
    for agent, view in zip(contract.agents, views, strict=True):
        agent.terms = view
    contract.start()
    contract.sync()
    adopted = {json.dumps(agent.terms, sort_keys=True) for agent in contract.agents}
    assert adopted == {json.dumps(views[0], sort_keys=True)}  # 0.30000000000000004, not 0.3: no averaging
    machines = {contract.cluster.machine(node).digest() for node in contract.cluster.nodes}
    assert len(machines) == 1
    contract.agents[0].terms["lots"] = 7
    assert contract.agents[1].terms["lots"] == 5  # agents share no object
    contract.sync()
    assert [agent.terms["lots"] for agent in contract.agents] == [7, 7, 7]


def test_agents_crash_and_come_back(capsys):
    contract = SmartContract("ABC123", 5, terms={"lots": 1}, seed=3)
    contract.start()
    contract.sync()
    contract.cluster.crash(contract.cluster.leader)
    contract.cluster.crash(next(node for node in contract.cluster.nodes if contract.cluster.is_up(node)))
    assert contract.executions == 0
    contract.execute()
    assert contract.executions == 1
    down = [node for node in contract.cluster.nodes if not contract.cluster.is_up(node)]
    assert len(down) == 2
    acted = [f"Agent {node - 1} executing action.\n" for node in contract.cluster.nodes if node not in down]
    assert capsys.readouterr().out == "".join(acted)
    for node in down:
        contract.cluster.restart(node)
    contract.cluster.settle()
    assert [contract.cluster.machine(node).executions for node in contract.cluster.nodes] == [1] * 5


def test_nobody_acts_without_a_majority(capsys):
    contract = SmartContract("ABC123", 3)
    contract.start()
    contract.sync()
    first, second, _ = contract.cluster.nodes
    contract.cluster.crash(first)
    contract.cluster.crash(second)
    with pytest.raises(NoQuorumError, match="no quorum within"):
        contract.execute()
    assert capsys.readouterr().out == ""


def test_an_agent_that_was_down_at_the_sync_is_not_synced_until_the_next():
    contract = SmartContract("ABC123", 3, terms={"lots": 1})
    contract.start()
    contract.cluster.crash(1)
    contract.cluster.restart(1)
    contract.cluster.crash(2)
    contract.agents[0].terms = {"lots": 2}
    contract.sync()
    assert [agent.terms["lots"] for agent in contract.agents] == [2, 1, 2]
    assert [agent.state for agent in contract.agents] == [SYNCED, ACTIVE, SYNCED]
    with pytest.raises(NotSyncedError, match="cannot execute: agent 1 is active, not synced"):
        contract.execute()
    contract.cluster.restart(2)
    contract.sync()
    assert [agent.terms["lots"] for agent in contract.agents] == [2, 2, 2]
    assert states(contract) == {SYNCED}
    assert contract.cluster.machine(2).digest() == contract.cluster.machine(1).digest()


def test_what_an_agent_that_is_down_wants_does_not_count():
    contract = SmartContract("ABC123", 3, terms={"lots": 1})
    contract.start()
    contract.agents[0].terms = {"lots": 2}
    contract.cluster.crash(1)
    contract.sync()
    assert [agent.terms["lots"] for agent in contract.agents] == [2, 1, 1]
    assert json.loads(contract.cluster.machine(2).terms) == {"lots": 1}


def test_an_agent_can_do_more_than_say_so():
    done = []
    contract = SmartContract("ABC123", 2)
    contract.agents[1].act = lambda: done.append(contract.agents[1].terms)
    contract.start()
    contract.sync()
    contract.execute()
    assert done == [{}]


@pytest.mark.parametrize(
    ("arguments", "options", "text"),
    [
        (("", 3), {}, "contract_id must be a non-empty text, got ''; e.g. 'ABC123'"),
        ((7, 3), {}, "contract_id must be a non-empty text, got 7"),
        (("A", 0), {}, "a contract needs at least one agent, got n_agents=0"),
        (("A", True), {}, "a contract needs at least one agent, got n_agents=True"),
        (("A", 2.0), {}, "a contract needs at least one agent, got n_agents=2.0"),
        (("A", 3), {"terms": {"f": len}}, "terms of contract 'A' must be what JSON can hold: Object of type builtin"),
        (("A", 3), {"terms": {"x": float("nan")}}, "terms of contract 'A' must be what JSON can hold: Out of range"),
        (("A", 3), {"terms": 3}, "terms of contract 'A' must be what JSON can hold: 'int' object is not iterable"),
        (("A", 3), {"protocol": "zab"}, "protocol must be 'raft', 'paxos' or 'bft', got 'zab'; use 'raft'"),
        (("A", 64), {}, "nodes must be 1 to 63, got 64"),
    ],
)
def test_contracts_that_cannot_be(arguments, options, text):
    with pytest.raises(ConfigError, match=re.escape(text)):
        SmartContract(*arguments, **options)


def test_terms_that_became_unfit_are_refused_and_nobody_is_synced():
    contract = SmartContract("ABC123", 3)
    contract.start()
    contract.agents[1].terms = {"x": {1, 2}}
    with pytest.raises(ConfigError, match="terms of contract 'ABC123' must be what JSON can hold"):
        contract.sync()
    assert states(contract) == {ACTIVE}
    contract.agents[1].terms = {}
    contract.sync()
    assert states(contract) == {SYNCED}
