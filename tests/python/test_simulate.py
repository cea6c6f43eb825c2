"""`fastmas simulate`, and the histories of simulated clients under the checker."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_tools import fastmas_command
from counting import Count

from fastmas.testing import check_linearizable
from fastmas.testing.simulation import client_history, simulate_script, simulate_seed, simulated_protocols

PROTOCOLS = simulated_protocols()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_clients_of_a_simulated_cluster_see_is_linearizable(protocol: str) -> None:
    for seed in range(3):
        outcome = simulate_seed(protocol, seed, 10)
        assert outcome["is_well"], outcome["failure"]
        history = client_history(outcome)
        assert sum(operation.return_ns is not None for operation in history) > 40
        verdict = check_linearizable(history, Count)
        assert verdict, str(verdict)


def test_each_protocol_tells_what_happened_in_its_own_words() -> None:
    foreign = {
        "raft": ("ballot", "round", "height"),
        "paxos": ("election", "term", "round", "height"),
        "bft": ("election", "leader", "term", "ballot"),
        "bft-correct": ("election", "leader", "term", "ballot"),
    }
    for protocol in PROTOCOLS:
        rows = [name for name, _ in simulate_seed(protocol, 1, 5)["coverage"]]
        strange = [
            row for row in rows if any(word in row.split() or word + "s" in row.split() for word in foreign[protocol])
        ]
        assert not strange, protocol


def test_two_answers_swapped_are_not() -> None:
    history = client_history(simulate_seed("raft", 1, 10))
    answered = [i for i, operation in enumerate(history) if operation.return_ns is not None and not operation.is_read]
    first, last = answered[0], answered[-1]
    swapped = list(history)
    for one, other in ((first, last), (last, first)):
        reply = history[other].reply
        operation = history[one]
        swapped[one] = type(operation)(operation.request, operation.call_ns, operation.return_ns, reply)
    assert not check_linearizable(swapped, Count)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_seeds_give_a_table(protocol: str) -> None:
    outcome = fastmas_command("simulate", "--protocol", protocol, "--seeds", 4, "--seconds", 5, "--jobs", 2)
    assert outcome.status == 0, outcome.err
    assert "commands applied" in outcome.out
    assert "4 seeds" in outcome.out
    assert "nothing broken" in outcome.out
    assert "seeds 0 to 3, 5 simulated seconds each" in outcome.err


def test_json_is_one_object_and_does_not_depend_on_jobs() -> None:
    rows = [
        fastmas_command("simulate", "--seeds", 5, "--seconds", 5, "--jobs", jobs, "--quiet", "--json").last
        for jobs in (1, 3)
    ]
    assert rows[0]["coverage"] == rows[1]["coverage"]
    assert rows[0]["fewest_answers"] > 0 and rows[0]["fewest_commits"] > 0
    assert rows[0]["simulated_s"] >= 25


def test_a_row_at_zero_over_many_seeds_fails() -> None:
    outcome = fastmas_command("simulate", "--seeds", 100, "--seconds", 1, "--quiet", "--json")
    never = outcome.last["never"]
    assert (outcome.status == 1) == bool(never)
    if never:
        assert f"never happened, so not tested: {', '.join(never)}" in outcome.err


def test_a_script_says_the_same_as_its_seed(tmp_path: Path) -> None:
    script = tmp_path / "seed.script"
    shown = fastmas_command("simulate", "--first", 9, "--seconds", 5, "--show-script")
    assert shown.status == 0
    script.write_text(shown.out, encoding="utf-8")
    outcome = fastmas_command("simulate", "--script", script)
    assert outcome.status == 0, outcome.err
    assert "nothing broken" in outcome.out
    by_script = simulate_script("raft", shown.out)
    assert by_script["coverage"] == simulate_seed("raft", 9, 5)["coverage"]
    assert json.loads(fastmas_command("simulate", "--script", script, "--json").out)["is_well"] is True


def test_a_failing_seed_is_reported_and_leaves_a_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = simulate_seed("raft", 0, 1)
    script = "protocol raft\nseconds 1\nnodes 3\nat 5 crash leader\nat 6 heal\n"
    bad = {
        **good,
        "is_well": False,
        "phase": "safety",
        "failure": "a rule: broken",
        "state": "  node 1",
        "script": script,
    }
    monkeypatch.setattr(
        "fastmas.cli.simulate.simulate_seed", lambda protocol, seed, seconds: bad if seed == 7 else good
    )
    outcome = fastmas_command(
        "simulate", "--first", 5, "--seeds", 9, "--seconds", 1, "--jobs", 1, "--out", tmp_path / "new"
    )
    assert outcome.status == 1
    assert "seed 7 fails: fastmas simulate --protocol raft --first 7 --seeds 1 --seconds 1" in outcome.err
    assert "safety phase: a rule: broken" in outcome.err
    left = tmp_path / "new" / "raft-7.script"
    assert f"shrunk to 2 actions: fastmas simulate --protocol raft --script {left}" in outcome.err
    assert fastmas_command("simulate", "--script", left).status == 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--protocol", "chalk"), "--protocol must be one of raft"),
        (("--seeds", "0"), "a whole number of at least 1 is needed, got '0'"),
        (("--first", "-1"), "a whole number of at least 0 is needed, got '-1'"),
        (("--first", 2**64 - 1, "--seeds", 2), "seeds end at 18446744073709551615"),
        (("--script", "nowhere.script"), "No such file or directory: nowhere.script"),
    ],
)
def test_wrong_use_is_refused(arguments: tuple[object, ...], text: str) -> None:
    outcome = fastmas_command("simulate", *arguments)
    assert outcome.status == 2
    assert text in outcome.err


def test_a_script_that_cannot_be_read_names_its_line(tmp_path: Path) -> None:
    script = tmp_path / "bad.script"
    script.write_text("nodes 3\nat 5 explode 1\n", encoding="utf-8")
    outcome = fastmas_command("simulate", "--script", script)
    assert outcome.status == 2
    assert "line 2 of the script: expected what is to happen, got 'explode'" in outcome.err
