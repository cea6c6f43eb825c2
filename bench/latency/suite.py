"""Every contender in turn, again and again, so that what the machine does meanwhile falls on all of them alike."""

from __future__ import annotations

import os
import secrets
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .histogram import Histogram
from .link import BURST, Contender, Place
from .ours import FLOORS, OURS
from .pair import Failed, Pair, two_cores, why_missing
from .rivals import RIVALS

Row = dict[str, Any]

BATCHES = 2 * BURST  # messages of a stream of batches

CACHE_LINE = "floor: cache line"
COLD_TRIPS = 64
ENOUGH = 5  # laps, for a median
QUIET = 3.0  # a lap is quiet when the floor's p99.9 is at most this many times its p50
APART = 1.5  # a floor that many times another's: the hypervisor has moved a processor
PACE_NS = {"spin": 20_000, "block": 200_000}


@dataclass(frozen=True)
class Plan:
    """How long to measure. A lap is one turn of every contender, and short: a hypervisor that moves a processor to
    another core changes what a cache line takes fivefold, and then all of them should be there."""

    trip_laps: int
    stream_laps: int
    paced_laps: int
    lap_s: float
    paced_s: float
    blocked_s: float
    most_s: float  # on a busy machine laps are left out, so that it ends


SHORT = Plan(trip_laps=40, stream_laps=15, paced_laps=2, lap_s=0.004, paced_s=0.05, blocked_s=0.2, most_s=45.0)
FULL = Plan(trip_laps=150, stream_laps=40, paced_laps=6, lap_s=0.006, paced_s=0.1, blocked_s=0.5, most_s=600.0)


@dataclass
class Quiet:
    """Quiet laps in which the two cores stood about as far apart; those of other distances are another population."""

    floor_ns: int  # the cache line's p50 in the first of them
    laps: int = 0
    trips: Histogram = field(default_factory=Histogram)

    def row(self) -> Row:
        tail = {"p50_ns": self.trips.quantile(0.5), "p999_ns": self.trips.quantile(0.999)}
        return {"floor_ns": self.floor_ns, "laps": self.laps, **tail}


@dataclass
class Measured:
    """What one contender's pair has shown so far; the lists have one entry a lap, negative where it was disturbed."""

    contender: Contender
    pair: Pair
    cold: list[int] = field(default_factory=list)
    trips: Histogram = field(default_factory=Histogram)
    quiet: list[Quiet] = field(default_factory=list)
    paced: Histogram = field(default_factory=Histogram)
    medians: list[float] = field(default_factory=list)
    stream: list[float] = field(default_factory=list)
    batches: list[float] = field(default_factory=list)
    blocked: list[float] = field(default_factory=list)
    trips_a_lap: int = 0

    def note_quiet(self, floor_ns: int, trips: Histogram) -> None:
        near = [group for group in self.quiet if floor_ns / APART < group.floor_ns < floor_ns * APART]
        group = min(near, key=lambda group: abs(group.floor_ns - floor_ns), default=None)
        if group is None:
            self.quiet.append(group := Quiet(floor_ns))
        group.laps += 1
        group.trips.merge(trips)


@dataclass
class Outcome:
    """`rows` as in bench/results, the value of each lap by kind and name, and why others are not among them."""

    rows: list[Row]
    laps: dict[str, dict[str, list[float]]]
    missing: dict[str, str]
    cpus: list[int] | None
    load: tuple[float, float]
    seconds: float


def contenders() -> list[Contender]:
    return [*FLOORS, *OURS, *RIVALS]


def calibrate(one: Measured, plan: Plan) -> None:
    """The cold trips, which are kept, then enough to warm up and to know how many fit into a lap."""
    one.cold = list(one.pair.run("trips", COLD_TRIPS)[0])
    guess = max(statistics.median(one.cold), 50)
    warm = one.pair.run("trips", int(min(max(0.05e9 / guess, 50), 5_000)))[0]
    one.trips_a_lap = int(min(max(plan.lap_s * 1e9 / max(statistics.median(warm), 50), 50), 50_000))
    if not one.contender.floor:
        one.pair.run("stream", BURST)
        if one.pair.batches:
            one.pair.run("batches", BURST)


def note(one: Measured, laps: list[float], value: float) -> None:
    laps.append(value if one.pair.calm else -value)


