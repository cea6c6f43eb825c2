"""How long does a message take from one Python process to another, and what does waiting for it cost?

``process-round-trip-…``: there and back, one message under way; ``process-cold-…``: the same for the first messages
after opening; ``process-throughput-…``: as many as get through; ``process-open-loop-…``: one way, from the moment a
message was due, at a steady pace. Spinning and blocking contenders are groups of their own, with the floor of each
beside them. All take turns in short laps of one run, so what the machine does meanwhile falls on all alike: the rows
that pytest-benchmark sees are played back from that run. Every message is checked for order and content.
`fastmas bench` is the short form.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from .latency.suite import FULL, Outcome, Suite, calm_or_all, contenders

KINDS = ("round-trip", "cold", "throughput", "throughput-batches", "open-loop")
CONTENDERS = {contender.name: contender for contender in contenders()}


class Playback:
    """A clock that takes as long as was measured: each pair of calls is the next value apart."""

    def __init__(self) -> None:
        self.now = 0.0
        self.values: Iterator[float] = iter(())
        self.started = False

    def load(self, values: list[float]) -> None:
        self.values, self.started = iter(values), False

    def __call__(self) -> float:
        if self.started:
            self.now += next(self.values)
        self.started = not self.started
        return self.now


PLAYBACK = Playback()


def chosen_of(items: Sequence[pytest.Item]) -> set[str]:
    """The contenders among what is to run; the other benches have parameters of their own."""
    ours = [item for item in items if getattr(item, "originalname", None) == "bench_process"]
    return {item.callspec.params["name"] for item in ours}  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def outcome(request: pytest.FixtureRequest) -> Outcome:
    """One run of all that was selected, floors always."""
    chosen = chosen_of(request.session.items)
    wanted = [one for name, one in CONTENDERS.items() if one.floor or name in chosen]
    return Suite(FULL, wanted).run()


def values_of(outcome: Outcome, kind: str, row: dict[str, Any]) -> list[float]:
    """Nanoseconds an item: of each lap where there are laps, else what the row says."""
    laps = {"round-trip": "medians", "throughput": "stream", "throughput-batches": "batches"}
    return calm_or_all(outcome.laps[laps[kind]][row["name"]]) if kind in laps else [row["ns_per_item"]]


@pytest.mark.benchmark(timer=PLAYBACK)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CONTENDERS)
def bench_process(benchmark: Any, outcome: Outcome, name: str, kind: str) -> None:
    if name in outcome.missing:
        # What is ours is always there: if it was left out, it failed.
        assert CONTENDERS[name].rival, f"{name}: {outcome.missing[name]}"
        pytest.skip(f"{name}: {outcome.missing[name]}")
    group = f"process-{kind}" if kind == "throughput-batches" else f"process-{kind}-{CONTENDERS[name].waits}"
    row = next((row for row in outcome.rows if (row["group"], row["name"]) == (group, name)), None)
    if row is None:
        pytest.skip(f"{name} has no {kind}")
    values = values_of(outcome, kind, row)
    told = ("group", "name", "ns_per_item", "iqr_ns_per_item", "rounds")
    benchmark.group = group
    benchmark.name = name
    benchmark.extra_info.update(
        {key: value for key, value in row.items() if key not in told}, items=1, load=outcome.load
    )
    PLAYBACK.load([value / 1e9 for value in values])
    benchmark.pedantic(lambda: None, rounds=len(values), iterations=1)
