"""`fastmas replay` and `fastmas explain`: what an audit file says, and what they say of a bad one."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from cli_tools import COMMAND, CROSSOVER, SHORT, environment, fastmas_command

import fastmas as fm
from fastmas import audit


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A small crossover system, and its result."""
    folder = tmp_path_factory.mktemp("ran")
    (folder / "system.toml").write_text(CROSSOVER)
    outcome = fastmas_command("run", folder / "system.toml", *SHORT, "--out", folder, "--quiet", "--json")
    assert outcome.status == 0, outcome.err
    return outcome.last


def test_replay_rebuilds_the_heads_of_the_run(ran):
    outcome = fastmas_command("replay", ran["audit"])
    assert (outcome.status, outcome.err) == (0, "")
    assert f"ledger head  {ran['ledger_head']}" in outcome.out
    assert f"audit head   {ran['audit_head']}" in outcome.out
    assert f"{ran['commits']:,} commits applied again" in outcome.out
    assert "debits = credits: yes" in outcome.out
    as_json = fastmas_command("replay", ran["audit"], "--json")
    assert as_json.status == 0
    assert {key: as_json.last[key] for key in ("audit_head", "ledger_head", "commits", "balanced")} == {
        key: ran[key] for key in ("audit_head", "ledger_head", "commits", "balanced")
    }


def test_every_fill_is_explained_back_to_its_bars(ran):
    with audit.read(ran["audit"]) as file:
        fills = [record.id for record in file.records(type="Fill")]
    assert len(fills) == ran["fills"] > 4
    order = ("Fill", "Order", "Committed", "Intent", "Signal", "Observation", "Bar")
    for number in fills:
        outcome = fastmas_command("explain", ran["audit"], number)
        assert (outcome.status, outcome.err) == (0, "")
        places = [re.search(rf"\b{word}\b", outcome.out).start() for word in order]
        assert places == sorted(places)
        assert re.search(r"instrument=\d+ \((KO|PG)\)", outcome.out.splitlines()[0])
        # The bar it filled at and the bar it was decided on are two.
        assert len(set(re.findall(r"\bBar \d+ .*? at (\S+ \S+Z)", outcome.out))) >= 2


def test_the_last_fill_has_a_name(ran):
    with audit.read(ran["audit"]) as file:
        last = max(record.id for record in file.records(type="Fill"))
    assert fastmas_command("explain", ran["audit"], "last") == fastmas_command("explain", ran["audit"], last)


def test_depth_bounds_the_chain(ran):
    shallow = fastmas_command("explain", ran["audit"], "last", "--depth", "2")
    deep = fastmas_command("explain", ran["audit"], "last")
    assert shallow.status == 0
    assert "Order" in shallow.out
    assert "Observation" not in shallow.out
    assert len(shallow.out) < len(deep.out)


@pytest.mark.parametrize(
    ("arguments", "pattern"),
    [
        (("99999999",), r"no message of .*audit\.fma has the id 99999999; ids run from 1 to \d+"),
        (("0",), r"no message of .*audit\.fma has the id 0; .*"),
        ((str(2**70),), r"no message of .* has the id 1180591620717411303424; .*"),
        (("first",), "an id is a whole number or 'last', got 'first'"),
        (("last", "--depth", "0"), "max_depth must be >= 1, got 0; leave it out for the default"),
        (("last", "--depth", "x"), "argument --depth: invalid int value: 'x'; see fastmas explain --help"),
    ],
)
def test_ids_that_are_none(ran, arguments, pattern):
    outcome = fastmas_command("explain", ran["audit"], *arguments)
    assert (outcome.status, outcome.out) == (2, "")
    assert re.fullmatch(f"fastmas explain: {pattern}\n", outcome.err), outcome.err