def lap_of_trips(one: Measured) -> Histogram:
    """The histogram of this lap's trips, of which the first tenth warms up."""
    took = one.pair.run("trips", one.trips_a_lap)[0]
    trips = Histogram()
    trips.add(took[len(took) // 10 :])
    one.trips.merge(trips)
    note(one, one.medians, float(trips.quantile(0.5)))
    return trips


def lap_of_streams(one: Measured) -> None:
    if one.contender.floor:
        return
    note(one, one.stream, one.pair.run("stream", BURST)[0] / BURST)
    if one.pair.batches:
        note(one, one.batches, one.pair.run("batches", BATCHES)[0] / BATCHES)


def lap_of_pace(one: Measured, plan: Plan) -> None:
    if one.contender.floor:
        return
    pace = PACE_NS[one.contender.waits]
    start = time.perf_counter_ns() + 5_000_000  # both sides have read their task by then
    count = max(int(plan.paced_s * 1e9 / pace), 50)
    one.paced.add(one.pair.run("paced", count, pace, start, one.contender.waits == "block")[1])


def watch_blocked(one: Measured, plan: Plan) -> None:
    """The only sleep of the suite: how much of it the other side spends on a processor is what is measured."""
    one.pair.start("wake", 1)
    time.sleep(plan.blocked_s)
    one.pair.start("wake", 0)
    one.pair.answer(0)
    one.blocked.append(one.pair.answer(1))


class Suite:
    """Opens the pairs, runs the rounds, gives the rows; a contender that fails is closed and left out."""

    def __init__(
        self, plan: Plan, only: list[Contender] | None = None, tell: Callable[[str], None] | None = None
    ) -> None:
        self.plan = plan
        self.tell = tell or (lambda text: None)
        self.cpus = two_cores()
        self.folder = Path(
            tempfile.mkdtemp(prefix="fastmas-bench-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        )
        self.wanted = contenders() if only is None else only
        self.missing: dict[str, str] = {}
        self.measured: list[Measured] = []

    def _attempt(self, contender: Contender, step: Callable[[], Any]) -> bool:
        try:
            step()
        except Failed as failure:
            self.missing[contender.name] = str(failure)
            return False
        return True

    def _keep(self, step: Callable[[Measured], Any]) -> None:
        for one in list(self.measured):
            if not self._attempt(one.contender, lambda one=one: step(one)):  # type: ignore[misc]
                self._drop(one)

    def _drop(self, one: Measured) -> None:
        self.measured.remove(one)
        one.pair.close()

    def _open(self) -> None:
        token = "fmb" + secrets.token_hex(4)
        alone = self.cpus is not None and self.cpus[0] == self.cpus[1]
        for number, contender in enumerate(self.wanted):
            reason = why_missing(contender)
            if not reason and alone and contender.waits == "spin":
                reason = "two processors are needed: spinning on one measures the scheduler"
            if reason:
                self.missing[contender.name] = reason
                continue
            place = Place(self.folder, f"{token}{number}")
            self._attempt(
                contender, lambda c=contender, p=place: self.measured.append(Measured(c, Pair(c, p, self.cpus)))
            )
        self._keep(lambda one: one.pair.open())

    def run(self) -> Outcome:
        start, load = time.monotonic(), load_now()
        plan = self.plan
        try:
            self.tell("two processes for each contender")
            self._open()
            self.tell("cold, then warm")
            self._keep(lambda one: calibrate(one, plan))
            for _ in self._laps("round trips", plan.trip_laps, start + 0.5 * plan.most_s):
                self._trips()
            for _ in self._laps("streams", plan.stream_laps, start + 0.8 * plan.most_s):
                self._keep(lap_of_streams)
            for _ in self._laps("open loop", plan.paced_laps, start + plan.most_s):
                self._keep(lambda one: lap_of_pace(one, plan))
            self.tell("processor time while blocked")
            self._keep(lambda one: watch_blocked(one, plan) if one.contender.waits == "block" else None)
            return self._outcome(time.monotonic() - start, (load, load_now()))
        finally:
            for one in list(self.measured):
                self._drop(one)
            shutil.rmtree(self.folder, ignore_errors=True)

    def _laps(self, what: str, count: int, end: float) -> Iterator[int]:
        """Whoever is first in a lap is last in the next. One lap at least, then no new one after `end`."""
        for lap in range(count):
            if lap and time.monotonic() > end:
                return
            if lap % 5 == 0:
                self.tell(f"{what}, {lap} of {count} laps")
            self.measured = self.measured[1:] + self.measured[:1]
            yield lap

    def _trips(self) -> None:
        trips: dict[str, Histogram] = {}
        self._keep(lambda one: trips.__setitem__(one.contender.name, lap_of_trips(one)))
        floor = trips.get(CACHE_LINE)
        if floor is None or floor.quantile(0.999) > QUIET * floor.quantile(0.5):
            return
        for one in self.measured:
            if one.medians[-1] > 0:
                one.note_quiet(floor.quantile(0.5), trips[one.contender.name])

    def _outcome(self, seconds: float, load: tuple[float, float]) -> Outcome:
        order = {contender.name: place for place, contender in enumerate(self.wanted)}
        self.measured.sort(key=lambda one: order[one.contender.name])
        rows = [row for one in self.measured for row in rows_of(one)]
        kinds = ("medians", "stream", "batches")
        laps = {kind: {one.contender.name: getattr(one, kind) for one in self.measured} for kind in kinds}
        return Outcome(rows, laps, self.missing, self.cpus, load, round(seconds, 1))


def ratio_to(laps: dict[str, list[float]], name: str, base: str) -> float | None:
    """The median over the laps of one contender's value over another's of the same lap; None when one is missing.

    Of the laps that the kernel disturbed neither of, if there are enough.
    """
    ours, theirs = laps.get(name), laps.get(base)
    if not ours or not theirs:
        return None
    pairs = list(zip(ours, theirs, strict=True))
    calm = [(one, other) for one, other in pairs if one > 0 and other > 0]
    return statistics.median(abs(one / other) for one, other in (calm if len(calm) >= ENOUGH else pairs))


def calm_laps(laps: dict[str, list[float]], *names: str) -> int:
    """How many laps the kernel disturbed none of these contenders in."""
    return sum(all(value > 0 for value in lap) for lap in zip(*(laps.get(name, []) for name in names), strict=False))


def calm_or_all(values: list[float]) -> list[float]:
    """The laps in which neither process was preempted; all when they are too few to tell."""
    calm = [value for value in values if value > 0]
    return calm if len(calm) >= ENOUGH else [abs(value) for value in values]


def load_now() -> float:
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else 0.0


def spread(values: list[float]) -> float:
    if len(values) < 2:
        return 0.0
    low, _, high = statistics.quantiles(values, n=4)
    return round(high - low, 1)


def rows_of(one: Measured) -> list[Row]:
    """One row for each question that the contender was asked."""
    waits = one.contender.waits
    base: Row = {"name": one.contender.name, "rival": one.contender.rival, "floor": one.contender.floor}

    def row(group: str, item: str, values: list[float], **more: Any) -> Row:
        return {
            "group": f"process-{group}",
            **base,
            "item": item,
            "ns_per_item": round(statistics.median(calm_or_all(values)), 1),
            "iqr_ns_per_item": spread(calm_or_all(values)),
            "rounds": len(values),
            "calm": sum(value > 0 for value in values),
            **more,
        }

    quiet = [group.row() for group in sorted(one.quiet, key=lambda group: -group.laps)]
    warm = {**one.trips.quantiles(), "quiet": quiet, "curve": one.trips.curve()}
    if one.blocked:
        warm["blocked_cpu"] = round(statistics.median(one.blocked), 5)
    rows = [
        row(f"round-trip-{waits}", "round trip", one.medians, trips=one.trips.count, **warm),
        row(
            f"cold-{waits}",
            "round trip",
            [float(value) for value in one.cold],
            first_ns=one.cold[0],
            max_ns=max(one.cold),
        ),
    ]
    if one.stream:
        rows.append(row(f"throughput-{waits}", "message", one.stream))
    if one.batches:
        rows.append(row("throughput-batches", "message", one.batches))
    if one.paced.count:
        rows.append(
            row(
                f"open-loop-{waits}",
                "message",
                [float(one.paced.quantile(0.5))],
                **one.paced.quantiles(),
                interval_ns=PACE_NS[waits],
                curve=one.paced.curve(),
            )
        )
    return rows
