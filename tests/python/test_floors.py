"""Who may import whom: downwards only, siblings never unless listed. Read from the source, so nothing has to be built.

The table is the one of docs/architecture.md. A new module or folder needs a floor here before it can land.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "python" / "fastmas"

# The longest matching prefix wins: "market.feed" is on floor 5, the rest of "market" on floor 4.
FLOORS = {
    "_core": 2,
    "errors": 3,
    "records": 3,
    "clock": 3,
    "messages": 3,
    "ring": 4,
    "agreement": 4,
    "consensus": 4,
    "certificate": 4,
    "signatures": 4,
    "links": 4,
    "market": 4,
    "data": 4,
    "risk": 4,
    "ledger": 4,
    "contract": 4,
    "audit": 4,
    "agent": 5,
    "parameters": 5,
    "market.feed": 5,
    "market.venue": 5,
    "replica": 5,
    "world": 6,
    "testing": 6,
    "report": 6,
    "smart_contract": 6,
    "strategies": 7,
    "advice": 7,
    "learning": 7,
    "interop": 7,
    "cli": 7,
    "__main__": 7,
}

# importer -> siblings on its own floor that it may import
SIBLINGS = {
    "records": {"errors"},
    "clock": {"errors"},
    "messages": {"errors", "records"},
    "consensus": {"agreement"},
    "certificate": {"signatures"},
    "contract": {"ledger"},
    "market": {"data"},
    "agent": {"parameters"},
    "replica": {"agent"},
    "world": {"report"},
    "cli": {"strategies"},
    "__main__": {"cli"},
}

CPP_BELOW: dict[str, set[str]] = {
    "base": set(),
    "ringbuffer": {"base"},
    "consensus": {"base"},
    "market": {"base"},
    "audit": {"base"},
    "replica": {"base", "ringbuffer", "consensus"},
}

# Inside cpp/consensus: what a node is made of knows neither another protocol nor the simulator that tries to break it.
PROTOCOLS = {"raft", "paxos", "bft"}

INTRINSICS = {"immintrin.h", "x86intrin.h", "nmmintrin.h", "cpuid.h", "arm_acle.h", "arm_neon.h"}
# A consensus node is a state machine: whatever owns time, threads, sockets or files is its driver's.
SANS_IO = {
    "atomic", "chrono", "condition_variable", "ctime", "filesystem", "fstream", "future", "iostream", "mutex",
    "random", "shared_mutex", "stop_token", "thread",
}  # fmt: skip


def unit_of(module: str) -> str | None:
    """The row of FLOORS that a module (dotted, without "fastmas.") belongs to."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        if (name := ".".join(parts[:length])) in FLOORS:
            return name
    return None


def imports_of(source: str, module: str) -> Iterator[tuple[int, str]]:
    """Yield (line, dotted fastmas module without the package's name); "" is the package itself.

    `module` ends in ".__init__" for a package, so that relative imports resolve alike for both.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                head, _, rest = alias.name.partition(".")
                if head == "fastmas":
                    yield node.lineno, rest
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                parents = ["fastmas", *module.split(".")][: -node.level]
                base = ".".join([*parents, node.module or ""]).rstrip(".")
            else:
                base = node.module or ""
            head, _, rest = base.partition(".")
            if head != "fastmas":
                continue
            for alias in node.names:
                # `from fastmas.market import venue` names a module, `from fastmas.market.venue import Fill` does not
                deeper = f"{rest}.{alias.name}".strip(".")
                yield node.lineno, deeper if unit_of(deeper) != unit_of(rest) else rest


def python_violations(module: str, source: str) -> list[str]:
    """What a module's imports break, one sentence each."""
    name = module.removesuffix(".__init__")
    unit = unit_of(name)
    if unit is None:
        return [f"fastmas.{name} has no floor: give it one in tests/python/test_floors.py"]
    found = []
    for line, target in imports_of(source, module):
        where = f"fastmas.{name}:{line}"
        if target == "":
            if FLOORS[unit] < 7:
                found.append(f"{where} imports the package itself, which imports everything")
            continue
        other = unit_of(target)
        if other is None:
            if FLOORS[unit] < 7:
                found.append(f"{where} imports fastmas.{target}, which has no floor")
        elif other == unit:
            continue
        elif FLOORS[other] > FLOORS[unit]:
            found.append(
                f"{where} (floor {FLOORS[unit]}) imports upwards: fastmas.{target} is on floor {FLOORS[other]}"
            )
        elif FLOORS[other] == FLOORS[unit] and other not in SIBLINGS.get(unit, set()):
            found.append(f"{where} imports its sibling fastmas.{target} (floor {FLOORS[unit]})")
        elif FLOORS[unit] == 7 and any(part.startswith("_") for part in target.split(".")):
            found.append(f"{where} uses fastmas.{target}: strategies and the command line see public names only")
    return found


