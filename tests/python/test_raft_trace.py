"""Traces of Raft: what a model checker is given must be a run of Raft, told completely."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from cli_tools import fastmas_command

from fastmas.errors import ConfigError
from fastmas.testing.simulation import trace_of_seed

ROLES = {"StateFollower", "StateCandidate", "StateLeader"}


def events(seed: int, seconds: int = 20) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in trace_of_seed("raft", seed, seconds).splitlines()]
    assert {line["tag"] for line in lines} == {"trace"}
    return [line["event"] for line in lines]


def problem(trace: list[dict[str, Any]]) -> str | None:
    """The first line that no run of Raft could have after those before it."""
    sent: Counter[str] = Counter()
    leaders: dict[int, str] = {}
    known: dict[str, dict[str, Any]] = {}
    durable: dict[str, dict[str, Any]] = {}
    since: dict[str, set[tuple[int, str]]] = {}  # terms and votes since: a crash amid a write may leave any of them
    for number, event in enumerate(trace):
        name, node, state = event["name"], event["nid"], event["state"]
        where = f"line {number}, {name} of node {node}"
        if event["role"] not in ROLES:
            return f"{where}: no role {event['role']}"
        before = known.get(node)
        if before is None and name != "InitState":
            return f"{where}: it has not begun"
        if name.startswith("Send") and state["term"] != durable.get(node, {"term": 0})["term"]:
            return f"{where}: speaks of a term that is not on its disk"
        if name == "InitState" and node in durable:
            stored = (durable[node]["term"], durable[node]["vote"])
            if (state["term"], state["vote"]) not in {stored, *since[node]}:
                return f"{where}: comes back with another term or vote than it stored"
        elif before is not None:
            if state["term"] < before["term"]:
                return f"{where}: its term falls"
            if state["term"] == before["term"] and before["vote"] not in ("0", state["vote"]):
                return f"{where}: a second vote in a term"
            if state["commit"] < before["commit"]:
                return f"{where}: its commit falls"
        if state["commit"] > event["log"]:
            return f"{where}: commits what it has not"
        if event["role"] == "StateLeader" and leaders.setdefault(state["term"], node) != node:
            return f"{where}: a second leader of term {state['term']}"
        if name == "BecomeCandidate" and (before is None or state["term"] <= before["term"] or state["vote"] != node):
            return f"{where}: stands without a new term and its own vote"
        if name in ("Replicate", "Commit", "BecomeLeader") and event["role"] != "StateLeader":
            return f"{where}: only leaders do"
        if "msg" in event:
            message = json.dumps(event["msg"], sort_keys=True)
            if name.startswith("Send"):
                if event["msg"]["from"] != node:
                    return f"{where}: sends for another"
                sent[message] += 1
            elif not sent[message]:
                return f"{where}: receives what nobody sent"
            elif event["msg"]["to"] != node:
                return f"{where}: receives what is for another"
        known[node] = state
        if name == "Ready" or (name == "InitState" and node in durable):
            durable[node], since[node] = state, set()
        elif node in durable:
            since[node].add((state["term"], state["vote"]))
    return None


@pytest.mark.parametrize("seed", range(6))
def test_a_trace_is_a_run_of_raft(seed: int) -> None:
    trace = events(seed)
    assert problem(trace) is None
    names = {event["name"] for event in trace}
    assert {"InitState", "BecomeCandidate", "BecomeLeader", "Replicate", "Commit"} <= names


@pytest.mark.parametrize(
    "name", ["BecomeCandidate", "SendAppendEntriesRequest", "InitState", "SendRequestVoteRequest", "Ready"]
)
def test_a_trace_with_lines_missing_is_not(name: str) -> None:
    trace = events(0)
    assert any(event["name"] == name for event in trace)
    rest = [event for event in trace if event["name"] != name]
    if name == "BecomeCandidate":  # what it told stands in the next line of that node, too
        rest = [
            {**event, "state": {**event["state"], "vote": "2"}} if event["nid"] == "1" else event for event in trace
        ]
    assert problem(rest) is not None


def test_the_command_prints_it_and_knows_raft_only() -> None:
    shown = fastmas_command("simulate", "--first", 3, "--seconds", 1, "--show-trace")
    assert shown.status == 0
    assert shown.out == trace_of_seed("raft", 3, 1)
    with pytest.raises(ConfigError, match="traces are of 'raft', which has a public specification"):
        trace_of_seed("paxos", 1, 1)
