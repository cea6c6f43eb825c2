"""How many messages a second pass through a trivial Python handler inside a whole `Simulation`?

Everything is there: bars, venue, three replicas that commit the marks of each session, books, recorder. In the first
group a perception agent answers each session's bars with FAN_OUT observations, each of which reaches a handler that
does nothing, so that many messages share the world's own work for a session; `heapq` is the loop that everybody writes,
with the same handler and none of the rest. The second group is the other extreme: a session when nobody speaks.
"""

from __future__ import annotations

import heapq
from itertools import count
from pathlib import Path
from typing import Any

import pytest

import fastmas as fm

FAN_OUT = 5_000
SESSIONS = 40


def ignore(message: Any, ctx: Any) -> None:
    return None


def some_bars(sessions: int) -> fm.Bars:
    bars = fm.Bars.sample(["KO"])
    return bars.window(None, int(bars.sessions[sessions - 1]))


def world(bars: fm.Bars, audit: Path | None = None) -> fm.Simulation:
    return fm.Simulation(feed=bars, venue=fm.BarVenue(bars.instruments), audit=audit)


def agents(perceive: Any) -> list[fm.Agent]:
    return [
        fm.perception(perceive, name="eye"),
        fm.reasoning(ignore, name="mind"),
        fm.decision(ignore, name="will"),
        fm.AtMarket(),
    ]


def fan(bar: Any, ctx: Any) -> list[fm.Observation]:
    return FAN


FAN = [fm.Observation(1, 0, {"number": float(number)}) for number in range(FAN_OUT)]


@pytest.mark.benchmark(group="simulation, messages", min_rounds=10, warmup=True, warmup_iterations=1)
@pytest.mark.parametrize("audited", [False, True], ids=["no audit", "audit"])
def bench_messages(benchmark: Any, tmp_path: Path, audited: bool) -> None:
    bars, numbers = some_bars(SESSIONS), count()

    def make() -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (world(bars, tmp_path / f"{next(numbers)}.fma" if audited else None), agents(fan)), {}

    report = benchmark.pedantic(lambda simulation, crew: simulation.run(crew), setup=make, rounds=10, warmup_rounds=1)
    assert report.messages >= SESSIONS * FAN_OUT
    benchmark.extra_info.update(items=report.messages, item="message")


@pytest.mark.benchmark(group="simulation, messages")
def bench_rival_heapq(benchmark: Any) -> None:
    def run() -> None:
        queue: list[tuple[int, int, Any, Any]] = []
        sequence = count()
        for session in range(SESSIONS):
            for message in FAN:
                heapq.heappush(queue, (session, next(sequence), ignore, message))
            while queue:
                _, _, handler, message = heapq.heappop(queue)
                handler(message, None)

    benchmark.pedantic(run, rounds=10, warmup_rounds=1)
    benchmark.extra_info.update(items=SESSIONS * FAN_OUT, item="message", rival=True)


@pytest.mark.benchmark(group="simulation, sessions")
@pytest.mark.parametrize("replicas", [1, 3])
def bench_sessions(benchmark: Any, replicas: int) -> None:
    bars = fm.Bars.sample().window(None, int(fm.Bars.sample().sessions[499]))

    def make() -> tuple[tuple[Any, ...], dict[str, Any]]:
        simulation = fm.Simulation(feed=bars, venue=fm.BarVenue(bars.instruments), replicas=replicas)
        return (simulation, agents(ignore)), {}

    benchmark.pedantic(lambda simulation, crew: simulation.run(crew), setup=make, rounds=10, warmup_rounds=1)
    benchmark.extra_info.update(items=len(bars.sessions), item="session of 20 bars")
