"""Every example runs as a user would run it, and prints what it printed when it was written."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from cli_tools import COMMAND, environment, fastmas_command

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

EXPECTED = {
    "crossover.py": r"""
70 decisions, 70 orders, 70 fills
equity 269,491\.66 USD, books balanced: True
replicas agree: True
""",
    "smart_contract.py": r"""
Agent 0 executing action\.
Agent 1 executing action\.
Agent 2 executing action\.
""",
    "three_agents.py": r"""
fixed point after 21 rounds, residual \d\.\de-10
  decision   \[0\.151748\]
  perception \[0\.009703 0\.172266\]
  reasoning  \[0\.178801\]
agreed: theta of '(perception|reasoning|decision)', the same 32 bytes for all three agents
""",
}

pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="examples stand beside the tests in a checkout")


def test_every_example_has_an_expectation():
    assert sorted(path.name for path in EXAMPLES.glob("*.py")) == sorted(EXPECTED)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_an_example_prints_what_it_says(name, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name)], capture_output=True, text=True, cwd=tmp_path,
        env=environment(), timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(EXPECTED[name].lstrip("\n"), done.stdout), done.stdout
    assert list(tmp_path.iterdir()) == []  # and leaves nothing behind


def test_the_three_agents_are_at_their_fixed_point():
    """theta_2 = f2(theta_1, theta_3) and theta_3 = f3(theta_1, theta_2), with the figures that are printed."""
    mean, volatility, risk, exposure = 0.009703, 0.172266, 0.178801, 0.151748
    assert volatility * (1.0 + 0.25 * exposure) == pytest.approx(risk, abs=2e-6)
    assert mean / (2.0 * risk**2) == pytest.approx(exposure, abs=2e-5)


def test_the_listing_of_the_article_runs_but_for_its_import():
    lines = [line for line in (EXAMPLES / "smart_contract.py").read_text().splitlines() if line.startswith("contract")]
    assert lines[:4] == [
        "contract = SmartContract(\"ABC123\", 3)",
        "contract.start()",
        "contract.sync()",
        "contract.execute()",
    ]  # fmt: skip


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.name)
def test_a_system_file_runs(path, tmp_path):
    outcome = fastmas_command(
        "run", path, "--from", "2019-01-02", "--to", "2019-12-31", "--out", tmp_path, "--json", "--quiet"
    )
    assert outcome.status == 0, outcome.err
    assert outcome.last["balanced"] is True
    assert outcome.last["fills"] > 0
    assert outcome.last["drill"]["duplicates"] == 0


def test_a_system_file_runs_as_a_process_of_its_own(tmp_path):
    done = subprocess.run(
        [*COMMAND, "run", str(EXAMPLES / "crossover.toml"), "--from", "2022-06-01", "--out", "made"],
        capture_output=True, text=True, cwd=tmp_path, env=environment(COLUMNS="80"), timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines()[1:])) <= 80
    assert "…" not in done.stdout
    assert "\x1b" not in done.stdout  # no colours in a file
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == ["audit.fma", "report.html", "result.json"]
