"""The code in README.md and docs/ runs, and what it prints is what stands there.

Conventions, by the info string of a fenced block:

* ``python``: runs; the blocks of a file share their names, top to bottom. ``python no-run`` is shown only.
* ``text output``: directly after a python block, it is what that block prints (``...`` stands for anything).
* ``console run``: each ``$ command`` is run, and the lines after it are what it prints; ``console`` is shown only.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
# doctest's "..." at the start of a line would otherwise read as a continuation, so the checker is used directly.
CHECKER = doctest.OutputChecker()


@dataclass(frozen=True)
class Block:
    info: str
    text: str
    line: int


def blocks_of(text: str) -> list[Block]:
    """The fenced blocks of a markdown text; an unclosed fence is an error of the document."""
    blocks: list[Block] = []
    lines = text.splitlines()
    start: int | None = None
    for number, line in enumerate(lines):
        if not line.startswith("```"):
            continue
        if start is None:
            start = number
        else:
            info = lines[start].removeprefix("```").strip()
            blocks.append(Block(info, "\n".join(lines[start + 1 : number]) + "\n", start + 1))
            start = None
    assert start is None, f"the fence of line {start} is not closed"
    return blocks


def matches(expected: str, got: str) -> bool:
    return CHECKER.check_output(expected, got, FLAGS)


def run_python(name: str, blocks: list[Block]) -> None:
    """Run the python blocks of one document in order, comparing output where it is given."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for position, block in enumerate(blocks):
        if block.info != "python":
            continue
        printed = io.StringIO()
        # Line numbers of a traceback are those of the document.
        code = compile("\n" * block.line + block.text, name, "exec")
        with contextlib.redirect_stdout(printed):
            exec(code, names)
        follower = blocks[position + 1] if position + 1 < len(blocks) else None
        if follower is not None and follower.info == "text output":
            assert matches(follower.text, printed.getvalue()), (
                f"{name}:{block.line} prints\n{printed.getvalue()}\ninstead of\n{follower.text}"
            )


def commands_of(block: Block) -> list[tuple[str, str]]:
    """(command, what it prints) for each line of a console block that starts with "$ "."""
    found: list[tuple[str, str]] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            found.append((re.sub(r"\s{2,}#.*$", "", line[2:]), ""))
        else:
            assert found, f"line {block.line}: a console block starts with a command"
            found[-1] = (found[-1][0], f"{found[-1][1]}{line}\n")
    return found


def run_console(name: str, block: Block, folder: Path) -> None:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    environment |= {"NO_COLOR": "1", "COLUMNS": "120", "TERM": "dumb"}
    for command, expected in commands_of(block):
        done = subprocess.run(
            command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, f"{name}:{block.line}: $ {command}\n{done.stdout}{done.stderr}"
        if expected:
            assert matches(expected, done.stdout), f"{name}:{block.line}: $ {command} prints\n{done.stdout}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_documents_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = blocks_of(path.read_text(encoding="utf-8"))
    monkeypatch.chdir(tmp_path)
    name = str(path.relative_to(ROOT))
    run_python(name, blocks)
    for block in blocks:
        if block.info == "console run":
            run_console(name, block, tmp_path)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_to_files_lead_somewhere(path: Path) -> None:
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if "://" not in target and not target.startswith("mailto:"):
            assert (path.parent / target).exists(), f"{path.name} links to {target}, which does not exist"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_blocks_are_of_a_known_kind(path: Path) -> None:
    """A typing error in an info string would take a block out of these tests in silence."""
    known = {
        "python",
        "python no-run",
        "text",
        "text output",
        "console",
        "console run",
        "toml",
        "cpp",
        "json",
        "sh",
        "",
    }
    infos = {block.info for block in blocks_of(path.read_text(encoding="utf-8"))}
    assert infos <= known, f"{path.name}: {sorted(infos - known)}"


def test_a_wrong_output_is_seen() -> None:
    good = blocks_of("```python\nprint(1 + 1)\n```\n```text output\n2\n```\n")
    run_python("x.md", good)
    with pytest.raises(AssertionError, match="instead of"):
        run_python("x.md", blocks_of("```python\nprint(1 + 1)\n```\n```text output\n3\n```\n"))
    with pytest.raises(NameError):
        run_python("x.md", blocks_of("```python\nundefined\n```\n"))


def test_a_wrong_console_is_seen(tmp_path: Path) -> None:
    run_console("x.md", Block("console run", "$ echo hello    # greets\nhello\n", 1), tmp_path)
    with pytest.raises(AssertionError, match="prints"):
        run_console("x.md", Block("console run", "$ echo hello\ngood-bye\n", 1), tmp_path)
    with pytest.raises(AssertionError, match=r"\$ false"):
        run_console("x.md", Block("console run", "$ false\n", 1), tmp_path)
