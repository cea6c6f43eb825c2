"""Rings from Python keep no reference and lose none."""

from __future__ import annotations

import gc
import sys
import weakref
from typing import Any

import numpy as np
import pytest
from ring_processes import Proof, new_name, proofs

from fastmas.errors import ConfigError, DeadlineError, FastmasError
from fastmas.records import Record, i64
from fastmas.ring import BroadcastRing, SpscRing, Subscriber


def exercise(ring: SpscRing, feed: BroadcastRing, record: Any, rows: Any, out: Any) -> None:
    """Every path of every method once, refusals included."""
    exercise_ends(record, rows)
    with ring.claim(2) as lent:
        lent[:] = rows[: len(lent)]
    with ring.peek(3) as lent:
        str(lent)
    with pytest.raises(ConfigError), ring.claim(2) as lent:
        kept = lent[:1]
    del lent, kept
    ring.try_push(record), ring.push(bytes(record)), ring.push_many(rows[::2])
    ring.try_pop(), ring.pop(), ring.pop_many(), ring.pop_many(2, out), ring.pop_many(out=out, timeout_s=0)
    for call in (
        lambda: ring.try_push(None),
        lambda: ring.push_many([1]),
        lambda: ring.push_many(np.zeros(3)),
        lambda: ring.pop_many(out=np.zeros(3)),
        lambda: ring.pop(timeout_s=0),
        lambda: feed.subscribe(""),
        lambda: SpscRing(Proof, 3),
        lambda: SpscRing("O", 4),
    ):
        with pytest.raises((ConfigError, DeadlineError)):
            call()
    with feed.subscribe("a") as reader:
        feed.try_publish(record), feed.publish(rows[0]), feed.publish_many(rows)
        assert len(feed.subscribers) == 1
        reader.try_pop(), reader.pop(), reader.poll(1), reader.poll(out=out), reader.lag, reader.ring, repr(reader)
    (ring.dtype, ring.record_type, ring.capacity, ring.was_size, repr(ring), feed.dtype, feed.record_type, repr(feed))
    SpscRing(Proof, 4), BroadcastRing(np.int64, 4)


def exercise_ends(record: Any, rows: Any) -> None:
    name = new_name()
    with (
        SpscRing.create(name, Proof, 8, layout="sequenced", wait="yield") as end,
        SpscRing.attach(name) as peer,
    ):
        end.try_push(record), end.push(bytes(record)), end.push_many(rows), peer.pop(), peer.try_pop(), peer.pop_many()
        str((end.name, end.role, end.peer_state, peer.peer_alive, end.wait, end.layout, end.overflow, end.dropped))
        str((end, end.closed))
        for call in (
            lambda: SpscRing.attach(name),
            lambda: SpscRing.attach(name, dtype=np.int64),
            lambda: SpscRing.create(name, Proof, 8),
            lambda: end.claim(1),
            end.pop,
            lambda: peer.push(record),
        ):
            with pytest.raises(FastmasError):
                call()
    with pytest.raises(ConfigError):
        end.push(record)


@pytest.mark.parametrize("layout", [Proof, Proof.dtype], ids=["record", "dtype"])
def test_no_reference_is_lost_or_kept(layout: Any) -> None:
    ring, feed = SpscRing(layout, 8), BroadcastRing(layout, 8)
    record, rows, out = Proof.of(2), proofs(0, 4), np.zeros(8, Proof.dtype)
    watched = [Proof, Proof.dtype, ring, feed, record, rows, out, SpscRing, BroadcastRing, Subscriber]
    for _ in range(20):
        exercise(ring, feed, record, rows, out)
    gc.collect()
    before = [sys.getrefcount(item) for item in watched]
    for _ in range(200):
        exercise(ring, feed, record, rows, out)
    gc.collect()
    after = [sys.getrefcount(item) for item in watched]
    assert [b - a for a, b in zip(before, after, strict=True)] == [0] * len(watched)


def test_a_ring_that_its_own_record_class_refers_to_is_collected() -> None:
    def make() -> weakref.ref[type]:
        class Cycle(Record):
            value: i64

        feed = BroadcastRing(Cycle, 2)
        Cycle.rings = (SpscRing(Cycle, 2), feed, feed.subscribe("x"))  # type: ignore[attr-defined]
        return weakref.ref(Cycle)

    made = make()
    gc.collect()
    assert made() is None
