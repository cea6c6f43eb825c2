"""`pytest --pyargs fastmas.bench --benchmark-only` finds the benches without a checkout, and results name no host."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]

BENCH = '''"""How long does adding take?"""
import pytest


@pytest.mark.benchmark(group="sums")
def bench_builtin_sum(benchmark):
    benchmark.extra_info.update(items=100, item="number")
    assert benchmark(sum, range(100)) == 4950


@pytest.mark.benchmark(group="sums")
def bench_loop(benchmark):
    benchmark.extra_info.update(items=100, item="number", rival=True)

    def loop():
        total = 0
        for number in range(100):
            total += number
        return total

    assert benchmark(loop) == 4950
'''


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A package "parts" with a sub-package "bench", as a wheel would install it."""
    folder = tmp_path / "site" / "parts" / "bench"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    for name in ("__init__.py", "conftest.py", "machine.py"):
        shutil.copy(ROOT / "bench" / name, folder / name)
    (folder / "bench_sums.py").write_text(BENCH)
    (tmp_path / "elsewhere").mkdir()
    return tmp_path


def run(installed: Path, *options: str) -> subprocess.CompletedProcess[str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}  # of the pytest above
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--pyargs", "parts.bench", *options],
        cwd=installed / "elsewhere",
        env={**own, "PYTHONPATH": str(installed / "site")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_benches_are_collected_by_package_name(installed: Path) -> None:
    done = run(installed, "--benchmark-only", "--collect-only", "-q")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "bench_sums.py::bench_builtin_sum" in done.stdout and "bench_sums.py::bench_loop" in done.stdout


def test_a_result_says_the_machine_but_not_its_name(installed: Path) -> None:
    result = installed / "result.json"
    done = run(
        installed, "--benchmark-only", "-q", f"--benchmark-json={result}", "--benchmark-max-time=0.01", "-k", "builtin"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(result.read_text())
    machine = document["machine_info"]
    assert "node" not in machine and machine["cpu_model"] and machine["cpus"] >= 1
    assert set(machine["versions"]) == {"fastmas", "numpy", "pytest-benchmark"}
    assert platform.node() not in result.read_text() or len(platform.node()) < 3
    (entry,) = document["benchmarks"]
    expected = entry["stats"]["median"] * 1e9 / 100
    assert entry["extra_info"]["ns_per_item"] == pytest.approx(expected, abs=0.06)


@pytest.fixture(scope="module")
def run_all() -> ModuleType:
    loader = SourceFileLoader("run_all", str(ROOT / "bench" / "run_all"))
    spec = importlib.util.spec_from_loader("run_all", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    write_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = write_bytecode
    return module


def test_ratios_are_to_our_fastest_row(run_all: ModuleType) -> None:
    rows = [
        {"group": "ring", "name": "batch", "item": "record", "rival": False, "ns_per_item": 2.0},
        {"group": "ring", "name": "single", "item": "record", "rival": False, "ns_per_item": 20.0},
        {"group": "ring", "name": "queue", "item": "record", "rival": True, "ns_per_item": 100.0},
        {"group": "other", "name": "faster rival", "item": "call", "rival": True, "ns_per_item": 1.0},
        {"group": "other", "name": "ours", "item": "call", "rival": False, "ns_per_item": 4.0},
    ]
    run_all.add_ratios(rows)
    assert [row["ratio"] for row in rows] == [1.0, 10.0, 50.0, 0.25, 1.0]
    text = run_all.table(rows)
    assert "| queue *(rival)* | 100.0 / record | – | 10,000,000 | 50.0 |" in text
    assert text.index("faster rival") < text.index("| ours")
