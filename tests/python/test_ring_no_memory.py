"""A pop that finds no memory for its object raises MemoryError, and the record comes with the next one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import pytest

from fastmas.records import Length, Record, i64
from fastmas.ring import BroadcastRing, ByteRing, MpmcRing, MpscRing, SpscRing

allocator = pytest.importorskip("_testcapi", reason="needs an allocator that fails on demand")
pytestmark = pytest.mark.skipif(
    hasattr(sys, "_is_gil_enabled") and not sys._is_gil_enabled(),
    reason="mimalloc cannot be hooked in a free-threaded build",
)

LONG = 600  # no dead instances are kept of a record this long, so each one needs memory
ROWS = np.dtype([("number", "<i8"), ("text", "S24")])


class Numbered(Record):
    number: i64
    rest: Annotated[bytes, Length(LONG)]


def attempt(call: Callable[..., Any], *args: Any, after: int = 0) -> list[Any]:
    """What the call returned, or nothing when it met the end of memory: all allocations but the first few fail."""
    result: list[Any] = [None]
    set_nomemory, remove = allocator.set_nomemory, allocator.remove_mem_hooks
    try:
        set_nomemory(after, 0)
        result[0] = call(*args)  # whatever was popped is in here before anything else is allocated
    except MemoryError:
        result.clear()
    finally:
        remove()
    return result


def numbered(number: int) -> Numbered:
    return Numbered(number, bytes(LONG))


def row(number: int) -> Any:
    return np.array([(number, b"row")], ROWS)[0]


Make = Callable[[Any], tuple[Any, Any, Callable[[Any], Any]]]


def queue(kind: Any, **options: Any) -> Make:
    def make(dtype: Any) -> tuple[Any, Any, Callable[[Any], Any]]:
        ring = kind(dtype, 8, **options)
        return ring, ring, ring.push

    return make


def broadcast(overflow: str) -> Make:
    def make(dtype: Any) -> tuple[Any, Any, Callable[[Any], Any]]:
        feed = BroadcastRing(dtype, 8, overflow=overflow)
        return feed, feed.subscribe("reader"), feed.publish

    return make


RINGS = [
    pytest.param(queue(SpscRing), id="spsc"),
    pytest.param(queue(SpscRing, layout="sequenced"), id="sequenced"),
    pytest.param(queue(MpscRing), id="mpsc"),
    pytest.param(queue(MpmcRing), id="mpmc"),
    pytest.param(broadcast("refuse"), id="broadcast"),
    pytest.param(broadcast("overwrite_oldest"), id="overwriting"),
    pytest.param(broadcast("evict"), id="evicting"),
]
RECORDS = [
    pytest.param(Numbered, numbered, id="record"),
    pytest.param(ROWS, row, id="row"),
    pytest.param(np.dtype("<i8"), np.int64, id="int64"),
    pytest.param(np.dtype("<f8"), np.float64, id="float64"),
    pytest.param(np.dtype("S16"), lambda number: np.bytes_(b"%d" % number), id="bytes"),
]


@pytest.mark.parametrize("make", RINGS)
@pytest.mark.parametrize(("dtype", "message"), RECORDS)
@pytest.mark.parametrize("verb", ["try_pop", "pop"])
def test_a_record_is_not_lost_when_its_object_cannot_be_made(
    make: Make, dtype: Any, message: Callable[[int], Any], verb: str
) -> None:
    ring, reader, push = make(dtype)
    records = [message(number) for number in range(5)]
    for record in records:
        push(bytes(record).ljust(16, b"\0") if dtype == np.dtype("S16") else record)
    pop, popped, failed = getattr(reader, verb), [], 0
    options = () if verb == "try_pop" else (0.0,)  # a record that is lost does not hang the test
    while len(popped) < len(records):
        for after in (0, 0, 1, 2):
            one = attempt(pop, *options, after=after) if len(popped) < len(records) else []
            failed += not one
            popped += one
        if len(popped) < len(records):
            popped.append(pop(*options))
    assert failed > 0, "no allocation failed, so nothing was tested"
    assert popped == records
    assert reader.try_pop() is None
    del ring


@pytest.mark.parametrize("make", RINGS)
@pytest.mark.parametrize("after", range(4))
def test_a_batch_is_not_lost_when_its_array_cannot_be_made(make: Make, after: int) -> None:
    ring, reader, push = make(np.dtype("<i8"))
    pop_many = reader.poll if hasattr(reader, "poll") else reader.pop_many
    out = np.zeros(8, "<i8")
    for number in range(3):
        push(np.int64(number))
    for target in (None, out):
        got = attempt(pop_many, None, target, after=after) or [pop_many(None, target)]
        assert got[0].tolist() == [0, 1, 2]
        for number in range(3):
            push(np.int64(number))
    del ring


def test_a_held_record_comes_first_in_a_batch_and_to_who_waits() -> None:
    ring = MpmcRing(np.dtype("<i8"), 8)
    for number in range(4):
        ring.push(np.int64(number))
    assert attempt(ring.try_pop) == []
    assert attempt(ring.try_pop) == []  # the record that is held, and not the one after it
    assert ring.pop_many(2).tolist() == [0, 1]
    assert attempt(ring.pop) == []
    assert ring.pop_many().tolist() == [2, 3]
    ring.push(np.int64(4))
    assert attempt(ring.try_pop) == []
    assert ring.was_empty  # it was taken, and waits in this object
    assert ring.pop(timeout_s=0.0) == 4
    assert ring.try_pop() is None


@pytest.mark.parametrize("verb", ["try_pop", "pop", "pop_many"])
def test_a_frame_is_not_lost_when_its_bytes_cannot_be_made(verb: str) -> None:
    ring = ByteRing(1 << 12)
    frames = [bytes([65 + number]) * (40 + number) for number in range(12)]
    for frame in frames:
        ring.push(frame)
    got: list[bytes] = []
    failed = 0
    for after in (0, 1, 2, 3, 5, 8, 0, 0):
        one = attempt(getattr(ring, verb), *([0.0] if verb == "pop" else []), after=after)
        failed += not one
        got += one[0] if one and verb == "pop_many" else one
    got += ring.pop_many()
    assert failed > 0
    assert got == frames
