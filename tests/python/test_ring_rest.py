"""The reader of a ring in process does not look away from a stream: its writer stands still while it looks."""

from __future__ import annotations

import platform
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ring_processes import new_name

from fastmas.ring import BroadcastRing, ByteRing, MpscRing, SpscRing

pytestmark = [
    pytest.mark.measures,
    pytest.mark.skipif(
        hasattr(sys, "_is_gil_enabled") and not sys._is_gil_enabled(), reason="there a writer goes on meanwhile"
    ),
]
ROUNDS = 400
FRAME = b"12345678"

Ends = tuple[Callable[[Any], Any], Callable[[], Any]]


def queue(ring: Any) -> Ends:
    return ring.try_push, ring.try_pop


def feed() -> Ends:
    ring = BroadcastRing(np.int64, 8)
    return ring.try_publish, ring.subscribe("reader").try_pop


RINGS = {
    "spsc": lambda: queue(SpscRing(np.int64, 8)),
    "sequenced": lambda: queue(SpscRing(np.int64, 8, layout="sequenced")),
    "mpsc": lambda: queue(MpscRing(np.int64, 8)),
    "broadcast": feed,
    "bytes": lambda: queue(ByteRing(256)),
}


def ns_to_find_nothing(ends: Ends, records: int) -> float:
    """What a pop takes that comes after so many records and finds no more."""
    push, pop = ends
    took = []
    for _ in range(ROUNDS):
        for _ in range(records):
            assert push(FRAME)
        for _ in range(records):
            assert pop() is not None
        began = time.perf_counter_ns()
        nothing = pop()
        took.append(time.perf_counter_ns() - began)
        assert nothing is None
    return statistics.median(took)


@pytest.mark.parametrize("kind", RINGS)
def test_a_stream_within_the_interpreter_is_not_rested_after(kind: str) -> None:
    """A rest is 64 pauses of the processor, ten times what the call takes; single messages are never rested after."""
    ends = RINGS[kind]()
    single, stream = ns_to_find_nothing(ends, 1), ns_to_find_nothing(ends, 2)
    assert stream < 3 * single


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="elsewhere a pause may take no time at all")
def test_a_stream_between_processes_is_rested_after() -> None:
    """So the measure above would see a rest. Where the other end is does not matter: it may be another process."""
    name = new_name()
    with SpscRing.create(name, np.int64, 8) as out, SpscRing.attach(name) as into:
        ends = out.try_push, into.try_pop
        single, stream = ns_to_find_nothing(ends, 1), ns_to_find_nothing(ends, 2)
    assert stream > 2 * single