def cpp_violations(folder: str, name: str, source: str) -> list[str]:
    """What the includes of one file in cpp/<folder> break."""
    if folder not in CPP_BELOW:
        return [f"cpp/{folder} has no floor: give it one in tests/python/test_floors.py"]
    found = []
    for line, text in enumerate(source.splitlines(), 1):
        match = re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', text)
        if not match:
            continue
        where = f"cpp/{folder}/{name}:{line}"
        quoted, target = match[1] == '"', match[2]
        if "pybind11" in target or target in ("Python.h", "numpy/arrayobject.h"):
            found.append(f"{where} includes {target}: Python stays in bindings/")
        elif quoted:
            head = target.split("/")[0] if "/" in target else folder
            if head != folder and head not in CPP_BELOW[folder]:
                found.append(f'{where} includes "{target}": cpp/{folder} may use {sorted(CPP_BELOW[folder])} only')
        elif folder == "base" and not re.fullmatch(r"[a-z_0-9]+", target) and target not in INTRINSICS:
            found.append(f"{where} includes <{target}>: cpp/base uses the standard library only")
        elif folder == "consensus" and (target in SANS_IO or target.startswith(("sys/", "unistd", "pthread"))):
            found.append(f"{where} includes <{target}>: consensus has no threads, clocks, sockets or files")
    return found


def consensus_violations(part: str, source: str) -> list[str]:
    """What a file of cpp/consensus includes though its part ("raft", "simulation", "" for the common ones) may not."""
    allowed = {"simulation": {"simulation", *PROTOCOLS}}.get(part, {part})
    targets = re.findall(r'^\s*#\s*include\s+"consensus/([a-z_]+)/', source, re.MULTILINE)
    return [
        f"cpp/consensus/{part} includes consensus/{target}/: a node knows neither another protocol nor the simulator"
        for target in targets
        if target not in allowed
    ]


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


PYTHON_FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
CPP_FILES = sorted(path for path in (ROOT / "cpp").rglob("*") if path.suffix in (".hpp", ".cpp"))


@pytest.mark.parametrize("path", PYTHON_FILES, ids=module_name)
def test_python_imports_go_downwards(path: Path) -> None:
    found = python_violations(module_name(path), path.read_text(encoding="utf-8"))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("path", CPP_FILES, ids=lambda path: path.relative_to(ROOT / "cpp").as_posix())
def test_cpp_includes_go_downwards(path: Path) -> None:
    folder = path.relative_to(ROOT / "cpp").parts[0]
    found = cpp_violations(folder, path.name, path.read_text(encoding="utf-8"))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("path", sorted((ROOT / "cpp" / "consensus").rglob("*.?pp")), ids=lambda path: path.stem)
def test_nodes_do_not_know_the_simulator(path: Path) -> None:
    parts = path.relative_to(ROOT / "cpp" / "consensus").parts
    found = consensus_violations(parts[0] if len(parts) > 1 else "", path.read_text(encoding="utf-8"))
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("part", "include"),
    [("raft", "simulation/network.hpp"), ("raft", "paxos/ballot.hpp"), ("", "raft/types.hpp")],
)
def test_the_walk_sees_what_a_node_may_not_include(part: str, include: str) -> None:
    assert consensus_violations(part, f'#include "consensus/{include}"')


def test_bindings_include_no_tests() -> None:
    for path in sorted((ROOT / "bindings").glob("*")):
        assert "tests/" not in path.read_text(encoding="utf-8"), path.name


@pytest.mark.parametrize(
    ("module", "source", "text"),
    [
        ("ring", "from fastmas.world import Simulation", "imports upwards: fastmas.world is on floor 6"),
        ("ring", "import fastmas.agent", "imports upwards: fastmas.agent is on floor 5"),
        ("ledger", "from fastmas.audit import read", "imports its sibling fastmas.audit"),
        ("ledger", "def f():\n    from fastmas import audit", "imports its sibling fastmas.audit"),
        ("market.bars", "from fastmas.market import venue", "fastmas.market.venue is on floor 5"),
        ("market.bars", "from .venue import Venue", "fastmas.market.venue is on floor 5"),
        ("market.__init__", "from . import feed", "fastmas.market.feed is on floor 5"),
        ("market.venue", "from .feed import BarFeed", "imports its sibling fastmas.market.feed"),
        ("replica.state", "from ..world import Simulation", "fastmas.world is on floor 6"),
        ("risk", "import fastmas", "imports the package itself"),
        ("strategies.momentum", "from fastmas._core import kernel", "public names only"),
        ("helpers", "import numpy", "has no floor"),
    ],
)
def test_the_walk_sees_what_it_must(module: str, source: str, text: str) -> None:
    assert any(text in found for found in python_violations(module, source))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("market.venue", "from fastmas.market.bars import Bars\nfrom fastmas.messages import Bar"),
        ("contract", "from fastmas.ledger import Ledger"),
        ("replica.state", "from .commands import decode\nfrom fastmas.ledger import Ledger"),
        ("strategies.momentum", "import fastmas as fm\nfrom fastmas import Intent"),
        ("errors", "import fastmaster"),
    ],
)
def test_the_walk_lets_good_imports_pass(module: str, source: str) -> None:
    assert python_violations(module, source) == []


@pytest.mark.parametrize(
    ("folder", "line", "text"),
    [
        ("consensus", '#include "market/event_queue.hpp"', "may use ['base'] only"),
        ("consensus", "#include <chrono>", "no threads, clocks"),
        ("ringbuffer", "#include <pybind11/pybind11.h>", "Python stays in bindings/"),
        ("base", "#include <sys/mman.h>", "standard library only"),
        ("utils", "#include <vector>", "has no floor"),
    ],
)
def test_the_walk_sees_bad_includes(folder: str, line: str, text: str) -> None:
    assert any(text in found for found in cpp_violations(folder, "x.hpp", line))


def test_every_folder_of_the_core_is_walked() -> None:
    folders = {path.relative_to(ROOT / "cpp").parts[0] for path in CPP_FILES}
    assert "base" in folders and len(PYTHON_FILES) > 3
    assert folders <= set(CPP_BELOW)
