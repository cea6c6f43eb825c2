"""MpscRing and MpmcRing in one process: what goes in comes out, once, in order; refusals, counts, threads, errors."""

from __future__ import annotations

import ctypes
import importlib
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastmas.errors import ConfigError, DeadlineError
from fastmas.records import Record, i64
from fastmas.ring import MpmcRing, MpscRing

KINDS = [MpscRing, MpmcRing]
PATIENCE_S = 60.0


class Tick(Record):
    producer: i64
    sequence: i64


@pytest.mark.parametrize("kind", KINDS)
def test_fills_to_capacity_and_says_what_it_is(kind: Any) -> None:
    ring = kind(Tick, capacity=4)
    assert repr(ring) == f"{kind.__name__}(Tick, capacity=4)"
    assert (ring.capacity, ring.record_type, ring.dtype, ring.layout) == (4, Tick, Tick.dtype, "sequenced")
    assert (ring.name, ring.role, ring.closed, ring.wait, ring.overflow) == (None, "both", False, "adaptive", "refuse")
    assert (ring.peer_state, ring.peer_alive, ring.dead_peers) == ("alive", True, 0)
    assert [ring.try_push(Tick(0, i)) for i in range(5)] == [True] * 4 + [False]
    assert (ring.was_size, ring.was_full, ring.was_empty) == (4, True, False)
    assert [ring.try_pop() for _ in range(5)] == [Tick(0, i) for i in range(4)] + [None]
    assert (ring.pushed, ring.popped, ring.skipped, ring.lost, ring.dropped) == (4, 4, 0, 0, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_records_of_every_size_are_whole(kind: Any) -> None:
    for size in (1, 7, 8, 56, 57, 64, 120, 511, 512, 513, 4096):
        ring = kind(np.dtype(("V", size)), capacity=2)
        for lap in range(5):
            record = bytes((lap * 31 + i) % 256 for i in range(size))
            ring.push(record)
            assert bytes(ring.pop()) == record


@pytest.mark.parametrize("kind", KINDS)
def test_the_verbs_wait_and_give_up(kind: Any) -> None:
    ring = kind(np.int64, capacity=2)
    with pytest.raises(DeadlineError, match=r"no record came within 0\.01 s; push one or give a longer timeout_s"):
        ring.pop(timeout_s=0.01)
    assert ring.push_many(np.arange(3), timeout_s=0.01) == 2
    with pytest.raises(DeadlineError, match=r"the ring of 2 records stayed full for 0\.01 s"):
        ring.push(np.int64(7), timeout_s=0.01)
    out = np.empty(8, np.int64)
    assert ring.pop_many(out=out).tolist() == [0, 1]
    assert ring.pop_many(max_records=1).tolist() == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_does_not_fit_is_dropped_when_that_is_asked_for(kind: Any) -> None:
    ring = kind(np.int64, capacity=2, overflow="drop_newest")
    ring.push(np.int64(0))
    assert ring.push_many(np.arange(1, 4)) == 1
    ring.push(np.int64(9))
    assert ring.try_push(np.int64(9)) is False
    assert (ring.dropped, ring.pop_many().tolist()) == (4, [0, 1])


@pytest.mark.parametrize("kind", KINDS)
def test_a_closed_ring_says_so(kind: Any) -> None:
    with kind(np.int64, capacity=2) as ring:
        ring.push(np.int64(1))
    assert ring.closed
    for call in (
        lambda: ring.try_push(np.int64(1)),
        lambda: ring.push(np.int64(1)),
        lambda: ring.push_many(np.arange(1)),
        ring.try_pop,
        ring.pop,
        ring.pop_many,
    ):
        with pytest.raises(ConfigError, match=r"the ring is closed; make another one"):
            call()


@pytest.mark.parametrize("kind", KINDS)
def test_mistakes_are_errors_that_name_the_cure(kind: Any) -> None:
    with pytest.raises(ConfigError, match=r"capacity must be a power of two >= 2, got 1000; try 1024"):
        kind(np.int64, capacity=1000)
    with pytest.raises(ConfigError, match=r"overflow must be 'refuse' or 'drop_newest', got 'evict'"):
        kind(np.int64, capacity=2, overflow="evict")
    with pytest.raises(TypeError):
        kind(np.int64, capacity=2, layout="contiguous")
    ring = kind(Tick, capacity=2)
    for wrong in (None, 7, "x", b"short", np.int64(1)):
        with pytest.raises(ConfigError):
            ring.try_push(wrong)
    with pytest.raises(ConfigError):
        ring.push_many(np.arange(3))
    with pytest.raises(ConfigError, match=r"max_records must be >= 1, got 0"):
        ring.pop_many(max_records=0)
    with pytest.raises(TypeError):
        kind.__new__(kind)
    with pytest.raises(TypeError):
        type("Sub", (kind,), {})
    assert ring.was_empty


STEP = st.tuples(st.sampled_from(["push", "push_many", "pop", "pop_many"]), st.integers(1, 9))


@pytest.mark.parametrize("kind", KINDS)
@given(steps=st.lists(STEP, max_size=60), capacity=st.sampled_from([2, 4, 8]))
def test_behaves_like_a_deque(kind: Any, steps: list[tuple[str, int]], capacity: int) -> None:
    ring, model, sequence, popped = kind(np.int64, capacity), deque[int](), 0, 0
    for verb, count in steps:
        if verb == "push":
            assert ring.try_push(np.int64(sequence)) == (len(model) < capacity)
            fits = min(1, capacity - len(model))
        elif verb == "push_many":
            fits = min(count, capacity - len(model))
            assert ring.push_many(np.arange(sequence, sequence + count)) == fits
        elif verb == "pop":
            assert ring.try_pop() == (model.popleft() if model else None)
            fits = 0
        else:
            expected = [model.popleft() for _ in range(min(count, len(model)))]
            assert ring.pop_many(max_records=count).tolist() == expected
            fits = 0
        model.extend(range(sequence, sequence + fits))
        sequence += fits
        popped = sequence - len(model)
        assert (ring.pushed, ring.popped, ring.was_size) == (sequence, popped, len(model))


@pytest.mark.parametrize(("kind", "consumers"), [(MpscRing, 1), (MpmcRing, 1), (MpmcRing, 3)])
@pytest.mark.parametrize("wait", ["adaptive", "yield", "block"])
def test_threads_lose_and_repeat_nothing(kind: Any, consumers: int, wait: str) -> None:
    each, producers = 1_500, 3
    ring = kind(Tick, capacity=8, wait=wait)
    got: list[list[Tick]] = [[] for _ in range(consumers)]

    def produce(producer: int) -> None:
        rows = np.array([(producer, sequence) for sequence in range(each)], Tick.dtype)
        sent = 0
        while sent < each:
            if sent % 5 == 0:
                sent += ring.push_many(rows[sent : sent + 7], timeout_s=PATIENCE_S)
            else:
                ring.push(Tick(producer, sequence=sent), timeout_s=PATIENCE_S)
                sent += 1

    def consume(mine: list[Tick]) -> None:
        ends = 0
        while not ends:
            batch = [ring.pop(timeout_s=PATIENCE_S)]
            if len(mine) % 3 == 0:
                batch += [Tick.from_bytes(row.tobytes()) for row in ring.pop_many(max_records=4)]
            mine += [record for record in batch if record.producer >= 0]
            ends = sum(record.producer < 0 for record in batch)
        for _ in range(ends - 1):  # those of the others
            ring.push(Tick(-1, 0), timeout_s=PATIENCE_S)

    readers = [threading.Thread(target=consume, args=(mine,)) for mine in got]
    writers = [threading.Thread(target=produce, args=(producer,)) for producer in range(producers)]
    for thread in readers + writers:
        thread.start()
    for thread in writers:
        thread.join()
    for _ in range(consumers):
        ring.push(Tick(-1, 0), timeout_s=PATIENCE_S)
    for thread in readers:
        thread.join()
    for mine in got:
        for producer in range(producers):
            sequences = [record.sequence for record in mine if record.producer == producer]
            assert sequences == sorted(sequences)
    everything = sorted((record.producer, record.sequence) for mine in got for record in mine)
    assert everything == [(producer, sequence) for producer in range(producers) for sequence in range(each)]


# ---- what comes between a look and a pop

_ALLOCATE = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
_ALLOCATE_ZEROED = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t)
_ALLOCATE_ANEW = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
_FREE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


