"""Records stay on their fast path: ratios to a NamedTuple in one run, with margins that a busy machine cannot break.

Without vectorcall, free list and perfect hash each of them is exceeded; `bench/bench_record.py` has the exact figures.
"""

from __future__ import annotations

import statistics
import timeit
from typing import Any, NamedTuple

import pytest

from fastmas.records import Record, f64, i32, i64, u32


class Ours(Record):
    ts_ns: i64
    instrument: u32
    side: i32
    price: i64
    quantity: i64
    weight: f64


class Theirs(NamedTuple):
    ts_ns: int
    instrument: int
    side: int
    price: int
    quantity: int
    weight: float


def ratio(statement: str, **names: Any) -> float:
    """Median over interleaved rounds of ours / theirs, where `X` stands for either in the statement."""
    timers = [
        timeit.Timer(
            statement, globals={**names, "X": cls, "x": cls(1_700_000_000_000_000_000, 7, 1, 101_250, 300, 0.5)}
        )
        for cls in (Ours, Theirs)
    ]
    rounds = [[timer.timeit(2_000) for timer in timers] for _ in range(41)]
    return statistics.median(ours / theirs for ours, theirs in rounds)


@pytest.mark.measures
@pytest.mark.parametrize(
    ("statement", "most"),
    [
        ("X(t, 7, 1, 101_250, 300, .5)", 0.4),
        ("X(ts_ns=t, instrument=7, side=1, price=101_250, quantity=300, weight=.5)", 0.3),
        ("x.ts_ns", 2.0),
        ("x.price", 1.6),
        ("x.weight", 1.6),
    ],
)
def test_ratio_to_a_named_tuple(statement: str, most: float) -> None:
    assert ratio(statement, t=1_700_000_000_000_000_000) < most