@pytest.mark.parametrize("verb", ["replay", "explain"])
def test_files_that_are_no_audit(verb, tmp_path):
    (tmp_path / "text").write_text("not an audit")
    more = () if verb == "replay" else ("1",)
    for name, pattern in (
        ("text", "not an audit file, or its header is damaged: it does not begin with FMAUDIT1"),
        ("nowhere", r".*cannot open the audit file .*nowhere: No such file or directory"),
        (".", r".*an audit is a regular file, which is not .*"),
    ):
        outcome = fastmas_command(verb, tmp_path / name, *more)
        assert (outcome.status, outcome.out) == (2, "")
        assert re.fullmatch(rf"fastmas {verb}: {pattern}\n", outcome.err), outcome.err


def test_a_flipped_byte_is_located(ran, tmp_path):
    data = bytearray(Path(ran["audit"]).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "tampered.fma").write_bytes(data)
    outcome = fastmas_command("replay", tmp_path / "tampered.fma")
    assert (outcome.status, outcome.out) == (2, "")
    assert re.search(r"block \d+.*record \d+|record \d+.*block \d+", outcome.err)
    (tmp_path / "short.fma").write_bytes(data[: len(data) // 3])
    assert fastmas_command("replay", tmp_path / "short.fma").status == 2


MOMENTUM = ["fastmas.strategies:Momentum", {"fast": 5, "slow": 15}]


class OneMore(fm.Action):
    """Buys one lot more than was decided: no action that the audit was written with."""

    def act(self, committed, ctx):
        return [fm.Order(instrument, fm.BUY, 1) for instrument in sorted(committed.intent.targets)]


def meta_of(ran, path, actions):
    """A copy of the run's audit that names other actions, with every record as it was."""
    with audit.read(ran["audit"]) as file, audit.AuditWriter(path, seed=0, meta={"actions": actions}) as writer:
        for record in file.records(type="Command"):
            index, time_ns, head, command = (
                int.from_bytes(record.payload[:8], "little"), int.from_bytes(record.payload[8:16], "little"),
                record.payload[16:48], record.payload[48:],
            )  # fmt: skip
            writer.append_command(index, time_ns, head, command, id=record.id, causes=())
    return path


def test_a_divergence_is_status_1_and_names_the_commit(ran, tmp_path):
    same = meta_of(ran, tmp_path / "same.fma", [MOMENTUM])
    assert fastmas_command("replay", same).status == 0
    other = meta_of(ran, tmp_path / "other.fma", [MOMENTUM, ["test_cli_inspect:OneMore", {}]])
    outcome = fastmas_command("replay", other)
    assert (outcome.status, outcome.out) == (1, "")
    assert re.match(
        r"fastmas replay: replay diverged at commit index \d+: the audit says head [0-9a-f]{16}", outcome.err
    )


def test_an_audit_that_does_not_say_its_actions(tmp_path):
    bars = fm.Bars.sample(["KO"]).window("2019-01-02", "2019-02-28")
    path = tmp_path / "run.fma"
    world = fm.Simulation(feed=bars, venue=fm.BarVenue(bars.instruments), audit=path)
    world.run(fm.strategies.Momentum(fast=5, slow=15))
    outcome = fastmas_command("replay", path)
    assert outcome.status == 2
    assert re.fullmatch(
        r"fastmas replay: .*run\.fma does not say which action agents it ran with; replay it from Python: "
        r"fastmas\.replay\(path, actions=\[\.\.\.\]\)\n",
        outcome.err,
    )


def test_as_a_process_of_its_own(ran):
    done = subprocess.run(
        [*COMMAND, "replay", ran["audit"], "--json"], capture_output=True, text=True, env=environment(), timeout=60,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["ledger_head"] == ran["ledger_head"]


@pytest.mark.parametrize("verb", ["explain", "run"])
def test_a_reader_that_leaves_early_is_no_error(ran, verb, tmp_path):
    """As in `fastmas explain ... | head -1`."""
    arguments = {"explain": [ran["audit"], "last"], "run": [*SHORT, "--out", str(tmp_path)]}[verb]
    process = subprocess.Popen(
        [*COMMAND, verb, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    )
    process.stdout.close()
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")