class _Handler(ctypes.Structure):
    """numpy's PyDataMem_Handler: where arrays of this thread get their memory."""

    _fields_ = (
        ("name", ctypes.c_char * 127),
        ("version", ctypes.c_uint8),
        ("context", ctypes.c_void_p),
        ("malloc", _ALLOCATE),
        ("calloc", _ALLOCATE_ZEROED),
        ("realloc", _ALLOCATE_ANEW),
        ("free", _FREE),
    )


_handlers: list[_Handler] = []  # for as long as an array that came from one may live


@contextmanager
def arrays_made_by(allocate: Callable[[int], int]) -> Iterator[None]:
    """`allocate` is asked for the memory of every new array, and may do what it likes meanwhile."""
    handler = _Handler(
        name=b"test",
        version=1,
        malloc=_ALLOCATE(lambda _, size: allocate(size)),
        calloc=_ALLOCATE_ZEROED(lambda _, items, size: allocate(items * size)),
        realloc=_ALLOCATE_ANEW(lambda _, old, size: None),
        free=_FREE(lambda _, old, size: None),
    )
    _handlers.append(handler)
    api = ctypes.pythonapi
    api.PyCapsule_New.restype = ctypes.py_object
    api.PyCapsule_New.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = (ctypes.py_object, ctypes.c_char_p)
    core = "numpy._core" if np.__version__[0] != "1" else "numpy.core"
    table = api.PyCapsule_GetPointer(importlib.import_module(f"{core}.multiarray")._ARRAY_API, None)
    number = 304  # PyDataMem_SetHandler, in the table of numpy's C API
    address = ctypes.cast(table, ctypes.POINTER(ctypes.c_void_p))[number]
    set_handler = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(address)  # type: ignore[arg-type]
    before = set_handler(api.PyCapsule_New(ctypes.addressof(handler), b"mem_handler", None))
    try:
        yield
    finally:
        set_handler(before)


