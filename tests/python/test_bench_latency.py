"""The latency suite finds what is wrong with a contender, and its numbers are those of the samples."""

from __future__ import annotations

import importlib
import io
import json
import re
import subprocess
import sys
import uuid
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bench_links
import numpy as np
import pytest
from cli_tools import fastmas_command
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from fastmas._core import floors
from fastmas.cli.bench import suite_package


def part(name: str) -> Any:
    return importlib.import_module(f"{suite_package()}.{name}")


suite, report, plot, worker = (part(f"latency.{name}") for name in ("suite", "report", "plot", "worker"))
Histogram = part("latency.histogram").Histogram
TINY = suite.Plan(trip_laps=2, stream_laps=1, paced_laps=1, lap_s=0.0005, paced_s=0.002, blocked_s=0.01, most_s=60.0)


def test_the_suite_needs_nothing_but_a_plain_install() -> None:
    code = (
        "import importlib, sys\n"
        "for name in ('pytest', 'pytest_benchmark', 'matplotlib', 'pandas'): sys.modules[name] = None\n"
        "from fastmas.cli.bench import suite_package\n"
        "for name in ('latency.suite', 'latency.report', 'latency.plot', 'machine'):\n"
        "    part = importlib.import_module(f'{suite_package()}.{name}')\n"
        "print(part.machine()['cpus'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and int(done.stdout) >= 1, done.stderr


def test_the_suite_finds_its_contenders_among_all_benches() -> None:
    def item(function: str, **parameters: str) -> Any:
        return SimpleNamespace(originalname=function, callspec=SimpleNamespace(params=parameters))

    others = [item("bench_construct", kind="by name"), SimpleNamespace(originalname="bench_plain"), SimpleNamespace()]
    mine = [item("bench_process", name=name, kind="cold") for name in ("SpscRing", "Pipe", "Pipe")]
    assert part("bench_process").chosen_of(others + mine) == {"SpscRing", "Pipe"}


# ---- numbers


@given(st.lists(st.integers(0, 2**50), min_size=1, max_size=200), st.floats(0, 1))
def test_quantiles_are_those_of_the_samples(values: list[int], fraction: float) -> None:
    histogram = Histogram()
    histogram.add(values[: len(values) // 2])
    other = Histogram()
    other.add(values[len(values) // 2 :])
    histogram.merge(other)
    true = sorted(values)[max(int(np.ceil(fraction * len(values))) - 1, 0)]
    found = histogram.quantile(fraction)
    assert true <= found <= true + true // 32 + 1
    assert (histogram.count, histogram.max) == (len(values), max(values))
    assert histogram.quantile(1.0) == max(values)


def test_every_bucket_ends_where_the_next_begins() -> None:
    module = part("latency.histogram")
    edges = np.array([1 << shift for shift in range(62)] + [(1 << shift) - 1 for shift in range(1, 62)], np.int64)
    buckets = module.bucket_of(edges)
    for value, bucket in zip(edges.tolist(), buckets.tolist(), strict=True):
        assert module.last_of(bucket - 1) < value <= module.last_of(bucket)
    assert Histogram().quantile(0.5) == 0
    below = Histogram()
    below.add([-5])
    assert (below.count, below.max) == (1, 0)


def outcome_of(**per_round_trip: list[float]) -> Any:
    rows = []
    for name, laps in per_round_trip.items():
        row = {"name": name, "rival": name != "ours", "floor": name.startswith("floor"), "item": "round trip"}
        tail = {"p50_ns": 1000, "p99_ns": 2000, "p999_ns": 2500, "max_ns": 9000}
        quiet = {"quiet": [{"floor_ns": 350, "laps": 9, "p50_ns": 1000, "p999_ns": 2500}]}
        curve = [[0.25, 900], [0.5, 1000], [0.99, 2000]]
        rows.append(
            {"group": "process-round-trip-spin", "ns_per_item": laps[0], **row, **tail, **quiet, "curve": curve}
        )
        rows.append({"group": "process-throughput-spin", "ns_per_item": laps[0] / 10, **row})
    laps = {"medians": per_round_trip, "stream": per_round_trip, "batches": {}}
    return suite.Outcome(
        rows, laps, {"zeroq Queue": "not installed: pip install zeroq", "x": "broke"}, [0, 1], (1, 2), 5
    )


def test_ratios_pair_the_laps() -> None:
    laps = {"ours": [100.0, 500.0, 100.0], "theirs": [200.0, 1000.0, 150.0]}
    assert suite.ratio_to(laps, "ours", "theirs") == 0.5  # though the ratio of the medians is another
    assert suite.ratio_to(laps, "ours", "nobody") is None


def test_laps_in_which_a_process_was_preempted_count_only_where_there_are_no_others() -> None:
    calm, disturbed = [100.0] * 5, [-9000.0] * 20
    assert suite.calm_or_all(disturbed + calm) == calm
    assert suite.calm_or_all(disturbed) == [9000.0] * 20
    assert suite.ratio_to({"a": [*calm, *disturbed], "b": [50.0] * 25}, "a", "b") == 2.0
    assert suite.ratio_to({"a": disturbed, "b": [-4500.0] * 20}, "a", "b") == 2.0


def test_quiet_laps_of_cores_that_were_moved_apart_are_not_mixed() -> None:
    one = suite.Measured(None, None)
    for floor_ns, trip_ns in ((100, 200), (480, 900), (110, 220), (90, 210), (520, 1000)):
        trips = Histogram()
        trips.add([trip_ns] * 10)
        one.note_quiet(floor_ns, trips)
    near, far = (group.row() for group in one.quiet)
    assert (near["floor_ns"], near["laps"], far["floor_ns"], far["laps"]) == (100, 3, 480, 2)
    assert near["p999_ns"] < 240 and 900 <= far["p50_ns"] < far["p999_ns"]


def test_bars_say_what_was_met_and_what_was_missed() -> None:
    found = report.bars(outcome_of(**{"ours": [700.0], "subetha-ipc SpscRing": [1000.0], "floor: cache line": [350.0]}))
    assert [(bar.value, bar.met) for bar in found] == [
        (pytest.approx(0.7), False),
        (pytest.approx(2.0), True),
        (2.5, True),
        (pytest.approx(1000 / 700), False),
    ]
    assert [bar.sure for bar in found] == [False, False, True, False]  # of one lap
    calm = {"ours": [700.0] * 5, "subetha-ipc SpscRing": [1000.0] * 5}
    assert report.bars(outcome_of(**calm))[0].sure
    (alone, *_) = report.bars(outcome_of(ours=[700.0]))
    assert alone.value is None and alone.met is None


def test_the_report_tells_numbers_gaps_and_cures() -> None:
    console = Console(width=150, record=True, file=io.StringIO())
    measured = {"ours": [700.0] * 5, "subetha-ipc SpscRing": [1000.0] * 5, "floor: cache line": [-350.0] * 5}
    report.show(outcome_of(**measured), console)
    text = console.export_text()
    assert re.search(r"ours +700 ns +2 µs +2.5 µs +2.00 +1.00 +14.29 M/s +– +9 µs", text)
    assert "Not installed: zeroq. Compare with them: pip install zeroq" in text
    assert "Left out: x: broke" in text
    assert "missed  ours: round trip p50 over subetha-ipc: 0.7 (≤ 0.65)" in text
    assert "unsure  ours: round trip p50 over the cache line: 2 (≤ 5)" in text
    assert "load average 1 before, 2 after" in text


def test_the_picture_is_xml_with_a_line_for_each_row() -> None:
    rows = outcome_of(**{"ours": [700.0], "a < b": [900.0], "floor: cache line": [350.0]}).rows
    root = ElementTree.fromstring(plot.draw(rows, "a machine & its load"))
    space = "{http://www.w3.org/2000/svg}"
    assert len(root.findall(f"{space}polyline")) == 3
    texts = [element.text for element in root.findall(f"{space}text")]
    assert "a < b: 1 µs" in texts and "a machine & its load" in texts
    ElementTree.fromstring(plot.draw([], ""))


# ---- processes


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("lose", r"Broken: message \d+ came as .* and is .*"),
        ("swap", r"Broken: message \d+ came as .* and is .*"),
        ("tear", r"Broken: message \d+ came as .* and is .*"),
        ("die", "its process ended with status 3"),
    ],
)
def test_a_contender_that_errs_is_left_out_and_the_others_are_not(fault: str, text: str) -> None:
    good = bench_links.pipe("good", part("latency.rivals").open_pipe)
    found = suite.Suite(TINY, [bench_links.faulty(fault), good]).run()
    assert re.fullmatch(text, found.missing.pop(fault)), found.missing
    assert found.missing == {}
    assert {row["name"] for row in found.rows} == {"good"}
    assert {row["group"] for row in found.rows} == {
        f"process-{kind}-block" for kind in ("round-trip", "cold", "throughput", "open-loop")
    }


def test_a_contender_that_cannot_be_had_says_why() -> None:
    absent = bench_links.pipe("absent", bench_links.refuse, needs="no_such_module", install="no-such-package")
    found = suite.Suite(TINY, [absent, bench_links.pipe("broken", bench_links.refuse)]).run()
    assert found.missing == {
        "absent": "not installed: pip install no-such-package",
        "broken": "RuntimeError: cannot be opened here",
    }
    assert found.rows == []


def test_ours_and_the_floors_run_and_leave_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = [one for one in suite.contenders() if not one.rival or one.floor]
    token = uuid.uuid4().hex[:16]  # others use this machine too
    monkeypatch.setattr(suite.secrets, "token_hex", lambda count: token)
    run = suite.Suite(TINY, ours)
    found = run.run()
    assert found.missing == {}
    assert {row["name"] for row in found.rows} == {one.name for one in ours}
    batches = {row["name"] for row in found.rows if row["group"] == "process-throughput-batches"}
    assert batches == {one.name for one in ours if not one.floor}
    assert not run.folder.exists()
    assert [path for path in Path("/dev/shm").glob("*") if token in path.name] == []
    blocked = {row["name"]: row["blocked_cpu"] for row in found.rows if "blocked_cpu" in row}
    assert set(blocked) == {one.name for one in ours if one.waits == "block"}


def test_the_command_writes_what_it_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "SHORT", TINY)
    outcome = fastmas_command("bench", "--only", "multiprocessing.pipe", "--out", tmp_path / "new", "--json", "--quiet")
    assert outcome.status == 0, outcome.err
    assert outcome.err == ""
    document = json.loads((tmp_path / "new" / "latency.json").read_text())
    assert outcome.last == document
    names = {row["name"] for row in document["rows"]}
    assert "multiprocessing.Pipe" in names and names - {"multiprocessing.Pipe"} == {
        one.name for one in suite.contenders() if one.floor
    }
    assert "node" not in document["machine"]
    ElementTree.fromstring((tmp_path / "new" / "latency.svg").read_text())


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--only", "nobody"), r"--only must name a contender, got 'nobody'; there are .*multiprocessing\.Pipe, .*"),
        (("--only", ","), r"argument --only: names are separated by commas, got ','; e\.g\. subetha,pipe; see .*"),
        (("--out", __file__), r"--out must be a directory that can be written, got .*: File exists; choose another"),
    ],
)
def test_options_that_make_no_sense(arguments: tuple[str, ...], text: str) -> None:
    outcome = fastmas_command("bench", *arguments)
    assert outcome.status == 2
    assert re.fullmatch(rf"fastmas bench: {text}\n", outcome.err), outcome.err


def test_floors_refuse_what_they_cannot_use() -> None:
    for line in (bytearray(4), np.zeros(16, np.uint8)[1:]):
        with pytest.raises(ValueError, match="line must be 8 writable bytes, aligned to 8"):
            floors.ask(line, np.zeros(1, np.int64))
    with pytest.raises(ValueError, match="out_ns must have items of 8 bytes"):
        floors.ask(np.zeros(1, np.int64), np.zeros(1, np.int32))
    for call in (
        lambda: floors.ask(bytes(8), np.zeros(0, np.int64)),
        lambda: floors.answer(bytes(8), 0, 0),
    ):
        with pytest.raises(BufferError):
            call()
