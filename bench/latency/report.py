"""What a run of the suite showed: tables for a terminal, and the bars that fastmas holds itself to."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .suite import CACHE_LINE, ENOUGH, Outcome, Row, calm_laps, ratio_to

SUBETHA, PIPE, EVENTFD = "subetha-ipc SpscRing", "multiprocessing.Pipe", "floor: eventfd"
WIDE = 122  # columns of a terminal that shows all of a table
TITLES = {
    "spin": "Spinning: both processes keep their cores busy while they wait",
    "block": "Blocking: whoever waits sleeps in the kernel, and its core is free",
}


@dataclass(frozen=True)
class Bar:
    """A bound on a ratio of this run; `value` is None when one side of it is missing."""

    text: str
    value: float | None
    bound: float
    at_least: bool = False
    sure: bool = True  # of laps enough that nothing disturbed

    @property
    def met(self) -> bool | None:
        if self.value is None:
            return None
        return self.value >= self.bound if self.at_least else self.value <= self.bound


def compare(text: str, laps: dict[str, list[float]], name: str, base: str, bound: float, at_least: bool = False) -> Bar:
    """A ratio of one contender to another; a bar to be reached is for the inverse, a rate."""
    ratio = ratio_to(laps, name, base)
    value = 1 / ratio if ratio and at_least else ratio
    return Bar(f"{name}: {text}", value, bound, at_least, calm_laps(laps, name, base) >= ENOUGH)


def ours(outcome: Outcome, group: str) -> list[Row]:
    rows = [row for row in outcome.rows if row["group"] == f"process-{group}" and not row["rival"]]
    return sorted(rows, key=lambda row: float(row["ns_per_item"]))


def bars(outcome: Outcome) -> list[Bar]:
    """Each for our fastest row of the class, which its text names."""
    found = []
    laps, stream = outcome.laps["medians"], outcome.laps["stream"]
    if spinning := ours(outcome, "round-trip-spin"):
        row, name = spinning[0], spinning[0]["name"]
        found += [
            compare("round trip p50 over subetha-ipc", laps, name, SUBETHA, 0.65),
            compare("round trip p50 over the cache line", laps, name, CACHE_LINE, 5.0),
        ]
        for quiet in row["quiet"]:  # each distance of the cores by itself; together they have two medians
            text = f"{name}: p99.9 over p50, {quiet['laps']} quiet laps with the line at {quiet['floor_ns']} ns"
            found.append(Bar(text, quiet["p999_ns"] / quiet["p50_ns"], 3.0, sure=quiet["laps"] >= ENOUGH))
    if streams := ours(outcome, "throughput-spin"):
        name = streams[0]["name"]
        found.append(compare("throughput over subetha-ipc", stream, name, SUBETHA, 2.5, True))
    if batches := ours(outcome, "throughput-batches"):
        name, batch = batches[0]["name"], outcome.laps["batches"]
        found.append(compare("throughput in batches over subetha-ipc", batch, name, SUBETHA, 2.5, True))
    blocking = ours(outcome, "round-trip-block")
    sleeping = [row for row in blocking if "adaptive" not in row["name"]]
    if sleeping:
        name = sleeping[0]["name"]
        cpu = max(row.get("blocked_cpu", 0.0) for row in blocking)
        found += [
            compare("round trip over eventfd", laps, name, EVENTFD, 1.1),
            Bar("processor time while blocked, share of a core", cpu, 0.01),
        ]
    if blocking:
        name = blocking[0]["name"]
        found.append(compare("round trip over Pipe", laps, name, PIPE, 0.5))
    return found


def duration(ns: float | None) -> str:
    if ns is None:
        return "–"
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= size:
            return f"{ns / size:.3g} {unit}"
    return f"{ns:.0f} ns"


def rate(row: Row | None) -> str:
    return f"{1e3 / row['ns_per_item']:.2f} M/s" if row and row["ns_per_item"] else "–"


def times(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio:.2f}"


def table_of(outcome: Outcome, waits: str, width: int) -> Table | None:
    trips = [row for row in outcome.rows if row["group"] == f"process-round-trip-{waits}"]
    if not trips:
        return None
    by_group: dict[str, dict[str, Row]] = {}
    for row in outcome.rows:
        by_group.setdefault(row["group"], {})[row["name"]] = row
    base, mine = CACHE_LINE if waits == "spin" else EVENTFD, ours(outcome, f"round-trip-{waits}")
    table = Table(title=TITLES[waits], title_justify="left", box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    names = ("p50", "p99", "p99.9", "× floor", "× ours", "stream", "batches", "max", "open loop p99")
    shown = names if width >= WIDE else names[:6]
    for name in shown:
        table.add_column(name, justify="right", no_wrap=True)
    for row in sorted(trips, key=lambda row: float(row["ns_per_item"])):
        name, laps = row["name"], outcome.laps["medians"]
        loop = by_group.get(f"process-open-loop-{waits}", {}).get(name)
        cells = [
            duration(row["ns_per_item"]),
            duration(row["p99_ns"]),
            duration(row["p999_ns"]),
            times(ratio_to(laps, name, base)),
            times(ratio_to(laps, name, mine[0]["name"]) if mine else None),
            rate(by_group.get(f"process-throughput-{waits}", {}).get(name)),
            rate(by_group.get("process-throughput-batches", {}).get(name)),
            duration(row["max_ns"]),
            duration(loop["p99_ns"] if loop else None),
        ]
        style = "dim" if row["floor"] else "" if row["rival"] else "bold"
        table.add_row(name, *cells[: len(shown)], style=style)
    return table


def show(outcome: Outcome, console: Console) -> None:
    """Tables, what is missing and how to get it, the bars, and what the machine was doing."""
    console.print("Two processes, messages of 64 bytes, every one checked for order and content.\n")
    for waits in TITLES:
        if (table := table_of(outcome, waits, console.width)) is not None:
            console.print(table)
            console.print()
    wanted = sorted({text.rpartition(" ")[2] for text in outcome.missing.values() if "pip install" in text})
    if wanted:
        console.print(Text(f"Not installed: {', '.join(wanted)}. Compare with them: pip install {' '.join(wanted)}"))
    for name, reason in outcome.missing.items():
        if "pip install" not in reason:
            console.print(Text(f"Left out: {name}: {reason}"))
    for bar in bars(outcome):
        if bar.value is not None:
            sign, mark = ("≥" if bar.at_least else "≤"), ("met" if bar.met else "missed") if bar.sure else "unsure"
            console.print(Text(f"{mark:>6}  {bar.text}: {bar.value:.3g} ({sign} {bar.bound:g})"))
    first, last = outcome.load
    where = "not pinned" if outcome.cpus is None else f"pinned to processors {outcome.cpus[0]} and {outcome.cpus[1]}"
    console.print(
        Text(
            f"\n{outcome.seconds:.0f} s, {where}; load average {first:g} before, {last:g} after. All take turns in "
            "laps; medians and ratios are of laps in which the kernel preempted nobody, where there are five; "
            "without five a bar is unsure. "
            "A busy machine shows in p99.9 and max, which are of all laps."
        )
    )


def as_document(outcome: Outcome, machine: dict[str, Any]) -> dict[str, Any]:
    """What `fastmas bench --json` and bench/run_all keep."""
    kept = [{**asdict(bar), "met": bar.met} for bar in bars(outcome)]
    return {"machine": machine, "rows": outcome.rows, "bars": kept, "missing": outcome.missing, "load": outcome.load}