@pytest.mark.skipif(
    hasattr(sys, "_is_gil_enabled") and not sys._is_gil_enabled(), reason="the order of the threads is the lock's"
)
def test_more_come_after_what_was_seen_was_taken_by_another() -> None:
    """The array of a batch has room for what is there when it is taken, not for what was there at an earlier look."""
    ring = MpmcRing(np.int64, capacity=16)
    ring.push_many(np.array([100, 101]))
    later = np.arange(6)
    arena = ctypes.create_string_buffer(2 * 4096)  # what is written behind an array hurts nobody
    sizes: list[int] = []
    gone = threading.Event()

    def allocate(size: int) -> int:
        sizes.append(size)
        if len(sizes) == 1:
            assert [ring.try_pop(), ring.try_pop()] == [100, 101]  # faster than the batch that was about to take them
            gone.set()
        return ctypes.addressof(arena) + (len(sizes) - 1) * 4096

    def push_more() -> None:
        gone.wait(PATIENCE_S)
        ring.push_many(later)

    pusher = threading.Thread(target=push_more)
    pusher.start()
    interval = sys.getswitchinterval()
    try:
        sys.setswitchinterval(PATIENCE_S)  # the pusher goes on when the batch waits, and not before
        with arrays_made_by(allocate):
            rows = ring.pop_many(timeout_s=PATIENCE_S)
    finally:
        sys.setswitchinterval(interval)
        gone.set()
        pusher.join()
    assert sizes == [2 * 8, 6 * 8], "the batch did not meet two lots, so nothing was tested"
    assert rows.tolist() == later.tolist()
