"""The runner of planted bugs is itself tested: what it calls caught was caught, and the work tree stays as it was."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN = ROOT / "tests" / "mutation" / "run"
TABLE = RUN.with_name("table")

BUG = """
[[bug]]
name = "{name}"
file = "double.py"
find = "{find}"
replace = "{replace}"
test = "{test}"
why = "doubling is what it is for"
"""


def run(root: Path, bugs: str, *options: str) -> subprocess.CompletedProcess[str]:
    (root / "tests" / "mutation").mkdir(parents=True)
    (root / "tests" / "mutation" / "sums.toml").write_text(bugs)
    (root / "double.py").write_text("def double(x):\n    return x * 2\n")
    # The copy is built before any test; this one has nothing to compile.
    (root / "CMakePresets.json").write_text(
        '{"version": 3, "configurePresets": [{"name": "dev", "generator": "Ninja", "binaryDir": "${sourceDir}/build"}],'
        ' "buildPresets": [{"name": "dev", "configurePreset": "dev"}]}'
    )
    (root / "CMakeLists.txt").write_text("cmake_minimum_required(VERSION 3.22)\nproject(nothing LANGUAGES NONE)\n")
    return subprocess.run(
        [sys.executable, str(RUN), "--root", str(root), *options], capture_output=True, text=True, check=False
    )


def bug(name: str = "plus", find: str = "x * 2", replace: str = "x + 2", number: int = 3) -> str:
    test = f"{sys.executable} -c 'import double; assert double.double({number}) == {2 * number}'"
    return BUG.format(name=name, find=find, replace=replace, test=test)


def test_a_caught_bug_passes_and_leaves_the_tree_alone(tmp_path: Path) -> None:
    done = run(tmp_path, bug())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "caught  sums/plus" in done.stdout
    assert "x * 2" in (tmp_path / "double.py").read_text()


def test_a_missed_bug_fails_the_run(tmp_path: Path) -> None:
    done = run(tmp_path, bug() + bug("blind", number=2))  # 2 + 2 = 2 * 2: the test cannot see it
    assert done.returncode == 1
    assert "missed  sums/blind" in done.stdout and "caught  sums/plus" in done.stdout


@pytest.mark.parametrize(("then", "verdict"), [("wait", "s, hung\n"), ("true", "s\n")])
def test_a_hang_is_caught_soon_and_nothing_is_left_behind(tmp_path: Path, then: str, verdict: str) -> None:
    child = tmp_path / "child"
    hang = f"__import__('os').system('sleep 1000 & echo $! >{child}; {then}')"
    done = run(tmp_path, bug(replace=hang), "--hang", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    line = next(line for line in done.stdout.splitlines(keepends=True) if line.startswith("caught"))
    assert line.startswith("caught  sums/plus") and line.endswith(verdict)
    until = time.monotonic() + 10
    while running(int(child.read_text())):
        assert time.monotonic() < until, "the child of the test is still there"
        time.sleep(0.01)


def running(pid: int) -> bool:
    """Whether there is such a process; one that has ended and waits for its parent does not count."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return state.strip() != "" and not state.startswith("Z")


def test_a_bug_without_its_place_is_an_error(tmp_path: Path) -> None:
    done = run(tmp_path, bug(find="x * 3"))
    assert done.returncode == 1
    assert "find must occur once in double.py, occurs 0 times" in done.stdout


def test_a_test_that_fails_anyway_catches_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, BUG.format(name="plus", find="x * 2", replace="x + 2", test="false"))
    assert done.returncode == 1
    assert "the test failed without the bug" in done.stdout


def test_a_bug_that_plants_nothing_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path, bug(replace="x * 2"))
    assert done.returncode == 1
    assert "find and replace are the same" in done.stderr


@pytest.mark.parametrize("path", sorted((ROOT / "tests" / "mutation").glob("*.toml")), ids=lambda path: path.stem)
def test_every_planted_bug_still_has_its_place(path: Path) -> None:
    """Code moves on; a bug whose place is gone would be skipped in silence otherwise."""
    bugs = tomllib.loads(path.read_text(encoding="utf-8"))["bug"]
    assert bugs
    for table in bugs:
        source = (ROOT / table["file"]).read_text(encoding="utf-8")
        assert source.count(table["find"]) == 1, (
            f"{path.name}: {table['name']}: find occurs {source.count(table['find'])} times"
        )


def test_verdicts_are_noted_a_bug_a_line(tmp_path: Path) -> None:
    run(tmp_path, bug() + bug("blind", number=2), "--record")
    noted = json.loads((tmp_path / "tests" / "mutation" / "verdicts.json").read_text())
    assert {name: row["table"] for name, row in noted.items()} == {"sums/plus": "caught", "sums/blind": "missed"}


def test_a_verdict_on_another_file_is_stale(tmp_path: Path) -> None:
    def stale() -> str:
        command = [sys.executable, str(RUN), "--root", str(tmp_path), "--stale", "--list"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    run(tmp_path, bug() + bug("blind", number=2), "--record")
    assert stale() == ""
    source = tmp_path / "double.py"
    source.write_text(source.read_text() + "# twice\n")
    assert "plus" in stale() and "blind" in stale()


def test_the_docs_show_the_noted_verdicts() -> None:
    done = subprocess.run([sys.executable, str(TABLE), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
